"""Rule files: what is taken, and what is refused with which place and hint."""

from __future__ import annotations

from pathlib import Path

import pytest

from forewarn_collector.config_damping import Damping
from forewarn_collector.rules.check import check_files
from forewarn_collector.rules.files import RuleFiles
from forewarn_collector.rules.load import RuleFileError, load_rules
from forewarn_collector.rules.model import (
    AlertingRule,
    EvidenceSpec,
    OnMissing,
    RecordingRule,
    RuleSet,
    TaskKind,
)

DESIGN = """
groups:
  - name: storage
    interval: 30s
    limit: 100
    query_offset: 5s
    labels: {team: ops, severity: low}
    rules:
      - record: instance:up:sum
        expr: sum by (instance) (up)
        labels: {source: forewarn}
      - alert: DiskFullWithinThreeDays
        expr: |
          predict_linear(node_filesystem_avail_bytes{fstype!~"tmpfs|overlay"}[6h], 3*86400) < 0
          and node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.4
        for: 30m
        keep_firing_for: 10m
        labels: {severity: high}
        annotations:
          summary: "{{ $labels.mountpoint }} on {{ $labels.instance }} fills within three days"
          runbook_url: https://example.org/runbooks/disk
        task:
          kind: preventive
          title: "Disk of {{ $labels.instance }}"
          queue: support
          group_by: [instance, mountpoint]
          due: 2d
          reopen_within: 7d
          on_missing: fire
          damping: {half_life: 5m, suppress: 3, reuse: 0.5}
          evidence:
            - events: '{instance="$instance"}'
              last: 15m
            - expr: node_filesystem_avail_bytes{instance="$instance"}
              last: 6h
          checklist:
            - Find what grew, and clean or move it
            - Agree a larger volume with the customer
"""


def load(folder: Path, text: str) -> RuleSet:
    file = folder / "rules.yml"
    file.write_text(text, encoding="utf-8")
    return load_rules([file])


def problems(folder: Path, text: str) -> list[str]:
    """What is wrong with a file, its own name left out."""
    with pytest.raises(RuleFileError) as caught:
        load(folder, text)
    return [str(problem).removeprefix(f"{folder}/rules.yml:") for problem in caught.value.problems]


def rule(text: str) -> str:
    """A file with one rule, whose fields begin at line 4, column 7."""
    lines = "\n      ".join(text.strip("\n").splitlines())
    return f"groups:\n  - name: g\n    rules:\n    - {lines}\n"


def test_every_field_of_the_design_is_read(tmp_path: Path) -> None:
    (group,) = load(tmp_path, DESIGN).groups
    assert (group.name, group.interval, group.limit, group.query_offset) == (
        "storage",
        30_000,
        100,
        5_000,
    )
    recorded, alert = group.rules
    assert isinstance(recorded, RecordingRule)
    assert recorded.name == "instance:up:sum"
    assert recorded.labels == {"source": "forewarn", "team": "ops", "severity": "low"}
    assert isinstance(alert, AlertingRule)
    assert (alert.key, alert.line) == ("storage/DiskFullWithinThreeDays", 12)
    assert (alert.for_, alert.keep_firing_for) == (1_800_000, 600_000)
    labels = {name: template.source for name, template in alert.labels.items()}
    assert labels == {"team": "ops", "severity": "high"}
    assert alert.annotations["runbook_url"].source == "https://example.org/runbooks/disk"
    task = alert.task
    assert task.title is not None
    assert (task.kind, task.queue, task.due) == (TaskKind.PREVENTIVE, "support", 172_800_000)
    assert task.group_by == ("instance", "mountpoint")
    assert (task.reopen_within, task.on_missing) == (604_800_000, OnMissing.FIRE)
    assert task.damping == Damping(300_000, 3_000, 500, 3_600_000)
    assert task.evidence == (
        EvidenceSpec("", '{instance="$instance"}', 900_000),
        EvidenceSpec('node_filesystem_avail_bytes{instance="$instance"}', "", 21_600_000),
    )
    assert len(task.checklist) == 2


