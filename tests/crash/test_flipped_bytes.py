"""A byte of a data directory flips: the rest serves on, and what is lost is told.

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
from support.waiting import wait_until

FLIPS = int(os.environ.get("FOREWARN_CRASH_FLIPS", "40"))
SEED = int(os.environ.get("FOREWARN_CRASH_SEED", "5"))
FILES = ("store.db", "sealed.db")
DAY = 86_400_000


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Before]]:
    """A data directory with chunks and a journal that is not sealed, and what is in it."""
    folder = tmp_path_factory.mktemp("written")
    with DeskServer() as desk, lives(folder, desk.url) as collectors:
        with Load(collectors, desk, (0, 2 * DAY), lanes=0, pause=0.01) as load:
            for upkeep in (True, False):
                collectors.begin(upkeep=upkeep)
                collectors.listening()
                enough = len(load.senders[0].sent.acknowledged) + 150
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
    missing += sum(len(before.events - set(found.events)) for before in known)
    return missing, wrong


def outcome(collectors: Lives, known: list[Before]) -> str:
    """Start a collector, and say in a word how it fares."""
    before = len(collectors.log)
    collectors.begin(upkeep=False)
    answer = collectors.listening_or_end()
    if isinstance(answer, str):
        return "refused with a remedy" if "move it away" in answer else f"refused: {answer}"
    if isinstance(answer, Death):
        return f"ended: {collectors.log[before:][-1_000:]}"
    found = collectors.found()
    collectors.stop()
    assert found is not None
    missing, wrong = harm(found, known)
    told = any(found.damaged) or "damaged" in collectors.log[before:]
    if wrong:
        return f"{wrong} samples changed"
    if missing:
        return "the rest serves on, and it is told" if told else f"{missing} lost in silence"
    return "harmless, and told" if told else "harmless"


def test_a_flipped_byte_is_told_and_the_rest_serves_on(
    written: tuple[Path, list[Before]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pristine, known = written
    dice = random.Random(SEED)
    outcomes: Counter[str] = Counter()
    strange = []
    with lives(tmp_path, "http://127.0.0.1:9/") as collectors:
        for number in range(FLIPS):
            shutil.rmtree(collectors.data, ignore_errors=True)
            shutil.copytree(pristine, collectors.data)
            file = collectors.data / FILES[number % len(FILES)]
            content = bytearray(file.read_bytes())
            place, bit = dice.randrange(len(content)), dice.randrange(8)
            content[place] ^= 1 << bit
            file.write_bytes(content)
            found = outcome(collectors, known)
            outcomes[found.partition(":")[0]] += 1
            if found not in FINE:
                strange.append(f"{file.name}, byte {place}, bit {bit}: {found}")
    with capsys.disabled():
        print(f"\n{FLIPS} flipped bytes (seed {SEED})")
        for text, count in outcomes.most_common():
            print(f"  {text:40} {count:5}")
    assert not strange, "\n".join(strange)


FINE = frozenset(
    {
        "harmless",
        "harmless, and told",
        "the rest serves on, and it is told",
        "refused with a remedy",
    }
)
