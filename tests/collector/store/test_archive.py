"""Sealed chunks in their file: found again, also from threads, after a kill and beside damage."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.store import StoreError
from forewarn_collector.store.columns import Ints
from forewarn_collector.store.errors import TooManySamplesError
from forewarn_collector.store.sealed import Archive, ChunkData, NewChunk
from forewarn_collector.store.sealed.groups import MOST_MEMBERS

START = 1_795_000_000_000
STEP = 10_000
END = START + 10**12

Samples = dict[int, dict[int, float]]
"""Of each ref its values by time: what an archive should hold."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sealed.db"


@pytest.fixture
def archive(path: Path) -> Iterator[Archive]:
    opened = Archive(path)
    yield opened
    opened.close()


def hosts_of(refs: Ints) -> list[str]:
    """Ten series a host."""
    return [f"web{ref // 10}" for ref in refs.tolist()]


def chunk_data(samples: Samples) -> ChunkData:
    refs = sorted(samples)
    columns = [sorted(samples[ref].items()) for ref in refs]
    pairs = np.array([pair for column in columns for pair in column]).reshape(-1, 2)
    return ChunkData(
        np.array(refs, dtype=np.int64),
        np.cumsum([0, *map(len, columns)]),
        pairs[:, 0].astype(np.int64),
        pairs[:, 1].copy(),
    )


def seal(archive: Archive, samples: Samples, level: int = 0) -> list[int]:
    """Put samples into chunks of their groups."""
    groups = archive.groups(np.array(sorted(samples)), hosts_of).tolist()
    parts: dict[int, Samples] = {}
    for ref, group in zip(sorted(samples), groups, strict=True):
        parts.setdefault(group, {})[ref] = samples[ref]
    return archive.put([NewChunk(g, level, chunk_data(part)) for g, part in parts.items()])


def selected(
    archive: Archive, refs: list[int], start: int = START, end: int = END
) -> list[dict[int, float]]:
    """What the archive has of these series."""
    times, values, offsets = archive.select(np.array(refs, dtype=np.int64), start, end)
    found = []
    for low, high in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        assert (np.diff(times[low:high]) > 0).all()
        found.append(dict(zip(times[low:high].tolist(), values[low:high].tolist(), strict=True)))
    assert offsets[0] == 0
    assert offsets[-1] == len(times) == len(values)
    return found


def ticks(first: int, count: int, factor: float = 1.0) -> dict[int, float]:
    """`count` samples from tick `first` on; the value of tick n is n times `factor`."""
    return {START + STEP * n: n * factor for n in range(first, first + count)}


def test_what_was_put_is_selected_in_the_order_asked_for(archive: Archive, path: Path) -> None:
    seal(archive, {1: ticks(0, 60), 2: ticks(0, 60, 0.5), 31: ticks(5, 10)})
    seal(archive, {2: ticks(60, 60, 0.5), 1: ticks(60, 60)})

    assert selected(archive, [2, 77, 31, 1]) == [
        ticks(0, 120, 0.5),
        {},
        ticks(5, 10),
        ticks(0, 120),
    ]
    assert selected(archive, [31, 2], START + 7 * STEP, START + 61 * STEP) == [
        ticks(7, 8),
        ticks(7, 55, 0.5),
    ]
    assert selected(archive, []) == []
    assert selected(archive, [1], START - 5, START - 1) == [{}]
    archive.close()
    with closing(Archive(path)) as again:
        assert selected(again, [1, 2]) == [ticks(0, 120), ticks(0, 120, 0.5)]


@pytest.mark.parametrize("first", [0, 1, 1_000, 1_023, 1_024, 1_025, 2_047, 2_048, 2_999])
def test_a_part_of_a_long_series_is_found_wherever_it_begins(archive: Archive, first: int) -> None:
    samples = ticks(0, 3_000, 0.5)
    seal(archive, {1: samples, 2: ticks(100, 2_000)})
    for length in (0, 1, 30, 1_100):
        low, high = START + first * STEP, START + (first + length) * STEP
        assert selected(archive, [1], low, high) == [
            {time: value for time, value in samples.items() if low <= time <= high}
        ]


