"""`/api/audit`: who did what to what, when and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiohttp import web

from forewarn_collector.api.envelope import json_response
from forewarn_collector.api.fields import TIME, Field, Text, Values, Whole
from forewarn_collector.api.operations import Operation
from forewarn_collector.api.tasks import LIMIT
from forewarn_collector.tasks import AuditLog


class AuditApi:
    """The audit log, read only."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def operations(self) -> Sequence[Operation]:
        """What it serves."""
        return (
            Operation(
                method="GET",
                path="/api/audit",
                name="listAudit",
                about="Entries of the audit log, the newest first.",
                handle=self._list,
                answer="AuditPage",
                query=(
                    Field("of", "Of this task's number or silence's id.", Text(), ""),
                    Field("who", "Of this person or part of the collector.", Text(), ""),
                    Field("action", "Of this action, such as `closed`.", Text(), ""),
                    Field("since", "At this time (ms) or later.", TIME),
                    Field("until", "Before this time (ms).", TIME),
                    LIMIT,
                    Field("cursor", "The `next` of the page before.", Whole(0, 1 << 53)),
                ),
            ),
        )

    async def _list(self, request: web.Request, values: Values) -> web.StreamResponse:
        limit = values["limit"]
        found = await asyncio.to_thread(
            self._log.list,
            of=values["of"],
            who=values["who"],
            action=values["action"],
            since=values["since"],
            until=values["until"],
            before=values["cursor"],
            limit=limit,
        )
        # A page that is full may be the last one; the next is empty then.
        following = found[-1].id if len(found) == limit else None
        return json_response({"entries": [each.to_json() for each in found], "next": following})
