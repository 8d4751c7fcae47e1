"""Finds issues of Jira exactly, though its search lags behind.

In the cloud the search sees an issue seconds to minutes after it was made, and on a Data Center's
other nodes later than on the one that made it
(https://developer.atlassian.com/cloud/jira/platform/search-and-reconcile). Issues that are asked
for by their keys are read from the database. So a marker is looked for

1. by listing the project's issues, the newest first, down to where the task began, and
2. among the keys that this list has not: those behind the newest, and the gaps before it. Jira
   counts a project's issues up, so an issue that the search does not know yet has one of these.

Issues by key: in the cloud a hundred at once (`issue/bulkfetch`), on servers one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from forewarn_collector.queues.base import DeliveryError
from forewarn_collector.queues.jira_answers import FIELDS, marker_in
from forewarn_collector.queues.recent_tickets import Listed
from forewarn_collector.queues.tracker_http import (
    GoneError,
    TrackerClient,
    sure_at,
    told,
    told_at,
    told_number,
)

API = "/rest/api/2"
_PER_PAGE = 50
_MOST_PAGES = 200
_AT_ONCE = 100
_AHEAD = {True: 100, False: 10}
"""How many keys behind the newest known are tried, in the cloud and on servers."""
_MOST_UNSEEN = {True: 300, False: 30}


class JiraSearch:
    """Reads issues of one Jira."""

    def __init__(self, client: TrackerClient) -> None:
        self._client = client
        self._cloud: bool | None = None
        self._numbers: dict[str, set[int]] = {}

    async def is_cloud(self) -> bool:
        """Whether this is Atlassian's cloud, by what the server says of itself."""
        if self._cloud is None:
            info = (await self._client.get(f"{API}/serverInfo")).obj()
            self._cloud = told(info, "deploymentType") == "Cloud"
        return self._cloud

    async def listed(self, project: str, start: int) -> Listed:
        """Every issue of a project that was made at `start` (ms) or later, and perhaps older ones.

        What earlier lists had is remembered by its number, so that a gap is one of all of them.
        """
        seen = self._numbers.setdefault(project, set())
        try:
            async for issue in self._newest(project):
                seen.add(_number(told(issue, "key")))
                made_at = sure_at(issue, "fields", "created")
                if made_at < start:
                    break
                yield _listed(issue)
        except DeliveryError as error:
            if error.permanent:
                await self._client.get(f"{API}/project/{project}")
            raise
        if not seen:
            await self._client.get(f"{API}/project/{project}")
        async for issue in self._unseen(project, seen):
            yield _listed(issue)

    async def updated(self, refs: Collection[str]) -> dict[str, int]:
        """When (ms) issues changed last, by their keys; those gone or moved are left out."""
        found: dict[str, int] = {}
        keys = list(dict.fromkeys(refs))
        for start in range(0, len(keys), _AT_ONCE):
            for issue in await self._by_keys(keys[start : start + _AT_ONCE], ("updated",)):
                found[told(issue, "key")] = told_at(issue, "fields", "updated")
        return found

    async def _unseen(self, project: str, seen: set[int]) -> AsyncIterator[Mapping[str, Any]]:
        cloud = await self.is_cloud()
        start, end = min(seen, default=0) + 1, max(seen, default=0)
        while True:
            reach = end + _AHEAD[cloud]
            unseen = [n for n in range(start, reach + 1) if n not in seen][-_MOST_UNSEEN[cloud] :]
            for at in range(0, len(unseen), _AT_ONCE):
                keys = [f"{project}-{number}" for number in unseen[at : at + _AT_ONCE]]
                for issue in await self._read(keys):
                    # One that was moved has a number of another project.
                    if told(issue, "key") in keys:
                        seen.add(_number(told(issue, "key")))
                    yield issue
            if max(seen, default=0) <= end:
                return
            start, end = reach + 1, reach

    async def _newest(self, project: str) -> AsyncIterator[Mapping[str, Any]]:
        cloud = await self.is_cloud()
        asked: dict[str, Any] = {
            "jql": f'project = "{project}" ORDER BY created DESC',
            "maxResults": _PER_PAGE,
            "fields": list(FIELDS),
        }
        path = f"{API}/search/jql" if cloud else f"{API}/search"
        count = 0
        for _ in range(_MOST_PAGES):
            answer = await self._client.request("POST", path, body=asked)
            issues = answer.items("issues")
            for issue in issues:
                yield issue
            count += len(issues)
            if cloud:
                asked["nextPageToken"] = token = told(answer.document, "nextPageToken")
                if not token:
                    return
            else:
                asked["startAt"] = count
                if not issues or count >= told_number(answer.document, "total"):
                    return
        said = f"{project} has more than {_MOST_PAGES * _PER_PAGE} issues since the task began"
        raise DeliveryError(f"{said}: too many to look through", permanent=True)

    async def _by_keys(self, keys: Sequence[str], fields: Sequence[str]) -> Sequence[Any]:
        """Those of these issues that are there; on servers by the search, for fields alone."""
        asked: dict[str, Any] = {"fields": fields}
        if await self.is_cloud():
            path = f"{API}/issue/bulkfetch"
            asked["issueIdsOrKeys"] = keys
        else:
            path = f"{API}/search"
            # A key that is gone is no error.
            asked |= {"jql": f"issuekey in ({', '.join(keys)})", "validateQuery": False}
            asked["maxResults"] = len(keys)
        return (await self._client.request("POST", path, body=asked)).items("issues")

    async def _read(self, keys: Sequence[str]) -> Sequence[Any]:
        """Those of these issues that are there, from the database."""
        if await self.is_cloud():
            return await self._by_keys(keys, FIELDS)
        return [each for each in await asyncio.gather(*map(self._one, keys)) if each is not None]

    async def _one(self, key: str) -> Mapping[str, Any] | None:
        try:
            answer = await self._client.get(f"{API}/issue/{key}", {"fields": ",".join(FIELDS)})
        except GoneError:
            return None
        return answer.obj()


def _listed(issue: Mapping[str, Any]) -> tuple[int, str, str]:
    marked = marker_in(told(issue, "fields", "description"))
    return sure_at(issue, "fields", "created"), marked, told(issue, "key")


def _number(key: str) -> int:
    digits = key.rpartition("-")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else 0
