"""A source of series of which only a part can be seen, whatever is asked of it."""

from __future__ import annotations

from collections.abc import Sequence

from forewarn_collector.store.columns import LatestColumns, Matcher, SeriesColumns, SeriesSource
from forewarn_collector.store.matching import labels_predicate
from forewarn_wire import Labels


class NarrowedSource:
    """Only the series that meet `within`, too: as if each selector that reads them bore that."""

    def __init__(self, source: SeriesSource, within: Sequence[Matcher]) -> None:
        """Raises ValueError for a bad regex."""
        self._source = source
        self._within = tuple(within)
        self._meets = labels_predicate(self._within)

    def select(self, matchers: Sequence[Matcher], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._source.select((*matchers, *self._within), start, end)

    def read(self, series: Sequence[Labels], start: int, end: int) -> SeriesColumns:
        """See `SeriesSource`."""
        return self._source.read([each for each in series if self._meets(each)], start, end)

    def latest(self, matchers: Sequence[Matcher], start: int, end: int) -> LatestColumns:
        """See `SeriesSource`."""
        return self._source.latest((*matchers, *self._within), start, end)
