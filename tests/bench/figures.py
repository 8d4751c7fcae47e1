"""Percentiles and tables for the benchmarks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """How a measured quantity spreads: count, median, 99th percentile, maximum."""

    count: int
    p50: float
    p99: float
    max: float


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that `share` of all do not exceed.

    Source: https://en.wikipedia.org/wiki/Percentile#The_nearest-rank_method; always a value that
    was measured. NaN where there are none.
    """
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]


def spread(values: Sequence[float]) -> Spread:
    """The spread of these values."""
    return Spread(
        len(values),
        percentile(values, 0.5),
        percentile(values, 0.99),
        max(values, default=math.nan),
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded to be read as it stands; the first column is left-aligned."""
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(headings), line(rule), *map(line, rows)])


def number(value: float, digits: int = 0) -> str:
    """A figure for a table; a dash where nothing was measured."""
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def ratio(value: float, base: float) -> str:
    """`value` in multiples of `base`."""
    if math.isnan(value) or math.isnan(base) or base <= 0:
        return "-"
    times = value / base
    return f"{times:,.0f} x" if times >= 10 else f"{times:.2f} x"
