"""New labels for a vector's series; series that come to bear the same labels become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.values import Bools, Memo, Vector
from forewarn_collector.store.columns import Floats, Ints
from forewarn_wire.labels import METRIC_NAME, Labels, without

SAME_LABELSET = "vector cannot contain metrics with the same labelset"


@dataclass(frozen=True, slots=True)
class Relabelled:
    """Labels after a change. Series `i` is now row `rows[i]`; `rows` is None if that is `i`."""

    labels: Sequence[Labels]
    rows: Ints | None


def relabelled(changed: Iterable[Labels]) -> Relabelled:
    """Unite the series that have the same labels after a change."""
    places: dict[Labels, int] = {}
    rows = [places.setdefault(labels, len(places)) for labels in changed]
    labels = tuple(places)
    if len(labels) == len(rows):
        return Relabelled(labels, None)
    return Relabelled(labels, np.array(rows, dtype=np.int64))


def united(
    relabelling: Relabelled, values: Floats, present: Bools, message: str = SAME_LABELSET
) -> Vector:
    """Values under new labels. Two of the same labels at one step raise `EvalError(message)`."""
    if relabelling.rows is None:
        return Vector(relabelling.labels, values, present)
    shape = (len(relabelling.labels), values.shape[1])
    series, steps = np.nonzero(present)
    cells = relabelling.rows[series] * shape[1] + steps
    if len(cells) and np.bincount(cells).max() > 1:
        raise EvalError(message)
    new_values, new_present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
    new_values.ravel()[cells] = values[series, steps]
    new_present.ravel()[cells] = True
    return Vector(relabelling.labels, new_values, new_present)


class Relabel:
    """A change of each series' labels, kept while the series are the same."""

    __slots__ = ("_memo",)

    def __init__(self, change: Callable[[Labels], Labels]) -> None:
        self._memo: Memo[Relabelled] = Memo(
            lambda labels: relabelled(change(one) for one in labels)
        )

    def __call__(self, labels: Sequence[Labels], values: Floats, present: Bools) -> Vector:
        return united(self._memo(labels), values, present)


def without_name(labels: Labels) -> Labels:
    """The labels less the metric's name."""
    return without(labels, (METRIC_NAME,))


def drop_name() -> Relabel:
    """What every operation does that makes another quantity of its input."""
    return Relabel(without_name)
