"""What Jira alone does; tests/collector/queues/test_tracker_contract.py has what all do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.jira_answers import marker_in, with_marker
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.tasks import DeliveryAction
from support.alerts import DAY, T0
from support.deliveries import OPEN, OPEN_ID, TASK
from support.trackers.faults import WRITES, Fault
from support.trackers.jira import PROJECT, FakeJira, Transition, jira_with_fake
from support.trackers.stage import Stage

MARKER = marker_of(OPEN_ID)
MARKED = f"text\n\nReference: {MARKER}"
RAISED = replace(
    OPEN, id="5" * 8, action=DeliveryAction.UPDATE, reason="severity", text="Severity rose."
)


@pytest_asyncio.fixture
async def jira() -> AsyncIterator[tuple[Stage, FakeJira]]:
    more = "priority: {high: High, critical: Highest}\nassignee: {alice: ann}"
    async with jira_with_fake(more) as found:
        yield found


@pytest_asyncio.fixture
async def server() -> AsyncIterator[tuple[Stage, FakeJira]]:
    async with jira_with_fake("assignee: {alice: ann}", cloud=False) as found:
        yield found


async def opened(stage: Stage) -> str:
    ref = await stage.queue.deliver(OPEN)
    assert ref is not None
    return ref


async def test_an_issue_that_the_search_learns_of_out_of_order_is_found(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    for number in range(1, 131):
        fake.add(PROJECT, MARKED if number == 60 else "text", T0 + number * 1000)
    fake.unindexed = {"OPS-60", "OPS-90"}
    found = await stage.tracker.find(MARKER, PROJECT, T0)
    assert found is not None
    assert found.ref == "OPS-60"


async def test_an_issue_far_behind_what_the_search_knows_is_found(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    for number in range(1, 251):
        fake.add(PROJECT, MARKED if number == 240 else "text", T0 + number * 1000)
    fake.unindexed = {f"OPS-{number}" for number in range(60, 251)}
    found = await stage.tracker.find(MARKER, PROJECT, T0)
    assert found is not None
    assert found.ref == "OPS-240"


async def test_old_issues_are_not_read(jira: tuple[Stage, FakeJira]) -> None:
    stage, fake = jira
    for number in range(1, 301):
        fake.add(PROJECT, MARKED, T0 - 90 * DAY + number * 1000)
    fake.add(PROJECT, "text", T0)
    fake.add(PROJECT, "text", T0)
    assert await stage.tracker.find(MARKER, PROJECT, T0 - DAY) is None
    # What the server is, a page of the list, the keys behind it, and those behind what these had.
    assert [path.rpartition("/")[2] for _, path in stage.faults.requests] == [
        *("serverInfo", "jql", "bulkfetch", "bulkfetch")
    ]


async def test_a_server_is_asked_for_few_keys_one_by_one(server: tuple[Stage, FakeJira]) -> None:
    stage, fake = server
    for number in range(1, 21):
        fake.add(PROJECT, "text", T0 + number * 1000)
    assert await stage.tracker.find(MARKER, PROJECT, T0) is None
    keys = [path for _, path in stage.faults.requests if "/issue/" in path]
    # The two that the search does not know, and ten ahead of what it knows; of these two are there.
    assert len(keys) <= 2 + 10 + 10


async def test_a_text_keeps_its_marker_through_jira_s_conversions_and_a_cut() -> None:
    text = with_marker("{noformat}\nlog\n" + "x" * 50, MARKER)
    assert text.splitlines()[-3:] == ["{noformat}", "", f"Reference: {MARKER}"]
    assert marker_in(text) == MARKER
    assert marker_in(text.replace("-", "\\-") + "\r\n") == MARKER
    assert marker_in(f"> {MARKED}\nI answer") == ""
    assert with_marker("{noformat}\nlog\n{noformat}\n", MARKER).count("{noformat}") == 2


@pytest.mark.parametrize("cloud", [True, False], ids=["cloud", "server"])
async def test_a_token_that_jira_does_not_know_holds_the_queue_though_answers_are_empty(
    cloud: bool,
) -> None:
    async with jira_with_fake(cloud=cloud, token="not-the-token") as (stage, fake):
        fake.add(PROJECT, MARKED)
        with pytest.raises(DeliveryError, match="does not know the token") as caught:
            await stage.queue.deliver(OPEN)
        assert (caught.value.whole_queue, caught.value.permanent) == (True, False)
        with pytest.raises(DeliveryError, match="does not know the token"):
            await stage.tracker.read("OPS-1")
        assert len(fake.issues) == 1


async def test_a_captcha_holds_the_queue_and_says_what_to_do(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, _ = jira
    # https://developer.atlassian.com/server/jira/platform/basic-authentication/
    headers = {
        "X-Seraph-LoginReason": "AUTHENTICATION_DENIED",
        "X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=https://x/login.jsp",
    }
    stage.faults.plan(Fault(status=403, headers=headers))
    with pytest.raises(DeliveryError, match=r"captcha.*sign in once") as caught:
        await stage.queue.deliver(OPEN)
    assert caught.value.whole_queue


async def test_a_project_that_is_gone_is_told_from_a_search_that_is_refused(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    del fake.projects[PROJECT]
    with pytest.raises(DeliveryError, match="there is no project OPS") as caught:
        await stage.queue.deliver(OPEN)
    assert (caught.value.whole_queue, caught.value.permanent) == (True, False)


async def test_an_issue_is_made_without_what_no_screen_has(
    jira: tuple[Stage, FakeJira], caplog: pytest.LogCaptureFixture
) -> None:
    stage, fake = jira
    fake.screen -= {"priority", "duedate", "labels"}
    await stage.queue.deliver(replace(OPEN, task=replace(TASK, assignee="alice")))
    [ticket] = await stage.world.tickets()
    assert ticket.assignee == "ann"
    assert "priority" in caplog.text
    assert "duedate" in caplog.text
    assert "priority" not in fake.created_fields


@pytest.mark.parametrize("cloud", [True, False], ids=["cloud", "server"])
async def test_fields_follow_the_task(cloud: bool) -> None:
    more = "priority: {high: High, critical: Highest}\nassignee: {alice: ann, ben: bob}"
    async with jira_with_fake(more, cloud=cloud) as (stage, fake):
        task = replace(TASK, assignee="alice", customer="Acme Corp", due_at=1_700_092_800_000)
        ref = await stage.queue.deliver(replace(OPEN, task=task))
        issue = fake.issues["OPS-1"]
        assert issue.fields["labels"] == ["forewarn", "severity:high", "customer:Acme-Corp"]
        assert issue.fields["priority"] == {"name": "High"}
        assert issue.fields["duedate"] == "2023-11-16"
        issue.fields["labels"].append("mine")
        worse = replace(task, severity="critical")
        await stage.queue.deliver(replace(RAISED, external_ref=ref, task=worse))
        given = replace(RAISED, id="6" * 8, external_ref=ref, reason="assigned")
        await stage.queue.deliver(replace(given, task=replace(worse, assignee="ben")))
        assert sorted(issue.fields["labels"]) == [
            *("customer:Acme-Corp", "forewarn", "mine", "severity:critical")
        ]
        assert issue.fields["priority"] == {"name": "Highest"}
        read = await stage.tracker.read("OPS-1")
        assert read is not None
        assert read.assignee == "bob"


async def test_a_field_that_is_demanded_can_be_configured() -> None:
    more = "fields: {customfield_10010: {value: '{{ customer }}'}}"
    async with jira_with_fake(more) as (stage, fake):
        assert stage.missing_field is not None
        stage.missing_field()
        await stage.queue.deliver(OPEN)
        assert fake.created_fields["customfield_10010"] == {"value": "acme"}


async def test_an_issue_type_that_is_none_is_named_with_those_there_are() -> None:
    async with jira_with_fake("issue_type: Incident") as (stage, _):
        with pytest.raises(DeliveryError, match="issue_type") as caught:
            await stage.queue.deliver(OPEN)
        assert caught.value.permanent
        with pytest.raises(DeliveryError, match="it has Task, Bug"):
            await stage.tracker.check(PROJECT)


@pytest.mark.parametrize(
    ("outcome", "resolution"),
    [
        (Outcome.FIXED, "Done"),
        (Outcome.NO_ACTION, "Cannot Reproduce"),
        (Outcome.WONT_FIX, "Won't Do"),
        (Outcome.DUPLICATE, "Duplicate"),
    ],
)
async def test_an_outcome_is_the_resolution_that_the_screen_offers(
    jira: tuple[Stage, FakeJira], outcome: Outcome, resolution: str
) -> None:
    stage, fake = jira
    ref = await opened(stage)
    await stage.tracker.resolve(ref, outcome)
    assert fake.issues[ref].fields["resolution"] == {"name": resolution}


async def test_a_resolution_is_not_sent_where_no_screen_asks_for_it(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    ref = await opened(stage)
    fake.transitions[2].screen = {}
    await stage.tracker.resolve(ref, Outcome.WONT_FIX)
    assert fake.issues[ref].status == "Done"
    assert fake.issues[ref].fields["resolution"] is None


@pytest.mark.parametrize("wanted", ["finish", "31", "Done"])
async def test_a_transition_is_named_by_its_name_its_number_or_its_status(wanted: str) -> None:
    more = f"transitions: {{close: '{wanted}', reopen: Start}}\nresolutions: {{fixed: Duplicate}}"
    async with jira_with_fake(more) as (stage, fake):
        ref = await opened(stage)
        await stage.tracker.resolve(ref, Outcome.FIXED)
        assert fake.issues[ref].fields["resolution"] == {"name": "Duplicate"}
        await stage.tracker.reopen(ref)
        assert fake.issues[ref].status == "In Progress"


async def test_an_outcome_can_have_a_transition_of_its_own() -> None:
    async with jira_with_fake("transitions: {wont_fix: Reject}") as (stage, fake):
        fake.transitions.append(Transition("41", "Reject", "Done"))
        ref = await opened(stage)
        await stage.tracker.resolve(ref, Outcome.WONT_FIX)
        assert fake.issues[ref].fields["resolution"] is None


async def test_what_a_closing_screen_demands_is_named_and_can_be_configured() -> None:
    demanded = {"required": True, "hasDefaultValue": False, "name": "Root cause"}
    for more in ("", "close_fields: {customfield_10020: {value: Hardware}}"):
        async with jira_with_fake(more) as (stage, fake):
            ref = await opened(stage)
            fake.transitions[2].screen["customfield_10020"] = demanded
            if more:
                await stage.tracker.resolve(ref, Outcome.FIXED)
                assert fake.issues[ref].fields["customfield_10020"] == {"value": "Hardware"}
                continue
            with pytest.raises(DeliveryError, match=r"Root cause \(customfield_10020\)") as caught:
                await stage.tracker.resolve(ref, Outcome.FIXED)
            assert "close_fields" in str(caught.value)
            assert caught.value.permanent


async def test_a_transition_that_is_not_there_names_those_that_are(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    ref = await opened(stage)
    fake.transitions = fake.transitions[:2]
    with pytest.raises(DeliveryError, match=r"offers Start \(21\)"):
        await stage.tracker.resolve(ref, Outcome.FIXED)


async def test_who_closed_it_and_what_it_waits_for_are_read(jira: tuple[Stage, FakeJira]) -> None:
    stage, fake = jira
    ref = await opened(stage)
    fake.turn(fake.issues[ref], "ann", "Waiting for customer", None)
    read = await stage.tracker.read(ref)
    assert read is not None
    assert (read.state, read.changed_by) == (TicketState.WAITING, "")
    fake.turn(fake.issues[ref], "bob", "Done", "Won't Do")
    read = await stage.tracker.read(ref)
    assert read is not None
    assert (read.state, read.changed_by) == (TicketState.CLOSED, "bob")
    assert read.outcome is Outcome.WONT_FIX


async def test_an_issue_that_was_moved_comes_with_its_new_key(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    ref = await opened(stage)
    moved = fake.issues.pop(ref)
    moved.key = "WEB-1"
    fake.issues["WEB-1"] = moved
    fake.moved[ref] = "WEB-1"
    assert await stage.tracker.changed(T0 + DAY, [ref]) == [ref]
    read = await stage.tracker.read(ref)
    assert read is not None
    assert read.ref == "WEB-1"
    await stage.queue.deliver(replace(RAISED, external_ref=ref))
    assert len(moved.comments) == 1


@pytest.mark.parametrize("cloud", [True, False], ids=["cloud", "server"])
async def test_changes_are_those_of_the_tickets_themselves_and_a_deleted_one_is_among_them(
    cloud: bool,
) -> None:
    async with jira_with_fake(cloud=cloud) as (stage, fake):
        for number in range(1, 151):
            fake.add(PROJECT, "text", T0 + number * 1000)
        refs = [f"OPS-{number}" for number in range(1, 121)]
        del fake.issues["OPS-7"]
        found = await stage.tracker.changed(T0 + 119_000, refs)
        assert sorted(found) == ["OPS-119", "OPS-120", "OPS-7"]


async def test_attachments_that_are_forbidden_cost_no_ticket_and_hold_nothing(
    jira: tuple[Stage, FakeJira], caplog: pytest.LogCaptureFixture
) -> None:
    stage, fake = jira
    fake.attachments = False
    await opened(stage)
    assert "did not take the plot" in caplog.text
    assert len(fake.issues) == 1


async def test_an_issue_that_others_change_at_the_moment_is_tried_again(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, _ = jira
    ref = await opened(stage)
    stage.faults.plan(Fault(status=409, methods=WRITES, path="/transitions"))
    with pytest.raises(DeliveryError) as caught:
        await stage.tracker.resolve(ref, Outcome.FIXED)
    assert (caught.value.permanent, caught.value.whole_queue) == (False, False)


async def test_only_the_newest_thousand_remarks_are_read_the_oldest_first(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    ref = await opened(stage)
    for number in range(1, 1_051):
        fake.say(fake.issues[ref], "ann", f"remark {number}")
    found = await stage.tracker.comments(ref)
    assert [found[0].text, found[-1].text, len(found)] == ["remark 51", "remark 1050", 1_000]


async def test_the_check_names_rights_and_what_the_issue_type_demands(
    jira: tuple[Stage, FakeJira],
) -> None:
    stage, fake = jira
    assert "demands" not in await stage.tracker.check(PROJECT)
    fake.required["customfield_10010"] = "Team"
    assert r"demands Team (customfield_10010)" in await stage.tracker.check(PROJECT)
    fake.rights -= {"TRANSITION_ISSUES", "ADD_COMMENTS"}
    with pytest.raises(DeliveryError, match="lacks permissions in OPS: ADD_COMMENTS, TRANSITION"):
        await stage.tracker.check(PROJECT)
    with pytest.raises(DeliveryError, match="there is no project WEB"):
        await stage.tracker.check("WEB")


@pytest.mark.parametrize(
    "wrong",
    ["transitions: {shut: Done}", "resolutions: {close: Done}", "close_fields: [a]"],
)
async def test_what_is_wrong_with_a_workflow_is_named(wrong: str) -> None:
    with pytest.raises(AssertionError, match=wrong.partition(":")[0]):
        async with jira_with_fake(wrong):
            pass
