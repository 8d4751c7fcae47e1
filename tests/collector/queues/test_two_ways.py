"""Whatever the order of steps: ticket and task agree in the end, nothing is doubled or lost.

Hypothesis chooses what alerts, people in the tracker, people here, the worker and the reader do,
where answers are lost and where the collector is killed. `FOREWARN_TWO_WAYS` is how many orders it
tries (else 15).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from forewarn_collector.queues import DeliveryError
from forewarn_collector.queues.ticket_queue import marker_of
from forewarn_collector.queues.tracker import Outcome, TicketState
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import RefusedError, TaskFilter, TimelineKind
from forewarn_collector.tasks.ticket_changes import NOT_REOPENED, Seen
from forewarn_collector.tasks.tickets import Reading
from support.alerts import MINUTE
from support.trackers.model import ModelTicket, in_process
from support.two_ways import TwoWays

HOSTS = st.sampled_from(["a", "b"])
WHO = st.sampled_from(["ann", "bob", ""])
PICK = st.integers(0, 5)
PEOPLE = "assignee: {ann: ann, bob: bob}"


class Killed(BaseException):
    """The collector is no more."""


class BothWays(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.said: list[tuple[str, str]] = []
        self.calls_left = -1
        self.lose = False
        self.held: tuple[Reading, Seen | None] | None = None

    @initialize(closes=st.booleans())
    def begin(self, closes: bool) -> None:
        self.closes = closes
        ends = "on_resolve: close" if closes else "on_resolve: comment"
        self.two = TwoWays(Path(self.folder.name), f"{PEOPLE}\n{ends}")
        self.two.desk.policy = replace(self.two.desk.policy, damping=None)
        self.two.desk.restart()
        ask = in_process(self.two.model)

        async def call(name: str, arguments: Mapping[str, Any]) -> Any:
            if self.calls_left == 0:
                raise Killed
            self.calls_left -= 1
            answer = await ask(name, arguments)
            if self.lose:
                self.lose = False
                raise DeliveryError("no answer", permanent=False)
            return answer

        self.two.use(call)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def some_ticket(self, pick: int) -> ModelTicket:
        tickets = list(self.two.model.tickets.values())
        return tickets[pick % len(tickets)]

    def has_tickets(self) -> bool:
        return bool(self.two.model.tickets)

    # Alerts.

    @rule(host=HOSTS)
    def an_alert_fires_or_ends(self, host: str) -> None:
        alert = self.two.alerts.get(host)
        fires = alert is not None and alert.state is AlertState.FIRING
        (self.two.ends if fires else self.two.fires)(host)

    # The collector.

    @rule()
    def the_worker_delivers(self) -> None:
        self.two.later(MINUTE)
        self.run(self.two.deliver())

    @rule()
    def an_answer_is_lost(self) -> None:
        self.lose = True
        self.two.later(MINUTE)
        self.run(self.two.deliver())
        self.lose = False

    @rule(calls=st.integers(0, 4))
    def the_collector_is_killed_while_it_delivers(self, calls: int) -> None:
        self.calls_left = calls
        self.two.later(MINUTE)
        try:
            self.run(self.two.deliver())
        except Killed:
            self._starts_again()
        self.calls_left = -1

    @rule(calls=st.integers(0, 3))
    def the_collector_is_killed_while_it_reads(self, calls: int) -> None:
        self.calls_left = calls
        try:
            self.run(self.two.read())
        except Killed:
            self._starts_again()
        self.calls_left = -1

    def _starts_again(self) -> None:
        self.held = None
        self.two.outbox.recover("support", self.two.later())
        self.two.tickets.recover("support")
        self.two.reader._polled_at = 0

    @rule()
    def the_reader_reads(self) -> None:
        self.run(self.two.read())

    @precondition(lambda self: self.held is None)
    @rule()
    def a_slow_reader_reads(self) -> None:
        now = self.two.later(MINUTE)
        poll = self.two.tickets.begin_poll("support", 1, now)
        assert poll is not None
        self.two.tickets.polled("support", poll, self.two.model.changed(poll.since), now)
        claimed = self.two.tickets.claim_due("support", now, 1)
        if claimed:
            self.held = claimed[0], self.run(self.two.reader._see(claimed[0]))

    @precondition(lambda self: self.held is not None)
    @rule()
    def the_slow_reader_applies(self) -> None:
        assert self.held is not None
        self.two.tickets.apply(*self.held, self.two.later())
        self.held = None

    # People in the tracker.

    @precondition(has_tickets)
    @rule(pick=PICK, who=WHO)
    def somebody_says_something(self, pick: int, who: str) -> None:
        ref = self.some_ticket(pick).ref
        self.said.append((ref, f"remark {len(self.said)}"))
        self.two.later()
        self.two.model.comment(ref, self.said[-1][1], who=who)

    @precondition(has_tickets)
    @rule(pick=PICK, outcome=st.sampled_from(Outcome), who=WHO)
    def somebody_closes_a_ticket(self, pick: int, outcome: Outcome, who: str) -> None:
        self.two.later()
        self.two.model.resolve(self.some_ticket(pick).ref, outcome.value, who=who)

    @precondition(has_tickets)
    @rule(pick=PICK, who=WHO)
    def somebody_opens_a_ticket_again(self, pick: int, who: str) -> None:
        self.two.later()
        self.two.model.reopen(self.some_ticket(pick).ref, who=who)

    @precondition(has_tickets)
    @rule(pick=PICK, assignee=WHO)
    def somebody_gives_a_ticket_to_somebody(self, pick: int, assignee: str) -> None:
        self.two.later()
        self.two.model.assign(self.some_ticket(pick).ref, assignee, "zoe")

    @precondition(has_tickets)
    @rule(
        pick=PICK,
        state=st.sampled_from([TicketState.NEW, TicketState.IN_PROGRESS, TicketState.WAITING]),
    )
    def somebody_moves_a_ticket(self, pick: int, state: TicketState) -> None:
        ticket = self.some_ticket(pick)
        if ticket.state != "closed":
            self.two.later()
            self.two.model.set_state(ticket.ref, state, "zoe")

    # People here.

    @rule(number=st.integers(1, 4), act=st.sampled_from(["comment", "assign", "resolve", "reopen"]))
    def somebody_gives_a_command(self, number: int, act: str) -> None:
        commands, at, name = self.two.commands, self.two.later(), f"FW-{number}"
        if self.two.queries.list(TaskFilter()).total < number:
            return
        try:
            match act:
                case "comment":
                    commands.comment(name, "carl", "hm", at)
                case "assign":
                    commands.assign(name, "carl", "bob", at)
                case "resolve":
                    commands.resolve(name, "carl", at)
                case "reopen":
                    commands.reopen(name, "carl", at)
        except RefusedError:
            return

    # The end.

    def teardown(self) -> None:
        try:
            if hasattr(self, "two"):
                self._check()
                self.two.close()
        finally:
            self.loop.close()
            self.folder.cleanup()

    def _check(self) -> None:
        self._starts_again()
        for _ in range(4):
            self.two.later(MINUTE)
            self.run(self.two.deliver())
            self.run(self.two.read())
        assert self.two.owed().get("support", 0) == 0
        # All is said: nobody writes any more.
        writes = len(self.two.model.writes)
        for _ in range(2):
            self.run(self.two.deliver())
            self.run(self.two.read())
        assert len(self.two.model.writes) == writes
        self._check_tickets()

    def _check_tickets(self) -> None:
        two = self.two
        found = two.queries.list(TaskFilter(), limit=999).tasks
        owed = two.outbox.statuses(limit=9_999)[::-1]
        by_us = Counter(two.model.by_us())
        assert all(each.state.value == "delivered" for each in owed)
        tickets = two.model.tickets
        assert len({ticket.marker for ticket in tickets.values()}) == len(tickets)
        for task in [two.queries.one(each.number) for each in found]:
            mine = [each for each in owed if each.number == task.number]
            if not task.tickets:
                # Over before its queue could take anything: nobody needs a ticket of it.
                assert not task.state.stands
                continue
            ticket = tickets[task.tickets[0].ref]
            remarks = Counter(c["marker"] for c in ticket.comments if c["marker"])
            assert set(remarks) <= {marker_of(each.id) for each in mine}
            assert not remarks or max(remarks.values()) == 1
            # At most three writes for each thing that was to be told.
            assert sum(count for (_, ref), count in by_us.items() if ref == ticket.ref) <= (
                3 * len(mine)
            )
            # Of a ticket closed too early it is said once for each time that somebody closed it.
            closed = sum(
                what == "resolve"
                and about != f"{ticket.ref} forewarn"
                and about.startswith(f"{ticket.ref} ")
                for what, about in two.model.writes
            )
            holds = sum("The problem still holds" in c["text"] for c in ticket.comments)
            assert holds <= closed
            assert [e.text for e in task.timeline if _is_remark(e.kind, e.who)] == [
                text for ref, text in self.said if ref == ticket.ref
            ]
            self._check_agreement(task, ticket)

    def _check_agreement(self, task: Any, ticket: ModelTicket) -> None:
        closed = ticket.state == "closed"
        reasons = {entry.reason for entry in task.timeline}
        if task.state.stands:
            assert not closed
            assert task.assignee == ticket.assignee
        elif not closed:
            # Only told that it is over, as configured; or told that another task stands.
            by_itself = task.resolve_reason == "alert_ended" and not self.closes
            assert by_itself or NOT_REOPENED in reasons


def _is_remark(kind: TimelineKind, who: str) -> bool:
    return kind is TimelineKind.COMMENT and who.endswith("(support)")


TestBothWays = BothWays.TestCase
TestBothWays.settings = settings(
    max_examples=int(os.environ.get("FOREWARN_TWO_WAYS", "15")),
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
)
