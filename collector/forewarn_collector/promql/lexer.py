"""The words of an expression with their places, for what the parser library leaves to us.

The library reports most errors without a place, and misreads a few valid forms. So the text is
cut into tokens here; `rewritten` gives each token the spelling that the library reads rightly.
Source of the forms: prometheus/prometheus `promql/parser/lex.go`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from forewarn_collector.promql.errors import Position, PromQLError

MOST_NESTING_TOKENS = 2_000
"""Operators and brackets in one expression; the library overflows its stack at some 10,000."""
MOST_TOKENS = 50_000
MOST_CHARACTERS = 1_000_000
"""Of one expression: read within a fraction of a second, as nothing else happens meanwhile."""


class Kind(Enum):
    """What a token is."""

    SPACE = auto()
    STRING = auto()
    NUMBER = auto()
    NAME = auto()
    OPERATOR = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A word of the expression; `start` is the index of its first character."""

    kind: Kind
    text: str
    start: int


_NUMBER = re.compile(
    r"""
      0[xX]_*[0-9a-fA-F][0-9a-fA-F_]*
    | (?:[0-9]+(?:ms|[smhdwy]))+
    | (?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?
    """,
    re.VERBOSE,
)
_TOKENS = re.compile(
    r"""
      (?P<SPACE>    (?: \s | \#[^\n]* )+ )
    | (?P<STRING>   "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*` )
    | (?P<NUMBER>   0[xX]_*[0-9a-fA-F][0-9a-fA-F_]*
                  | (?:[0-9]+(?:ms|[smhdwy]))+
                  | (?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)? )
    | (?P<NAME>     [a-zA-Z_:][a-zA-Z0-9_:]* )
    | (?P<OPERATOR> =~|!~|==|!=|<=|>=|[-+*/%^<>=@,(){}\[\]] )
    | (?P<OTHER>    . )
    """,
    re.VERBOSE | re.DOTALL,
)

# Prometheus 3 renamed this one; the rule files of Prometheus 2 still have it.
_RENAMED = {"holt_winters": "double_exponential_smoothing"}


def tokenize(text: str) -> list[Token]:
    """Cut a text into tokens, spaces and comments included; raises `PromQLError`."""
    if len(text) > MOST_CHARACTERS:
        raise PromQLError(f"longer than {MOST_CHARACTERS} characters")
    tokens: list[Token] = []
    nesting = 0
    for found in _TOKENS.finditer(text):
        token = Token(Kind[found.lastgroup or ""], found.group(), found.start())
        tokens.append(token)
        if token.kind is Kind.OTHER and token.text in "\"'`":
            kind = "raw" if token.text == "`" else "quoted"
            raise PromQLError(f"unterminated {kind} string", position(text, token.start))
        nesting += token.kind is Kind.OPERATOR and token.text != ","
        if nesting > MOST_NESTING_TOKENS:
            raise PromQLError(f"more than {MOST_NESTING_TOKENS} operators and brackets")
        if len(tokens) > MOST_TOKENS:
            raise PromQLError(f"more than {MOST_TOKENS} words")
    return tokens


def position(text: str, start: int) -> Position:
    """Line and column of a character, counted from 1."""
    line = text.count("\n", 0, start)
    return line + 1, start - (text.rfind("\n", 0, start) + 1) + 1


ANYTHING = '__name__!=""'
"""A matcher that every series meets."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Texts for the library, token by token, and the times that were taken out of them.

    The time of `@ <number>` is replaced by its index in `times` (ms), since the library breaks
    down on times before 1970.
    """

    texts: tuple[str, ...]
    times: tuple[float, ...]


def regexes(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Where the regexes of matchers are: the index of the string, and that of the label's name."""
    words = [index for index, token in enumerate(tokens) if token.kind is not Kind.SPACE]
    for label, operator, value in zip(words, words[1:], words[2:], strict=False):
        if tokens[operator].text in ("=~", "!~") and tokens[value].kind is Kind.STRING:
            yield value, label


def rewritten(tokens: Sequence[Token], lenient: Collection[int] = ()) -> Rewritten:
    """Spell tokens so that the library reads them as Prometheus does.

    `lenient` are starts of braces within which matchers may match nothing at all, which the
    library allows nowhere: they get a matcher more, `ANYTHING`.
    """
    texts: list[str] = []
    times: list[float] = []
    at = False  # inside `@ <number>`
    sign = 1.0
    for token in tokens:
        text = token.text
        if token.kind is Kind.STRING and text[0] == "`":
            # A raw string: the library takes its backslashes for escapes.
            text = '"' + text[1:-1].replace("\\", "\\\\").replace('"', '\\"') + '"'
            text = text.replace("\n", "\\n")
        elif token.kind is Kind.NUMBER:
            text = text.replace("_", "")
            if at:
                times.append(sign * _seconds(text) * 1000)
                # What follows at once is no part of the number.
                text = f"{len(times) - 1} "
        elif token.kind is Kind.NAME:
            text = _RENAMED.get(text, text)
        elif token.start in lenient:
            text = f"{{{ANYTHING},"
        if token.kind is Kind.SPACE:
            text = " "
        elif at and token.text in ("+", "-"):
            sign = -sign if token.text == "-" else sign
            text = ""
        else:
            at, sign = token.text == "@", 1.0
        texts.append(text)
    return Rewritten(tuple(texts), tuple(times))


LONGEST_DURATION = (2**63 - 1) / 1e9
"""Seconds, as Go holds them."""


def check_durations(text: str, tokens: Sequence[Token]) -> None:
    """Raise `PromQLError` for those that Prometheus refuses; the library takes or dies of some."""
    inside = False
    before = ""
    for token in tokens:
        if token.kind is Kind.SPACE:
            continue
        # The step of a subquery looks like the name of a metric.
        number = token.text.removeprefix(":") if inside else token.text
        if (inside or before == "offset") and _NUMBER.fullmatch(number):
            seconds = _seconds(number.replace("_", ""))
            place = position(text, token.start + len(token.text) - len(number))
            if seconds > LONGEST_DURATION:
                raise PromQLError("duration out of range", place)
            if inside and not round(seconds * 1000):
                raise PromQLError("duration must be greater than 0", place)
        if token.text in ("[", "]"):
            inside = token.text == "["
        if not (before == "offset" and token.text in ("+", "-")):
            before = token.text.lower()


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def _seconds(text: str) -> float:
    """The value of a number or duration."""
    if text[:2] in ("0x", "0X"):
        return float(int(text, 16))
    durations = re.findall(r"([0-9]+)([a-z]+)", text)
    if durations and "e" not in text:
        return float(sum(int(count) * _UNITS[unit] for count, unit in durations))
    return float(text)
