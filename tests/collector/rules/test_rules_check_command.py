"""`forewarn rules check` as it is called: formats, exit status, and the series to compare with."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from forewarn_collector.cli import build
from forewarn_collector.rules.check import Finding, Severity
from forewarn_collector.rules.check_formats import findings_json, github_command
from forewarn_collector.rules.fields import Span
from forewarn_collector.store import Batch, Store
from forewarn_wire import labels_from
from support.servers import RunningCollector, running_collector, wait_until
from support.writing import WRITE_HEADERS, raw_body

BROKEN = """groups:
  - name: g
    rules:
      - alert: A
        expr: >-
          sum(
          up
        for: 5m
      - alert: Noisy
        expr: up == 0
"""
NOISY = "groups:\n  - name: g\n    rules:\n      - {alert: A, expr: up == 0}\n"


def check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build(lambda: 0), ["rules", "check", *map(str, arguments)])


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    file = tmp_path / "noisy.yml"
    file.write_text(NOISY)
    return file


def test_warnings_are_marked_and_fail_only_if_strict(noisy: Path) -> None:
    done = check(noisy)
    assert done.exit_code == 0
    assert f"{noisy}:4:26: warning: alert-without-for: " in done.stderr
    assert done.stderr.endswith("1 warning\n")
    assert done.stdout == f"{noisy}: 1 rule, with warnings\n"
    assert check("--strict", noisy).exit_code == 1
    left_out = check("--strict", "--disable", "alert-without-for", noisy)
    assert (left_out.exit_code, left_out.stdout) == (0, f"{noisy}: 1 rule, fine\n")


def test_errors_fail_and_warnings_stand_among_them(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(BROKEN)
    done = check(tmp_path)
    assert done.exit_code == 1
    first, second, counts = done.stderr.splitlines()
    assert first.startswith(f"{file}:7:12: expr: unclosed left parenthesis")
    assert second.startswith(f"{file}:10:15: warning: alert-without-for")
    assert counts == "1 problem, 1 warning"
    assert done.stdout == ""


def test_json_has_the_place_the_check_and_the_remedy(noisy: Path) -> None:
    done = check("--format", "json", noisy)
    assert done.exit_code == 0
    assert json.loads(done.stdout) == [
        {
            "file": str(noisy),
            "line": 4,
            "column": 26,
            "end_line": 4,
            "end_column": 28,
            "severity": "warning",
            "check": "alert-without-for",
            "message": "an alert without for on up, which one failed try makes 0",
            "remedy": "add for: 2m or longer, or write for: 0s if a single evaluation is meant to"
            " be enough",
        }
    ]


def test_json_of_what_has_no_line_is_null_there() -> None:
    finding = Finding("a.yml", Span(0, 0), Severity.ERROR, "rule-file", "can't be read", "")
    (found,) = json.loads(findings_json([finding]))
    assert (found["line"], found["column"], found["end_line"]) == (None, None, None)
    assert (found["severity"], found["check"], found["remedy"]) == ("error", "rule-file", "")
    assert github_command(finding) == "::error file=a.yml,title=rule-file::can't be read"


# The escapes are those of https://github.com/actions/toolkit `packages/core/src/command.ts`.
def test_a_workflow_command_is_escaped_as_github_reads_it() -> None:
    finding = Finding(
        "a,b:c.yml", Span(3, 4, 3, 9), Severity.ERROR, "rule-file", "50 %\nis: half", "try, again"
    )
    assert github_command(finding) == (
        "::error file=a%2Cb%3Ac.yml,line=3,col=4,endLine=3,endColumn=8,title=rule-file"
        "::50 %25%0Ais: half (try, again)"
    )


def test_github_gets_one_command_for_each_finding(noisy: Path) -> None:
    (line,) = check("--format", "github", noisy).stdout.splitlines()
    assert line.startswith(f"::warning file={noisy},line=4,col=26,endLine=4,endColumn=27,title=")


def test_legacy_names_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(
        "groups:\n  - name: g\n    rules:\n      - record: a.b\n"
        '        expr: \'{"c.d", "e.f"=""}\'\n        labels: {g-h: x}\n'
    )
    assert check(file).exit_code == 0
    done = check("--names", "legacy", file)
    assert done.exit_code == 1
    assert [line.partition("rules.yml:")[2] for line in done.stderr.splitlines()[:-1]] == [
        "4:17: 'a.b' is not a name in Prometheus 2"
        " (use letters, digits, _ and : only, not a digit first)",
        "5:15: expr: 'c.d' is not a name in Prometheus 2"
        " (use letters, digits and _ only, not a digit first)",
        "5:15: expr: 'e.f' is not a name in Prometheus 2"
        " (use letters, digits and _ only, not a digit first)",
        "6:23: labels: 'g-h' is not a name in Prometheus 2"
        " (use letters, digits and _ only, not a digit first)",
    ]


def test_an_unknown_lint_is_refused(noisy: Path) -> None:
    done = check("--disable", "nothing", noisy)
    assert done.exit_code == 2
    assert "there is no lint nothing" in done.stderr


RULES = """groups:
  - name: g
    rules:
      - record: made
        expr: disk / on (host) group_left () node
      - alert: Typo
        expr: disc > 1
      - alert: Value
        expr: made + disk{host="c"} > 1
"""
EXPECTED = [
    ("join-not-unique", "the right side of / has 2 series with the same host, such as"
     ' {host="a"}'),
    ("selector-matches-nothing", "there is no series of disc"),
    ("selector-matches-nothing", 'no series of disk has host="c"'),
]  # fmt: skip
SERIES = ("disk a 1", "disk b 1", "node a 1", "node a 2")


def compared(*arguments: str | Path) -> list[tuple[str, str]]:
    done = check("--format", "json", *arguments)
    assert done.exit_code == 0, done.stderr
    return [(found["check"], found["message"]) for found in json.loads(done.stdout)]


def batch(at: int) -> Batch:
    labels = [
        labels_from({"__name__": name, "host": host, "port": port})
        for name, host, port in map(str.split, SERIES)
    ]
    count = len(labels)
    return Batch(labels, np.arange(count), np.full(count, at), np.ones(count))


def test_rules_are_compared_with_a_data_directory(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    store = Store(tmp_path / "data", retention=10**10, clock=lambda: 1_700_000_000_000)
    store.open()
    store.append(batch(1_700_000_000_000)).result()
    store.close()
    assert compared("--data", tmp_path / "data", file) == EXPECTED
    assert check("--data", tmp_path / "nothing", file).exit_code == 1


OWN = """groups:
  - name: own
    labels: {team: ops, severity: low}
    limit: 1
    interval: 1s
    rules:
      - {record: fine, expr: vector(1)}
      - {alert: Waits, expr: vector(1), for: 1h, labels: {severity: high}}
      - {alert: Fires, expr: vector(1)}
      - {record: fails, expr: disk > 0}
"""


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCollector]:
    folder = tmp_path_factory.mktemp("check")
    (folder / "own.yml").write_text(OWN)
    with running_collector(folder, "--rules", "own.yml") as found:
        now = time.time_ns() // 1_000_000
        body = raw_body([(labels, 1.0) for labels in batch(now).labels], now)
        assert found.post("/api/v1/write", body, **WRITE_HEADERS).status in {200, 204}
        yield found


def asked(collector: RunningCollector) -> list[str]:
    return ["--server", collector.url, "--token-file", str(collector.data / "token")]


def test_rules_are_compared_with_a_running_collector(
    collector: RunningCollector, tmp_path: Path
) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(RULES)
    assert compared(*asked(collector), file) == EXPECTED


def test_no_collector_is_an_error_not_a_finding(noisy: Path) -> None:
    done = check("--server", "http://127.0.0.1:1", noisy)
    assert done.exit_code == 6  # as of every command that asks a collector
    assert "no collector answers" in done.stderr


def status(collector: RunningCollector, *arguments: str) -> Result:
    command = ["rules", "status", *asked(collector), *arguments]
    return CliRunner().invoke(build(lambda: 0), command)


def test_status_has_the_worst_rule_first_with_its_error(collector: RunningCollector) -> None:
    def evaluated() -> bool:
        rules = json.loads(status(collector, "--json").stdout)["rules"]
        return all(rule["health"] != "unknown" for rule in rules) and rules[0]["health"] == "err"

    wait_until("all rules were evaluated", evaluated)
    done = status(collector)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["RULE", "STATE", "ALERTS", "EVALUATED", "MS", "ERROR"]
    assert [line.split()[:2] for line in lines[1:]] == [
        ["own/fails", "failed"],
        ["own/Fires", "firing"],
        ["own/Waits", "pending"],
        ["own/fine", "records"],
    ]
    assert "exceeded limit of 1 with 2 series" in lines[1]
    assert lines[0].endswith("ERROR"), "no blanks up to the longest error"
    assert "1 firing" in lines[2]
    failed = json.loads(status(collector, "--failed", "--json").stdout)["rules"]
    assert [(rule["name"], rule["health"], rule["alerts"]) for rule in failed] == [
        ("fails", "err", {})
    ]


def test_labels_of_a_group_are_those_of_its_rules_as_in_prometheus_3(
    collector: RunningCollector,
) -> None:
    (group,) = collector.get("/api/v1/rules").json()["data"]["groups"]
    assert "labels" not in group
    assert {rule["name"]: rule["labels"] for rule in group["rules"]} == {
        "fine": {"team": "ops", "severity": "low"},
        "Waits": {"team": "ops", "severity": "high"},
        "Fires": {"team": "ops", "severity": "low"},
        "fails": {"team": "ops", "severity": "low"},
    }
    wait_until("the record is there", lambda: bool(collector.query("fine")))
    (made,) = collector.query("fine")
    assert made["metric"] == {"__name__": "fine", "team": "ops", "severity": "low"}


def test_files_of_another_kind_are_told_as_such(tmp_path: Path) -> None:
    file = tmp_path / "mine.yml"
    file.write_text("rule_files: [rules.yml]\ntests: []\n")
    done = check(file)
    assert done.exit_code == 1
    assert f"{file}:1:1: unknown field rule_files (this is a test file: `forewarn" in done.stderr


def test_a_folder_without_rule_files_is_a_mistake(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"Error: there is no rule file in {tmp_path}\n"


def test_a_limit_below_zero_is_none_as_in_prometheus(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text("groups:\n  - name: g\n    limit: -1\n    rules: []\n")
    assert check(file).exit_code == 0
    file.write_text("groups:\n  - name: g\n    limit: many\n    rules: []\n")
    assert f"{file}:3:12: limit: expected a whole number" in check(file).stderr
