"""`forewarn rules test` as its user sees it: words, places, exit status, JUnit, tasks, coverage."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forewarn_collector.cli import build

RULES = """\
groups:
  - name: hosts
    rules:
      - alert: HostDown
        expr: up == 0
        for: 2m
        labels: {severity: high}
        annotations: {summary: "{{ $labels.instance }} is down at {{ $externalURL }}"}
      - alert: Never
        expr: up > 1
      - record: up:sum
        expr: sum(up)
"""
INPUT = """\
rule_files: [rules.yml]
tests:
  - name: a host that goes down
    external_url: http://here
    input_series:
      - {series: 'up{instance="a"}', values: '1 0x4 stale'}
"""
FIRES = """\
    alert_rule_test:
      - eval_time: 3m
        alertname: HostDown
        exp_alerts:
          - exp_labels: {severity: high, instance: a}
            exp_annotations: {summary: a is down at http://here}
      - {eval_time: 2m59s, alertname: HostDown, exp_alerts: []}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yml").write_text(RULES)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(build(lambda: 0), ["rules", "test", *arguments])


def test_what_is_as_expected_succeeds(folder: Path) -> None:
    (folder / "test.yml").write_text(INPUT + FIRES)
    done = run("test.yml")
    assert done.exit_code == 0
    assert done.output == (
        "Unit Testing:  test.yml\n  SUCCESS\n\n"
        "Coverage: 2 of 3 rules fire or record in a test; --coverage names the others\n"
    )


def test_coverage_names_the_rules_that_no_test_makes_fire(folder: Path) -> None:
    (folder / "test.yml").write_text(INPUT + FIRES)
    assert "\n  rules.yml:9: hosts/Never never fires\n" in run("test.yml", "--coverage").output


def test_what_is_not_as_expected_is_told_in_promtools_words_with_its_place(folder: Path) -> None:
    (folder / "test.yml").write_text(INPUT + FIRES.replace("severity: high", "severity: low"))
    done = run("test.yml")
    assert done.exit_code == 1
    assert (
        done.stderr
        == """\
  FAILED:
    name: a host that goes down,
    alertname: HostDown, time: 3m,
        exp:[
            0:
              Labels:{alertname="HostDown", instance="a", severity="low"}
              Annotations:{summary="a is down at http://here"}
            ],
        got:[
            0:
              Labels:{alertname="HostDown", instance="a", severity="high"}
              Annotations:{summary="a is down at http://here"}
            ]
        at test.yml:8:9

"""
    )


def test_diff_shows_only_what_differs_with_a_sign(folder: Path) -> None:
    (folder / "test.yml").write_text(INPUT + FIRES.replace("severity: high", "severity: low"))
    text = run("test.yml", "--diff").stderr
    assert '            -  Labels:{alertname="HostDown", instance="a", severity="low"}\n' in text
    assert '            +  Labels:{alertname="HostDown", instance="a", severity="high"}\n' in text
    assert '               Annotations:{summary="a is down at http://here"}\n' in text


def test_an_alert_ends_with_its_input_but_its_task_stays_open(folder: Path) -> None:
    (folder / "test.yml").write_text(
        INPUT
        + """\
    alert_rule_test:
      - {eval_time: 7m, alertname: HostDown, exp_alerts: []}
    task_test:
      - {eval_time: 2m, exp_tasks: []}
      - eval_time: 3m
        exp_tasks: [{title: a is down at http://here, severity: high, labels: {instance: a}}]
      - {eval_time: 7m, alertname: HostDown, exp_tasks: [{severity: high}]}
      - {eval_time: 7m, alertname: Never, exp_tasks: []}
"""
    )
    done = run("test.yml")
    assert done.exit_code == 0, done.output


def test_a_task_that_is_not_as_expected_fails(folder: Path) -> None:
    (folder / "test.yml").write_text(
        INPUT + "    task_test: [{eval_time: 3m, exp_tasks: [{title: b is down}]}]\n"
    )
    done = run("test.yml")
    assert done.exit_code == 1
    assert "    tasks at 3m,\n        exp:[\n            Title: b is down\n" in done.stderr
    assert (
        "            Title: a is down at http://here\n            Severity: high\n" in done.stderr
    )


def test_run_chooses_tests_by_name(folder: Path) -> None:
    (folder / "test.yml").write_text(INPUT + FIRES.replace("severity: high", "severity: low"))
    assert run("test.yml", "--run", "goes (up|down)").exit_code == 1
    assert run("test.yml", "--run", "comes back", "--run", "stays").exit_code == 0
    assert run("test.yml", "--run", "(").exit_code == 2


def test_debug_shows_every_sample_those_of_rules_too(folder: Path) -> None:
    (folder / "test.yml").write_text(INPUT + FIRES)
    text = run("test.yml", "--debug").stderr
    assert '{__name__="up", instance="a"} =>\n  1 @ 0s\n  0 @ 1m\n' in text
    assert '{__name__="up:sum"} =>\n  1 @ 0s\n  0 @ 1m\n' in text


def test_junit_has_a_case_for_each_test_and_for_a_file_that_cannot_be_run(folder: Path) -> None:
    (folder / "bad.yml").write_text(INPUT + FIRES.replace("severity: high", "severity: low"))
    (folder / "none.yml").write_text("test: []\n")
    assert run("bad.yml", "none.yml", "--junit", "out.xml").exit_code == 1
    bad, none = ET.parse(folder / "out.xml").getroot()
    assert (bad.get("tests"), bad.get("failures"), bad.get("errors")) == ("1", "1", "0")
    (failure,) = bad.iter("failure")
    assert failure.get("message") == "alertname: HostDown, time: 3m,"
    assert (none.get("tests"), none.get("failures"), none.get("errors")) == ("1", "0", "1")
    (error,) = none.iter("error")
    assert error.get("message") == "none.yml:1:1: unknown field test (did you mean tests?)"


def test_every_problem_of_a_file_is_told_at_once_with_place_and_remedy(folder: Path) -> None:
    (folder / "test.yml").write_text("""\
rule_files: [rules.yml]
group_eval_order: [hosts, hosts]
tests:
  - name: mistakes
    input_series:
      - {series: 'up{job="a"', values: '1 2'}
      - {series: up, values: '1 1y2'}
    alert_rule_test:
      - {eval_time: 1m}
    promql_expr_test:
      - {expr: sum(up, eval_time: 1m}
      - {expr: up, eval_time: 1m, exp_sample: []}
    task_test:
      - {eval_time: 1m}
""")
    done = run("test.yml")
    assert done.exit_code == 1
    for problem in (
        "test.yml:2:19: group name repeated in evaluation order: hosts (name every group once)",
        "test.yml:6:19: series: not a series: up{",
        "test.yml:7:33: values: not a value: 1y2 (write 1, 1x5",
        "test.yml:9:9: an item under alert_rule_test misses required attribute alertname"
        " at eval_time 1m (in TestGroup mistakes)",
        "test.yml:11:",
        "test.yml:12:35: unknown field exp_sample (did you mean exp_samples?)",
        "test.yml:14:9: exp_tasks is missing (write exp_tasks: [] where no task may be open)",
    ):
        assert problem in done.stderr


def test_a_pattern_that_no_file_matches_is_a_warning(folder: Path) -> None:
    (folder / "test.yml").write_text("rule_files: [other*.yml]\ntests: []\n")
    done = run("test.yml")
    assert done.exit_code == 0
    assert "WARNING: no file match pattern other*.yml" in done.stderr


def test_a_file_that_is_not_there_fails(folder: Path) -> None:
    done = run("nothing.yml")
    assert done.exit_code == 1
    assert "nothing.yml: can't be read: No such file or directory" in done.stderr


def test_what_passes_only_with_the_lookback_of_prometheus_2_passes_with_a_warning(
    folder: Path,
) -> None:
    (folder / "test.yml").write_text("""\
tests:
  - input_series: [{series: up, values: 1}]
    promql_expr_test: [{expr: up, eval_time: 5m, exp_samples: [{labels: up, value: 1}]}]
""")
    done = run("test.yml")
    assert done.exit_code == 0
    assert "WARNING: unnamed#0: passes only as in Prometheus 2" in done.stderr


def test_a_rule_file_in_place_of_its_test_is_told_as_such(folder: Path) -> None:
    done = run("rules.yml")
    assert done.exit_code == 1
    assert "rules.yml:1:1: unknown field groups (this is a rule file: a test file" in done.stderr


def test_a_pattern_that_finds_no_test_is_remarked_and_is_no_failure(folder: Path) -> None:
    (folder / "test.yml").write_text(INPUT + FIRES)
    done = run("--run", "nothing", "test.yml")
    assert done.exit_code == 0
    assert done.stderr == "WARNING: --run nothing finds no test by its name\n"
    assert run("--run", "goes down", "test.yml").stderr == ""


def test_a_misspelt_alert_passes_as_in_promtool_but_is_remarked(folder: Path) -> None:
    misspelt = "    alert_rule_test: [{eval_time: 3m, alertname: HostDwon, exp_alerts: []}]\n"
    (folder / "test.yml").write_text(INPUT + misspelt)
    done = run("test.yml")
    assert done.exit_code == 0
    assert done.stderr == (
        "  WARNING: test.yml:7:23: no rule file has an alert HostDwon (did you mean HostDown?)\n"
    )
