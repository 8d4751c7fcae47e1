"""What a task test needs of the tasks: somebody who makes them, and what can be seen of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from forewarn_collector.rules.evaluate import ChangeSink
from forewarn_wire import Labels


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A task that is not resolved. `rule` is the name of the alert that opened it."""

    rule: str
    title: str
    severity: str
    labels: Labels


class TaskBook(ChangeSink, Protocol):
    """Makes tasks of the changes of alerts, on their own time, as the collector's keeper does."""

    def open_tasks(self) -> Sequence[OpenTask]:
        """The tasks that are not resolved."""


OpenBook = Callable[[str, Mapping[str, str]], AbstractContextManager[TaskBook]]
"""Opens a book with no task in it. Takes what templates know: external URL and labels."""
