"""Events: bytes on disk, time to insert and to search, at a million of them.

    python tests/bench/events.py [COUNT]

Lines of four kinds (nginx, key=value, kernel, stack traces) of 10,000 hosts; a group of 500 events
a commit, then single ones. Nothing is asserted.
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from forewarn_collector.store import EventQuery, Matcher, MatchOp, Store
from forewarn_collector.store.eventlog.rows import EventLog
from forewarn_collector.store.eventlog.tending import EventTender
from forewarn_collector.store.journal import Journal
from forewarn_wire import Event, Labels, Severity, labels_from

START = 1_700_000_000_000
GAP = 86
"""Milliseconds between two events: a million in a day."""
HOSTS = 10_000
_TEXT = (
    "connection refused timeout error reading upstream request client server failed permission"
    " denied disk full retry backoff session expired cache miss worker exit signal memory limit"
    " database slow lock deadlock transaction rollback replica lag queue consumer partition leader"
)
WORDS = _TEXT.split()


def line(chance: random.Random) -> str:
    """One line of a log."""
    bits = chance.getrandbits(64)
    match chance.randrange(10):
        case 0 | 1 | 2:
            return (
                "connect() failed (111: Connection refused) while connecting to upstream, client:"
                f" 10.{bits & 255}.{bits >> 8 & 255}.1, request: "
                f'"GET /api/v{bits % 3}/orders/{bits >> 20 & 0xFFFFF} HTTP/1.1"'
            )
        case 3 | 4 | 5:
            words = " ".join(chance.choices(WORDS, k=12))
            return f"request_id={bits:016x} {words} path=/var/lib/app/data-{bits % 5000}.log"
        case 6 | 7 | 8:
            return (
                f"Out of memory: Killed process {bits % 65536} (java) total-vm:{bits % 9999999}kB"
            )
    frames = "\n".join(
        f"\tat com.example.{chance.choice(WORDS)}.{chance.choice(WORDS)}(A.java:{bits % 512})"
        for _ in range(12)
    )
    return f"panic: {' '.join(chance.choices(WORDS, k=5))} v1.{bits % 99}\n{frames}"


def events(count: int) -> Iterator[Event]:
    """Events in the order of time."""
    chance = random.Random(1)
    labels: dict[int, Labels] = {}
    for number in range(count):
        host = chance.randrange(HOSTS)
        own = labels.setdefault(
            host, labels_from({"instance": f"web{host}", "job": f"app{host % 20}"})
        )
        severity = chance.choices(list(Severity), (1, 1, 80, 15, 3, 0.01))[0]
        uid = f"web{host}:syslog:{chance.getrandbits(32)}:{number}"
        yield Event(START + number * GAP, "log", severity, own, line(chance), uid)


def main() -> None:
    """Fill a directory and print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, count)
        sizes(folder, count)
        search(folder, count)
        drop(folder)


def fill(folder: Path, count: int) -> None:
    """Insert through the journal itself, so that only events are measured."""
    journal = Journal(folder / "store.db")
    log = EventLog(journal)
    log.prepare()
    group: list[Event] = []
    spent = 0.0
    for event in events(count):
        group.append(event)
        if len(group) == 500:
            spent += commit(journal, log, group)
            group = []
    print(f"insert, 500 a commit: {spent / count * 1e6:.0f} us an event")
    later = [
        event._replace(time=event.time + count * GAP, uid=f"x{event.uid}") for event in events(300)
    ]
    alone = sorted(commit(journal, log, [event]) for event in later)
    print(f"insert, 1 a commit: {alone[150] * 1e3:.1f} ms, at most {alone[-1] * 1e3:.1f}")
    again = commit(journal, log, later)
    print(f"resend of 300: {again / 300 * 1e6:.0f} us an event")
    journal.close()


def commit(journal: Journal, log: EventLog, group: list[Event]) -> float:
    """One commit; its seconds."""
    began = time.perf_counter()
    with journal.transaction():
        log.insert([group])
    return time.perf_counter() - began


def sizes(folder: Path, count: int) -> None:
    """Bytes an event, by table."""
    plain = sum(len(event.body) + len(event.uid) for event in events(10_000)) / 10_000
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        rows = connection.execute(
            "SELECT name, sum(pgsize) FROM dbstat GROUP BY name HAVING sum(pgsize) > ?", (count,)
        ).fetchall()
        stated = connection.execute("SELECT value FROM event_state WHERE name = 'bytes'").fetchone()
    total = sum(size for _, size in rows)
    print(
        f"bytes an event: {total / count:.0f} of {plain:.0f} sent ({stated[0] / count:.0f} stated)"
    )
    for name, size in sorted(rows, key=lambda row: -row[1]):
        print(f"  {name:24} {size / count:6.1f}")


def search(folder: Path, count: int) -> None:
    """Milliseconds of the second of two equal searches, for a page of 100."""
    store = Store(folder, retention=1 << 45, clock=lambda: START + 2 * count * GAP)
    store.open()
    host = [Matcher("instance", MatchOp.EQUAL, "web77")]
    fatal = [Matcher("severity", MatchOp.EQUAL, "fatal")]
    warn = [Matcher("severity", MatchOp.REGEX, "warn|error|fatal")]
    regex = [Matcher("instance", MatchOp.REGEX, "web7.*")]
    for name, selectors, text in (
        ("all", [], ""),
        ("one host", [host], ""),
        ("severity fatal", [fatal], ""),
        ("severity from warn", [warn], ""),
        ("hosts by regex", [regex], ""),
        ("common word", [], "refused"),
        ("rare word", [], "web77x"),
        ("two words", [], "deadlock lag"),
        ("phrase", [], '"connection refused"'),
        ("path", [], "/var/lib/app/data-77.log"),
        ("prefix", [], "conn*"),
        ("short prefix", [], "e*"),
        ("word without another", [], "deadlock -lag"),
        ("word on one host", [host], "refused"),
        ("word from warn", [warn], "refused"),
    ):
        for _ in range(2):
            began = time.perf_counter()
            page = store.event_store.search(EventQuery(0, 1 << 45, 100, selectors, text), 60)
            seconds = time.perf_counter() - began
        print(f"  {name:24} {len(page.events):4} events {seconds * 1e3:8.1f} ms")
    store.close()


def drop(folder: Path) -> None:
    """What a slice of retention costs."""
    journal = Journal(folder / "store.db")
    tender = EventTender(journal, EventLog(journal), 1 << 20)
    times = []
    for _ in range(20):
        began = time.perf_counter()
        tender.tend(0)
        times.append(time.perf_counter() - began)
    print(f"retention: {sorted(times)[10] * 1e3:.0f} ms a slice, at most {max(times) * 1e3:.0f}")
    journal.close()


if __name__ == "__main__":
    main()
