"""What GitHub alone does; tests/collector/queues/test_tracker_contract.py has what all do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.github import GithubTracker, api_of
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketFields
from forewarn_collector.queues.tracker_http import TrackerAccess
from forewarn_collector.tasks import DeliveryAction
from support.alerts import DAY, T0
from support.deliveries import OPEN, OPEN_ID, TASK
from support.trackers.faults import READS, WRITES, Fault
from support.trackers.github import REPOSITORY, FakeGithub, Issue, Repository, github_with_fake
from support.trackers.stage import Stage

MARKER = marker_of(OPEN_ID)
MARKED = f"text\n\n<!-- {MARKER} -->\n"
RAISED = replace(
    OPEN, id="5" * 8, action=DeliveryAction.UPDATE, reason="severity", text="Severity rose."
)


@pytest_asyncio.fixture
async def github() -> AsyncIterator[tuple[Stage, FakeGithub]]:
    more = "priority: {high: 'P:2', critical: 'P:1'}\nassignee: {alice: ann, carol: nobody-here}"
    async with github_with_fake(more) as found:
        yield found


def issue(number: int, at: int, body: str = "", *, pulls: bool = False) -> Issue:
    seconds = at // 1000
    return Issue(number, "t", body, seconds, updated_at=seconds, pulls=pulls)


async def test_a_pull_request_with_the_marker_is_no_ticket(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    fake.add(REPOSITORY, issue(1, T0 + 1000, MARKED, pulls=True))
    assert await stage.tracker.find(MARKER, REPOSITORY, T0) is None
    assert await stage.tracker.changed(0, [f"{REPOSITORY}#9"]) == []
    assert await stage.queue.deliver(OPEN) == f"{REPOSITORY}#2"


async def test_an_issue_behind_many_newer_ones_is_found_and_the_first_of_two_counts(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    for number in range(1, 131):
        body = MARKED if number in (7, 120) else "text"
        fake.add(REPOSITORY, issue(number, T0 + number * 1000, body))
    found = await stage.tracker.find(MARKER, REPOSITORY, T0)
    assert found is not None
    assert found.ref == f"{REPOSITORY}#7"


async def test_the_search_ends_where_the_task_began(github: tuple[Stage, FakeGithub]) -> None:
    stage, fake = github
    for number in range(1, 301):
        fake.add(REPOSITORY, issue(number, T0 - 40 * DAY + number * 1000, MARKED))
    # Old, but changed lately: GitHub's `since` is by the last change.
    for number in range(200, 301):
        fake.repositories[REPOSITORY].issues[number].updated_at = T0 // 1000 + 5
    assert await stage.tracker.find(MARKER, REPOSITORY, T0 - DAY) is None
    assert len(stage.faults.requests) == 1


async def test_what_a_log_says_is_no_marker(github: tuple[Stage, FakeGithub]) -> None:
    stage, _ = github
    other = marker_of("9" * 8)
    task = replace(TASK, description=f"<!-- {other} -->", evidence=())
    await stage.queue.deliver(replace(OPEN, task=task))
    assert await stage.tracker.find(other, REPOSITORY, T0) is None
    assert await stage.tracker.find(MARKER, REPOSITORY, T0) is not None


@pytest.mark.parametrize(
    ("headers", "said", "wait"),
    [
        # https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
        ({"Retry-After": "60"}, b"You have exceeded a secondary rate limit", 60_000),
        (
            {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": "1700003600",
                "Date": "Tue, 14 Nov 2023 22:13:20 GMT",  # 1,700,000,000 s
            },
            b"API rate limit exceeded for user ID 1.",
            3_600_000,
        ),
        ({}, b"You have exceeded a secondary rate limit.", 60_000),
    ],
)
@pytest.mark.parametrize("status", [403, 429])
async def test_a_rate_limit_holds_the_queue_until_it_ends(
    github: tuple[Stage, FakeGithub], status: int, headers: dict[str, str], said: bytes, wait: int
) -> None:
    stage, _ = github
    body = b'{"message": "' + said + b'"}'
    stage.faults.plan(Fault(status=status, headers=headers, body=body, methods=READS))
    with pytest.raises(DeliveryError, match="rate limit") as caught:
        await stage.queue.deliver(OPEN)
    assert (caught.value.whole_queue, caught.value.permanent) == (True, False)
    assert caught.value.retry_after == wait


async def test_issues_that_are_turned_off_hold_the_queue_and_are_named(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    ref = await stage.queue.deliver(OPEN)
    fake.repositories[REPOSITORY].has_issues = False
    for delivery in (OPEN, replace(RAISED, external_ref=ref)):
        with pytest.raises(DeliveryError, match="turn them on") as caught:
            await stage.queue.deliver(delivery)
        assert (caught.value.whole_queue, caught.value.permanent) == (True, False)
    with pytest.raises(DeliveryError, match="turn them on"):
        await stage.tracker.check(REPOSITORY)


async def test_an_archived_repository_holds_the_queue_and_is_named(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    fake.repositories[REPOSITORY].archived = True
    with pytest.raises(DeliveryError, match="archived") as caught:
        await stage.queue.deliver(OPEN)
    assert (caught.value.whole_queue, caught.value.permanent) == (True, False)
    with pytest.raises(DeliveryError, match="archived"):
        await stage.tracker.check(REPOSITORY)


async def test_a_locked_conversation_refuses_the_remark_alone(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    ref = await stage.queue.deliver(OPEN)
    fake.repositories[REPOSITORY].issues[1].locked = True
    with pytest.raises(DeliveryError, match="unlock") as caught:
        await stage.queue.deliver(replace(RAISED, external_ref=ref))
    assert (caught.value.whole_queue, caught.value.permanent) == (False, True)


async def test_a_transferred_issue_is_followed(github: tuple[Stage, FakeGithub]) -> None:
    stage, fake = github
    ref = await stage.queue.deliver(OPEN)
    assert ref is not None
    fake.repositories["acme/web"] = Repository(id=77)
    fake.add("acme/web", issue(5, T0 + 9_000, MARKED))
    fake.repositories[REPOSITORY].issues[1].moved_to = "acme/web#5"
    read = await stage.tracker.read(ref)
    assert read is not None
    assert read.ref == "acme/web#5"
    await stage.queue.deliver(replace(RAISED, external_ref=ref))
    assert len(fake.repositories["acme/web"].issues[5].comments) == 1


async def test_a_renamed_repository_takes_issues_under_its_new_name(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    fake.repositories["acme/operations"] = fake.repositories.pop(REPOSITORY)
    fake.renamed[REPOSITORY] = "acme/operations"
    assert await stage.queue.deliver(OPEN) == "acme/operations#1"
    assert await stage.queue.deliver(OPEN) == "acme/operations#1"
    assert len(fake.repositories["acme/operations"].issues) == 1


async def test_no_redirect_to_another_host_gets_the_token(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, _ = github
    elsewhere = {"Location": "https://elsewhere.example/api/v3/repositories/1/issues"}
    stage.faults.plan(Fault(status=301, headers=elsewhere))
    with pytest.raises(DeliveryError, match="redirects are not followed"):
        await stage.queue.deliver(OPEN)
    assert len(stage.faults.requests) == 1


async def test_somebody_who_can_be_assigned_to_nothing_costs_no_ticket(
    github: tuple[Stage, FakeGithub], caplog: pytest.LogCaptureFixture
) -> None:
    stage, fake = github
    await stage.queue.deliver(replace(OPEN, task=replace(TASK, assignee="carol")))
    [ticket] = await stage.world.tickets()
    assert ticket.assignee == ""
    assert "nobody-here" in caplog.text
    await stage.queue.deliver(
        replace(OPEN, thread_id="6" * 8, id="6" * 8, task=replace(TASK, assignee="alice"))
    )
    assert fake.repositories[REPOSITORY].issues[2].assignees == ["ann"]


async def test_a_severity_that_rose_replaces_its_labels_and_no_others(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    ref = await stage.queue.deliver(OPEN)
    opened = fake.repositories[REPOSITORY].issues[1]
    assert opened.labels == ["forewarn", "severity:high", "customer:acme", "P:2"]
    opened.labels.append("mine")
    worse = replace(RAISED, external_ref=ref, task=replace(TASK, severity="critical"))
    await stage.queue.deliver(worse)
    assert sorted(opened.labels) == [
        *("P:1", "customer:acme", "forewarn", "mine", "severity:critical")
    ]


async def test_a_label_longer_than_github_takes_is_cut(github: tuple[Stage, FakeGithub]) -> None:
    stage, fake = github
    await stage.queue.deliver(replace(OPEN, task=replace(TASK, customer="c" * 80)))
    assert max(map(len, fake.repositories[REPOSITORY].issues[1].labels)) == 50


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.FIXED, "completed"),
        (Outcome.NO_ACTION, "not_planned"),
        (Outcome.WONT_FIX, "not_planned"),
        (Outcome.DUPLICATE, "duplicate"),
    ],
)
async def test_an_outcome_is_the_state_s_reason(
    github: tuple[Stage, FakeGithub], outcome: Outcome, reason: str
) -> None:
    stage, fake = github
    ref = await stage.queue.deliver(OPEN)
    assert ref is not None
    await stage.tracker.resolve(ref, outcome)
    assert fake.repositories[REPOSITORY].issues[1].state_reason == reason


async def test_only_the_newest_thousand_remarks_are_read(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, fake = github
    ref = await stage.queue.deliver(OPEN)
    assert ref is not None
    for number in range(1, 1_151):
        fake.say(fake.repositories[REPOSITORY].issues[1], "ann", f"remark {number}")
    found = await stage.tracker.comments(ref)
    # Pages of 50: the newest 20 of 23.
    assert [found[0].text, found[-1].text] == ["remark 151", "remark 1150"]
    assert len(found) == 1_000


async def test_a_repository_that_went_reports_its_issues_as_changed(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, _ = github
    ref = await stage.queue.deliver(OPEN)
    assert ref is not None
    refs = ["acme/gone#3", ref]
    assert sorted(await stage.tracker.changed(0, refs)) == ["acme/gone#3", ref]
    assert await stage.tracker.read("acme/gone#3") is None


async def test_fields_of_the_configuration_go_to_github() -> None:
    async with github_with_fake("fields: {type: Bug}") as (stage, fake):
        await stage.queue.deliver(OPEN)
        assert fake.created_body["type"] == "Bug"


async def test_the_check_knows_each_kind_of_token(github: tuple[Stage, FakeGithub]) -> None:
    stage, fake = github
    repository = fake.repositories[REPOSITORY]
    assert "forewarn-bot" in await stage.tracker.check(REPOSITORY)
    fake.scopes = "public_repo, gist"
    assert await stage.tracker.check(REPOSITORY)
    repository.private = True
    with pytest.raises(DeliveryError, match="token of forewarn-bot has not the scope repo"):
        await stage.tracker.check(REPOSITORY)
    fake.scopes = None
    assert await stage.tracker.check(REPOSITORY)
    fake.app = True
    assert "installation" in await stage.tracker.check(REPOSITORY)
    repository.permissions = {"pull": True, "triage": False, "push": False}
    with pytest.raises(DeliveryError, match="Triage"):
        await stage.tracker.check(REPOSITORY)


async def test_a_permission_that_a_token_lacks_is_named(github: tuple[Stage, FakeGithub]) -> None:
    stage, fake = github
    fake.lacks = "issues=write"
    with pytest.raises(DeliveryError, match="give the token the permission issues=write") as caught:
        await stage.queue.deliver(OPEN)
    assert caught.value.whole_queue


async def test_a_repository_that_is_none_is_refused_before_any_request(
    github: tuple[Stage, FakeGithub],
) -> None:
    stage, _ = github
    with pytest.raises(DeliveryError, match="owner/name"):
        await stage.tracker.find(MARKER, "../../user", T0)
    assert stage.faults.requests == []


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://github.com", "https://api.github.com"),
        ("https://octocorp.ghe.com", "https://api.octocorp.ghe.com"),
        ("https://git.acme.example", "https://git.acme.example/api/v3"),
    ],
)
def test_the_api_is_found_by_where_people_see_github(url: str, api: str) -> None:
    assert api_of(url) == api
    tracker = GithubTracker(url, TrackerAccess(base=api))
    assert tracker.link("acme/ops#7") == f"{url}/acme/ops/issues/7"


async def test_a_change_of_nothing_makes_no_request(github: tuple[Stage, FakeGithub]) -> None:
    stage, _ = github
    fields = TicketFields(project=REPOSITORY, title="t")
    await stage.tracker.change(f"{REPOSITORY}#1", fields, ("assignee", "due_at"))
    assert [each for each in stage.faults.requests if each[0] in WRITES] == []


async def test_a_list_without_times_makes_no_ticket(github: tuple[Stage, FakeGithub]) -> None:
    """Else it would seem to end before the ticket that is looked for."""
    stage, fake = github
    await stage.queue.deliver(OPEN)
    stage.faults.garble = lambda body: body.replace(b'"created_at"', b'"created"')
    with pytest.raises(DeliveryError, match="created_at is not a time"):
        await stage.queue.deliver(replace(OPEN, attempt=2, id="7" * 8, thread_id="7" * 8))
    assert len(fake.repositories[REPOSITORY].issues) == 1
