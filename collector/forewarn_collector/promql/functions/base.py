"""How a function of a call becomes a plan; the shapes that most functions share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from forewarn_collector.promql.annotations import cut_rows, told_from_rows
from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.functions.live import LIVE, LiveForm
from forewarn_collector.promql.functions.of_runs import OF_RUNS, RunForm
from forewarn_collector.promql.live import LiveWindow
from forewarn_collector.promql.nodes import Call, Expr, place_of
from forewarn_collector.promql.segments import Segments, segments
from forewarn_collector.promql.selection import RangeSelector
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Plan,
    Scalars,
    Vector,
    WindowRuns,
    Windows,
)
from forewarn_collector.store.columns import Floats
from forewarn_collector.store.spans import running_count


class Compiler(Protocol):
    """What builds the plans of a call's arguments."""

    def vector(self, node: Expr) -> Plan[Vector]:
        """A plan of an instant vector."""

    def scalars(self, node: Expr) -> Plan[Scalars]:
        """A plan of a scalar."""

    def windows(self, node: Expr) -> Plan[Windows]:
        """A plan of a range vector."""

    def text(self, node: Expr) -> str:
        """The value of a string argument."""


Builder = Callable[[Compiler, Call], Plan[Vector]]
"""Makes the plan of a call that gives an instant vector."""

OverRange = Callable[[Windows, Context, Sequence[Floats]], tuple[Floats, Bools]]
"""Windows, and scalar arguments as `float64[steps]` -> values and presence, [series, steps]."""

OverSegments = Callable[[Segments, Sequence[Floats]], Floats]
"""Windows end to end, and scalar arguments by window -> one value for each window."""

Elementwise = Callable[..., Floats]
"""Values [series, steps], and scalar arguments [steps] -> values [series, steps]."""


@dataclass(frozen=True, slots=True)
class _RangePlan:
    argument: Plan[Windows]
    parameters: tuple[Plan[Scalars], ...]
    compute: OverRange
    keeps_name: bool
    live: LiveForm | None
    of_runs: RunForm | None
    function: str
    place: Position | None

    def evaluate(self, context: Context) -> Vector:
        if self.live is not None and isinstance(self.argument, RangeSelector):
            window = self.argument.live(context)
            if window is not None:
                return self._kept_up(self.live, window, context)
        if isinstance(self.argument, RangeSelector):
            return self.argument.in_parts(self._computed, context)
        return self._computed(context)

    def _computed(self, context: Context) -> Vector:
        if self.of_runs is not None and isinstance(self.argument, RangeSelector):
            windows = self.argument.read(context, self.of_runs.figures)
        else:
            windows = self.argument.evaluate(context)
        parameters = [parameter.evaluate(context).values for parameter in self.parameters]
        context.check()
        if windows.runs is not None and self.of_runs is not None:
            values, present = self.of_runs.compute(windows, windows.runs, context, parameters)
        else:
            values, present = self.compute(windows, context, parameters)
        if windows.runs is not None:
            self._annotate(windows, windows.runs, present, context)
        nameless = windows.nameless if self.keeps_name else True
        return Vector(windows.labels, values, present, nameless=nameless)

    def _annotate(
        self, windows: Windows, runs: WindowRuns, present: Bools, context: Context
    ) -> None:
        """Say where the answer is not what all samples would give."""
        if self.of_runs is None or not self.of_runs.exact:
            many = running_count(runs.columns.counts > 1)
            if ((many[windows.ends] > many[windows.starts]) & present).any():
                context.annotations.warn(told_from_rows(self.function), self.place)
        elif (runs.cut & present).any():
            context.annotations.inform(cut_rows(self.function), self.place)

    def _kept_up(self, live: LiveForm, window: LiveWindow, context: Context) -> Vector:
        """The same from what is kept of the window; where that is not enough, from its samples."""
        parameters = [parameter.evaluate(context).values for parameter in self.parameters]
        values, present, unsure = live(window, parameters)
        if len(unsure):
            found, there = self.compute(window.windows(unsure), context, parameters)
            values[unsure], present[unsure] = found[:, 0], there[:, 0]
        nameless = not self.keeps_name
        return Vector(
            window.labels, values[:, np.newaxis], present[:, np.newaxis], nameless=nameless
        )


def over_range(compute: OverRange, position: int = 0, keeps_name: bool = False) -> Builder:
    """A function of a range vector at `position`; its other arguments are scalars."""

    def build(compiler: Compiler, call: Call) -> Plan[Vector]:
        arguments = list(call.arguments)
        windows = compiler.windows(arguments.pop(position))
        parameters = tuple(compiler.scalars(argument) for argument in arguments)
        return _RangePlan(
            windows,
            parameters,
            compute,
            keeps_name,
            LIVE.get(call.function),
            OF_RUNS.get(call.function),
            call.function,
            place_of(call, position),
        )

    return build


def over_segments(compute: OverSegments, least: int = 1, position: int = 0) -> Builder:
    """A function of each window of at least `least` samples."""

    def laid_out(
        windows: Windows, context: Context, parameters: Sequence[Floats]
    ) -> tuple[Floats, Bools]:
        shape = windows.starts.shape
        values, present = np.zeros(shape), np.zeros(shape, dtype=np.bool_)
        by_window = [np.broadcast_to(parameter, shape).ravel() for parameter in parameters]
        for part in segments(windows, least):
            context.check()
            chosen = [parameter[part.windows] for parameter in by_window]
            values.ravel()[part.windows] = compute(part, chosen)
            present.ravel()[part.windows] = True
        return values, present

    return over_range(laid_out, position)


@dataclass(frozen=True, slots=True)
class ElementwisePlan:
    """Applies `compute` to every value."""

    argument: Plan[Vector]
    parameters: tuple[Plan[Scalars], ...]
    compute: Elementwise

    def evaluate(self, context: Context) -> Vector:
        vector = self.argument.evaluate(context)
        parameters = [parameter.evaluate(context).values for parameter in self.parameters]
        context.check()
        values = self.compute(vector.values, *parameters)
        return Vector(vector.labels, values, vector.present, nameless=True)


def elementwise(compute: Elementwise) -> Builder:
    """A function of each value alone; its arguments after the vector are scalars."""

    def build(compiler: Compiler, call: Call) -> Plan[Vector]:
        vector, *others = call.arguments
        parameters = tuple(compiler.scalars(other) for other in others)
        return ElementwisePlan(compiler.vector(vector), parameters, compute)

    return build
