"""iCalendar files that the configuration names: read again when they change, kept while broken."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from forewarn_collector.calendars.ics import MOST_BYTES, CalendarError, read_ics
from forewarn_collector.calendars.spans import Agenda, Event
from forewarn_collector.calendars.zones import Zone

log = logging.getLogger(__name__)

_Seen = tuple[int, int, int] | None


@dataclass
class CalendarFile:
    """A file and its events, for whoever asks when they take place.

    `problem` says why the file as it is now is not in force, "" while it is.
    """

    path: Path
    zone: Zone
    agenda: Agenda = field(default_factory=lambda: Agenda(()))
    problem: str = ""
    _seen: _Seen = None

    def load(self) -> None:
        """Read the file. Raises CalendarError, and then what was read before stays in force."""
        # Noted first: a change while reading is then seen as one.
        self._seen = self._look()
        try:
            self.agenda.replace(self._read())
        except CalendarError as error:
            self.problem = str(error)
            raise
        self.problem = ""

    def refresh(self) -> None:
        """Read the file again if it has changed; what is wrong with it is logged."""
        if self._look() == self._seen:
            return
        try:
            self.load()
        except CalendarError as error:
            log.error("%s: its last good state stays in force: %s", self.path, error)
        else:
            log.info("%s read again: %d events", self.path, len(self.agenda))

    def _read(self) -> Sequence[Event]:
        try:
            with self.path.open("rb") as file:
                # One byte more tells a file that is too large, without reading all of it.
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise CalendarError([f"cannot be read: {error.strerror}"]) from error
        return read_ics(content, self.zone)

    def _look(self) -> _Seen:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino
