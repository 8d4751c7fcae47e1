"""The difference of two versions of rules, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forewarn_collector.rules.backtest import Span
from forewarn_collector.tasks.backtest import BacktestResult
from forewarn_collector.tasks.backtest_report.compare import Changed, RuleDifference
from forewarn_collector.tasks.backtest_report.text import counted, lasting, names, task_line

TASKS_SHOWN = 10
"""How many tasks of a rule are named, where not all are asked for."""


def difference_lines(
    found: Sequence[RuleDifference], old: BacktestResult, new: BacktestResult, *, everything: bool
) -> Iterator[str]:
    """Per rule which tasks it opens no more (-), newly (+) and otherwise (~)."""
    for each in found:
        if each.same:
            continue
        yield f"{each.name}: {_sentence(each)}"
        lines = list(_tasks(each, new.span))
        yield from (f"  {line}" for line in (lines if everything else lines[:TASKS_SHOWN]))
        if not everything and len(lines) > TASKS_SHOWN:
            yield f"  ... and {len(lines) - TASKS_SHOWN} more (--verbose)"
        yield ""
    same = sorted(each.name for each in found if each.same)
    if same:
        yield f"{counted(len(same), 'rule')} with the same tasks: " + names(
            same, everything=everything
        )
    before, after = (sum(len(rule.tasks) for rule in each.rules) for each in (old, new))
    yield f"in all {counted(after, 'task')}, {before:,} with the old version"


def _sentence(found: RuleDifference) -> str:
    if found.added:
        return f"added, opens {counted(len(found.more), 'task')}"
    if found.removed:
        return f"removed, opened {counted(len(found.fewer), 'task')}"
    parts = []
    if found.fewer:
        parts.append(f"{counted(len(found.fewer), 'task')} fewer")
    if found.more:
        more = len(found.more)
        parts.append(f"{more:,} more" if parts else f"{counted(more, 'task')} more")
    if found.changed:
        changed = len(found.changed)
        what = f"{changed:,} otherwise" if parts else f"{counted(changed, 'task')} otherwise"
        parts.append(f"{what} ({_kinds(found.changed)})")
    return "opens " + ", ".join(parts)


def _kinds(changed: Sequence[Changed]) -> str:
    """How many are earlier, later, and so on; one task may be several."""
    kinds = {
        "earlier": sum(each.opened < 0 for each in changed),
        "later": sum(each.opened > 0 for each in changed),
        "longer": sum(each.open_time > 0 for each in changed),
        "shorter": sum(each.open_time < 0 for each in changed),
        "flapping more": sum(each.flaps > 0 for each in changed),
        "flapping less": sum(each.flaps < 0 for each in changed),
    }
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count) or "ends"


def _tasks(found: RuleDifference, span: Span) -> Iterator[str]:
    lines = [
        *((task.opened_at, f"- {task_line(task, span)}") for task in found.fewer),
        *((task.opened_at, f"+ {task_line(task, span)}") for task in found.more),
        *(
            (each.new.opened_at, f"~ {task_line(each.new, span)} ({_how(each)})")
            for each in found.changed
        ),
    ]
    yield from (line for _, line in sorted(lines))


def _how(changed: Changed) -> str:
    parts = []
    if changed.opened:
        parts.append(f"opens {_by(changed.opened, 'later', 'earlier')}")
    if changed.resolved is None:
        if changed.old.resolved_at is not None:
            parts.append("stays open")
        elif changed.new.resolved_at is not None:
            parts.append("was still open at the end")
    elif changed.resolved:
        parts.append(f"ends {_by(changed.resolved, 'later', 'earlier')}")
    if changed.open_time:
        parts.append(_by(changed.open_time, "longer", "shorter"))
    if changed.flaps:
        parts.append(f"{changed.flaps:+d} {'flap' if abs(changed.flaps) == 1 else 'flaps'}")
    return ", ".join(parts)


def _by(difference: int, more: str, less: str) -> str:
    return f"{lasting(abs(difference))} {more if difference > 0 else less}"
