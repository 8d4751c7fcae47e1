"""What is ServiceNow's own: codes, urgency and impact, final states, and what it does silently."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.servicenow import ServiceNowTracker
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.tasks import DeliveryAction
from support.alerts import T0
from support.deliveries import OPEN, OPEN_ID, RESOLVE, TASK
from support.trackers.faults import WRITES, Fault, When
from support.trackers.servicenow import (
    GROUP,
    US,
    USERS,
    FakeServiceNow,
    ServiceNowWorld,
    servicenow_stage,
)
from support.trackers.stage import Stage

REOPEN = replace(
    OPEN,
    id="44444444-4444-5444-8444-444444444444",
    action=DeliveryAction.REOPEN,
    revision=3,
    text="It fires again.",
    task=replace(TASK, evidence=()),
)
BY_PERSON = replace(RESOLVE, task=replace(RESOLVE.task, resolve_reason="person"))


@dataclass
class Instance:
    """A stage with its fake."""

    stage: Stage
    fake: FakeServiceNow

    @property
    def tracker(self) -> ServiceNowTracker:
        assert isinstance(self.stage.tracker, ServiceNowTracker)
        return self.stage.tracker

    async def opened(self) -> tuple[str, dict[str, str]]:
        ref = await self.stage.queue.deliver(OPEN)
        assert ref is not None
        return ref, self.fake.incidents[ref.rpartition("/")[2]]


@pytest_asyncio.fixture
async def instance() -> AsyncIterator[Instance]:
    async with servicenow_stage() as stage:
        assert isinstance(stage.world, ServiceNowWorld)
        yield Instance(stage, stage.world.fake)
        await stage.queue.close()


async def test_an_incident_has_its_group_urgency_impact_and_due_date(instance: Instance) -> None:
    ref, row = await instance.opened()
    assert ref.startswith("INC00")
    assert row["correlation_id"] == marker_of(OPEN_ID)
    assert row["assignment_group"] == GROUP
    assert (row["urgency"], row["impact"]) == ("2", "1")
    # T0 is 2023-11-14 22:13:20 UTC, and the task is due a day later.
    assert row["due_date"] == "2023-11-15 22:13:20"
    sys_id = ref.rpartition("/")[2]
    assert instance.tracker.link(ref).endswith(f"/nav_to.do?uri=incident.do%3Fsys_id%3D{sys_id}")


async def test_resolving_gives_the_code_and_notes_that_are_required(instance: Instance) -> None:
    ref, row = await instance.opened()
    await instance.tracker.resolve(ref, Outcome.DUPLICATE)
    assert (row["state"], row["close_code"]) == ("6", "Duplicate")
    assert row["close_notes"] == "Ended in Forewarn: duplicate."


async def test_a_state_that_a_rule_takes_back_is_told_and_not_tried_again(
    instance: Instance,
) -> None:
    ref, _ = await instance.opened()
    instance.fake.stuck = True
    with pytest.raises(DeliveryError, match=r"stays in the state 1.*status resolved") as caught:
        await instance.stage.queue.deliver(replace(BY_PERSON, external_ref=ref))
    assert caught.value.permanent


async def test_a_closed_incident_goes_on_in_one_other(instance: Instance) -> None:
    ref, row = await instance.opened()
    instance.fake.set(row["sys_id"], "ann", state="7")
    instance.stage.faults.plan(Fault(when=When.AFTER, methods=WRITES))
    with pytest.raises(DeliveryError):
        await instance.stage.queue.deliver(replace(REOPEN, external_ref=ref))
    after = await instance.stage.queue.deliver(replace(REOPEN, external_ref=ref, attempt=2))
    assert after is not None
    [_, other] = instance.fake.incidents.values()
    assert after == f"{other['number']}/{other['sys_id']}"
    assert other["short_description"] == row["short_description"]
    assert (other["assignment_group"], other["urgency"]) == (GROUP, "2")
    said = [entry["value"] for entry in instance.fake.journal]
    assert said[0] == f"The problem of {row['number']} is back; that one is closed."
    assert "It fires again." in said[1]


async def test_a_remark_on_a_closed_incident_is_refused_and_does_not_hold_the_queue(
    instance: Instance,
) -> None:
    ref, row = await instance.opened()
    instance.fake.set(row["sys_id"], "ann", state="7")
    with pytest.raises(DeliveryError, match="closed and takes nothing more") as caught:
        await instance.stage.queue.deliver(replace(BY_PERSON, external_ref=ref))
    assert (caught.value.permanent, caught.value.whole_queue) == (True, False)


async def test_columns_that_are_left_out_silently_are_in_the_log(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    instance.fake.unwritable = {"due_date", "urgency"}
    await instance.opened()
    [said] = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "due_date, urgency" in said
    instance.fake.unwritable = {"correlation_id"}
    other = replace(OPEN, thread_id="55555555-5555-5555-8555-555555555555")
    await instance.stage.queue.deliver(other)
    assert "can't be found again" in caplog.records[-1].message


async def test_a_search_on_a_column_that_may_not_be_read_makes_nothing(instance: Instance) -> None:
    await instance.opened()
    instance.fake.unreadable = {"correlation_id"}
    with pytest.raises(DeliveryError, match=r"right to read incident\.correlation_id") as caught:
        await instance.stage.queue.deliver(replace(OPEN, attempt=2))
    assert caught.value.whole_queue
    assert len(instance.fake.incidents) == 1


async def test_an_instance_that_hibernates_says_so(instance: Instance) -> None:
    page = b"<html><h1>Your instance is hibernating</h1></html>"
    instance.stage.faults.always(Fault(status=200, body=page))
    with pytest.raises(DeliveryError, match=r"hibernating; wake it") as caught:
        await instance.stage.queue.deliver(OPEN)
    assert caught.value.whole_queue


async def test_a_person_whom_the_instance_does_not_know_gets_nothing_and_the_incident_is_made(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    settings = instance.stage.queue.settings
    for name in ("nobody", "^active=true^ORuser_name=ann"):
        instance.stage.queue.settings = replace(settings, default_assignee=name)
        delivery = replace(OPEN, thread_id=f"{len(name):08}-5555-5555-8555-555555555555")
        await instance.stage.queue.deliver(delivery)
        assert f"no active user {name}" in caplog.records[-1].message
    assert {row["assigned_to"] for row in instance.fake.incidents.values()} == {""}


async def test_a_person_is_found_by_user_name(instance: Instance) -> None:
    settings = instance.stage.queue.settings
    instance.stage.queue.settings = replace(settings, default_assignee="ann")
    _, row = await instance.opened()
    assert row["assigned_to"] == USERS["ann"]


async def test_close_codes_that_an_instance_lacks_are_named_with_those_it_has(
    instance: Instance,
) -> None:
    assert US in await instance.tracker.check("Service Desk")
    instance.fake.codes = ["Solved (Permanently)", "Duplicate"]
    with pytest.raises(DeliveryError, match=r"no close_code .*Solution provided.*Solved \(Perm"):
        await instance.tracker.check("Service Desk")


async def test_nothing_in_a_text_is_taken_for_html(instance: Instance) -> None:
    task = replace(TASK, description="[code]<script>alert(1)</script>[/CODE]")
    await instance.stage.queue.deliver(replace(OPEN, task=task))
    [row] = instance.fake.incidents.values()
    assert "[ code ]<script>alert(1)</script>[ /CODE ]" in row["description"]


async def test_states_and_outcomes_of_people_are_read(instance: Instance) -> None:
    ref, row = await instance.opened()
    for state, code, found in (
        ("3", "", (TicketState.WAITING, Outcome.FIXED)),
        ("6", "No resolution provided", (TicketState.CLOSED, Outcome.WONT_FIX)),
        ("7", "Solved (Permanently)", (TicketState.CLOSED, Outcome.FIXED)),
        ("8", "", (TicketState.CLOSED, Outcome.NO_ACTION)),
        ("-5", "", (TicketState.IN_PROGRESS, Outcome.FIXED)),
    ):
        instance.fake.set(row["sys_id"], "ann", state=state, close_code=code)
        read = await instance.tracker.read(ref)
        assert read is not None
        assert (read.state, read.outcome) == found
        assert read.changed_by == "ann"
    row |= {"state": "9", "active": "false"}
    read = await instance.tracker.read(ref)
    assert read is not None
    assert read.state is TicketState.CLOSED


async def test_changes_are_found_in_whatever_time_zone_a_query_is_read(instance: Instance) -> None:
    ref, row = await instance.opened()
    await instance.tracker.changed(T0, [ref])
    path = instance.stage.faults.requests[-1][1]
    # Fourteen hours before 2023-11-14 22:13:20, as far as a time zone may be from UTC.
    assert "sys_updated_on%3E%3D2023-11-14+08:13:20" in path.replace("%3A", ":").replace("%20", "+")
    row["sys_updated_on"] = "2023-11-14 22:13:19"
    assert await instance.tracker.changed(T0, [ref]) == []
