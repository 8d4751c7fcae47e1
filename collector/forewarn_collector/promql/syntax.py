"""The first word at which a text stops to be PromQL, in the words of Prometheus' own parser.

The library that parses says of most errors only that there is one. This is no second parser: it
finds what breaks the order of operands and operators, brackets, matchers and lists of labels.
Source of the wording: prometheus/prometheus `promql/parser/parse.go` and `lex.go`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from forewarn_collector.promql.lexer import Kind, Token

_OPENING = {"(": ")", "[": "]"}
_CLOSING = {")": "parenthesis", "]": "bracket"}
_WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_COMPARISONS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_INFIX = frozenset({"*", "/", "%", "^", "+", "-"}) | _COMPARISONS
_SIGNS = frozenset({"+", "-"})
_MATCHING = frozenset({"=", "!=", "=~", "!~"})
_AGGREGATORS = frozenset(
    {"sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk"}
    | {"count_values", "quantile", "limitk", "limit_ratio"}
)
_GROUPING = frozenset({"by", "without"})
_JOINING = frozenset({"on", "ignoring", "group_left", "group_right"})
_KEYWORDS = _GROUPING | _JOINING | {"bool", "offset", "fill", "fill_left", "fill_right"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and the index of the character where it shows."""

    start: int
    message: str


class _UnexpectedError(Exception):
    def __init__(self, token: Token | None, context: str = "") -> None:
        super().__init__(context)
        self.token = token
        self.context = context


def find_fault(tokens: Sequence[Token]) -> Fault | None:
    """The first fault of the order of words; None if there is none of that kind."""
    words = [token for token in tokens if token.kind is not Kind.SPACE]
    end = tokens[-1].start + len(tokens[-1].text) if tokens else 0
    glued = _glued_number(tokens)
    try:
        fault = _Reader(words).read(end)
    except _UnexpectedError as wrong:
        fault = _unexpected(tokens, wrong, end)
    if glued is None or (fault is not None and fault.start < glued.start):
        return fault
    return glued


def _unexpected(tokens: Sequence[Token], wrong: _UnexpectedError, end: int) -> Fault:
    token = wrong.token
    in_braces = "label matching" in wrong.context
    inside = " inside braces" if in_braces else ""
    if token is None:
        return Fault(end, f"unexpected end of input{inside or wrong.context}")
    if token.text == "!" and token is not tokens[-1]:
        after = tokens[tokens.index(token) + 1].text[0]
        return Fault(token.start, f"unexpected character after '!'{inside}: {after!r}")
    if token.text == "=~" and not in_braces:
        return Fault(token.start, "unexpected character after '=': '~'")
    misplaced = token.kind is Kind.NUMBER if in_braces else token.text == "}"
    if token.kind is Kind.OTHER or misplaced:
        return Fault(token.start, f"unexpected character{inside}: {token.text[0]!r}")
    if token.text in _CLOSING and not wrong.context:
        return Fault(token.start, f"unexpected right {_CLOSING[token.text]} {token.text!r}")
    shown = described(token, in_braces=in_braces)
    return Fault(token.start, f"unexpected {shown}{wrong.context}")


def _glued_number(tokens: Sequence[Token]) -> Fault | None:
    """A number that letters or further digits follow."""
    for token, after in pairwise(tokens):
        if token.kind is Kind.NUMBER and (after.text[0].isalnum() or after.text[0] == "_"):
            shown = token.text + (after.text if after.kind is Kind.NUMBER else "")
            return Fault(token.start, f'bad number or duration syntax: "{shown}"')
    return None


def described(token: Token, *, in_braces: bool = False) -> str:
    """A word as the parser names it; within braces there are no keywords."""
    text, lower = token.text, token.text.lower()
    if token.kind is Kind.STRING:
        return f"string {json.dumps(text, ensure_ascii=False)}"
    if token.kind is Kind.NUMBER:
        kind = "duration" if text[-1] in "smhdwy" else "number"
        return f'{kind} "{text}"'
    if in_braces and token.kind is Kind.NAME:
        return f'identifier "{text}"'
    if lower in _KEYWORDS:
        return f"<{text}>"
    if lower in _WORD_OPERATORS or text in (_INFIX | _MATCHING) - {"="}:
        return f"<op:{text}>"
    if lower in _AGGREGATORS:
        return f"<aggr:{text}>"
    if token.kind is Kind.NAME:
        return f'{"metric identifier" if ":" in text else "identifier"} "{text}"'
    return f'"{text}"'


