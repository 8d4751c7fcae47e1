"""What lints ask about the signals that are there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from forewarn_collector.store import Matcher
from forewarn_wire import Labels


class Signals(Protocol):
    """The series of a running collector, of a Prometheus, or of a data directory."""

    def metrics(self) -> Collection[str]:
        """The names of all metrics."""

    def exist(self, matchers: Sequence[Matcher]) -> bool:
        """Whether there is, or was, a series that meets all matchers."""

    def values(self, label: str, matchers: Sequence[Matcher]) -> Collection[str]:
        """The values that a label has on the series that meet all matchers."""

    def vector(self, expr: str) -> Sequence[tuple[Labels, float]]:
        """The elements that an expression has now; none where it can't be evaluated."""
