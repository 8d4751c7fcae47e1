"""The functions that templates may call: Go's own and Prometheus'.

Source: https://prometheus.io/docs/prometheus/latest/configuration/template_reference/ and
prometheus/prometheus `template/template.go`; Go's are those of `text/template`.
"""

from __future__ import annotations

import html
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq, ge, gt, le, lt
from typing import Any
from urllib.parse import quote_plus, urlsplit

import re2

from forewarn_collector.rules.go_format import Struct, format_value, sprint, sprintf
from forewarn_collector.rules.humanize import (
    humanize,
    humanize_1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
)
from forewarn_collector.rules.template_nodes import TemplateError
from forewarn_wire import Labels
from forewarn_wire.durations import parse_duration

QueryFunction = Callable[[str], Sequence[tuple[Labels, float]]]
"""Evaluates PromQL at the time of the evaluation; raises ValueError if that fails."""

_MANY = 1_000


def _no_query(_expression: str) -> Sequence[tuple[Labels, float]]:
    raise TemplateError("no queries can be asked here")


@dataclass(frozen=True, slots=True)
class TemplateContext:
    """What templates may know beyond their alert."""

    query: QueryFunction = _no_query
    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TemplateFunction:
    """A function, called with the context first, and how many arguments it takes beyond that."""

    call: Callable[..., Any]
    least: int
    most: int