def test_a_selection_of_too_many_samples_is_refused(archive: Archive) -> None:
    seal(archive, {1: ticks(0, 60), 2: ticks(0, 60)})

    times, _, _ = archive.select(np.array([1, 2]), START, END, most=120)
    assert len(times) == 120
    with pytest.raises(TooManySamplesError, match="more than 119"):
        archive.select(np.array([1, 2]), START, END, most=119)


def test_of_doubles_the_one_that_was_sealed_first_stays(archive: Archive) -> None:
    first, *_ = seal(archive, {1: ticks(10, 10)})
    second, *_ = seal(archive, {1: ticks(0, 40, 3.0)})
    third, *_ = seal(archive, {1: ticks(35, 10, 5.0)})
    expected = ticks(0, 10, 3.0) | ticks(10, 10) | ticks(20, 20, 3.0) | ticks(40, 5, 5.0)
    assert selected(archive, [1]) == [expected]

    # The merged chunk takes the rank of the oldest, though its id is the highest.
    merged = archive.read(second)
    assert merged is not None
    archive.replace([second], [NewChunk(1, 1, merged)])
    assert selected(archive, [1]) == [expected]
    assert [chunk.id for chunk in archive.chunks()] == [third + 1, first, third]


def test_random_chunks_merge_as_a_dictionary_would(archive: Archive) -> None:
    rng = np.random.default_rng(5)
    expected: Samples = {}
    for _ in range(30):
        samples: Samples = {}
        for ref in rng.choice(40, 15, replace=False).tolist():
            moments = START + STEP * rng.choice(200, rng.integers(1, 60), replace=False)
            samples[ref] = {time: float(rng.integers(0, 1000)) / 10 for time in moments.tolist()}
            expected[ref] = samples[ref] | expected.get(ref, {})
        seal(archive, samples)

    refs = rng.permutation(50).tolist()
    low, high = START + 50 * STEP, START + 120 * STEP
    assert selected(archive, refs) == [dict(sorted(expected.get(ref, {}).items())) for ref in refs]
    assert selected(archive, refs, low, high) == [
        {t: v for t, v in sorted(expected.get(ref, {}).items()) if low <= t <= high} for ref in refs
    ]


def test_a_read_of_one_host_leaves_the_chunks_of_others_alone(archive: Archive, path: Path) -> None:
    seal(archive, {1: ticks(0, 60), 11: ticks(0, 60), 21: ticks(0, 60)})
    vandalise(path, "UPDATE chunks SET directory = x'00' WHERE grp != 2")

    assert selected(archive, [11]) == [ticks(0, 60)]
    assert archive.damaged() == []


def test_chunks_are_told_by_level_group_and_age(archive: Archive) -> None:
    old = seal(archive, {1: ticks(0, 60), 11: ticks(0, 60)})
    new = seal(archive, {1: ticks(60, 60)}, level=1)

    assert [chunk.id for chunk in archive.chunks(level=0)] == old
    assert [chunk.id for chunk in archive.chunks(group=1)] == [old[0], *new]
    assert [chunk.id for chunk in archive.chunks(before=START + 59 * STEP)] == []
    assert [chunk.id for chunk in archive.chunks(before=START + 59 * STEP + 1)] == old
    told = archive.chunks(level=1)[0]
    assert (told.earliest, told.latest, told.samples) == (START + 60 * STEP, START + 119 * STEP, 60)
    assert archive.stats().samples == 180

    archive.drop(old)
    archive.give_back()
    assert selected(archive, [1, 11]) == [ticks(60, 60), {}]
    assert archive.stats().chunks == 1
    assert archive.read(old[0]) is None


