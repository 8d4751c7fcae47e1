"""What the disk may do to a store: fill up, lose power, rot."""

from __future__ import annotations

import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.store import Batch, Store, StoreError
from support.stores import HOUR, START, Clock, batch, contents, matching, series

Reopen = Callable[..., Store]
CPU = series("cpu", instance="a")

_WRITER = """
import sys
from pathlib import Path
import numpy as np
from forewarn_collector.store import Batch, Store

store = Store(Path(sys.argv[1]), retention=1 << 50, clock=lambda: 0)
store.open()
round_ = int(sys.argv[2])
for k in range(1_000_000):
    # Every round brings series of its own, so that refs are given out around each kill.
    labels = [(("__name__", "m"), ("k", str(k % 7)), ("round", str(round_ % 3)))]
    time = round_ * 1_000_000 + k
    store.append(
        Batch(labels, np.zeros(1, np.int64), np.array([time]), np.array([float(time)]))
    ).result()
    print(time, flush=True)
"""


def test_every_acknowledged_sample_outlives_kill_9(tmp_path: Path) -> None:
    chance = random.Random(7)
    acknowledged: list[int] = []
    for round_ in range(15):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path / "data"), str(round_)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            # A random number of acknowledgements, then kill at whatever it is doing by then.
            for _ in range(chance.randint(1, 60)):
                acknowledged.append(int(writer.stdout.readline()))
            writer.send_signal(signal.SIGKILL)
            acknowledged += [int(line) for line in writer.stdout if line.endswith("\n")]
    store = Store(tmp_path / "data", retention=1 << 50, clock=lambda: 0)
    store.open()
    try:
        found = store.select(matching("m"), 0, 1 << 60)
        stored = dict(zip(found.times.tolist(), found.values.tolist(), strict=True))
        owners = np.repeat(np.arange(len(found.labels)), np.diff(found.offsets))
        rows = dict(zip(found.times.tolist(), owners.tolist(), strict=True))
        assert store.stats().damaged == 0
    finally:
        store.close()
    assert len(acknowledged) > 15
    for time in acknowledged:
        assert stored[time] == float(time)
        labels = dict(found.labels[rows[time]])
        assert labels["k"] == str(time % 1_000_000 % 7)
        assert labels["round"] == str(time // 1_000_000 % 3)


@contextmanager
def no_file_may_grow_beyond(size: int) -> Iterator[None]:
    """The kernel's own limit on the size of files, for this process: as good as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def noise(labels_count: int, time: int) -> Batch:
    """A batch that does not compress."""
    labels = [series("noise", k=str(k), time=str(time)) for k in range(labels_count)]
    values = np.random.default_rng(time).normal(size=labels_count)
    rows = np.arange(labels_count, dtype=np.int64)
    return Batch(labels, rows, np.full(labels_count, time, dtype=np.int64), values)


def test_a_full_disk_stores_nothing_by_halves_and_works_again_once_there_is_room(
    reopen: Reopen, tmp_path: Path
) -> None:
    store = reopen()
    store.append(noise(100, START)).result(10)
    arrivals = store.arrivals()
    database = tmp_path / "data" / "store.db-wal"
    with no_file_may_grow_beyond(database.stat().st_size + 20_000):
        with pytest.raises(StoreError, match="free some space") as failure:
            store.append(noise(5_000, START + 1)).result(10)
        assert failure.value.retryable
        assert store.stats().series == store.stats().samples == 100
        assert store.label_values("time", [], 0, 1 << 60) == [str(START)]
        assert arrivals.empty()
        with pytest.raises(StoreError):
            store.append(noise(5_000, START + 1)).result(10)
    # Other series now take the refs that were provisional.
    assert store.append(noise(10, START + 2)).result(10).added == 10
    assert store.append(noise(5_000, START + 1)).result(10).added == 5_000
    for opened in (store, reopen()):
        assert opened.stats().series == 5_110
        for count, time in ((100, START), (10, START + 2), (5_000, START + 1)):
            found = opened.select(matching("noise", time=str(time)), 0, 1 << 60)
            sent = noise(count, time)
            assert dict(zip(found.labels, found.values.tolist(), strict=True)) == dict(
                zip(sent.labels, sent.values.tolist(), strict=True)
            )


def test_a_database_that_is_full_says_so_and_recovers(store: Store) -> None:
    journal = store._journal.connection
    pages = journal.execute("PRAGMA page_count").fetchone()[0]
    journal.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="full") as failure:
        store.append(noise(20_000, START)).result(10)
    assert failure.value.retryable
    assert store.stats().series == 0
    journal.execute("PRAGMA max_page_count = 1000000")
    assert store.append(noise(20_000, START)).result(10).added == 20_000


def test_a_directory_that_cannot_be_made_is_an_error_with_a_remedy(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="choose one that this user may write to"):
        Store(tmp_path / "file" / "data", retention=HOUR, clock=clock).open()


def test_a_file_that_is_no_database_is_refused_with_a_remedy(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StoreError, match="forewarn doctor --repair") as failure:
        Store(tmp_path, retention=HOUR, clock=clock).open()
    assert not failure.value.retryable


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path, clock: Clock) -> None:
    newer = sqlite3.connect(tmp_path / "store.db")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(tmp_path, retention=HOUR, clock=clock).open()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET columns = substr(columns, 1, 20) WHERE id = 2",
        "UPDATE journal SET columns = zeroblob(length(columns)) WHERE id = 2",
        "UPDATE journal SET samples = samples + 1 WHERE id = 2",
        "UPDATE journal SET samples = -5 WHERE id = 2",
        "UPDATE journal SET columns = 'text' WHERE id = 2",
        "UPDATE journal SET checksum = checksum + 1 WHERE id = 2",
    ],
)
def test_a_damaged_commit_is_set_aside_and_the_rest_loads(
    reopen: Reopen, tmp_path: Path, damage: str
) -> None:
    store = reopen()
    for k in range(3):
        store.append(batch((CPU, START + k, float(k)))).result(10)
    store = reopen(damage)
    assert contents(store, matching("cpu")) == {CPU: [(START, 0.0), (START + 2, 2.0)]}
    assert store.stats().damaged == 1
    assert store.append(batch((CPU, START + 1, 1.0))).result(10).added == 1
    assert len(contents(reopen(), matching("cpu"))[CPU]) == 3
    with closing(sqlite3.connect(tmp_path / "data" / "store.db")) as reader:
        assert reader.execute("SELECT count(*), min(id) FROM damaged").fetchone() == (1, 2)


def test_a_torn_write_ahead_log_loses_only_its_torn_end(reopen: Reopen, tmp_path: Path) -> None:
    store = reopen()
    for k in range(20):
        store.append(batch((CPU, START + k, float(k)))).result(10)
    # A copy of the files as power loss would leave them, with the log's last page half written.
    torn = tmp_path / "torn"
    torn.mkdir()
    for name in ("store.db", "store.db-wal"):
        shutil.copy(tmp_path / "data" / name, torn / name)
    log = torn / "store.db-wal"
    log.write_bytes(log.read_bytes()[:-2_000])
    after = Store(torn, retention=24 * HOUR, clock=lambda: START)
    after.open()
    try:
        assert contents(after, matching("cpu"))[CPU] == [(START + k, float(k)) for k in range(19)]
    finally:
        after.close()


DAMAGE_OF_LABELS = [
    "UPDATE {} SET sets = substr(sets, 1, length(sets) - 1) WHERE last = 256",
    "UPDATE {} SET sets = CAST(sets || x'ff' AS TEXT) WHERE last = 256",
    "UPDATE {0} SET sets = (SELECT sets FROM {0} WHERE last = 512) WHERE last = 256",
    "UPDATE {} SET sets = 'text' WHERE last = 256",
    "UPDATE {} SET series = 'x' WHERE last = 256",
    "UPDATE {} SET last = 7 WHERE last = 256",
]
MANY = [series("cpu", core=f"{k:03}") for k in range(600)]


def with_many(reopen: Reopen) -> None:
    rows = [(labels, START, float(k)) for k, labels in enumerate(MANY)]
    reopen().append(batch(*rows)).result(10)


@pytest.mark.parametrize("damage", DAMAGE_OF_LABELS)
def test_a_damaged_row_of_label_sets_costs_its_series_and_no_other(
    reopen: Reopen, damage: str
) -> None:
    with_many(reopen)
    store = reopen(*(damage.format(table) for table in ("label_sets", "label_copies")))
    assert store.stats().damaged == 1
    others = {labels: [(START, float(k))] for k, labels in enumerate(MANY) if k >= 256}
    assert contents(store, []) == others
    # Whoever sends them again makes new series of them, which get nothing of the others.
    store.append(batch((MANY[0], START + 1, 7.0))).result(10)
    store = reopen()
    assert contents(store, []) == others | {MANY[0]: [(START + 1, 7.0)]}


@pytest.mark.parametrize("table", ["label_sets", "label_copies"])
@pytest.mark.parametrize("damage", [*DAMAGE_OF_LABELS, "DELETE FROM {}", "DROP TABLE {}"])
def test_label_sets_of_which_one_copy_is_damaged_are_all_there_and_it_is_made_anew(
    reopen: Reopen, damage: str, table: str
) -> None:
    with_many(reopen)
    whole = {labels: [(START, float(k))] for k, labels in enumerate(MANY)}
    store = reopen(damage.format(table))
    assert contents(store, []) == whole
    # A row that is none's stays, for whoever can read it.
    assert store.stats().damaged == ("last = 7" in damage)
    other = "label_copies" if table == "label_sets" else "label_sets"
    assert contents(reopen(f"DELETE FROM {other} WHERE last > 7"), []) == whole
