"""What the parser library refuses, in Prometheus' words and with the place it does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import promql_parser

from forewarn_collector.promql.blame import blamed
from forewarn_collector.promql.errors import PromQLError
from forewarn_collector.promql.lexer import Kind, Rewritten, Token, position
from forewarn_collector.promql.places import CallPlace, call_places
from forewarn_collector.promql.syntax import find_fault

_MOST_TRIES = 100
"""Parts of a refused expression that are tried alone, to find the place of the error."""

_NO_MEANING = "invalid promql query"
_TYPES = {"vector": "instant vector", "matrix": "range vector"}
_LITERALS = {"scalar": "1", "string": '""', "vector": "vector(1)", "matrix": "x[1m]"}
_WRONG_TYPE = re.compile(
    r"expected type (?P<wanted>\w+) in "
    r"(?P<where>call to function '(?P<function>\w+)'|aggregation expression), got (?P<got>\w+)"
)


def _escape(found: re.Match[str]) -> str:
    return f"unknown escape sequence U+{ord(found[1]):04X} '{found[1]}'"


def _operand(found: re.Match[str]) -> str:
    return f'type scalar or instant vector, got "{_TYPES.get(found[1], found[1])}"'


_WORDINGS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"'([^']*)'"), r'"\1"'),
    (re.compile(r'unknown escape sequence "(.)"'), _escape),
    (re.compile(r"type scalar or vector, got:? (\w+)"), _operand),
    (re.compile(r"(not a valid duration string:) (\S+)"), r'\1 "\2"'),
    (re.compile(r'(no arguments for aggregate expression) "\w+"'), r"\1"),
    (
        re.compile(r"an vector selector or matrix selector"),
        "an instant vector selector or range vector selector",
    ),
)


_REGEX_FAULTS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "trailing \\": "trailing backslash at end of expression",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}
"""What RE2 says, and what Go's package regexp/syntax says instead."""


def regex_fault(error: Exception) -> str:
    """What is wrong with a regular expression, and the part that is, as Go words it."""
    said = error.args[0] if error.args else b"invalid"
    fault, _, part = (said.decode(errors="replace") if isinstance(said, bytes) else said).partition(
        ": "
    )
    return f"{_REGEX_FAULTS.get(fault, fault)}: `{part}`"


def complaint(text: str, tokens: Sequence[Token], words: Rewritten, message: str) -> PromQLError:
    """The error for a text that the library refused with a message."""
    fault = find_fault(tokens)
    if fault is not None:
        return PromQLError(fault.message, position(text, fault.start))
    wrong_type = _WRONG_TYPE.fullmatch(message)
    if wrong_type:
        return _of_type(text, tokens, words, wrong_type)
    start = _start(tokens, words.texts, message)
    for pattern, wording in _WORDINGS:
        message = pattern.sub(wording, message)
    return PromQLError(message, position(text, start))


def _of_type(
    text: str, tokens: Sequence[Token], words: Rewritten, found: re.Match[str]
) -> PromQLError:
    """An argument of another type than the function takes."""
    message = found.group()
    wanted, got = found["wanted"], found["got"]
    where = f'call to function "{found["function"]}"'
    if not found["function"]:
        is_parameter = wanted in ("scalar", "string")
        where = "aggregation parameter" if is_parameter else "aggregation expression"
    start = _argument(tokens, words, found)
    if start is None:
        start = _start(tokens, words.texts, message)
    shown = f"expected type {_TYPES.get(wanted, wanted)} in {where}, got {_TYPES.get(got, got)}"
    return PromQLError(shown, position(text, start))


def _argument(tokens: Sequence[Token], words: Rewritten, found: re.Match[str]) -> int | None:
    """The first argument that, if it were of the wanted type, would not be refused for its own.

    Of the calls that are refused alone with the message, the innermost is the one.
    """
    for call, first, end in reversed(list(_calls(tokens))[:_MOST_TRIES]):
        if _refusal("".join(words.texts[first:end])) != found.group():
            continue
        edges = [*(tokens.index(call.words[index]) for index in call.arguments), end]
        for number, start in enumerate(edges[:-1]):
            stop = edges[number + 1] - 1
            while tokens[stop].text not in (",", ")") or tokens[stop].kind is Kind.SPACE:
                stop -= 1
            replaced = (
                *words.texts[first:start],
                _LITERALS[found["wanted"]],
                *words.texts[stop:end],
            )
            refusal = _refusal("".join(replaced))
            if refusal is None or not refusal.endswith(f"got {found['wanted']}"):
                return tokens[start].start
    return None


def _calls(tokens: Sequence[Token]) -> Iterator[tuple[CallPlace, int, int]]:
    """Calls with the indices of their first token and of the token after their last."""
    for call in call_places(tokens):
        first = tokens.index(call.words[call.name])
        if not call.arguments:
            continue
        depth, end = 1, tokens.index(call.words[call.arguments[0]])
        while end < len(tokens) and depth:
            depth += (tokens[end].text in "([{") - (tokens[end].text in ")]}")
            end += 1
        yield call, first, end


def _refusal(text: str) -> str | None:
    try:
        promql_parser.parse(text)
    except ValueError as error:
        return str(error)
    return None


def _start(tokens: Sequence[Token], texts: Sequence[str], message: str) -> int:
    """Where the library found what it says.

    The word that is to blame by the kind of the message; the shortest call or bracket that fails
    alone with it; else the word that the message quotes; else the word at which the library can
    notice.
    """
    start = blamed(tokens, texts, message, _refusal)
    if start is None:
        start = _shortest_failing(tokens, texts, message)
    if start is not None:
        return start
    quoted = re.findall(r"'([^']+)'", message)
    for token in tokens:
        if token.text in quoted or token.text[1:-1] in quoted:
            return token.start
    return _noticed(tokens, texts, message)


def _shortest_failing(tokens: Sequence[Token], texts: Sequence[str], message: str) -> int | None:
    spans: list[tuple[int, int]] = []
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.text in "([{":
            opened.append(index)
        elif token.text in ")]}" and opened:
            first = opened.pop()
            while first and tokens[first - 1].kind in (Kind.NAME, Kind.SPACE):
                first -= 1
                if tokens[first].kind is Kind.NAME:
                    spans.append((first, index + 1))
    spans.sort(key=lambda span: span[1] - span[0])
    for first, end in spans[:_MOST_TRIES]:
        if _refusal("".join(texts[first:end])) == message:
            return tokens[first].start
    return None


def _noticed(tokens: Sequence[Token], texts: Sequence[str], message: str) -> int:
    """The last word of the shortest beginning that fails with the same message."""
    words = [index for index, token in enumerate(tokens) if token.kind is not Kind.SPACE]
    for index in words[:_MOST_TRIES] if message != _NO_MEANING else []:
        if _refusal("".join(texts[: index + 1])) == message:
            return tokens[index].start
    return tokens[words[-1]].start if words else 0
