"""The agent's durable buffer: bodies ready to send, kept until acknowledged, bounded in bytes.

Events and the marks of how far their source has read are written in one transaction. While the
disk is full, a short tail is kept in memory and goes to the file when there is room; a damaged
file is set aside. Whatever is lost is counted, and the counts survive with the rest.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO, NamedTuple, TypeVar

from forewarn_agent.spool_file import CHANGES, EVENTS, SAMPLES, Entry, SpoolFile

__all__ = ["CHANGES", "EVENTS", "SAMPLES", "Entry", "Spool", "SpoolError", "SpoolStats"]

log = logging.getLogger(__name__)

KIND_NAMES = ("samples", "samples", "events")
FILE = "spool.db"
MEMORY_BYTES = 2**20
"""How much is kept while the disk takes nothing."""

T = TypeVar("T")


class SpoolError(RuntimeError):
    """The spool cannot be used at all; the message says what to do."""


class SpoolStats(NamedTuple):
    """How full the spool is, and what was ever lost, by kind ("samples", "events")."""

    entries: int
    bytes: int
    dropped: Mapping[str, int]
    rejected: Mapping[str, int]
    damaged: int


class Spool:
    """Appended to by the main thread, emptied by the sender's; every method is thread-safe."""

    def __init__(self, directory: str, max_size: int) -> None:
        self._directory = directory
        self._path = os.path.join(directory, FILE)
        self._max_size = max_size
        self._lock = threading.RLock()
        self._owner: IO[str] | None = None
        self._file: SpoolFile | None = None
        self._memory: dict[int, Entry] = {}
        self._gone: set[int] = set()
        """Rows that are done with, but still in the file."""
        self._marks: dict[str, str] = {}
        """Marks that are not in the file yet."""
        self._counters: dict[str, int] = {}
        self._last_id = 0
        self._newest_sent = 0
        self._trouble = ""
        self._closed = False

    def open(self) -> None:
        """Open or create the file; a damaged one is set aside. Raises SpoolError."""
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            self._owner = open(os.path.join(self._directory, "lock"), "a")  # noqa: SIM115 - kept
            if not os.access(self._directory, os.W_OK):
                raise PermissionError(13, "it is not writable")
        except OSError as error:
            raise SpoolError(
                f"cannot use the spool {self._directory}: {error.strerror};"
                " choose another with --spool"
            ) from error
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._owner.close()
            raise SpoolError(
                f"another forewarn-agent uses the spool {self._directory};"
                " stop it, or choose another with --spool"
            ) from error
        with self._lock:
            self._guarded(self._connect, None)

    def close(self) -> None:
        """Write what is still in memory, and close."""
        with self._lock:
            self._write(())
            self._closed = True
            if self._file is not None:
                self._file.close()
                self._file = None
            if self._owner is not None:
                self._owner.close()

    def append(
        self,
        kind: int,
        time: int,
        signals: int,
        body: bytes,
        marks: Mapping[str, str] | None = None,
    ) -> None:
        """Keep a body (none if it is empty) and marks; durable on return unless the disk is full.

        An empty mark is forgotten.
        """
        with self._lock:
            self._marks.update(marks or {})
            entries: list[Entry] = []
            if body:
                self._last_id += 1
                entries.append(Entry(self._last_id, kind, time, signals, body))
                self._guarded(lambda: self._make_room(entries[0].cost), None)
            self._write(entries)

    def next(self, limit: int = 1, max_bytes: int = 2**18) -> list[Entry]:
        """What to send next: newest events, changes, the newest samples, then older ones in order.

        At most `limit` events at a time, oldest of them first; samples one by one.
        """
        with self._lock:
            events = self._newest(EVENTS, limit)
            if events:
                return _within(events, max_bytes)
            newest = self._newest(CHANGES, 1) or self._newest(SAMPLES, 1)
            if newest and newest[0].kind == SAMPLES and newest[0].id <= self._newest_sent:
                return self._oldest_samples()
            return newest

    def acknowledge(self, entries: Sequence[Entry]) -> None:
        """The collector has these: forget them."""
        with self._lock:
            sent = [entry.id for entry in entries if entry.kind == SAMPLES]
            self._newest_sent = max([self._newest_sent, *sent])
            self._forget(entries)

    def reject(self, entries: Sequence[Entry]) -> None:
        """The collector calls these invalid: count and forget them."""
        with self._lock:
            for entry in entries:
                self._count(f"rejected_{KIND_NAMES[entry.kind]}", entry.signals)
            self.acknowledge(entries)

    def count_rejected(self, kind: int, count: int) -> None:
        """Count what the collector rejected out of a body that it took."""
        with self._lock:
            self._count(f"rejected_{KIND_NAMES[kind]}", count)

    def replace(self, entry: Entry, parts: Sequence[tuple[int, bytes]]) -> None:
        """Put several (signals, body) in the place of one that was too large for the collector."""
        with self._lock:
            for signals, body in parts:
                self.append(entry.kind, entry.time, signals, body)
            self._forget([entry])

    def marks(self, prefix: str) -> dict[str, str]:
        """The marks whose names start with `prefix`."""
        with self._lock:
            found: dict[str, str] = {}
            found = self._read(lambda file: file.marks(prefix), found)
            found.update((k, v) for k, v in self._marks.items() if k.startswith(prefix))
            return {name: value for name, value in found.items() if value}

    def stats(self) -> SpoolStats:
        """How full it is and what was lost."""
        with self._lock:
            lost = [
                {kind: self._counters.get(f"{what}_{kind}", 0) for kind in ("samples", "events")}
                for what in ("dropped", "rejected")
            ]
            entries = len(self._memory) - len(self._gone)
            size = sum(entry.cost for entry in self._memory.values())
            if self._file is not None:
                entries += self._file.entries
                size += self._file.bytes
            return SpoolStats(entries, size, lost[0], lost[1], self._counters.get("damaged", 0))

    # What follows runs under the lock.

    def _connect(self) -> None:
        file = SpoolFile(self._path)
        try:
            counters = file.counters()
        except BaseException:
            file.close()
            raise
        self._file = file
        for name, value in counters.items():
            self._counters[name] = self._counters.get(name, 0) + value
        # An id is never used twice, so that an acknowledgement cannot meet a later entry.
        self._last_id = max(self._last_id, file.last_id, self._counters.pop("last_id", 0))

    def _guarded(self, action: Callable[[], T], otherwise: T) -> T:
        """Do something with the file; a damaged one is set aside, a full disk is noted."""
        try:
            return action()
        except (sqlite3.OperationalError, OSError) as error:
            self._note_trouble(error)
        except sqlite3.DatabaseError as error:
            self._set_aside(error)
        return otherwise

    def _note_trouble(self, error: Exception) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            log.error(
                "cannot use the spool %s (%s); keeping the last %d KiB in memory until it can be",
                self._path,
                error,
                MEMORY_BYTES // 1024,
            )

    def _set_aside(self, error: Exception) -> None:
        aside = self._path + ".damaged"
        log.error("the spool is damaged (%s); set aside as %s, starting anew", error, aside)
        if self._file is not None:
            self._file.close()
            self._file = None
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                os.replace(self._path + suffix, aside + suffix)
        self._gone.clear()
        self._count("damaged", 1)

    def _write(self, entries: Sequence[Entry]) -> None:
        """Write these and all that waits in memory in one transaction, or keep all in memory."""
        if self._closed:
            return  # a sender that did not end in time: the entry it holds is still in the file
        # Twice, since a damaged file is set aside and a new one takes its place at once.
        if not any(self._guarded(lambda: self._write_now(entries), False) for _ in range(2)):
            self._keep_in_memory(entries)

    def _write_now(self, entries: Sequence[Entry]) -> bool:
        if self._file is None:
            self._connect()
        assert self._file is not None  # noqa: S101 - tells the type checker what _connect did
        counters = {**self._counters, "last_id": self._last_id}
        entries = [*self._memory.values(), *entries]
        self._file.write(entries, self._gone, self._marks, counters)
        self._memory.clear()
        self._gone.clear()
        self._marks.clear()
        if self._trouble:
            log.warning("the spool can be used again")
            self._trouble = ""
        return True

    def _keep_in_memory(self, entries: Sequence[Entry]) -> None:
        self._memory.update((entry.id, entry) for entry in entries)
        size = sum(entry.cost for entry in self._memory.values())
        for entry in sorted(self._memory.values(), key=lambda e: (e.kind, e.id)):
            if size <= MEMORY_BYTES:
                break
            size -= entry.cost
            del self._memory[entry.id]
            self._count(f"dropped_{KIND_NAMES[entry.kind]}", entry.signals)

    def _forget(self, entries: Sequence[Entry]) -> None:
        if self._closed:
            return
        for entry in entries:
            if self._memory.pop(entry.id, None) is None:
                self._gone.add(entry.id)
        if self._file is not None and self._gone:
            self._guarded(self._forget_now, None)

    def _forget_now(self) -> None:
        assert self._file is not None  # noqa: S101 - tells the type checker what the caller saw
        self._file.forget(self._gone)
        self._gone.clear()

    def _count(self, name: str, count: int) -> None:
        self._counters[name] = self._counters.get(name, 0) + count

    def _make_room(self, size: int) -> None:
        """Drop plain samples, oldest first, then the oldest of the rest, and count the loss."""
        if self._file is None:
            return
        over = self._file.bytes + size - self._max_size
        for kind in (SAMPLES, CHANGES, EVENTS):
            if over <= 0:
                return
            for number, signals, cost in self._file.costs(kind):
                if over <= 0:
                    break
                over -= cost
                if number not in self._gone:
                    self._gone.add(number)
                    self._count(f"dropped_{KIND_NAMES[kind]}", signals)

    def _read(self, query: Callable[[SpoolFile], T], otherwise: T) -> T:
        file = self._file
        return otherwise if file is None else self._guarded(lambda: query(file), otherwise)

    def _newest(self, kind: int, limit: int) -> list[Entry]:
        found: list[Entry] = []
        found = self._read(lambda file: file.newest(kind, limit + len(self._gone)), found)
        found += [entry for entry in self._memory.values() if entry.kind == kind]
        alive = [entry for entry in found if entry.id not in self._gone]
        return sorted(alive, key=lambda entry: -entry.id)[:limit]

    def _oldest_samples(self) -> list[Entry]:
        found: list[Entry] = []
        found = self._read(lambda file: file.oldest(SAMPLES, 1 + len(self._gone)), found)
        found += [entry for entry in self._memory.values() if entry.kind == SAMPLES]
        alive = [entry for entry in found if entry.id not in self._gone]
        return sorted(alive, key=lambda entry: entry.id)[:1]


def _within(newest: Sequence[Entry], max_bytes: int) -> list[Entry]:
    """As many of the newest as fit (one at least), oldest first."""
    taken: list[Entry] = []
    size = 0
    for entry in newest:
        size += len(entry.body)
        if taken and size > max_bytes:
            break
        taken.append(entry)
    return taken[::-1]
