"""A command that comes with a key is carried out once: sent again, it is answered as before.

Source: draft-ietf-httpapi-idempotency-key-header. The answer is written in the transaction of the
command, so that whatever crashes, there are both or neither. A command that was refused left no
trace and is tried anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.tasks.errors import TaskError
from forewarn_collector.tasks.schema_idempotency import idempotency

KEPT = 24 * 3_600_000
"""How long (ms) answers are kept."""


class RepeatedError(TaskError):
    """The command was carried out before; `answer` is what was answered then."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        super().__init__("this command was carried out before")
        self.answer = answer


class KeyReusedError(TaskError):
    """The key came with another command before."""

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key came with another request; give each its own key")


class Once:
    """A command with a key: `token` is who sends it, `path` and `body` are what is asked for."""

    def __init__(self, token: str, key: str, path: str, body: bytes) -> None:
        self._id = _digest(token, key)
        self._request = _digest(path, hashlib.sha256(body).hexdigest())

    def begin(self, connection: Connection, at: int) -> None:
        """Within its transaction, before anything else; `at` is the time (ms).

        Raises RepeatedError if that is not the first time, and KeyReusedError.
        """
        connection.execute(delete(idempotency).where(idempotency.c.at < at - KEPT))
        self.refuse_repeated(connection)

    def refuse_repeated(self, connection: Connection) -> None:
        """Before it is looked at whether the command makes sense now. Raises as `begin`."""
        found = select(idempotency.c.request, idempotency.c.answer)
        row = connection.execute(found.where(idempotency.c.id == self._id)).one_or_none()
        if row is None:
            return
        if row.request != self._request:
            raise KeyReusedError
        raise RepeatedError(row.answer)

    def end(self, connection: Connection, answer: Mapping[str, Any], at: int) -> None:
        """Within its transaction, last: keep what is answered."""
        row = {"id": self._id, "request": self._request, "answer": dict(answer)}
        connection.execute(insert(idempotency), [{**row, "at": at}])


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
