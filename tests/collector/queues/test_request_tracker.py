"""What Request Tracker alone does; test_tracker_contract.py has what all trackers do.

All against the real server; its user speaks German and lives in Tokyo.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import DeliveryError, request_tracker_remarks
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.tasks import DeliveryAction
from support.alerts import T0
from support.deliveries import OPEN, OPEN_ID, TASK
from support.request_tracker import RequestTracker
from support.trackers.request_tracker import request_tracker_stage
from support.trackers.stage import Stage

PLAIN = replace(OPEN, task=replace(TASK, evidence=()))
RAISED = replace(
    PLAIN,
    id="5" * 8,
    action=DeliveryAction.UPDATE,
    reason="severity",
    text="Severity rose.",
    task=replace(PLAIN.task, severity="critical", due_at=T0 + 3_600_000),
)
SETTINGS = """\
priority: {high: medium, critical: '90'}
assignee: {alice: ana, carol: nobody-here}
fields: {Customer: '{{ customer }}', Shoe size: '{{ rule }}', Site: '{{ labels.site }}'}
"""


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    async with request_tracker_stage(SETTINGS) as found:
        yield found


async def opened(stage: Stage, assignee: str = "") -> str:
    ref = await stage.queue.deliver(replace(PLAIN, task=replace(PLAIN.task, assignee=assignee)))
    assert ref is not None
    return ref


async def test_its_fields_are_set_and_what_it_leaves_out_is_named(
    stage: Stage, request_tracker: RequestTracker, caplog: pytest.LogCaptureFixture
) -> None:
    ref = await opened(stage, "alice")
    ticket = request_tracker.ticket(ref)
    assert ticket["Owner"]["id"] == "ana"
    assert ticket["Priority"] == "50"
    # A day after 1,700,000,000 s since the epoch, in UTC, whatever the clock in Tokyo.
    assert ticket["Due"] == "2023-11-15T22:13:20Z"
    customer = next(each for each in ticket["CustomFields"] if each["name"] == "Customer")
    assert customer["values"] == ["acme"]
    assert "made without its custom field Shoe size" in caplog.text
    # It had no value.
    assert "Site" not in caplog.text


async def test_an_owner_that_it_does_not_know_stops_no_ticket(
    stage: Stage, request_tracker: RequestTracker, caplog: pytest.LogCaptureFixture
) -> None:
    ref = await opened(stage, "carol")
    assert request_tracker.ticket(ref)["Owner"]["id"] == "Nobody"
    assert "owner nobody-here" in caplog.text


async def test_a_severity_that_rose_changes_priority_and_due_time(
    stage: Stage, request_tracker: RequestTracker
) -> None:
    ref = await opened(stage)
    await stage.queue.deliver(replace(RAISED, external_ref=ref))
    ticket = request_tracker.ticket(ref)
    assert (ticket["Priority"], ticket["Due"]) == ("90", "2023-11-14T23:13:20Z")


async def test_a_change_that_it_did_not_take_is_told_in_its_own_words(stage: Stage) -> None:
    ref = await opened(stage)
    given = replace(
        RAISED, reason="assigned", external_ref=ref, task=replace(RAISED.task, assignee="carol")
    )
    with pytest.raises(DeliveryError, match="owner nobody-here: Ticket") as caught:
        await stage.queue.deliver(given)
    assert caught.value.permanent


async def test_a_priority_that_is_none_is_left_out(
    request_tracker: RequestTracker, caplog: pytest.LogCaptureFixture
) -> None:
    async with request_tracker_stage("priority: {high: P1}") as stage:
        ref = await opened(stage)
    assert request_tracker.ticket(ref)["Priority"] == "0"
    assert "'P1' is no priority: give a number, or one of low, medium, high" in caplog.text


async def test_a_field_that_its_web_page_demands_is_not_demanded_by_its_api(
    request_tracker: RequestTracker,
) -> None:
    # The custom field Site of this queue is mandatory, and nobody set it.
    async with request_tracker_stage(place="Changes") as stage:
        assert request_tracker.ticket(await opened(stage))["Subject"] == "/ on a fills"


async def test_a_user_without_the_right_to_change_tickets_is_told_so(
    request_tracker: RequestTracker,
) -> None:
    async with request_tracker_stage(user="limited") as stage:
        ref = await opened(stage)
        with pytest.raises(DeliveryError, match=r"stays new: .*Permission Denied") as caught:
            await stage.tracker.resolve(ref, Outcome.FIXED)
        assert caught.value.permanent
        with pytest.raises(DeliveryError, match=r"limited may not CommentOnTicket in .*Support"):
            await stage.tracker.check("Support")
        with pytest.raises(DeliveryError, match="no queue Secret, or limited may not see it"):
            await stage.tracker.check("Secret")


async def test_the_check_names_who_the_token_belongs_to(stage: Stage) -> None:
    await opened(stage)
    said = await stage.tracker.check("Support")
    assert said.startswith("forewarn, in the queue Support of http://127.0.0.1:")


async def test_a_ticket_that_was_merged_is_the_one_that_is_left(
    stage: Stage, request_tracker: RequestTracker
) -> None:
    ref = await opened(stage)
    other = request_tracker.call("ana", "POST", "/ticket", {"Queue": "Support", "Subject": "It"})
    left = other.json()["id"]
    before = await stage.tracker.read(ref)
    assert before is not None
    merged = request_tracker.call("ana", "PUT", f"/ticket/{ref}", {"MergeInto": left})
    assert merged.status == 200
    read = await stage.tracker.read(ref)
    assert read is not None
    assert read.ref == left
    assert {ref, left} <= set(await stage.tracker.changed(before.changed_at, [ref]))
    found = await stage.tracker.find(marker_of(OPEN_ID), "Support", T0)
    assert found is not None
    assert found.ref == left
    # Its later revisions go on there.
    remark = replace(RAISED, reason="comment", external_ref=ref)
    await stage.queue.deliver(remark)
    assert [each.marker for each in await stage.tracker.comments(left)] == [marker_of(RAISED.id)]


async def test_a_ticket_in_another_queue_is_the_same_one(
    stage: Stage, request_tracker: RequestTracker
) -> None:
    ref = await opened(stage)
    moved = request_tracker.call("ana", "PUT", f"/ticket/{ref}", {"Queue": "Elsewhere"})
    assert moved.status == 200
    assert await stage.queue.deliver(replace(PLAIN, attempt=2)) == ref
    assert len(await stage.world.tickets()) == 1


async def test_a_ticket_that_was_moved_out_of_sight_holds_up_no_other(
    stage: Stage, request_tracker: RequestTracker
) -> None:
    ref = await opened(stage)
    assert request_tracker.call("root", "PUT", f"/ticket/{ref}", {"Queue": "Secret"}).status == 200
    with pytest.raises(DeliveryError, match="ShowTicket") as caught:
        await stage.queue.deliver(replace(RAISED, external_ref=ref))
    assert (caught.value.permanent, caught.value.whole_queue) == (False, False)


async def test_a_queue_that_is_not_there_holds_up_no_other() -> None:
    async with request_tracker_stage(place="'{{ customer }}'") as stage:
        with pytest.raises(DeliveryError, match="there is no queue acme, or") as caught:
            await stage.queue.deliver(PLAIN)
        assert (caught.value.permanent, caught.value.whole_queue) == (False, False)


async def test_a_deleted_ticket_is_listed_as_changed_and_gone(
    stage: Stage, request_tracker: RequestTracker
) -> None:
    ref = await opened(stage)
    read = await stage.tracker.read(ref)
    assert read is not None
    request_tracker.call("root", "PUT", f"/ticket/{ref}", {"Status": "deleted"})
    assert ref in await stage.tracker.changed(read.changed_at, [ref])
    assert await stage.tracker.read(ref) is None


async def test_statuses_mean_what_the_configuration_says(request_tracker: RequestTracker) -> None:
    settings = "close_as: {fixed: rejected}\nstates: {stalled: in_progress}\nreopen_as: stalled"
    async with request_tracker_stage(settings) as stage:
        ref = await opened(stage)
        await stage.tracker.resolve(ref, Outcome.FIXED)
        assert request_tracker.ticket(ref)["Status"] == "rejected"
        read = await stage.tracker.read(ref)
        assert read is not None
        assert (read.state, read.outcome) == (TicketState.CLOSED, Outcome.FIXED)
        request_tracker.call("ana", "PUT", f"/ticket/{ref}", {"Status": "open"})
        request_tracker.call("ana", "PUT", f"/ticket/{ref}", {"Status": "stalled"})
        read = await stage.tracker.read(ref)
        assert read is not None
        assert read.state is TicketState.IN_PROGRESS


async def test_a_status_that_nobody_named_is_asked_for(request_tracker: RequestTracker) -> None:
    # The lifecycle `changes` has `done`, which is inactive, and `begun`, which is not.
    async with request_tracker_stage(place="Changes") as stage:
        ref = await opened(stage)
        for status, state in (
            ("begun", TicketState.IN_PROGRESS),
            ("done", TicketState.CLOSED),
        ):
            answer = request_tracker.call("ana", "PUT", f"/ticket/{ref}", {"Status": status})
            assert answer.status == 200
            read = await stage.tracker.read(ref)
            assert read is not None
            assert read.state is state


async def test_replies_and_comments_are_read_and_system_entries_and_files_are_not(
    stage: Stage, request_tracker: RequestTracker
) -> None:
    ref = await opened(stage)
    file = {
        "FileName": "top.txt",
        "FileType": "text/plain",
        "FileContent": base64.b64encode(b"load 12").decode(),
    }
    html = "<p>Cleaned &amp; done.</p><blockquote>It fires.</blockquote><div>Ana</div>"
    for path, body in (
        ("comment", {"Content": "Ünder <way>", "ContentType": "text/plain"}),
        ("correspond", {"Content": html, "ContentType": "text/html", "Attachments": [file]}),
        ("comment", {"Attachments": [file]}),
    ):
        answer = request_tracker.call("ana", "POST", f"/ticket/{ref}/{path}", body)
        assert answer.status == 201, answer.body
    said = [(each.who, each.text) for each in await stage.tracker.comments(ref)]
    assert said == [("ana", "Ünder <way>"), ("ana", "Cleaned & done.\n\nAna")]


async def test_more_remarks_than_one_page_has_are_read_in_order(
    stage: Stage, request_tracker: RequestTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_tracker_remarks, "_PER_PAGE", 3)
    monkeypatch.setattr(request_tracker_remarks, "_AT_ONCE", 2)
    ref = await opened(stage)
    for number in range(8):
        body = {"Content": f"remark {number}", "ContentType": "text/plain"}
        request_tracker.call("ana", "POST", f"/ticket/{ref}/comment", body)
    said = [each.text for each in await stage.tracker.comments(ref)]
    assert said == [f"remark {number}" for number in range(8)]


async def test_no_error_or_log_line_has_the_token(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await opened(stage)
    assert stage.secret not in caplog.text
