"""Any page of a data directory is overwritten: what lies outside of it is served, the rest told."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.care import examine, repair
from forewarn_collector.store import Store, StoreError
from forewarn_collector.store.journal import JOURNAL_FILE
from forewarn_collector.store.sealed import ARCHIVE_FILE
from forewarn_wire import Labels
from support.stores import HOUR, START, Clock, batch, contents, matching, series

PAGE = 4096
TABLE, TABLE_LEAF, INDEX, INDEX_LEAF = 5, 13, 2, 10
"""What the first byte of a page says that it is."""
SERIES = [series("load", instance=f"host-{k % 40:02}", cpu=str(k)) for k in range(400)]
SEALS = 20
Contents = dict[Labels, dict[int, float]]


def opened(folder: Path) -> Store:
    store = Store(folder, retention=1 << 50, clock=Clock(START + HOUR))
    store.open()
    return store


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Contents]:
    """Twenty seals of forty hosts, then forty commits that are in the journal alone."""
    folder = tmp_path_factory.mktemp("pristine")
    store = opened(folder)
    dice = np.random.default_rng(1)
    wanted: Contents = {labels: {} for labels in SERIES}

    def write(minute: int) -> None:
        time = START + minute * 60_000
        values = dice.random(len(SERIES)).tolist()
        for labels, value in zip(SERIES, values, strict=True):
            wanted[labels][time] = value
        rows = zip(SERIES, values, strict=True)
        store.append(batch(*((labels, time, value) for labels, value in rows))).result()

    for minute in range(SEALS):
        write(minute)
        store.seal()
    for minute in range(SEALS, 2 * SEALS):
        write(minute)
    store.close()
    return folder, wanted


def served(store: Store, wanted: Contents) -> int:
    """How many samples are missing; none may be there that was not written."""
    there = contents(store, matching("load"), 0)
    for labels, rows in there.items():
        for time, value in rows:
            assert wanted[labels][time] == value
    return sum(map(len, wanted.values())) - sum(map(len, there.values()))


def kind(content: bytes, number: int) -> int:
    """The first byte of a page; the first page begins with the file's own header."""
    return content[(number - 1) * PAGE + (100 if number == 1 else 0)]


