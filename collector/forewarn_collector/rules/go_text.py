"""Texts as Go writes them in quotes.

Source: `Quote` of https://pkg.go.dev/strconv.
"""

from __future__ import annotations

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
            "\v": "\\v", "\\": "\\\\"}  # fmt: skip


def quote(text: str, *, ascii_only: bool = False) -> str:
    """A text as a Go literal in double quotes."""
    return '"' + escaped(text, '"', ascii_only) + '"'


def escaped(text: str, mark: str, ascii_only: bool) -> str:
    return "".join(_escape(letter, mark, ascii_only) for letter in text)


def _escape(letter: str, mark: str, ascii_only: bool) -> str:
    if letter == mark:
        return "\\" + letter
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    code = ord(letter)
    if letter.isprintable() and (code < 128 or not ascii_only):
        return letter
    if code < 128:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
