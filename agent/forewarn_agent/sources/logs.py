"""Log files followed through rotation: lines that match configured patterns become events.

The kernel tells of a change (inotify, by watchdog), and the line is sent at once. How far each
file has been read is remembered with the events, so that nothing is lost or repeated by a restart.
"""

from __future__ import annotations

import glob
import logging
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatch

from forewarn_agent.settings import LogSettings
from forewarn_agent.sources.base import Handle, Loop, Reading, SourceContext
from forewarn_agent.sources.log_file import Identity, LogFile
from forewarn_agent.sources.log_matcher import LogMatcher
from forewarn_agent.watcher import Watcher

log = logging.getLogger(__name__)

MARKS = "log/"
CHUNKS_AT_ONCE = 16
"""So many are read before other work has its turn."""
PARTIAL_SECONDS = 5.0
"""A line without an end is taken as it is after so long."""
ROTATED_ROUNDS = 6
"""A file that was rotated away is followed until it has been quiet for so many rounds."""


class LogsSource:
    """Events of type `log`, and `forewarn_log_*`."""

    name = "logs"

    def __init__(self, context: SourceContext, settings: Sequence[LogSettings]) -> None:
        self._logs = [FollowedLog(context, one) for one in settings]
        self._watcher: Watcher | None = None

    def start(self, loop: Loop) -> None:
        """Go on where the marks say; without marks, with what is written from now on."""
        configured = tuple(one.marks for one in self._logs)
        old = [name for name in loop.marks(MARKS) if not name.startswith(configured)]
        if old:
            loop.emit((), dict.fromkeys(old, ""))
        self._watcher = Watcher(loop.call_soon_threadsafe, self._changed)
        for one in self._logs:
            one.start(loop)
        self._watch()
        # What was written between the first look and the watch.
        for one in self._logs:
            one.look()

    def collect(self, now: int) -> list[Reading]:
        """The counters; and a look at everything, for what inotify does not tell."""
        readings: list[Reading] = []
        for one in self._logs:
            one.look()
            one.age()
            readings += one.readings()
        self._watch()
        return readings

    def stop(self) -> None:
        """Close everything; the marks stay."""
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher = None
        for one in self._logs:
            one.stop()

    def _changed(self, paths: set[str]) -> None:
        if self._watcher is None:
            return  # told by another thread just before the stop
        new = [one.changed(paths) for one in self._logs]
        if any(new):
            self._watch()

    def _watch(self) -> None:
        if self._watcher is not None:
            self._watcher.watch(self._directories())

    def _directories(self) -> set[str]:
        return {directory for one in self._logs for directory in one.directories()}