def truth(value: Any) -> bool:
    """Go's truth: zero and empty are false, a struct is true."""
    return True if isinstance(value, Struct) else bool(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TemplateError(f"expected text; found {format_value(value)}")


def _number(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise TemplateError(f"not a number: {value!r}") from None
    raise TemplateError(f"can't convert {format_value(value)} to float")


def _pattern(expression: Any) -> Any:
    try:
        return re2.compile(_text(expression))
    except re2.error as error:
        raise TemplateError(f"bad regular expression {expression!r}: {error}") from None


# Queries and what they give.


def _query(context: TemplateContext, expression: Any) -> list[Struct]:
    try:
        vector = context.query(_text(expression))
    except TemplateError:
        raise
    except ValueError as error:
        raise TemplateError(str(error)) from None
    return [Struct({"Labels": dict(labels), "Value": value}) for labels, value in vector]


def _elements(value: Any) -> list[Struct]:
    if isinstance(value, list) and all(_is_element(item) for item in value):
        return value
    raise TemplateError(f"expected the result of a query; found {format_value(value)}")


def _element(value: Any) -> Struct:
    if _is_element(value):
        element: Struct = value
        return element
    raise TemplateError(f"expected an element of a query's result; found {format_value(value)}")


def _is_element(value: Any) -> bool:
    return isinstance(value, Struct) and list(value.fields) == ["Labels", "Value"]


def _first(_: TemplateContext, vector: Any) -> Struct:
    elements = _elements(vector)
    if not elements:
        raise TemplateError("first() called on vector with no elements")
    return elements[0]


def _label(_: TemplateContext, name: Any, element: Any) -> str:
    return str(_element(element).fields["Labels"].get(_text(name), ""))


def _value(_: TemplateContext, element: Any) -> float:
    return float(_element(element).fields["Value"])


def _string_value(_: TemplateContext, element: Any) -> str:
    return str(_element(element).fields["Labels"].get("__value__", ""))


def _sort_by_label(_: TemplateContext, name: Any, vector: Any) -> list[Struct]:
    label = _text(name)
    return sorted(_elements(vector), key=lambda item: item.fields["Labels"].get(label, ""))


# Text.


def _replace_all(_: TemplateContext, expression: Any, replacement: Any, text: Any) -> str:
    pattern = _pattern(expression)
    layout = _text(replacement)
    names = {**pattern.groupindex}

    def expand(match: Any) -> str:
        def group(reference: re.Match[str]) -> str:
            if reference[0] == "$$":
                return "$"
            name = reference["braced"] or reference["bare"]
            number = int(name) if name.isdigit() else names.get(name, -1)
            return (match.group(number) or "") if 0 <= number <= pattern.groups else ""

        return re.sub(r"\$(?:\$|\{(?P<braced>\w+)\}|(?P<bare>\w+))", group, layout)

    return str(pattern.sub(expand, _text(text)))


def _match(_: TemplateContext, expression: Any, text: Any) -> bool:
    return _pattern(expression).search(_text(text)) is not None


def _title(_: TemplateContext, text: Any) -> str:
    return re.sub(r"(?<!\w)\w", lambda letter: letter[0].upper(), _text(text))


def _split_port(address: str) -> tuple[str, str] | None:
    found = re.fullmatch(r"\[([^\[\]]*)\]:([^:]*)|([^:\[\]]*):([^:]*)", address)
    if found is None:
        return None
    return (found[1], found[2]) if found[1] is not None else (found[3], found[4])


def _strip_port(_: TemplateContext, address: Any) -> str:
    parts = _split_port(_text(address))
    return str(address) if parts is None else parts[0]


def _strip_domain(_: TemplateContext, address: Any) -> str:
    host, port = _split_port(_text(address)) or (address, "")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        host = host.split(".")[0]
        return f"{host}:{port}" if port else host
    return str(address)


def _parse_duration(_: TemplateContext, text: Any) -> float:
    try:
        return parse_duration(_text(text)) / 1000
    except ValueError as error:
        raise TemplateError(str(error)) from None


def _link(tab: int) -> Callable[[TemplateContext, Any], str]:
    return lambda _, expression: f"/graph?g0.expr={quote_plus(_text(expression))}&g0.tab={tab}"


def _arguments(_: TemplateContext, *values: Any) -> dict[str, Any]:
    return {f"arg{position}": value for position, value in enumerate(values)}


# Go's own.


def _compare(compare: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def run(_: TemplateContext, left: Any, right: Any) -> bool:
        numbers = all(
            isinstance(side, (int, float)) and not isinstance(side, bool) for side in (left, right)
        )
        if not numbers and type(left) is not type(right):
            raise TemplateError("incompatible types for comparison")
        try:
            return bool(compare(left, right))
        except TypeError:
            raise TemplateError("invalid type for comparison") from None

    return run


def _equal_any(context: TemplateContext, left: Any, *others: Any) -> bool:
    return any(_EQUAL(context, left, other) for other in others)


_EQUAL = _compare(eq)


def _index(_: TemplateContext, value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(_text(key), "")
        elif isinstance(value, list) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise TemplateError(f"index out of range: {key}")
            value = value[key]
        else:
            raise TemplateError(f"can't index {format_value(value)} with {format_value(key)}")
    return value


def _slice(_: TemplateContext, value: Any, *bounds: Any) -> Any:
    if not isinstance(value, (str, list)):
        raise TemplateError(f"can't slice {format_value(value)}")
    for bound in bounds:
        if not isinstance(bound, int) or not 0 <= bound <= len(value):
            raise TemplateError(f"index out of range: {format_value(bound)}")
    start, end = (*bounds, len(value))[:2] if bounds else (0, len(value))
    if start > end:
        raise TemplateError(f"invalid slice index: {start} > {end}")
    return value[start:end]


def _length(_: TemplateContext, value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, (list, dict)):
        return len(value)
    raise TemplateError(f"len of {format_value(value)}")


def _printf(_: TemplateContext, layout: Any, *values: Any) -> str:
    return sprintf(_text(layout), values)


def _escape(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def _one(read: Callable[[Any], Any], function: Callable[[Any], Any]) -> TemplateFunction:
    return TemplateFunction(lambda _, value: function(read(value)), 1, 1)


FUNCTIONS: Mapping[str, TemplateFunction] = {
    "query": TemplateFunction(_query, 1, 1),
    "first": TemplateFunction(_first, 1, 1),
    "label": TemplateFunction(_label, 2, 2),
    "value": TemplateFunction(_value, 1, 1),
    "strvalue": TemplateFunction(_string_value, 1, 1),
    "sortByLabel": TemplateFunction(_sort_by_label, 2, 2),
    "args": TemplateFunction(_arguments, 0, _MANY),
    "humanize": _one(_number, humanize),
    "humanize1024": _one(_number, humanize_1024),
    "humanizeDuration": _one(_number, humanize_duration),
    "humanizePercentage": _one(_number, humanize_percentage),
    "humanizeTimestamp": _one(_number, humanize_timestamp),
    "toTime": _one(_number, humanize_timestamp),
    "parseDuration": TemplateFunction(_parse_duration, 1, 1),
    "reReplaceAll": TemplateFunction(_replace_all, 3, 3),
    "match": TemplateFunction(_match, 2, 2),
    "title": TemplateFunction(_title, 1, 1),
    "toUpper": _one(_text, str.upper),
    "toLower": _one(_text, str.lower),
    "stripPort": TemplateFunction(_strip_port, 1, 1),
    "stripDomain": TemplateFunction(_strip_domain, 1, 1),
    "safeHtml": _one(_text, str),
    "urlQueryEscape": _one(_text, quote_plus),
    "graphLink": TemplateFunction(_link(0), 1, 1),
    "tableLink": TemplateFunction(_link(1), 1, 1),
    "externalURL": TemplateFunction(lambda context: context.external_url, 0, 0),
    "pathPrefix": TemplateFunction(lambda context: urlsplit(context.external_url).path, 0, 0),
    "print": TemplateFunction(lambda _, *values: sprint(values), 0, _MANY),
    "println": TemplateFunction(
        lambda _, *values: " ".join(map(format_value, values)) + "\n", 0, _MANY
    ),
    "printf": TemplateFunction(_printf, 1, _MANY),
    "html": TemplateFunction(lambda _, *values: _escape(sprint(values)), 1, _MANY),
    "js": TemplateFunction(lambda _, *values: json.dumps(sprint(values))[1:-1], 1, _MANY),
    "urlquery": TemplateFunction(lambda _, *values: quote_plus(sprint(values)), 1, _MANY),
    "len": TemplateFunction(_length, 1, 1),
    "index": TemplateFunction(_index, 1, _MANY),
    "slice": TemplateFunction(_slice, 1, 3),
    "not": _one(truth, lambda value: not value),
    "eq": TemplateFunction(_equal_any, 2, _MANY),
    "ne": TemplateFunction(lambda context, left, right: not _EQUAL(context, left, right), 2, 2),
    "lt": TemplateFunction(_compare(lt), 2, 2),
    "le": TemplateFunction(_compare(le), 2, 2),
    "gt": TemplateFunction(_compare(gt), 2, 2),
    "ge": TemplateFunction(_compare(ge), 2, 2),
}
