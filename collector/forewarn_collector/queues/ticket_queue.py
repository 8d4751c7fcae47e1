"""A queue that is a ticket system: exactly one ticket per problem, its later revisions as remarks.

A ticket carries a marker that is made from the id of the task's first delivery, and each remark
that of its own delivery. A ticket is looked for by its marker before it is made, and a remark at
every attempt but the first: whatever was done before (an attempt whose answer was lost, a collector
that was killed) is found and not done again.

| action | the ticket |
| --- | --- |
| open | is made, unless its marker is found; its plot is attached |
| update | gets a remark; a severity that rose, an assignee that changed reach its fields |
| reopen | is opened again, or continued by another where it can't be, with a remark |
| resolve | gets a remark, and is closed where a person ended the task, or `on_resolve: close` |

A ticket that is owed anything but does not exist (its first delivery was refused for good) is made
then, unless all that is owed is its end.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.pages import Page
from forewarn_collector.queues.ticket_pages import plot_file, remark_page, ticket_page
from forewarn_collector.queues.ticket_settings import (
    TicketSettings,
    cut,
    read_ticket_settings,
    sendable,
)
from forewarn_collector.queues.tracker import Outcome, Ticket, Tracker
from forewarn_collector.queues.tracker_http import GoneError
from forewarn_collector.tasks import (
    Delivery,
    DeliveryAction,
    ResolveReason,
    Task,
    TicketLeft,
    TicketState,
)
from forewarn_wire.document import Section

log = logging.getLogger(__name__)

CLOCKS_DIFFER = 86_400_000
"""How far (ms) the tracker's clock may be from ours: no ticket is older than its task by more."""
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_CHANGES = {"severity": ("priority", "labels", "due_at"), "assigned": ("assignee",)}
"""Which fields follow the task, by the reason of an update; the others belong to people."""


class TicketQueue:
    """Delivers to a tracker. The same delivery may come any number of times."""

    def __init__(self, name: str, tracker: Tracker, settings: TicketSettings) -> None:
        self.name = name
        self.tracker = tracker
        self.settings = settings

    async def deliver(self, delivery: Delivery) -> str | None:
        """See the module's text; returns the ticket's reference."""
        left = await self.hand_over(delivery)
        return None if left is None else left.ref

    async def hand_over(self, delivery: Delivery) -> TicketLeft | None:
        """See the module's text; returns how the ticket was left, None where none is needed."""
        task = delivery.task
        fields = self.settings.fields(task, self.tracker.longest_title)
        ref = delivery.external_ref
        made: Ticket | None = None
        state: TicketState | None = None
        moved = False
        # Of a ticket that was made by an attempt before this, people may have done the rest.
        assignee = fields.assignee if ref is None else None
        if ref is None:
            ends = delivery.action is DeliveryAction.RESOLVE and not task.retrospective
            ref, made = await self._ticket(delivery, make=not ends)
            if ref is None:
                return None
        if made is not None:
            state, assignee = made.state, made.assignee or fields.assignee
        try:
            if delivery.action is DeliveryAction.REOPEN:
                # First of all: some trackers take nothing else for a closed ticket.
                after = await self.tracker.reopen(ref)
                moved, ref = after is not None, after or ref
                found = await self.tracker.read(ref)
                state = _opened(found)
                if moved and found is not None:
                    assignee = found.assignee
            if made is None and delivery.action is not DeliveryAction.OPEN:
                await self._remark(delivery, ref)
            await self._attach(delivery, ref)
            names = _CHANGES.get(delivery.reason, ())
            if delivery.action is DeliveryAction.UPDATE and made is None and names:
                await self.tracker.change(ref, fields, names)
                assignee = fields.assignee if "assignee" in names else assignee
            if delivery.action is DeliveryAction.RESOLVE and self._closes(task):
                await self.tracker.resolve(ref, outcome_of(task))
                state = TicketState.CLOSED
        except GoneError as error:
            said = f"its ticket {ref} is gone: {error}"
            raise DeliveryError(said, permanent=True) from error
        url = self.tracker.link(ref)
        return TicketLeft(ref=ref, url=url, state=state, assignee=assignee, moved=moved)

    async def close(self) -> None:
        """Let go of connections."""
        await self.tracker.close()

    async def _ticket(self, delivery: Delivery, *, make: bool) -> tuple[str | None, Ticket | None]:
        """The reference of the task's ticket, and the ticket itself if it was made just now."""
        fields = self.settings.fields(delivery.task, self.tracker.longest_title)
        marker = marker_of(delivery.thread_id)
        try:
            since = delivery.task.opened_at - CLOCKS_DIFFER
            found = await self.tracker.find(marker, fields.project, since)
            if found is not None or not make:
                return (None if found is None else found.ref), None
            body = self._body(ticket_page(delivery))
            made = await self.tracker.create(fields, body, marker)
            return made.ref, made
        except GoneError as error:
            # Nothing of this task: whoever mends the configuration wants it delivered.
            setting = self.tracker.project_setting
            said = f"there is no {setting} {fields.project}, or the token may not see it: {error}"
            whole = self.settings.one_project
            raise DeliveryError(said, permanent=False, whole_queue=whole) from error

    async def _remark(self, delivery: Delivery, ref: str) -> None:
        marker = marker_of(delivery.id)
        if delivery.attempt > 1:
            known = await self.tracker.comments(ref)
            if any(comment.marker == marker for comment in known):
                return
        await self.tracker.comment(ref, self._body(remark_page(delivery)), marker)

    async def _attach(self, delivery: Delivery, ref: str) -> None:
        file = plot_file(delivery) if self.tracker.takes_files else None
        if file is None:
            return
        try:
            await self.tracker.attach(ref, file)
        except GoneError:
            raise
        except DeliveryError as error:
            if not error.permanent:
                raise
            # The ticket says all without it.
            log.warning("queue %s: %s did not take the plot: %s", self.name, ref, error)

    def _closes(self, task: Task) -> bool:
        by_person = task.resolve_reason == ResolveReason.PERSON.value
        return by_person or task.retrospective or self.settings.closes_on_resolve

    def _body(self, page: Page) -> str:
        return cut(sendable(self.tracker.render(page)), self.tracker.longest_body)


def ticket_queue(
    kind: type[Tracker], name: str, section: Section, environ: Mapping[str, str]
) -> TicketQueue | None:
    """A queue of a kind of tracker by its configuration; None where it can't be."""
    settings = read_ticket_settings(section, kind.project_setting, environ)
    tracker = kind.from_section(section, environ)
    if settings is None or tracker is None:
        return None
    return TicketQueue(name, tracker, settings)


def _opened(found: Ticket | None) -> TicketState:
    """As what the tracker has a ticket that was opened again: its workflow decides."""
    if found is None or found.state is TicketState.CLOSED:
        return TicketState.NEW
    return found.state


def marker_of(delivery_id: str) -> str:
    """The marker of what a delivery makes: one word, the same at every attempt."""
    return f"forewarn-{delivery_id}"


def outcome_of(task: Task) -> Outcome:
    """What became of a task, as a ticket's outcome."""
    return _OUTCOMES.get(task.close_reason, Outcome.FIXED)
