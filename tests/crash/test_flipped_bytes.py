"""A byte of a data directory flips: the rest serves on, and what is lost is told.

Where the collector refuses to start it says what to run, and after that it starts.

`FOREWARN_CRASH_FLIPS` of the environment is how many flips to try, `FOREWARN_CRASH_SEED` which.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from crash.comparing import Before, before_start
from crash.lives import Death, Found, Lives, lives
from crash.load import DeskServer, Load
from crash.truth import NOTHING, SERIES, bits_of
from forewarn_collector.care import examine, repair
from support.waiting import wait_until

FLIPS = int(os.environ.get("FOREWARN_CRASH_FLIPS", "12"))
SEED = int(os.environ.get("FOREWARN_CRASH_SEED", "5"))
REFUSED = "refused, and starts after the repair that it names"
"""For a page by which SQLite itself finds its way."""
FILES = ("store.db", "sealed.db", "ledger.db")
ROWS = {
    "store.db": (("journal", "columns"), ("label_sets", "sets")),
    "sealed.db": (("chunks", "directory"), ("blocks", "data")),
}
PIECE = 24
SILENT = "lost in silence"
Outcomes = Counter[str]
TOLD = "the rest serves on, and it is told"
FINE = ("harmless", "harmless, and told", TOLD, REFUSED)
DAY = 86_400_000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Before]]:
    """A data directory with chunks and a journal that is not sealed, and what is in it."""
    folder = tmp_path_factory.mktemp("written")
    with DeskServer() as desk, lives(folder, desk.url) as collectors:
        with Load(collectors, desk, ((0, 0), (2 * DAY, 0)), lanes=0, pause=0.01) as load:
            for upkeep in (True, False):
                collectors.begin(upkeep=upkeep)
                collectors.listening()
                enough = len(load.senders[0].sent.acknowledged) + 80
                wait_until(
                    "ticks are taken",
                    lambda enough=enough: all(
                        len(each.sent.acknowledged) > enough for each in load.senders
                    ),
                    60,
                )
                os.kill(collectors.process, signal.SIGKILL)
                collectors.end()
        known = before_start(load.senders)
    for name in FILES:
        # What is in the write-ahead log comes to the file: a flip there is a torn write to SQLite.
        with closing(sqlite3.connect(folder / "data" / name)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return folder / "data", known


def harm(found: Found, known: list[Before]) -> tuple[int, int]:
    """How many samples are missing, and how many are there with another value or time."""
    missing = wrong = 0
    for before in known:
        numbers, times, acknowledged = before.columns
        for series in range(SERIES):
            stored = found.series.get((before.sender, series), NOTHING)
            place = np.minimum(np.searchsorted(times, stored.times), len(times) - 1)
            right = times[place] == stored.times
            right &= bits_of(before.sender, series, numbers[place]) == stored.values
            wrong += int((~right).sum())
            there = np.zeros(len(times), dtype=np.bool_)
            there[place[right]] = True
            missing += int((acknowledged & ~there).sum())
    return missing, wrong


def outcome(collectors: Lives, known: list[Before]) -> str:
    """Start a collector, and say in a word how it fares."""
    before = len(collectors.log)
    collectors.begin(upkeep=False)
    answer = collectors.listening_or_end()
    if isinstance(answer, str):
        if f"forewarn doctor --repair {collectors.data}" not in answer:
            return f"refused: {answer}"
        repair(collectors.data, examine(collectors.data, lambda _: None))
        again = outcome(collectors, known)
        return REFUSED if again in FINE else f"refused, and after a repair: {again}"
    if isinstance(answer, Death):
        return f"ended: {collectors.log[before:][-1_000:]}"
    found = collectors.found()
    collectors.stop()
    assert found is not None
    missing, wrong = harm(found, known)
    told = any(found.damaged) or "damaged" in collectors.log[before:]
    if wrong:
        return "samples changed"
    if missing:
        return TOLD if told else SILENT
    return "harmless, and told" if told else "harmless"


def place_of(dice: random.Random, file: Path) -> int:
    """Where in a file a byte of a commit, of labels, of a directory or of a block is."""
    table, column = dice.choice(ROWS[file.name])
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
        rows = connection.execute(f"SELECT CAST({column} AS BLOB) FROM {table}").fetchall()
    content = file.read_bytes()
    while True:
        (stored,) = dice.choice(rows)
        byte = dice.randrange(len(stored))
        # Large rows are in pieces, each in a page of its own.
        first = max(byte - PIECE // 2, 0)
        place = content.find(stored[first : first + PIECE])
        if place >= 0:
            return place + byte - first


def flip(pristine: Path, known: list[Before], collectors: Lives, within_rows: bool) -> Outcomes:
    """Flip bytes, one at a time, and count how collectors fare."""
    dice = random.Random(SEED)
    outcomes: Outcomes = Counter()
    for number in range(FLIPS):
        shutil.rmtree(collectors.data, ignore_errors=True)
        shutil.copytree(pristine, collectors.data)
        files = list(ROWS) if within_rows else FILES
        file = collectors.data / files[number % len(files)]
        content = bytearray(file.read_bytes())
        place = place_of(dice, file) if within_rows else dice.randrange(len(content))
        content[place] ^= 1 << dice.randrange(8)
        file.write_bytes(content)
        outcomes[outcome(collectors, known)] += 1
    return outcomes


@pytest.mark.parametrize("within_rows", [True, False], ids=["rows", "anywhere"])
def test_a_flipped_byte_is_told_and_the_rest_serves_on(
    written: tuple[Path, list[Before]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    within_rows: bool,
) -> None:
    with lives(tmp_path, "http://127.0.0.1:9/") as collectors:
        outcomes = flip(*written, collectors, within_rows)
    with capsys.disabled():
        print(f"\n{FLIPS} flipped bytes, {'of rows' if within_rows else 'anywhere'} (seed {SEED})")
        for text, count in outcomes.most_common():
            print(f"  {text:40} {count:5}")
    # The few bytes by which SQLite and we find rows have no checksum: what they lead to is lost.
    fine = set(FINE) - {REFUSED} if within_rows else {*FINE, SILENT}
    assert not outcomes.keys() - fine
    assert not within_rows or outcomes[TOLD]
