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
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.jobs import Appended, AppendedEvents
from forewarn_collector.store.store import Store, StoreStats

__all__ = [
    "Appended",
    "AppendedEvents",
    "Arrival",
    "Batch",
    "Floats",
    "Ints",
    "MatchOp",
    "Matcher",
    "SeriesColumns",
    "SeriesSource",
    "Store",
    "StoreError",
    "StoreStats",
]
