"""Operators between two vectors that can fail, or never match, by the labels of their sides."""

from __future__ import annotations

from collections.abc import Iterator

from forewarn_collector.promql.compile import value_type
from forewarn_collector.promql.label_sets import LabelSet, Names, compared, label_set, unique_on
from forewarn_collector.promql.nodes import (
    Binary,
    Cardinality,
    Expr,
    Selector,
    ValueType,
    nodes_of,
    unwrapped,
)
from forewarn_collector.promql.pretty import one_line
from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_collector.rules.lint.signals import Signals
from forewarn_collector.store.matching import metric_of
from forewarn_wire.labels import METRIC_NAME

_SET_OPERATORS = frozenset({"and", "or", "unless"})


def _joins(node: Expr) -> Iterator[Binary]:
    for found in nodes_of(node):
        if isinstance(found, Binary) and (
            value_type(found.left) is value_type(found.right) is ValueType.VECTOR
        ):
            yield found


# A side that must be unique, and is not


def _find_repeated(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    for join in _joins(subject.rule.query.expr):
        if join.operator in _SET_OPERATORS:
            continue
        for side, expr in _sides_that_must_be_unique(join):
            repeated = _repeated(join, expr, ruleset.signals)
            if repeated is not None:
                message = f"the {side} side of {join.operator} {repeated}"
                yield subject.at(join.place, message, _remedy(join, side))
                break


def _sides_that_must_be_unique(join: Binary) -> Iterator[tuple[str, Expr]]:
    match join.matching.cardinality:
        case Cardinality.MANY_TO_ONE:
            yield "right", join.right
        case Cardinality.ONE_TO_MANY:
            yield "left", join.left
        case _:
            yield "left", join.left
            yield "right", join.right


def _repeated(join: Binary, side: Expr, signals: Signals | None) -> str | None:
    """Why several series of a side may be alike in the labels that are compared; None if not."""
    labels = label_set(side)
    left_over = labels.varying - compared(join.matching)
    where = _compared_text(join)
    if unique_on(side, compared(join.matching)):
        return None
    if signals is not None:
        return _really_repeated(join, side, where, signals)
    # Of a selector's series it is not known which labels they have, but for those that it names.
    several = left_over.of(labels.certain) if labels.possible.others else left_over.listed
    if several - {METRIC_NAME}:
        names = ", ".join(sorted(several - {METRIC_NAME}))
        return f"may have several series with the same {where}: they differ in {names}"
    if join.matching.on and not _is_info(side):
        return f"may have several series with the same {where}: nothing makes them unique"
    return None


def _really_repeated(join: Binary, side: Expr, where: str, signals: Signals) -> str | None:
    word = "by" if join.matching.on else "without"
    labels = ", ".join(join.matching.labels)
    found = signals.vector(f"count {word} ({labels}) ({one_line(side)}) > 1")
    if not found:
        return None
    group, count = max(found, key=lambda element: element[1])
    texts = ", ".join(f'{name}="{value}"' for name, value in group)
    return f"has {count:.0f} series with the same {where}, such as {{{texts}}}"


def _compared_text(join: Binary) -> str:
    labels = ", ".join(join.matching.labels)
    if join.matching.on:
        return labels or "labels, as on () compares none"
    return f"labels other than {labels}" if labels else "labels"


def _is_info(side: Expr) -> bool:
    """Whether a side is an info metric: of these there is one for what it is about."""
    side = unwrapped(side)
    return isinstance(side, Selector) and metric_of(side.matchers).endswith("_info")


def _remedy(join: Binary, side: str) -> str:
    labels = ", ".join(join.matching.labels)
    by = f"by ({labels})" if join.matching.on else f"without ({labels})"
    text = f"aggregate that side {by}, such as max {by} (...)"
    if join.matching.cardinality is Cardinality.ONE_TO_ONE:
        group = "group_left" if side == "left" else "group_right"
        text += f", compare more labels, or write {group} () if it may have several"
    return text


# A label that one side must have and the other cannot have


def _find_unmatched(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    for join in _joins(subject.rule.query.expr):
        if join.operator == "or" or join.matching.fills != (None, None):
            continue
        left, right = label_set(join.left), label_set(join.right)
        reason = _mismatch(left, right, compared(join.matching))
        if reason is not None:
            message = f"the two sides of {join.operator} never match: {reason}"
            remedy = "compare labels that both sides have, with on (...) or ignoring (...)"
            yield subject.at(join.place, message, remedy)


def _mismatch(left: LabelSet, right: LabelSet, alike: Names) -> str | None:
    for one, other, side in ((left, right, "right"), (right, left, "left")):
        lacking = sorted(name for name in alike.of(one.certain) if name not in other.possible)
        if lacking:
            return f"the {side} one never has the label {lacking[0]}, the other always has"
    for name in sorted(alike.of(left.fixed.keys() & right.fixed.keys())):
        if left.fixed[name] != right.fixed[name]:
            return f'{name}="{left.fixed[name]}" on the left, "{right.fixed[name]}" on the right'
    return None


REPEATED = Lint(
    "join-not-unique",
    "a join whose match fails as soon as a side has two series alike in the labels compared",
    _find_repeated,
)
UNMATCHED = Lint(
    "join-never-matches",
    "a join whose sides cannot have the same labels",
    _find_unmatched,
)
