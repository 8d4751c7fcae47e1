"""What an expression reads: its selectors, and the metrics that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forewarn_collector.promql.nodes import (
    At,
    Binary,
    Call,
    Expr,
    Range,
    Selector,
    Subquery,
    children,
    nodes_of,
    unwrapped,
)
from forewarn_collector.store.columns import Matcher, MatchOp
from forewarn_wire.labels import METRIC_NAME


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


def selectors_of(node: Expr, negated: bool = False) -> Iterator[SelectorInfo]:
    """The leaves of an expression, from left to right."""
    match node:
        case Selector(matchers, offset, at):
            yield SelectorInfo(matchers, 0, offset, at, negated)
        case Range(selector, length):
            yield SelectorInfo(selector.matchers, length, selector.offset, selector.at, negated)
        case Call("absent" | "absent_over_time", arguments):
            for argument in arguments:
                yield from selectors_of(argument, not negated)
        case Call("info", arguments):
            yield from selectors_of(arguments[0], negated)
            info = info_selector(node)
            yield SelectorInfo(info.matchers, 0, info.offset, info.at, negated)
        case Binary("unless", left, right):
            yield from selectors_of(left, negated)
            yield from selectors_of(right, not negated)
        case _:
            for child in children(node):
                yield from selectors_of(child, negated)


_TARGET_INFO = Matcher(METRIC_NAME, MatchOp.EQUAL, "target_info")
_ANY_INFO = Matcher(METRIC_NAME, MatchOp.REGEX, ".+_info")


def info_selector(call: Call) -> Selector:
    """What `info(expr, {matchers})` reads beside `expr`: info metrics at the time of `expr`.

    It is `target_info` unless matchers name others; all that end so if they only name exceptions.
    """
    expr, *others = call.arguments
    matchers = [
        matcher
        for other in map(unwrapped, others)
        if isinstance(other, Selector)
        for matcher in other.matchers
    ]
    names = [matcher for matcher in matchers if matcher.name == METRIC_NAME]
    if not names:
        matchers.insert(0, _TARGET_INFO)
    elif all(matcher.op in (MatchOp.NOT_EQUAL, MatchOp.NOT_REGEX) for matcher in names):
        matchers.insert(0, _ANY_INFO)
    read = next(selectors_of(expr), None)
    offset, at = (read.offset, read.at) if read else (0, None)
    return Selector(tuple(matchers), offset, at)


_OF_THE_QUERY = frozenset({"start", "end", "step", "range"})


def depends_on_steps(expr: Expr) -> bool:
    """Whether an expression may give something else at many times at once than at each alone.

    It may read samples later than its time, which a query of that time would not find yet, or it
    asks for the times of the query itself.
    """
    for node in nodes_of(expr):
        match node:
            case Selector(_, offset, at) | Subquery(offset=offset, at=at):
                if offset < 0 or at is not None:
                    return True
            case Call(function) if function in _OF_THE_QUERY:
                return True
    return False


def reach_of(expr: Expr, lookback: int) -> int:
    """How far before its time (ms) an expression may read samples, fixed times aside."""
    match expr:
        case Selector(_, offset):
            return lookback + offset
        case Range(selector, length):
            return length + selector.offset
        case Subquery(inner, length, _, offset):
            return length + offset + reach_of(inner, lookback)
        case _:
            return max((reach_of(child, lookback) for child in children(expr)), default=0)


_LITERALS = re.compile(r"[A-Za-z0-9_:]+(?:\|[A-Za-z0-9_:]+)*")


def metrics_read(expr: Expr) -> frozenset[str] | None:
    """The metrics that an expression reads; None if its matchers don't tell."""
    names: set[str] = set()
    for selector in selectors_of(expr):
        found = named_metrics(selector.matchers)
        if found is None:
            return None
        names |= found
    return frozenset(names)


def named_metrics(matchers: Sequence[Matcher]) -> set[str] | None:
    """The metrics that matchers allow, None if that can't be told from them."""
    for matcher in matchers:
        if matcher.name != METRIC_NAME:
            continue
        if matcher.op is MatchOp.EQUAL and matcher.value:
            return {matcher.value}
        if matcher.op is MatchOp.REGEX and _LITERALS.fullmatch(matcher.value):
            return set(matcher.value.split("|"))
    return None
