"""A backtest for a terminal: a table of the rules, worst first, and below it their tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from forewarn_collector.rules.backtest import RuleOutcome, Span
from forewarn_collector.rules.model import Rule
from forewarn_collector.tasks.backtest import BacktestResult, RuleRecord, TaskRecord
from forewarn_collector.tasks.backtest_report.figures import (
    Figures,
    figures,
    in_order,
    open_time,
    worst_first,
)
from forewarn_wire.durations import format_duration

RULES_SHOWN = 10
"""Of how many rules the tasks are shown, where not all are asked for."""
TASKS_SHOWN = 5
"""And how many tasks of each."""
NAMES_SHOWN = 12
_HEAD = (
    "RULE",
    "SEVERITY",
    "TASKS",
    "FLAPS",
    "STILL OPEN",
    "OPEN FOR",
    "LONGEST",
    "PER HOST+WEEK",
    "MOST",
)
_RIGHT = frozenset({2, 3, 4, 5, 6, 7})


def summary_lines(result: BacktestResult, *, everything: bool) -> Iterator[str]:
    """The table, worst rule first; rules without a task are named below it."""
    ranked = worst_first(result.rules, result.span)
    busy = [(rule, found) for rule, found in ranked if found.tasks]
    if busy:
        yield from _table([_HEAD, *(_row(rule, found) for rule, found in busy)])
        whole = figures(result.tasks, result.span)
        yield ""
        yield (
            f"{counted(whole.tasks, 'task')}, {counted(whole.flaps, 'flap')},"
            f" {whole.still_open} still open at the end;"
            f" {whole.rate:.1f} per host and week"
        )
    quiet = sorted(record.rule.name for record, found in ranked if not found.tasks)
    if quiet:
        which = f"{len(quiet)} of {counted(len(ranked), 'rule')} opened no task"
        yield f"{which}: {names(quiet, everything=everything)}"


def task_lines(result: BacktestResult, *, everything: bool) -> Iterator[str]:
    """The tasks of the worst rules, or all of all rules, in the order of time."""
    busy = [(rule, found) for rule, found in worst_first(result.rules, result.span) if found.tasks]
    shown = busy if everything else busy[:RULES_SHOWN]
    for record, found in shown:
        yield ""
        yield f"{record.rule.name}  {record.rule.file}:{record.rule.line}"
        tasks = in_order(record.tasks)
        for task in tasks if everything else tasks[:TASKS_SHOWN]:
            yield f"  {task_line(task, result.span)}"
            if everything and len(task.episodes) > 1:
                yield from (f"      {each}" for each in _episodes(task))
        if not everything and len(tasks) > TASKS_SHOWN:
            yield f"  ... and {len(tasks) - TASKS_SHOWN} more"
        if everything and len(found.weeks) > 1:
            rows = [
                (each.host, each.week, counted(each.tasks, "task"), counted(each.flaps, "flap"))
                for each in found.weeks
            ]
            yield from (f"    {line}" for line in _table(rows))
    left_out = len(busy) - len(shown)
    cut = any(len(record.tasks) > TASKS_SHOWN for record, _ in shown)
    if not everything and (left_out or cut):
        rest = f"tasks of {counted(left_out, 'more rule')} are left out; " if left_out else ""
        yield ""
        yield f"{rest}--verbose shows all tasks, --rule REGEX those of some rules"


def failure_lines(rules: Iterable[Rule], outcomes: Mapping[str, RuleOutcome]) -> Iterator[str]:
    """The rules that failed, each with its first error."""
    for rule in rules:
        outcome = outcomes[rule.key]
        if outcome.failures:
            yield (
                f"{rule.file}:{rule.line}: {rule.name} failed in {outcome.failures:,} of"
                f" {counted(outcome.evaluations, 'evaluation')}, first at"
                f" {moment(outcome.first_failed)}: {outcome.error}"
            )


def task_line(task: TaskRecord, span: Span) -> str:
    """When a task opened and resolved, how long it was open, how often it flapped, its title."""
    end = "still open".ljust(19) if task.resolved_at is None else moment(task.resolved_at)
    flaps = f", {counted(task.flaps, 'flap')}" if task.flaps else ""
    length = f"{lasting(open_time(task, span))}{flaps}"
    return f"{moment(task.opened_at)} - {end}  {length:18}  {task.title}{_silence(task, span)}"


def moment(time: int | None) -> str:
    """A time (ms) in the zone of the terminal."""
    if time is None:
        return "?"
    return datetime.fromtimestamp(time / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def zone(time: int) -> str:
    """The zone of the terminal at that time (ms)."""
    return datetime.fromtimestamp(time / 1000).astimezone().strftime("%Z")


def lasting(milliseconds: int) -> str:
    """A duration; seconds only where it is short."""
    unit = 60_000 if milliseconds >= 3_600_000 else 1_000
    return format_duration(milliseconds // unit * unit)


def counted(count: int, what: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def names(found: Sequence[str], *, everything: bool) -> str:
    """Names, the first few of many unless all are asked for."""
    if everything or len(found) <= NAMES_SHOWN:
        return ", ".join(found)
    return f"{', '.join(found[:NAMES_SHOWN])} and {len(found) - NAMES_SHOWN} more (--verbose)"


def _row(record: RuleRecord, found: Figures) -> tuple[str, ...]:
    most = found.noisiest
    severities = sorted({task.severity for task in record.tasks if task.severity})
    return (
        record.rule.name,
        ", ".join(severities) or "-",
        f"{found.tasks:,}",
        f"{found.flaps:,}",
        f"{found.still_open:,}",
        lasting(found.open_time),
        lasting(found.longest),
        f"{found.rate:.1f}",
        f"{most.noise:,} at {most.host} in {most.week}" if most else "-",
    )


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows with their columns one below the other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if place in _RIGHT else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _silence(task: TaskRecord, span: Span) -> str:
    """For how long the input of any of the task's alerts had stopped."""
    total = sum((span.end if end is None else end) - start for start, end in task.unknown)
    return f" (without input for {lasting(total)})" if total else ""


def _episodes(task: TaskRecord) -> Iterator[str]:
    for start, end in task.episodes:
        yield f"{moment(start)} - {moment(end) if end is not None else 'still open'}"
