"""Common subexpressions of many expressions: one plan each, evaluated once per instant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from forewarn_collector.promql.leaves import metrics_read
from forewarn_collector.promql.live import LiveWindows
from forewarn_collector.promql.nodes import Expr, Number, Range, String, children
from forewarn_collector.promql.values import LOOKBACK, SUBQUERY_STEP, Context, Plan
from forewarn_collector.store.columns import SeriesSource

Value = TypeVar("Value", covariant=True)


class SharedPlan(Generic[Value]):
    """A plan whose value is kept for the length of a round, see `Context.kept`."""

    __slots__ = ("_plan", "metrics")

    def __init__(self, plan: Plan[Value], metrics: frozenset[str] | None) -> None:
        self._plan = plan
        self.metrics = metrics

    def evaluate(self, context: Context) -> Value:
        """The value at every step; raises `EvalError`."""
        if context.kept is None:
            return self._plan.evaluate(context)
        key = self, context.start
        if key not in context.kept:
            context.kept[key] = self._plan.evaluate(context)
        value: Value = context.kept[key]
        return value


class Round:
    """The evaluation of many rules at one instant: what they share is computed once.

    `at`, `lookback` and `subquery_step` in ms. `live` are windows that are kept from one round to
    the next.
    """

    def __init__(
        self,
        source: SeriesSource,
        at: int,
        lookback: int = LOOKBACK,
        live: LiveWindows | None = None,
        subquery_step: int = SUBQUERY_STEP,
    ) -> None:
        self.source = source
        self.at = at
        self.lookback = lookback
        self.live = live
        self.subquery_step = subquery_step
        if live is not None:
            live.begin(at)
        self.kept: dict[tuple[Any, int], Any] = {}

    def forget(self, metrics: frozenset[str]) -> None:
        """Drop what was computed from these metrics, since they have new samples."""
        stale = [
            key
            for key in self.kept
            if key[0].metrics is None or not key[0].metrics.isdisjoint(metrics)
        ]
        for key in stale:
            del self.kept[key]


class SharedPlans:
    """The plans of what occurs more than once among some expressions."""

    def __init__(self, exprs: Iterable[Expr]) -> None:
        occurrences = Counter(node for expr in exprs for node in _nodes(expr))
        self._common = {node for node, count in occurrences.items() if count > 1}
        self._plans: dict[tuple[str, Expr], SharedPlan[Any]] = {}

    def plan(self, kind: str, node: Expr, build: Callable[[Expr], Plan[Value]]) -> Plan[Value]:
        """The plan that `build` makes of a node, the same one whenever the node occurs again.

        `kind` tells apart what one node may be compiled to: a vector, scalars or windows.
        """
        if node not in self._common:
            return build(node)
        key = kind, node
        if key not in self._plans:
            self._plans[key] = SharedPlan(build(node), metrics_read(node))
        return self._plans[key]


def _nodes(expr: Expr) -> Iterator[Expr]:
    if not isinstance(expr, Number | String):
        yield expr
    if not isinstance(expr, Range):  # its selector is no expression of its own
        for child in children(expr):
            yield from _nodes(child)