class _Reader:
    """Goes through the words once; `operand` tells that one is complete."""

    def __init__(self, words: Sequence[Token]) -> None:
        self._words = words
        self._index = 0
        self._opened: list[int] = []
        self._operand = False
        self._owner: int | None = None  # the word before the bracket that was closed last

    def read(self, end: int) -> Fault | None:
        while self._index < len(self._words):
            fault = self._word(self._words[self._index])
            if fault is not None:
                return fault
            self._index += 1
        if self._opened:
            # Brackets do not nest, parentheses are counted: these are looked at first.
            parenthesis = any(self._words[index].text == "(" for index in self._opened)
            return Fault(end, f"unclosed left {'parenthesis' if parenthesis else 'bracket'}")
        if self._words and not self._operand:
            raise _UnexpectedError(None)
        return None

    def _word(self, token: Token) -> Fault | None:
        text, lower = token.text, token.text.lower()
        inside = self._words[self._opened[-1]].text if self._opened else ""
        if inside == "[" and text != "]":
            return None
        if text in _OPENING:
            self._open(token)
        elif text == ")" and self._before().text == ",":
            return Fault(self._before().start, "trailing commas not allowed in function call args")
        elif text in _OPENING.values():
            self._close(token)
        elif text == "{":
            if self._operand and self._before().kind is not Kind.NAME:
                raise _UnexpectedError(token)
            self._matchers()
        elif lower in _GROUPING:
            self._grouping(token)
        elif lower in _JOINING:
            if self._operand or not self._index:
                raise _UnexpectedError(token)
            if self._peek() == "(" or lower in ("on", "ignoring"):
                self._labels()
        elif text == "@":
            self._time(token)
        elif lower == "offset":
            self._duration(token)
        elif lower == "bool":
            before = self._before()
            if before.text in _INFIX - _COMPARISONS or before.text.lower() in _WORD_OPERATORS:
                message = "bool modifier can only be used on comparison operators"
                return Fault(before.start, message)
            if before.text not in _COMPARISONS:
                raise _UnexpectedError(token)
        elif text in _INFIX or lower in _WORD_OPERATORS:
            if not self._operand and text not in _SIGNS:
                raise _UnexpectedError(token)
            self._operand = False
        elif text == ",":
            if inside != "(" or not self._operand:
                raise _UnexpectedError(token)
            self._operand = False
        elif lower in ("fill", "fill_left", "fill_right") and self._peek() == "(":
            self._index += 3  # a number in brackets, or two words and the sign of it
            while self._index < len(self._words) and self._words[self._index].text != ")":
                self._index += 1
        else:
            if self._operand or token.kind in (Kind.OPERATOR, Kind.OTHER):
                raise _UnexpectedError(token)
            self._operand = True
        return None

    def _before(self) -> Token:
        return self._words[self._index - 1] if self._index else Token(Kind.SPACE, "", 0)

    def _peek(self) -> str:
        after = self._words[self._index + 1 : self._index + 2]
        return after[0].text if after else ""

    def _next(self) -> Token | None:
        self._index += 1
        return self._words[self._index] if self._index < len(self._words) else None

    def _open(self, token: Token) -> None:
        if token.text == "[" and not self._operand:
            raise _UnexpectedError(token)
        if token.text == "(" and self._operand and self._before().kind is not Kind.NAME:
            raise _UnexpectedError(token)
        self._opened.append(self._index)
        self._operand = False

    def _close(self, token: Token) -> None:
        if not self._opened or _OPENING[self._words[self._opened[-1]].text] != token.text:
            raise _UnexpectedError(token)
        opened = self._opened.pop()
        if token.text == ")" and not self._operand and self._before().text != "(":
            raise _UnexpectedError(token)
        self._operand, self._owner = True, opened - 1

    def _matchers(self) -> None:
        where = " in label matching, expected "
        token = self._next()
        while token is None or token.text != "}":
            if token is None or token.kind not in (Kind.NAME, Kind.STRING):
                raise _UnexpectedError(token, f'{where}identifier or "}}"')
            quoted = token.kind is Kind.STRING
            token = self._next()
            if not (quoted and token is not None and token.text in (",", "}")):
                if token is None or token.text not in _MATCHING:
                    raise _UnexpectedError(token, f"{where}label matching operator")
                value = self._next()
                if value is None or value.kind is not Kind.STRING:
                    raise _UnexpectedError(value, f"{where}string")
                token = self._next()
            if token is not None and token.text == ",":
                token = self._next()
            elif token is None or token.text != "}":
                raise _UnexpectedError(token, f'{where}"," or "}}"')
        self._operand = True

    def _grouping(self, token: Token) -> None:
        before = self._before()
        owner = before
        if before.text == ")" and self._owner is not None:
            owner = self._words[self._owner]
        if owner.text.lower() not in _AGGREGATORS:
            raise _UnexpectedError(token)
        self._labels()
        if before.text != ")":
            opening = self._next()
            if opening is None or opening.text != "(":
                raise _UnexpectedError(opening, " in aggregation")
            self._opened.append(self._index)
            self._operand = False

    def _labels(self) -> None:
        where = " in grouping opts, expected "
        opening = self._next()
        if opening is None or opening.text != "(":
            raise _UnexpectedError(opening, f'{where}"("')
        token = self._next()
        while token is None or token.text != ")":
            if token is None or token.kind not in (Kind.NAME, Kind.STRING):
                raise _UnexpectedError(token, f"{where}label")
            token = self._next()
            if token is not None and token.text == ",":
                token = self._next()
            elif token is None or token.text != ")":
                raise _UnexpectedError(token, f'{where}"," or ")"')

    def _time(self, token: Token) -> None:
        if not self._operand:
            raise _UnexpectedError(token)
        time = self._signed()
        if time is not None and time.text in ("start", "end") and self._peek() == "(":
            self._index += 2
        elif time is None or not (time.kind is Kind.NUMBER or time.text.lower() in ("inf", "nan")):
            raise _UnexpectedError(time, " in @, expected timestamp")

    def _duration(self, token: Token) -> None:
        if not self._operand:
            raise _UnexpectedError(token)
        duration = self._signed()
        if duration is None or duration.kind is not Kind.NUMBER:
            raise _UnexpectedError(duration, " in offset, expected duration")

    def _signed(self) -> Token | None:
        token = self._next()
        while token is not None and token.text in _SIGNS:
            token = self._next()
        return token
