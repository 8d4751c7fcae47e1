"""A compiled expression: what it reads, and how it is evaluated at one time or over many."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from forewarn_collector.promql.compile import PlanCompiler, value_type
from forewarn_collector.promql.errors import EvalError
from forewarn_collector.promql.functions.dates import NO_LABELS
from forewarn_collector.promql.nodes import (
    At,
    Binary,
    Call,
    Expr,
    Range,
    Selector,
    ValueType,
    children,
)
from forewarn_collector.promql.parse import parse
from forewarn_collector.promql.selection import check_size
from forewarn_collector.promql.values import (
    Bools,
    Context,
    Plan,
    Scalars,
    Text,
    Vector,
    Windows,
    any_along,
)
from forewarn_collector.store.columns import Floats, Ints, Matcher, MatchOp, SeriesSource
from forewarn_wire.labels import METRIC_NAME, Labels

LOOKBACK = 300_000
"""How old, in ms, the latest sample of a series may be to count as its value."""


@dataclass(frozen=True, slots=True)
class SelectorInfo:
    """A leaf of an expression: which series it reads, and how far back.

    `range` and `offset` in ms, `range` 0 for an instant selector; ranges of subqueries around
    it are not counted in. `negated`: its series' *absence* makes the expression true, since it
    stands within `absent` or right of `unless` (an even number of these cancels out).
    """

    matchers: tuple[Matcher, ...]
    range: int
    offset: int
    at: At
    negated: bool


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a query.

    `labels[i]` are those of row `i` of `values: float64[series, steps]`; where
    `present: bool[series, steps]` is false there is no value. A series may be nowhere present;
    `rows()` has those that are, in the order of the answer. `times: int64[steps]` in ms. A
    scalar is one row without labels; `text` is what a string expression says.
    """

    kind: ValueType
    labels: Sequence[Labels]
    times: Ints
    values: Floats
    present: Bools
    warnings: list[str] = field(default_factory=list)
    text: str = ""
    order: Ints | None = None

    def rows(self) -> Ints:
        """The series that are present at any step, in the order of the answer."""
        somewhere = any_along(self.present, axis=1)
        if self.order is None:
            return np.flatnonzero(somewhere)
        return self.order[somewhere[self.order]]

    def vector(self) -> list[tuple[Labels, float]]:
        """Labels and value of each series of an instant vector, in the order of the answer."""
        rows = self.rows()
        values = self.values[rows, 0].tolist() if len(rows) else []
        return [(self.labels[row], value) for row, value in zip(rows.tolist(), values, strict=True)]


class Query:
    """A compiled expression. Threads may share it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.expr: Expr = parse(text)
        self.result_type: ValueType = value_type(self.expr)
        self.selectors: tuple[SelectorInfo, ...] = tuple(_selectors(self.expr, False))
        self.metrics: frozenset[str] | None = _metrics(self.selectors)
        compiler = PlanCompiler()
        self._plan: Plan[Vector | Scalars | Windows | Text]
        match self.result_type:
            case ValueType.SCALAR:
                self._plan = compiler.scalars(self.expr)
            case ValueType.STRING:
                self._plan = _TextPlan(compiler.text(self.expr))
            case ValueType.MATRIX:
                self._plan = compiler.windows(self.expr)
            case ValueType.VECTOR:
                self._plan = compiler.vector(self.expr)

    def instant(self, source: SeriesSource, time: int, *, lookback: int = LOOKBACK) -> Result:
        """Evaluate at one time (ms); raises `EvalError`.

        A range vector gives the samples of its series, one step for each time there is any.
        """
        times = np.array([time], dtype=np.int64)
        return self._evaluate(Context(source, times, time, time, lookback), self.result_type)

    def range(
        self, source: SeriesSource, start: int, end: int, step: int, *, lookback: int = LOOKBACK
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
        return self._evaluate(Context(source, times, start, end, lookback), ValueType.MATRIX)

    def _evaluate(self, context: Context, kind: ValueType) -> Result:
        # Divisions by zero, overflows and NaN are values in PromQL, not mistakes.
        with np.errstate(all="ignore"):
            value = self._plan.evaluate(context)
        if isinstance(value, Windows):
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
            case Vector() as vector:
                text = ""
        return Result(
            kind,
            vector.labels,
            times,
            vector.values,
            vector.present,
            context.warnings,
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
    counts = ends - starts
    places = np.repeat(starts - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    times, columns = np.unique(windows.times[places], return_inverse=True)
    check_size(len(counts), len(times))
    rows = np.repeat(np.arange(len(counts)), counts)
    values = np.zeros((len(counts), len(times)))
    present = np.zeros(values.shape, dtype=np.bool_)
    values[rows, columns] = windows.values[places]
    present[rows, columns] = True
    return Vector(windows.labels, values, present), times


def compile_query(text: str) -> Query:
    """Read and compile an expression; raises `PromQLError`."""
    return Query(text)


def _selectors(node: Expr, negated: bool) -> Iterator[SelectorInfo]:
    match node:
        case Selector(matchers, offset, at):
            yield SelectorInfo(matchers, 0, offset, at, negated)
        case Range(selector, length):
            yield SelectorInfo(selector.matchers, length, selector.offset, selector.at, negated)
        case Call("absent" | "absent_over_time", arguments):
            for argument in arguments:
                yield from _selectors(argument, not negated)
        case Binary("unless", left, right):
            yield from _selectors(left, negated)
            yield from _selectors(right, not negated)
        case _:
            for child in children(node):
                yield from _selectors(child, negated)


_LITERALS = re.compile(r"[A-Za-z0-9_:]+(?:\|[A-Za-z0-9_:]+)*")


def _metrics(selectors: Sequence[SelectorInfo]) -> frozenset[str] | None:
    names: set[str] = set()
    for selector in selectors:
        found = _names(selector.matchers)
        if found is None:
            return None
        names |= found
    return frozenset(names)


def _names(matchers: Sequence[Matcher]) -> set[str] | None:
    """The metrics that matchers allow, None if that can't be told from them."""
    for matcher in matchers:
        if matcher.name != METRIC_NAME:
            continue
        if matcher.op is MatchOp.EQUAL and matcher.value:
            return {matcher.value}
        if matcher.op is MatchOp.REGEX and _LITERALS.fullmatch(matcher.value):
            return set(matcher.value.split("|"))
    return None