def test_without_a_task_block_there_are_defaults(tmp_path: Path) -> None:
    ruleset = load(tmp_path, rule("alert: A\nexpr: up == 0"))
    alert = ruleset.alerting()["g/A"]
    assert (alert.task.kind, alert.task.on_missing) == (TaskKind.CORRECTIVE, OnMissing.HOLD)
    assert (alert.task.due, alert.task.reopen_within) == (None, 86_400_000)
    assert alert.task.damping is None
    assert ruleset.groups[0].interval == 15_000


def test_text_may_be_any_scalar_as_in_prometheus(tmp_path: Path) -> None:
    text = "alert: 404\nexpr: 1\nlabels: {level: 1, on: true, when: 2024-01-01}"
    alert = load(tmp_path, rule(text)).alerting()["g/404"]
    sources = {name: template.source for name, template in alert.labels.items()}
    assert sources == {"level": "1", "on": "true", "when": "2024-01-01"}


def test_keys_are_told_apart_by_labels_and_then_by_counting(tmp_path: Path) -> None:
    text = """
groups:
  - name: g
    rules:
      - {alert: A, expr: up == 0, labels: {severity: high}}
      - {alert: A, expr: up == 0, labels: {severity: low}}
      - {alert: A, expr: up == 1, labels: {severity: low}}
      - {alert: B, expr: up == 0}
"""
    assert list(load(tmp_path, text).alerting()) == [
        "g/A{severity='high'}",
        "g/A{severity='low'}",
        "g/A{severity='low'}#2",
        "g/B",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "alert: A\nexpr: 1\nannotation: {a: b}",
            "6:7: unknown field annotation (did you mean annotations?)",
        ),
        ("alert: A", "4:7: expr is missing (write the PromQL expression here)"),
        ("alert: A\nexpr: up[5m]", "5:13: expr gives a matrix; a rule needs an instant vector"),
        ("expr: up", "4:7: neither alert nor record is given"),
        ("alert: A\nrecord: b\nexpr: up", "5:15: record and alert are both given"),
        ("record: a\nexpr: up\nfor: 5m", "6:12: for belongs to an alert, not to record"),
        ("record: a\nexpr: up\nkeep_firing_for: 5m", "6:24: keep_firing_for belongs to an alert"),
        ("record: a\nexpr: up\ntask: {kind: plan}", "6:13: task belongs to an alert"),
        ('record: a{b="c"}\nexpr: up', '4:15: not a metric\'s name: a{b="c"}'),
        ("alert: A\nexpr: up\nfor: soon", "6:12: for: not a duration: 'soon'"),
        ("alert: A\nexpr: up\nlabels: {__name__: x}", "6:26: not a label's name: '__name__'"),
        ("alert: A\nexpr: up\nlabels: {a: [b]}", "6:19: a: expected text, found a list"),
        ("alert: A\nexpr: up\nalert: B", "6:7: alert is given twice"),
        (
            "alert: A\nexpr: up\nannotations:\n  a: 'so {{ $value | shout }}'",
            "7:28: a: function 'shout' not defined",
        ),
        (
            "alert: A\nexpr: up\nannotations:\n  a: |\n    first\n    {{ $lables.x }}",
            "9:14: a: undefined variable '$lables'",
        ),
        ("alert: A\nexpr: up\nlabels: {a: '{{ if }}'}", "6:23: a: missing value"),
        ("alert: A\nexpr: up\ntask: {kind: urgent}", "6:20: kind: expected one of corrective"),
        ("alert: A\nexpr: up\ntask: {on_mising: hold}", "6:14: unknown field on_mising (did you"),
        (
            "alert: A\nexpr: up\ntask: {group_by: [a-b]}",
            "6:24: group_by: not a label's name: 'a-b'",
        ),
        ("alert: A\nexpr: up\ntask: {evidence: [{last: 5m}]}", "6:25: each evidence needs either"),
        ("alert: A\nexpr: up\ntask: {title: '{{ end }}'}", "6:25: title: unexpected {{end}}"),
        ("alert: A\nexpr: up\ntask: hold", "6:13: task must be a mapping"),
    ],
)
def test_what_is_refused_says_where_and_why(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = problems(tmp_path, rule(text))
    assert found.startswith(expected)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("alert: A\nexpr: rate(hi)", (5, 18)),
        ("alert: A\nexpr: |\n  up ==\n    sum(a) b", (7, 16)),
        ('alert: A\nexpr: "up{a=\\"b\\"} =="', (5, 28)),
    ],
)
def test_a_bad_expression_is_shown_within_the_files_own_lines(
    tmp_path: Path, text: str, place: tuple[int, int]
) -> None:
    with pytest.raises(RuleFileError) as caught:
        load(tmp_path, rule(text))
    (problem,) = caught.value.problems
    line, column = place
    assert problem.line == line
    assert abs(problem.column - column) <= 5
    assert "expr: " in problem.message


