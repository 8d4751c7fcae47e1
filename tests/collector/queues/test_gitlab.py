"""What GitLab alone does; tests/collector/queues/test_tracker_contract.py has what all do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.markdown_markers import marker_in, with_marker
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker_http import GoneError
from forewarn_collector.tasks import DeliveryAction
from support.alerts import DAY, T0
from support.deliveries import OPEN, OPEN_ID, TASK
from support.trackers.faults import WRITES, Fault, When
from support.trackers.gitlab import PROJECT, FakeGitlab, Project, gitlab_with_fake
from support.trackers.stage import Stage

MARKER = marker_of(OPEN_ID)
MARKED = f"text\n\n<!-- {MARKER} -->\n"
RAISED = replace(
    OPEN, id="5" * 8, action=DeliveryAction.UPDATE, reason="severity", text="Severity rose."
)


@pytest_asyncio.fixture
async def gitlab() -> AsyncIterator[tuple[Stage, FakeGitlab]]:
    more = "priority: {high: 'P:2', critical: 'P:1'}\nassignee: {alice: ann, carol: nobody-here}"
    async with gitlab_with_fake(more) as found:
        yield found


async def opened(stage: Stage) -> str:
    ref = await stage.queue.deliver(OPEN)
    assert ref is not None
    return ref


async def test_an_issue_behind_many_is_found_and_older_ones_are_not_read(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    for number in range(60):
        fake.add(fake.project, MARKED, T0 - 3 * DAY + number * 1000)
    for number in range(120):
        fake.add(fake.project, MARKED if number in (70, 110) else "text", T0 + number * 1000)
    found = await stage.tracker.find(MARKER, PROJECT, T0)
    assert found is not None
    assert found.ref == f"{PROJECT}#131"
    # The project, 120 in pages of 50, and what was found.
    assert len(stage.faults.requests) == 1 + 3 + 1


async def test_no_text_of_an_alert_is_carried_out_as_a_quick_action(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    evidence = [{**TASK.evidence[0], "events": []}]
    evidence[0]["events"] = [
        {"time": T0, "type": "log", "severity": "error", "labels": {}, "body": body}
        for body in ("```\n/close", "/close", "\n/close\n")
    ]
    task = replace(TASK, description="It says\n/close\n/CLOSE", evidence=tuple(evidence))
    ref = await stage.queue.deliver(replace(OPEN, task=task))
    remark = replace(RAISED, external_ref=ref, text="/close", task=task)
    await stage.queue.deliver(remark)
    issue = fake.project.issues[1]
    assert issue.state == "opened"
    assert "/close" in issue.description
    assert "/close" in issue.notes[-1]["body"]


async def test_a_text_that_was_cut_in_a_block_of_code_still_hides_its_marker(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    text = with_marker("````\nlog\n```\n" + "x" * 50, MARKER)
    assert text.splitlines()[-3:] == ["````", "", f"<!-- {MARKER} -->"]
    assert marker_in(text) == MARKER
    closed = with_marker("```\nlog\n```\n", MARKER)
    assert closed.count("```") == 2


async def test_the_plot_is_shown_in_the_description_once_and_before_the_marker(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    await opened(stage)
    stage.faults.plan(Fault(status=502, when=When.AFTER, methods=frozenset({"PUT"})))
    again = replace(OPEN, id="6" * 8, thread_id="6" * 8)
    with pytest.raises(DeliveryError):
        await stage.queue.deliver(again)
    await stage.queue.deliver(replace(again, attempt=2))
    for issue in fake.project.issues.values():
        assert issue.description.count("![FW-17-r1.svg](/uploads/") == 1
        assert issue.description.index("![FW") < issue.description.index("<!-- forewarn-")
        assert marker_in(issue.description)
    [name, content] = fake.uploads[0]
    assert name == "FW-17-r1.svg"
    assert content.startswith(b"<svg")


async def test_a_moved_issue_is_followed(gitlab: tuple[Stage, FakeGitlab]) -> None:
    stage, fake = gitlab
    ref = await opened(stage)
    web = Project(id=82, path="acme/web")
    fake.projects.append(web)
    moved = fake.add(web, fake.project.issues[1].description, T0)
    fake.project.issues[1].moved_to_id = moved.id
    fake.project.issues[1].state = "closed"
    read = await stage.tracker.read(ref)
    assert read is not None
    assert read.ref == "acme/web#1"
    await stage.queue.deliver(replace(RAISED, external_ref=ref))
    assert len(moved.notes) == 1


async def test_a_move_that_gitlab_does_not_tell_is_asked_again_and_one_out_of_sight_is_gone(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    ref = await opened(stage)
    fake.project.issues[1].moved_to_id = 777
    assert await stage.tracker.read(ref) is None
    fake.graphql_errors = True
    with pytest.raises(DeliveryError, match="moved") as caught:
        await stage.tracker.read(ref)
    assert not isinstance(caught.value, GoneError)
    assert not caught.value.permanent


async def test_a_renamed_project_takes_issues_and_remarks_under_either_name(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    fake.project.path = "acme/operations"
    fake.renamed[PROJECT] = "acme/operations"
    assert await opened(stage) == "acme/operations#1"
    await stage.queue.deliver(replace(RAISED, external_ref=f"{PROJECT}#1"))
    assert len(fake.project.issues[1].notes) == 1
    assert await stage.tracker.changed(0, [f"{PROJECT}#1"]) == [f"{PROJECT}#1"]


async def test_what_gitlab_itself_notes_is_no_remark(gitlab: tuple[Stage, FakeGitlab]) -> None:
    stage, fake = gitlab
    ref = await opened(stage)
    fake.say(fake.project.issues[1], "ann", "assigned to @bob", system=True)
    fake.say(fake.project.issues[1], "ann", "I look.")
    assert [each.text for each in await stage.tracker.comments(ref)] == ["I look."]


async def test_only_the_newest_thousand_remarks_are_read_the_oldest_first(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    ref = await opened(stage)
    for number in range(1, 1_121):
        fake.say(fake.project.issues[1], "ann", f"remark {number}", system=number % 10 == 0)
    found = await stage.tracker.comments(ref)
    # 1,008 by people; the first 8 of them end with remark 8.
    assert [found[0].text, found[-1].text, len(found)] == ["remark 9", "remark 1119", 1_000]


async def test_labels_due_day_and_assignee_follow_the_task(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    task = replace(TASK, assignee="alice", due_at=1_700_092_800_000)  # 2023-11-16 00:00 UTC
    ref = await stage.queue.deliver(replace(OPEN, task=task))
    issue = fake.project.issues[1]
    assert issue.labels == ["forewarn", "severity:high", "customer:acme", "P:2"]
    assert (issue.assignees, issue.due_date) == (["ann"], "2023-11-16")
    issue.labels.append("mine")
    worse = replace(task, severity="critical", due_at=task.opened_at)  # 2023-11-14 22:13:20 UTC
    await stage.queue.deliver(replace(RAISED, external_ref=ref, task=worse))
    assert sorted(issue.labels) == [
        *("P:1", "customer:acme", "forewarn", "mine", "severity:critical")
    ]
    assert issue.due_date == "2023-11-14"


async def test_a_user_that_gitlab_does_not_know_costs_no_ticket(
    gitlab: tuple[Stage, FakeGitlab], caplog: pytest.LogCaptureFixture
) -> None:
    stage, fake = gitlab
    await stage.queue.deliver(replace(OPEN, task=replace(TASK, assignee="carol")))
    assert fake.project.issues[1].assignees == []
    assert "nobody-here" in caplog.text


async def test_a_label_with_a_comma_is_one_label(gitlab: tuple[Stage, FakeGitlab]) -> None:
    stage, fake = gitlab
    await stage.queue.deliver(replace(OPEN, task=replace(TASK, customer="a,b")))
    assert "customer:a b" in fake.project.issues[1].labels


async def test_confidential_issues_and_further_fields() -> None:
    async with gitlab_with_fake("confidential: true\nfields: {weight: 3}") as (stage, fake):
        await stage.queue.deliver(OPEN)
        assert fake.project.issues[1].confidential
        assert fake.created_body["weight"] == 3


async def test_a_scope_that_the_token_lacks_holds_the_queue_and_is_named(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    fake.scopes = ["read_api"]
    with pytest.raises(DeliveryError, match="give the token the scope api") as caught:
        await stage.queue.deliver(OPEN)
    assert caught.value.whole_queue
    assert not caught.value.permanent
    with pytest.raises(DeliveryError, match="token of forewarn-bot has not the scope api"):
        await stage.tracker.check(PROJECT)


async def test_the_check_says_how_long_the_token_lives_and_what_is_wrong(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    said = await stage.tracker.check(PROJECT)
    assert "forewarn-bot" in said
    assert "until 2027-01-31" in said
    fake.scopes = None
    assert "until" not in await stage.tracker.check(PROJECT)
    fake.project.access_level = 10
    with pytest.raises(DeliveryError, match="role Reporter"):
        await stage.tracker.check(PROJECT)
    fake.project.issues_access_level = "disabled"
    with pytest.raises(DeliveryError, match="turn them on"):
        await stage.tracker.check(PROJECT)
    fake.project.archived = True
    with pytest.raises(DeliveryError, match="archived"):
        await stage.tracker.check(PROJECT)


async def test_an_archived_project_holds_the_queue_and_the_hint_says_so(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, fake = gitlab
    fake.project.archived = True
    with pytest.raises(DeliveryError, match="archived") as caught:
        await stage.queue.deliver(OPEN)
    assert caught.value.whole_queue


async def test_a_project_that_is_none_is_refused_before_any_request(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, _ = gitlab
    with pytest.raises(DeliveryError, match="group/name"):
        await stage.tracker.find(MARKER, "ops", T0)
    assert stage.faults.requests == []


async def test_the_page_of_an_issue_is_under_the_server_s_address(
    gitlab: tuple[Stage, FakeGitlab],
) -> None:
    stage, _ = gitlab
    link = stage.tracker.link(f"{PROJECT}#7")
    assert link == f"{stage.faults.url}/{PROJECT}/-/issues/7"


async def test_a_change_of_nothing_writes_nothing(gitlab: tuple[Stage, FakeGitlab]) -> None:
    stage, _ = gitlab
    ref = await opened(stage)
    before = len([each for each in stage.faults.requests if each[0] in WRITES])
    fields = stage.queue.settings.fields(TASK, 100)
    await stage.tracker.change(ref, fields, ("assignee",))
    assert len([each for each in stage.faults.requests if each[0] in WRITES]) == before