def test_a_host_with_many_series_has_several_groups_and_the_forgotten_make_room(
    archive: Archive, path: Path
) -> None:
    refs = np.arange(MOST_MEMBERS + 88)
    groups = archive.groups(refs, lambda refs: ["big"] * len(refs))
    assert np.bincount(groups).tolist() == [0, MOST_MEMBERS, 88]

    archive.forget(refs[-80:])
    new = refs + len(refs)
    assert archive.groups(new[:80], lambda refs: ["big"] * len(refs)).tolist() == [2] * 80
    archive.close()
    with closing(Archive(path)) as again:
        # Asked of nobody: what is known is kept.
        assert again.groups(new[:80], hosts_of).tolist() == [2] * 80
        assert again.groups(refs[:5], hosts_of).tolist() == [1] * 5


def test_a_group_without_series_and_chunks_is_gone(archive: Archive, path: Path) -> None:
    old = seal(archive, {1: ticks(0, 5), 11: ticks(0, 5), 21: ticks(0, 5)})
    archive.drop(old[:1])
    archive.forget(np.array([1, 11, 99]))
    archive.close()
    with closing(sqlite3.connect(path)) as connection:
        hosts = connection.execute("SELECT host FROM groups ORDER BY id").fetchall()
    # That of web1 has a chunk still.
    assert hosts == [("web1",), ("web2",)]
    with closing(Archive(path)) as again:
        assert selected(again, [21]) == [ticks(0, 5)]
        assert again.groups(np.array([12]), hosts_of).tolist() == [2]


def vandalise(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as vandal, vandal:
        for statement in statements:
            vandal.execute(statement)


def noisy(seed: int) -> dict[int, float]:
    values = np.random.default_rng(seed).random(2_000).tolist()
    return {START + STEP * n: value for n, value in enumerate(values)}


def test_a_damaged_block_takes_its_series_only_and_is_told(archive: Archive, path: Path) -> None:
    # Of full entropy: 2,000 samples of seven bytes each, so that five series need two blocks.
    samples = {ref: noisy(ref) for ref in range(6)} | {9: ticks(0, 2_000)}
    chunk, *_ = seal(archive, samples)
    seal(archive, {1: ticks(3_000, 5), 11: ticks(0, 5)})
    vandalise(path, "UPDATE blocks SET data = zeroblob(length(data)) WHERE id & 0xFFFFF = 0")

    found = selected(archive, [0, 1, 2, 3, 4, 5, 9, 11])

    lost = [ref for ref, have in zip(range(6), found, strict=False) if START not in have]
    assert 0 < len(lost) < 6
    assert found[6:] == [samples[9], ticks(0, 5)]
    for ref in range(6):
        more = ticks(3_000, 5) if ref == 1 else {}
        assert found[ref] == (more if ref in lost else samples[ref] | more)
    (damage,) = archive.damaged()
    assert (damage.chunk, damage.block) == (chunk, 0)
    assert "checksum of block 0" in damage.reason
    assert archive.stats().damaged == 1
    assert [each.damaged for each in archive.chunks(group=1)] == [True, False]
    whole = archive.read(chunk)
    assert whole is not None
    assert whole.refs.tolist() == sorted({*range(6), 9} - set(lost))
    archive.close()
    with closing(Archive(path)) as again:
        assert again.damaged() == [damage]
        again.drop([chunk])
        assert again.damaged() == []


def test_a_chunk_with_a_damaged_directory_is_set_aside(archive: Archive, path: Path) -> None:
    seal(archive, {1: ticks(0, 60)})
    seal(archive, {1: ticks(60, 60)})
    vandalise(path, "UPDATE chunks SET directory = substr(directory, 1, 40) WHERE id = 1")

    assert selected(archive, [1]) == [ticks(60, 60)]
    assert [(damage.chunk, damage.block) for damage in archive.damaged()] == [(1, None)]
    nothing = archive.read(1)
    assert nothing is not None
    assert len(nothing.refs) == 0


def test_the_series_of_a_damaged_group_are_those_of_its_chunks(
    archive: Archive, path: Path
) -> None:
    seal(archive, {1: ticks(0, 60), 2: ticks(0, 60)})
    archive.close()
    vandalise(path, "UPDATE groups SET refs = x'0500000000000000'")
    with closing(Archive(path)) as again:
        assert selected(again, [1, 2, 5]) == [ticks(0, 60), ticks(0, 60), {}]


def test_flipped_bytes_of_the_file_never_give_wrong_samples(tmp_path: Path) -> None:
    sound = tmp_path / "sound.db"
    samples = {ref: noisy(ref) for ref in range(0, 40, 5)}
    with closing(Archive(sound)) as archive:
        seal(archive, samples)
    content = sound.read_bytes()
    rng = np.random.default_rng(11)
    outcomes = {"whole": 0, "less": 0, "refused": 0}
    for _ in range(60):
        broken = bytearray(content)
        for place in rng.integers(0, len(content), 3).tolist():
            broken[place] ^= int(rng.integers(1, 256))
        path = tmp_path / "broken.db"
        path.write_bytes(broken)
        try:
            with closing(Archive(path)) as archive:
                found = selected(archive, list(samples))
        except StoreError:
            outcomes["refused"] += 1
        else:
            for have, expected in zip(found, samples.values(), strict=True):
                assert have in ({}, expected)
            outcomes["whole" if found == list(samples.values()) else "less"] += 1
        for file in tmp_path.glob("broken.db*"):
            file.unlink()
    assert outcomes["less"] > 10


def test_readers_see_all_samples_while_chunks_are_replaced(archive: Archive) -> None:
    seal(archive, {1: ticks(0, 50)})
    seal(archive, {1: ticks(50, 50)})
    done = threading.Event()

    def read() -> int:
        reads = 0
        while not done.is_set() or not reads:
            assert selected(archive, [1]) == [ticks(0, 100)]
            reads += 1
        return reads

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(3)]
        try:
            for split in range(10, 90):
                old = [chunk.id for chunk in archive.chunks()]
                halves = ({1: ticks(0, split)}, {1: ticks(split, 100 - split)})
                archive.replace(old, [NewChunk(1, 0, chunk_data(half)) for half in halves])
        finally:
            done.set()
        assert all(reader.result() > 0 for reader in readers)


