"""Which streams of events meet matchers, by the index of their labels on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from forewarn_collector.store.columns import Matcher, MatchOp
from forewarn_collector.store.events import EVENTS_METRIC
from forewarn_collector.store.matching import predicate
from forewarn_wire.labels import METRIC_NAME


def streams_of(
    connection: sqlite3.Connection, selectors: Sequence[Sequence[Matcher]]
) -> set[int] | None:
    """The ids of the streams that meet any of the sets of matchers; None for all streams.

    A stream's metric is the one that counts events.

    Raises ValueError for a bad regex.
    """
    found: set[int] = set()
    for matchers in selectors:
        some = _meeting(connection, matchers)
        if some is None:
            return None
        found |= some
    return found if selectors else None


def _meeting(connection: sqlite3.Connection, matchers: Sequence[Matcher]) -> set[int] | None:
    found: set[int] | None = None
    without: set[int] = set()
    for matcher in matchers:
        meets = predicate(matcher)
        if matcher.name == METRIC_NAME:
            if not meets(EVENTS_METRIC):
                return set()
        elif meets(""):
            # Streams without the label meet it as well, so look for those that don't.
            without |= _valued(connection, matcher, wanted=False)
        else:
            some = _valued(connection, matcher, wanted=True)
            found = some if found is None else found & some
    if found is None:
        if not without:
            return None
        found = {row[0] for row in connection.execute("SELECT id FROM event_streams")}
    return found - without


def _valued(connection: sqlite3.Connection, matcher: Matcher, *, wanted: bool) -> set[int]:
    """Streams that have the label, with a value that meets the matcher or, not `wanted`, fails."""
    if matcher.op is MatchOp.EQUAL and wanted:
        rows = connection.execute(
            "SELECT stream FROM event_pairs WHERE name = ? AND value = ?",
            (matcher.name, matcher.value),
        )
        return {row[0] for row in rows}
    meets = predicate(matcher)
    found: set[int] = set()
    last, fits = None, False
    for value, stream in connection.execute(
        "SELECT value, stream FROM event_pairs WHERE name = ?", (matcher.name,)
    ):
        if value != last:
            last, fits = value, meets(value) is wanted
        if fits:
            found.add(stream)
    return found
