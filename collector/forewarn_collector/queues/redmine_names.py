"""The ids that Redmine's API wants, by the names that people see. Case does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.tracker_http import TrackerClient, told

_PER_PAGE = 100
_MOST_PAGES = 10
_STATUSES = "/issue_statuses.json"


def project_path(project: str, below: str = "") -> str:
    """The path of a project, by its identifier or id, or of something below it."""
    return f"/projects/{quote(project, safe='')}{below}.json"


async def status_named(client: TrackerClient, name: str) -> str | None:
    """The id of a status; None where there is none of this name."""
    return _named((await client.get(_STATUSES)).items("issue_statuses"), name)


async def closed_statuses(client: TrackerClient) -> set[str]:
    """The ids of the statuses of closed issues."""
    statuses = (await client.get(_STATUSES)).items("issue_statuses")
    return {told(each, "id") for each in statuses if each.get("is_closed") is True}


async def priority_named(client: TrackerClient, name: str) -> str | None:
    """The id of a priority; None where there is none of this name."""
    answer = await client.get("/enumerations/issue_priorities.json")
    return _named(answer.items("issue_priorities"), name)


async def tracker_named(client: TrackerClient, project: str, name: str) -> str:
    """The id of a tracker of a project. Raises DeliveryError where it has none of this name."""
    answer = await client.get(project_path(project), {"include": "trackers"})
    found = _named(answer.items("project", "trackers"), name)
    if found is None:
        said = f"the project {project} has no tracker {name}; name one that it has"
        raise DeliveryError(said, permanent=False, whole_queue=True)
    return found


async def member_named(client: TrackerClient, project: str, name: str) -> str | None:
    """The id of a member of a project, or of a group that is one, by the full name."""
    path = project_path(project, "/memberships")
    for page in range(_MOST_PAGES):
        params = {"limit": str(_PER_PAGE), "offset": str(page * _PER_PAGE)}
        members = (await client.get(path, params)).items("memberships")
        for who in ("user", "group"):
            found = _named([each[who] for each in members if who in each], name)
            if found is not None:
                return found
        if len(members) < _PER_PAGE:
            break
    return None


def _named(things: Sequence[Mapping[str, Any]], name: str) -> str | None:
    wanted = name.casefold()
    return next(
        (told(each, "id") for each in things if told(each, "name").casefold() == wanted), None
    )
