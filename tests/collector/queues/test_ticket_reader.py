"""What people do to tickets is done to tasks, once, and what we did ourselves is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.tasks import AuditLog, CloseReason, TaskState
from forewarn_collector.tasks.schema_escalations import escalations
from forewarn_collector.tasks.tickets import LEASE
from support.alerts import DAY, HOUR, MINUTE
from support.two_ways import TwoWays

PEOPLE = "assignee: {alice: alice-acme, bob: bob-acme}"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[TwoWays]:
    two = TwoWays(tmp_path, PEOPLE)
    yield two
    two.close()


async def test_a_ticket_is_known_from_its_first_delivery_on(two: TwoWays) -> None:
    two.fires()
    await two.deliver()
    [ticket] = two.task().tickets
    assert ticket.to_json() == {
        "queue": "support",
        "ref": "1",
        "url": "http://model.example/1",
        "state": "new",
        "assignee": "",
    }


async def test_a_remark_by_a_person_is_in_the_timeline_once_and_ours_is_not(two: TwoWays) -> None:
    ticket = await two.opened()
    two.commands.comment("FW-1", "carl", "what of the logs?", two.later())
    await two.deliver()
    two.model.comment(ticket.ref, " The disk is old. ", who="alice-acme")
    two.model.comment(ticket.ref, "So it is.", who="zoe")
    for _ in range(3):
        await two.read()
    said = [(who, text) for kind, who, text in two.entries() if kind == "comment"]
    assert said == [
        ("carl", "what of the logs?"),
        ("alice (support)", "The disk is old."),
        ("zoe (support)", "So it is."),
    ]
    # Nothing goes back to where it came from.
    assert two.owed() == {"support": 0}
    audited = AuditLog(two.desk.ledger).list(of="FW-1", who="zoe (support)")
    assert [(entry.action, entry.role) for entry in audited] == [("comment", "queue")]


async def test_what_is_said_in_one_queue_is_told_to_the_others(two: TwoWays) -> None:
    ticket = await two.opened()
    with two.desk.ledger.write() as connection:
        row = {"task_id": 1, "episode": 0, "done": [], "queues": ["chat"], "paused_for": 0}
        connection.execute(escalations.insert().values(**row))
    two.model.comment(ticket.ref, "On it.", who="bob-acme")
    two.model.resolve(ticket.ref, "fixed", who="bob-acme")
    await two.read()
    owed = two.outbox.statuses()
    told = [(each.queue, each.action.value) for each in owed if each.state.value == "owed"]
    # The newest first: what the ticket's own queue hears is that the problem goes on.
    assert told == [("support", "update"), ("chat", "resolve"), ("chat", "update")]


async def test_who_has_the_ticket_has_the_task(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.assign(ticket.ref, "bob-acme", "alice-acme")
    await two.read()
    assert two.task().assignee == "bob"
    assert ("assigned", "alice (support)", "alice (support) gave it to bob.") in two.entries()
    two.model.assign(ticket.ref, "", "bob-acme")
    await two.read()
    assert two.task().assignee == ""


async def test_an_assignee_that_we_set_ourselves_is_no_news(two: TwoWays) -> None:
    ticket = await two.opened()
    two.commands.assign("FW-1", "carl", "alice", two.later())
    await two.deliver()
    assert ticket.assignee == "alice-acme"
    before = len(two.entries())
    await two.read()
    assert len(two.entries()) == before


async def test_a_default_assignee_is_nobodys_doing(tmp_path: Path) -> None:
    two = TwoWays(tmp_path, "default_assignee: lead")
    ticket = await two.opened()
    assert ticket.assignee == "lead"
    assert two.task().assignee == ""
    two.close()


async def test_work_on_the_ticket_is_work_on_the_task(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.set_state(ticket.ref, TicketState.IN_PROGRESS, "alice-acme")
    await two.read()
    task = two.task()
    assert (task.state, task.acknowledged_by) == (TaskState.IN_PROGRESS, "alice (support)")
    # The ticket is nobody's, and so is the task.
    assert task.assignee == ""


async def test_a_ticket_that_waits_has_its_task_wait_for_a_week_at_most(two: TwoWays) -> None:
    # Without a severity a task is due in 14 days.
    ticket = await two.opened()
    two.model.set_state(ticket.ref, TicketState.WAITING, "alice-acme")
    await two.read()
    assert two.task().state is TaskState.WAITING
    assert two.task().waiting_until == two.desk.clock.now + 7 * DAY
    two.model.set_state(ticket.ref, TicketState.NEW, "alice-acme")
    await two.read()
    assert two.task().state is TaskState.OPEN
    assert two.entries()[-1] == (
        "wait_over",
        "alice (support)",
        "alice (support) has it wait no longer.",
    )


async def test_a_task_waits_no_longer_than_until_it_is_due(two: TwoWays) -> None:
    ticket = await two.opened()
    due = two.task().due_at
    assert due is not None
    two.later(due - two.desk.clock.now - HOUR)
    two.model.set_state(ticket.ref, TicketState.WAITING, "alice-acme")
    await two.read()
    assert two.task().waiting_until == due


@pytest.mark.parametrize(
    ("outcome", "state", "reason"),
    [
        (Outcome.FIXED, TaskState.RESOLVED, ""),
        (Outcome.WONT_FIX, TaskState.CLOSED, CloseReason.WONT_FIX),
        (Outcome.NO_ACTION, TaskState.CLOSED, CloseReason.NO_ACTION),
        (Outcome.DUPLICATE, TaskState.CLOSED, CloseReason.NO_ACTION),
    ],
)
async def test_a_closed_ticket_ends_its_task(
    two: TwoWays, outcome: Outcome, state: TaskState, reason: str
) -> None:
    ticket = await two.opened()
    two.model.resolve(ticket.ref, outcome.value, who="alice-acme")
    await two.read()
    task = two.task()
    assert (task.state, task.close_reason) == (state, reason)
    assert task.resolved_by == "alice (support)"
    assert (task.mute_for is not None) == (outcome is Outcome.WONT_FIX)


async def test_a_ticket_closed_too_early_is_told_so_once_and_stays_closed(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.resolve(ticket.ref, "fixed", who="alice-acme")
    for _ in range(4):
        await two.read()
        await two.deliver()
        # It fires on; that reopens nothing.
        two.fires()
        await two.deliver()
    [remark] = ticket.comments
    assert remark["text"].strip() == (
        'FW-1 update: The problem still holds: {instance="a"}. Forewarn opens it again only after'
        " it has ended and come back."
    )
    assert (ticket.state, two.task().state) == ("closed", TaskState.RESOLVED)
    # It ends and comes back: as before, the same task and the same ticket.
    two.ends()
    two.fires()
    await two.deliver()
    await two.read()
    assert (ticket.state, two.task().state) == ("new", TaskState.OPEN)
    # And closed again, it is told again.
    two.model.resolve(ticket.ref, "fixed", who="alice-acme")
    await two.read()
    await two.deliver()
    assert sum("still holds" in each["text"] for each in ticket.comments) == 2


async def test_a_ticket_closed_when_the_problem_is_over_is_told_nothing(two: TwoWays) -> None:
    ticket = await two.opened()
    two.ends()
    await two.deliver()
    said = len(ticket.comments)
    two.model.resolve(ticket.ref, "fixed", who="alice-acme")
    await two.read()
    await two.deliver()
    assert (len(ticket.comments), ticket.state) == (said, "closed")


async def test_a_ticket_left_open_when_its_task_ends_by_itself_reopens_nothing(
    two: TwoWays,
) -> None:
    ticket = await two.opened()
    two.ends()
    await two.deliver()
    for _ in range(3):
        await two.read()
    assert (ticket.state, two.task().state) == ("new", TaskState.RESOLVED)


async def test_our_own_close_and_reopen_are_nobodys_doing(tmp_path: Path) -> None:
    two = TwoWays(tmp_path, "on_resolve: close")
    ticket = await two.opened()
    for _ in range(2):
        two.ends()
        await two.deliver()
        assert ticket.state == "closed"
        await two.read()
        two.fires()
        await two.deliver()
        assert ticket.state == "new"
        await two.read()
    assert {who for _, who, _ in two.entries()} == {""}
    two.close()


async def test_a_ticket_opened_again_by_a_person_brings_its_task_back(tmp_path: Path) -> None:
    two = TwoWays(tmp_path, "on_resolve: close")
    ticket = await two.opened()
    two.ends()
    await two.deliver()
    # Before anything was read after our close.
    two.model.reopen(ticket.ref, who="alice")
    await two.read()
    assert two.task().state is TaskState.OPEN
    assert two.entries()[-1] == ("reopened", "alice (support)", "Reopened by alice (support).")
    assert await two.deliver() == 0
    two.close()


async def test_a_ticket_of_which_there_is_a_newer_task_is_told_so_once(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.resolve(ticket.ref, "no_action", who="alice-acme")
    await two.read()
    two.ends()
    two.fires()
    await two.deliver()
    assert two.task("FW-2").state is TaskState.OPEN
    said = len(ticket.comments)
    two.model.reopen(ticket.ref, who="bob-acme")
    for _ in range(3):
        await two.read()
        await two.deliver()
    assert two.task("FW-1").state is TaskState.CLOSED
    [remark] = ticket.comments[said:]
    assert (
        remark["text"].strip()
        == "FW-1 update: FW-1 stays closed: FW-2 stands for the same problem."
    )


async def test_nothing_is_read_while_a_delivery_is_owed(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.comment(ticket.ref, "hm", who="zoe")
    two.commands.comment("FW-1", "carl", "x", two.later())
    two.model.calls.clear()
    await two.read()
    assert set(two.model.calls) == {"changed"}
    await two.deliver()
    await two.reader.step()
    assert two.entries()[-1] == ("comment", "zoe (support)", "hm")


@pytest.mark.parametrize("done", [False, True])
async def test_what_was_seen_before_a_delivery_counts_for_nothing(two: TwoWays, done: bool) -> None:
    ticket = await two.opened()
    two.model.resolve(ticket.ref, "fixed", who="alice-acme")
    two.later(MINUTE)
    poll = two.tickets.begin_poll("support", 1, two.desk.clock.now)
    assert poll is not None
    two.tickets.polled("support", poll, ["1"], two.desk.clock.now)
    [reading] = two.tickets.claim_due("support", two.later(), 9)
    seen = await two.reader._see(reading)
    # Meanwhile it ends, comes back, and the ticket is opened again.
    two.ends()
    two.fires()
    if done:
        await two.deliver()
    assert not two.tickets.apply(reading, seen, two.later())
    assert two.task().state is TaskState.OPEN
    await two.deliver()
    await two.read()
    assert (ticket.state, two.task().state) == ("new", TaskState.OPEN)


async def test_of_two_readers_one_reads_and_the_other_goes_on_when_it_died(
    tmp_path: Path,
) -> None:
    one = TwoWays(tmp_path, member="one")
    ticket = await one.opened()
    two = TwoWays(tmp_path, member="two", model=one.model)
    two.desk.clock = one.desk.clock
    one.model.resolve(ticket.ref, "fixed", who="zoe")
    one.later(MINUTE)
    poll = one.tickets.begin_poll("support", MINUTE, one.desk.clock.now)
    assert poll is not None
    assert two.tickets.begin_poll("support", MINUTE, one.desk.clock.now + 1) is None
    one.tickets.polled("support", poll, [ticket.ref], one.desk.clock.now)
    [mine] = one.tickets.claim_due("support", one.later(), 9)
    assert two.tickets.claim_due("support", one.later(), 9) == []
    two.tickets.recover("support")
    assert two.tickets.claim_due("support", one.later(), 9) == []
    one.later(LEASE)
    [its] = two.tickets.claim_due("support", one.desk.clock.now, 9)
    seen = await two.reader._see(its)
    assert not one.tickets.apply(mine, seen, one.later())
    assert two.tickets.apply(its, seen, one.later())
    assert one.task().state is TaskState.RESOLVED
    one.close()
    two.close()


async def test_who_asks_while_a_ticket_is_read_has_it_read_again(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.comment(ticket.ref, "one", who="zoe")
    two.later(MINUTE)
    now = two.desk.clock.now

    def mark() -> None:
        poll = two.tickets.begin_poll("support", 1, now)
        assert poll is not None
        two.tickets.polled("support", poll, [ticket.ref], now)

    mark()
    [reading] = two.tickets.claim_due("support", now, 9)
    seen = await two.reader._see(reading)
    now = two.later()
    mark()
    assert two.tickets.apply(reading, seen, now)
    assert two.tickets.next_due("support") is not None
    assert [each.ref for each in two.tickets.claim_due("support", now, 9)] == [ticket.ref]


async def test_a_ticket_that_is_gone_is_said_to_be_once_and_not_made_again(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.delete(ticket.ref)
    # No list of changes has it.
    two.later(6 * HOUR)
    for _ in range(3):
        await two.read()
    said = [text for kind, _, text in two.entries() if kind == "ticket"]
    assert said == ["Its ticket 1 is gone from support; none is made in its place."]
    assert two.task().state is TaskState.OPEN
    assert [each.to_json()["state"] for each in two.task().tickets] == ["gone"]
    two.ends()
    await two.deliver()
    assert two.model.tickets == {}


async def test_a_token_that_lost_the_project_makes_no_ticket_gone(
    two: TwoWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await two.opened()

    async def check(project: str) -> str:
        raise DeliveryError(f"no project {project}", permanent=False, whole_queue=True)

    monkeypatch.setattr(two.queue.tracker, "check", check)
    two.model.delete(ticket.ref)
    two.later(6 * HOUR)
    await two.read()
    assert two.reader.pause is not None
    assert two.reader.pause.why == "no project ops"
    assert two.task().tickets[0].gone_at is None


async def test_a_ticket_that_was_moved_is_followed(two: TwoWays) -> None:
    ticket = await two.opened()
    two.model.move(ticket.ref, "ops-9")
    two.later(6 * HOUR)
    await two.read()
    assert two.entries()[-1][2] == "Its ticket 1 in support is ops-9 now."
    two.commands.comment("FW-1", "carl", "still there?", two.later())
    await two.deliver()
    assert two.model.by_us()[-1] == ("comment", "ops-9")


async def test_a_tracker_that_is_down_is_left_alone_for_longer_and_longer(
    two: TwoWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await two.opened()
    asked = 0

    async def down(since: int, refs: object) -> list[str]:
        nonlocal asked
        asked += 1
        raise DeliveryError("no connection", permanent=False, whole_queue=True)

    monkeypatch.setattr(two.queue.tracker, "changed", down)
    for _ in range(120):
        two.later(10_000)
        await two.reader.step()
    assert asked <= 21
    assert two.reader.counts.errors == asked
    monkeypatch.undo()
    two.model.comment(ticket.ref, "back", who="zoe")
    two.later(2 * MINUTE)
    await two.reader.step()
    assert two.reader.pause is None
    assert two.entries()[-1][2] == "back"


async def test_a_fault_of_ours_in_a_tracker_is_an_error_and_no_end(
    two: TwoWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await two.opened()
    two.model.comment(ticket.ref, "x", who="zoe")

    async def broken(ref: str) -> None:
        raise KeyError("state")

    monkeypatch.setattr(two.queue.tracker, "read", broken)
    await two.read()
    assert two.reader.counts.errors == 1
    monkeypatch.undo()
    two.later(MINUTE)
    await two.reader.step()
    assert two.entries()[-1][2] == "x"


async def test_more_changes_than_a_list_holds_have_all_tickets_read(
    two: TwoWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = await two.opened()
    two.model.comment(ticket.ref, "x", who="zoe")

    async def many(since: int, refs: object) -> list[str]:
        return [f"other-{number}" for number in range(1_000)]

    monkeypatch.setattr(two.queue.tracker, "changed", many)
    await two.read()
    assert two.entries()[-1][2] == "x"


async def test_a_call_of_the_tracker_has_it_asked_at_once_but_not_all_the_time(
    two: TwoWays,
) -> None:
    await two.opened()
    two.model.calls.clear()
    for _ in range(20):
        two.reader.look_now()
        two.later(1_000)
        await two.reader.step()
    # Once every five seconds.
    assert two.model.calls.count("changed") in {3, 4}


async def test_an_older_task_that_came_back_takes_what_fires_after_the_newer_is_over(
    two: TwoWays,
) -> None:
    ticket = await two.opened()
    two.model.resolve(ticket.ref, "no_action", who="zoe")
    await two.read()
    two.ends()
    newer = await two.opened()
    assert two.task("FW-2").state is TaskState.OPEN
    two.model.resolve(newer.ref, "no_action", who="zoe")
    await two.read()
    two.ends()
    two.model.reopen(ticket.ref, who="zoe")
    await two.read()
    two.fires()
    await two.deliver()
    assert [two.task(f"FW-{n}").state.stands for n in (1, 2)] == [True, False]
    assert len(two.model.tickets) == 2


async def test_who_gets_a_ticket_while_its_task_is_over_has_it_when_it_is_back(
    two: TwoWays,
) -> None:
    ticket = await two.opened()
    two.ends()
    await two.deliver()
    two.model.assign(ticket.ref, "bob-acme", "zoe")
    await two.read()
    assert two.task().assignee == ""
    two.fires()
    await two.deliver()
    await two.read()
    assert two.task().assignee == "bob"
