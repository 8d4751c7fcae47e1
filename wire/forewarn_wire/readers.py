"""What a field of a document may hold: readers for `Section.take`, each naming what it expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from forewarn_wire.durations import parse_duration

T = TypeVar("T")

_SIZES = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def text(value: Any) -> str:
    """A string."""
    if isinstance(value, str):
        return value
    raise ValueError(f"expected text, found {value!r}; put it in quotes")


def number(value: Any) -> float:
    """A number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"expected a number, found {value!r}")


def whole_number(value: Any) -> int:
    """An integer, zero or more."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"expected a whole number, found {value!r}")


def boolean(value: Any) -> bool:
    """true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"expected true or false, found {value!r}")


def duration(value: Any) -> int:
    """A duration such as 30s, in milliseconds."""
    if isinstance(value, str):
        return parse_duration(value)
    if value == 0 and not isinstance(value, bool):
        return 0
    raise ValueError(f"expected a duration such as 30s, 5m or 7d, found {value!r}")


def size(value: Any) -> int:
    """A size such as 64MiB, in bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str):
        digits = value.rstrip("KMGiB ")
        unit = value[len(digits) :].strip()
        if digits.isdigit() and unit in _SIZES:
            return int(digits) * _SIZES[unit]
    raise ValueError(f"expected a size such as 64MiB or 2GiB, found {value!r}")


def texts(value: Any) -> tuple[str, ...]:
    """A list of strings; a single string counts as a list of one."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(text(item) for item in value)
    raise ValueError(f"expected a list of text, found {value!r}")


def text_mapping(value: Any) -> dict[str, str]:
    """A mapping of strings to strings; a bare number or boolean is refused, as YAML alters it."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping of names to text, found {value!r}")
    return {text(name): text(item) for name, item in value.items()}


def one_of(*choices: str) -> Callable[[Any], str]:
    """A reader of one word out of several."""

    def read(value: Any) -> str:
        if value in choices:
            return str(value)
        raise ValueError(f"expected one of {', '.join(choices)}, found {value!r}")

    return read
