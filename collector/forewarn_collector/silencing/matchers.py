"""Matchers of labels, read and applied as Alertmanager does.

Source: prometheus/alertmanager `pkg/labels/parse.go` and `matcher.go`, the classic parser. A value
may stand in double quotes; `\\"`, `\\\\` and `\\n` are escapes there as well as outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import re2

_MATCHER = re.compile(
    r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?P<kind>=~|=|!=|!~)\s*(?P<value>.*?)\s*",
    re.DOTALL | re.ASCII,
)
_IN_GO = {"missing )": "missing closing )", "missing ]": "missing closing ]"}
_SPACES = " \t\n\v\f\r\x85\xa0"


class MatchKind(StrEnum):
    """How a matcher compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEXP = "=~"
    NOT_REGEXP = "!~"

    @property
    def is_regexp(self) -> bool:
        """Whether the value is a regular expression."""
        return self in {MatchKind.REGEXP, MatchKind.NOT_REGEXP}

    @property
    def is_equal(self) -> bool:
        """Whether what is alike matches, and not what differs."""
        return self in {MatchKind.EQUAL, MatchKind.REGEXP}


class MatcherError(ValueError):
    """Not a matcher; the text is Alertmanager's own."""


@dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """A condition on one label. An absent label is the empty string."""

    name: str
    value: str
    kind: MatchKind = MatchKind.EQUAL

    def matches(self, value: str) -> bool:
        """Whether a label's value meets the condition. A regular expression must match it whole."""
        if self.kind.is_regexp:
            found = _pattern(self.value).fullmatch(value) is not None
        else:
            found = value == self.value
        return found == self.kind.is_equal

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
        return f'{self.name}{self.kind.value}"{escaped}"'


def matches_all(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether labels meet every matcher; none at all are met by everything."""
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)


def make_matcher(name: str, kind: MatchKind, value: str) -> Matcher:
    """A matcher whose expression is known to compile. Raises MatcherError."""
    if kind.is_regexp:
        _pattern(value)
    return Matcher(name, value, kind)


def parse_matcher(text: str) -> Matcher:
    """Read `name="value"` with one of =, !=, =~, !~. Raises MatcherError."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise MatcherError(f"bad matcher format: {text}")
    return make_matcher(found["name"], MatchKind(found["kind"]), _value(found["value"]))


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Read matchers with commas between them, in braces or not. Raises MatcherError."""
    text = text.removeprefix("{").removesuffix("}")
    tokens, token = [], ""
    quoted = escaped = False
    for letter in text:
        if letter == "," and not quoted:
            tokens.append(token)
            token = ""
            continue
        if letter == '"' and not escaped:
            quoted = not quoted
        escaped = letter == "\\" and not escaped
        token += letter
    if token.strip(_SPACES):
        tokens.append(token)
    return tuple(parse_matcher(each) for each in tokens)


def braced(matchers: Sequence[Matcher]) -> str:
    """Matchers as Alertmanager writes them in a route's key."""
    return "{" + ",".join(str(matcher) for matcher in matchers) + "}"


def _value(raw: str) -> str:
    quoted = raw.startswith('"')
    text = raw[1:] if quoted else raw
    open_quote = quoted
    value: list[str] = []
    place = 0
    while place < len(text):
        letter, place = text[place], place + 1
        if letter == "\\" and place < len(text):
            after, place = text[place], place + 1
            value.append({"n": "\n", '"': '"', "\\": "\\"}.get(after, "\\" + after))
        elif letter == '"':
            if not open_quote or place < len(text):
                raise MatcherError(f"matcher value contains unescaped double quote: {raw}")
            open_quote = False
        else:
            value.append(letter)
    if open_quote:
        raise MatcherError(f"matcher value contains unescaped double quote: {raw}")
    return "".join(value)


@lru_cache(maxsize=4096)
def _pattern(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        # As it is put together there: `a)|(b` is one expression, too.
        return re2.compile(f"^(?:{expression})$", options)
    except re2.error as error:
        said = str(error.args[0], "utf-8", "replace") if error.args else "bad expression"
        # In Go's words, which name the expression by themselves.
        said = _IN_GO.get(said.partition(":")[0], said.partition(":")[0])
        raise MatcherError(f"error parsing regexp: {said}: `^(?:{expression})$`") from None
