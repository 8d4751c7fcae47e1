"""Go's `printf`.

Source: `doPrintf` of Go's fmt/print.go, described in https://pkg.go.dev/fmt#hdr-Printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forewarn_collector.rules.go_format import DEFAULT, Flags, Printer
from forewarn_collector.rules.go_values import type_name

_WIDEST = 1_000_000
"""A wider field is a mistake to Go."""


def sprintf(layout: str, values: Sequence[Any]) -> str:
    """Go's `Sprintf`, with its notes such as `%!d(string=x)` for what does not fit."""
    return _Layout(layout, values).text()


class _Layout:
    """One `printf`: the layout from left to right, as Go's own does it."""

    def __init__(self, layout: str, values: Sequence[Any]) -> None:
        self._layout = layout
        self._values = values
        self._at = 0
        self._next = 0
        self._reordered = False
        self._good = True
        self._printer = Printer()

    def text(self) -> str:
        layout, printer = self._layout, self._printer
        while (percent := layout.find("%", self._at)) >= 0:
            printer.write(layout[self._at : percent])
            self._at = percent + 1
            self._verb()
        printer.write(layout[self._at :])
        if not self._reordered and self._next < len(self._values):
            printer.write("%!(EXTRA ")
            for position, value in enumerate(self._values[self._next :]):
                printer.write(", " if position else "")
                printer.write("" if value is None else f"{type_name(value)}=")
                printer.show(value, "v", DEFAULT, top=True)
            printer.write(")")
        return printer.text()

    def _verb(self) -> None:
        layout, printer = self._layout, self._printer
        start = self._at
        while self._at < len(layout) and layout[self._at] in "-+# 0":
            self._at += 1
        written = layout[start : self._at]
        minus, zero = "-" in written, "0" in written
        self._good = True
        indexed = self._index()
        width, wide, indexed = self._number(indexed, "%!(BADWIDTH)")
        if wide and width < 0:
            width, minus = -width, True
        places: int | None = None
        if self._at + 1 < len(layout) and layout[self._at] == ".":
            self._at += 1
            self._good = self._good and not indexed
            indexed = self._index()
            star = layout[self._at : self._at + 1] == "*"
            found, known, indexed = self._number(indexed, "%!(BADPREC)", negative=False)
            places = found if known or not star else None
        if not indexed:
            self._index()
        if self._at >= len(layout):
            printer.write("%!(NOVERB)")
            return
        verb = layout[self._at]
        self._at += 1
        if verb == "%":
            printer.write("%")
        elif not self._good:
            printer.write(f"%!{verb}(BADINDEX)")
        elif self._next >= len(self._values):
            printer.write(f"%!{verb}(MISSING)")
        else:
            sharp, plus = "#" in written, "+" in written
            flags = Flags(
                minus=minus,
                plus=plus and verb != "v",
                sharp=sharp and verb != "v",
                space=" " in written,
                zero=zero and not minus,
                width=width if wide else 0,
                places=places,
                plus_v=plus and verb == "v",
                sharp_v=sharp and verb == "v",
            )
            value = self._values[self._next]
            self._next += 1
            printer.show(value, verb, flags, top=True)

    def _number(
        self, indexed: bool, wrong: str, *, negative: bool = True
    ) -> tuple[int, bool, bool]:
        """A width or a precision: its value, whether there is one, and whether an index is open."""
        layout = self._layout
        if layout[self._at : self._at + 1] == "*":
            self._at += 1
            value: Any = self._values[self._next] if self._next < len(self._values) else None
            self._next += self._next < len(self._values)
            number = isinstance(value, int) and not isinstance(value, bool)
            if not number or not (-_WIDEST if negative else 0) <= value <= _WIDEST:
                self._printer.write(wrong)
                return 0, False, False
            return int(value), True, False
        start = self._at
        while self._at < len(layout) and layout[self._at] in "0123456789":
            self._at += 1
        digits = layout[start : self._at]
        if int(digits[:-1][:8] or 0) > _WIDEST:
            # Go gives up on the whole layout here.
            self._at = len(layout)
            return 0, False, indexed
        if digits and indexed:
            self._good = False
        return int(digits or 0), bool(digits), indexed

    def _index(self) -> bool:
        """Read `[n]`, the number of the operand to take next; say whether there was one."""
        layout = self._layout
        if layout[self._at : self._at + 1] != "[":
            return False
        self._reordered = True
        end = layout.find("]", self._at)
        if end < 0:
            self._at += 1
            self._good = False
            return False
        digits = layout[self._at + 1 : end]
        self._at = end + 1
        known = digits.isascii() and digits.isdigit() and len(digits) <= 7
        if known and 1 <= int(digits) <= len(self._values):
            self._next = int(digits) - 1
            return True
        self._good = False
        return known
