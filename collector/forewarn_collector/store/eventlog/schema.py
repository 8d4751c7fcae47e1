"""The tables of events, their few running figures, and what an event's row costs.

An event's `id` is its time and a number within the millisecond, so that the table, the index by
stream and the text index all lie in the order of time, and a page begins where another ended.
A stream is what events have in common: type, severity and labels.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from hashlib import blake2b

from forewarn_wire import Labels

ID_BITS = 14
"""Events in one millisecond: what goes over counts to the next one."""
LEAST_ID, GREATEST_ID = -(1 << 63), (1 << 63) - 1
UNINDEXED = GREATEST_ID
"""`text_from` where no event at all is in the text index."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS event_streams (id INTEGER PRIMARY KEY, labels TEXT NOT NULL,"
    " type TEXT NOT NULL, severity TEXT NOT NULL, UNIQUE (labels, type, severity))",
    # The labels, type and severity of each stream: what matchers look at.
    "CREATE TABLE IF NOT EXISTS event_pairs (name TEXT, value TEXT, stream INTEGER,"
    " PRIMARY KEY (name, value, stream)) WITHOUT ROWID",
    # Long text is compressed, and then a BLOB; NULL stands for no attributes.
    "CREATE TABLE IF NOT EXISTS event_log (id INTEGER PRIMARY KEY, stream INTEGER NOT NULL,"
    " uid TEXT NOT NULL, body NOT NULL, attributes)",
    "CREATE INDEX IF NOT EXISTS event_log_stream ON event_log (stream)",
    # A hash of 8 bytes in place of the text makes the index half as large.
    "CREATE TABLE IF NOT EXISTS event_uids (hash INTEGER, id INTEGER, PRIMARY KEY (hash, id))"
    " WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS event_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL)"
    " WITHOUT ROWID",
)
TEXT_TABLE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS event_text USING fts5"
    "(text, content='', columnsize=0, tokenize='unicode61 remove_diacritics 2')"
)

_COMPRESSED_FROM = 512
"""Characters from which text is compressed: a shorter line gains nothing worth its time."""
_ROW_BYTES = 110
"""What an event takes besides its texts: row, three indexes, its part of half-full pages."""


@dataclass(frozen=True, slots=True)
class EventState:
    """Running figures, kept with the events themselves.

    `bytes` is what the events take on disk, indexes included, by `cost`. What is older than
    `horizon` (ms) was dropped, and is not taken again. Events with an id from `text_from` on are in
    the text index; `taken_out` of it were so many since it was last merged, which goes on while
    `merging`. The `dropped_*` count events since the data directory was made.
    """

    events: int = 0
    bytes: int = 0
    horizon: int = 0
    text_from: int = LEAST_ID
    taken_out: int = 0
    merging: int = 0
    dropped_age: int = 0
    dropped_size: int = 0
    dropped_late: int = 0


def load_state(connection: sqlite3.Connection) -> EventState:
    """The figures as they stand."""
    known = {field.name for field in fields(EventState)}
    rows = connection.execute("SELECT name, value FROM event_state")
    return replace(EventState(), **{name: value for name, value in rows if name in known})


def save_state(connection: sqlite3.Connection, before: EventState, after: EventState) -> None:
    """Within a transaction: note the figures that have changed."""
    connection.executemany(
        "INSERT INTO event_state (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (
            (field.name, getattr(after, field.name))
            for field in fields(EventState)
            if getattr(after, field.name) != getattr(before, field.name)
        ),
    )


def mark_unindexed(connection: sqlite3.Connection) -> None:
    """Have the collector make the index of texts anew, where there are events at all."""
    if connection.execute("PRAGMA table_info(event_state)").fetchall():
        connection.execute(
            "INSERT INTO event_state VALUES ('text_from', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (UNINDEXED,),
        )


def first_id(time: int) -> int:
    """The least id that an event at `time` (ms) may have."""
    return min(max(time << ID_BITS, LEAST_ID), GREATEST_ID)


def time_of(number: int) -> int:
    """The time (ms) of the event with this id."""
    return number >> ID_BITS


def pairs_of(kind: str, severity: str, labels: Labels) -> dict[str, str]:
    """What matchers look at; an event's own type and severity win, as in its counter."""
    return {**dict(labels), "type": kind, "severity": severity}


def uid_hash(uid: str) -> int:
    """Eight bytes that stand for a uid in the index."""
    return int.from_bytes(blake2b(uid.encode(), digest_size=8).digest(), "big", signed=True)


def packed(text: str) -> str | bytes:
    """Text as it is stored."""
    if len(text) < _COMPRESSED_FROM:
        return text
    plain = text.encode()
    smaller = zlib.compress(plain, 1)
    return smaller if len(smaller) < len(plain) * 3 // 4 else text


def unpacked(stored: str | bytes) -> str:
    """What `packed` stored. Raises ValueError where it is damaged."""
    if isinstance(stored, str):
        return stored
    try:
        return zlib.decompress(stored).decode()
    except (zlib.error, TypeError) as error:
        raise ValueError(f"damaged text: {error}") from error


def packed_attributes(attributes: Mapping[str, str]) -> str | bytes | None:
    """Attributes as they are stored."""
    if not attributes:
        return None
    return packed(json.dumps(dict(attributes), ensure_ascii=False, separators=(",", ":")))


def unpacked_attributes(stored: str | bytes | None) -> dict[str, str]:
    """What `packed_attributes` stored. Raises ValueError where it is damaged."""
    if stored is None:
        return {}
    found = json.loads(unpacked(stored))
    if not isinstance(found, dict):
        raise ValueError("damaged attributes")
    return {str(name): str(value) for name, value in found.items()}


def text_of(body: str, attributes: Mapping[str, str]) -> str:
    """What a search by text sees: the body and the values of the attributes, on lines."""
    return "\n".join((body, *attributes.values()))


def cost(uid: str, body: str | bytes, attributes: str | bytes | None, text: str) -> int:
    """About the bytes that an event takes on disk; its text once more, for the text index."""
    return _ROW_BYTES + len(uid) + len(body) + len(attributes or "") + len(text)
