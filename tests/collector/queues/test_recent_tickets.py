"""Tickets that are found by listing: each list is read once, and what was not read is not known."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.queues.recent_tickets import Listed, RecentTickets
from forewarn_collector.queues.tracker import Ticket, TicketState

MINUTE = 60_000


@dataclass
class Project:
    """A project's tickets by reference, with when each was made and its marker."""

    tickets: dict[str, tuple[int, str]] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)
    recent: RecentTickets = field(default_factory=RecentTickets)

    async def listed(self, start: int) -> Listed:
        self.starts.append(start)
        for ref, (at, marker) in self.tickets.items():
            if at >= start:
                yield at, marker, ref

    async def read(self, ref: str) -> Ticket | None:
        return Ticket(ref=ref, state=TicketState.NEW) if ref in self.tickets else None

    async def find(self, marker: str, since: int) -> str | None:
        found = await self.recent.find(marker, "ops", since, self.listed, self.read)
        return None if found is None else found.ref


async def test_a_storm_reads_only_what_is_new() -> None:
    project = Project()
    for number in range(100):
        at = number * MINUTE
        assert await project.find(f"m{number}", 0) is None
        project.tickets[f"#{number}"] = (at, f"m{number}")
    # Before ticket 99 is made, 97 is the newest that a list had; from two minutes before it.
    assert project.starts[:6] == [0, 0, 0, 0, 0, MINUTE]
    assert project.starts[-1] == 97 * MINUTE - 2 * MINUTE
    assert await project.find("m0", 0) == "#0"
    assert len(project.starts) == 100


async def test_the_first_ticket_with_a_marker_is_found() -> None:
    project = Project({"#9": (9 * MINUTE, "m"), "#3": (3 * MINUTE, "m")})
    assert await project.find("m", 0) == "#3"


async def test_a_ticket_that_is_gone_is_found_no_more_and_its_successor_is() -> None:
    project = Project({"#1": (0, "m")})
    assert await project.find("m", 0) == "#1"
    del project.tickets["#1"]
    assert await project.find("m", 0) is None
    project.tickets["#2"] = (MINUTE, "m")
    assert await project.find("m", 0) == "#2"


async def test_what_lies_between_two_lists_is_read_when_it_is_asked_for() -> None:
    project = Project({"#1": (0, "a")})
    await project.find("a", 0)
    project.tickets |= {"#2": (50 * MINUTE, "b"), "#3": (100 * MINUTE, "c")}
    assert await project.find("c", 90 * MINUTE) == "#3"
    assert await project.find("b", 40 * MINUTE) == "#2"


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.booleans(), st.integers(0, 50)), min_size=1, max_size=30
    )
)
async def test_it_finds_what_reading_all_would_find(steps: list[tuple[int, bool, int]]) -> None:
    """Steps: minutes that pass, whether a ticket is made, how long ago (min) the task began."""
    project, now = Project(), 0
    for number, (passed, made, ago) in enumerate(steps):
        now += passed * MINUTE
        if made:
            project.tickets[f"#{number}"] = (now, f"m{number}")
        since = max(0, now - ago * MINUTE)
        for ref, (at, marker) in project.tickets.items():
            if at >= since:
                assert await project.find(marker, since) == ref
        assert await project.find("none", since) is None