_PUTTING = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from test_archive import Archive, NewChunk, chunk_data, seal, ticks
archive = Archive(Path(sys.argv[1]))
have = len(archive.chunks())
for n in range(10_000):
    if n % 3 == 2:
        old = [chunk.id for chunk in archive.chunks(group=1)][-2:]
        data = [archive.read(chunk) for chunk in old]
        archive.replace(old, [NewChunk(1, 1, each) for each in data])
    first = int(sys.argv[2]) + 10 * n
    seal(archive, {{1: ticks(first, 10), 11: ticks(first, 10), 100 + first: ticks(first, 1)}})
    print(first, flush=True)
"""


def test_what_was_put_before_a_kill_is_there_whole(path: Path) -> None:
    script = _PUTTING.format(path=[*sys.path, os.path.dirname(__file__)])
    rng = np.random.default_rng(3)
    sealed = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(sealed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        for _ in range(int(rng.integers(1, 12))):
            told = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        told = max([told, *map(int, child.stdout.read().split("\n")[:-1])])
        child.stdout.close()
        child.wait()
        with closing(Archive(path)) as archive:
            one, two = selected(archive, [1, 11])
            # One transaction may have been made and not been told.
            sealed = len(one)
            assert sealed in (told + 10, told + 20)
            assert one == two == ticks(0, sealed)
            assert archive.damaged() == []
            singles = list(range(0, sealed, 10))
            assert selected(archive, [100 + first for first in singles]) == [
                ticks(first, 1) for first in singles
            ]


def test_a_failed_transaction_leaves_no_group_behind(archive: Archive) -> None:
    def fails(refs: Ints) -> list[str]:
        raise KeyError(refs.tolist())

    with pytest.raises(KeyError):
        archive.groups(np.array([1, 25]), fails)
    seen: list[int] = []

    def noted(refs: Ints) -> list[str]:
        seen.extend(refs.tolist())
        return hosts_of(refs)

    archive.groups(np.array([1]), noted)
    assert seen == [1]


def test_a_file_of_a_newer_version_is_refused(archive: Archive, path: Path) -> None:
    archive.close()
    vandalise(path, "PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="newer version"):
        Archive(path)


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        Archive(tmp_path / "nowhere" / "sealed.db")
