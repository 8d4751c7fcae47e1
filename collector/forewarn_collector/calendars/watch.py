"""Follows calendars as time passes: files that changed, windows that begin and end."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from forewarn_collector.calendars.files import CalendarFile
from forewarn_collector.calendars.spans import Span
from forewarn_collector.calendars.windows import Window
from forewarn_collector.calendars.zones import written

log = logging.getLogger(__name__)


class CalendarWatch:
    """The windows and iCalendar files of a configuration; `tick` logs what happens to them."""

    def __init__(self, windows: Sequence[Window], files: Sequence[CalendarFile]) -> None:
        self.windows = tuple(windows)
        self.files = tuple(files)
        self._active: dict[str, Span] = {}

    def tick(self, at: int) -> None:
        """Read files that changed, and log which windows began and ended by `at` (ms)."""
        for file in self.files:
            file.refresh()
        active = {w.name: span for w in self.windows if (span := w.at(at)) is not None}
        for window in self.windows:
            before, now = self._active.get(window.name), active.get(window.name)
            if now is not None and (before is None or before.end != now.end):
                end = written(now.end, window.zone)
                log.info("maintenance window %s is in force until %s", now.name, end)
            elif before is not None and now is None:
                log.info("maintenance window %s is over", before.name)
        self._active = active
