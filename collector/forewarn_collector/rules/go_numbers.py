"""Numbers as Go's `strconv` writes and reads them.

Source: https://pkg.go.dev/strconv and the literals of https://go.dev/ref/spec.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from forewarn_collector.rules.go_text import quote

_EXPONENT_FROM = 6
"""Go writes 1e+06 but 999999."""
_DIGITS = r"(?:[0-9]+(?:_[0-9]+)*)"
_DECIMAL = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.{_DIGITS}?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?")
_HEX_DIGITS = r"(?:_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)"
_HEX = re.compile(
    rf"(?P<sign>[+-]?)0[xX](?P<whole>{_HEX_DIGITS}?)(?:\.(?P<part>{_HEX_DIGITS}?))?[pP](?P<power>[+-]?{_DIGITS})"
)
_SPECIAL = re.compile(r"[+-]?(?:inf|infinity|nan)", re.I)
_INTEGERS = (
    (16, re.compile(rf"([+-]?)0[xX]({_HEX_DIGITS})")),
    (8, re.compile(r"([+-]?)0[oO]?((?:_?[0-7]+)+)")),
    (2, re.compile(r"([+-]?)0[bB]((?:_?[01]+)+)")),
    (10, re.compile(rf"([+-]?)({_DIGITS})")),
)


def parse_float(text: str) -> float:
    """The number that a text means. Raises ValueError, worded as Go's ParseFloat."""
    hexadecimal = _HEX.fullmatch(text)
    if hexadecimal is not None and (hexadecimal["whole"] or hexadecimal["part"]):
        number = _hex_float(hexadecimal)
    elif _SPECIAL.fullmatch(text) or _DECIMAL.fullmatch(text):
        number = float(text.replace("_", ""))
    else:
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: invalid syntax")
    if math.isinf(number) and "n" not in text.lower():
        raise ValueError(f"strconv.ParseFloat: parsing {quote(text)}: value out of range")
    return number


def _hex_float(match: re.Match[str]) -> float:
    whole, part = (match["whole"] or "").replace("_", ""), (match["part"] or "").replace("_", "")
    power = match["power"].replace("_", "")
    try:
        return float.fromhex(f"{match['sign']}0x{whole or '0'}.{part}p{power}")
    except OverflowError:
        return -math.inf if match["sign"] == "-" else math.inf


def parse_integer(text: str) -> int | None:
    """An integer literal in any of Go's bases, or None. A leading 0 means octal."""
    for base, pattern in _INTEGERS:
        match = pattern.fullmatch(text)
        if match is not None and not (base == 10 and len(match[2]) > 1 and match[2][0] == "0"):
            return int(match[1] + match[2].replace("_", ""), base)
    return None


def format_float(value: float) -> str:
    """The shortest text that reads back to the same value, in Go's `%g` notation."""
    if not math.isfinite(value):
        return not_finite(value)
    text = repr(value)
    if "e" not in text:
        # repr() finds the shortest digits; only where an exponent begins differs between the two.
        size = abs(value)
        if 1e-4 <= size < 1e6 or size == 0:
            return text.removesuffix(".0")
    parts = Decimal(text).normalize().as_tuple()
    digits = "".join(map(str, parts.digits))
    power = len(digits) - 1 + int(parts.exponent)
    sign = "-" if parts.sign else ""
    if power < -4 or power >= _EXPONENT_FROM:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{power:+03d}"
    return f"{sign}{Decimal((0, parts.digits, int(parts.exponent))):f}"


def not_finite(value: float) -> str:
    """NaN and the infinities."""
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def hex_float(value: float, places: int | None) -> str:
    """A finite value as `%x` prints it: 0x1.dp+02."""
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if value == 0:
        return f"{sign}0x0{'.' + '0' * places if places else ''}p+00"
    fraction, exponent = math.frexp(abs(value))
    # 53 bits: one before the point and 52 after, of which `places` * 4 stay.
    bits, exponent = int(fraction * (1 << 53)), exponent - 1
    if places is not None and places < 13:
        cut = 52 - 4 * places
        half, rest = 1 << (cut - 1), bits & ((1 << cut) - 1)
        bits >>= cut
        bits += rest > half or (rest == half and bits & 1)
        if bits >> (4 * places + 1):
            bits, exponent = bits >> 1, exponent + 1
        bits <<= cut
    digits = f"{bits & ((1 << 52) - 1):013x}"
    digits = digits.rstrip("0") if places is None else digits[:places].ljust(places, "0")
    return f"{sign}0x1{'.' + digits if digits else ''}p{exponent:+03d}"


def binary_float(value: float) -> str:
    """A finite value as `%b` prints it: a whole number and a power of two."""
    fraction, exponent = math.frexp(value)
    if abs(value) < 2.0**-1022:
        sign = "-" if math.copysign(1.0, value) < 0 else ""
        return f"{sign}{int(math.ldexp(abs(value), 1074))}p-1074"
    return f"{int(fraction * (1 << 53))}p{exponent - 53:+d}"
