"""Values as Go's `fmt` prints them: what `{{ $value }}` and `printf` give.

Source: https://pkg.go.dev/fmt and Go's `strconv.FormatFloat`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|[0-9]+)?(?:\.(?P<precision>\*|[0-9]*))?(?P<verb>.)?", re.S
)
_WIDEST = 10_000
"""Wider fields are refused (Go allows a million): no label or text needs them."""
_EXPONENT_FROM = 6
"""Go writes 1e+06 but 999999."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: a fixed set of named fields."""

    fields: dict[str, Any]


def format_value(value: Any) -> str:
    """A value as `%v` prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format_float(value)
    if isinstance(value, dict):
        pairs = (f"{name}:{format_value(item)}" for name, item in sorted(value.items()))
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, list):
        return f"[{' '.join(map(format_value, value))}]"
    if isinstance(value, Struct):
        return "{" + " ".join(map(format_value, value.fields.values())) + "}"
    return str(value)


def format_float(value: float) -> str:
    """The shortest text that reads back to the same value, in Go's `%g` notation."""
    if not math.isfinite(value):
        return _not_finite(value)
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    # repr() finds the shortest digits; only where an exponent begins differs between the two.
    parts = Decimal(repr(value)).normalize().as_tuple()
    digits = "".join(map(str, parts.digits))
    power = len(digits) - 1 + int(parts.exponent)
    sign = "-" if parts.sign else ""
    if power < -4 or power >= _EXPONENT_FROM:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{power:+03d}"
    return f"{sign}{Decimal((0, parts.digits, int(parts.exponent))):f}"


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def sprint(values: Sequence[Any]) -> str:
    """Go's `Sprint`: a space between two operands where neither is a string."""
    parts: list[str] = []
    for position, value in enumerate(values):
        before = values[position - 1] if position else ""
        if position and not isinstance(value, str) and not isinstance(before, str):
            parts.append(" ")
        parts.append(format_value(value))
    return "".join(parts)


def sprintf(layout: str, values: Sequence[Any]) -> str:
    """Go's `Sprintf`, with its notes such as `%!d(string=x)` for what does not fit."""
    out: list[str] = []
    used = 0
    end = 0

    def take() -> Any:
        nonlocal used
        used += 1
        return values[used - 1]

    for match in _VERB.finditer(layout):
        out.append(layout[end : match.start()])
        end = match.end()
        width, precision = match["width"], match["precision"]
        if width == "*":
            width = str(take()) if used < len(values) else "0"
        if precision == "*":
            precision = str(take()) if used < len(values) else "0"
        verb = match["verb"]
        if verb is None:
            out.append("%!(NOVERB)")
        elif verb == "%":
            out.append("%")
        elif used >= len(values):
            out.append(f"%!{verb}(MISSING)")
        else:
            out.append(_format_verb(verb, match["flags"], width, precision, take()))
    out.append(layout[end:])
    if used < len(values):
        extra = ", ".join(f"{_type(value)}={format_value(value)}" for value in values[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _format_verb(
    verb: str, flags: str, width: str | None, precision: str | None, value: Any
) -> str:
    if not _fits(width):
        return "%!(BADWIDTH)"
    if not _fits(precision):
        return "%!(BADPREC)"
    places = int(precision or 0) if precision is not None else None
    text = _convert(verb, flags, places, value)
    if text is None:
        return f"%!{verb}({_type(value)}={format_value(value)})"
    columns = int(width or 0)
    if columns < 0 or "-" in flags:
        return text.ljust(abs(columns))
    if "0" in flags and isinstance(value, (int, float)) and "n" not in text.lower():
        sign = text[0] if text[:1] in {"+", "-", " "} else ""
        return sign + text[len(sign) :].rjust(columns - len(sign), "0")
    return text.rjust(columns)


def _fits(number: str | None) -> bool:
    try:
        return abs(int(number or 0)) <= _WIDEST
    except ValueError:
        return False


def _convert(verb: str, flags: str, places: int | None, value: Any) -> str | None:
    if verb == "T":
        return _type(value)
    if verb == "v":
        # A precision works on a float within %v as it does within %g.
        return _convert("g", flags, places, value) if _is_float(value) else format_value(value)
    if isinstance(value, bool):
        return format_value(value) if verb == "t" else None
    if isinstance(value, str):
        return _convert_text(verb, flags, places, value)
    if isinstance(value, int):
        return _convert_int(verb, flags, value)
    if _is_float(value):
        return _convert_float(verb, flags, places, value)
    if verb == "s" and isinstance(value, (dict, list, Struct)):
        return format_value(value)
    return None


def _convert_text(verb: str, flags: str, places: int | None, value: str) -> str | None:
    cut = value if places is None else value[:places]
    if verb == "s":
        return cut
    if verb == "q":
        if "#" in flags and "`" not in cut and "\n" not in cut:
            return f"`{cut}`"
        return json.dumps(cut, ensure_ascii=False)
    if verb in {"x", "X"}:
        digits = cut.encode().hex()
        return digits if verb == "x" else digits.upper()
    return None


def _convert_int(verb: str, flags: str, value: int) -> str | None:
    sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
    if verb == "d":
        return f"{sign}{abs(value)}"
    if verb in {"x", "X", "o", "b"}:
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}[verb] if "#" in flags else ""
        return f"{sign}{prefix}{abs(value):{verb}}"
    if verb in {"c", "q", "U"} and 0 <= value <= 0x10FFFF:
        return {"c": chr(value), "q": f"'{chr(value)}'", "U": f"U+{value:04X}"}[verb]
    return None


def _convert_float(verb: str, flags: str, places: int | None, value: float) -> str | None:
    if verb not in {"e", "E", "f", "F", "g", "G"}:
        return None
    if not math.isfinite(value):
        return _not_finite(value)
    if places is None and verb in {"g", "G"}:
        text = format_float(value)
        text = text.upper() if verb == "G" else text
    else:
        text = f"{value:.{6 if places is None else places}{verb}}"
    if value >= 0 and not text.startswith("-"):
        text = ("+" if "+" in flags else " " if " " in flags else "") + text
    return text


def _is_float(value: Any) -> bool:
    return isinstance(value, float)


def _type(value: Any) -> str:
    names = {bool: "bool", str: "string", int: "int", float: "float64", dict: "map[string]string"}
    return names.get(type(value), "<nil>" if value is None else "[]interface {}")
