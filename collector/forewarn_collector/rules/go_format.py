"""Values as Go's `fmt` prints them: what `{{ $value }}` and `print` give.

Source: https://pkg.go.dev/fmt. A pointer within a list prints as what it points to, where Go
prints an address.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from forewarn_collector.rules.go_numbers import (
    binary_float,
    format_float,
    hex_float,
    not_finite,
)
from forewarn_collector.rules.go_text import escaped, quote
from forewarn_collector.rules.go_time import Duration, Month, Time, Weekday, methods
from forewarn_collector.rules.go_values import Pointer, Struct, type_name
from forewarn_collector.rules.template_nodes import TemplateError

LONGEST = 1_000_000
"""Characters that a text may have, also one that is thrown away."""
_STRINGERS = (Time, Duration, Month, Weekday)
_ADDRESS = "0xc000000000"
_PLAIN: frozenset[type] = frozenset({str, float, int})


@dataclass(frozen=True, slots=True)
class Flags:
    """What stands between `%` and the verb; `plus_v` and `sharp_v` are the flags of `%v`."""

    minus: bool = False
    plus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    width: int = 0
    places: int | None = None
    plus_v: bool = False
    sharp_v: bool = False


DEFAULT = Flags()


def format_value(value: Any) -> str:
    """A value as `%v` prints it. Raises TemplateError if that is too long."""
    if type(value) is str:
        return value
    if type(value) is float:
        return format_float(value)
    return _printed(value)


def _printed(value: Any) -> str:
    printer = Printer()
    printer.show(value, "v", DEFAULT, top=True)
    return printer.text()


def sprint(values: Sequence[Any]) -> str:
    """Go's `Sprint`: a space between two operands where neither is a string."""
    if len(values) == 1:
        return format_value(values[0])
    printer = Printer()
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            printer.write(" ")
        printer.show(value, "v", DEFAULT, top=True)
    return printer.text()


def sprintln(values: Sequence[Any]) -> str:
    """Go's `Sprintln`: a space between all operands, and a new line after them."""
    printer = Printer()
    for position, value in enumerate(values):
        if position:
            printer.write(" ")
        printer.show(value, "v", DEFAULT, top=True)
    printer.write("\n")
    return printer.text()


