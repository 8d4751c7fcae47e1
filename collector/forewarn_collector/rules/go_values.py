"""The values that templates handle, with the types that they have in Go.

bool, int, float, str and dict stand for Go's bool, int, float64, string and map[string]string; the
types here for all others. None is nil. Source: https://pkg.go.dev/text/template, and the types of
prometheus/prometheus `template/template.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar


class Int64(int):
    """Go's int64, as a time's Unix() gives it."""

    go_type: ClassVar[str] = "int64"


class Uint8(int):
    """Go's byte, a part of a string."""

    go_type: ClassVar[str] = "uint8"


class Html(str):
    """Text that `safeHtml` marked: printed as any text, but no argument for a string."""

    __slots__ = ()


class Url(str):
    """An address that `safeUrl` marked: trusted as it is where HTML has an address."""

    __slots__ = ()
    go_type: ClassVar[str] = "template.URL"


class AnyMap(dict[str, Any]):
    """Go's map[string]interface {}: what `args` gives."""


class QueryResult(list["Pointer"]):
    """What `query` gives: pointers to samples."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: a fixed set of named fields."""

    go_type: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pointer:
    """Go's pointer to a value that is not nil."""

    of: Any


def sample(labels: dict[str, str], value: float) -> Pointer:
    """One element of a query's result."""
    return Pointer(Struct("template.sample", {"Labels": labels, "Value": value}))


def is_sample(value: Any) -> bool:
    """Whether a value is an element of a query's result."""
    return (
        isinstance(value, Pointer)
        and isinstance(value.of, Struct)
        and (value.of.go_type == "template.sample")
    )


_NAMES = {
    bool: "bool",
    int: "int",
    float: "float64",
    str: "string",
    dict: "map[string]string",
    Html: "template.HTML",
    AnyMap: "map[string]interface {}",
    QueryResult: "template.queryResult",
}


def type_name(value: Any) -> str:
    """The name of a value's type, as Go prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, Pointer):
        return f"*{type_name(value.of)}"
    return _NAMES.get(type(value)) or str(value.go_type)


def kind(value: Any) -> str:
    """What comparisons go by: "bool", "int" (signed or not), "float", "string", or "" for others.

    The difference between signed and unsigned integers does not matter to a comparison in Go.
    """
    for type_, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "string")):
        if isinstance(value, type_):
            return name
    return ""


def truth(value: Any) -> bool:
    """Go's truth: zero, nil and empty are false; a struct or pointer is true."""
    return True if isinstance(value, (Struct, Pointer)) else bool(value)


def indirect(value: Any) -> Any:
    """What a pointer points to; any other value as it is."""
    return value.of if isinstance(value, Pointer) else value
