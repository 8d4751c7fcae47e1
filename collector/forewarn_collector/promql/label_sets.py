"""Which labels the series of an expression certainly have, may have, or cannot have.

It is told from the expression alone, and is sound: whatever the samples, no label of a result is
one that it cannot have. `__name__` counts as a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import re2

from forewarn_collector.promql.compile import value_type
from forewarn_collector.promql.functions.presence import labels_wanted
from forewarn_collector.promql.nodes import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Expr,
    Matching,
    Negation,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
    ValueType,
    unwrapped,
)
from forewarn_collector.promql.operators import ARITHMETIC
from forewarn_collector.promql.parse import SET_OPERATORS
from forewarn_collector.promql.ranking import RANKINGS
from forewarn_collector.store.columns import Matcher, MatchOp
from forewarn_collector.store.matching import predicate
from forewarn_wire.labels import METRIC_NAME


@dataclass(frozen=True, slots=True)
class Names:
    """A set of label names: those `listed`, or (`others`) all but those listed."""

    listed: frozenset[str] = frozenset()
    others: bool = False

    def __contains__(self, name: str) -> bool:
        return (name in self.listed) is not self.others

    def __and__(self, other: Names) -> Names:
        if self.others and other.others:
            return Names(self.listed | other.listed, True)
        if self.others or other.others:
            finite, cofinite = (other, self) if self.others else (self, other)
            return Names(finite.listed - cofinite.listed)
        return Names(self.listed & other.listed)

    def __invert__(self) -> Names:
        return Names(self.listed, not self.others)

    def __or__(self, other: Names) -> Names:
        return ~(~self & ~other)

    def __sub__(self, other: Names) -> Names:
        return self & ~other

    def of(self, names: Iterable[str]) -> frozenset[str]:
        """Those of some names that are in the set."""
        return frozenset(name for name in names if name in self)

    @property
    def known(self) -> frozenset[str] | None:
        """The names, if there is an end to them."""
        return None if self.others else self.listed


NO_NAMES = Names()


def names(*listed: str) -> Names:
    """The set of some names."""
    return Names(frozenset(listed))


_THE_NAME = names(METRIC_NAME)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of each series of a vector.

    `certain` are those that every series has, `possible` those that one may have. `fixed` are
    labels that have the same value on all of them, which is empty where none has that label.
    """

    possible: Names = NO_NAMES
    certain: frozenset[str] = frozenset()
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def varying(self) -> Names:
        """The labels by which two of the series may differ."""
        return self.possible - Names(frozenset(self.fixed))

    def only(self, kept: Names) -> LabelSet:
        """The same without the labels that are not kept."""
        fixed = {name: value for name, value in self.fixed.items() if name in kept}
        return LabelSet(self.possible & kept, kept.of(self.certain), fixed)

    def with_label(self, name: str, value: str | None = None, *, certain: bool) -> LabelSet:
        """The same with a label set anew, whose value may be known."""
        without = self.only(~names(name))
        return LabelSet(
            without.possible | names(name),
            without.certain | {name} if certain else without.certain,
            without.fixed if value is None else {**without.fixed, name: value},
        )


def label_set(node: Expr) -> LabelSet:
    """The labels of what an expression gives; a scalar has none."""
    match node:
        case Paren(expr) | Subquery(expr):
            return label_set(expr)
        case Number() | String():
            return LabelSet()
        case Selector(matchers) | Range(Selector(matchers)):
            return _of_matchers(matchers)
        case Negation(expr):
            return label_set(expr).only(~_THE_NAME)
        case Aggregation():
            return _of_aggregation(node)
        case Binary():
            return _of_binary(node)
        case Call():
            return _of_call(node)


def compared(matching: Matching) -> Names:
    """The labels that must be alike for two series to match."""
    listed = Names(frozenset(matching.labels))
    return listed if matching.on else ~(listed | _THE_NAME)


