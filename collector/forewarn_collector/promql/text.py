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


def open_metrics_float(value: float) -> str:
    """As OpenMetrics writes a quantile: a whole number keeps a decimal place."""
    text = plain_float(value)
    whole = text.lstrip("-").isdigit()
    return f"{text}.0" if whole else text


def series_text(labels: Labels) -> str:
    """A label set as Prometheus' messages write it, the metric's name among the labels."""
    pairs = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels)
    return "{" + ", ".join(pairs) + "}"
