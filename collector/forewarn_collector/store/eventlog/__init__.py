"""Events on disk: stored once, found by time, labels and text, dropped by age and by size."""

from forewarn_collector.store.eventlog.access import EventStore
from forewarn_collector.store.eventlog.reading import (
    EventPage,
    EventQuery,
    EventReader,
    EventStats,
)
from forewarn_collector.store.eventlog.rows import EventLog, Inserted
from forewarn_collector.store.eventlog.tending import EventLimits, EventTender
from forewarn_collector.store.eventlog.text import TextQueryError

__all__ = [
    "EventLimits",
    "EventLog",
    "EventPage",
    "EventQuery",
    "EventReader",
    "EventStats",
    "EventStore",
    "EventTender",
    "Inserted",
    "TextQueryError",
]