def unique_on(node: Expr, alike: Names) -> bool:
    """Whether no two series of a vector can be alike in these labels, as far as it is known."""
    if label_set(node).varying - alike == NO_NAMES:
        return True
    match unwrapped(node):
        case Aggregation(operator, expr, parameter) as aggregation:
            kept = _grouped_by(aggregation)
            if operator in RANKINGS or operator == "limit_ratio":
                one_each = operator != "limit_ratio" and parameter == Number(1.0)
                return (one_each and kept - alike == NO_NAMES) or unique_on(expr, alike)
            return operator != "count_values" and unique_on(expr, alike & kept)
        case Negation(expr) | Subquery(expr):
            return unique_on(expr, alike)
        case Binary("or"):
            return False
        case Binary(_, left, right, _, matching):
            if value_type(left) is ValueType.SCALAR:
                return unique_on(right, alike)
            # Each element comes of one of the side that may repeat.
            one_to_many = matching.cardinality is Cardinality.ONE_TO_MANY
            if matching.cardinality is Cardinality.ONE_TO_ONE and value_type(right) is not (
                ValueType.SCALAR
            ):
                alike &= compared(matching)
            return matching.fills == (None, None) and unique_on(
                right if one_to_many else left, alike - names(*matching.include)
            )
        case Call(function, arguments) if function not in _CHANGES_LABELS:
            vector = _vector_argument(arguments)
            return vector is not None and unique_on(vector, alike)
    return False


def _of_matchers(matchers: Iterable[Matcher]) -> LabelSet:
    certain: set[str] = set()
    fixed: dict[str, str] = {}
    for matcher in matchers:
        if matcher.op is MatchOp.EQUAL:
            fixed[matcher.name] = matcher.value
        if not predicate(matcher)(""):
            certain.add(matcher.name)
    lacking = {name for name, value in fixed.items() if not value}
    return LabelSet(~names(*lacking), frozenset(certain - lacking), fixed)


def _of_aggregation(node: Aggregation) -> LabelSet:
    argument = label_set(node.expr)
    if node.operator in RANKINGS or node.operator == "limit_ratio":
        return argument
    grouped = argument.only(_grouped_by(node))
    if node.operator == "count_values" and isinstance(node.parameter, String | Paren):
        name = _text(node.parameter)
        if not (node.without and name in {*node.labels, METRIC_NAME}):
            return grouped.with_label(name, certain=True)
    return grouped


def _grouped_by(node: Aggregation) -> Names:
    listed = Names(frozenset(node.labels))
    return ~(listed | _THE_NAME) if node.without else listed


def _of_binary(node: Binary) -> LabelSet:
    drops_name = node.operator in ARITHMETIC or node.returns_bool
    left, right = label_set(node.left), label_set(node.right)
    scalars = [value_type(side) is ValueType.SCALAR for side in (node.left, node.right)]
    if any(scalars):
        vector = right if scalars[0] else left
        return vector.only(~_THE_NAME) if drops_name else vector
    alike = compared(node.matching)
    if node.operator == "or":
        fixed = {
            name: value for name, value in left.fixed.items() if right.fixed.get(name) == value
        }
        return LabelSet(left.possible | right.possible, left.certain & right.certain, fixed)
    if node.operator == "unless":
        return left
    if node.operator in SET_OPERATORS:
        return _matched(left, right, alike)
    many, one = left, right
    if node.matching.cardinality is Cardinality.ONE_TO_MANY:
        many, one = right, left
    return _of_pairs(node.matching, many, one, drops_name=drops_name)


def _of_pairs(matching: Matching, many: LabelSet, one: LabelSet, *, drops_name: bool) -> LabelSet:
    alike = compared(matching)
    result = _matched(many, one, alike)
    if matching.fills != (None, None):
        # A side that is filled in has the labels that were compared, as far as the other has them.
        result = LabelSet(many.possible | (one.possible & alike))
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        result = result.only(alike if matching.on else alike | _THE_NAME)
    if drops_name:
        result = result.only(~_THE_NAME)
    for name in matching.include:
        result = result.only(~names(name))
        # A name that is dropped at last may still be there to be taken over.
        if name in one.possible or name == METRIC_NAME:
            certain = name in one.certain and matching.fills == (None, None)
            result = result.with_label(
                name, one.fixed.get(name) if certain else None, certain=certain
            )
    return result


