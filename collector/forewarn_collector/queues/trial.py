"""Whether a queue works: its token's rights, then a test ticket that is made, found and closed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from forewarn_collector.queues.base import DeliveryError, Queue
from forewarn_collector.queues.ticket_queue import CLOCKS_DIFFER, TicketQueue, marker_of
from forewarn_collector.queues.tracker import TicketState
from forewarn_collector.tasks import Delivery, DeliveryAction, ResolveReason, Task, TaskState

_TITLE = "A test of Forewarn, to be closed at once"


@dataclass(frozen=True, slots=True)
class Step:
    """A step that worked: what was done, and what came of it."""

    what: str
    found: str = ""


async def try_queue(name: str, queue: Queue, now: int) -> AsyncIterator[Step]:
    """Try it; `now` in ms. Raises DeliveryError at the step that does not work."""
    opening = _delivery(name, now)
    if not isinstance(queue, TicketQueue):
        ref = await queue.deliver(opening)
        yield Step("a test message was taken", ref or "")
        await queue.deliver(_ended(opening, ref))
        yield Step("and the message that it is over")
        return
    tracker = queue.tracker
    project = queue.settings.fields(opening.task, tracker.longest_title).project
    yield Step("the token has the rights", await tracker.check(project))
    ref = await queue.deliver(opening)
    if ref is None:
        raise DeliveryError("no ticket was made", permanent=True)
    yield Step("a test ticket was made", f"{ref} {tracker.link(ref)}")
    found = await tracker.find(marker_of(opening.id), project, now - CLOCKS_DIFFER)
    if found is None or found.ref != ref:
        said = f"{ref} was made, but its marker finds {found.ref if found else 'nothing'}"
        raise DeliveryError(f"{said}: one ticket per problem can't be promised", permanent=True)
    yield Step("it was found by its marker")
    await queue.deliver(_ended(opening, ref))
    closed = await tracker.read(ref)
    if closed is None or closed.state is not TicketState.CLOSED:
        state = "gone" if closed is None else closed.state.value
        raise DeliveryError(f"{ref} was to be closed and is {state}", permanent=True)
    yield Step("it got a remark and was closed")


def _delivery(queue: str, now: int) -> Delivery:
    delivery_id = str(uuid.uuid4())
    task = Task(
        id=1,
        key=f"test/{delivery_id}",
        state=TaskState.OPEN,
        title=_TITLE,
        description="Made by `forewarn queues test`. Nothing is wrong.",
        severity="low",
        kind="corrective",
        customer="",
        labels=(("alertname", "ForewarnTest"),),
        annotations={},
        rule="test",
        rule_name="ForewarnTest",
        expr="vector(1)",
        value="1",
        queue=queue,
        checklist=(),
        onset_at=now,
        detected_at=now,
        opened_at=now,
    )
    return Delivery(
        id=delivery_id,
        thread_id=delivery_id,
        queue=queue,
        action=DeliveryAction.OPEN,
        revision=1,
        reason="new",
        text="This is a test.",
        task=task,
        created_at=now,
        attempt=1,
        sent_at=now,
    )


def _ended(opening: Delivery, ref: str | None) -> Delivery:
    now = opening.created_at
    task = replace(
        opening.task,
        state=TaskState.RESOLVED,
        resolved_at=now,
        resolved_by="forewarn queues test",
        resolve_reason=ResolveReason.PERSON.value,
        revision=2,
    )
    return replace(
        opening,
        id=str(uuid.uuid4()),
        action=DeliveryAction.RESOLVE,
        revision=2,
        reason="person",
        text="The test is over.",
        task=task,
        external_ref=ref,
    )
