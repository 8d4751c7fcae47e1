"""From changes of alerts to tasks: one transaction per round, whatever it holds."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.rules.alerts import AlertChange, AlertState
from forewarn_collector.tasks.due import find_due, find_quiet, settle_quiet, sources, wake_waiting
from forewarn_collector.tasks.escalator import Escalator
from forewarn_collector.tasks.evidence_source import EvidenceSource
from forewarn_collector.tasks.firing import Firing
from forewarn_collector.tasks.follow_ups import keep_follow_ups
from forewarn_collector.tasks.gates import Verdicts, first_holds
from forewarn_collector.tasks.hold_rows import KEPT, current_holds, forget_holds, gated_alerts
from forewarn_collector.tasks.ledger import Ledger, chunks
from forewarn_collector.tasks.model import Notify, TaskChange
from forewarn_collector.tasks.policy import Policy
from forewarn_collector.tasks.rounds import (
    fires,
    gated,
    id_of_alert,
    place_of,
    still_fires,
    take_round,
)
from forewarn_collector.tasks.rows import alert_from_row, alert_to_row, rows_of
from forewarn_collector.tasks.schema import alerts, task_alerts
from forewarn_collector.tasks.work import Work
from forewarn_wire.clock import Clock

_FORGETTING = 3_600_000
"""How often (ms) rows of holds that ended long ago are dropped."""


class TaskKeeper:
    """Opens, reopens and resolves tasks as alerts change and time passes: the scheduler's sink.

    `apply` may be called from several threads (rules, alerts from outside), `tick` from another.
    `notify` hears of what was written, once it is durable.
    """

    def __init__(
        self,
        ledger: Ledger,
        evidence: EvidenceSource,
        policy: Policy,
        clock: Clock,
        notify: Notify,
    ) -> None:
        self._ledger = ledger
        self._evidence = evidence
        self._policy = policy
        self._clock = clock
        self._notify = notify
        self._escalator = Escalator(ledger, policy.levels)
        self._lock = threading.Lock()
        # Read from the ledger when first needed, and anew after a failure.
        self._firing: Firing | None = None
        # What held members of tasks at the last tick; None where that tells nothing any more.
        self._last_held: dict[str, str] | None = {}
        self._next_forgetting = 0

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        """Write a round of changes, with the tasks and deliveries that follow from them.

        All of it or, raising LedgerError, nothing. Applying the same round again changes nothing
        more: what an alert does depends on what the ledger knows of it. `at` is the time (ms) of
        the evaluation.
        """
        if not changes:
            return
        with self._lock:
            firing = self._known()
            self._firing = None
            fired, freed = firing.take(changes)
            again = self._standing(freed, at)
            asked = [*fired, *(gated(change) for change in again)]
            verdicts = first_holds(self._policy.gates, asked, firing.alerts.values(), self._clock())
            # Those that are freed come last: what ends in this round has ended by then.
            told = self._write([*changes, *again], verdicts, at, firing, len(changes))
            self._firing = firing
        if told:
            self._notify(told)

    def tick(self, at: int) -> None:
        """Do what is due by `at` (ms) by time alone; harmless at any moment. Raises LedgerError.

        What was held and is held no more opens, if it still fires; tasks whose alerts are all held
        fall quiet, others speak again; what has waited for long enough is open again; what has
        flapped is calm; what nobody has taken in time escalates; evidence of what came after the
        onset is added.
        """
        self._tend(at)
        # What is read of the store holds up no round.
        keep_follow_ups(self._ledger, self._evidence, at)

    def _tend(self, at: int) -> None:
        with self._lock:
            firing = self._known()
            everything = firing.alerts.values()
            verdicts = first_holds(self._policy.gates, list(everything), everything, at)
            with self._ledger.read() as connection:
                due = find_due(connection, at)
                quiet = self._changed_quiet(connection, firing, verdicts)
            elsewhere = self._policy.moved(everything)
            names = {*firing.freed(verdicts), *firing.moved(verdicts), *due.alerts, *elsewhere}
            told: list[TaskChange] = []
            if names or due or quiet:
                last, self._firing, self._last_held = self._last_held, None, None
                told = self._write(
                    self._standing(sorted(names), at), verdicts, at, firing, 0, due.tasks, quiet
                )
                self._firing, self._last_held = firing, last
        if told:
            self._notify(told)
        # Last, so that what has just fallen quiet does not escalate.
        with self._lock:
            told = self._escalator.tick(at)
        if told:
            self._notify(told)

    @property
    def escalations(self) -> Mapping[str, int]:
        """How many steps of escalations were taken since the start, by their names."""
        return self._escalator.taken

    def _changed_quiet(
        self, connection: Connection, firing: Firing, verdicts: Verdicts
    ) -> frozenset[int]:
        """The tasks that may fall quiet or speak, if anything has changed since the last tick."""
        held = {name: hold.by for name, hold in verdicts.items() if name not in firing.held}
        if held == self._last_held:
            return frozenset()
        self._last_held = held
        return find_quiet(connection, {*held, *sources(verdicts)})

    def _known(self) -> Firing:
        if self._firing is None:
            with self._ledger.read() as connection:
                self._firing = Firing(gated_alerts(connection), current_holds(connection))
        return self._firing

    def _standing(self, names: Sequence[str], at: int) -> list[AlertChange]:
        """Alerts that fire as the ledger knows them, as if they had just begun to."""
        found: list[AlertChange] = []
        if not names:
            return found
        with self._ledger.read() as connection:
            for chunk in chunks(names):
                query = select(alerts).where(alerts.c.id.in_(chunk)).order_by(alerts.c.id)
                for row in rows_of(connection.execute(query)):
                    rule = self._policy.rule_of(row["rule_key"])
                    # Without its rule it is about to end.
                    if rule is not None and row["state"] == AlertState.FIRING.value:
                        found.append(still_fires(rule, alert_from_row(row), at))
        return found

    def _write(
        self,
        changes: Sequence[AlertChange],
        verdicts: Verdicts,
        at: int,
        firing: Firing,
        new: int,
        due: Collection[int] = (),
        quiet: Collection[int] = (),
    ) -> list[TaskChange]:
        """One transaction; the first `new` of the changes are news for the table of alerts.

        `due` are tasks that time alone changes, `quiet` those to be quiet or not.
        """
        # Gathered before the transaction: reading samples must not hold up other writers.
        documents = self._gather([c for c in changes if id_of_alert(c) not in verdicts], at)
        now = self._clock()
        names = [id_of_alert(change) for change in changes]
        with self._ledger.write() as connection:
            work = Work(self._ledger, connection, now, self._policy.levels)
            work.load_round(
                names,
                sorted({place_of(self._policy, c).key for c in changes if fires(c)}),
            )
            work.load({*due, *quiet} - work.drafts.keys())
            joined = take_round(work, changes, self._policy, verdicts)
            for name, draft in joined.items():
                if name in documents:
                    work.attach(draft, documents[name])
            wake_waiting(work)
            if quiet:
                settle_quiet(work, verdicts)
            if now >= self._next_forgetting:
                forget_holds(connection, now - KEPT)
            # Before the rows of alerts that end are dropped, whose annotations are told.
            told = work.save()
            _save_alerts(connection, changes[:new])
        firing.keep(names, work.holds)
        if now >= self._next_forgetting:
            self._next_forgetting = now + _FORGETTING
        return told

    def _gather(self, changes: Sequence[AlertChange], at: int) -> dict[str, Mapping[str, Any]]:
        """Evidence of one alert per task key, of those that are in no task yet."""
        fired = {id_of_alert(change): change for change in changes if fires(change)}
        with self._ledger.read() as connection:
            for chunk in chunks(list(fired)):
                current = task_alerts.c.alert_id.in_(chunk) & task_alerts.c.left_at.is_(None)
                for name in connection.execute(
                    select(task_alerts.c.alert_id).where(current)
                ).scalars():
                    del fired[name]
        firsts: dict[str, tuple[str, AlertChange]] = {}
        for name, change in fired.items():
            firsts.setdefault(place_of(self._policy, change).key, (name, change))
        gathered = self._evidence.gather([(c.rule, c.alert) for _, c in firsts.values()], at)
        return {name: doc for (name, _), doc in zip(firsts.values(), gathered, strict=True)}


def _save_alerts(connection: Connection, changes: Iterable[AlertChange]) -> None:
    # The last change of an alert counts.
    last = {id_of_alert(change): change for change in changes}
    for chunk in chunks(list(last)):
        connection.execute(delete(alerts).where(alerts.c.id.in_(chunk)))
    rows = [
        alert_to_row(change.rule.key, change.alert)
        for change in last.values()
        if change.after is not AlertState.INACTIVE
    ]
    if rows:
        connection.execute(insert(alerts), rows)
