"""The constants in Go templates: texts in quotes, characters, and numbers in all of Go's bases.

Source: https://go.dev/ref/spec#Lexical_elements.
"""

from __future__ import annotations

import re
from typing import Any

from forewarn_collector.rules.go_numbers import parse_float, parse_integer
from forewarn_collector.rules.template_nodes import TemplateError

_ESCAPE = re.compile(
    r"""\\(?:(?P<letter>[abfnrtv\\"'])
    | (?P<octal>[0-3][0-7]{2})
    | (?:x(?P<byte>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))
    | (?P<unknown>.?))""",
    re.S | re.X,
)
_LETTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def constant(kind: str, written: str, at: int) -> Any:
    """The value of a constant: a "text", "raw", "char" or "number" that stands at an offset.

    A char is its code point; 1e3 and 1.0 are floats, as in Go. Raises TemplateError.
    """
    try:
        if kind == "raw":
            return written[1:-1].replace("\r", "")
        if kind == "text":
            return _unquoted(written[1:-1], "'").decode(errors="replace")
        if kind == "char":
            return _char(written[1:-1])
        return _number(written, at)
    except TemplateError:
        raise
    except ValueError:
        hint = "write \\\\ for \\, or put it in `backquotes`" if kind == "text" else ""
        raise TemplateError(f"bad constant {written}", at, hint) from None


def _number(text: str, at: int) -> int | float:
    if text[-1:] == "i" and not text.lower().startswith("0x"):
        raise TemplateError(f"no imaginary numbers here: {text}", at)
    whole = parse_integer(text)
    if whole is None:
        number = parse_float(text)
        if not any(sign in text for sign in ".eEpP"):
            raise TemplateError(f"integer overflow: {text}", at)
        return number
    if not -(2**63) <= whole < 2**63:
        raise TemplateError(f"{text} overflows int", at)
    return whole


def _char(inside: str) -> int:
    escape = _ESCAPE.fullmatch(inside)
    if escape is not None and (escape["octal"] or escape["byte"]):
        return _code(escape)
    if inside in ("'", '\\"'):
        raise ValueError("a quote of the wrong kind")
    letters = _unquoted(inside, '"').decode()
    if len(letters) != 1:
        raise ValueError("not one letter")
    return ord(letters)


def _code(escape: re.Match[str]) -> int:
    if escape["octal"]:
        return int(escape["octal"], 8)
    return int(escape["byte"] or escape["short"] or escape["long"], 16)


def _unquoted(inside: str, other_quote: str) -> bytes:
    """The octets of a text in quotes: \\x and octal give one octet, all others a letter."""

    def unescape(match: re.Match[str]) -> bytes:
        if match["unknown"] is not None or match["letter"] == other_quote:
            raise ValueError("unknown escape")
        if match["letter"]:
            return _LETTERS.get(match["letter"], match["letter"]).encode()
        code = _code(match)
        return chr(code).encode() if match["short"] or match["long"] else bytes([code])

    out = []
    end = 0
    for match in _ESCAPE.finditer(inside):
        out += [inside[end : match.start()].encode(), unescape(match)]
        end = match.end()
    return b"".join((*out, inside[end:].encode()))
