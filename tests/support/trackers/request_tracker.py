"""A stage with the real Request Tracker behind the faults."""

from __future__ import annotations

import base64
import quopri
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

from forewarn_collector.queues import TicketQueue
from forewarn_collector.queues.tracker import Outcome, TicketState
from support.request_tracker import RequestTracker
from support.trackers.faults import faults_before
from support.trackers.real import REAL
from support.trackers.stage import SeenTicket, Stage, queue_from

_STATES = {
    "new": TicketState.NEW,
    "open": TicketState.IN_PROGRESS,
    "stalled": TicketState.WAITING,
    "resolved": TicketState.CLOSED,
    "rejected": TicketState.CLOSED,
}
_CONFIG = """\
kind: request_tracker
url: {url}
token: env:RT_TOKEN
queue: {place}
timeout: {timeout}
"""


class _World:
    """Looks into the database of a Request Tracker; people act by its REST API."""

    def __init__(self, server: RequestTracker, after: int) -> None:
        """Tickets up to the id `after` are others'."""
        self._server = server
        self._after = after

    async def tickets(self) -> Sequence[SeenTicket]:
        rows = self._server.rows(
            "SELECT t.id, Subject, Status, Priority, u.Name FROM Tickets t"
            " JOIN Users u ON u.id = t.Owner"
            " WHERE t.id > ? AND EffectiveId = t.id AND Status != 'deleted' ORDER BY t.id",
            self._after,
        )
        return [self._seen(*row) for row in rows]

    def _seen(self, ref: int, title: str, status: str, priority: int, owner: str) -> SeenTicket:
        parts = self._server.rows(
            "SELECT x.Type, Filename, Content, ContentEncoding FROM Attachments a"
            " JOIN Transactions x ON x.id = a.TransactionId"
            " WHERE x.ObjectType = 'RT::Ticket' AND x.ObjectId = ?"
            " AND ContentType NOT LIKE 'multipart/%' ORDER BY a.id",
            ref,
        )
        texts = [(kind, _decoded(*rest)) for kind, name, *rest in parts if not name and rest[0]]
        return SeenTicket(
            ref=str(ref),
            title=title,
            body="".join(text for kind, text in texts if kind == "Create"),
            state=_STATES[status],
            priority=str(priority),
            assignee="" if owner == "Nobody" else owner,
            comments=tuple(text for kind, text in texts if kind != "Create"),
            files=tuple(name for _, name, *_ in parts if name),
        )

    async def comment(self, ref: str, who: str, text: str) -> None:
        self._act(who, "POST", f"/ticket/{ref}/comment", Content=text, ContentType="text/plain")

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        status = "rejected" if outcome is Outcome.WONT_FIX else "resolved"
        self._act(who, "PUT", f"/ticket/{ref}", Status=status)

    async def reopen(self, ref: str, who: str) -> None:
        self._act(who, "PUT", f"/ticket/{ref}", Status="open")

    async def assign(self, ref: str, who: str) -> None:
        self._act("root", "PUT", f"/ticket/{ref}", Owner=who)

    async def start(self, ref: str, who: str) -> None:
        self._act(who, "PUT", f"/ticket/{ref}", Status="open")

    async def delete(self, ref: str) -> None:
        self._act("root", "PUT", f"/ticket/{ref}", Status="deleted")

    def move_all(self, queue: str) -> None:
        """A person moves every ticket to another queue."""
        for (ref,) in self._server.rows("SELECT id FROM Tickets WHERE id > ?", self._after):
            self._act("root", "PUT", f"/ticket/{ref}", Queue=queue)

    def _act(self, who: str, method: str, path: str, **wanted: Any) -> None:
        answer = self._server.call(who, method, path, wanted)
        assert answer.status in {200, 201}, answer.body


@asynccontextmanager
async def request_tracker_stage(
    more: str = "", user: str = "forewarn", place: str = "Support"
) -> AsyncIterator[Stage]:
    """The one server of all tests, whose earlier tickets nobody finds by their markers any more.

    The queue delivers to the queue `place` with the token of `user`, and has `more` settings.
    """
    server = REAL.request_tracker
    with closing(sqlite3.connect(server.folder / "rt.sqlite", timeout=10)) as database, database:
        database.execute("UPDATE Links SET Target = 'earlier:' || id WHERE Type = 'RefersTo'")
        [(after,)] = database.execute("SELECT coalesce(max(id), 0) FROM Tickets").fetchall()
    world = _World(server, after)
    token = server.tokens[user]
    async with faults_before(lambda: server.url) as faults:

        def queue(timeout: str) -> TicketQueue:
            text = _CONFIG.format(url=faults.url, place=place, timeout=timeout) + more
            return queue_from(text, {"RT_TOKEN": token})

        usual, hasty = queue("30s"), queue("1s")
        try:
            yield Stage(
                queue=usual,
                hasty=hasty,
                faults=faults,
                world=world,
                secret=token,
                people=("ana", "ben"),
                knows_in_progress=True,
                knows_outcomes=frozenset({Outcome.FIXED, Outcome.WONT_FIX}),
                error_inside=b'["Ticket 1: Permission Denied"]',
                no_way_to_close=lambda: world.move_all("Changes"),
                real=True,
            )
        finally:
            await usual.close()
            await hasty.close()


def _decoded(content: str | bytes, encoding: str) -> str:
    raw = content.encode() if isinstance(content, str) else content
    if encoding == "base64":
        raw = base64.b64decode(raw)
    elif encoding == "quoted-printable":
        raw = quopri.decodestring(raw)
    return raw.decode()
