"""Which rules late data concerns, and which of them need only the series of its own hosts."""

from __future__ import annotations

from collections.abc import Sequence

import re2

from forewarn_collector.promql.compile import value_type
from forewarn_collector.promql.label_sets import compared
from forewarn_collector.promql.nodes import (
    Aggregation,
    Binary,
    Call,
    Expr,
    Negation,
    Paren,
    Range,
    Selector,
    Subquery,
    ValueType,
    nodes_of,
)
from forewarn_collector.rules.model import RuleSet
from forewarn_collector.rules.narrow import narrowed
from forewarn_collector.rules.order import ordered
from forewarn_collector.rules.triggers import Readers, SeriesNames
from forewarn_collector.store import (
    Figure,
    Ints,
    LatestColumns,
    Matcher,
    MatchOp,
    SeriesColumns,
    SeriesSource,
    select_runs,
    thinned_until,
)
from forewarn_wire import Labels

INSTANCE = "instance"

_ACROSS = frozenset(
    {"absent", "absent_over_time", "scalar", "vector", "info", "label_replace", "label_join"}
)
"""Functions whose result has other labels than what they read."""
_MOST_HOSTS = 200
"""Of more hosts than this all series are read."""


def rules_reading(rules: RuleSet, names: SeriesNames, refs: Ints) -> RuleSet:
    """The rules that read these series, or what such rules record or alert of; and their inputs."""
    order = ordered(list(rules.rules()))
    chosen = set(Readers(order, names).of(refs).tolist())
    waiting = list(chosen)
    while waiting:
        place = waiting.pop()
        more = (order.followers[place] | order.watchers[place]) - chosen
        chosen |= more
        waiting += more
    keys = {order.rules[place].key for place in chosen}
    return narrowed(rules, lambda rule: rule.key in keys)


def keeps_instance(rules: RuleSet) -> tuple[RuleSet, RuleSet]:
    """The alerting rules whose every alert follows from series of one host alone, and the others.

    With what these read of other rules. Rules that read alerts are among the others.
    """
    order = ordered(list(rules.rules()))
    across = {
        place
        for place, rule in enumerate(order.rules)
        if order.watched[place]
        or order.watchers[place]
        or not _keeps(rule.query.expr)
        or INSTANCE in rule.labels
    }
    across.update(*(order.followers[place] for place in across))
    keys = {order.rules[place].key for place in across}
    return (
        narrowed(rules, lambda rule: rule.key not in keys),
        narrowed(rules, lambda rule: rule.key in keys),
    )


class OfHosts:
    """What a source has of some hosts."""

    def __init__(self, source: SeriesSource, hosts: Sequence[str]) -> None:
        self._source = source
        self._matchers: tuple[Matcher, ...] = ()
        if len(hosts) == 1:
            self._matchers = (Matcher(INSTANCE, MatchOp.EQUAL, hosts[0]),)
        elif len(hosts) <= _MOST_HOSTS:
            either = "|".join(map(re2.escape, hosts))
            self._matchers = (Matcher(INSTANCE, MatchOp.REGEX, either),)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._source.select((*matchers, *self._matchers), start, end)

    def thinned_until(self) -> int:
        """See `ThinnedSource`."""
        return thinned_until(self._source)

    def select_runs(
        self, matchers: Sequence[Matcher], start: int, end: int, figures: Figure
    ) -> SeriesColumns:
        """See `ThinnedSource`."""
        return select_runs(self._source, (*matchers, *self._matchers), start, end, figures)

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """See `SeriesSource`."""
        return self._source.latest((*matchers, *self._matchers), start, end)

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._source.read(series, start, end)


def _keeps(node: Expr) -> bool:
    """Whether each element of an expression has an instance and follows from its series alone."""
    match node:
        case Selector():
            return True
        case Range():
            return _keeps(node.selector)
        case Subquery() | Paren() | Negation():
            return _keeps(node.expr)
        case Aggregation():
            kept = (INSTANCE in node.labels) is not node.without
            plain = node.parameter is None or _is_plain(node.parameter)
            return kept and plain and _keeps(node.expr)
        case Binary(left=left, right=right):
            if _is_plain(left) or _is_plain(right):
                return _keeps(left) or _keeps(right)
            return INSTANCE in compared(node.matching) and _keeps(left) and _keeps(right)
        case Call(function=function, arguments=arguments):
            vectors = [each for each in arguments if not _is_plain(each)]
            return function not in _ACROSS and bool(vectors) and all(map(_keeps, vectors))
        case _:
            return False


def _is_plain(node: Expr) -> bool:
    """Whether an expression reads no series."""
    return not any(isinstance(each, Selector) for each in nodes_of(node)) and (
        value_type(node) in {ValueType.SCALAR, ValueType.STRING}
    )
