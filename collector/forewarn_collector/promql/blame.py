"""Which word Prometheus points at for an error of which the library tells the message alone.

Source of the places: prometheus/prometheus `promql/parser/parse.go`, checkAST and addOffset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from forewarn_collector.promql.lexer import Kind, Token

MOST_TRIES = 2_000
"""Parts of a refused expression that are tried alone."""

Refusal = Callable[[str], str | None]
"""The message with which the library refuses a text; None if it reads it."""

_SET_OPERATORS = frozenset({"and", "or", "unless"})
_OPERATORS = frozenset("+-*/%^<>") | {"==", "!=", "<=", ">=", "atan2"} | _SET_OPERATORS
_MATCHING = frozenset(
    {"bool", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"}
)
_NO_NAMES = _OPERATORS | _MATCHING | {"by", "without"}


def blamed(
    tokens: Sequence[Token], texts: Sequence[str], message: str, refusal: Refusal
) -> int | None:
    """The index of the character that Prometheus points at; None for other kinds of messages.

    `texts` are what the library reads, token by token.
    """
    if message.startswith("not a valid duration string"):
        return _duration(tokens, message)
    if message.startswith("unknown escape sequence"):
        return _escape(tokens, message)
    for said, place in _PLACES:
        if said in message:
            expression = _Expression(tokens, texts, refusal)
            part = next(expression.failing(message), None)
            return None if part is None else expression.words[place(expression, part)].start
    return None


class _Expression:
    """The words of a refused expression; a part is a range of their indices."""

    def __init__(self, tokens: Sequence[Token], texts: Sequence[str], refusal: Refusal) -> None:
        places = [index for index, token in enumerate(tokens) if token.kind is not Kind.SPACE]
        self.words = [tokens[place] for place in places]
        self._places = places
        self._texts = texts
        self._refusal = refusal

    def failing(self, message: str) -> Iterator[range]:
        """Parts that are refused alone with the message, the shortest first."""
        depths = self._depths()
        tries = 0
        for length in range(1, len(depths) + 1):
            for first in range(len(depths) - length + 1):
                part = range(first, first + length)
                if (
                    depths[first] != depths[part[-1]]
                    or min(depths[first : part.stop]) < depths[first]
                ):
                    continue
                tries += 1
                if tries > MOST_TRIES:
                    return
                if self._refusal(self._text(part)) == message:
                    yield part

    def beginning(self, part: range) -> int:
        """The first word of the part, with the name before its bracket."""
        first = part.start
        if first and self.words[first].text in ("(", "{"):
            before = self.words[first - 1]
            first -= before.kind is Kind.NAME and before.text.lower() not in _NO_NAMES
        return first

    def operator(self, part: range) -> int:
        """The operator between the two operands that the part consists of."""
        depths = self._depths()
        for index in part[1:]:
            if depths[index] == depths[part.start] and self._lower(index) in _OPERATORS:
                return index
        return part.start

    def left_operand(self, part: range) -> int:
        """The first word of all that stands left of the part's set operator and binds to it."""
        operator = self.operator(part)
        looser = set() if self._lower(operator) == "or" else {"or"}
        depths = self._depths()
        first = operator
        while first and depths[first - 1] >= depths[operator]:
            level = depths[first - 1] == depths[operator]
            if level and self._lower(first - 1) in looser | {","}:
                break
            first -= 1
        return self._operand(first)

    def wrong_operand(self, part: range) -> int:
        """The left operand, unless that is a scalar or an instant vector."""
        operator = self.operator(part)
        left = self._text(range(part.start, operator))
        return part.start if self._refusal(f"({left}) + 1") else self._operand(operator + 1)

    def last_bracket(self, part: range) -> int:
        """The last range of the part."""
        return max(index for index in part if self.words[index].text == "[")

    def _operand(self, index: int) -> int:
        """The first word behind `bool`, `on (...)` and the like."""
        while self._lower(index) in _MATCHING:
            if self._lower(index) != "bool" and self.words[index + 1].text == "(":
                while self.words[index].text != ")":
                    index += 1
            index += 1
        return index

    def _depths(self) -> list[int]:
        """How many brackets are around each word, its own not counted."""
        depths, depth = [], 0
        for word in self.words:
            depth -= word.text in (")", "]", "}")
            depths.append(depth)
            depth += word.text in ("(", "[", "{")
        return depths

    def _lower(self, index: int) -> str:
        return self.words[index].text.lower()

    def _text(self, part: range) -> str:
        first, last = self._places[part.start], self._places[part.stop - 1]
        return "".join(self._texts[first : last + 1])


_PLACES = (
    ("at least one non-empty matcher", _Expression.beginning),
    ("must be preceded by", _Expression.beginning),
    ("set multiple times", _Expression.beginning),
    ("unary expression only", _Expression.beginning),
    ("set operator", _Expression.left_operand),
    ("no grouping allowed", _Expression.left_operand),
    ("comparisons between scalars", _Expression.operator),
    ("must not occur in ON and GROUP", _Expression.operator),
    ("binary expression must contain only", _Expression.wrong_operand),
    ("ranges only allowed", _Expression.last_bracket),
)


def _duration(tokens: Sequence[Token], message: str) -> int | None:
    quoted = message.rpartition(": ")[2]
    for token in tokens:
        # Behind a colon the duration is a part of the word.
        if token.text.removeprefix(":") == quoted:
            return token.start + token.text.startswith(":")
    return None


def _escape(tokens: Sequence[Token], message: str) -> int | None:
    escape = "\\" + message.rstrip("'")[-1]
    found = (token.start for token in tokens if token.kind is Kind.STRING and escape in token.text)
    return next(found, None)
