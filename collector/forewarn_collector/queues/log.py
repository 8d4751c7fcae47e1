"""A queue that is a line in the collector's log: for a first look, and for what nobody works on."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import ClassVar

from forewarn_collector.tasks import Delivery
from forewarn_wire.document import Section

log = logging.getLogger(__name__)


class LogQueue:
    """Writes `support: open FW-17 [high] Disk fills: ... (delivery <id>)` at level INFO."""

    kind: ClassVar[str] = "log"

    def __init__(self, name: str) -> None:
        self._name = name

    @classmethod
    def from_section(cls, name: str, section: Section, environ: Mapping[str, str]) -> LogQueue:
        """It has no settings of its own."""
        return cls(name)

    async def deliver(self, delivery: Delivery) -> str | None:
        """One line; line breaks in its texts are escaped, so nobody can forge another."""
        task = delivery.task
        log.info(
            "%s: %s %s [%s] %s: %s (delivery %s)",
            self._name,
            delivery.action.value,
            task.number,
            task.severity or "none",
            _one_line(task.title),
            _one_line(delivery.text),
            delivery.id,
        )
        return None

    async def close(self) -> None:
        """Nothing is held open."""


def _one_line(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"')
