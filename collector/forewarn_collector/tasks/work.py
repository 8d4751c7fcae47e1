"""One transaction's work on tasks: what it loads, changes and writes, in few statements."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update

from forewarn_collector.tasks.audit import RULES, Actor, AuditEntry, add_audit
from forewarn_collector.tasks.drafts import Drafts
from forewarn_collector.tasks.earlier import earlier_tasks
from forewarn_collector.tasks.escalation import Progress, decide, may_differ
from forewarn_collector.tasks.escalation_rows import load_progress, save_progress
from forewarn_collector.tasks.gates import HoldKind
from forewarn_collector.tasks.hold_rows import held_of, save_holds
from forewarn_collector.tasks.holding import HoldBook
from forewarn_collector.tasks.ledger import Ledger, chunks, next_number, set_next_number
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import Member, TaskChange
from forewarn_collector.tasks.record import Message
from forewarn_collector.tasks.rows import (
    Row,
    changed_columns,
    entry_to_row,
    member_from_row,
    member_to_row,
    rows_of,
    task_from_row,
    task_to_row,
)
from forewarn_collector.tasks.schema import (
    deliveries,
    evidence,
    holds,
    task_alerts,
    tasks,
    timeline,
)
from forewarn_collector.tasks.service import ServiceLevels
from forewarn_collector.tasks.told import told_alerts
from forewarn_collector.tasks.words import STANDING, DeliveryState

_EVIDENCE_PER_TASK = 10


class Work(Drafts):
    """The drafts of one transaction. `load_*` first, then change drafts, then `save` once."""

    def __init__(
        self,
        ledger: Ledger,
        connection: Connection,
        now: int,
        levels: ServiceLevels,
        actor: Actor = RULES,
    ) -> None:
        super().__init__(now)
        self._levels = levels
        self.progress: dict[int, Progress] = {}
        """How far the escalations of tasks that were looked at have come."""
        self._actor = actor
        self._ledger = ledger
        self._connection = connection
        self._evidence: list[tuple[Draft, Mapping[str, Any]]] = []
        self._next_id = 0

    def load_round(self, alert_ids: Sequence[str], keys: Sequence[str]) -> None:
        """Load the tasks that these alerts are members of, and the newest task of each key."""
        ids: set[int] = set()
        for chunk in chunks(alert_ids):
            current = task_alerts.c.alert_id.in_(chunk) & task_alerts.c.left_at.is_(None)
            ids.update(
                self._connection.execute(select(task_alerts.c.task_id).where(current)).scalars()
            )
        for piece in chunks(keys):
            # A retrospective task is numbered when it became known, and may be of long ago.
            newest = select(func.max(tasks.c.id)).where(tasks.c.key.in_(piece))
            grouped = newest.group_by(tasks.c.key, tasks.c.retrospective)
            ids.update(self._connection.execute(grouped).scalars())
            # A person may have reopened one of which there was a newer that is over by now.
            stands = tasks.c.key.in_(piece) & tasks.c.state.in_([each.value for each in STANDING])
            ids.update(self._connection.execute(select(tasks.c.id).where(stands)).scalars())
        self.load(ids)
        originals = {draft.task.duplicate_of for draft in self.drafts.values()} - {None}
        self.load([task_id for task_id in originals if task_id and task_id not in self.drafts])
        self.load_holds(alert_ids)

    def load_holds(self, alert_ids: Sequence[str]) -> None:
        """Load what holds these alerts, and what held them before that."""
        self.holds = HoldBook(held_of(self._connection, alert_ids))

    def load_keys(self, keys: Sequence[str], since: int) -> None:
        """Load all tasks of these keys but those that ended before `since` (ms)."""
        ids: set[int] = set()
        for chunk in chunks(keys):
            late = or_(tasks.c.ended_at.is_(None), tasks.c.ended_at >= since)
            of_keys = select(tasks.c.id).where(tasks.c.key.in_(chunk), late)
            ids.update(self._connection.execute(of_keys).scalars())
        self.load(ids)

    def standing_id(self, key: str) -> int | None:
        """The id of the task of a key that stands, as it is written so far."""
        states = [state.value for state in STANDING]
        found = select(tasks.c.id).where(tasks.c.key == key, tasks.c.state.in_(states))
        return self._connection.execute(found).scalar_one_or_none()

    def has_said(self, draft: Draft, text: str) -> bool:
        """Whether a task's timeline has an entry with this text."""
        same = (timeline.c.task_id == draft.task.id) & (timeline.c.text == text)
        found = select(func.count()).select_from(timeline).where(same)
        return bool(self._connection.execute(found).scalar_one())

    def add(self, draft: Draft) -> None:
        """Take a draft of a new task."""
        self._put(draft)

    def load(self, ids: Collection[int]) -> None:
        """Load tasks by their ids; those that are not there are left out."""
        members: dict[int, dict[str, Member]] = {}
        wanted = sorted(ids)
        for chunk in chunks(wanted):
            current = task_alerts.c.task_id.in_(chunk) & task_alerts.c.left_at.is_(None)
            for row in rows_of(self._connection.execute(select(task_alerts).where(current))):
                members.setdefault(row["task_id"], {})[row["alert_id"]] = member_from_row(row)
                self._owners[row["alert_id"]] = row["task_id"]
        for chunk in chunks(wanted):
            # In order, so that a transaction made again notes the same in the same order.
            found = select(tasks).where(tasks.c.id.in_(chunk)).order_by(tasks.c.id)
            for row in rows_of(self._connection.execute(found)):
                task = task_from_row(row)
                self._put(Draft(task, members.get(task.id, {}), self.now))

    def new_id(self) -> int:
        """The id for a new task."""
        task_id = self._next_id or next_number(self._connection)
        self._next_id = task_id + 1
        return task_id

    def attach(self, draft: Draft, document: Mapping[str, Any]) -> None:
        """Keep evidence with a task."""
        self._evidence.append((draft, document))

    def save(self) -> list[TaskChange]:
        """Write every draft; returns what to tell once the transaction is durable."""
        drafts = list(self.drafts.values())
        if self._next_id:
            set_next_number(self._connection, self._next_id)
        self._save_tasks(drafts)
        self._save_members(drafts)
        self._insert(
            timeline, [entry_to_row(draft.task.id, e) for draft in drafts for e in draft.entries]
        )
        add_audit(self._connection, [each for draft in drafts for each in self._audit(draft)])
        self._save_evidence()
        self._wake_muted(drafts)
        save_holds(self._connection, self.holds.touched())
        told = self._tell([draft for draft in drafts if draft.messages or draft.further])
        # Last: the queues that a step tells first begin to hear the rest after this.
        save_progress(self._connection, self.progress)
        return told

    def _audit(self, draft: Draft) -> list[AuditEntry]:
        return [
            AuditEntry(
                at=self.now,
                who=entry.who or self._actor.name,
                role=self._actor.role,
                action=entry.kind.value,
                object=draft.task.number,
                reason=entry.reason,
                detail=self._actor.detail(
                    {
                        "text": entry.text,
                        "from": "" if draft.is_new else draft.loaded.state.value,
                        "to": draft.task.state.value,
                    }
                ),
            )
            for entry in draft.entries
        ]

    def _wake_muted(self, drafts: Sequence[Draft]) -> None:
        """Have the next tick look again at what these tasks mute, or muted."""
        numbers = [
            draft.task.number
            for draft in drafts
            if not draft.is_new
            and (draft.task.state, draft.task.ended_at)
            != (draft.loaded.state, draft.loaded.ended_at)
        ]
        for chunk in chunks(numbers):
            muted = and_(
                holds.c.ref.in_(chunk),
                holds.c.kind == HoldKind.MUTED.value,
                holds.c.ended_at.is_(None),
            )
            self._connection.execute(update(holds).where(muted).values(until=self.now))

    def _settle_escalation(self, drafts: Sequence[Draft]) -> None:
        """Note when to look next at the tasks whose escalation may differ; at once, if any is due.

        Leaves in `progress` what is to be written of it.
        """
        changed = [
            draft
            for draft in drafts
            if draft.task.id in self.progress
            or may_differ(None if draft.is_new else draft.loaded, draft.task)
        ]
        if not changed or not self._levels.escalates:
            return
        written = load_progress(self._connection, [draft.task.id for draft in changed])
        for draft in changed:
            before = written.get(draft.task.id, Progress())
            now = self.progress.pop(draft.task.id, before)
            decision = decide(draft.task, now, self._levels, self.now)
            if decision.progress != before:
                self.progress[draft.task.id] = decision.progress
            at = self.now if decision.steps else decision.next_at
            draft.task = replace(draft.task, next_escalation_at=at)

    def _save_tasks(self, drafts: Sequence[Draft]) -> None:
        self._settle_escalation(drafts)
        self._insert(tasks, [task_to_row(draft.task) for draft in drafts if draft.is_new])
        # One statement for all in which the same has changed, as a rule for all of a round.
        changed: dict[tuple[str, ...], list[Row]] = {}
        for draft in drafts:
            if not draft.is_new and draft.task != draft.loaded:
                row = changed_columns(draft.loaded, draft.task)
                changed.setdefault(tuple(row), []).append({"of_task": draft.task.id, **row})
        for names, rows in changed.items():
            columns: dict[str, Any] = {name: bindparam(name) for name in names}
            statement = update(tasks).where(tasks.c.id == bindparam("of_task")).values(columns)
            self._connection.execute(statement, rows)

    def _save_members(self, drafts: Sequence[Draft]) -> None:
        rows = [
            member_to_row(draft.task.id, member)
            for draft in drafts
            for member in draft.touched.values()
        ]
        if rows:
            same = (task_alerts.c.task_id == bindparam("of_task")) & (
                task_alerts.c.alert_id == bindparam("of_alert")
            )
            self._connection.execute(
                delete(task_alerts).where(same),
                [{"of_task": row["task_id"], "of_alert": row["alert_id"]} for row in rows],
            )
        self._insert(task_alerts, rows)

    def _save_evidence(self) -> None:
        rows: list[Row] = []
        earlier = earlier_tasks(self._connection, [draft.task for draft, _ in self._evidence])
        for draft, document in self._evidence:
            revision = draft.opening_revision
            if revision is None and self._has_enough_evidence(draft.task.id):
                continue
            found = earlier[draft.task.id]
            rows.append(
                {
                    "task_id": draft.task.id,
                    "revision": revision,
                    "document": {**document, **({"earlier": found} if found else {})},
                    "follow_up_at": document.get("follow_up_at"),
                    "gathered_by": self._ledger.member,
                }
            )
        self._insert(evidence, rows)

    def _has_enough_evidence(self, task_id: int) -> bool:
        count = select(func.count()).where(evidence.c.task_id == task_id)
        return self._connection.execute(count).scalar_one() >= _EVIDENCE_PER_TASK

    def _tell(self, drafts: Sequence[Draft]) -> list[TaskChange]:
        """Owe what the drafts tell to the queues of their tasks, and remember further queues."""
        known = load_progress(self._connection, {draft.task.id for draft in drafts})
        alerts = told_alerts(self._connection, drafts)
        rows: list[Row] = []
        told: list[TaskChange] = []
        for draft in drafts:
            progress = known.get(draft.task.id, Progress())
            everyone = tuple(dict.fromkeys((draft.task.queue, *progress.queues)))
            new = tuple(queue for queue in draft.further if queue not in everyone)
            owed = [
                (message, queue)
                for message in draft.messages
                for queue in ((message.queue,) if message.queue else everyone)
                if queue != message.but
            ]
            owed += [(message, queue) for queue in new for message in draft.introduction()]
            rows += [self._delivery(m, queue, alerts[draft.task.id]) for m, queue in owed if queue]
            # Without a message of its own it is news to further queues only.
            news = draft.messages or (draft.introduction() if new else ())
            told += [TaskChange(m.task, m.action, m.reason, m.onset_at, self.now) for m in news]
            if new:
                now = self.progress.get(draft.task.id, progress)
                queues = tuple(dict.fromkeys((*now.queues, *new)))
                self.progress[draft.task.id] = replace(now, queues=queues)
        self._insert(deliveries, rows)
        return told

    def _delivery(self, message: Message, queue: str, alerts: Row) -> Row:
        task = message.task
        return {
            "id": self._ledger.delivery_id(task.id, task.revision, queue),
            "task_id": task.id,
            "revision": task.revision,
            "queue": queue,
            "action": message.action.value,
            "reason": message.reason,
            "text": message.text,
            "snapshot": task_to_row(task) | alerts,
            "state": DeliveryState.OWED.value,
            "created_at": self.now,
            "due_at": self.now,
            "claimed_at": None,
            "attempts": 0,
            "done_at": None,
            "error": "",
            "external_ref": None,
        }

    def _insert(self, table: Any, rows: Sequence[Row]) -> None:
        if rows:
            self._connection.execute(insert(table), rows)
