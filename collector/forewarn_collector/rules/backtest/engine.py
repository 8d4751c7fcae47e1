"""Stored signals through the rules on simulated time, one slab of time after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from forewarn_collector.promql import LOOKBACK, reach_of
from forewarn_collector.rules.alerts import AlertChange
from forewarn_collector.rules.backtest.evaluating import Change, Evaluating
from forewarn_collector.rules.backtest.instants import Timetable
from forewarn_collector.rules.backtest.model import EXACT, Progress, Replayed, Sizes, Span, Watch
from forewarn_collector.rules.backtest.samples import Samples
from forewarn_collector.rules.model import RuleSet
from forewarn_collector.rules.order import Order, ordered
from forewarn_collector.store import SeriesSource

Apply = Callable[[Sequence[AlertChange], int], None]
"""Takes all changes of alerts of one instant (ms)."""

_GROWTH = 4.0
_RESOLUTIONS = (EXACT, 1_000, 5_000, 15_000, 30_000, 60_000)


def replay(
    rules: RuleSet,
    source: SeriesSource,
    span: Span,
    *,
    apply: Apply,
    progress: Watch = lambda _: None,
    resolution: int | None = None,
    lookback: int = LOOKBACK,
    external_url: str = "",
    external_labels: Mapping[str, str] | None = None,
    sizes: Sizes | None = None,
) -> Replayed:
    """Evaluate rules over a span as the collector would have done, beginning without any alert.

    `apply` hears of changes in the order of their times, all those of one instant at once. Samples
    count at their own time; those before the span are read where look-back and ranges reach.
    `resolution` (ms) is to what multiple an evaluation may be put off: 1 is exact, and more is
    cheaper where samples arrive at many different times; None takes the finest that is affordable.
    What `apply`, `progress` and the source raise ends the replay; a rule that fails leaves its
    alerts as they were.
    """
    if resolution is not None and resolution < 1:
        raise ValueError(f"a resolution must be at least 1 ms, not {resolution}")
    order = ordered(list(rules.rules()))
    reach = max((reach_of(rule.query.expr, lookback) for rule in order.rules), default=0)
    alerts = {rule.name for rule in rules.alerting().values()}
    samples = Samples(source, rules.recording().keys(), alerts, reach)
    sizes = sizes or Sizes()
    timetable = Timetable(order, rules.groups, span, resolution or EXACT)
    evaluating = Evaluating(
        rules,
        order,
        samples,
        timetable,
        lookback=lookback,
        cells=sizes.cells,
        external_url=external_url,
        external_labels=external_labels or {},
    )
    groups = {rule.key: group.key for group in rules.groups for rule in group.rules}
    replayed = Replayed(resolution or 0, evaluating.outcomes)
    total = span.length * len(order.rules)
    for start, end in _slabs(span, resolution or _RESOLUTIONS[-1], samples, sizes):
        samples.begin(start, end)
        if not replayed.resolution:
            share = (end - start + 1) / span.length
            replayed.resolution = _affordable(order, samples, end - start + 1, share * sizes.work)
            timetable.resolution = replayed.resolution
        timetable.begin(start, end)
        rule_count = 0
        for unit in timetable.units:
            evaluating.evaluate(unit)
            rule_count += len(unit)
            done = (start - span.start) * len(order.rules) + (end - start + 1) * rule_count
            progress(Progress(done, total, start - 1))
        evaluating.finish()
        replayed.instants += timetable.count()
        replayed.samples = samples.samples
        changes, evaluating.changes = evaluating.changes, []
        changes.sort(key=lambda each: (each.at, each.position))
        for at, together in groupby(changes, key=lambda each: each.at):
            apply(_as_told(list(together), order, groups), at)
        progress(Progress((end + 1 - span.start) * len(order.rules), total, end))
    return replayed


def _slabs(
    span: Span, resolution: int, samples: Samples, sizes: Sizes
) -> Iterator[tuple[int, int]]:
    """Slabs that follow on each other, each as long as the one before lets memory admit."""
    start, length = span.start, sizes.first_slab
    while start <= span.end:
        # Instants are put off to multiples of the resolution, and must not leave their slab.
        end = max((start + length) // resolution, start // resolution + 1) * resolution
        end = min(end, span.end)
        yield start, end
        room = sizes.samples / max(samples.held, 1)
        length = int(min(max((end - start) * min(room, _GROWTH), 1), sizes.longest_slab))
        start = end + 1


def _affordable(order: Order, samples: Samples, length: int, work: float) -> int:
    """The finest resolution (ms) with which a slab of a length (ms) is no more work than that.

    As far as can be told from what arrives in it: for each selector of each rule, its series x the
    instants at which they arrive.
    """
    selectors = [selector for rule in order.rules for selector in rule.query.selectors]
    found = [
        (samples.series(each.matchers), len(samples.arrivals(each.matchers))) for each in selectors
    ]
    for resolution in _RESOLUTIONS:
        if sum(series * min(times, length // resolution) for series, times in found) <= work:
            return resolution
    return _RESOLUTIONS[-1]


def _as_told(
    changes: Sequence[Change], order: Order, groups: Mapping[str, str]
) -> list[AlertChange]:
    """The changes of one instant in the order in which the collector tells of them.

    Stage by stage, and there group by group, see `Evaluator`.
    """
    found: dict[tuple[int, str], list[AlertChange]] = {}
    for each in changes:
        key = order.stages[each.position], groups[each.change.rule.key]
        found.setdefault(key, []).append(each.change)
    by_stage = sorted(found.items(), key=lambda item: item[0][0])
    return [change for _, part in by_stage for change in part]
