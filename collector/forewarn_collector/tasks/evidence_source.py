"""Where the evidence of tasks comes from, as those who keep it see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import AlertingRule


class EvidenceSource(Protocol):
    """Where the keeper gets evidence from; see `evidence.py`."""

    def gather(
        self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int
    ) -> Sequence[Mapping[str, Any]]:
        """One JSON document for each alert, in order. Never raises, and returns soon."""

    def follow_up(
        self, documents: Sequence[Mapping[str, Any]], at: int
    ) -> Sequence[Mapping[str, Any]]:
        """The follow-ups of the first documents, as many as time allows, in order. As `gather`."""
