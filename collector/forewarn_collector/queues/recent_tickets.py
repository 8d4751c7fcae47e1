"""Finds tickets by listing a project's newest, of which only those that are new are read again.

A tracker that is searched by a list would otherwise read a thousand tickets for each new one, in a
storm of a thousand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from forewarn_collector.queues.tracker import Ticket

Listed = AsyncIterator[tuple[int, str, str]]
"""When (ms) tickets were made, their markers (empty: none of ours), their references."""

_OVERLAP = 120_000
"""How much later (ms) than it was made a ticket may come into a list."""
_MOST_KNOWN = 100_000


@dataclass(slots=True)
class _Seen:
    """All markers of a project's tickets that were made from `since` on, up to the `newest`."""

    since: int
    newest: int
    refs: dict[str, str] = field(default_factory=dict)


class RecentTickets:
    """What lists have shown, by project. Times in ms, by the tracker's clock."""

    def __init__(self) -> None:
        self._projects: dict[str, _Seen] = {}

    async def find(
        self,
        marker: str,
        project: str,
        since: int,
        listed: Callable[[int], Listed],
        read: Callable[[str], Awaitable[Ticket | None]],
    ) -> Ticket | None:
        """As `Tracker.find`. `listed` gives all tickets of the project that were made at a time or
        later, in any order; `read` is `Tracker.read`."""
        seen = self._projects.get(project)
        if seen is not None and marker in seen.refs:
            found = await read(seen.refs[marker])
            if found is not None:
                return found
            seen.refs.pop(marker, None)
        start = since
        if seen is not None and since >= seen.since:
            start = max(since, seen.newest - _OVERLAP)
        ref = self._add(project, start, [each async for each in listed(start)]).get(marker)
        return None if ref is None else await read(ref)

    def _add(self, project: str, start: int, listed: list[tuple[int, str, str]]) -> dict[str, str]:
        seen = self._projects.get(project)
        if seen is None or len(seen.refs) > _MOST_KNOWN:
            seen = self._projects[project] = _Seen(start, start)
        elif start > seen.newest:
            # What lies between was not read.
            seen.since = start
        else:
            seen.since = min(seen.since, start)
        # The first that was made with a marker counts.
        for made_at, marker, ref in sorted(listed):
            seen.newest = max(seen.newest, made_at)
            if marker:
                seen.refs.setdefault(marker, ref)
        return seen.refs
