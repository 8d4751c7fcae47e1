"""What only some sources can: give rows of thinned samples, and say how much there is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeGuard

import numpy as np

from forewarn_collector.store.columns import (
    NEVER,
    Figure,
    Ints,
    Matcher,
    PacedSource,
    SeriesColumns,
    SeriesSource,
    ThinnedSource,
)


def thinned_until(source: SeriesSource) -> int:
    """No sample of a source later than this (ms) is thinned; NEVER where none is."""
    return source.thinned_until() if _thins(source) else NEVER


def select_runs(
    source: SeriesSource, matchers: Sequence[Matcher], start: int, end: int, figures: Figure
) -> SeriesColumns:
    """As `SeriesSource.select`, with `runs` where the time reaches into what is thinned."""
    if _thins(source) and start <= source.thinned_until():
        return source.select_runs(matchers, start, end, figures)
    return source.select(matchers, start, end)


def cuts(
    source: SeriesSource, matchers: Sequence[Matcher], start: int, end: int, most: int
) -> Ints:
    """Times (ms) that cut a span into parts of about `most` samples; none where that is unknown."""
    if isinstance(source, PacedSource):
        return source.cuts(matchers, start, end, most)
    return np.zeros(0, dtype=np.int64)


def _thins(source: SeriesSource) -> TypeGuard[ThinnedSource]:
    return _may_thin(type(source))


@cache
def _may_thin(kind: type) -> bool:
    # Asked once for each kind: a look at all methods of a protocol takes long.
    return issubclass(kind, ThinnedSource)
