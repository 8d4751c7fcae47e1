"""A compiled expression: what it reads, and how it is evaluated at one time or over many."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from heapq import merge

import numpy as np

from forewarn_collector.promql.annotations import LAST_OF_ROWS
from forewarn_collector.promql.compile import PlanCompiler, value_type
from forewarn_collector.promql.deadline import UNLIMITED, Deadline
from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.functions.dates import NO_LABELS
from forewarn_collector.promql.leaves import SelectorInfo, metrics_read, selectors_of
from forewarn_collector.promql.nodes import (
    Expr,
    ValueType,
)
from forewarn_collector.promql.parse import parse
from forewarn_collector.promql.parts import check_size
from forewarn_collector.promql.relabel import Relabel, name_removal
from forewarn_collector.promql.shared import Round, SharedPlans
from forewarn_collector.promql.values import (
    LOOKBACK,
    SUBQUERY_STEP,
    Bools,
    Context,
    Plan,
    Scalars,
    Text,
    Vector,
    Windows,
    any_along,
)
from forewarn_collector.store.columns import Floats, Ints, SeriesSource
from forewarn_collector.store.spans import repeated, spans
from forewarn_wire.labels import Labels


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a query.

    `labels[i]` are those of row `i` of `values: float64[series, steps]`; where
    `present: bool[series, steps]` is false there is no value. A series may be nowhere present;
    `rows()` has those that are, in the order of the answer. `times: int64[steps]` in ms. A
    scalar is one row without labels; `text` is what a string expression says. `warnings` and
    `infos` are Prometheus' annotations.
    """

    kind: ValueType
    labels: Sequence[Labels]
    times: Ints
    values: Floats
    present: Bools
    warnings: Sequence[str] = ()
    infos: Sequence[str] = ()
    text: str = ""
    order: Ints | None = None

    def rows(self) -> Ints:
        """The series that are present at any step, in the order of the answer.

        Those of a range come by their labels, as from Prometheus: graphs give out colours by it.
        """
        somewhere = any_along(self.present, axis=1)
        if self.kind is ValueType.MATRIX:
            return sorted_by_labels(np.flatnonzero(somewhere), self.labels)
        if self.order is None:
            return np.flatnonzero(somewhere)
        return self.order[somewhere[self.order]]

    def vector(self) -> list[tuple[Labels, float]]:
        """Labels and value of each series of an instant vector, in the order of the answer."""
        rows = self.rows()
        values = self.values[rows, 0].tolist() if len(rows) else []
        return [(self.labels[row], value) for row, value in zip(rows.tolist(), values, strict=True)]


@dataclass(frozen=True, slots=True)
class _QueryPlan:
    """What a query keeps between evaluations; `finish` takes off names that are lost."""

    value: Plan[Vector | Scalars | Windows | Text]
    finish: Relabel


