"""Where signals live: columns in memory, a journal on disk."""

from forewarn_collector.store.columns import (
    Arrival,
    Batch,
    Floats,
    Ints,
    Matcher,
    MatchOp,
    SeriesColumns,
    SeriesSource,
)

__all__ = [
    "Arrival",
    "Batch",
    "Floats",
    "Ints",
    "MatchOp",
    "Matcher",
    "SeriesColumns",
    "SeriesSource",
]
