"""How far back an expression reads each metric, so that a store keeps as much at hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forewarn_collector.promql.leaves import info_selector, named_metrics
from forewarn_collector.promql.nodes import Call, Expr, Range, Selector, Subquery, children

ANY_METRIC = ""
"""What stands for all metrics, where a selector does not tell which ones it reads."""


def reach_of(expressions: Iterable[Expr], lookback: int) -> dict[str, int]:
    """From metric to how far (ms) before the time of an evaluation it is read, at most.

    `lookback` is how far an instant selector looks. What is read at a fixed time (`@`) is left out.
    """
    found: dict[str, int] = {}
    for expr in expressions:
        for selector, age in _reads(expr, 0, lookback):
            for name in named_metrics(selector.matchers) or {ANY_METRIC}:
                found[name] = max(found.get(name, 0), age)
    return found


def _reads(node: Expr, beyond: int, lookback: int) -> Iterator[tuple[Selector, int]]:
    match node:
        case Selector(_, offset, at):
            if not isinstance(at, int):
                yield node, beyond + max(offset, 0) + lookback
        case Range(selector, length):
            yield from _reads(selector, beyond, length)
        case Subquery(expr, length, _, offset, at):
            if not isinstance(at, int):
                yield from _reads(expr, beyond + length + max(offset, 0), lookback)
        case _:
            if isinstance(node, Call) and node.function == "info":
                yield from _reads(info_selector(node), beyond, lookback)
            for child in children(node):
                yield from _reads(child, beyond, lookback)
