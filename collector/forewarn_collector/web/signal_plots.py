"""Expressions as plots of a page: evaluated over a time, with what else happened marked in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from forewarn_collector.plots import Line, Mark, Plot, render_inline
from forewarn_collector.promql import Deadline, EvalError, PromQLError, Query
from forewarn_collector.promql.query import Result
from forewarn_collector.store import SeriesSource, StoreError
from forewarn_collector.store.errors import TooManySamplesError
from forewarn_wire import Labels

REFUSED = (PromQLError, EvalError, TooManySamplesError, StoreError)
"""What an expression may end in, which is for whoever reads the page."""
POINTS = 240
"""How many steps a plot has."""
MOST_NOTES = 8
SMALL = 460
"""The width of a plot that stands beside others."""

_SECONDS = 10.0
_HOUR = 3_600_000
_DAY = 24 * _HOUR
RANGES = {
    "15m": ("15 min", _HOUR // 4),
    "1h": ("1 hour", _HOUR),
    "6h": ("6 hours", 6 * _HOUR),
    "24h": ("24 hours", _DAY),
    "7d": ("7 days", 7 * _DAY),
    "30d": ("30 days", 30 * _DAY),
}
"""The times that a page offers, by their names in an address: what they are called, and ms."""
RANGE = "1h"


@dataclass(frozen=True, slots=True)
class Span:
    """From and to (ms), both multiples of `step` (ms), so that a page read again shows the same."""

    start: int
    end: int
    step: int

    @property
    def window(self) -> str:
        """The range for `rate` that leaves no sample out: four of any usual interval at least."""
        return f"{max(120, 2 * self.step // 1000)}s"


def span_of(name: str, now: int) -> Span:
    """The span that ends now; the usual one where the name is none of `RANGES`."""
    length = RANGES.get(name, RANGES[RANGE])[1]
    step = max(1_000, length // POINTS)
    end = now // step * step
    return Span(end - length, end, step)


def deadline() -> Deadline:
    """When a page gives up what it evaluates."""
    return Deadline(time.monotonic() + _SECONDS)


def evaluated(query: Query, source: SeriesSource, span: Span, until: Deadline) -> Result:
    """An expression over a span. Raises what is in `REFUSED`."""
    return query.range(source, span.start, span.end, span.step, deadline=until)


def plot_of(
    result: Result,
    title: str,
    span: Span,
    *,
    name_of: Callable[[Labels], str],
    marks: Sequence[Mark] = (),
    threshold: tuple[float, str] | None = None,
    width: int = 760,
    from_zero: bool = False,
) -> Plot | None:
    """The plot of a result, its largest lines first; None where it has no value at all."""
    rows = [row for row in result.rows().tolist() if result.present[row].any()]
    if not rows:
        return None
    values = np.where(result.present, result.values, np.nan)
    finite = np.where(np.isfinite(values), values, -np.inf)
    rows.sort(key=lambda row: (-float(finite[row].max()), result.labels[row]))
    times = result.times.tolist()
    lines = [
        Line(
            name_of(result.labels[row]),
            [(at, value) for at, value in zip(times, values[row].tolist(), strict=True)],
            gap=span.step + span.step // 2,
        )
        for row in rows
    ]
    return Plot(
        title, span.start, span.end, lines, marks, threshold, from_zero=from_zero, width=width
    )


def drawn(plot: Plot, name: str) -> Markup:
    """The plot as an element; `name` is its own on the page."""
    return Markup(render_inline(plot, name))  # noqa: S704 - our own, which escapes what it is given


def told(labels: Labels, without: Sequence[str] = ()) -> str:
    """Labels as PromQL writes them, but for those that all have in common."""
    metric = dict(labels).get("__name__", "")
    hidden = {"__name__", *without}
    pairs = ", ".join(f'{name}="{value}"' for name, value in labels if name not in hidden)
    return f"{metric}{{{pairs}}}" if pairs else metric or "value"
