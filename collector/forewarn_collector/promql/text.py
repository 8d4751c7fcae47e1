"""Numbers and labels as texts, spelled as Prometheus spells them."""

from __future__ import annotations

import json
import math
from decimal import Decimal

from forewarn_wire.labels import Labels


def plain_float(value: float) -> str:
    """The shortest decimal that reads back the same, without an exponent: Go's `'f', -1`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text.removesuffix(".0")


def general_float(value: float) -> str:
    """The shortest decimal that reads back the same, in Go's `%g`: 1e+06, but 100000."""
    if not math.isfinite(value) or value == 0 or 1e-4 <= abs(value) < 1e6:
        return plain_float(value)
    mantissa, exponent = f"{Decimal(repr(value)).normalize():e}".split("e")
    return f"{mantissa}e{int(exponent):+03d}"


def quoted(text: str) -> str:
    """A string as Prometheus' messages write it."""
    return json.dumps(text, ensure_ascii=False)


def open_metrics_float(value: float) -> str:
    """As OpenMetrics writes a quantile: a whole number keeps a decimal place."""
    text = plain_float(value)
    whole = text.lstrip("-").isdigit()
    return f"{text}.0" if whole else text


def series_text(labels: Labels) -> str:
    """A label set as Prometheus' messages write it, the metric's name among the labels."""
    pairs = (f"{name}={quoted(value)}" for name, value in labels)
    return "{" + ", ".join(pairs) + "}"
