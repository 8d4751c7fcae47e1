"""Watch directories for changed files with watchdog, and tell the loop's thread which they are.

Only loaded where a configuration file or logs are watched: watchdog costs 3 MB and its threads.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from watchdog.events import (
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

log = logging.getLogger(__name__)

CallSoon = Callable[[Callable[[], None]], None]


class Watcher:
    """Calls `changed(paths)` on the loop's thread, the changes of one moment together.

    With `renames`, files that are created and moved are told as well; watchdog then holds back
    what follows a move by up to half a second, which is why logs go without.
    """

    def __init__(
        self, call_soon: CallSoon, changed: Callable[[set[str]], None], *, renames: bool = False
    ) -> None:
        self._call_soon = call_soon
        self._changed = changed
        self._events: list[type[FileSystemEvent]] = [FileModifiedEvent]
        if renames:
            self._events += [FileCreatedEvent, FileMovedEvent]
        self._observer: Any = Observer()
        self._handler = _Handler(self)
        self._watches: dict[tuple[str, int], Any] = {}
        self._refused: set[str] = set()
        self._lock = threading.Lock()
        self._paths: set[str] = set()
        self._observer.start()

    def watch(self, directories: set[str]) -> None:
        """Watch these directories, and no others; those that cannot be are left out."""
        # With the inode, since a directory may have been removed and made anew.
        wanted = {(path, os.stat(path).st_ino) for path in directories if os.path.isdir(path)}
        for gone in self._watches.keys() - wanted:
            with suppress(KeyError, OSError):  # watchdog drops what was removed by itself
                self._observer.unschedule(self._watches.pop(gone))
        for path, inode in sorted(wanted - self._watches.keys()):
            try:
                self._watches[path, inode] = self._observer.schedule(
                    self._handler, path, recursive=False, event_filter=self._events
                )
            except OSError as error:
                if path not in self._refused:
                    self._refused.add(path)
                    log.warning("changes in %s are only seen every round: %s", path, error)

    def stop(self) -> None:
        """End the threads."""
        self._observer.stop()
        self._observer.join(5.0)

    def note(self, path: str) -> None:
        """From watchdog's thread: a path changed."""
        with self._lock:
            first = not self._paths
            self._paths.add(path)
        if first:
            self._call_soon(self._tell)

    def _tell(self) -> None:
        with self._lock:
            paths, self._paths = self._paths, set()
        self._changed(paths)


class _Handler(FileSystemEventHandler):
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                self._watcher.note(os.fsdecode(path))
