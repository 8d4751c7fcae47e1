"""OpenTelemetry's names and units to Prometheus' names, as Prometheus 3 translates them.

Source: prometheus/otlptranslator with its strategy `UnderscoreEscapingWithSuffixes`, which is what
Prometheus 3 does by default, and OpenTelemetry's "Prometheus and OpenMetrics Compatibility".
"""

from __future__ import annotations

import re
from enum import Enum

_UNITS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "1": "",
    "%": "percent",
}
_PER_UNITS = {
    "s": "second",
    "m": "minute",
    "h": "hour",
    "d": "day",
    "w": "week",
    "mo": "month",
    "y": "year",
}
_BETWEEN_TOKENS = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_IN_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")


class Kind(Enum):
    """A metric's type, as far as names depend on it; the value is Prometheus' word for it."""

    GAUGE = "gauge"
    COUNTER = "counter"
    UP_DOWN_COUNTER = "up_down_counter"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"

    @property
    def prometheus(self) -> str:
        """The type that metadata gives."""
        return "gauge" if self is Kind.UP_DOWN_COUNTER else self.value


def metric_name(name: str, unit: str, kind: Kind) -> str:
    """The metric's name; empty where nothing of it can be kept."""
    tokens = [token for token in _BETWEEN_TOKENS.split(name) if token]
    main, per = _unit_suffixes(unit)
    main, per = _cleaned(main), _cleaned(per)
    if main in tokens:
        main = ""
    per = "" if per == "per_" else per.removesuffix("_")
    if per in tokens:
        per = ""
    if per:
        main = main.removesuffix("_")
    tokens += [suffix for suffix in (main, per) if suffix]
    if kind is Kind.COUNTER:
        tokens = [token for token in tokens if token != "total"] + ["total"]  # noqa: S105 - a word
    # Some senders give counts of things the unit 1, so that only gauges are taken for ratios.
    if unit == "1" and kind is Kind.GAUGE:
        tokens = [token for token in tokens if token != "ratio"] + ["ratio"]  # noqa: S105 - a word
    joined = "_".join(tokens)
    return f"_{joined}" if joined[:1].isdigit() else joined


def unit_name(unit: str) -> str:
    """A unit in words for metadata, such as `bytes_per_second`; empty for none."""
    main, per = (_cleaned(part) for part in _unit_suffixes(unit))
    return "_".join(part for part in (main, per) if part).strip("_")


def label_name(name: str) -> str:
    """The label's name; empty where nothing of it can be kept."""
    normal = _NOT_IN_A_LABEL.sub("_", name)
    if normal[:1].isdigit():
        normal = f"key_{normal}"
    elif normal.startswith("_") and not normal.startswith("__"):
        normal = f"key{normal}"
    return normal if normal.strip("_") and normal != "key_" else ""


def _unit_suffixes(unit: str) -> tuple[str, str]:
    main, _, per = (part.strip() for part in unit.partition("/"))
    main = "" if "{" in main or "}" in main else _UNITS.get(main, main)
    per = "" if "{" in per or "}" in per else _PER_UNITS.get(per, per)
    return main, f"per_{per}" if per else ""


def _cleaned(unit: str) -> str:
    return _BETWEEN_TOKENS.sub("_", unit).removeprefix("_")