def _matched(many: LabelSet, one: LabelSet, alike: Names) -> LabelSet:
    """The `many` side's labels where each of its series has one of the other that is alike."""
    return LabelSet(
        (many.possible & one.possible & alike) | (many.possible - alike),
        many.certain | alike.of(one.certain),
        {**one.only(alike).fixed, **many.fixed},
    )


_OF_BUCKETS = {"histogram_quantile": 1, "histogram_fraction": 2, "histogram_quantiles": 0}
_KEEPS_LABELS = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc"})
_CHANGES_LABELS = frozenset({"label_replace", "label_join", "info", *_OF_BUCKETS})
_KEEPS_NAME = frozenset({"last_over_time", "first_over_time"})


def _of_call(node: Call) -> LabelSet:
    function, arguments = node.function, node.arguments
    if function in {"absent", "absent_over_time"}:
        wanted = dict(labels_wanted(arguments[0]))
        return LabelSet(names(*wanted), frozenset(wanted), wanted)
    if function in _OF_BUCKETS:
        buckets = label_set(arguments[_OF_BUCKETS[function]]).only(~names(METRIC_NAME, "le"))
        if function == "histogram_quantiles":
            return buckets.with_label(_text(arguments[1]), certain=True)
        return buckets
    if function == "label_replace":
        return _of_label_replace(arguments)
    if function == "label_join":
        return _of_label_join(arguments)
    if function == "info":
        return _of_info(arguments)
    vector = _vector_argument(arguments)
    if vector is None:
        return LabelSet()
    found = label_set(vector)
    return found if function in _KEEPS_LABELS | _KEEPS_NAME else found.only(~_THE_NAME)


def _vector_argument(arguments: tuple[Expr, ...]) -> Expr | None:
    kinds = {ValueType.VECTOR, ValueType.MATRIX}
    return next((argument for argument in arguments if value_type(argument) in kinds), None)


def _of_label_replace(arguments: tuple[Expr, ...]) -> LabelSet:
    found = label_set(arguments[0])
    target, replacement, source, pattern = map(_text, arguments[1:])
    constant = bool(replacement) and "$" not in replacement
    nothing = not _readable(source, found) and re2.fullmatch(f"(?s:{pattern})", "") is not None
    if constant and (nothing or pattern in {".*", "(.*)"}):
        return found.with_label(target, replacement, certain=True)
    return found.with_label(target, certain=constant and target in found.certain)


def _of_label_join(arguments: tuple[Expr, ...]) -> LabelSet:
    found = label_set(arguments[0])
    target, separator, *sources = map(_text, arguments[1:])
    filled = bool(separator) and len(sources) > 1
    if not filled and not any(_readable(source, found) for source in sources):
        return found.only(~names(target))
    return found.with_label(target, certain=filled or not found.certain.isdisjoint(sources))


def _readable(name: str, found: LabelSet) -> bool:
    """Whether a function may find that label; a name that is dropped at last may still be there."""
    return name in found.possible or name == METRIC_NAME


def _of_info(arguments: tuple[Expr, ...]) -> LabelSet:
    found = label_set(arguments[0])
    wanted = {
        matcher.name
        for selector in arguments[1:]
        if isinstance(selector, Selector)
        for matcher in selector.matchers
    } - {METRIC_NAME}
    added = names(*wanted) if wanted else ~_THE_NAME
    fixed = {name: value for name, value in found.fixed.items() if value or name not in added}
    return LabelSet(found.possible | added, found.certain, fixed)


def _text(node: Expr) -> str:
    while isinstance(node, Paren):
        node = node.expr
    return node.value if isinstance(node, String) else ""
