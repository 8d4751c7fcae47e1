"""What two versions of rules make of the same signals: which task of one is which of the other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from forewarn_collector.rules.alerts import ALERT_NAME
from forewarn_collector.rules.backtest import Span
from forewarn_collector.tasks.backtest import BacktestResult, TaskRecord
from forewarn_collector.tasks.backtest_report.figures import in_order, open_time
from forewarn_collector.tasks.identity import SEVERITY


@dataclass(frozen=True, slots=True)
class Changed:
    """A task that both versions open. Differences in ms and counts, new less old.

    `resolved` is None where either is still open; `open_time` is of how long it was open.
    """

    old: TaskRecord
    new: TaskRecord
    opened: int
    resolved: int | None
    open_time: int
    flaps: int

    @property
    def same(self) -> bool:
        """Whether it opens and resolves as before."""
        ends = (self.old.resolved_at is None) == (self.new.resolved_at is None)
        return ends and not (self.opened or self.resolved or self.open_time or self.flaps)


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """One rule (by its name) in both versions; `added` or `removed`: only one of them has it.

    `fewer` are tasks that only the old version opens, `more` those of the new one, `both` the
    others, in the order of time.
    """

    name: str
    added: bool
    removed: bool
    fewer: tuple[TaskRecord, ...]
    more: tuple[TaskRecord, ...]
    both: tuple[Changed, ...]

    @property
    def changed(self) -> tuple[Changed, ...]:
        """The tasks of both that open or resolve otherwise."""
        return tuple(each for each in self.both if not each.same)

    @property
    def same(self) -> bool:
        """Whether both versions have the rule and open the same tasks."""
        return not (self.added or self.removed or self.fewer or self.more or self.changed)


def compare(old: BacktestResult, new: BacktestResult) -> list[RuleDifference]:
    """Each rule of either result, the new ones in their order, then those that are gone.

    A task is the same where the rule's name, every label that both have (but the severity) and
    some of the time agree; of several the one with all the same labels and then the longest time
    in common.
    """
    before, after = _by_name(old), _by_name(new)
    names = [*after, *(name for name in before if name not in after)]
    return [
        _difference(
            name,
            before.get(name),
            after.get(name),
            new.span,
        )
        for name in names
    ]


def _difference(
    name: str,
    old: Sequence[TaskRecord] | None,
    new: Sequence[TaskRecord] | None,
    span: Span,
) -> RuleDifference:
    pairs = _pairs(old or (), new or (), span)
    matched_old = {each for each, _ in pairs}
    matched_new = {each for _, each in pairs}
    return RuleDifference(
        name,
        added=old is None,
        removed=new is None,
        fewer=tuple(task for place, task in enumerate(old or ()) if place not in matched_old),
        more=tuple(task for place, task in enumerate(new or ()) if place not in matched_new),
        both=tuple(
            _changed(old[first], new[second], span)
            for first, second in sorted(pairs)
            if old is not None and new is not None
        ),
    )


def _changed(old: TaskRecord, new: TaskRecord, span: Span) -> Changed:
    ends = old.resolved_at, new.resolved_at
    return Changed(
        old,
        new,
        opened=new.opened_at - old.opened_at,
        resolved=None if ends[0] is None or ends[1] is None else ends[1] - ends[0],
        open_time=open_time(new, span) - open_time(old, span),
        flaps=new.flaps - old.flaps,
    )


def _pairs(
    old: Sequence[TaskRecord], new: Sequence[TaskRecord], span: Span
) -> list[tuple[int, int]]:
    """Positions of the same task in both."""
    labels = [_identity(task) for task in old], [_identity(task) for task in new]
    by_labels: dict[frozenset[tuple[str, str]], list[int]] = defaultdict(list)
    for second, found in enumerate(labels[1]):
        by_labels[frozenset(found.items())].append(second)
    exact = [
        (first, second)
        for first, found in enumerate(labels[0])
        for second in by_labels[frozenset(found.items())]
    ]
    pairs = _closest(old, new, exact, span)
    rest = [set(range(len(old))), set(range(len(new)))]
    for first, second in pairs:
        rest[0].discard(first)
        rest[1].discard(second)
    alike = [
        (first, second)
        for first, second in product(*rest)
        if _agree(labels[0][first], labels[1][second])
    ]
    return pairs + _closest(old, new, alike, span)


def _closest(
    old: Sequence[TaskRecord],
    new: Sequence[TaskRecord],
    likely: Sequence[tuple[int, int]],
    span: Span,
) -> list[tuple[int, int]]:
    """Of pairs that may be the same task, those with the most time in common, each task once."""
    common = [
        (_common_time(old[first], new[second], span), first, second) for first, second in likely
    ]
    found: list[tuple[int, int]] = []
    taken: tuple[set[int], set[int]] = set(), set()
    for time, first, second in sorted(common, key=lambda each: (-each[0], each[1:])):
        if time >= 0 and first not in taken[0] and second not in taken[1]:
            found.append((first, second))
            taken[0].add(first)
            taken[1].add(second)
    return found


def _common_time(one: TaskRecord, other: TaskRecord, span: Span) -> int:
    """How long (ms) both were there; less than 0 if never."""
    end = min(span.end if each.resolved_at is None else each.resolved_at for each in (one, other))
    return end - max(one.opened_at, other.opened_at)


def _agree(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return all(other.get(name, value) == value for name, value in one.items())


def _identity(task: TaskRecord) -> dict[str, str]:
    return {name: value for name, value in task.labels if name not in {ALERT_NAME, SEVERITY}}


def _by_name(result: BacktestResult) -> dict[str, list[TaskRecord]]:
    """The tasks of all rules of one name, in the order in which they opened."""
    found: dict[str, list[TaskRecord]] = defaultdict(list)
    for record in result.rules:
        found[record.rule.name] += record.tasks
    return {name: in_order(tasks) for name, tasks in found.items()}
