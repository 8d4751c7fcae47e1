"""A stage with the real Redmine behind the faults."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

from forewarn_collector.queues import TicketQueue
from forewarn_collector.queues.tracker import Outcome, TicketState
from support.redmine import Redmine
from support.trackers.faults import faults_before
from support.trackers.real import REAL
from support.trackers.stage import SeenTicket, Stage, queue_from

# Of Redmine's own defaults.
_NEW, _IN_PROGRESS, _FEEDBACK, _CLOSED, _REJECTED = 1, 2, 4, 5, 6
_STATES = {
    _NEW: TicketState.NEW,
    _IN_PROGRESS: TicketState.IN_PROGRESS,
    _FEEDBACK: TicketState.WAITING,
    _CLOSED: TicketState.CLOSED,
    _REJECTED: TicketState.CLOSED,
}
_CONFIG = """\
kind: redmine
url: {url}
token: env:REDMINE_KEY
project: {place}
timeout: {timeout}
"""
_MANAGER = "(SELECT id FROM roles WHERE name = 'Manager')"
_SITE = "(SELECT id FROM custom_fields WHERE name = 'Site')"
_SUPPORT = "(SELECT id FROM projects WHERE identifier = 'support')"


class _World:
    """Looks into the database of a Redmine; people act by its REST API."""

    def __init__(self, server: Redmine, after: int) -> None:
        """Issues up to the id `after` are others'."""
        self._server = server
        self._after = after

    async def tickets(self) -> Sequence[SeenTicket]:
        rows = self._server.rows(
            "SELECT i.id, subject, description, i.status_id, p.name,"
            " coalesce(u.firstname || ' ' || u.lastname, '')"
            " FROM issues i JOIN enumerations p ON p.id = i.priority_id"
            " LEFT JOIN users u ON u.id = assigned_to_id WHERE i.id > ? ORDER BY i.id",
            self._after,
        )
        return [self._seen(*row) for row in rows]

    def _seen(
        self, ref: int, title: str, body: str, status: int, priority: str, assignee: str
    ) -> SeenTicket:
        notes = "SELECT notes FROM journals WHERE journalized_id = ? AND notes != '' ORDER BY id"
        files = "SELECT filename FROM attachments WHERE container_id = ? ORDER BY id"
        return SeenTicket(
            ref=str(ref),
            title=title,
            body=body.replace("\r\n", "\n"),
            state=_STATES[status],
            priority=priority,
            assignee=assignee,
            comments=tuple(said for (said,) in self._server.rows(notes, ref)),
            files=tuple(name for (name,) in self._server.rows(files, ref)),
        )

    async def comment(self, ref: str, who: str, text: str) -> None:
        self._act(who, ref, notes=text)

    async def close(self, ref: str, who: str, outcome: Outcome) -> None:
        self._act(who, ref, status_id=_REJECTED if outcome is Outcome.WONT_FIX else _CLOSED)

    async def reopen(self, ref: str, who: str) -> None:
        self._act(who, ref, status_id=_NEW)

    async def assign(self, ref: str, who: str) -> None:
        [(user,)] = self._server.rows("SELECT id FROM users WHERE login = ?", _login(who))
        self._act("admin", ref, assigned_to_id=user)

    async def start(self, ref: str, who: str) -> None:
        self._act(who, ref, status_id=_IN_PROGRESS)

    async def delete(self, ref: str) -> None:
        answer = self._server.call("admin", "DELETE", f"/issues/{ref}.json")
        assert answer.status == 204, answer.body

    def _act(self, who: str, ref: str, **wanted: Any) -> None:
        answer = self._server.call(_login(who), "PUT", f"/issues/{ref}.json", {"issue": wanted})
        assert answer.status == 204, answer.body


@asynccontextmanager
async def redmine_stage(
    more: str = "", user: str = "forewarn", place: str = "support"
) -> AsyncIterator[Stage]:
    """The one server of all tests, whose earlier issues nobody finds by their markers any more.

    The queue delivers to the project `place` with the key of `user`, and has `more` settings.
    """
    server = REAL.redmine

    def administer(*statements: str) -> None:
        """What an administrator would change by the web page."""
        path = server.folder / "redmine.sqlite"
        with closing(sqlite3.connect(path, timeout=10)) as database, database:
            for statement in statements:
                database.execute(statement)

    administer("UPDATE issues SET description = replace(description, 'forewarn-', 'earlier-')")
    [(after,)] = server.rows("SELECT coalesce(max(id), 0) FROM issues")
    ended = f"role_id = {_MANAGER} AND new_status_id IN ({_CLOSED}, {_REJECTED})"
    key = server.keys[user]
    async with faults_before(lambda: server.url) as faults:

        def queue(timeout: str) -> TicketQueue:
            text = _CONFIG.format(url=faults.url, place=place, timeout=timeout) + more
            return queue_from(text, {"REDMINE_KEY": key})

        usual, hasty = queue("30s"), queue("1s")
        try:
            yield Stage(
                queue=usual,
                hasty=hasty,
                faults=faults,
                world=_World(server, after),
                secret=key,
                people=("Ana Test", "Ben Test"),
                knows_in_progress=True,
                knows_outcomes=frozenset({Outcome.FIXED, Outcome.WONT_FIX}),
                missing_field=lambda: administer(
                    f"INSERT INTO custom_fields_projects VALUES ({_SITE}, {_SUPPORT})"
                ),
                no_way_to_close=lambda: administer(
                    f"UPDATE workflows SET role_id = -role_id WHERE {ended}"
                ),
                real=True,
            )
        finally:
            await usual.close()
            await hasty.close()
            administer(
                f"DELETE FROM custom_fields_projects WHERE project_id = {_SUPPORT}",
                "UPDATE workflows SET role_id = -role_id WHERE role_id < 0",
            )


def _login(who: str) -> str:
    """`Ana Test` logs in as ana."""
    return who.split()[0].lower()
