"""What rules read again and again: windows that slide with time, and what is kept up about them."""

from forewarn_collector.promql.live.accumulators import (
    Accumulator,
    Changes,
    Extremes,
    Falls,
    Lines,
    Maxima,
    Minima,
    Sums,
)
from forewarn_collector.promql.live.windows import LiveWindow, LiveWindows, SlidingSource

__all__ = [
    "Accumulator",
    "Changes",
    "Extremes",
    "Falls",
    "Lines",
    "LiveWindow",
    "LiveWindows",
    "Maxima",
    "Minima",
    "SlidingSource",
    "Sums",
]
