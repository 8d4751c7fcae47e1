"""Which groups an arrival wakes, and that no group wakes itself for ever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from forewarn_collector.rules.model import RecordingRule, RuleGroup
from forewarn_collector.rules.triggers import triggers


@dataclass(frozen=True)
class Query:
    metrics: frozenset[str] | None


def group(name: str, *rules: tuple[str, str]) -> RuleGroup:
    """A group of recording rules, each given as what it records and what it reads."""
    made = tuple(
        RecordingRule(f"{name}/{record}", record, name, "f", 1, "", cast(Any, Query(metrics)))
        for record, read in rules
        for metrics in [None if read == "?" else frozenset(read.split())]
    )
    return RuleGroup(name, "f", 15_000, 0, 0, made)


def woken(groups: list[RuleGroup], *metrics: str) -> list[str]:
    found = triggers(groups)
    return [one.name for one in groups if found[one.key].concerns(frozenset(metrics))]


def test_a_group_is_woken_by_the_metrics_that_it_reads() -> None:
    groups = [group("one", ("a", "x y")), group("two", ("b", "y z"))]
    assert woken(groups, "x") == ["one"]
    assert woken(groups, "y") == ["one", "two"]
    assert woken(groups, "other") == []
    assert woken(groups) == []


def test_what_one_group_records_wakes_the_group_that_reads_it() -> None:
    groups = [group("one", ("a", "x")), group("two", ("b", "a"))]
    assert woken(groups, "a") == ["two"]


def test_a_group_that_reads_what_it_records_is_not_woken_by_it() -> None:
    assert woken([group("one", ("a", "x"), ("b", "a x"))], "a") == []


def test_groups_that_feed_each_other_are_not_woken_by_each_other() -> None:
    groups = [group("one", ("a", "x b")), group("two", ("b", "a")), group("three", ("c", "b"))]
    assert woken(groups, "a") == []
    assert woken(groups, "b") == ["three"]
    assert woken(groups, "x") == ["one"]


def test_a_group_that_may_read_anything_is_woken_by_anything_but_its_own() -> None:
    groups = [group("one", ("a", "?"))]
    assert woken(groups, "x") == ["one"]
    assert woken(groups, "a") == []
    assert woken(groups, "a", "x") == ["one"]
