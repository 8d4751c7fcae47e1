"""What Redmine alone does, on the real server; test_tracker_contract.py has what all do."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.tasks import DeliveryAction
from support.alerts import T0
from support.deliveries import OPEN, OPEN_ID, TASK
from support.redmine import Redmine
from support.trackers.faults import READS, Fault
from support.trackers.redmine import redmine_stage
from support.trackers.stage import Stage

PLAIN = replace(OPEN, task=replace(TASK, evidence=()))
RAISED = replace(
    PLAIN,
    id="5" * 8,
    action=DeliveryAction.UPDATE,
    reason="severity",
    text="Severity rose.",
    task=replace(PLAIN.task, severity="critical", due_at=T0),
)
CUSTOMER, SITE = 1, 2
SETTINGS = f"""
tracker: Support
priority: {{high: High, critical: immediate, low: P4}}
assignee: {{alice: Ana Test, carol: Carol Nobody}}
fields: {{{CUSTOMER}: '{{{{ customer }}}}', estimated_hours: '2'}}
"""


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    async with redmine_stage(SETTINGS) as found:
        yield found


async def opened(stage: Stage, severity: str = "high", assignee: str = "") -> str:
    task = replace(PLAIN.task, severity=severity, assignee=assignee)
    ref = await stage.queue.deliver(replace(PLAIN, task=task))
    assert ref is not None
    return ref


async def test_its_fields_are_set(stage: Stage, redmine: Redmine) -> None:
    issue = redmine.issue(await opened(stage, assignee="alice"))
    assert issue["tracker"]["name"] == "Support"
    assert issue["priority"]["name"] == "High"
    assert issue["assigned_to"]["name"] == "Ana Test"
    # A day after 1,700,000,000 s since the epoch. It is long ago: no start date may be after it.
    assert (issue["due_date"], issue["start_date"]) == ("2023-11-15", None)
    assert issue["custom_fields"] == [{"id": CUSTOMER, "name": "Customer", "value": "acme"}]
    assert issue["estimated_hours"] == 2.0


async def test_a_priority_and_an_assignee_that_it_has_not_stop_no_issue(
    stage: Stage, redmine: Redmine, caplog: pytest.LogCaptureFixture
) -> None:
    issue = redmine.issue(await opened(stage, "low", "carol"))
    assert issue["priority"]["name"] == "Normal"
    assert "assigned_to" not in issue
    assert "has no priority P4: left out" in caplog.text
    assert "has no assignee Carol Nobody: left out" in caplog.text


async def test_a_severity_that_rose_changes_priority_and_due_time(
    stage: Stage, redmine: Redmine
) -> None:
    ref = await opened(stage)
    await stage.queue.deliver(replace(RAISED, external_ref=ref))
    issue = redmine.issue(ref)
    assert (issue["priority"]["name"], issue["due_date"]) == ("Immediate", "2023-11-14")


async def test_a_tracker_that_the_project_has_not_holds_the_queue() -> None:
    async with redmine_stage("tracker: Incident") as stage:
        with pytest.raises(DeliveryError, match="support has no tracker Incident") as caught:
            await stage.queue.deliver(PLAIN)
        assert (caught.value.permanent, caught.value.whole_queue) == (False, True)
        with pytest.raises(DeliveryError, match="support has no tracker Incident"):
            await stage.tracker.check("support")


async def test_a_field_that_a_project_demands_can_be_set(redmine: Redmine) -> None:
    async with redmine_stage(place="strict") as stage:
        with pytest.raises(DeliveryError, match=r"Site cannot be blank; .* `fields`") as caught:
            await stage.queue.deliver(PLAIN)
        assert caught.value.permanent
    async with redmine_stage(f"fields: {{{SITE}: north}}", place="strict") as stage:
        site = redmine.issue(await opened(stage))["custom_fields"][1]
        assert (site["name"], site["value"]) == ("Site", "north")


async def test_what_a_reporter_may_not_set_is_told_so() -> None:
    async with redmine_stage(SETTINGS, user="limited") as stage:
        ref = await opened(stage)
        with pytest.raises(DeliveryError, match=r"did not take priority; .* edit issues") as caught:
            await stage.queue.deliver(replace(RAISED, external_ref=ref))
        assert caught.value.permanent
        with pytest.raises(DeliveryError, match=f"issue {ref} stays New: its workflow") as caught:
            await stage.tracker.resolve(ref, Outcome.FIXED)
        assert caught.value.permanent
        with pytest.raises(DeliveryError, match="limited may not edit_issues in Support"):
            await stage.tracker.check("support")
        with pytest.raises(DeliveryError, match="no project secret, or limited may not see it"):
            await stage.tracker.check("secret")


async def test_a_status_that_it_has_not_is_named() -> None:
    async with redmine_stage("close_as: {fixed: Geschlossen}") as stage:
        ref = await opened(stage)
        with pytest.raises(DeliveryError, match=r"no status Geschlossen; .* close_as") as caught:
            await stage.tracker.resolve(ref, Outcome.FIXED)
        assert caught.value.permanent


async def test_statuses_mean_what_the_configuration_says(redmine: Redmine) -> None:
    # The status Resolved is open, where Redmine's defaults were not changed.
    settings = "close_as: {fixed: Resolved}\nreopen_as: Feedback\nstates: {Feedback: new}"
    async with redmine_stage(settings) as stage:
        ref = await opened(stage)
        await stage.tracker.resolve(ref, Outcome.FIXED)
        assert redmine.issue(ref)["status"]["name"] == "Resolved"
        read = await stage.tracker.read(ref)
        assert read is not None
        assert (read.state, read.outcome) == (TicketState.CLOSED, Outcome.FIXED)
        await stage.tracker.reopen(ref)
        read = await stage.tracker.read(ref)
        assert read is not None
        assert read.state is TicketState.NEW


async def test_an_older_redmine_is_asked_which_statuses_are_closed(stage: Stage) -> None:
    ref = await opened(stage)
    for status, state in ((5, TicketState.CLOSED), (3, TicketState.IN_PROGRESS)):
        issue = {"issue": {"id": int(ref), "status": {"id": status, "name": "Done"}}}
        answer = Fault(status=200, body=json.dumps(issue).encode(), methods=READS, path="/issues/")
        stage.faults.plan(answer)
        read = await stage.tracker.read(ref)
        assert read is not None
        assert read.state is state


async def test_an_issue_in_another_project_is_the_same_one(stage: Stage, redmine: Redmine) -> None:
    ref = await opened(stage)
    moved = redmine.call("ana", "PUT", f"/issues/{ref}.json", {"issue": {"project_id": 2}})
    assert moved.status == 204
    assert await stage.queue.deliver(replace(PLAIN, attempt=2)) == ref
    assert len(await stage.world.tickets()) == 1


async def test_an_issue_that_was_moved_out_of_sight_holds_up_no_other(
    stage: Stage, redmine: Redmine
) -> None:
    ref = await opened(stage)
    moved = redmine.call("admin", "PUT", f"/issues/{ref}.json", {"issue": {"project_id": 4}})
    assert moved.status == 204
    with pytest.raises(DeliveryError, match="make the key's owner a member there") as caught:
        await stage.tracker.read(ref)
    assert (caught.value.permanent, caught.value.whole_queue) == (False, False)


async def test_of_an_issue_and_its_copy_the_first_is_ours(stage: Stage, redmine: Redmine) -> None:
    ref = await opened(stage)
    text = redmine.issue(ref)["description"]
    copy = {"project_id": 1, "subject": "Copy", "description": text}
    assert redmine.call("ana", "POST", "/issues.json", {"issue": copy}).status == 201
    assert await stage.queue.deliver(replace(PLAIN, attempt=2)) == ref


async def test_a_redmine_that_ignores_the_filter_makes_no_ticket(stage: Stage) -> None:
    issues = {"issues": [{"id": 1, "description": "another", "status": {"id": 1, "name": "New"}}]}
    stage.faults.plan(Fault(status=200, body=json.dumps(issues).encode(), path="/issues.json"))
    with pytest.raises(DeliveryError, match=r"Redmine 3\.3 or later") as caught:
        await stage.tracker.find(marker_of(OPEN_ID), "support", T0)
    assert not caught.value.permanent


async def test_private_notes_and_changes_without_a_note_are_left_out(
    stage: Stage, redmine: Redmine
) -> None:
    ref = await opened(stage)
    for note in ({"notes": "secret", "private_notes": True}, {"status_id": 2}, {"notes": "Ünder"}):
        answer = redmine.call("ana", "PUT", f"/issues/{ref}.json", {"issue": note})
        assert answer.status == 204
    said = [(each.who, each.text) for each in await stage.tracker.comments(ref)]
    assert said == [("Ana Test", "Ünder")]
    read = await stage.tracker.read(ref)
    assert read is not None
    assert (read.state, read.changed_by) == (TicketState.IN_PROGRESS, "Ana Test")


async def test_a_plot_that_it_refuses_stops_no_issue(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    refused = b'{"errors": ["File type svg is not allowed"]}'
    stage.faults.plan(Fault(status=422, body=refused, path="/uploads.json"))
    assert await stage.queue.deliver(OPEN) is not None
    [issue] = await stage.world.tickets()
    assert issue.files == ()
    assert "File type svg is not allowed" in caplog.text


async def test_markdown_is_written_where_the_configuration_says_so() -> None:
    async with redmine_stage("markup: markdown") as stage:
        await opened(stage)
        [issue] = await stage.world.tickets()
        assert "**/ on a fills**" in issue.body


async def test_the_check_names_who_the_key_belongs_to_and_shows_it_nowhere(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = await stage.tracker.check("support")
    assert said.startswith("forewarn, in the project Support of http://127.0.0.1:")
    assert stage.secret not in caplog.text
