"""Where calls, selectors and operators stand: messages name them, and the library does not tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.lexer import Kind, Token, position, tokenize

_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
_MATCHING = frozenset({"bool", "on", "ignoring", "group_left", "group_right"})
_FILLS = frozenset({"fill", "fill_left", "fill_right"})
_GROUPING = frozenset({"by", "without"})
_NO_CALLS = _OPERATORS | _MATCHING | _FILLS | _GROUPING | {"offset"}
_NO_SELECTORS = _NO_CALLS | {"inf", "nan"}
_SIGNS = frozenset({"+", "-"})
_SYMBOLS = _SIGNS | {"*", "/", "%", "^", "==", "!=", "<=", ">=", "<", ">"}
_COMPARED = frozenset({"=", "!=", "=~", "!~"})
_BEFORE_SIGN = _OPERATORS | _SYMBOLS | _MATCHING | {"(", ",", "@", "offset"}


@dataclass(frozen=True, slots=True)
class CallPlace:
    """A call or aggregation: its name, and the first token of each argument.

    `arguments` are indices of `words`, the tokens less spaces.
    """

    words: Sequence[Token]
    name: int
    arguments: Sequence[int]

    @property
    def start(self) -> int:
        """The index of its first character."""
        return self.words[self.name].start

    def argument_start(self, argument: int, brackets: int) -> int:
        """The index of an argument's first character, less the brackets that are around it."""
        return self.words[self.arguments[argument] + brackets].start


def call_places(tokens: Sequence[Token]) -> Iterator[CallPlace]:
    """All calls and aggregations of a valid expression, in the order of their names."""
    words = [token for token in tokens if token.kind is not Kind.SPACE]
    for index, token in enumerate(words):
        if token.kind is not Kind.NAME or token.text.lower() in _NO_CALLS:
            continue
        if index and words[index - 1].text == "@":
            continue
        opening = _opening(words, index + 1)
        if opening is not None:
            yield CallPlace(words, index, tuple(_arguments(words, opening)))


def info_braces(tokens: Sequence[Token]) -> Iterator[int]:
    """Where the label matchers begin that are the second argument of `info`."""
    for call in call_places(tokens):
        if call.words[call.name].text == "info" and len(call.arguments) > 1:
            yield call.argument_start(1, 0)


def selector_starts(tokens: Sequence[Token]) -> Iterator[int]:
    """The index of the first character of each selector of a valid expression, in their order."""
    words = [token for token in tokens if token.kind is not Kind.SPACE]
    named = False
    for index in _outside_lists(words):
        word, after = words[index], words[index + 1].text.lower() if index + 1 < len(words) else ""
        before, named = named, False
        if word.text == "{" and not before:
            yield word.start
        if word.kind is Kind.NAME and word.text.lower() not in _NO_SELECTORS:
            named = after != "(" and after not in _GROUPING
            if named:
                yield word.start


def operator_starts(tokens: Sequence[Token]) -> Iterator[int]:
    """The index of the first character of each binary operator of a valid expression."""
    words = [token for token in tokens if token.kind is not Kind.SPACE]
    previous = "("
    for index in _outside_lists(words):
        text = words[index].text.lower()
        # A sign is an operator only where an operand ends before it.
        is_sign = text in _SIGNS and previous in _BEFORE_SIGN
        if text in _OPERATORS | _SYMBOLS and not is_sign:
            yield words[index].start
        previous = text


def matcher_place(text: str, selector: Position | None, label: str) -> Position | None:
    """Where the first matcher of a label begins in the selector that begins at a place."""
    words = [token for token in tokenize(text) if token.kind is not Kind.SPACE]
    inside = False
    for index, word in enumerate(words):
        inside = inside or position(text, word.start) == selector
        if not inside or index + 1 == len(words):
            continue
        named = word.text == label or word.text[1:-1] == label
        if named and words[index + 1].text in _COMPARED:
            return position(text, word.start)
        if word.text == "}":
            break
    return selector


def word_end(text: str, start: int) -> int:
    """The index behind the word that begins at an index; braces after a name belong to it."""
    words = [token for token in tokenize(text) if token.kind is not Kind.SPACE]
    for index, word in enumerate(words):
        if word.start != start:
            continue
        if word.kind is Kind.NAME and index + 1 < len(words) and words[index + 1].text == "{":
            index += 1
        if words[index].text == "{":
            while index + 1 < len(words) and words[index].text != "}":
                index += 1
        return words[index].start + len(words[index].text)
    return start + 1


def _outside_lists(words: Sequence[Token]) -> Iterator[int]:
    """Indices of words that are not within braces, square brackets or a list of labels."""
    index = 0
    while index < len(words):
        yield index
        text = words[index].text.lower()
        if text in "{[":
            closing = "}" if text == "{" else "]"
            while index + 1 < len(words) and words[index].text != closing:
                index += 1
        elif (
            text in _GROUPING | _MATCHING
            and index + 1 < len(words)
            and words[index + 1].text == "("
            and text != "bool"
        ):
            index = _closing(words, index + 1)
        index += 1


def _opening(words: Sequence[Token], index: int) -> int | None:
    """The bracket that begins the arguments after a name, behind `by (...)` if there is one."""
    if index < len(words) and words[index].text.lower() in _GROUPING:
        index = _closing(words, index + 1) + 1
    return index if index < len(words) and words[index].text == "(" else None


def _closing(words: Sequence[Token], index: int) -> int:
    while index < len(words) and words[index].text != ")":
        index += 1
    return index


def _arguments(words: Sequence[Token], opening: int) -> Iterator[int]:
    depth, begins = 1, True
    for index in range(opening + 1, len(words)):
        text = words[index].text
        if begins and text != ")":
            yield index
        begins = depth == 1 and text == ","
        depth += (text in "([{") - (text in ")]}")
        if not depth:
            return
