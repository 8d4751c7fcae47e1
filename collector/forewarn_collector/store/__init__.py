"""Where signals live: columns in memory, a journal on disk."""

from forewarn_collector.store.caretaker import Caretaker, TaskStats
from forewarn_collector.store.columns import (
    NEVER,
    Arrival,
    Batch,
    Floats,
    Increases,
    Ints,
    LatestColumns,
    Layout,
    Matcher,
    MatchOp,
    SeriesColumns,
    SeriesLabels,
    SeriesSource,
)
from forewarn_collector.store.errors import StoreError
from forewarn_collector.store.eventlog import (
    EventLimits,
    EventPage,
    EventQuery,
    EventStats,
    TextQueryError,
)
from forewarn_collector.store.jobs import Appended, AppendedEvents
from forewarn_collector.store.narrowed import NarrowedSource
from forewarn_collector.store.past import Past
from forewarn_collector.store.quota import SeriesLimits
from forewarn_collector.store.sliding import Contents, Slide, SlidingWindow, Turn
from forewarn_collector.store.stats import StoreStats
from forewarn_collector.store.store import Store
from forewarn_collector.store.thin import Thinning

__all__ = [
    "NEVER",
    "Appended",
    "AppendedEvents",
    "Arrival",
    "Batch",
    "Caretaker",
    "Contents",
    "EventLimits",
    "EventPage",
    "EventQuery",
    "EventStats",
    "Floats",
    "Increases",
    "Ints",
    "LatestColumns",
    "Layout",
    "MatchOp",
    "Matcher",
    "NarrowedSource",
    "Past",
    "SeriesColumns",
    "SeriesLabels",
    "SeriesLimits",
    "SeriesSource",
    "Slide",
    "SlidingWindow",
    "Store",
    "StoreError",
    "StoreStats",
    "TaskStats",
    "TextQueryError",
    "Thinning",
    "Turn",
]
