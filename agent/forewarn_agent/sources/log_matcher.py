"""Lines into events: the patterns of one log, their counters, and the bound on events a second."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forewarn_agent.settings import LogPattern, LogSettings
from forewarn_agent.sources.base import Reading, Series, SourceContext
from forewarn_agent.sources.log_file import Line, LogFile
from forewarn_wire import Event


class LogMatcher:
    """Gathers the events of matching lines until they are drained.

    A line counts for the first pattern that it matches. Beyond the configured events a second a
    line is still counted as a match, but makes no event.
    """

    def __init__(self, context: SourceContext, settings: LogSettings) -> None:
        self._settings = settings
        self._instance = context.instance
        self._labels = context.label_set(settings.job, {"log": settings.name})
        self._patterns = [_Pattern(context, settings, one) for one in settings.patterns]

        def series(name: str) -> Series:
            return context.series(name, {"log": settings.name}, job=settings.job)

        self._lines = 0
        self._suppressed = 0
        self._lines_series = series("forewarn_log_lines_total")
        self._suppressed_series = series("forewarn_log_events_suppressed_total")
        self._files_series = series("forewarn_log_files")
        self._allowed = float(settings.max_events_per_second)
        self._allowed_at = 0
        self._events: list[Event] = []
        self._changed: dict[int, _Pattern] = {}

    def take(self, file: LogFile, lines: Sequence[Line], now: int) -> None:
        """Match lines of a file that were read at `now`."""
        self._lines += len(lines)
        for line in lines:
            text = line.content.decode(self._settings.encoding, "replace")
            for index, pattern in enumerate(self._patterns):
                if pattern.matches(text):
                    pattern.count += 1
                    if self._may_send(now):
                        self._events.append(self._event(file, line, text, pattern.settings, now))
                        self._changed[index] = pattern
                    break

    def drain(self) -> tuple[list[Event], list[Reading]]:
        """The events since the last call, and the counters that changed with them."""
        events, self._events = self._events, []
        changed, self._changed = self._changed, {}
        return events, [pattern.reading for _, pattern in sorted(changed.items())]

    def readings(self, files: int) -> list[Reading]:
        """The counters, and how many files are followed."""
        return [
            *(pattern.reading for pattern in self._patterns),
            (self._lines_series, float(self._lines)),
            (self._suppressed_series, float(self._suppressed)),
            (self._files_series, float(files)),
        ]

    def _may_send(self, now: int) -> bool:
        """A bucket that holds one second's worth and is filled evenly."""
        rate = self._settings.max_events_per_second
        elapsed = max(0, now - self._allowed_at)
        self._allowed = min(float(rate), self._allowed + elapsed * rate / 1000)
        self._allowed_at = now
        if self._allowed < 1:
            self._suppressed += 1
            return False
        self._allowed -= 1
        return True

    def _event(self, file: LogFile, line: Line, text: str, pattern: LogPattern, now: int) -> Event:
        device, inode = file.identity
        place = f"{device:x}.{inode:x}.{line.generation:x}:{line.start:x}"
        return Event(
            time=now,
            type="log",
            severity=pattern.severity,
            labels=self._labels,
            body=text.replace("\0", "�"),
            uid=f"{self._instance}:{self._settings.name}:{place}",
            attributes={"path": file.path, "pattern": pattern.name},
        )


class _Pattern:
    def __init__(self, context: SourceContext, log: LogSettings, settings: LogPattern) -> None:
        self.settings = settings
        self.count = 0
        self._search = re.compile(settings.regex).search
        self._ignore = re.compile(settings.ignore).search if settings.ignore else None
        labels = {"log": log.name, "pattern": settings.name, "severity": settings.severity.value}
        self._series = context.series("forewarn_log_matches_total", labels, job=log.job)

    @property
    def reading(self) -> Reading:
        return self._series, float(self.count)

    def matches(self, text: str) -> bool:
        if self._search(text) is None:
            return False
        return self._ignore is None or self._ignore(text) is None
