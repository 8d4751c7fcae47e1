"""Answers to deliveries that were messages: what people wrote goes into the task's timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import and_, insert, select

from forewarn_collector.tasks import handling
from forewarn_collector.tasks.audit import Actor
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.model import Notify, number_of
from forewarn_collector.tasks.schema import deliveries
from forewarn_collector.tasks.schema_tickets import ticket_comments
from forewarn_collector.tasks.service import ServiceLevels
from forewarn_collector.tasks.ticket_changes import Remark
from forewarn_collector.tasks.work import Work


class Replies:
    """The ledger's side of answers. Times in ms. Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger, notify: Notify, levels: ServiceLevels) -> None:
        self._ledger = ledger
        self._notify = notify
        self._levels = levels

    def take(self, queue: str, about: Sequence[str], remark: Remark, at: int) -> str | None:
        """Have a remark in the timeline of the task that the first known delivery was about.

        `about` are ids of deliveries to this queue. The same remark again does nothing. Returns
        the task's number; None where none of the deliveries is known. The task's other queues
        hear of it, this one has it already.
        """
        with self._ledger.write() as connection:
            known = {
                row.id: row.task_id
                for row in connection.execute(
                    select(deliveries.c.id, deliveries.c.task_id).where(
                        deliveries.c.queue == queue, deliveries.c.id.in_(about)
                    )
                )
            }
            task_id = next((known[each] for each in about if each in known), None)
            if task_id is None:
                return None
            row = {"task_id": task_id, "queue": queue, "comment_id": remark.id}
            same = and_(*(ticket_comments.c[name] == value for name, value in row.items()))
            if connection.execute(select(ticket_comments.c.task_id).where(same)).first():
                return number_of(task_id)
            work = Work(self._ledger, connection, at, self._levels, Actor(queue, "queue"))
            work.load([task_id])
            draft = work.drafts[task_id]
            handling.comment(draft, f"{remark.who} ({queue})", remark.text, min(remark.at, at))
            draft.messages = [replace(message, but=queue) for message in draft.messages]
            connection.execute(insert(ticket_comments), [row])
            told = work.save()
        if told:
            self._notify(told)
        return number_of(task_id)
