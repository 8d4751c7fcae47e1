"""What a plot shows: lines over time, marks at moments, a threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A series: `points` are times (ms) and values, ascending in time.

    A value that is no finite number interrupts the line, and so does a pause of more than `gap`
    (ms).
    """

    name: str
    points: Sequence[tuple[int, float]]
    gap: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment (ms) with a name. A suspect is shown below the plot, others across it."""

    at: int
    name: str
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A time from `start` to `end` (ms) with a name, shown behind the lines."""

    start: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot from `start` to `end` (ms). `threshold` is a value and what it is called.

    `from_zero` has its axis begin there, whatever the lines do. `width` is in its own units, of
    which letters are 12 high.
    """

    title: str
    start: int
    end: int
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    threshold: tuple[float, str] | None = None
    bands: Sequence[Band] = ()
    from_zero: bool = False
    width: int = 760
