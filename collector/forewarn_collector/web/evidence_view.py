"""A task's evidence as its page shows it: what the last alert saw, and what earlier ones did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forewarn_collector.plots.ticks import number_text
from forewarn_collector.tasks.evidence_plot import suspicion
from forewarn_collector.tasks.evidence_text import condition, earlier_end, series_of

Document = Mapping[str, Any]

_EVENTS = 50
_SERIES = 10
_USES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "cpu": ("CPU", lambda cores: f"{cores * 100:.1f} % of a core"),
    "memory": ("Memory", lambda size: f"{number_text(size)}B"),
}


@dataclass(frozen=True, slots=True)
class Use:
    """How much a group of processes used: of what, how much in words, and as a share of most."""

    group: str
    text: str
    share: float


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """What one alert saw. Times in ms."""

    document: Document

    @property
    def gathered_at(self) -> int:
        """When it was gathered."""
        return int(self.document["gathered_at"])

    @property
    def alert(self) -> Mapping[str, str]:
        """The alert's labels."""
        return dict(self.document.get("alert", {}))

    @property
    def measured(self) -> str:
        """What the rule measured and what it holds that against; empty where that is unknown."""
        values = self.document.get("values")
        return f"{values['query']}{condition(values)}" if values else ""

    @property
    def events(self) -> Sequence[Document]:
        """The events around the onset, in time."""
        return sorted(self.document.get("events", ())[:_EVENTS], key=lambda each: each["time"])

    @property
    def changes(self) -> Sequence[tuple[int, str, str]]:
        """When something changed before the onset, how that is spoken of, and what it was."""
        return [
            (change["at"], suspicion(change), change["what"])
            for change in self.document.get("changes", ())
        ]

    @property
    def uses(self) -> Sequence[tuple[str, Sequence[Use]]]:
        """The processes that used most at the onset: of what, and which."""
        found = self.document.get("processes", {})
        return [
            (name, _uses(found[key], told)) for key, (name, told) in _USES.items() if found.get(key)
        ]

    @property
    def series(self) -> Sequence[tuple[str, str]]:
        """The series that were read, each with its last value."""
        return [(name, str(samples[-1][1])) for name, samples in series_of(self.document, _SERIES)]

    @property
    def earlier(self) -> Sequence[tuple[Document, str]]:
        """Tasks of the same problem or rule before this one, each with how it ended."""
        return [(each, earlier_end(each)) for each in self.document.get("earlier", ())]

    @property
    def notes(self) -> Sequence[str]:
        """What could not be gathered, and why."""
        return list(self.document.get("notes", ()))


def evidence_views(documents: Sequence[Document]) -> list[EvidenceView]:
    """One for each alert, the last first. What came after an alert is in the plot."""
    firsts = [document for document in documents if "follows" not in document]
    return [EvidenceView(each) for each in sorted(firsts, key=lambda each: -each["gathered_at"])]


def _uses(found: Sequence[Sequence[str]], told: Callable[[float], str]) -> list[Use]:
    values = [(group, float(value)) for group, value in found]
    most = max((value for _, value in values), default=0.0)
    return [Use(group, told(value), value / most if most > 0 else 0.0) for group, value in values]
