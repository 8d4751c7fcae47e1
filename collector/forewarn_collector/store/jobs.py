"""What the writer is asked to do, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from forewarn_collector.store.columns import Batch, Increases
from forewarn_wire import Event, Labels


@dataclass(frozen=True, slots=True)
class Appended:
    """Of the samples of a batch: how many were new, and how many were there already.

    `refused` are new series over a limit, each with the reason; their samples are in neither.
    """

    added: int
    duplicates: int
    refused: Sequence[tuple[Labels, str]] = ()


@dataclass(frozen=True, slots=True)
class AppendedEvents:
    """Of the events given: how many were new, were there already, were older than what is kept.

    `overflow` of the new ones count in a common series, since one of their own is over a limit.
    """

    added: int
    duplicates: int
    late: int = 0
    overflow: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class AppendSamples:
    """Store a batch of samples; `own` ones the collector made itself."""

    batch: Batch
    own: bool = False
    done: Future[Appended] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class AppendMade:
    """Store the batch that `make` gives, which the writer's thread calls right before the commit.

    `done` has the error where it raises one.
    """

    make: Callable[[], Batch]
    done: Future[Appended] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class AppendIncreases:
    """Add to the totals of series."""

    increases: Increases
    done: Future[Appended] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class AppendEvents:
    """Store events and count them."""

    events: Sequence[Event]
    done: Future[AppendedEvents] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class SampleCounters:
    """Store the current value of every events counter at `now` (ms)."""

    now: int
    done: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class TendEvents:
    """Do a slice of the events' upkeep; whether there was anything to do.

    `mend` has their text index made anew.
    """

    mend: bool = False
    done: Future[bool] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """Call something between two commits; the answer is what it gives."""

    work: Callable[[], Any]
    done: Future[Any] = field(default_factory=Future)


Write = AppendSamples | AppendIncreases | AppendEvents | SampleCounters
Job = Write | AppendMade | TendEvents | Alone
