"""Silences as rows of the ledger, and the gate that they are."""

from __future__ import annotations

import logging
import threading
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from forewarn_collector.silencing import (
    RETENTION,
    Matcher,
    MatchKind,
    NoSuchSilenceError,
    Silence,
    SilenceState,
    expired,
    matches_all,
    set_silence,
)
from forewarn_collector.tasks.audit import Actor, AuditEntry, add_audit
from forewarn_collector.tasks.gates import GatedAlert, Hold, HoldKind
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.once import Once
from forewarn_collector.tasks.rows import Row, rows_of
from forewarn_collector.tasks.schema_silences import silences
from forewarn_wire import Labels

log = logging.getLogger(__name__)

_MOST_KNOWN = 100_000

Matched = Mapping[tuple[Matcher, ...], dict[str, bool]]


class Silences:
    """All silences, in memory as in the ledger. Every method may be called from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lock = threading.Lock()
        self._known: Mapping[str, Silence] = {}
        self._answers = _Answers((), {})

    def load(self) -> None:
        """Read them from the ledger, which collectors may share. Raises LedgerError."""
        with self._lock:
            with self._ledger.read() as connection:
                found = [_silence(row) for row in rows_of(connection.execute(select(silences)))]
            self._known = {silence.id: silence for silence in found}

    def all(self) -> list[Silence]:
        """All of them, those that expired not long ago among them."""
        return list(self._known.values())

    def one(self, silence_id: str) -> Silence:
        """The silence with an id. Raises NoSuchSilenceError."""
        found = self._known.get(silence_id)
        if found is None:
            raise NoSuchSilenceError
        return found

    def refuse_repeated(self, once: Once) -> None:
        """Raise RepeatedError for what was done before, KeyReusedError or LedgerError."""
        with self._ledger.read() as connection:
            once.refuse_repeated(connection)

    def set(self, given: Silence, actor: Actor, at: int, once: Once | None = None) -> Silence:
        """Make a silence, or change the one with its id, at a time (ms); what it has become.

        Raises SilenceError, LedgerError, and what `once` raises.
        """
        with self._lock:
            written = set_silence(self._known, given, at, str(uuid.uuid4()))
            self._write(written, actor, at, once)
        return written[-1]

    def expire(self, silence_id: str, actor: Actor, at: int, once: Once | None = None) -> Silence:
        """End a silence. Once it has ended that changes nothing. Raises as `set` does."""
        with self._lock:
            before = self.one(silence_id)
            after = expired(before, at)
            if after != before:
                self._write((after,), actor, at, once)
        return after

    def counts(self, at: int) -> Mapping[SilenceState, int]:
        """How many stand in each state."""
        return Counter(silence.state(at) for silence in self._known.values())

    def silencing(self, labels: Labels, at: int) -> list[Silence]:
        """The silences that an alert with these labels is under."""
        values = dict(labels)
        return [silence for silence in self._known.values() if silence.silences(values, at)]

    def holds(
        self, asked: Sequence[GatedAlert], firing: Collection[GatedAlert], at: int
    ) -> Sequence[Hold | None]:
        """The gate: of several silences, the one that ends last holds an alert."""
        active = tuple(
            silence for silence in self._known.values() if silence.state(at) is SilenceState.ACTIVE
        )
        answers = self._answers
        if answers.active != active:
            answers = self._answers = _Answers(active, answers.matched)
        return [answers.of(alert) for alert in asked] if active else [None] * len(asked)

    def _write(self, written: Sequence[Silence], actor: Actor, at: int, once: Once | None) -> None:
        known = dict(self._known)
        entries = [_entry(known.get(silence.id), silence, actor, at) for silence in written]
        old = [silence.id for silence in known.values() if silence.ends_at < at - RETENTION]
        with self._ledger.write() as connection:
            if once is not None:
                once.begin(connection, at)
            _save(connection, written, old)
            add_audit(connection, entries)
            if once is not None:
                once.end(connection, written[-1].to_json(at), at)
        for name in old:
            del known[name]
        self._known = known | {silence.id: silence for silence in written}
        for entry, silence in zip(entries, written, strict=True):
            matchers = ", ".join(str(matcher) for matcher in silence.matchers)
            until = spelled(silence.ends_at)
            # As literals: a line break in them would make a line that nobody wrote.
            log.info(
                "%s %s by %r: %r until %s: %r",
                entry.action,
                silence.id,
                silence.created_by or actor.name,
                f"{{{matchers}}}",
                until,
                silence.comment,
            )


class _Answers:
    """What a set of active silences says of alerts, each looked at once for each silence.

    `matched` says which matchers an alert is known to meet; it outlives the set.
    """

    def __init__(self, active: tuple[Silence, ...], matched: Matched) -> None:
        self.active = active
        self.matched = {each.matchers: matched.get(each.matchers, {}) for each in active}
        self._last_first = sorted(active, key=lambda silence: (-silence.ends_at, silence.id))
        self._known: dict[str, Hold | None] = {}

    def of(self, alert: GatedAlert) -> Hold | None:
        if alert.id not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
                self.matched = {matchers: {} for matchers in self.matched}
            self._known[alert.id] = self._find(alert)
        return self._known[alert.id]

    def _find(self, alert: GatedAlert) -> Hold | None:
        labels: dict[str, str] | None = None
        for silence in self._last_first:
            matched = self.matched[silence.matchers]
            if alert.id not in matched:
                labels = labels or dict(alert.labels)
                matched[alert.id] = matches_all(silence.matchers, labels)
            if matched[alert.id]:
                text = f"silenced by {silence.created_by} until {spelled(silence.ends_at)}"
                said = f"{text}: {silence.comment}" if silence.comment else text
                return Hold(HoldKind.SILENCE, silence.id, said, silence.ends_at)
        return None


def spelled(milliseconds: int) -> str:
    """A time as people read it, in UTC; "for ever" beyond the calendar."""
    try:
        when = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "for ever"
    return when.strftime("%Y-%m-%d %H:%M UTC")


def _entry(before: Silence | None, after: Silence, actor: Actor, at: int) -> AuditEntry:
    if before is None:
        action = "silence created"
    elif after.state(at) is SilenceState.EXPIRED:
        action = "silence expired"
    else:
        action = "silence changed"
    detail = actor.detail(_row(after))
    return AuditEntry(at, actor.name, actor.role, action, after.id, after.comment, detail)


def _save(connection: Connection, written: Sequence[Silence], old: Sequence[str]) -> None:
    for name in [*old, *(silence.id for silence in written)]:
        connection.execute(delete(silences).where(silences.c.id == name))
    connection.execute(insert(silences), [_row(silence) for silence in written])


def _row(silence: Silence) -> Row:
    return {
        "id": silence.id,
        "matchers": [[each.name, each.kind.value, each.value] for each in silence.matchers],
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "updated_at": silence.updated_at,
        "created_by": silence.created_by,
        "comment": silence.comment,
    }


def _silence(row: Mapping[str, Any]) -> Silence:
    matchers = [Matcher(name, value, MatchKind(kind)) for name, kind, value in row["matchers"]]
    return Silence(**{**row, "matchers": tuple(matchers)})
