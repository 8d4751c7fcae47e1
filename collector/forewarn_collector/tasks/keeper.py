"""From changes of alerts to tasks: one transaction per round, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.tasks.ledger import Ledger, chunks
from forewarn_collector.tasks.model import Notify
from forewarn_collector.tasks.rounds import fires, id_of_alert, key_of, take_round
from forewarn_collector.tasks.rows import alert_to_row
from forewarn_collector.tasks.schema import alerts, task_alerts
from forewarn_collector.tasks.work import Work
from forewarn_wire.clock import Clock


class EvidenceSource(Protocol):
    """Where the keeper gets evidence from; see `evidence.py`."""

    def gather(
        self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int
    ) -> Sequence[Mapping[str, Any]]:
        """One JSON document for each alert, in order. Never raises, and returns soon."""


class TaskKeeper:
    """Opens, reopens and resolves tasks as alerts change: the scheduler's sink.

    `default_queue` takes the tasks of rules that name none; empty, such tasks are kept and
    delivered nowhere. `notify` hears of what was written, once it is durable.
    """

    def __init__(
        self,
        ledger: Ledger,
        evidence: EvidenceSource,
        default_queue: str,
        clock: Clock,
        notify: Notify,
        templates: TemplateContext | None = None,
    ) -> None:
        self._ledger = ledger
        self._evidence = evidence
        self._default_queue = default_queue
        self._clock = clock
        self._notify = notify
        self._templates = templates or TemplateContext()

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        """Write a round of changes, with the tasks and deliveries that follow from them.

        All of it or, raising LedgerError, nothing. Applying the same round again changes nothing
        more: what an alert does depends on what the ledger knows of it. `at` is the time (ms) of
        the evaluation.
        """
        if not changes:
            return
        # Gathered before the transaction: reading samples must not hold up other writers.
        documents = self._gather(changes, at)
        now = self._clock()
        with self._ledger.write() as connection:
            work = Work(self._ledger, connection, now)
            work.load_round(
                [id_of_alert(change) for change in changes],
                sorted({key_of(change) for change in changes if fires(change)}),
            )
            joined = take_round(work, changes, self._templates, self._default_queue)
            for name, draft in joined.items():
                if name in documents:
                    work.attach(draft, documents[name])
            _save_alerts(connection, changes)
            told = work.save()
        if told:
            self._notify(told)

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
            firsts.setdefault(key_of(change), (name, change))
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
