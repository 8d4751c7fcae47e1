"""What is Zendesk's own: groups, tags, due times, tickets closed for good, and its refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.queues.zendesk import ZendeskTracker
from forewarn_collector.tasks import DeliveryAction
from support.alerts import T0
from support.deliveries import OPEN, OPEN_ID, RESOLVE, TASK
from support.trackers.faults import WRITES, Fault, When
from support.trackers.stage import Stage
from support.trackers.zendesk import CUSTOMER, GROUP, FakeZendesk, ZendeskWorld, zendesk_stage

UPDATE = replace(
    OPEN,
    id="33333333-3333-5333-8333-333333333333",
    action=DeliveryAction.UPDATE,
    revision=2,
    reason="severity",
    text="The severity rose.",
    task=replace(TASK, severity="critical", due_at=T0 + 3_600_000, evidence=()),
)
REOPEN = replace(
    OPEN,
    id="44444444-4444-5444-8444-444444444444",
    action=DeliveryAction.REOPEN,
    revision=3,
    text="It fires again.",
    task=replace(TASK, evidence=()),
)


@dataclass
class Account:
    """A stage with its fake."""

    stage: Stage
    fake: FakeZendesk

    @property
    def tracker(self) -> ZendeskTracker:
        assert isinstance(self.stage.tracker, ZendeskTracker)
        return self.stage.tracker

    async def opened(self) -> str:
        ref = await self.stage.queue.deliver(OPEN)
        assert ref is not None
        return ref


@pytest_asyncio.fixture
async def account() -> AsyncIterator[Account]:
    async with zendesk_stage() as stage:
        assert isinstance(stage.world, ZendeskWorld)
        yield Account(stage, stage.world.fake)
        await stage.queue.close()


async def test_a_ticket_has_its_group_tags_type_and_due_time_and_is_internal(
    account: Account,
) -> None:
    ref = await account.opened()
    ticket = account.fake.tickets[int(ref)]
    assert ticket["external_id"] == marker_of(OPEN_ID)
    assert ticket["group_id"] == GROUP
    assert ticket["tags"] == ["forewarn", "severity:high", "customer:acme"]
    assert (ticket["type"], ticket["priority"]) == ("task", "high")
    # T0 is 2023-11-14 22:13:20 UTC, and the task is due a day later.
    assert ticket["due_at"] == "2023-11-15T22:13:20Z"
    assert [comment["public"] for comment in account.fake.comments[int(ref)]] == [False, False]


async def test_labels_become_tags_without_spaces(account: Account) -> None:
    task = replace(TASK, customer="Müller & Söhne", severity="High")
    await account.stage.queue.deliver(replace(OPEN, task=task))
    [ticket] = account.fake.tickets.values()
    assert ticket["tags"] == ["forewarn", "severity:high", "customer:müller_söhne"]


async def test_a_risen_severity_replaces_its_tag_and_keeps_those_of_people(
    account: Account,
) -> None:
    ref = await account.opened()
    ticket = account.fake.tickets[int(ref)]
    account.fake.set(int(ref), tags=[*ticket["tags"], "vip"])
    await account.stage.queue.deliver(replace(UPDATE, external_ref=ref))
    assert sorted(ticket["tags"]) == ["customer:acme", "forewarn", "severity:critical", "vip"]
    assert ticket["due_at"] == "2023-11-14T23:13:20Z"


async def test_a_ticket_of_another_type_gets_no_due_time(account: Account) -> None:
    ref = await account.opened()
    account.fake.set(int(ref), type="incident", due_at=None)
    await account.stage.queue.deliver(replace(UPDATE, external_ref=ref))
    assert account.fake.tickets[int(ref)]["due_at"] is None


async def test_solving_gives_a_ticket_that_is_nobodys_to_the_tokens_owner(
    account: Account,
) -> None:
    ref = await account.opened()
    await account.tracker.resolve(ref, Outcome.FIXED)
    ticket = account.fake.tickets[int(ref)]
    assert (ticket["status"], ticket["assignee_id"]) == ("solved", account.fake.me)


async def test_a_ticket_that_is_closed_for_good_goes_on_in_one_follow_up(account: Account) -> None:
    ref = await account.opened()
    account.fake.set(int(ref), status="closed")
    after = await account.stage.queue.deliver(replace(REOPEN, external_ref=ref))
    assert after is not None
    assert after != ref
    again = replace(REOPEN, external_ref=ref, attempt=2)
    assert await account.stage.queue.deliver(again) == after
    assert len(account.fake.tickets) == 2
    ticket = account.fake.tickets[int(after)]
    assert ticket["subject"] == account.fake.tickets[int(ref)]["subject"]
    assert ticket["group_id"] == GROUP
    said = [comment["body"] for comment in account.fake.comments[int(after)]]
    assert f"The problem of ticket {ref} is back" in said[0]
    assert "It fires again." in said[1]
    # Solved, it is opened again itself.
    account.fake.set(int(after), status="solved")
    assert await account.tracker.reopen(after) is None
    assert ticket["status"] == "open"


async def test_a_follow_up_whose_answer_was_lost_is_not_made_twice(account: Account) -> None:
    ref = await account.opened()
    account.fake.set(int(ref), status="closed")
    account.stage.faults.plan(Fault(when=When.AFTER, methods=WRITES))
    with pytest.raises(DeliveryError):
        await account.tracker.reopen(ref)
    after = await account.tracker.reopen(ref)
    assert set(account.fake.tickets) == {int(ref), int(after or 0)}


async def test_a_remark_on_a_ticket_closed_for_good_is_refused_with_what_happens_next(
    account: Account,
) -> None:
    ref = await account.opened()
    account.fake.set(int(ref), status="closed")
    with pytest.raises(DeliveryError, match="follow-up") as caught:
        await account.stage.queue.deliver(replace(UPDATE, external_ref=ref))
    assert caught.value.permanent
    # Its end has nothing more to do.
    await account.tracker.resolve(ref, Outcome.FIXED)


async def test_a_creation_that_no_list_shows_yet_is_not_made_twice(account: Account) -> None:
    ref = await account.opened()
    hidden = account.fake.tickets[int(ref)]
    marker, hidden["external_id"] = hidden["external_id"], None
    assert await account.stage.queue.deliver(replace(OPEN, attempt=2)) == ref
    # With other settings by now, Zendesk refuses the key: it is tried until the list shows it.
    changed = replace(OPEN, attempt=3, task=replace(TASK, title="Another"))
    with pytest.raises(DeliveryError, match="idempotency") as caught:
        await account.stage.queue.deliver(changed)
    assert not caught.value.permanent
    hidden["external_id"] = marker
    assert await account.stage.queue.deliver(changed) == ref
    assert len(account.fake.tickets) == 1


async def test_what_is_required_to_solve_is_named(account: Account) -> None:
    ref = await account.opened()
    account.fake.required.append("Root cause")
    with pytest.raises(DeliveryError, match="Root cause: is required when solving"):
        await account.stage.queue.deliver(
            replace(RESOLVE, external_ref=ref, task=replace(RESOLVE.task, retrospective=True))
        )


async def test_a_conflict_is_tried_again(account: Account) -> None:
    ref = await account.opened()
    account.stage.faults.plan(Fault(status=409, body=b"{}", methods=frozenset({"PUT"})))
    with pytest.raises(DeliveryError, match="409") as caught:
        await account.stage.queue.deliver(replace(UPDATE, external_ref=ref))
    assert not caught.value.permanent


async def test_states_of_a_ticket_are_read(account: Account) -> None:
    ref = await account.opened()
    for status, state in (
        ("new", TicketState.NEW),
        ("open", TicketState.IN_PROGRESS),
        ("pending", TicketState.WAITING),
        ("hold", TicketState.WAITING),
        ("solved", TicketState.CLOSED),
        ("closed", TicketState.CLOSED),
    ):
        account.fake.set(int(ref), status=status)
        read = await account.tracker.read(ref)
        assert read is not None
        assert read.state is state


async def test_changes_are_listed_the_first_first(account: Account) -> None:
    ref = int(await account.opened())
    pattern = account.fake.tickets[ref]
    for number in range(ref + 1, ref + 150):
        account.fake.tickets[number] = {**pattern, "id": number}
        account.fake.set(number)
    found = await account.tracker.changed(0, [])
    assert found == [str(number) for number in range(ref, ref + 150)]
    # Only two pages of a hundred: there is no third.
    assert len([path for _, path in account.stage.faults.requests if "updated_at" in path]) == 2


async def test_in_a_busy_account_only_our_own_tickets_are_asked_for(account: Account) -> None:
    ref = int(await account.opened())
    pattern = account.fake.tickets[ref]
    for number in range(ref + 1, ref + 1_100):
        account.fake.tickets[number] = {**pattern, "id": number}
        account.fake.set(number)
    ours = [str(number) for number in range(ref, ref + 250, 2)]
    assert await account.tracker.changed(0, [*ours, "999999"]) == ours
    asked = [path for _, path in account.stage.faults.requests if "show_many" in path]
    # 126 references, a hundred at once.
    assert len(asked) == 2


async def test_the_token_of_somebody_who_is_no_agent_is_refused(account: Account) -> None:
    account.fake.me = CUSTOMER
    with pytest.raises(DeliveryError, match=r"cam@client\.example, who is no agent"):
        await account.tracker.check("Support")


async def test_a_group_may_be_given_by_its_id(account: Account) -> None:
    assert str(GROUP) in await account.tracker.check(str(GROUP))


async def test_a_person_who_writes_below_our_marker_is_not_us(account: Account) -> None:
    ref = await account.opened()
    account.fake.write(int(ref), CUSTOMER, "<p>forewarn-1234</p><p>What is this?</p>")
    [comment] = await account.tracker.comments(ref)
    assert (comment.who, comment.marker) == ("cam@client.example", "")
