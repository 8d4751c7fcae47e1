"""Which series an expression needs: while there are none of them, it has no result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

from forewarn_collector.promql.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    Negation,
    Range,
    Selector,
    Subquery,
    unwrapped,
)
from forewarn_collector.store.columns import Matcher

Need = tuple[tuple[Matcher, ...], ...]
"""Selectors of which one at least must find series."""

_FROM_NOTHING = frozenset({"absent", "absent_over_time", "scalar", "vector"})
"""Functions that give something where their argument has nothing."""
_MOST = 16
"""How many needs of an `or` are kept: any of them is true without the others."""


def needs_of(node: Expr) -> Sequence[Need]:
    """What an expression needs, all of it; nothing where it may have a result without any series.

    An instant vector whose needs are not met is empty at every time, whatever else there is.
    """
    return tuple(dict.fromkeys(_needs(node)))


def _needs(node: Expr) -> Iterator[Need]:
    match unwrapped(node):
        case Selector(matchers) | Range(Selector(matchers)):
            yield (matchers,)
        case Negation(expr) | Subquery(expr) | Aggregation(_, expr):
            yield from _needs(expr)
        case Call("info", (expr, *_)):
            yield from _needs(expr)
        case Call(function, arguments) if function not in _FROM_NOTHING:
            for argument in arguments:
                yield from _needs(argument)
        case Binary("unless", left, _):
            yield from _needs(left)
        case Binary(operator, left, right, _, matching):
            if operator == "or" or matching.fills != (None, None):
                both = product(needs_of(left), needs_of(right))
                yield from (tuple(dict.fromkeys(a + b)) for a, b in islice(both, _MOST))
            else:
                yield from _needs(left)
                yield from _needs(right)
