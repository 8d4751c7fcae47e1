"""Sums, differences and texts of backtests, calculated by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence

import pytest

from forewarn_collector.promql import compile_query
from forewarn_collector.rules import AlertingRule
from forewarn_collector.rules.backtest import EXACT, Replayed, RuleOutcome, Span
from forewarn_collector.tasks.backtest import BacktestResult, RuleRecord, TaskRecord
from forewarn_collector.tasks.backtest_report import (
    HostWeek,
    compare,
    difference_document,
    difference_lines,
    failure_lines,
    figures,
    result_document,
    summary_lines,
    task_lines,
)
from forewarn_wire import labels_from

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
# Monday, 2 November 2026, 00:00 UTC, the first day of ISO week 45.
MONDAY = 1_793_577_600_000
SPAN = Span(MONDAY, MONDAY + 14 * DAY - 1)


@pytest.fixture(autouse=True)
def _in_utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def task(
    *episodes: tuple[int, int | None], number: int = 1, title: str = "it is full", **labels: str
) -> TaskRecord:
    """A task with its episodes, in ms after Monday; `severity` is a label as in a rule."""
    moved = [(MONDAY + start, None if end is None else MONDAY + end) for start, end in episodes]
    return TaskRecord(
        number=number,
        rule="g/r",
        name="r",
        title=title,
        severity=labels.get("severity", ""),
        labels=labels_from(labels),
        opened_at=moved[0][0],
        resolved_at=moved[-1][1],
        flaps=len(moved) - 1,
        episodes=moved,
        unknown=[],
    )


def record(
    name: str, tasks: Sequence[TaskRecord], outcome: RuleOutcome | None = None
) -> RuleRecord:
    rule = AlertingRule(f"g/{name}", name, "g", "rules.yml", 7, "up", compile_query("up"))
    return RuleRecord(rule, tasks, outcome or RuleOutcome(evaluations=10))


def result(*records: RuleRecord) -> BacktestResult:
    outcomes = {each.rule.key: each.outcome for each in records}
    return BacktestResult(SPAN, records, Replayed(EXACT, outcomes, samples=1234))


def test_figures_count_tasks_flaps_and_times() -> None:
    found = figures(
        [
            # An hour and two flaps of ten minutes each; the second one in the next week.
            task(
                (0, HOUR), (DAY, DAY + 10 * MINUTE), (7 * DAY, 7 * DAY + 10 * MINUTE), instance="a"
            ),
            task((13 * DAY, None), instance="b"),
        ],
        SPAN,
    )
    assert (found.tasks, found.flaps, found.still_open) == (2, 2, 1)
    assert found.open_time == HOUR + 20 * MINUTE + DAY - 1
    assert found.longest == DAY - 1
    # Four in all, of two hosts in two weeks.
    assert found.rate == 1.0
    assert found.weeks == (
        HostWeek("a", "2026-W45", 1, 1),
        HostWeek("a", "2026-W46", 0, 1),
        HostWeek("b", "2026-W46", 1, 0),
    )
    assert found.noisiest == HostWeek("a", "2026-W45", 1, 1)


def test_a_rate_over_less_than_a_week_is_not_raised_to_one() -> None:
    assert figures([task((0, HOUR), instance="a")], Span(MONDAY, MONDAY + DAY - 1)).rate == 1.0


def test_tasks_without_a_host_count_as_one_host() -> None:
    found = figures([task((0, HOUR)), task((DAY, DAY + HOUR))], SPAN)
    assert found.weeks == (HostWeek("-", "2026-W45", 2, 0),)
    assert found.rate == 1.0


def test_no_tasks_give_no_figures() -> None:
    found = figures([], SPAN)
    assert (found.tasks, found.rate, found.noisiest) == (0, 0.0, None)


def test_a_summary_has_the_worst_rule_first_and_names_the_quiet_ones() -> None:
    found = result(
        record("Calm", []),
        record("Once", [task((0, HOUR), instance="a", severity="low")]),
        record("Noisy", [task((0, HOUR), (DAY, DAY + HOUR), instance="b", severity="high")]),
    )
    assert list(summary_lines(found, everything=False)) == [
        "RULE   SEVERITY  TASKS  FLAPS  STILL OPEN  OPEN FOR  LONGEST  PER HOST+WEEK  MOST",
        "Noisy  high          1      1           0        2h       2h            1.0  "
        "2 at b in 2026-W45",
        "Once   low           1      0           0        1h       1h            0.5  "
        "1 at a in 2026-W45",
        "",
        "2 tasks, 1 flap, 0 still open at the end; 0.8 per host and week",
        "1 of 3 rules opened no task: Calm",
    ]


def test_tasks_are_told_with_their_times_and_what_is_left_out_is_said() -> None:
    many = [
        task((number * HOUR, number * HOUR + MINUTE), number=number, title=f"number {number}")
        for number in range(6)
    ]
    found = result(record("Noisy", many))
    assert list(task_lines(found, everything=False)) == [
        "",
        "Noisy  rules.yml:7",
        *(
            f"  2026-11-02 0{hour}:00:00 - 2026-11-02 0{hour}:01:00  {'1m':18}  number {hour}"
            for hour in range(5)
        ),
        "  ... and 1 more",
        "",
        "--verbose shows all tasks, --rule REGEX those of some rules",
    ]
    assert "number 5" in "\n".join(task_lines(found, everything=True))


def test_rules_beyond_the_worst_ten_are_left_out_and_counted() -> None:
    found = result(*(record(f"R{number:02d}", [task((0, HOUR))]) for number in range(12)))
    lines = list(task_lines(found, everything=False))
    assert "R09  rules.yml:7" in lines
    assert "R10  rules.yml:7" not in lines
    assert lines[-1].startswith("tasks of 2 more rules are left out; --verbose")


def test_a_task_that_goes_on_and_one_without_input_say_so() -> None:
    going_on = task((0, None), instance="a")
    silent = TaskRecord(
        **{
            **{name: getattr(going_on, name) for name in TaskRecord.__slots__},
            "unknown": [(MONDAY + HOUR, MONDAY + 3 * HOUR)],
        }
    )
    (line,) = list(task_lines(result(record("R", [silent])), everything=False))[2:]
    assert line == (
        "  2026-11-02 00:00:00 - still open           13d23h59m           it is full"
        " (without input for 2h)"
    )


def test_rules_that_failed_are_named_with_their_first_error() -> None:
    outcome = RuleOutcome(evaluations=100)
    outcome.failed("many-to-many", MONDAY, 3)
    found = record("R", [], outcome)
    assert list(failure_lines([found.rule], {"g/R": outcome})) == [
        "rules.yml:7: R failed in 3 of 100 evaluations, first at 2026-11-02 00:00:00: many-to-many"
    ]


def test_the_same_task_is_found_in_both_versions_by_labels_and_time() -> None:
    old = result(
        record(
            "R",
            [
                task((0, 2 * HOUR), instance="a", severity="low"),
                task((0, HOUR), instance="b"),
                task((5 * DAY, 6 * DAY), instance="a"),
            ],
        ),
        record("Gone", [task((0, HOUR))]),
        record("Same", [task((0, HOUR))]),
    )
    new = result(
        record(
            "R",
            [
                # The severity is no part of what it is; ten minutes later, thus shorter.
                task((10 * MINUTE, 2 * HOUR), instance="a", severity="high"),
                task((8 * DAY, 9 * DAY), instance="b"),
            ],
        ),
        record("New", []),
        record("Same", [task((0, HOUR))]),
    )
    changed, added, same, gone = compare(old, new)
    assert [each.opened_at - MONDAY for each in changed.fewer] == [0, 5 * DAY]
    assert [each.opened_at - MONDAY for each in changed.more] == [8 * DAY]
    (one,) = changed.changed
    assert (one.opened, one.resolved, one.open_time, one.flaps) == (
        10 * MINUTE,
        0,
        -10 * MINUTE,
        0,
    )
    assert (added.name, added.added) == ("New", True)
    assert (gone.name, gone.removed) == ("Gone", True)
    assert (same.name, same.same) == ("Same", True)
    assert list(difference_lines([changed, added, same, gone], old, new, everything=False)) == [
        "R: opens 2 tasks fewer, 1 more, 1 otherwise (1 later, 1 shorter)",
        "  - 2026-11-02 00:00:00 - 2026-11-02 01:00:00  1h                  it is full",
        "  ~ 2026-11-02 00:10:00 - 2026-11-02 02:00:00  1h50m               it is full"
        " (opens 10m later, 10m shorter)",
        "  - 2026-11-07 00:00:00 - 2026-11-08 00:00:00  1d                  it is full",
        "  + 2026-11-10 00:00:00 - 2026-11-11 00:00:00  1d                  it is full",
        "",
        "New: added, opens 0 tasks",
        "",
        "Gone: removed, opened 1 task",
        "  - 2026-11-02 00:00:00 - 2026-11-02 01:00:00  1h                  it is full",
        "",
        "1 rule with the same tasks: Same",
        "in all 3 tasks, 5 with the old version",
    ]


def test_tasks_that_are_grouped_otherwise_are_the_same_where_labels_agree() -> None:
    old = result(record("R", [task((0, HOUR), instance="a", mountpoint="/")]))
    new = result(record("R", [task((0, HOUR), instance="a")]))
    (found,) = compare(old, new)
    assert found.same


def test_of_several_tasks_the_one_with_the_longest_time_in_common_is_the_same() -> None:
    old = result(record("R", [task((0, 10 * HOUR), instance="a")]))
    new = result(
        record(
            "R",
            [task((0, HOUR), instance="a"), task((2 * HOUR, 10 * HOUR), instance="a", number=2)],
        )
    )
    (found,) = compare(old, new)
    assert [each.new.number for each in found.both] == [2]
    assert [each.number for each in found.more] == [1]


def test_an_end_within_the_span_is_another_end_than_none() -> None:
    old = result(record("R", [task((0, HOUR), (2 * HOUR, 3 * HOUR), instance="a")]))
    new = result(record("R", [task((0, None), instance="a")]))
    (found,) = compare(old, new)
    lines = list(difference_lines([found], old, new, everything=False))
    assert lines[1].endswith("(stays open, 13d21h59m longer, -1 flap)")
    back = list(difference_lines(compare(new, old), new, old, everything=False))
    assert "was still open at the end" in back[1]


def test_everything_is_in_the_json() -> None:
    found = result(
        record("R", [task((0, HOUR), (2 * HOUR, None), instance="a", severity="high", number=4)])
    )
    document = json.loads(json.dumps(result_document(found)))
    assert document["from"] == MONDAY
    assert document["samples"] == 1234
    assert document["task_count"] == document["flap_count"] == document["still_open"] == 1
    (rule,) = document["rules"]
    assert (rule["rule"], rule["file"], rule["line"]) == ("g/R", "rules.yml", 7)
    assert rule["weeks"] == [{"instance": "a", "week": "2026-W45", "tasks": 1, "flaps": 1}]
    (one,) = rule["tasks"]
    assert one == {
        "number": 4,
        "title": "it is full",
        "severity": "high",
        "labels": {"instance": "a", "severity": "high"},
        "opened_at": MONDAY,
        "resolved_at": None,
        "open_ms": HOUR + 14 * DAY - 1 - 2 * HOUR,
        "flaps": 1,
        "episodes": [
            {"from": MONDAY, "to": MONDAY + HOUR},
            {"from": MONDAY + 2 * HOUR, "to": None},
        ],
        "unknown": [],
    }


def test_a_difference_in_json_names_both_tasks() -> None:
    old = result(record("R", [task((0, HOUR), instance="a")]), record("Same", []))
    new = result(record("R", [task((0, 2 * HOUR), instance="a")]), record("Same", []))
    (found,) = difference_document(compare(old, new), SPAN)
    assert (found["name"], found["fewer"], found["more"]) == ("R", [], [])
    (changed,) = found["changed"]
    assert (changed["opened_ms"], changed["resolved_ms"], changed["open_ms"]) == (0, HOUR, HOUR)
