"""A store, rules, a ledger and reviews of backlogs on simulated time, without threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forewarn_collector.backlog import Backlogs, Reviewer
from forewarn_collector.rules.alerts import Alert, AlertChange
from forewarn_collector.rules.load import load_rules
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.schedule import Scheduler
from forewarn_collector.store import Store
from forewarn_collector.tasks import (
    ByRule,
    Ledger,
    Policy,
    Task,
    TaskChange,
    TaskFilter,
    TaskKeeper,
    TaskQueries,
)
from forewarn_collector.tasks.backlogs import BacklogRows
from forewarn_collector.tasks.retrospect import Retrospect
from forewarn_wire import Labels
from support.databases import DATABASES
from support.live_run import live_run
from support.stores import HOUR, Clock, batch

Samples = Sequence[tuple[Labels, int, float]]


class NoEvidence:
    """Says of which time evidence was asked for."""

    def gather(
        self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int
    ) -> Sequence[Mapping[str, Any]]:
        return [{"at": at} for _ in wanted]


@dataclass
class BacklogWorld:
    """What a collector has, with the rules.yml of its folder."""

    folder: Path
    clock: Clock
    told: list[TaskChange] = field(default_factory=list)
    moment: float = 1e9

    def __post_init__(self) -> None:
        self.rules = load_rules([self.folder / "rules.yml"])
        self.store = Store(self.folder, retention=24 * HOUR, clock=self.clock)
        self.store.open()
        self.ledger = Ledger(self.folder, DATABASES.url(self.folder))
        self.ledger.open()
        policy = Policy(ByRule("support"))
        self.keeper = TaskKeeper(self.ledger, NoEvidence(), policy, self.clock, self.told.extend)
        self.scheduler = Scheduler(
            self.rules,
            self.store,
            append=lambda new: self.store.append(new, own=True),
            sink=self,
            clock=self.clock,
            arrivals=self.store.arrivals(),
            restored=self.ledger.load_alerts(),
            has_series=self.store.has_series,
        )
        self.backlogs = Backlogs(BacklogRows(self.ledger), self.store, self.clock, 24 * HOUR)
        self.backlogs.restore(0.0)
        self.store.watch(self.backlogs.take)
        self.retrospect = Retrospect(
            self.ledger, NoEvidence(), policy, self.clock, self.told.extend
        )
        self.reviewer = Reviewer(
            self.backlogs, self.store, self.scheduler, self.retrospect, self.clock
        )

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        self.keeper.apply(changes, at)

    def close(self) -> None:
        self.store.close()
        self.ledger.close()

    def run(self, arrivals: Iterable[tuple[int, Samples]], start: int, end: int) -> None:
        """Samples arrive at times (ms), and rules are due meanwhile."""

        def arriving(samples: Samples) -> Any:
            return lambda: self.store.append(batch(*samples)).result()

        live_run(
            self.rules,
            self.scheduler,
            lambda now: setattr(self.clock, "now", now),
            [(time, arriving(samples)) for time, samples in arrivals],
            start,
            end,
        )

    def look(self) -> bool:
        """Look at what waits, as if it had been quiet for long enough."""
        self.moment += 1e9
        looked = self.reviewer.look(self.moment)
        self.scheduler.catch_up()
        return looked

    def tasks(self) -> list[Task]:
        """All tasks with timelines and members, in the order of their numbers."""
        queries = TaskQueries(self.ledger)
        found = [queries.one(task.number) for task in queries.list(TaskFilter(), limit=999).tasks]
        return sorted(found, key=lambda task: task.id)


@contextmanager
def backlog_world(folder: Path, text: str, clock: Clock) -> Iterator[BacklogWorld]:
    """A world that is closed at the end."""
    (folder / "rules.yml").write_text(text)
    world = BacklogWorld(folder, clock)
    try:
        yield world
    finally:
        world.close()
