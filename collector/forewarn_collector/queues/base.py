"""What every kind of queue does: take a delivery, or say whether another attempt would help."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from forewarn_collector.tasks import Delivery
from forewarn_wire.document import Section
from forewarn_wire.readers import duration, text

_ENV, _FILE = "env:", "file:"


class DeliveryError(Exception):
    """A delivery that the queue did not take.

    `permanent`: the queue refused this message and would again. `retry_after`: how long (ms) to
    wait, where the queue asked for that or its answer was lost. `whole_queue`: it says nothing of
    this message, any other would fare the same now.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        retry_after: int | None = None,
        whole_queue: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        self.whole_queue = whole_queue


class Queue(Protocol):
    """Where tasks are delivered. One object serves one configured queue, on one event loop."""

    async def deliver(self, delivery: Delivery) -> str | None:
        """Hand a delivery over; returns the queue's own reference where it has one.

        The same delivery may come again after a crash: `delivery.id` is the same then, and must
        reach the receiver. Raises DeliveryError.
        """

    async def close(self) -> None:
        """Let go of connections. A later delivery makes new ones."""


class ConfiguredQueue(Queue, Protocol):
    """A kind of queue that reads its own configuration."""

    kind: ClassVar[str]

    @classmethod
    def from_section(cls, name: str, section: Section, environ: Mapping[str, str]) -> Queue | None:
        """Read a queue's configuration; None where it can't be, with its problems reported."""


def read_secret(section: Section, name: str, environ: Mapping[str, str]) -> bytes:
    """A secret from `<name>_file: PATH`, which may be written `<name>: file:PATH`, or from
    `<name>: env:VARIABLE`; empty where none is given.

    A secret itself in the configuration is refused: that file is copied and shown.
    """
    path = section.take(f"{name}_file", text, "")
    reference = section.take(name, text, "")
    if path and reference:
        section.problem(name, f"{name} and {name}_file are both given", "keep one of them")
    if path:
        return _from_file(section, f"{name}_file", path)
    if not reference:
        return b""
    if reference.startswith(_FILE):
        return _from_file(section, name, reference.removeprefix(_FILE))
    if not reference.startswith(_ENV):
        hint = f"put it in a file and write {name}: file:PATH, or write {name}: env:VARIABLE"
        section.problem(name, f"{name} must not stand in the configuration itself", hint)
        return b""
    variable = reference.removeprefix(_ENV)
    if not environ.get(variable):
        section.problem(name, f"the environment has no variable {variable}", "set it, or mend it")
    return os.fsencode(environ.get(variable, ""))


def read_timeout(value: Any) -> int:
    """A time-out in ms; a minute at most, as the worker waits no longer for any queue."""
    milliseconds = duration(value)
    if not 100 <= milliseconds <= 60_000:
        raise ValueError(f"expected between 100ms and 1m, found {value!r}")
    return milliseconds


def _from_file(section: Section, field: str, path: str) -> bytes:
    try:
        secret = Path(path).read_bytes().strip()
    except OSError as error:
        section.problem(field, f"{path} can't be read: {error.strerror}")
        return b""
    if not secret:
        section.problem(field, f"{path} is empty", "put the secret into it")
    return secret
