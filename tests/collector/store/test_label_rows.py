"""The journal's rows of label sets: few of them however series come, and none is lost."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.store import Store
from forewarn_collector.store.coded import coded
from forewarn_collector.store.label_rows import (
    MOST_SETS,
    SCHEMA,
    NewSeries,
    add_later_rows,
    add_rows,
    drop_from_rows,
    last_ref,
    read_rows,
)
from forewarn_wire import Labels
from support.stores import START, batch, contents, matching, series

Reopen = Callable[..., Store]


def connection() -> sqlite3.Connection:
    opened = sqlite3.connect(":memory:", isolation_level=None)
    opened.executescript(SCHEMA)
    return opened


def sets_of(refs: range) -> list[Labels]:
    return [(("__name__", "m"), ("ref", f"{ref} \0 \ud800 ü")) for ref in refs]


def put(rows: sqlite3.Connection, refs: range) -> None:
    add_rows(rows, NewSeries(np.array(refs, dtype=np.int64), coded(sets_of(refs))))


def held(rows: sqlite3.Connection) -> list[tuple[int, Labels]]:
    found: list[tuple[int, Labels]] = []
    for part in read_rows(rows):
        assert not isinstance(part, ValueError)
        found += zip(part.refs.tolist(), part.sets.labels(), strict=True)
    return found


def expected(*refs: range) -> list[tuple[int, Labels]]:
    return [pair for some in refs for pair in zip(some, sets_of(some), strict=True)]


def count(rows: sqlite3.Connection) -> int:
    return int(rows.execute("SELECT count(*) FROM label_sets").fetchone()[0])


@pytest.mark.parametrize("step", [1, 3, 100, MOST_SETS, MOST_SETS + 1, 3_000])
def test_there_are_few_rows_however_few_series_come_at_a_time(step: int) -> None:
    rows = connection()
    for low in range(1, 3_000, step):
        put(rows, range(low, min(low + step, 3_001)))
    assert held(rows) == expected(range(1, 3_001))[: len(held(rows))]
    assert len(held(rows)) >= 2_999
    # Two for each that is full, where a step and a half fill one; and those that fill up.
    assert count(rows) <= 2 * 3_000 / MOST_SETS + 9
    assert last_ref(rows) == held(rows)[-1][0]


def test_what_is_dropped_leaves_the_others_and_its_refs_are_never_given_again() -> None:
    rows = connection()
    put(rows, range(1, 1_001))
    gone = np.array([1, 2, 500, *range(513, 769), 1_000])
    drop_from_rows(rows, gone)
    kept = [pair for pair in expected(range(1, 1_001)) if pair[0] not in set(gone.tolist())]
    assert held(rows) == kept
    assert count(rows) == 3
    drop_from_rows(rows, np.arange(1, 1_001))
    assert (held(rows), count(rows), last_ref(rows)) == ([], 0, 1_000)
    put(rows, range(1_001, 1_003))
    assert held(rows) == expected(range(1_001, 1_003))


def test_a_copy_gets_what_its_original_took_since_also_where_rows_were_joined() -> None:
    rows, copy = connection(), connection()
    put(rows, range(1, 4))
    rows.backup(copy)
    put(rows, range(4, 8))
    put(rows, range(8, 900))
    add_later_rows(rows, copy)
    assert held(copy) == held(rows) == expected(range(1, 900))
    assert last_ref(copy) == 899
    add_later_rows(rows, copy)
    assert held(copy) == held(rows)


OLD = """
CREATE TABLE series (
    ref INTEGER PRIMARY KEY AUTOINCREMENT, labels TEXT NOT NULL, checksum INTEGER
)
"""
CPU, DISK, NET = series("cpu"), series("disk", mount="/srv ü"), series("net")
TEXTS = {
    1: '[["__name__","cpu"]]',
    3: '[["__name__","disk"],["mount","/srv \\u00fc"]]',
    4: '[["__name__","net"]]',
}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_label_sets_of_a_data_directory_of_before_format_4_are_taken_over(
    reopen: Reopen, tmp_path: Path, version: int
) -> None:
    store = reopen()
    # Refs 1 to 9: those that the old file names, and some that it has no more.
    others = [series("gone", k=str(k)) for k in range(6)]
    order = [CPU, others[0], DISK, NET, *others[1:]]
    store.append(batch(*((labels, START, float(k)) for k, labels in enumerate(order)))).result(10)

    def row(ref: int) -> str:
        text = TEXTS[ref].replace("'", "''")
        # Version 1 had no checksums.
        checksum = zlib.crc32(TEXTS[ref].encode(), ref) if version > 1 else "NULL"
        return f"INSERT INTO series VALUES ({ref}, '{text}', {checksum})"

    damage = "UPDATE series SET labels = '[[\"__name__\"' WHERE ref = 4"
    last = "UPDATE sqlite_sequence SET seq = 9 WHERE name = 'series'"
    drop = "DROP TABLE label_sets", "DROP TABLE label_copies"
    store = reopen(*drop, OLD, *map(row, TEXTS), damage, last, f"PRAGMA user_version = {version}")
    assert store.stats().damaged == 1
    assert contents(store, []) == {CPU: [(START, 0.0)], DISK: [(START, 2.0)]}
    # A ref that was given out once is not given again: old samples would be its own.
    store.append(batch((NET, START + 1, 5.0))).result(10)
    store = reopen()
    assert store.stats().damaged == 0
    assert contents(store, matching("net")) == {NET: [(START + 1, 5.0)]}
    with sqlite3.connect(tmp_path / "data" / "store.db") as reader:
        assert last_ref(reader) == 10
        assert reader.execute("PRAGMA user_version").fetchone() == (4,)
        assert not reader.execute("SELECT 1 FROM sqlite_schema WHERE name = 'series'").fetchall()
    reader.close()
