"""Range queries over much time: evaluated part by part, so that memory has one part at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.nodes import Selector
from forewarn_collector.promql.values import Context, Vector
from forewarn_collector.store.columns import Ints, SeriesLabels
from forewarn_collector.store.thinned import cuts
from forewarn_wire import Labels

PART_SAMPLES = 1_000_000
"""Samples that are read at once, where steps may be told apart: some 100 MB with rows."""
MOST_CELLS = 50_000_000
"""Values of one selector or subquery, series times steps: 450 MB."""
_SHORT = 6 * 3_600_000
"""A span (ms) that is always read at once."""


def check_size(series: int, steps: int) -> None:
    """Raise `EvalError` rather than run out of memory."""
    if series * steps > MOST_CELLS:
        raise EvalError(
            "query processing would load too many samples into memory in query execution: "
            f"{series} series at {steps} steps; ask for fewer series or a longer step"
        )


def in_parts(
    evaluate: Callable[[Context], Vector], selector: Selector, reach: int, context: Context
) -> Vector:
    """What `evaluate` gives at the steps of a context, whose selector reads `reach` ms back."""
    parts = _parts(selector, reach, context)
    if len(parts) == 1:
        return evaluate(context)
    found = []
    for times in parts:
        context.check()
        found.append(evaluate(context.at_steps(times)))
        check_size(len(found[-1].labels), context.steps)
    return _beside(found)


def _parts(selector: Selector, reach: int, context: Context) -> Sequence[Ints]:
    """The steps in parts, none of which lasts less than the selector reaches back."""
    times = context.times
    first, last = int(times[0]), int(times[-1])
    if selector.at is not None or last - first <= max(_SHORT, reach):
        return [times]
    start, end = first - selector.offset - reach, last - selector.offset
    marks = cuts(context.source, selector.matchers, start, end, PART_SAMPLES) + selector.offset
    chosen: list[int] = []
    for mark in marks.tolist():
        if mark - (chosen[-1] if chosen else first) >= reach and last - mark >= reach:
            chosen.append(mark)
    places = np.unique(np.searchsorted(times, chosen, "right"))
    return [part for part in np.split(times, places) if len(part)]


def _beside(parts: Sequence[Vector]) -> Vector:
    """The steps of several vectors one after the other; series may come and go between them."""
    labels, nameless = parts[-1].labels, parts[-1].nameless
    if not all(part.labels is labels for part in parts):
        places: dict[Labels, int] = {}
        for part in parts:
            for each in part.labels:
                places.setdefault(each, len(places))
        labels = SeriesLabels(places)
        parts = [_spread(part, places) for part in parts]
    return Vector(
        labels,
        np.hstack([part.values for part in parts]),
        np.hstack([part.present for part in parts]),
        nameless=nameless,
    )


def _spread(part: Vector, places: dict[Labels, int]) -> Vector:
    shape = len(places), part.values.shape[1]
    values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    rows = [places[each] for each in part.labels]
    values[rows], present[rows] = part.values, part.present
    return Vector(part.labels, values, present)
