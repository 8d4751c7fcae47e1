"""References of issues that a project counts up, `acme/ops#12`, and which of them changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection

from forewarn_collector.queues.tracker_http import GoneError

_MOST_CHANGED = 1_000


def parts(ref: str) -> tuple[str, str]:
    """The project and the number of a reference."""
    project, _, number = ref.rpartition("#")
    return project, number


async def changed_in_projects(
    refs: Collection[str],
    listed: Callable[[str], AsyncIterator[tuple[int, str]]],
    *,
    gone_at: int,
) -> list[str]:
    """References of issues that changed, as `Tracker.changed` gives them.

    `listed` gives when (ms) those issues of a project changed that are asked for, and their
    numbers; the `refs` of a project that is gone changed at `gone_at`.
    """
    found: list[tuple[int, str]] = []
    for project in dict.fromkeys(parts(ref)[0] for ref in refs):
        changed: list[tuple[int, str]] = []
        try:
            async for at, number in listed(project):
                changed.append((at, f"{project}#{number}"))
                if len(changed) == _MOST_CHANGED:
                    break
        except GoneError:
            # Its issues went with it, which reading them will tell.
            changed = [(gone_at, ref) for ref in refs if parts(ref)[0] == project]
        found += changed
    return [ref for _, ref in sorted(found)[:_MOST_CHANGED]]