class Printer:
    """Gathers text, and ends with an error before it gets too long."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0

    def text(self) -> str:
        """All that was written."""
        return "".join(self._parts)

    def write(self, text: str) -> None:
        """Write a text. Raises TemplateError if it is too much."""
        self._length += len(text)
        if self._length > LONGEST:
            raise TemplateError(f"a text of more than {LONGEST} characters")
        self._parts.append(text)

    def pad(self, text: str, flags: Flags) -> None:
        """Write a text in its column. Zeros fill before a text, too, but never after it."""
        missing = flags.width - len(text)
        if missing > 0 and self._length + missing > LONGEST:
            raise TemplateError(f"a text of more than {LONGEST} characters")
        if flags.minus:
            self.write(text.ljust(flags.width))
        else:
            self.write(text.rjust(flags.width, "0" if flags.zero else " "))

    def show(self, value: Any, verb: str, flags: Flags, top: bool = False) -> None:
        """Write a value; `top` says that it is not within another."""
        if value is None:
            if verb in "Tv":
                self.pad("<nil>", flags)
            else:
                self.write(f"%!{verb}(<nil>)")
            return
        if verb == "T" and top:
            self.pad(type_name(value)[: flags.places], flags)
            return
        if verb == "p" and top:
            if isinstance(value, (Pointer, dict, list)):
                self.write(_ADDRESS)
            else:
                self._wrong(value, verb, flags)
            return
        inner = value.of if isinstance(value, Pointer) else value
        if isinstance(inner, _STRINGERS) and verb in "vsxXq":
            if not flags.sharp_v:
                self._string(inner.text(), verb, value, flags)
                return
            if isinstance(inner, Time):
                self.write(methods(inner)["GoString"].call(inner))
                return
        if isinstance(inner, (dict, list, Struct)):
            if isinstance(value, Pointer):
                self.write("&")
            self._compound(inner, verb, flags)
        elif isinstance(value, (Pointer, Time)):
            self.write(_ADDRESS if isinstance(value, Pointer) else "{}")
        else:
            self._simple(value, verb, flags)

    def _compound(self, value: Any, verb: str, flags: Flags) -> None:
        go_syntax = flags.sharp_v
        between = ", " if go_syntax else " "
        opening, closing = ("{", "}") if go_syntax or isinstance(value, Struct) else ("[", "]")
        if go_syntax:
            self.write(type_name(value))
        elif isinstance(value, dict):
            self.write("map")
        self.write(opening)
        named = isinstance(value, dict) or flags.plus_v or go_syntax
        items: Sequence[tuple[str, Any]]
        if isinstance(value, list):
            items = [("", item) for item in value]
        else:
            items = sorted(value.items()) if isinstance(value, dict) else [*value.fields.items()]
        for position, (name, item) in enumerate(items):
            if position:
                self.write(between)
            if isinstance(value, dict):
                self.show(name, verb, flags)
                self.write(":")
            elif named and name:
                self.write(f"{name}:")
            self.show(item, verb, flags)
        self.write(closing)

    def _simple(self, value: Any, verb: str, flags: Flags) -> None:
        if isinstance(value, bool):
            if verb in "tv":
                self.pad("true" if value else "false", flags)
            else:
                self._wrong(value, verb, flags)
        elif isinstance(value, str):
            self._string(value, verb, value, flags)
        elif isinstance(value, float):
            self._float(value, verb, flags)
        else:
            self._integer(value, verb, flags)

    def _wrong(self, value: Any, verb: str, flags: Flags) -> None:
        self.write(f"%!{verb}({type_name(value)}=")
        if isinstance(value, _STRINGERS) and not isinstance(value, Time):
            self.show(int(value), "v", flags)
        else:
            self.show(value, "v", flags)
        self.write(")")

    def _string(self, text: str, verb: str, value: Any, flags: Flags) -> None:
        cut = text if flags.places is None or verb in "xX" else text[: flags.places]
        if verb == "v" and flags.sharp_v:
            self.pad(quote(cut), flags)
        elif verb in "vs":
            self.pad(cut, flags)
        elif verb == "q":
            raw = flags.sharp and not any(
                c in "`\x7f\ufeff" or (c < " " and c != "\t") for c in cut
            )
            self.pad(f"`{cut}`" if raw else quote(cut, ascii_only=flags.plus), flags)
        elif verb in "xX":
            self._hex_string(text, verb, flags)
        else:
            self._wrong(value, verb, flags)

    def _hex_string(self, text: str, verb: str, flags: Flags) -> None:
        octets = text.encode()[: flags.places]
        digits = octets.hex(" ") if flags.space else octets.hex()
        if octets and flags.sharp:
            digits = "0x" + digits.replace(" ", " 0x")
        self.pad(digits.upper() if verb == "X" else digits, flags)

    def _integer(self, value: int, verb: str, flags: Flags) -> None:
        if verb in _BASES:
            self._digits(value, verb, flags)
        elif verb == "v":
            unsigned = flags.sharp_v and type_name(value) == "uint8"
            used = replace(flags, sharp=True) if unsigned else flags
            self._digits(value, "x" if unsigned else "d", used)
        elif verb in "cq":
            code = value if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else 0xFFFD
            text = chr(code)
            if verb == "q":
                text = "'" + escaped(text, "'", flags.plus) + "'"
            self.pad(text, flags)
        elif verb == "U":
            text = f"U+{value & 0xFFFFFFFFFFFFFFFF:0{max(4, flags.places or 0)}X}"
            if flags.sharp and 0 <= value <= 0x10FFFF and chr(value).isprintable():
                text += f" '{chr(value)}'"
            self.pad(text, replace(flags, zero=False))
        else:
            self._wrong(value, verb, flags)

    def _digits(self, value: int, verb: str, flags: Flags) -> None:
        base, prefix = _BASES[verb]
        sign = "-" if value < 0 else "+" if flags.plus else " " if flags.space else ""
        digits = f"{abs(value):{base}}"
        least = 0
        if flags.places is not None:
            if flags.places == 0 and value == 0:
                self.pad("", replace(flags, zero=False))
                return
            least = flags.places
        elif flags.zero and not flags.minus:
            least = flags.width - len(sign)
        if least > LONGEST:
            raise TemplateError(f"a text of more than {LONGEST} characters")
        digits = digits.rjust(least, "0")
        if flags.sharp and verb in "oO" and digits[0] != "0":
            digits = "0" + digits
        if verb == "O" or (flags.sharp and verb in "bxX"):
            digits = prefix + digits
        self.pad(sign + digits, replace(flags, zero=False))

    def _float(self, value: float, verb: str, flags: Flags) -> None:
        if verb not in "vbgGxXfFeE":
            self._wrong(value, verb, flags)
            return
        if not math.isfinite(value):
            text = not_finite(value)
            if text == "NaN":
                text = ("+" if flags.plus else " " if flags.space else "") + text
            elif value > 0:
                text = text if flags.plus else (" Inf" if flags.space else text)
            self.pad(text, replace(flags, zero=False))
            return
        text = _float_text(value, verb, flags.places)
        if flags.sharp and verb != "b":
            text = _with_point(text, verb, flags.places)
        if text[0] != "-":
            text = ("+" if flags.plus else " " if flags.space else "") + text
        if text[0] in "+-" and flags.zero and not flags.minus and flags.width > len(text):
            self.write(text[0])
            self.pad(text[1:], replace(flags, width=flags.width - 1))
        else:
            self.pad(text, flags)


_BASES = {
    "d": ("d", ""),
    "b": ("b", "0b"),
    "o": ("o", ""),
    "O": ("o", "0o"),
    "x": ("x", "0x"),
    "X": ("X", "0X"),
}


def _float_text(value: float, verb: str, places: int | None) -> str:
    verb = {"v": "g", "F": "f"}.get(verb, verb)
    if verb in "gG":
        if places is None:
            text = format_float(value)
        elif places == 0:
            text = f"{value:.1g}"
        else:
            text = f"{value:.{places}g}"
        return text.upper() if verb == "G" else text
    if verb in "xX":
        text = hex_float(value, places)
        return text.upper() if verb == "X" else text
    if verb == "b":
        return binary_float(value)
    return f"{value:.{6 if places is None else places}{verb}}"


def _with_point(text: str, verb: str, places: int | None) -> str:
    """What the flag `#` makes of a float: always a point, and for %g all of its digits."""
    start = 1 if text[0] == "-" else 0
    cut = min((at for at in map(text.find, "pP" if verb in "xX" else "eE") if at >= 0), default=-1)
    number, tail = (text, "") if cut < 0 else (text[:cut], text[cut:])
    digits = (6 if places is None else places) if verb in "vgGx" else 0
    seen = number[start:].replace(".", "").lstrip("0")
    digits -= len(seen)
    if "." not in number:
        digits -= number[start:] == "0"
        number += "."
    return number + "0" * max(0, digits) + tail