@pytest.fixture
def broken(pristine: tuple[Path, Contents], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy in which a page is noise: of a file the first page of a kind, or the last."""
    name, wanted, which = request.param
    folder = tmp_path / "data"
    shutil.copytree(pristine[0], folder)
    content = bytearray((folder / name).read_bytes())
    # The first page is not like others: a test of its own has it.
    numbers = [n for n in range(2, len(content) // PAGE + 1) if kind(content, n) == wanted]
    begin = (numbers[which] - 1) * PAGE
    content[begin : begin + PAGE] = np.random.default_rng(7).bytes(PAGE)
    (folder / name).write_bytes(content)
    return folder


def repaired(folder: Path) -> None:
    """As `forewarn doctor --repair`; no page is broken afterwards."""
    repair(folder, examine(folder, lambda _: None))
    assert not any(each.broken for each in examine(folder, lambda _: None).findings)


@pytest.mark.parametrize(
    ("broken", "lost_at_most", "after_repair"),
    [
        # A leaf of blocks: 21 chunks of ten samples (4,096 bytes and about 190 each).
        ((ARCHIVE_FILE, TABLE_LEAF, -2), 210, 210),
        # What stands above all blocks: none is found, but all are there.
        ((ARCHIVE_FILE, TABLE, 0), 8_000, 0),
        # Indexes only repeat what the rows say.
        ((ARCHIVE_FILE, INDEX, 0), 0, 0),
        ((ARCHIVE_FILE, INDEX_LEAF, 1), 0, 0),
        ((ARCHIVE_FILE, INDEX_LEAF, -1), 0, 0),
    ],
    indirect=["broken"],
)
def test_reads_of_the_archive_go_around_a_broken_page_and_a_repair_mends_it(
    broken: Path, pristine: tuple[Path, Contents], lost_at_most: int, after_repair: int
) -> None:
    wanted = pristine[1]
    store = opened(broken)
    try:
        missing = served(store, wanted)
        assert missing <= lost_at_most
        assert bool(missing) == bool(store.archive_stats().damaged)
    finally:
        store.close()

    repaired(broken)
    assert [file.name for file in broken.glob("*.damaged-*")] == [f"{ARCHIVE_FILE}.damaged-1"]
    store = opened(broken)
    try:
        assert served(store, wanted) <= after_repair
        assert store.seal() == 8_000
        assert served(store, wanted) <= after_repair
    finally:
        store.close()


@pytest.mark.parametrize(
    ("broken", "lost_at_most"),
    [
        # The last page has one of twenty commits, of all 400 series.
        ((JOURNAL_FILE, TABLE_LEAF, -1), 400),
        # What stands above all commits.
        ((JOURNAL_FILE, TABLE, 0), 0),
        ((JOURNAL_FILE, INDEX_LEAF, 0), 0),
    ],
    indirect=["broken"],
)
def test_a_journal_with_a_broken_page_is_set_aside_and_the_rest_goes_on(
    broken: Path, pristine: tuple[Path, Contents], lost_at_most: int
) -> None:
    damaged = (broken / JOURNAL_FILE).read_bytes()
    store = opened(broken)
    try:
        missing = served(store, pristine[1])
        assert missing <= lost_at_most
        assert bool(missing) <= bool(store.stats().damaged)
        assert store.seal() == 8_000 - missing
    finally:
        store.close()
    # To open it counts as a change in its header.
    assert (broken / f"{JOURNAL_FILE}.damaged-1").read_bytes()[PAGE:] == damaged[PAGE:]
    assert examine(broken, lambda _: None).sound


@pytest.mark.parametrize("table", ["label_sets", "label_copies"])
def test_a_page_with_the_labels_of_all_series_costs_none_of_them(
    pristine: tuple[Path, Contents], tmp_path: Path, table: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(pristine[0], folder)
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as connection:
        root = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = connection.execute(root, (table,)).fetchone()
    content = bytearray((folder / JOURNAL_FILE).read_bytes())
    content[(page - 1) * PAGE : page * PAGE] = np.random.default_rng(7).bytes(PAGE)
    (folder / JOURNAL_FILE).write_bytes(content)
    store = opened(folder)
    try:
        assert served(store, pristine[1]) == 0
    finally:
        store.close()
    assert examine(folder, lambda _: None).sound


def test_what_was_loaded_before_the_broken_page_was_met_is_not_there_twice(
    pristine: tuple[Path, Contents], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(pristine[0], folder)
    # Counters are read after all series and samples.
    with closing(sqlite3.connect(folder / JOURNAL_FILE)) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'counters'"
        (page,) = connection.execute(query).fetchone()
    with (folder / JOURNAL_FILE).open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(np.random.default_rng(7).bytes(PAGE))
    store = opened(folder)
    try:
        found = store.select(matching("load"), 0, 1 << 60)
        assert len(found.labels) == len(SERIES)
        assert len(found.times) == sum(map(len, pristine[1].values()))
        assert store.unsealed == len(SERIES) * SEALS
    finally:
        store.close()


@pytest.mark.parametrize("name", [JOURNAL_FILE, ARCHIVE_FILE])
def test_a_file_without_its_first_page_is_refused_and_set_aside_by_a_repair(
    pristine: tuple[Path, Contents], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(pristine[0], folder)
    content = bytearray((folder / name).read_bytes())
    content[:PAGE] = bytes(PAGE)
    (folder / name).write_bytes(content)
    with pytest.raises(StoreError, match=f"{name}.*forewarn doctor --repair {folder}"):
        opened(folder)

    repaired(folder)
    assert (folder / f"{name}.damaged-1").read_bytes() == content
    store = opened(folder)
    try:
        # Without labels no sample is anyone's, and a new series is never given an old one's.
        time = START + HOUR
        store.append(batch((SERIES[0], time, 7.0))).result()
        there = contents(store, matching("load"), 0)[SERIES[0]]
        assert there == [(time, 7.0)] if name == JOURNAL_FILE else len(there) == SEALS + 1
        store.seal()
        assert contents(store, matching("load"), time)[SERIES[0]] == [(time, 7.0)]
    finally:
        store.close()


def test_a_chunk_whose_row_says_another_time_is_set_aside(
    pristine: tuple[Path, Contents], tmp_path: Path
) -> None:
    folder, wanted = tmp_path / "data", pristine[1]
    shutil.copytree(pristine[0], folder)
    with closing(sqlite3.connect(folder / ARCHIVE_FILE, isolation_level=None)) as connection:
        connection.execute("UPDATE chunks SET latest = latest + 64 WHERE id = 5")
        connection.execute("UPDATE chunks SET grp = grp + 1 WHERE id = 9")
    store = opened(folder)
    try:
        # Each has one sample of ten series of a host.
        assert served(store, wanted) == 20
        assert sorted(damage.chunk for damage in store._archive.damaged()) == [5, 9]
    finally:
        store.close()
