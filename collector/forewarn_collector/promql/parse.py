"""Text to syntax tree: the library `promql-parser` reads, its tree is converted once into ours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import promql_parser
import re2

from forewarn_collector.promql.complaints import complaint, regex_fault
from forewarn_collector.promql.errors import Position, PromQLError
from forewarn_collector.promql.lexer import (
    Rewritten,
    Token,
    check_durations,
    position,
    regexes,
    rewritten,
    tokenize,
)
from forewarn_collector.promql.nodes import (
    Aggregation,
    At,
    AtEdge,
    Binary,
    Call,
    Cardinality,
    Expr,
    LabelMatchers,
    Matching,
    Negation,
    Number,
    Paren,
    Places,
    Range,
    Selector,
    String,
    Subquery,
    brackets_around,
)
from forewarn_collector.promql.places import (
    CallPlace,
    call_places,
    info_braces,
    operator_starts,
    selector_starts,
)
from forewarn_collector.store.columns import Matcher, MatchOp
from forewarn_wire.labels import METRIC_NAME

DEEPEST = 200
"""Levels of nesting; each costs frames of Python's stack when it is evaluated."""


def parse(text: str) -> Expr:
    """Read an expression; raises `PromQLError`."""
    tokens = tokenize(text)
    check_durations(text, tokens)
    words = rewritten(tokens, frozenset(info_braces(tokens)))
    words, patterns = _without_regexes(text, tokens, words)
    try:
        node = promql_parser.parse("".join(words.texts))
    except ValueError as error:
        raise complaint(text, tokens, words, str(error)) from None
    except RecursionError:
        raise PromQLError(f"nested deeper than {DEEPEST} levels") from None
    try:
        return _Converter(text, tokens, words, patterns).expr(node, 0)
    except PromQLError:
        raise
    except (ValueError, OverflowError) as error:
        # The library reads durations that it cannot hand out.
        raise PromQLError(f"duration out of range: {error}") from None


def _without_regexes(
    text: str, tokens: Sequence[Token], words: Rewritten
) -> tuple[Rewritten, Sequence[str]]:
    """The words with numbers in place of regexes, and those.

    The library would check them with the syntax of Rust; the store and Prometheus use RE2's. It
    still learns of each whether it matches the empty string.
    """
    texts = list(words.texts)
    patterns: list[str] = []
    for index, label in regexes(tokens):
        try:
            literal: Any = promql_parser.parse(texts[index])
        except ValueError:
            continue  # an escape that is none, of which the library will tell
        try:
            matches_nothing = re2.compile(literal.val, _quiet()).fullmatch("") is not None
        except re2.error as error:
            place = position(text, tokens[label].start)
            raise PromQLError(f"error parsing regexp: {regex_fault(error)}", place) from None
        texts[index] = f'"{len(patterns)}|{".*" if matches_nothing else ".+"}"'
        patterns.append(literal.val)
    return Rewritten(tuple(texts), words.times), patterns


