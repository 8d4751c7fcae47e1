"""The functions that Prometheus adds to Go's.

Source: https://prometheus.io/docs/prometheus/latest/configuration/template_reference/ and
prometheus/prometheus `template/template.go`. `tmpl` is only there for console pages.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus, urlsplit

import re2

from forewarn_collector.rules.go_format import LONGEST
from forewarn_collector.rules.go_numbers import parse_float
from forewarn_collector.rules.go_text import quote
from forewarn_collector.rules.go_time import Duration, duration_of, time_of
from forewarn_collector.rules.go_values import AnyMap, Html, Pointer, QueryResult, sample, type_name
from forewarn_collector.rules.humanize import (
    humanize,
    humanize_1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
)
from forewarn_collector.rules.template_arguments import ANY, SAMPLE, STRING, VECTOR
from forewarn_collector.rules.template_builtins import BUILTINS, Signature
from forewarn_collector.rules.template_language import TemplateFunction
from forewarn_collector.rules.template_nodes import TemplateError
from forewarn_wire import Labels
from forewarn_wire.durations import parse_duration

QueryFunction = Callable[[str], Sequence[tuple[Labels, float]]]
"""Evaluates PromQL at the time of the evaluation; raises ValueError if that fails."""


def _no_query(_expression: str) -> Sequence[tuple[Labels, float]]:
    raise TemplateError("no queries can be asked here")


@dataclass(frozen=True, slots=True)
class TemplateContext:
    """What templates may know beyond their alert; `at` (ms) is the time of the evaluation."""

    query: QueryFunction = _no_query
    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=dict)
    at: int = 0


def _number(value: Any) -> float:
    if isinstance(value, float):
        return value
    if type(value) is str:
        return parse_float(value)
    if isinstance(value, Duration):
        return value / 1e9
    if isinstance(value, int) and not isinstance(value, bool) and type_name(value) in _INTEGERS:
        return float(value)
    raise TemplateError(f"can't convert {type_name(value)} to float")


_INTEGERS = frozenset({"int", "int64"})


@lru_cache(maxsize=256)
def _pattern(expression: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        raise TemplateError(f"bad regular expression {expression!r}: {error}") from None


# Queries and what they give.


def _query(context: TemplateContext, expression: str) -> QueryResult:
    vector = context.query(expression)
    return QueryResult(sample(dict(labels), value) for labels, value in vector)


def _first(vector: QueryResult | None) -> Pointer:
    if not vector:
        raise TemplateError("first() called on vector with no elements")
    return vector[0]


def _fields(element: Pointer | None) -> dict[str, Any]:
    if element is None:
        raise TemplateError("runtime error: invalid memory address or nil pointer dereference")
    fields: dict[str, Any] = element.of.fields
    return fields


def _label(name: str, element: Pointer | None) -> str:
    return str(_fields(element)["Labels"].get(name, ""))


def _sort_by_label(name: str, vector: QueryResult | None) -> QueryResult:
    # In place, as Prometheus does it: a variable that holds the result sees it sorted, too.
    result = QueryResult() if vector is None else vector
    result.sort(key=lambda element: element.of.fields["Labels"].get(name, ""))
    return result


# Text.


def _replace_all(expression: str, replacement: str, text: str) -> str:
    pattern = _pattern(expression)
    names = {**pattern.groupindex}
    length = len(text)

    def expand(match: Any) -> str:
        def group(reference: re.Match[str]) -> str:
            if reference[0] == "$$":
                return "$"
            name = reference["braced"] or reference["bare"]
            number = names.get(name, -1)
            if name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"):
                number = int(name[:9])
            return (match.group(number) or "") if 0 <= number <= pattern.groups else ""

        return _REFERENCE.sub(group, replacement)

    out: list[str] = []
    end = 0
    for match in pattern.finditer(text):
        if match.end() == match.start() == end and out:
            continue  # Nothing, right after a match: none of its own in Go.
        out += [text[end : match.start()], expand(match)]
        end = match.end()
        length += len(out[-1])
        if length > LONGEST:
            raise TemplateError(f"a text of more than {LONGEST} characters")
    return "".join((*out, text[end:]))


_REFERENCE = re.compile(r"\$(?:\$|\{(?P<braced>\w+)\}|(?P<bare>\w+))")


def _match(expression: str, text: str) -> bool:
    return _pattern(expression).search(text) is not None


def _upper(letter: str) -> str:
    """Go maps each letter to one letter, or to itself."""
    mapped = letter.upper()
    return mapped if len(mapped) == 1 else letter


def _lower(letter: str) -> str:
    mapped = letter.lower()
    return mapped if len(mapped) == 1 else letter


_WITHIN_WORDS = frozenset("'.:·’‘․﹒'．·")


def _title(text: str) -> str:
    """The first letter of each word in upper case, words as Unicode has them: "world's" is one."""
    out = []
    within = False
    middle = False
    for letter in text:
        if middle and letter in _WITHIN_WORDS:
            within = False
        middle = letter in _WITHIN_WORDS
        if letter.isupper() or letter.islower() or letter.istitle():
            out.append(letter if within else letter.title())
            within = True
            continue
        out.append(letter)
        if not (middle or letter == "_" or letter.isalnum()):
            within = False
    return "".join(out)


def _split_port(address: str) -> tuple[str, str] | None:
    found = re.fullmatch(r"\[([^\[\]]*)\]:([^:\[\]]*)|([^:\[\]]*):([^:\[\]]*)", address)
    if found is None:
        return None
    return (found[1], found[2]) if found[1] is not None else (found[3], found[4])


def _strip_port(address: str) -> str:
    parts = _split_port(address)
    return address if parts is None else parts[0]


def _strip_domain(address: str) -> str:
    host, port = _split_port(address) or (address, "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        host = host.split(".")[0]
        if ":" in host:
            host = f"[{host}]" if port else host
        return f"{host}:{port}" if port else host
    return address


def _parse_duration(text: str) -> float:
    try:
        return parse_duration(text) / 1000
    except ValueError:
        wrong = f"not a valid duration string: {quote(text)}" if text else "empty duration string"
        raise TemplateError(wrong) from None


def _link(tab: int) -> Callable[[str], str]:
    return lambda expression: f"/graph?g0.expr={quote_plus(expression)}&g0.tab={tab}"


def _arguments(*values: Any) -> AnyMap:
    return AnyMap((f"arg{position}", value) for position, value in enumerate(values))


def _of_number(function: Callable[[float], Any]) -> TemplateFunction:
    return TemplateFunction(lambda value: function(_number(value)), (ANY,))


def _of_text(function: Callable[[str], Any]) -> TemplateFunction:
    return TemplateFunction(function, (STRING,))


def _of_context(function: Callable[[TemplateContext], Any]) -> TemplateFunction:
    return TemplateFunction(function, asks=True)


def _go(signature: Signature) -> TemplateFunction:
    call, takes, many = signature
    return TemplateFunction(call, takes, many)


FUNCTIONS: Mapping[str, TemplateFunction] = {
    **{name: _go(signature) for name, signature in BUILTINS.items()},
    "args": TemplateFunction(_arguments, (ANY,), many=True),
    "externalURL": _of_context(lambda context: context.external_url),
    "first": TemplateFunction(_first, (VECTOR,)),
    "graphLink": _of_text(_link(0)),
    "humanize": _of_number(humanize),
    "humanize1024": _of_number(humanize_1024),
    "humanizeDuration": _of_number(humanize_duration),
    "humanizePercentage": _of_number(humanize_percentage),
    "humanizeTimestamp": _of_number(humanize_timestamp),
    "label": TemplateFunction(_label, (STRING, SAMPLE)),
    "match": TemplateFunction(_match, (STRING, STRING)),
    "now": _of_context(lambda context: context.at / 1000),
    "parseDuration": _of_text(_parse_duration),
    "pathPrefix": _of_context(lambda context: urlsplit(context.external_url).path),
    "query": TemplateFunction(_query, (STRING,), asks=True),
    "reReplaceAll": TemplateFunction(_replace_all, (STRING, STRING, STRING)),
    "safeHtml": _of_text(Html),
    "sortByLabel": TemplateFunction(_sort_by_label, (STRING, VECTOR)),
    "stripDomain": _of_text(_strip_domain),
    "stripPort": _of_text(_strip_port),
    "strvalue": TemplateFunction(lambda element: _label("__value__", element), (SAMPLE,)),
    "tableLink": _of_text(_link(1)),
    "title": _of_text(_title),
    "toDuration": _of_number(duration_of),
    "toLower": _of_text(lambda text: "".join(map(_lower, text))),
    "toTime": _of_number(time_of),
    "toUpper": _of_text(lambda text: "".join(map(_upper, text))),
    "urlQueryEscape": _of_text(quote_plus),
    "value": TemplateFunction(lambda element: _fields(element)["Value"], (SAMPLE,)),
}
