"""What an expression's plan does, part by part, for people to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from forewarn_collector.promql.functions.live import LIVE
from forewarn_collector.promql.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    Negation,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
    children,
    unwrapped,
)
from forewarn_collector.promql.pretty import (
    aggregation_head,
    one_line,
    operator_text,
    subquery_suffix,
)
from forewarn_collector.store.columns import SeriesSource


@dataclass(frozen=True, slots=True)
class Explained:
    """A part of a plan: what it does, what is known of it, and the parts that it works on."""

    text: str
    notes: tuple[str, ...]
    children: tuple[Explained, ...]


def explain(
    node: Expr, source: SeriesSource | None, notes: Mapping[Expr, Iterable[str]]
) -> Explained:
    """The plan of an expression; with a source, how many series its selectors find there now.

    `notes` are what else is known of its parts.
    """
    node = unwrapped(node)
    return Explained(
        _text(node),
        (*_notes(node, source), *notes.get(node, ())),
        tuple(explain(child, source, notes) for child in parts(node)),
    )


def parts(node: Expr) -> Iterator[Expr]:
    """What a part works on, but for constants, which belong to its own text."""
    if not isinstance(node, Range):
        for child in map(unwrapped, children(node)):
            if not _is_constant(child):
                yield child


def _text(node: Expr) -> str:
    match node:
        case Binary(_, left, right):
            return f"{_constant(left)} {operator_text(node)} {_constant(right)}".strip("… ")
        case Aggregation(_, _, parameter):
            first = "" if parameter is None else f"{_constant(parameter)}, "
            return f"{aggregation_head(node)}({first}…)"
        case Call(function, arguments):
            return f"{function}({', '.join(map(_constant, arguments))})"
        case Subquery():
            return subquery_suffix(node)
        case Negation():
            return "-"
        case Number() | String() | Selector() | Range() | Paren():
            return one_line(node)


def _constant(node: Expr) -> str:
    return one_line(unwrapped(node)) if _is_constant(node) else "…"


def _is_constant(node: Expr) -> bool:
    match unwrapped(node):
        case Number() | String():
            return True
        case Negation(expr):
            return _is_constant(expr)
        case Binary(_, left, right):
            return _is_constant(left) and _is_constant(right)
    return False


def _notes(node: Expr, source: SeriesSource | None) -> Iterator[str]:
    match node:
        case Selector(matchers) | Range(Selector(matchers)) if source is not None:
            # A range of time in which nothing lies: the labels alone are wanted.
            count = len(source.latest(matchers, 1, 0).labels)
            yield f"{count:,} series"
        case Call(function, arguments) if function in LIVE:
            if any(_slides(unwrapped(argument)) for argument in arguments):
                yield "kept up as samples arrive"


def _slides(node: Expr) -> bool:
    return isinstance(node, Range) and node.selector.at is None
