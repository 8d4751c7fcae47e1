"""Some of the rules come with what they read of the others, and nothing else."""

from __future__ import annotations

from pathlib import Path

from forewarn_collector.rules import load_rules
from forewarn_collector.rules.narrow import narrowed

RULES = """
groups:
  - name: first
    rules:
      - {record: a, expr: raw}
      - {record: b, expr: a * 2}
      - {record: unread, expr: raw}
      - {alert: OnB, expr: b > 1}
      - {alert: Other, expr: unread > 1}
  - name: second
    rules:
      - {alert: OnAlerts, expr: 'count(ALERTS{alertname="OnB"}) > 1'}
      - {alert: Alone, expr: raw > 1}
"""


def names(folder: Path, wanted: str) -> list[tuple[str, list[str]]]:
    file = folder / "rules.yml"
    file.write_text(RULES)
    found = narrowed(load_rules([file]), lambda rule: rule.name == wanted)
    return [(group.name, [rule.name for rule in group.rules]) for group in found.groups]


def test_a_rule_comes_with_all_that_records_for_it(tmp_path: Path) -> None:
    assert names(tmp_path, "OnB") == [("first", ["a", "b", "OnB"])]


def test_a_rule_comes_with_those_whose_alerts_it_reads(tmp_path: Path) -> None:
    assert names(tmp_path, "OnAlerts") == [("first", ["a", "b", "OnB"]), ("second", ["OnAlerts"])]


def test_a_rule_that_needs_no_other_comes_alone(tmp_path: Path) -> None:
    assert names(tmp_path, "Alone") == [("second", ["Alone"])]


def test_where_no_rule_is_wanted_none_is_left(tmp_path: Path) -> None:
    assert names(tmp_path, "Nobody") == []
