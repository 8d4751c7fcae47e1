"""New labels for a vector's series; series that come to bear the same labels become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat

import numpy as np

from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.growing import Distinct, Growing
from forewarn_collector.promql.values import Bools, Memo, Nameless, Vector, any_along
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import METRIC_NAME, Labels, without

SAME_LABELSET = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True)
class Relabelled:
    """Labels after a change. Series `i` is now row `rows[i]`; `rows` is None if that is `i`.

    `nameless` are the rows that lose their name later.
    """

    labels: Sequence[Labels]
    rows: Ints | None
    nameless: Nameless


def relabelled(changed: Iterable[Labels], nameless: Nameless = False) -> Relabelled:
    """Unite the series that have the same labels after a change.

    Of two that differ in what `nameless` says of them each has a row of its own.
    """
    marks = marks_of(nameless)
    places: dict[tuple[Labels, bool], int] = {}
    rows = [places.setdefault(key, len(places)) for key in zip(changed, marks, strict=False)]
    labels = tuple(labels for labels, _ in places)
    kept = nameless if isinstance(nameless, bool) else marked(mark for _, mark in places)
    united_rows = None if len(labels) == len(rows) else np.array(rows, dtype=np.int64)
    return Relabelled(labels, united_rows, kept)


def marks_of(nameless: Nameless) -> Iterable[bool]:
    """For each series in turn whether it loses its name; without an end if all or none do."""
    if isinstance(nameless, bool):
        return repeat(nameless)
    marks: list[bool] = nameless.tolist()
    return marks


def marked(marks: Iterable[bool]) -> Nameless:
    """One word for all series if that will do."""
    each = np.array(list(marks), dtype=np.bool_)
    return bool(each.any()) if each.all() or not each.any() else each


def united(
    relabelling: Relabelled,
    values: Floats,
    present: Bools,
    message: str = SAME_LABELSET,
    times: Ints | None = None,
) -> Vector:
    """Values under new labels. Two of the same labels at one step raise `EvalError(message)`.

    `times: int64[steps]` (ms) let the error say at which steps that is.
    """
    if relabelling.rows is None:
        return Vector(relabelling.labels, values, present, nameless=relabelling.nameless)
    shape = (len(relabelling.labels), values.shape[1])
    series, steps = np.nonzero(present)
    cells = relabelling.rows[series] * shape[1] + steps
    counts = np.bincount(cells)
    if len(cells) and counts.max() > 1:
        crowded = np.unique(np.flatnonzero(counts > 1) % shape[1])
        raise EvalError(message, None if times is None else times[crowded])
    new_values, new_present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    new_values.ravel()[cells] = values[series, steps]
    new_present.ravel()[cells] = True
    return Vector(relabelling.labels, new_values, new_present, nameless=relabelling.nameless)


Change = Callable[[Labels, bool], tuple[Labels, bool]]
"""Labels, and whether the series loses its name later -> the same after a change."""


class Relabel:
    """A change of each series' labels, kept while the series are the same or grow.

    The change is told whether a series loses its name later, and tells so of the changed one.
    """

    __slots__ = ("_alike", "_memo")

    def __init__(self, change: Change) -> None:
        def changed(labels: Sequence[Labels], nameless: Nameless) -> Relabelled:
            pairs = [change(*pair) for pair in zip(labels, marks_of(nameless), strict=False)]
            return relabelled((one for one, _ in pairs), marked(mark for _, mark in pairs))

        self._memo: Memo[Relabelled] = Memo(changed)
        self._alike = {mark: Growing(partial(_Relabelling, change, mark)) for mark in (False, True)}

    def _changed(self, vector: Vector) -> Relabelled:
        if isinstance(vector.nameless, bool):
            return self._alike[vector.nameless](vector.labels)
        return self._memo(vector.labels, vector.nameless)

    def __call__(self, vector: Vector) -> Vector:
        relabelling = self._changed(vector)
        changed = united(relabelling, vector.values, vector.present)
        if vector.order is None:
            return changed
        order = vector.order
        if relabelling.rows is not None:
            # Of the series that became one only one is there, at the only step that has an order.
            order = relabelling.rows[order[any_along(vector.present, axis=1)[order]]]
        return replace(changed, order=order)


class _Relabelling:
    """Changes series one after the other. All of them lose their name later, or none does."""

    def __init__(self, change: Change, nameless: bool) -> None:
        self._change = change
        self._nameless = nameless
        self._pairs: list[tuple[Labels, bool]] = []
        self._marks: set[bool] = set()
        self._distinct = Distinct()
        self._rows: list[int] = []

    def derive(self, *series: Sequence[Labels]) -> Relabelled:
        (labels,) = series
        more = [self._change(each, self._nameless) for each in labels[len(self._pairs) :]]
        self._pairs += more
        self._marks.update(mark for _, mark in more)
        if len(self._marks) > 1:
            # Two of the same labels are apart if only one of them loses its name.
            changed = (each for each, _ in self._pairs)
            return relabelled(changed, marked(mark for _, mark in self._pairs))
        self._rows += self._distinct.numbers(each for each, _ in more)
        rows = None if len(self._distinct) == len(labels) else np.array(self._rows)
        return Relabelled(self._distinct.labels, rows, True in self._marks)


def name_removal() -> Relabel:
    """The end of a query: series that are no longer their metric lose its name."""
    return Relabel(lambda labels, nameless: (_without_name(labels) if nameless else labels, False))


def _without_name(labels: Labels) -> Labels:
    return without(labels, (METRIC_NAME,))