class FollowedLog:
    """The files of one configured log."""

    def __init__(self, context: SourceContext, settings: LogSettings) -> None:
        self._settings = settings
        self._matcher = LogMatcher(context, settings)
        self.marks = f"{MARKS}{settings.name}/"
        """The name of the mark that says that this log is known; each file's begins with it."""
        self._files: dict[Identity, LogFile] = {}
        self._by_path: dict[str, LogFile] = {}
        self._links: dict[str, LogFile] = {}
        """Files whose configured path is a symbolic link, by the path it leads to."""
        self._rotated: dict[Identity, int] = {}
        """Files that no configured path leads to any more, and for how many rounds they slept."""
        self._marked: dict[str, str] = {}
        self._refused: set[str] = set()
        self._loop: Loop | None = None
        self._partial: Handle | None = None

    def start(self, loop: Loop) -> None:
        """Open the files there are."""
        self._loop = loop
        self._marked = loop.marks(self.marks)
        known = self.marks in self._marked
        self._resume_renamed()
        self._find(from_beginning=known)
        self._remember()

    def stop(self) -> None:
        """Read what was written last, close the files and remember where they were."""
        if self._loop is not None:
            self.look()
            self._remember()
        if self._partial is not None:
            self._partial.cancel()
        for file in self._files.values():
            file.close()
        self._files.clear()
        self._by_path.clear()

    def directories(self) -> set[str]:
        """The directories in which something may happen to this log."""
        found = {os.path.dirname(path) for path in (*self._by_path, *self._links)}
        for pattern in self._settings.paths:
            directory = os.path.dirname(pattern)
            if glob.has_magic(directory):
                found.update(glob.glob(directory, recursive=True))
            else:
                found.add(directory)
        return {directory for directory in found if os.path.isdir(directory)}

    def changed(self, paths: set[str]) -> bool:
        """Something was written to these paths; whether there may be other files than before."""
        for path in paths:
            file = self._by_path.get(path)
            if file is not None and _identity(path) == file.identity:
                self._read(file)
            elif path in self._links:
                self._read(self._links[path])
            elif file is not None or any(fnmatch(path, one) for one in self._settings.paths):
                self.look()
                return True
        # A file that was rotated away may still be written, under a name that we do not know.
        for identity in list(self._rotated):
            self._read(self._files[identity])
        return False

    def look(self) -> None:
        """Find new files, and read all."""
        self._find(from_beginning=True)
        for file in list(self._files.values()):
            self._read(file)

    def age(self) -> None:
        """Close files that were rotated away and are quiet; remember how far the others are."""
        for identity in list(self._rotated):
            self._rotated[identity] += 1
            if self._rotated[identity] > ROTATED_ROUNDS:
                del self._rotated[identity]
                file = self._files.pop(identity)
                self._matcher.take(file, file.flush(), self._running().clock())
                file.close()
                self._emit()
        self._remember()

    def readings(self) -> list[Reading]:
        """The counters of this log."""
        return self._matcher.readings(len(self._files))

    def _find(self, *, from_beginning: bool) -> None:
        found: dict[str, LogFile] = {}
        for path in self._matching():
            identity = _identity(path)
            if identity is None:
                continue
            file = self._files.get(identity) or self._open(path, identity, from_beginning)
            if file is not None:
                file.path = path
                found[path] = file
        self._by_path = found
        real = {os.path.realpath(path): file for path, file in found.items()}
        self._links = {path: file for path, file in real.items() if path not in found}
        here = {file.identity for file in found.values()}
        for identity in self._files:
            if identity in here:
                self._rotated.pop(identity, None)
            else:
                self._rotated.setdefault(identity, 0)

    def _matching(self) -> list[str]:
        paths: dict[str, None] = {}
        for pattern in self._settings.paths:
            if glob.has_magic(pattern):
                paths.update(dict.fromkeys(sorted(glob.glob(pattern, recursive=True))))
            else:
                paths[pattern] = None
        return list(paths)

    def _open(self, path: str, identity: Identity, from_beginning: bool) -> LogFile | None:
        mark = self._marked.get(self._mark_name(identity), "")
        try:
            file = self._opened(path, mark, from_beginning)
        except OSError as error:
            if path not in self._refused:
                self._refused.add(path)
                log.warning("log %s: cannot read %s: %s", self._settings.name, path, error.strerror)
            return None
        self._refused.discard(path)
        self._files[file.identity] = file
        return file

    def _opened(self, path: str, mark: str, from_beginning: bool) -> LogFile:
        if mark:
            with suppress(ValueError):  # a mark that another version wrote: as a new file
                return LogFile.resume(path, mark, self._settings.max_line)
        now = self._running().clock()
        file = LogFile(path, generation=now, max_line=self._settings.max_line)
        if not from_beginning:
            file.skip_to_end()
        return file

    def _resume_renamed(self) -> None:
        """Find files that were rotated while the agent was away, to read their rest."""
        for name, mark in self._marked.items():
            path = mark.split(" ", 3)[-1]
            if name == self.marks or self._mark_name(_identity(path)) == name:
                continue
            with suppress(OSError), os.scandir(os.path.dirname(path)) as entries:
                for entry in entries:
                    identity = _identity(entry.path)
                    if identity is not None and self._mark_name(identity) == name:
                        self._open(entry.path, identity, from_beginning=True)
                        break

    def _read(self, file: LogFile) -> None:
        loop = self._running()
        more = True
        for _ in range(CHUNKS_AT_ONCE):
            try:
                lines, more = file.read(loop.clock())
            except OSError as error:
                log.warning("log %s: cannot read %s: %s", self._settings.name, file.path, error)
                return
            if lines and file.identity in self._rotated:
                self._rotated[file.identity] = 0
            self._matcher.take(file, lines, loop.clock())
            if not more:
                break
        self._emit()
        if more:
            loop.call_soon_threadsafe(lambda: self._read_on(file))
        if file.has_partial_line and self._partial is None:
            self._partial = loop.call_later(PARTIAL_SECONDS, self._flush_partial_lines)

    def _read_on(self, file: LogFile) -> None:
        if file.identity in self._files:
            self._read(file)

    def _flush_partial_lines(self) -> None:
        self._partial = None
        for file in self._files.values():
            self._matcher.take(file, file.flush(), self._running().clock())
        self._emit()

    def _emit(self) -> None:
        events, changed = self._matcher.drain()
        if events:
            self._running().emit(events, self._changed_marks())
            self._running().send_now(changed)

    def _remember(self) -> None:
        marks = self._changed_marks()
        if marks:
            self._running().emit((), marks)

    def _changed_marks(self) -> dict[str, str]:
        now = {self._mark_name(file.identity): file.mark for file in self._files.values()}
        now[self.marks] = "followed"
        changed = {name: mark for name, mark in now.items() if self._marked.get(name) != mark}
        changed.update(dict.fromkeys(self._marked.keys() - now.keys(), ""))
        self._marked = now
        return changed

    def _mark_name(self, identity: Identity | None) -> str:
        return "" if identity is None else f"{self.marks}{identity[0]:x}.{identity[1]:x}"

    def _running(self) -> Loop:
        if self._loop is None:
            raise RuntimeError("the source has not been started")
        return self._loop


def _identity(path: str) -> Identity | None:
    """Device and inode of a regular file; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None