class Query:
    """A compiled expression. Threads may share it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.expr: Expr = parse(text)
        self.result_type: ValueType = value_type(self.expr)
        self.selectors: tuple[SelectorInfo, ...] = tuple(selectors_of(self.expr))
        self.metrics: frozenset[str] | None = metrics_read(self.expr)
        self._compiler = PlanCompiler()
        self._plan: _QueryPlan | None = self._compiled()

    def instant(
        self,
        source: SeriesSource,
        time: int,
        *,
        lookback: int = LOOKBACK,
        deadline: Deadline = UNLIMITED,
        subquery_step: int = SUBQUERY_STEP,
    ) -> Result:
        """Evaluate at one time (ms); raises `EvalError`.

        A range vector gives the samples of its series, one step for each time there is any.
        """
        times = np.array([time], dtype=np.int64)
        context = Context(
            source, times, time, time, lookback, deadline=deadline, subquery_step=subquery_step
        )
        return self._evaluate(context, self.result_type)

    def range(
        self,
        source: SeriesSource,
        start: int,
        end: int,
        step: int,
        *,
        lookback: int = LOOKBACK,
        deadline: Deadline = UNLIMITED,
        subquery_step: int = SUBQUERY_STEP,
    ) -> Result:
        """Evaluate at `start`, `start + step`, ... up to `end` (ms); raises `EvalError`."""
        if self.result_type in (ValueType.MATRIX, ValueType.STRING):
            name = "range vector" if self.result_type is ValueType.MATRIX else "string"
            raise EvalError(
                f'invalid expression type "{name}" for range query, '
                "must be Scalar or instant Vector"
            )
        if step <= 0 or end < start:
            raise EvalError("a range needs a step above 0 and an end not before its start")
        check_size(1, (end - start) // step + 1)
        times = np.arange(start, end + 1, step, dtype=np.int64)
        context = Context(
            source,
            times,
            start,
            end,
            lookback,
            step,
            deadline=deadline,
            subquery_step=subquery_step,
        )
        return self._evaluate(context, ValueType.MATRIX)

    def over(
        self,
        source: SeriesSource,
        times: Ints,
        *,
        lookback: int = LOOKBACK,
        deadline: Deadline = UNLIMITED,
        subquery_step: int = SUBQUERY_STEP,
    ) -> Result:
        """What `instant` gives at each of any ascending times (ms), all at once.

        Not so where an expression `depends_on_steps`. Raises `EvalError`, with times at which it
        fails where these are known.
        """
        start, end = int(times[0]), int(times[-1])
        context = Context(
            source, times, start, end, lookback, deadline=deadline, subquery_step=subquery_step
        )
        return self._evaluate(context, self.result_type)

    def at(self, round_: Round, time: int) -> Result:
        """Evaluate at one time (ms) as a part of a round; raises `EvalError`."""
        times = np.array([time], dtype=np.int64)
        context = Context(
            round_.source,
            times,
            time,
            time,
            round_.lookback,
            kept=round_.kept,
            live=round_.live,
            subquery_step=round_.subquery_step,
        )
        return self._evaluate(context, self.result_type)

    def shared(self, compiler: PlanCompiler) -> Query:
        """The same query with the plan that another compiler makes of it, once it is needed.

        It is for one thread.
        """
        query = copy(self)
        query._compiler, query._plan = compiler, None
        return query

    def without_plan(self) -> Query:
        """The same query, whose plan is made when it is evaluated: most of a query's memory."""
        return self.shared(PlanCompiler())

    def _compiled(self) -> _QueryPlan:
        compiler = self._compiler
        plan: Plan[Vector | Scalars | Windows | Text]
        match self.result_type:
            case ValueType.SCALAR:
                plan = compiler.scalars(self.expr)
            case ValueType.STRING:
                plan = _TextPlan(compiler.text(self.expr))
            case ValueType.MATRIX:
                plan = compiler.windows(self.expr)
            case ValueType.VECTOR:
                plan = compiler.vector(self.expr)
        return _QueryPlan(plan, name_removal())

    def _evaluate(self, context: Context, kind: ValueType) -> Result:
        if self._plan is None:
            self._plan = self._compiled()
        # Divisions by zero, overflows and NaN are values in PromQL, not mistakes.
        with np.errstate(all="ignore"):
            value = self._plan.value.evaluate(context)
        if isinstance(value, Windows):
            if value.runs is not None and (value.runs.columns.counts > 1).any():
                context.annotations.warn(LAST_OF_ROWS, None)
            value, times = _samples(value)
        else:
            times = context.times
        match value:
            case Scalars(values):
                present = np.ones((1, len(times)), dtype=np.bool_)
                vector = Vector(NO_LABELS, values[np.newaxis, :], present)
                text = ""
            case Text(text):
                vector = Vector((), np.zeros((0, 1)), np.zeros((0, 1), dtype=np.bool_))
            case Vector():
                vector = self._plan.finish(value) if value.nameless is not False else value
                text = ""
        return Result(
            kind,
            vector.labels,
            times,
            vector.values,
            vector.present,
            context.annotations.warnings,
            context.annotations.infos,
            text,
            vector.order,
        )


@dataclass(frozen=True, slots=True)
class _TextPlan:
    value: str

    def evaluate(self, context: Context) -> Text:
        return Text(self.value)


def _samples(windows: Windows) -> tuple[Vector, Ints]:
    """The samples of the only window of each series, as a table over all times there are."""
    starts, ends = windows.starts[:, 0], windows.ends[:, 0]
    if windows.runs is not None and len(windows.times):
        # A run that the range lies within ends later.
        late = windows.times[np.maximum(ends - 1, 0)] > windows.closes
        ends = np.where(late, starts, ends)
    counts = ends - starts
    places = spans(starts, counts)
    found = windows.times[places]
    ordered = np.sort(found)
    times = ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered
    check_size(len(counts), len(times))
    cells = np.searchsorted(times, found)
    cells += repeated(np.arange(len(counts)) * len(times), counts)
    values = np.zeros((len(counts), len(times)))
    present = np.zeros(values.shape, dtype=np.bool_)
    values.ravel()[cells] = windows.values[places]
    present.ravel()[cells] = True
    return Vector(windows.labels, values, present, nameless=windows.nameless), times


def sorted_by_labels(rows: Ints, labels: Sequence[Labels]) -> Ints:
    """Rows by `labels[row]`, in runs that are then merged, as `store/reading.py` does it."""
    runs = [
        sorted(rows[first : first + _RUN].tolist(), key=labels.__getitem__)
        for first in range(0, len(rows), _RUN)
    ]
    merged = runs[0] if len(runs) == 1 else merge(*runs, key=labels.__getitem__)
    return np.fromiter(merged, np.int64, len(rows))


_RUN = 8_192
"""Rows that are sorted at once: one sort of many would hold the interpreter's lock for long."""


def compile_query(text: str) -> Query:
    """Read and compile an expression; raises `PromQLError`."""
    return Query(text)


def share(queries: Sequence[Query]) -> list[Query]:
    """The same queries, with one plan for what is common to several of them."""
    compiler = PlanCompiler(SharedPlans(query.expr for query in queries))
    return [query.shared(compiler) for query in queries]
