"""What every tracker does alike: each against a fake that answers as documented, or a real one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from forewarn_collector.queues import TRACKERS, DeliveryError
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.queues.tracker_http import GoneError
from forewarn_collector.queues.trial import try_queue
from forewarn_collector.tasks import Delivery, DeliveryAction, TaskState
from support.deliveries import OPEN, OPEN_ID, RESOLVE, TASK
from support.trackers import STAGES
from support.trackers.faults import READS, WRITES, Fault, When
from support.trackers.stage import Stage

REMARK_ID = "33333333-3333-5333-8333-333333333333"
REOPEN_ID = "44444444-4444-5444-8444-444444444444"
REMARK = replace(
    OPEN,
    id=REMARK_ID,
    action=DeliveryAction.UPDATE,
    reason="comment",
    revision=2,
    text="ann: I look at it.",
    task=replace(TASK, evidence=()),
)
BY_PERSON = replace(
    RESOLVE,
    task=replace(RESOLVE.task, resolve_reason="person", resolved_by="ann"),
    text="Resolved by ann.",
)
STATUSES = (
    *(300, 301, 302, 303, 307, 308),
    *(400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417),
    *(418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451),
    *(500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511),
)


@pytest_asyncio.fixture(params=list(STAGES))
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with STAGES[request.param]() as found:
        yield found
        await found.queue.close()


async def opened(stage: Stage) -> str:
    ref = await stage.queue.deliver(OPEN)
    assert ref is not None
    return ref


def later(delivery: Delivery, ref: str | None, attempt: int = 1) -> Delivery:
    return replace(delivery, external_ref=ref, attempt=attempt)


async def attempts(
    stage: Stage, delivery: Delivery, most: int = 5, *, hasty: bool = False
) -> tuple[str | None, int]:
    """Deliver as the worker does, until it is taken; what it returned and how often it failed.

    A `hasty` first attempt does not wait long for an answer; those after it do, as a real tracker
    may be slow.
    """
    for attempt in range(1, most + 1):
        queue = stage.hasty if hasty and stage.hasty is not None and attempt == 1 else stage.queue
        try:
            return await queue.deliver(replace(delivery, attempt=attempt)), attempt - 1
        except DeliveryError as error:
            if error.permanent or stage.secret in str(error):
                raise
    raise AssertionError(f"not taken in {most} attempts")


def test_every_tracker_is_in_this_suite() -> None:
    staged = {name.removesuffix("-real").removesuffix("-server") for name in STAGES}
    assert {kind.kind for kind in TRACKERS} == staged


async def test_a_problem_becomes_one_ticket_that_says_what_and_where(stage: Stage) -> None:
    ref = await opened(stage)
    [ticket] = await stage.world.tickets()
    assert ticket.ref == ref
    assert "/ on a fills" in ticket.title
    for said in ("Half of it is gone", "Find what grew", "no space", "runbooks/disk", "FW-17"):
        assert said in ticket.body
    assert ticket.state is TicketState.NEW
    assert stage.tracker.link(ref).startswith("http")
    assert len(ticket.files) == (1 if stage.tracker.takes_files else 0)


async def test_the_same_delivery_again_makes_no_second_ticket(stage: Stage) -> None:
    first = await opened(stage)
    assert await stage.queue.deliver(replace(OPEN, attempt=2)) == first
    assert await stage.queue.deliver(OPEN) == first
    [ticket] = await stage.world.tickets()
    assert len(ticket.files) <= 1
    assert ticket.comments == ()


async def test_two_problems_are_two_tickets(stage: Stage) -> None:
    other = replace(OPEN, id=REMARK_ID, thread_id=REMARK_ID, task=replace(TASK, id=18))
    assert await opened(stage) != await stage.queue.deliver(other)
    assert len(await stage.world.tickets()) == 2


async def test_a_ticket_is_found_by_its_marker_and_by_no_other(stage: Stage) -> None:
    ref = await opened(stage)
    fields = stage.queue.settings.fields(TASK, 100)
    found = await stage.tracker.find(marker_of(OPEN_ID), fields.project, TASK.opened_at)
    assert found is not None
    assert found.ref == ref
    assert await stage.tracker.find(marker_of(REMARK_ID), fields.project, TASK.opened_at) is None


async def test_a_closed_ticket_is_found_too(stage: Stage) -> None:
    ref = await opened(stage)
    await stage.world.close(ref, stage.people[0], Outcome.FIXED)
    assert await stage.queue.deliver(replace(OPEN, attempt=2)) == ref
    assert len(await stage.world.tickets()) == 1


async def test_a_later_revision_is_a_remark_and_comes_once(stage: Stage) -> None:
    ref = await opened(stage)
    assert await stage.queue.deliver(later(REMARK, ref)) == ref
    await stage.queue.deliver(later(REMARK, ref, attempt=2))
    [ticket] = await stage.world.tickets()
    [said] = ticket.comments
    assert "I look at it" in said


async def test_a_revision_whose_ticket_was_never_made_makes_it(stage: Stage) -> None:
    assert await stage.queue.deliver(REMARK) is not None
    [ticket] = await stage.world.tickets()
    assert "I look at it" in ticket.body


async def test_an_end_whose_ticket_was_never_made_makes_none(stage: Stage) -> None:
    assert await stage.queue.deliver(later(RESOLVE, None)) is None
    assert await stage.world.tickets() == []


async def test_a_record_of_what_was_over_is_made_and_closed(stage: Stage) -> None:
    task = replace(RESOLVE.task, retrospective=True, resolve_reason="retrospective")
    await stage.queue.deliver(replace(RESOLVE, task=task, external_ref=None))
    [ticket] = await stage.world.tickets()
    assert ticket.state is TicketState.CLOSED


async def test_an_end_by_the_signal_is_a_remark_and_closes_where_that_is_wanted(
    stage: Stage,
) -> None:
    ref = await opened(stage)
    await stage.queue.deliver(later(RESOLVE, ref))
    [ticket] = await stage.world.tickets()
    assert ticket.state is not TicketState.CLOSED
    assert "The alert ended" in ticket.comments[-1]
    stage.queue.settings = replace(stage.queue.settings, closes_on_resolve=True)
    await stage.queue.deliver(later(RESOLVE, ref, attempt=2))
    [ticket] = await stage.world.tickets()
    assert ticket.state is TicketState.CLOSED
    assert len(ticket.comments) == 1


async def test_an_end_by_a_person_closes_and_a_reopening_opens_again(stage: Stage) -> None:
    ref = await opened(stage)
    await stage.queue.deliver(later(BY_PERSON, ref))
    assert [t.state for t in await stage.world.tickets()] == [TicketState.CLOSED]
    again = replace(
        OPEN, id=REOPEN_ID, action=DeliveryAction.REOPEN, text="It fires again.", revision=3
    )
    await stage.queue.deliver(later(again, ref))
    await stage.queue.deliver(later(again, ref, attempt=2))
    [ticket] = await stage.world.tickets()
    assert ticket.state is not TicketState.CLOSED
    assert len(ticket.comments) == 2
    assert "It fires again" in ticket.comments[-1]


async def test_a_wont_fix_closes_as_such_where_the_tracker_knows_that(stage: Stage) -> None:
    ref = await opened(stage)
    task = replace(BY_PERSON.task, state=TaskState.CLOSED, close_reason="wont_fix")
    await stage.queue.deliver(replace(later(BY_PERSON, ref), task=task))
    read = await stage.tracker.read(ref)
    assert read is not None
    assert read.state is TicketState.CLOSED
    if Outcome.WONT_FIX in stage.knows_outcomes:
        assert read.outcome is Outcome.WONT_FIX


async def test_closing_and_opening_twice_is_harmless(stage: Stage) -> None:
    ref = await opened(stage)
    for _ in range(2):
        await stage.tracker.resolve(ref, Outcome.FIXED)
    assert [t.state for t in await stage.world.tickets()] == [TicketState.CLOSED]
    for _ in range(2):
        await stage.tracker.reopen(ref)
    assert [t.state for t in await stage.world.tickets()] != [TicketState.CLOSED]


async def test_what_people_do_is_read_back(stage: Stage) -> None:
    ref = await opened(stage)
    await stage.queue.deliver(later(REMARK, ref))
    ann, bob = stage.people
    await stage.world.comment(ref, ann, "The old logs grew.")
    await stage.world.assign(ref, bob)
    read = await stage.tracker.read(ref)
    assert read is not None
    assert read.state is not TicketState.CLOSED
    assert read.assignee == bob
    ours, theirs = await stage.tracker.comments(ref)
    assert ours.marker == marker_of(REMARK_ID)
    assert (theirs.who, theirs.marker) == (ann, "")
    assert "The old logs grew." in theirs.text
    assert theirs.id != ours.id
    for outcome in sorted(stage.knows_outcomes):
        await stage.world.close(ref, ann, outcome)
        read = await stage.tracker.read(ref)
        assert read is not None
        assert (read.state, read.outcome) == (TicketState.CLOSED, outcome)
        await stage.world.reopen(ref, ann)
        read = await stage.tracker.read(ref)
        assert read is not None
        assert read.state is not TicketState.CLOSED


async def test_work_that_has_begun_is_read_back(stage: Stage) -> None:
    if not stage.knows_in_progress:
        pytest.skip("this tracker knows only open and closed")
    ref = await opened(stage)
    await stage.world.start(ref, stage.people[0])
    read = await stage.tracker.read(ref)
    assert read is not None
    assert read.state is TicketState.IN_PROGRESS


async def test_what_changed_is_listed(stage: Stage) -> None:
    ref = await opened(stage)
    other = replace(OPEN, id=REMARK_ID, thread_id=REMARK_ID, task=replace(TASK, id=18))
    await stage.queue.deliver(other)
    assert ref in await stage.tracker.changed(0, [ref])
    read = await stage.tracker.read(ref)
    assert read is not None
    assert ref in await stage.tracker.changed(read.changed_at, [ref])
    # A day after all that was done: clocks may differ, and some trackers know minutes only.
    assert await stage.tracker.changed(read.changed_at + 86_400_000, [ref]) == []
    assert await stage.tracker.changed(read.changed_at + 86_400_000, []) == []


async def test_a_ticket_that_is_gone_is_none_and_refuses_for_good(stage: Stage) -> None:
    if not stage.deletes:
        pytest.skip("this tracker deletes nothing")
    ref = await opened(stage)
    await stage.world.delete(ref)
    assert await stage.tracker.read(ref) is None
    with pytest.raises(DeliveryError, match="gone") as caught:
        await stage.queue.deliver(later(REMARK, ref))
    assert caught.value.permanent


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(when=when, skip=skip) for when in When for skip in range(4)),
        Fault(when=When.AFTER, hang=True),
    ],
    ids=lambda fault: f"{'timed out' if fault.hang else 'dropped'} {fault.when.value} {fault.skip}",
)
async def test_an_answer_that_is_lost_makes_no_second_ticket_or_remark(
    stage: Stage, fault: Fault
) -> None:
    """The answer of the first request that changes anything, of the second, and so on."""
    ref = None
    for delivery in (OPEN, REMARK, BY_PERSON):
        stage.faults.clear()
        if not fault.hang or delivery is OPEN:
            # Time-outs are waited for: one of them is enough.
            stage.faults.plan(replace(fault, methods=WRITES))
        ref, failures = await attempts(stage, later(delivery, ref), hasty=fault.hang)
        # Twice only where a real tracker was slow before the fault was met.
        assert failures <= 1 or (stage.real and failures == 2)
    [ticket] = await stage.world.tickets()
    assert len(ticket.comments) == 2
    assert ticket.state is TicketState.CLOSED
    assert len(ticket.files) <= 1


async def test_every_status_is_an_error_of_ours_and_no_ticket_is_doubled(stage: Stage) -> None:
    for status in STATUSES:
        stage.faults.always(Fault(status=status, body=b"no", headers={"Location": "/login"}))
        with pytest.raises(DeliveryError) as caught:
            await stage.queue.deliver(OPEN)
        error = caught.value
        assert stage.secret not in str(error)
        assert str(status) in str(error), status
        if status in {401, 403, 404, 410, 429} or 300 <= status < 400 or status >= 500:
            assert not error.permanent, status
    stage.faults.clear()
    await opened(stage)
    assert len(await stage.world.tickets()) == 1


async def test_a_status_after_the_commit_makes_no_second_ticket(stage: Stage) -> None:
    for number, status in enumerate((500, 502, 503, 504)):
        marker = f"{number}0000000-0000-5000-8000-000000000000"
        delivery = replace(OPEN, id=marker, thread_id=marker, task=replace(TASK, evidence=()))
        stage.faults.plan(Fault(status=status, when=When.AFTER, methods=WRITES))
        await attempts(stage, delivery)
        assert len(await stage.world.tickets()) == number + 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_revoked_token_holds_the_queue_and_loses_nothing(stage: Stage, status: int) -> None:
    stage.faults.always(Fault(status=status, body=b'{"message": "Bad credentials"}'))
    with pytest.raises(DeliveryError, match=r"token") as caught:
        await stage.queue.deliver(OPEN)
    assert (caught.value.permanent, caught.value.whole_queue) == (False, True)


async def test_a_rate_limit_holds_the_queue_as_long_as_asked(stage: Stage) -> None:
    limited = Fault(status=429, headers={"Retry-After": "3600"}, body=b"slow down")
    stage.faults.plan(limited)
    with pytest.raises(DeliveryError) as caught:
        await stage.queue.deliver(OPEN)
    assert caught.value.whole_queue
    assert caught.value.retry_after == 3_600_000


async def test_a_project_that_is_gone_holds_the_queue(stage: Stage) -> None:
    stage.faults.always(Fault(status=404, body=b'{"message": "Not Found"}'))
    with pytest.raises(DeliveryError, match=stage.tracker.project_setting) as caught:
        await stage.queue.deliver(OPEN)
    assert (caught.value.permanent, caught.value.whole_queue) == (False, True)


async def test_a_customer_without_a_project_holds_up_no_other(stage: Stage) -> None:
    stage.queue.settings = replace(stage.queue.settings, one_project=False)
    stage.faults.always(Fault(status=404, body=b'{"message": "Not Found"}'))
    with pytest.raises(DeliveryError) as caught:
        await stage.queue.deliver(OPEN)
    assert (caught.value.permanent, caught.value.whole_queue) == (False, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_a_page_for_signing_in_is_not_followed(
    stage: Stage, status: int
) -> None:
    stage.faults.always(Fault(status=status, headers={"Location": "/login?next=%2F"}))
    with pytest.raises(DeliveryError, match="redirects are not followed") as caught:
        await stage.queue.deliver(OPEN)
    assert caught.value.whole_queue
    assert all("/login" not in path for _, path in stage.faults.requests)


@pytest.mark.parametrize(
    "body", [b"<html>Sign in</html>", b'{"half":', b"[1, 2]", b'"text"', b"{}", b"null", b"[]"]
)
async def test_an_answer_that_makes_no_sense_is_tried_again(stage: Stage, body: bytes) -> None:
    stage.faults.plan(Fault(status=200, body=body, when=When.AFTER, methods=WRITES))
    await attempts(stage, replace(OPEN, task=replace(TASK, evidence=())))
    assert len(await stage.world.tickets()) == 1


async def test_a_search_that_makes_no_sense_makes_no_ticket(stage: Stage) -> None:
    for body in (b"<html>Sign in</html>", b'{"half":', b'"text"', b"7"):
        stage.faults.always(Fault(status=200, body=body, methods=READS | WRITES))
        with pytest.raises(DeliveryError) as caught:
            await stage.queue.deliver(OPEN)
        assert not caught.value.permanent
    stage.faults.clear()
    assert await stage.world.tickets() == []


async def test_an_error_inside_of_a_200_is_an_error(stage: Stage) -> None:
    if stage.error_inside is None:
        pytest.skip("this tracker says errors by the status")
    stage.faults.plan(Fault(status=200, body=stage.error_inside, methods=WRITES))
    with pytest.raises(DeliveryError):
        await stage.queue.deliver(OPEN)
    assert await stage.world.tickets() == []


async def test_a_field_that_is_missing_is_named_and_refused_for_good(stage: Stage) -> None:
    if stage.missing_field is None:
        pytest.skip("this tracker can demand no field")
    stage.missing_field()
    with pytest.raises(DeliveryError, match=r"(?i)fields") as caught:
        await stage.queue.deliver(OPEN)
    assert caught.value.permanent


async def test_a_transition_that_the_workflow_lacks_is_named_and_the_remark_stays(
    stage: Stage,
) -> None:
    if stage.no_way_to_close is None:
        pytest.skip("this tracker can always close")
    ref = await opened(stage)
    stage.no_way_to_close()
    with pytest.raises(DeliveryError, match=r"(?i)transition|status") as caught:
        await stage.queue.deliver(later(BY_PERSON, ref))
    assert caught.value.permanent
    [ticket] = await stage.world.tickets()
    assert len(ticket.comments) == 1


async def test_any_characters_and_any_length_are_taken(stage: Stage) -> None:
    wild = "\x00\x07 \ud800 \U0001f525 é ‮ {noformat} ``` <script>alert(1)</script> @ann #1 ||"
    task = replace(TASK, title=wild + "x" * 5_000, description=wild * 20_000)
    await stage.queue.deliver(replace(OPEN, task=task))
    [ticket] = await stage.world.tickets()
    assert len(ticket.title) <= stage.tracker.longest_title
    remark = replace(REMARK, text=f"ann: {wild}" + "y" * 200_000)
    await stage.queue.deliver(later(remark, ticket.ref))
    await stage.queue.deliver(later(remark, ticket.ref, attempt=2))
    [ticket] = await stage.world.tickets()
    assert len(ticket.comments) == 1
    # The markers stand, however long the text before them.
    assert await stage.queue.deliver(replace(OPEN, task=task, attempt=2)) == ticket.ref


async def test_the_check_says_whose_token_it_is_or_what_is_wrong(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    project = stage.queue.settings.fields(TASK, 100).project
    assert await stage.tracker.check(project)
    stage.faults.always(Fault(status=401, body=b'{"message": "Bad credentials"}'))
    with pytest.raises(DeliveryError, match="token"):
        await stage.tracker.check(project)
    stage.faults.clear()
    with pytest.raises(DeliveryError) as caught:
        await stage.tracker.check("no-such-project")
    assert "no-such-project" in str(caught.value) or isinstance(caught.value, GoneError)
    assert stage.secret not in caplog.text


async def test_a_trial_makes_a_ticket_finds_it_and_closes_it(stage: Stage) -> None:
    """What `forewarn queues test` does."""
    steps = [step async for step in try_queue("support", stage.queue, TASK.opened_at)]
    assert len(steps) == 4
    [ticket] = await stage.world.tickets()
    assert ticket.state is TicketState.CLOSED
    assert ticket.ref in steps[1].found