class _Converter:
    """Walks the library's tree; times of `@` and regexes come from tables."""

    def __init__(
        self, text: str, tokens: Sequence[Token], words: Rewritten, patterns: Sequence[str]
    ) -> None:
        self._text = text
        self._tokens = tokens
        self._times = words.times
        self._regexes = patterns
        # Nodes are met in the order in which they are written, an operator after its left side.
        self._calls = call_places(tokens)
        self._selectors = selector_starts(tokens)
        self._operators = operator_starts(tokens)

    def expr(self, node: Any, depth: int) -> Expr:
        if depth > DEEPEST:
            raise PromQLError(f"nested deeper than {DEEPEST} levels")
        below = depth + 1
        match type(node).__name__:
            case "NumberLiteral":
                return Number(float(node.val))
            case "StringLiteral":
                return String(node.val)
            case "ParenExpr":
                return Paren(self.expr(node.expr, below))
            case "UnaryExpr":
                return Negation(self.expr(node.expr, below))
            case "VectorSelector":
                return self._selector(node)
            case "MatrixSelector":
                return Range(self._selector(node.vector_selector), _ms(node.range))
            case "SubqueryExpr":
                return Subquery(
                    self.expr(node.expr, below),
                    _ms(node.range),
                    None if node.step is None else _ms(node.step),
                    _ms(node.offset),
                    self._at(node.at),
                )
            case "Call":
                call = next(self._calls, None)
                arguments = tuple(self.expr(argument, below) for argument in node.args)
                if node.func.name == "info" and len(arguments) > 1:
                    arguments = arguments[0], self._label_matchers(node.args[1], call)
                return Call(node.func.name, arguments, self._places(call, arguments))
            case "AggregateExpr":
                return self._aggregation(node, below)
            case "BinaryExpr":
                return self._binary(node, below)
        raise PromQLError(f"unknown kind of expression: {type(node).__name__}")

    def _selector(self, node: Any) -> Selector:
        place = self._next(self._selectors)
        if node.matchers.or_matchers:
            message = 'unexpected identifier "or" in label matching, expected "," or "}"'
            raise PromQLError(message, self._place_of("or"))
        matchers = [
            self._matcher(matcher.name, _MATCH_OPS[str(matcher.op)], matcher.value)
            for matcher in node.matchers.matchers
        ]
        if node.name is not None:
            matchers.insert(0, Matcher(METRIC_NAME, MatchOp.EQUAL, node.name))
        return Selector(tuple(matchers), _ms(node.offset), self._at(node.at), place)

    def _label_matchers(self, node: Any, call: CallPlace | None) -> LabelMatchers:
        """The second argument of `info`, less the matcher that was put in for the library."""
        selector = self.expr(node, 0)
        if not isinstance(selector, Selector) or node.name is not None:
            place = position(self._text, call.argument_start(1, 0)) if call else None
            kind = "vector selector" if isinstance(selector, Selector) else "expression"
            raise PromQLError(f"expected label selectors only, got {kind} instead", place)
        put_in = Matcher(METRIC_NAME, MatchOp.NOT_EQUAL, "")
        matchers = tuple(each for each in selector.matchers if each != put_in)
        return LabelMatchers(matchers, place=selector.place)

    def _matcher(self, name: str, op: MatchOp, value: str) -> Matcher:
        if op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
            value = self._regexes[int(value.partition("|")[0])]
        return Matcher(name, op, value)

    def _at(self, modifier: Any) -> At:
        if modifier is None:
            return None
        match str(modifier.type):
            case "AtModifierType.Start":
                return AtEdge.START
            case "AtModifierType.End":
                return AtEdge.END
        time = self._times[int(modifier.at.timestamp())]
        if not abs(time) < 2**62:
            raise PromQLError(f"timestamp out of bounds for @ modifier: {time / 1000:f}")
        return math.floor(time + 0.5)

    def _aggregation(self, node: Any, depth: int) -> Expr:
        modifier = node.modifier
        call = next(self._calls, None)
        # As they are written, so that their calls are met in their order.
        parameter = None if node.param is None else self.expr(node.param, depth)
        expr = self.expr(node.expr, depth)
        return Aggregation(
            str(node.op),
            expr,
            parameter,
            () if modifier is None else tuple(modifier.labels),
            modifier is not None and str(modifier.type) == "AggModifierType.Without",
            self._places(call, (expr,) if parameter is None else (parameter, expr)),
        )

    def _places(self, call: CallPlace | None, arguments: Sequence[Expr]) -> Places | None:
        if call is None or len(call.arguments) != len(arguments):
            return None
        starts = [
            call.argument_start(index, brackets_around(argument))
            for index, argument in enumerate(arguments)
        ]
        return Places(
            position(self._text, call.start),
            tuple(position(self._text, start) for start in starts),
        )

    def _binary(self, node: Any, depth: int) -> Expr:
        left = self.expr(node.lhs, depth)
        place = self._next(self._operators)
        right = self.expr(node.rhs, depth)
        operator = str(node.op).strip()
        modifier = node.modifier
        many = Cardinality.MANY_TO_MANY if operator in SET_OPERATORS else Cardinality.ONE_TO_ONE
        if modifier is None:
            return Binary(operator, left, right, False, Matching(many), place)
        matching = modifier.matching
        fills = modifier.fill_values
        return Binary(
            operator,
            left,
            right,
            modifier.return_bool,
            Matching(
                _CARDINALITIES[str(modifier.card)],
                matching is not None and str(matching.type) == "LabelModifierType.Include",
                () if matching is None else tuple(matching.labels),
                tuple(modifier.group_labels or ()),
                (None, None) if fills is None else (fills.lhs, fills.rhs),
            ),
            place,
        )

    def _next(self, starts: Iterator[int]) -> Position | None:
        start = next(starts, None)
        return None if start is None else position(self._text, start)

    def _place_of(self, word: str) -> Position | None:
        for token in self._tokens:
            if token.text.lower() == word:
                return position(self._text, token.start)
        return None


SET_OPERATORS = frozenset({"and", "or", "unless"})

_MATCH_OPS = {
    "MatchOp.Equal": MatchOp.EQUAL,
    "MatchOp.NotEqual": MatchOp.NOT_EQUAL,
    "MatchOp.Re": MatchOp.REGEX,
    "MatchOp.NotRe": MatchOp.NOT_REGEX,
}
_CARDINALITIES = {
    "VectorMatchCardinality.OneToOne": Cardinality.ONE_TO_ONE,
    "VectorMatchCardinality.ManyToOne": Cardinality.MANY_TO_ONE,
    "VectorMatchCardinality.OneToMany": Cardinality.ONE_TO_MANY,
    "VectorMatchCardinality.ManyToMany": Cardinality.MANY_TO_MANY,
}


def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def _ms(duration: timedelta | None) -> int:
    return 0 if duration is None else round(duration / timedelta(milliseconds=1))
