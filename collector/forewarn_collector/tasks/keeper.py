"""From changes of alerts to tasks: one transaction per round, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.tasks.identity import task_key, title_of
from forewarn_collector.tasks.ledger import Ledger, chunks
from forewarn_collector.tasks.lifecycle import Draft, decide_firing, new_task
from forewarn_collector.tasks.model import Notify, OpenReason
from forewarn_collector.tasks.rows import alert_id, alert_to_row
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
                [_id(change) for change in changes],
                sorted({_key(change) for change in changes if _fires(change)}),
            )
            for change in changes:
                self._take(work, change, documents)
            for draft in work.drafts.values():
                draft.settle()
            _save_alerts(connection, changes)
            told = work.save()
        if told:
            self._notify(told)

    def _take(
        self,
        work: Work,
        change: AlertChange,
        documents: Mapping[str, Mapping[str, Any]],
    ) -> None:
        if _fires(change):
            self._fire(work, change, documents)
            return
        name = _id(change)
        draft = work.owner(name)
        if draft is None:
            return
        if change.after is AlertState.INACTIVE:
            draft.leave(name, change.reason, change.at)
        elif change.after is AlertState.UNKNOWN:
            draft.lose_input(name, change.alert.unknown_since or change.at)

    def _fire(
        self,
        work: Work,
        change: AlertChange,
        documents: Mapping[str, Mapping[str, Any]],
    ) -> None:
        name, rule, alert = _id(change), change.rule, change.alert
        own, last = work.owner(name), work.latest(_key(change))
        reason = decide_firing(
            own.task if own else None,
            last.task if last else None,
            rule.task.reopen_within,
            work.now,
        )
        if own is not None:
            own.regain_input(name)
            return
        title = title_of(rule, alert, self._templates)
        if reason is OpenReason.NEW or last is None:
            task = new_task(work.new_id(), rule, alert, title, self._default_queue, work.now)
            draft = Draft(task, {}, work.now)
            draft.open(name, alert, change.at)
        else:
            draft = last
            if reason is OpenReason.REOPENED:
                draft.reopen(name, rule, alert, title, change.at)
            else:
                draft.join(name, rule, alert, change.at)
        work.own(name, draft)
        if name in documents:
            work.attach(draft, documents[name])

    def _gather(self, changes: Sequence[AlertChange], at: int) -> dict[str, Mapping[str, Any]]:
        """Evidence of one alert per task key, of those that are in no task yet."""
        fired = {_id(change): change for change in changes if _fires(change)}
        with self._ledger.read() as connection:
            for chunk in chunks(list(fired)):
                current = task_alerts.c.alert_id.in_(chunk) & task_alerts.c.left_at.is_(None)
                for name in connection.execute(
                    select(task_alerts.c.alert_id).where(current)
                ).scalars():
                    del fired[name]
        firsts: dict[str, tuple[str, AlertChange]] = {}
        for name, change in fired.items():
            firsts.setdefault(_key(change), (name, change))
        gathered = self._evidence.gather([(c.rule, c.alert) for _, c in firsts.values()], at)
        return {name: doc for (name, _), doc in zip(firsts.values(), gathered, strict=True)}


def _fires(change: AlertChange) -> bool:
    return change.after is AlertState.FIRING


def _id(change: AlertChange) -> str:
    return alert_id(change.rule.key, change.alert.labels)


def _key(change: AlertChange) -> str:
    return task_key(change.rule, change.alert.labels)


def _save_alerts(connection: Connection, changes: Iterable[AlertChange]) -> None:
    # The last change of an alert counts.
    last = {_id(change): change for change in changes}
    for chunk in chunks(list(last)):
        connection.execute(delete(alerts).where(alerts.c.id.in_(chunk)))
    rows = [
        alert_to_row(change.rule.key, change.alert)
        for change in last.values()
        if change.after is not AlertState.INACTIVE
    ]
    if rows:
        connection.execute(insert(alerts), rows)
