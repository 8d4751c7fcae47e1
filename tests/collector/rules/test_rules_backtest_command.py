"""`forewarn rules backtest` from end to end: sources, times, mistakes, what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from forewarn_collector.cli import build
from forewarn_collector.cli.backtest_time import parse_moment
from forewarn_collector.cli.client import find_token
from forewarn_wire import Labels
from support.past import prometheus_of, victoria_of, write_directory, write_request
from support.servers import running_collector
from support.stores import series
from support.stub_server import stub_server
from support.writing import WRITE_HEADERS

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
STEP = 15_000
# 2026-09-21 16:00 UTC, ten hours before `NOW`.
START = 1_790_006_400_000
HOURS = 6
NOW = START + 10 * HOUR
SPAN = ("--from", str(START // 1000), "--to", str((START + HOURS * HOUR) // 1000))

RULES = """
groups:
  - name: disk
    rules:
      - record: disk_free:ratio
        expr: disk_avail / disk_size
      - alert: DiskFull
        expr: disk_free:ratio < 0.1
        for: 5m
        labels: {severity: high}
        annotations: {summary: "{{ $labels.instance }} is full"}
      - alert: NoSuchThing
        expr: raid_failed > 0
      - alert: HostGone
        expr: absent(disk_size)
"""


def free(instance: str, sample: int) -> float:
    """Host a is full in the second and in the fourth hour, host b from the fifth hour on."""
    hour = sample * STEP // HOUR
    full = hour in (1, 3) if instance == "a" else hour >= 4
    return 5.0 if full else 50.0


def past() -> dict[Labels, list[tuple[int, float]]]:
    found = {}
    for instance in ("a", "b"):
        times = range(HOURS * HOUR // STEP)
        found[series("disk_avail", instance=instance)] = [
            (START + sample * STEP, free(instance, sample)) for sample in times
        ]
        found[series("disk_size", instance=instance)] = [
            (START + sample * STEP, 100.0) for sample in times
        ]
    return found


# By hand: an alert is pending with the first sample of the hour and fires five minutes later;
# it ends with the first sample of the next hour. A task reopens within a day.
WANTED = [
    {
        "labels": {"alertname": "DiskFull", "instance": "a", "severity": "high"},
        "title": "a is full",
        "episodes": [
            {"from": START + HOUR + 5 * MINUTE, "to": START + 2 * HOUR},
            {"from": START + 3 * HOUR + 5 * MINUTE, "to": START + 4 * HOUR},
        ],
    },
    {
        "labels": {"alertname": "DiskFull", "instance": "b", "severity": "high"},
        "title": "b is full",
        "episodes": [{"from": START + 4 * HOUR + 5 * MINUTE, "to": None}],
    },
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rules.yml").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FOREWARN_SERVER", raising=False)
    monkeypatch.delenv("FOREWARN_TOKEN", raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("backtest") / "data"
    write_directory(found, past(), NOW)
    return found


def run(*arguments: str | Path) -> Result:
    command = ["rules", "backtest", *map(str, arguments)]
    return CliRunner().invoke(build(lambda: NOW), command)


def tasks_of(result: Result) -> list[dict[str, Any]]:
    document = json.loads(result.stdout)
    found = next(rule for rule in document["rules"] if rule["name"] == "DiskFull")
    return [{name: task[name] for name in WANTED[0]} for task in found["tasks"]]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("servers")
    with (
        prometheus_of(folder / "prometheus", past()) as prometheus,
        victoria_of(folder / "victoria", past()) as victoria,
    ):
        yield {"prometheus": prometheus, "victoria": victoria}


@pytest.mark.parametrize("source", ["data", "prometheus", "victoria"])
def test_every_source_gives_the_tasks_that_were_calculated(
    folder: Path, source: str, request: pytest.FixtureRequest
) -> None:
    if source == "data":
        where: Sequence[str | Path] = ("--data", request.getfixturevalue("data"))
    else:
        where = ("--url", request.getfixturevalue("servers")[source])
    result = run("rules.yml", *SPAN, *where, "--json")
    assert result.exit_code == 0, result.output
    assert tasks_of(result) == WANTED
    document = json.loads(result.stdout)
    assert document["source"].startswith(str(where[1]))
    assert document["unmatched"] == [{"selector": "raid_failed", "rules": ["NoSuchThing"]}]


def test_a_collector_that_runs_is_read_by_its_directory_and_by_its_address(folder: Path) -> None:
    rules = folder / "none.yml"
    rules.write_text("groups: []")
    with running_collector(
        folder / "collector", "--retention", "9999d", "--rules", str(rules)
    ) as collector:
        answer = collector.post("/api/v1/write", write_request(past()), **WRITE_HEADERS)
        assert answer.status == 204, answer.body
        for where in (
            ("--data", str(collector.data)),
            ("--url", collector.url, "--token-file", str(collector.data / "token")),
            # Queries need no token on loopback.
            ("--url", collector.url),
        ):
            result = run("rules.yml", *SPAN, *where, "--json")
            assert result.exit_code == 0, result.output
            assert tasks_of(result) == WANTED


def test_the_default_is_the_data_directory_of_the_collector(folder: Path) -> None:
    write_directory(folder / "forewarn-data", past(), NOW)
    result = run("rules.yml", "--since", "1d")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("forewarn-data: ")
    assert "there is nothing older, back to" in result.stdout
    (folder / "collector.yml").write_text("data: elsewhere\n")
    write_directory(folder / "elsewhere", past(), NOW)
    result = run("rules.yml", "--since", "1d", "--config", "collector.yml")
    assert result.stdout.startswith("elsewhere: ")


def test_without_a_directory_the_collector_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREWARN_SERVER", "http://127.0.0.1:1")
    result = run("rules.yml")
    assert result.exit_code == 1
    assert "nothing answers at http://127.0.0.1:1" in result.stderr
    assert "there is no data directory forewarn-data either; name one by --data" in result.stderr


def test_another_server_does_not_get_the_collectors_token(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREWARN_TOKEN", "secret")
    seen: list[str | None] = []
    with stub_server({}, authorizations=seen) as url:
        run("rules.yml", "--url", url)
        (folder / "password").write_text("word\n")
        run("rules.yml", "--url", url, "--user", "me", "--password-file", "password")
        (folder / "token").write_text("given\n")
        run("rules.yml", "--url", url, "--token-file", "token")
    # printf me:word | base64
    assert seen == [None, "Basic bWU6d29yZA==", "Bearer given"]


def test_the_report_says_what_opened_when(folder: Path, data: Path) -> None:
    result = run("rules.yml", *SPAN, "--data", data)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "DiskFull  high          2      1           1     3h44m    1h54m            1.5" in (
        result.stdout
    )
    assert "2 of 3 rules opened no task: HostGone, NoSuchThing" in lines
    assert "  raid_failed: NoSuchThing" in lines
    assert "replaying: 4 rules, 5,760 samples in" in result.stderr


def test_before_the_first_signal_nothing_is_judged(folder: Path, data: Path) -> None:
    # Else HostGone would have fired for the hours without any.
    result = run("rules.yml", "--from", "20h", "--to", SPAN[3], "--data", data, "--json")
    document = json.loads(result.stdout)
    assert document["from"] == START
    assert next(rule for rule in document["rules"] if rule["name"] == "HostGone")["tasks"] == []


def test_rules_can_be_chosen_with_what_they_need(folder: Path, data: Path) -> None:
    result = run("rules.yml", *SPAN, "--data", data, "--rule", "^Disk", "--json")
    assert [rule["name"] for rule in json.loads(result.stdout)["rules"]] == ["DiskFull"]
    assert tasks_of(result) == WANTED
    assert "replaying: 2 rules" in result.stderr
    result = run("rules.yml", "--data", data, "--rule", "Nothing")
    assert result.exit_code == 2
    assert "no alert has such a name" in result.stderr
    assert run("rules.yml", "--data", data, "--rule", "(").exit_code == 2


def test_two_versions_are_compared(folder: Path, data: Path) -> None:
    (folder / "new.yml").write_text(RULES.replace("for: 5m", "for: 10m").replace("Gone", "Lost"))
    result = run("new.yml", *SPAN, "--data", data, "--diff", "rules.yml")
    assert result.exit_code == 0, result.output
    assert "DiskFull: opens 2 tasks otherwise (2 later, 2 shorter)" in result.stdout
    assert "(opens 5m later, 10m shorter)" in result.stdout
    assert "HostLost: added, opens 0 tasks" in result.stdout
    assert "HostGone: removed, opened 0 tasks" in result.stdout
    result = run("new.yml", *SPAN, "--data", data, "--diff", "rules.yml", "--json")
    document = json.loads(result.stdout)
    assert document["old"]["task_count"] == 2
    assert {each["name"] for each in document["diff"]} == {"DiskFull", "HostLost", "HostGone"}


def test_a_mistake_in_a_file_is_told_as_by_rules_check(folder: Path, data: Path) -> None:
    (folder / "bad.yml").write_text(RULES.replace("disk_avail / disk_size", "disk_avail /"))
    result = run("bad.yml", "--data", data)
    assert result.exit_code == 1
    checked = CliRunner().invoke(build(lambda: NOW), ["rules", "check", "bad.yml"])
    problem = next(line for line in checked.output.splitlines() if line.startswith("bad.yml:"))
    assert problem in result.stderr


def test_a_rule_that_fails_is_named_and_the_others_are_told(folder: Path, data: Path) -> None:
    (folder / "rules.yml").write_text(
        RULES + "      - {alert: Twice, expr: disk_size * on() group_left() disk_avail}\n"
    )
    result = run("rules.yml", *SPAN, "--data", data)
    assert result.exit_code == 1
    assert "DiskFull" in result.stdout
    assert "rules.yml:16: Twice failed in" in result.stderr


def test_where_there_are_no_signals_it_says_where_there_are(folder: Path, data: Path) -> None:
    result = run("rules.yml", "--since", "1h", "--data", data)
    assert result.exit_code == 1
    assert "has no signals from" in result.stderr
    assert "it has some from" in result.stderr
    result = run("rules.yml", "--from", "300d", "--to", "200d", "--data", data)
    assert "it has some from" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "1d", "--from", "2d"),
        ("--from", "1d", "--to", "2d"),
        ("--from", "yesterday"),
        ("--since", "soon"),
        ("--data", ".", "--url", "http://x"),
        ("--url", "http://x", "--user", "me"),
        ("--user", "me", "--password-file", "secret"),
        ("--url", "http://x", "--password-file", "secret"),
        ("--resolution", "0s"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(
    folder: Path, arguments: Sequence[str]
) -> None:
    result = run("rules.yml", *arguments)
    assert result.exit_code == 2, result.output
    assert "Error:" in result.stderr


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", NOW),
        ("1h30m", NOW - 90 * MINUTE),
        ("1790006400", START),
        ("1790006400.5", START + 500),
        ("2026-09-21T16:00:00Z", START),
        ("2026-09-21T18:00:00+02:00", START),
    ],
)
def test_times_are_read_as_people_write_them(text: str, wanted: int) -> None:
    assert parse_moment(text, NOW) == wanted


@pytest.mark.parametrize("text", ["soon", "253370764800", "9" * 400])
def test_what_is_no_time_or_beyond_all_that_can_be_shown_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        parse_moment(text, NOW)


@pytest.mark.parametrize("secret", [b"tok\nen", "gehéim".encode(), b"\xff\xfe"])
def test_a_token_that_fits_into_no_header_is_refused_and_not_shown(
    tmp_path: Path, secret: bytes
) -> None:
    (tmp_path / "token").write_bytes(secret)
    with pytest.raises(ClickException, match="the token file") as error:
        find_token(tmp_path / "token")
    assert secret.decode("utf-8", "replace") not in str(error.value)


def test_ctrl_c_stops_without_a_traceback(
    folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("forewarn_collector.cli.rules_backtest.backtest", interrupted)
    result = run("rules.yml", *SPAN, "--data", data)
    assert (result.exit_code, result.stderr) == (130, "stopped\n")


def test_a_coarser_resolution_is_said_and_used_for_both_versions(folder: Path, data: Path) -> None:
    (folder / "old.yml").write_text(RULES)
    coarse = ("--data", data, "--resolution", "10m")
    result = run("rules.yml", *SPAN, *coarse, "--diff", "old.yml")
    assert "evaluated every 10m, not at every sample" in result.stdout
    assert "3 rules with the same tasks" in result.stdout
    document = json.loads(run("rules.yml", *SPAN, *coarse, "--json").stdout)
    assert document["resolution_ms"] == 10 * MINUTE
    assert run("rules.yml", "--data", data, "--resolution", "soon").exit_code == 2


def test_a_mistake_in_the_configuration_is_told_not_passed_over(folder: Path) -> None:
    (folder / "collector.yml").write_text("data: elsewhere\nexternal_label: {site: berlin}\n")
    result = run("rules.yml", "--config", "collector.yml")
    assert result.exit_code == 1
    assert "collector.yml:2:1: unknown field external_label" in result.stderr


def test_files_without_rules_are_a_mistake(folder: Path, data: Path) -> None:
    (folder / "empty").mkdir()
    result = run("empty", "--data", data)
    assert (result.exit_code, result.stderr) == (1, "Error: there are no rules in empty\n")
