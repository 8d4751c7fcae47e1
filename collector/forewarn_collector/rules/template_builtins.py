"""The functions that every Go template has.

Source: https://pkg.go.dev/text/template#hdr-Functions. `and` and `or` are the evaluator's own, as
they do not always look at all of their arguments.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any
from urllib.parse import quote_plus

from forewarn_collector.rules.go_format import format_value, sprint, sprintln
from forewarn_collector.rules.go_printf import sprintf
from forewarn_collector.rules.go_time import Duration, Month, Time, Weekday
from forewarn_collector.rules.go_values import (
    AnyMap,
    Pointer,
    Struct,
    Uint8,
    indirect,
    kind,
    truth,
    type_name,
)
from forewarn_collector.rules.template_arguments import ANY, STRING
from forewarn_collector.rules.template_nodes import TemplateError

Call = Callable[..., Any]
Signature = tuple[Call, tuple[str, ...], bool]
"""A function, the types of what it takes, and whether the last of them may come any often."""

_PRINT_THEMSELVES = (Time, Duration, Month, Weekday)


def printable(value: Any) -> Any:
    """A value as an action prints it: nil is `<no value>`, and of a pointer what it points to."""
    if value is None:
        return "<no value>"
    if isinstance(value, Pointer) and not isinstance(value.of, _PRINT_THEMSELVES):
        return value.of
    return value


def items(value: Any, names: int) -> Iterable[tuple[Any, Any]]:
    """The keys and items that `range` goes through, with so many variables."""
    if isinstance(value, dict):
        return sorted(value.items())
    if isinstance(value, list):
        return enumerate([*value])
    if value is None:
        return ()
    if isinstance(value, int) and not isinstance(value, bool):
        if names > 1:
            raise TemplateError(f"can't use {value} to iterate over more than one variable")
        return ((None, type(value)(number)) for number in range(value))
    raise TemplateError(f"range can't iterate over {format_value(value)}")


# Comparison.


def _equal(left: Any, right: Any) -> bool:
    kinds = kind(left), kind(right)
    if kinds[0] != kinds[1]:
        if left is not None and right is not None:
            raise TemplateError("incompatible types for comparison")
        return False
    if kinds[0]:
        return bool(left == right)
    if left is None or right is None:
        return left is right
    for value in (left, right):
        if isinstance(value, (dict, list, Struct)):
            raise TemplateError(f"non-comparable type {type_name(value)}")
    return left is right if isinstance(left, Pointer) else bool(left == right)


def _equal_any(left: Any, *others: Any) -> bool:
    if not others:
        raise TemplateError("missing argument for comparison")
    return any(_equal(left, other) for other in others)


def _not_equal(left: Any, right: Any) -> bool:
    return not _equal_any(left, right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Call:
    def run(left: Any, right: Any) -> bool:
        kinds = kind(left), kind(right)
        if not all(kinds):
            raise TemplateError("invalid type for comparison")
        if kinds[0] != kinds[1]:
            raise TemplateError("incompatible types for comparison")
        if kinds[0] == "bool":
            raise TemplateError("invalid type for comparison")
        return bool(compare(left, right))

    return run


# Parts of values.


def _position(index: Any, most: int) -> int:
    if index is None:
        raise TemplateError("cannot index slice/array with nil")
    if kind(index) != "int":
        raise TemplateError(f"cannot index slice/array with type {type_name(index)}")
    if not 0 <= index <= most:
        raise TemplateError(f"index out of range: {index}")
    return int(index)


def _index(value: Any, *keys: Any) -> Any:
    if value is None:
        raise TemplateError("index of untyped nil")
    for key in keys:
        value = _item(indirect(value), key)
    return value


def _item(value: Any, key: Any) -> Any:
    if value is None:
        raise TemplateError("index of nil pointer")
    if isinstance(value, dict):
        if key is None:
            raise TemplateError("value is nil; should be of type string")
        if type(key) is not str:
            raise TemplateError(f"value has type {type_name(key)}; should be string")
        return value.get(key, None if isinstance(value, AnyMap) else "")
    if isinstance(value, str):
        octets = value.encode()
        position = _position(key, len(octets))
        if position == len(octets):
            raise TemplateError("reflect: string index out of range")
        return Uint8(octets[position])
    if isinstance(value, list):
        position = _position(key, len(value))
        if position == len(value):
            raise TemplateError("reflect: slice index out of range")
        return value[position]
    raise TemplateError(f"can't index item of type {type_name(value)}")


def _slice(value: Any, *bounds: Any) -> Any:
    if value is None:
        raise TemplateError("slice of untyped nil")
    if len(bounds) > 3:
        raise TemplateError(f"too many slice indexes: {len(bounds)}")
    whole: Any = indirect(value)
    if isinstance(whole, str):
        if len(bounds) == 3:
            raise TemplateError("cannot 3-index slice a string")
        whole = whole.encode()
    elif not isinstance(whole, list):
        raise TemplateError(f"can't slice item of type {type_name(whole)}")
    places = [_position(bound, len(whole)) for bound in bounds]
    start, end, most = [*places, *(0, len(whole), len(whole))[len(places) :]]
    for lower, upper in ((start, end), (end, most)):
        if lower > upper:
            raise TemplateError(f"invalid slice index: {lower} > {upper}")
    part = whole[start:end]
    # Octets that are cut from a letter can't be shown, in Go neither.
    return part.decode(errors="replace") if isinstance(part, bytes) else type(whole)(part)


def _length(value: Any) -> int:
    whole = indirect(value)
    if isinstance(whole, str):
        return len(whole.encode())
    if isinstance(whole, (list, dict)):
        return len(whole)
    if whole is None:
        raise TemplateError("reflect: call of reflect.Value.Type on zero Value")
    raise TemplateError(f"len of type {type_name(whole)}")


def _call(function: Any, *_: Any) -> Any:
    if function is None:
        raise TemplateError("call of nil")
    raise TemplateError(f"non-function of type {type_name(function)}")


# Escaping.


def _text_of(values: Sequence[Any]) -> str:
    return sprint([printable(value) for value in values])


_HTML = str.maketrans(
    {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
_SCRIPT = {"\\": "\\\\", "'": "\\'", '"': '\\"'}


def _script(match: re.Match[str]) -> str:
    letter = match[0]
    if letter in _SCRIPT:
        return _SCRIPT[letter]
    if letter >= "\x80" and letter.isprintable():
        return letter
    return f"\\u{ord(letter):04X}"


BUILTINS: Mapping[str, Signature] = {
    "call": (_call, (ANY,), True),
    "eq": (_equal_any, (ANY, ANY), True),
    "ge": (_ordered(ge), (ANY, ANY), False),
    "gt": (_ordered(gt), (ANY, ANY), False),
    "html": (lambda *values: _text_of(values).translate(_HTML), (ANY,), True),
    "index": (_index, (ANY, ANY), True),
    "js": (
        lambda *values: re.sub(r"[\\'\"<>&=\x00-\x1f\x80-\U0010ffff]", _script, _text_of(values)),
        (ANY,),
        True,
    ),
    "le": (_ordered(le), (ANY, ANY), False),
    "len": (_length, (ANY,), False),
    "lt": (_ordered(lt), (ANY, ANY), False),
    "ne": (_not_equal, (ANY, ANY), False),
    "not": (lambda value: not truth(value), (ANY,), False),
    "print": (lambda *values: sprint(values), (ANY,), True),
    "printf": (lambda layout, *values: sprintf(layout, values), (STRING, ANY), True),
    "println": (lambda *values: sprintln(values), (ANY,), True),
    "slice": (_slice, (ANY, ANY), True),
    "urlquery": (lambda *values: quote_plus(_text_of(values)), (ANY,), True),
}
