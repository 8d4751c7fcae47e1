"""Maintenance windows: when work is planned, and on what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forewarn_collector.calendars.spans import Agenda, Span
from forewarn_collector.calendars.zones import Zone, written
from forewarn_collector.silencing.matchers import Matcher, matches_all

_MOST_ADJOINING = 100


@dataclass(frozen=True)
class Window:
    """Planned work on what all `matchers` fit, as often as `agenda` says; `zone` is for people."""

    name: str
    matchers: tuple[Matcher, ...]
    zone: Zone
    agenda: Agenda

    def concerns(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with these labels is meant."""
        return matches_all(self.matchers, labels)

    def at(self, at: int) -> Span | None:
        """The time of work that `at` (ms) is in, up to its true end; None outside of one."""
        found = self.agenda.at(at)
        if not found:
            return None
        # One that begins before the other ends prolongs it.
        start, end = found[0].start, max(span.end for span in found)
        for _ in range(_MOST_ADJOINING):
            later = self.agenda.at(end)
            if not later:
                break
            end = max(span.end for span in later)
        name = found[0].name
        return Span(start, end, self.name if name == self.name else f"{self.name}: {name}")

    def said(self, span: Span) -> str:
        """What a hold by this window says."""
        return f"maintenance window {span.name}, until {written(span.end, self.zone)}"