def test_all_problems_of_all_files_come_at_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text(rule("alert: A\nexpr: 'up =='\nfor: soon"))
    (tmp_path / "b.yml").write_text("groups: [")
    (tmp_path / "c.yml").write_text("groups:\n  - name: g\n  - name: g\n    rule: []\n")
    (tmp_path / "d.yml").write_bytes(b"groups: \xff")
    with pytest.raises(RuleFileError) as caught:
        load_rules([*sorted(tmp_path.iterdir()), tmp_path / "absent.yml"])
    found = [(Path(each.file).name, each.line) for each in caught.value.problems]
    assert found == [
        ("absent.yml", 0),
        ("a.yml", 5),
        ("a.yml", 6),
        ("b.yml", 2),
        ("c.yml", 3),
        ("c.yml", 4),
        ("d.yml", 1),
    ]


def test_an_empty_file_holds_no_rules(tmp_path: Path) -> None:
    assert load(tmp_path, "").groups == ()
    assert load(tmp_path, "groups:\n").groups == ()
    assert load(tmp_path, "groups:\n  - name: g\n").groups[0].rules == ()


def test_a_folder_is_all_its_files_but_for_tests(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(rule("alert: B\nexpr: up"))
    (tmp_path / "a.yaml").write_text(rule("alert: A\nexpr: up"))
    (tmp_path / "a_test.yml").write_text("rule_files: [a.yaml]")
    (tmp_path / "notes.txt").write_text("no rules")
    assert list(load_rules([tmp_path]).alerting()) == ["g/A", "g/B"]
    patterns = RuleFiles([f"{tmp_path}/*.y*ml"], interval=60_000)
    assert [group.interval for group in patterns.load().groups] == [60_000, 60_000]
    assert not patterns.changed()
    (tmp_path / "b.yml").unlink()
    assert patterns.changed()


def test_folders_within_folders_are_read_too_but_for_hidden_ones(tmp_path: Path) -> None:
    for place in ("a.yml", "mysql/b.yml", "mysql/deep/c.yml", "..2026_11_23/a.yml", "mysql/.d.yml"):
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(rule(f"alert: {file.stem.upper()}\nexpr: up"))
    assert list(load_rules([tmp_path]).alerting()) == ["g/A", "g/B", "g/C"]
    patterns = RuleFiles([f"{tmp_path}/**/*.yml"], interval=60_000)
    assert list(patterns.load().alerting()) == ["g/A", "g/B", "g/C"]
    folder = RuleFiles([str(tmp_path)], interval=60_000)
    folder.load()
    assert not folder.changed()
    (tmp_path / "mysql" / "deep" / "e.yml").write_text(rule("alert: E\nexpr: up"))
    assert folder.changed()


def test_files_may_have_groups_and_alerts_of_the_same_name(tmp_path: Path) -> None:
    for name, severity in (("a.yml", "high"), ("b.yml", "low"), ("c.yml", "low")):
        text = f"alert: A\nexpr: up\nlabels: {{severity: {severity}}}"
        (tmp_path / name).write_text(rule(text))
    ruleset = load_rules([tmp_path])
    assert list(ruleset.alerting()) == [
        "g/A{severity='high'}",
        "g/A{severity='low'}",
        "g/A{severity='low'}#2",
    ]
    assert [group.key for group in ruleset.groups] == [
        f"{tmp_path}/{name};g" for name in ("a.yml", "b.yml", "c.yml")
    ]


def test_a_report_counts_rules_and_keeps_the_problems(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text(DESIGN)
    bad.write_text(rule("alert: A\nexpr: up\nfro: 5m"))
    report = check_files([good, bad])
    assert report.rules == {str(good): 2, str(bad): 0}
    assert [str(problem) for problem in report.errors] == [
        f"{bad}:6:7: unknown field fro (did you mean for?)"
    ]
