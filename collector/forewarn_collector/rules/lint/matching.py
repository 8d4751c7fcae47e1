"""Selectors that match no series, by the signals that are there."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from forewarn_collector.promql.nodes import Binary, Call, Expr, LabelMatchers, Selector, children
from forewarn_collector.promql.places import matcher_place
from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_collector.rules.lint.signals import Signals
from forewarn_collector.store import Matcher, MatchOp
from forewarn_collector.store.matching import labels_predicate, metric_of
from forewarn_wire.labels import METRIC_NAME

_MOST_VALUES = 5
_OUR_OWN = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


def _find(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    signals = ruleset.signals
    if signals is None:
        return
    for node in dict.fromkeys(_wanted(subject.rule.query.expr)):
        is_named = labels_predicate([each for each in node.matchers if each.name == METRIC_NAME])
        made = any(is_named(((METRIC_NAME, name),)) for name in {*ruleset.recorded, *_OUR_OWN})
        if not (made or signals.exist(node.matchers)):
            yield _remark(subject, node, signals, ruleset.recorded)


def _wanted(node: Expr) -> Iterator[Selector]:
    """The selectors that ought to match: not those whose absence an expression is about."""
    match node:
        case Call("absent" | "absent_over_time"):
            return
        case Binary("unless", left):
            yield from _wanted(left)
        case LabelMatchers():
            return
        case Selector():
            yield node
        case _:
            for child in children(node):
                yield from _wanted(child)


def _remark(
    subject: Subject, node: Selector, signals: Signals, recorded: Collection[str]
) -> Remark:
    metric = metric_of(node.matchers)
    of_metric = [matcher for matcher in node.matchers if matcher.name == METRIC_NAME]
    if metric and not signals.exist(of_metric):
        known = {*signals.metrics(), *recorded}
        return subject.at(
            node.place, f"there is no series of {metric}", _did_you_mean(metric, known)
        )
    text = subject.rule.query.text
    for matcher in node.matchers:
        if matcher.name != METRIC_NAME and not signals.exist([*of_metric, matcher]):
            place = matcher_place(text, node.place, matcher.name)
            message = f"no series of {metric or 'any metric'} has {_text(matcher)}"
            return subject.at(place, message, _values(matcher, of_metric, signals))
    matchers = ", ".join(_text(each) for each in node.matchers if each.name != METRIC_NAME)
    message = f"no series{f' of {metric}' if metric else ''} has all of {matchers}"
    return subject.at(node.place, message, "each of them is met by some series, together by none")


def _values(matcher: Matcher, of_metric: list[Matcher], signals: Signals) -> str:
    values = sorted(set(signals.values(matcher.name, of_metric)) - {""})
    if not values:
        return f"none of them has the label {matcher.name}"
    near = difflib.get_close_matches(matcher.value, values, 1)
    if near and matcher.op is MatchOp.EQUAL:
        return f'did you mean {matcher.name}="{near[0]}"?'
    more = ", ..." if len(values) > _MOST_VALUES else ""
    return f"{matcher.name} is {', '.join(values[:_MOST_VALUES])}{more}"


def _did_you_mean(metric: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(metric, known, 1, cutoff=0.87)
    return f"did you mean {near[0]}?" if near else "nothing sends that metric, or not yet"


def _text(matcher: Matcher) -> str:
    return f'{matcher.name}{matcher.op.value}"{matcher.value}"'


SELECTORS = Lint(
    "selector-matches-nothing",
    "a selector that no series ever met; needs --server or --data",
    _find,
)
