"""Tasks that nobody works on: what would become of alerts on simulated time.

For tests and backtests of rules. What changes do to tasks is decided as by the collector's keeper,
and nothing of it is written down.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from forewarn_collector.rules import AlertChange, TemplateContext
from forewarn_collector.rules.testing import OpenTask
from forewarn_collector.tasks.drafts import Drafts
from forewarn_collector.tasks.firing import Firing
from forewarn_collector.tasks.gates import Verdicts, first_holds
from forewarn_collector.tasks.holding import HeldAlert, HoldBook
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.lost_hosts import LostHosts
from forewarn_collector.tasks.model import (
    Member,
    Task,
    TimelineEntry,
)
from forewarn_collector.tasks.policy import Policy
from forewarn_collector.tasks.rounds import (
    fires,
    gated,
    id_of_alert,
    place_of,
    still_fires,
    take_round,
)


@contextmanager
def rehearsal(external_url: str, external_labels: Mapping[str, str]) -> Iterator[Rehearsal]:
    """A rehearsal without any task yet; what templates know of the outside is given."""
    templates = TemplateContext(external_url=external_url, external_labels=external_labels)
    yield Rehearsal(Policy(gates=(LostHosts(),), templates=templates))


class Rehearsal:
    """Takes changes of alerts in the order of their times."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._tasks: dict[int, Task] = {}
        self._members: dict[int, dict[str, Member]] = {}
        self._timelines: dict[int, list[TimelineEntry]] = {}
        self._owners: dict[str, int] = {}
        self._latest: dict[str, int] = {}
        self._firing = Firing()
        self._held: dict[str, list[HeldAlert]] = {}
        self._last: dict[str, AlertChange] = {}
        self._flapping: set[int] = set()

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        """Make tasks of the changes of one evaluation, as if `at` (ms) were now."""
        self.tick(at)
        fired, freed = self._firing.take(changes)
        self._last |= {id_of_alert(change): change for change in changes}
        again = [still_fires(self._last[name].rule, self._last[name].alert, at) for name in freed]
        asked = [*fired, *(gated(change) for change in again)]
        verdicts = first_holds(self._policy.gates, asked, self._firing.alerts.values(), at)
        self._take([*changes, *again], verdicts, at)

    def tick(self, at: int) -> None:
        """Do what is due by `at` (ms) by time alone."""
        due = [task_id for task_id in self._flapping if (self._tasks[task_id].calm_at or at) <= at]
        if due:
            drafts = self._drafts(at, due, ())
            take_round(drafts, (), self._policy, {})
            self._keep_all(drafts, ())

    def _take(self, changes: Sequence[AlertChange], verdicts: Verdicts, at: int) -> None:
        ids = {self._owners.get(id_of_alert(change), 0) for change in changes}
        ids |= {
            self._latest.get(place_of(self._policy, change).key, 0)
            for change in changes
            if fires(change)
        }
        names = [id_of_alert(change) for change in changes]
        drafts = self._drafts(at, sorted(ids - {0}), names)
        take_round(drafts, changes, self._policy, verdicts)
        self._keep_all(drafts, names)

    def _drafts(self, at: int, ids: Sequence[int], names: Sequence[str]) -> _Drafts:
        drafts = _Drafts(at, len(self._tasks) + 1)
        drafts.holds = HoldBook(held for name in names for held in self._held.pop(name, ()))
        for task_id in ids:
            drafts.load(self._tasks[task_id], self._members[task_id])
        return drafts

    def _keep_all(self, drafts: _Drafts, names: Sequence[str]) -> None:
        for task_id, draft in drafts.drafts.items():
            self._keep(task_id, draft)
        for name in names:
            if drafts.holds.current(name) is not None:
                self._held[name] = drafts.holds.of(name)
        self._firing.keep(names, drafts.holds)

    def open_tasks(self) -> list[OpenTask]:
        """The tasks that are not resolved, the newest first."""
        return [
            OpenTask(task.rule_name, task.title, task.severity, task.labels)
            for task in reversed(self._tasks.values())
            if task.state.stands
        ]

    def tasks(self) -> list[Task]:
        """All tasks with their timelines, in the order in which they opened."""
        return [
            replace(task, timeline=tuple(self._timelines[task_id]))
            for task_id, task in self._tasks.items()
        ]

    def _keep(self, task_id: int, draft: Draft) -> None:
        self._tasks[task_id] = draft.task
        if draft.task.flapping_since is None:
            self._flapping.discard(task_id)
        else:
            self._flapping.add(task_id)
        self._members[task_id] = draft.members
        self._timelines.setdefault(task_id, []).extend(draft.entries)
        for name, member in draft.touched.items():
            if member.left_at is None:
                self._owners[name] = task_id
            else:
                self._owners.pop(name, None)
        if self._latest.get(draft.task.key, 0) < task_id:
            self._latest[draft.task.key] = task_id


class _Drafts(Drafts):
    def __init__(self, now: int, next_id: int) -> None:
        super().__init__(now)
        self._next_id = next_id

    def load(self, task: Task, members: Mapping[str, Member]) -> None:
        """Make a task's draft."""
        self._put(Draft(task, members, self.now))
        self._owners |= dict.fromkeys(members, task.id)

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1
