"""Reading a source some of whose samples may be thinned, as far as it is one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TypeGuard

from forewarn_collector.store.columns import (
    NEVER,
    Figure,
    Matcher,
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


def _thins(source: SeriesSource) -> TypeGuard[ThinnedSource]:
    return _may_thin(type(source))


@cache
def _may_thin(kind: type) -> bool:
    # Asked once for each kind: a look at all methods of a protocol takes long.
    return issubclass(kind, ThinnedSource)
