"""The types of what functions and methods take, and whether a value may be given for one.

Source: `validateType` and `evalArg` of Go's text/template/exec.go.
"""

from __future__ import annotations

from typing import Any

from forewarn_collector.rules.go_time import Duration
from forewarn_collector.rules.go_values import Pointer, QueryResult, is_sample, type_name
from forewarn_collector.rules.template_nodes import Literal, TemplateError

ANY = "interface {}"
STRING = "string"
SAMPLE = "*template.sample"
VECTOR = "template.queryResult"
STRINGS = "[]string"
TIME = "time.Time"
_CAN_BE_NIL = frozenset({ANY, SAMPLE, VECTOR, STRINGS})
_LITERALS: dict[str, tuple[type, str]] = {
    STRING: (str, "string"),
    "int": (int, "integer"),
    "time.Duration": (int, "integer"),
}


def literal(constant: Literal, wanted: str) -> Any:
    """A constant as a function gets it that takes a value of the type `wanted`."""
    value: Any = constant.value
    if value is None:
        if wanted in _CAN_BE_NIL:
            return None
        raise TemplateError(f"cannot assign nil to {wanted}")
    if wanted == ANY:
        return value
    if wanted == "time.Duration" and type(value) is int:
        return Duration(value)
    if wanted not in _LITERALS:
        raise TemplateError(f"can't handle {constant} for arg of type {wanted}")
    type_, name = _LITERALS[wanted]
    if not isinstance(value, type_) or isinstance(value, bool):
        raise TemplateError(f"expected {name}; found {constant}")
    return value


def assign(value: Any, wanted: str) -> Any:
    """A computed value as a function gets it that takes a value of the type `wanted`."""
    if wanted == ANY:
        return value
    if value is None:
        if wanted in _CAN_BE_NIL:
            return None
        raise TemplateError(f"invalid value; expected {wanted}")
    if wanted == STRING:
        fits = type(value) is str
    elif wanted == SAMPLE:
        fits = is_sample(value)
    elif wanted == VECTOR:
        fits = isinstance(value, QueryResult)
    else:
        value = value.of if isinstance(value, Pointer) else value
        fits = type_name(value) == wanted
    if not fits:
        raise TemplateError(f"wrong type for value; expected {wanted}; got {type_name(value)}")
    return value
