"""Functions of time: parts of a date (UTC), and the time of a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forewarn_collector.promql.functions.base import (
    Builder,
    Compiler,
    Elementwise,
    ElementwisePlan,
    elementwise,
)
from forewarn_collector.promql.nodes import Call, Selector, unwrapped
from forewarn_collector.promql.selection import InstantSelector
from forewarn_collector.promql.values import Context, Plan, Vector
from forewarn_collector.store.columns import Floats, Ints

_LONGEST = 2.0**45
"""Seconds, a million years: what numpy's dates can bear; a time beyond has no date here."""


def _of_seconds(part: str) -> Elementwise:
    divisor, modulus = {"minute": (60, 60), "hour": (3600, 24)}[part]

    def compute(values: Floats) -> Floats:
        seconds, known = _whole_seconds(values)
        return np.where(known, seconds // divisor % modulus, np.nan)

    return compute


def _of_date(part: str) -> Elementwise:
    def compute(values: Floats) -> Floats:
        seconds, known = _whole_seconds(values)
        dates = seconds.astype("datetime64[s]").astype("datetime64[D]")
        return np.where(known, _DATE_PARTS[part](dates), np.nan)

    return compute


def _whole_seconds(values: Floats) -> tuple[Ints, NDArray[np.bool_]]:
    known = np.abs(values) < _LONGEST
    return np.trunc(np.where(known, values, 0)).astype(np.int64), known


def _days(dates: NDArray[np.datetime64]) -> Ints:
    return dates.astype(np.int64)


def _months(dates: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    return dates.astype("datetime64[M]")


def _years(dates: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    return dates.astype("datetime64[Y]")


def _days_in_month(dates: NDArray[np.datetime64]) -> Ints:
    months = _months(dates)
    following = (months + np.timedelta64(1, "M")).astype("datetime64[D]")
    return _days(following) - _days(months.astype("datetime64[D]"))


_DATE_PARTS: Mapping[str, Callable[[NDArray[np.datetime64]], Ints]] = {
    "day_of_month": lambda dates: _days(dates) - _days(_months(dates).astype("datetime64[D]")) + 1,
    # 1970-01-01 was a Thursday, and Sunday counts as 0.
    "day_of_week": lambda dates: (_days(dates) + 4) % 7,
    "day_of_year": lambda dates: _days(dates) - _days(_years(dates).astype("datetime64[D]")) + 1,
    "days_in_month": _days_in_month,
    "month": lambda dates: _months(dates).astype(np.int64) % 12 + 1,
    "year": lambda dates: _years(dates).astype(np.int64) + 1970,
}


@dataclass(frozen=True, slots=True)
class StepTimes:
    """A vector of one series without labels: the time of each step in seconds."""

    def evaluate(self, context: Context) -> Vector:
        seconds = context.times[np.newaxis, :] / 1000
        return Vector(NO_LABELS, seconds, np.ones(seconds.shape, dtype=np.bool_))


NO_LABELS = ((),)
"""The labels of a vector of one series without labels; always this object."""


def _date(compute: Elementwise) -> Builder:
    """A function whose argument is the time of evaluation if it is left out."""
    of_vector = elementwise(compute)

    def build(compiler: Compiler, call: Call) -> Plan[Vector]:
        if call.arguments:
            return of_vector(compiler, call)
        return ElementwisePlan(StepTimes(), (), compute)

    return build


@dataclass(frozen=True, slots=True)
class _SampleTimesPlan:
    selector: InstantSelector

    def evaluate(self, context: Context) -> Vector:
        vector = self.selector.timestamps(context)
        return Vector(vector.labels, vector.values, vector.present, nameless=True)


@dataclass(frozen=True, slots=True)
class _EvaluationTimesPlan:
    argument: Plan[Vector]

    def evaluate(self, context: Context) -> Vector:
        vector = self.argument.evaluate(context)
        seconds = np.broadcast_to(context.times / 1000, vector.values.shape)
        return Vector(vector.labels, seconds, vector.present, nameless=True)


def _timestamp(compiler: Compiler, call: Call) -> Plan[Vector]:
    argument = unwrapped(call.arguments[0])
    # What is not a sample of a series is of the time at which it was computed.
    if isinstance(argument, Selector):
        return _SampleTimesPlan(InstantSelector(argument))
    return _EvaluationTimesPlan(compiler.vector(argument))


DATES: Mapping[str, Builder] = {
    **{part: _date(_of_seconds(part)) for part in ("minute", "hour")},
    **{part: _date(_of_date(part)) for part in _DATE_PARTS},
    "timestamp": _timestamp,
}
