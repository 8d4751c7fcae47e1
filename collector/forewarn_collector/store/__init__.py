"""Where signals live: columns in memory, a journal on disk."""

from forewarn_collector.store.caretaker import Caretaker, TaskStats
from forewarn_collector.store.columns import (
    NEVER,
    Arrival,
    Batch,
    Figure,
    Floats,
    Increases,
    Ints,
    LatestColumns,
    Layout,
    Matcher,
    MatchOp,
    RunColumns,
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
from forewarn_collector.store.events import LATE
from forewarn_collector.store.jobs import Appended, AppendedEvents
from forewarn_collector.store.narrowed import NarrowedSource
from forewarn_collector.store.past import Past
from forewarn_collector.store.quota import SeriesLimits
from forewarn_collector.store.sliding import Contents, Slide, SlidingWindow, Turn
from forewarn_collector.store.stats import StoreStats
from forewarn_collector.store.store import Store
from forewarn_collector.store.thin import Thinning
from forewarn_collector.store.thinned import select_runs, thinned_until

__all__ = [
    "LATE",
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
    "Figure",
    "Floats",
    "Increases",
    "Ints",
    "LatestColumns",
    "Layout",
    "MatchOp",
    "Matcher",
    "NarrowedSource",
    "Past",
    "RunColumns",
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
    "select_runs",
    "thinned_until",
]
