"""Sealed chunks of a host beside chunks of a series: bytes a sample, and what two readers wait.

    .venv/bin/python tests/bench/chunks.py RECORDING...

A recording is what senders posted to `/api/v1/write`, one after the other: the time it came
(little-endian double, seconds), the length (uint32) and the body, snappy and all.
"""

from __future__ import annotations

import argparse
import sqlite3
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.chunks_of_series import SeriesArchive
from bench.figures import number, percentile, ratio, table
from forewarn_collector.ingest import Limits
from forewarn_collector.ingest.remote_write import WriteDecoder
from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.sealed import Archive, ChunkData, NewChunk, encode_chunk
from forewarn_collector.store.spans import spans
from forewarn_wire import Labels

MINUTE = 60_000
SPANS = (("10 min", 10 * MINUTE), ("2 h", 120 * MINUTE), ("1 day", 1440 * MINUTE))
SERIES = 2_000
DAY = 1440 * MINUTE
RECORD = struct.Struct("<dI")


@dataclass(frozen=True)
class Host:
    """What was recorded of one instance: its samples, series by series."""

    name: str
    data: ChunkData
    labels: Sequence[Labels] = ()
    """Of each series of `data`, where it is as it was recorded."""

    @property
    def samples(self) -> int:
        return len(self.data.times)

    def cut(self, span: int) -> Iterator[ChunkData]:
        """The samples in parts of `span` ms, the last one as long as there are samples."""
        data = self.data
        owners = np.repeat(np.arange(len(data.refs)), np.diff(data.offsets))
        parts = (data.times - data.times.min()) // span
        for part in range(int(parts.max()) + 1):
            within = parts == part
            counts = np.bincount(owners[within], minlength=len(data.refs))
            yield ChunkData(data.refs, _offsets(counts), data.times[within], data.values[within])

    def lasting(self, length: int, first_ref: int, most: int) -> ChunkData:
        """`most` series, repeated until they last `length` ms: counters go on where they were."""
        data = self.data
        shortest = int(np.diff(data.offsets).min())
        places = data.offsets[:-1][:most, None] + np.arange(shortest)
        times, values = data.times[places], data.values[places]
        period = int(np.median(times[:, -1] - times[:, 0])) * shortest // (shortest - 1)
        rises = np.where(
            (np.diff(values, axis=1) >= 0).all(axis=1), values[:, -1] - values[:, 0], 0
        )
        rises[~np.isfinite(rises)] = 0
        times = np.hstack([times + period * n for n in range(-(-length // period))])
        kept = int((times[0] < times[0, 0] + length).sum())
        rounds = [values + rises[:, None] * n for n in range(-(-length // period))]
        refs = first_ref + np.arange(len(places))
        return ChunkData(
            refs,
            np.arange(len(refs) + 1) * kept,
            np.ascontiguousarray(times[:, :kept]).ravel(),
            np.ascontiguousarray(np.hstack(rounds)[:, :kept]).ravel(),
        )


def recorded(files: Sequence[Path]) -> list[Host]:
    """The hosts in these recordings, each series' samples once and in order."""
    decoder = WriteDecoder(Limits())
    numbers: dict[Labels, int] = {}
    columns: list[tuple[Ints, Ints, Floats]] = []
    for file in files:
        content = file.read_bytes()
        place = 0
        while place + RECORD.size <= len(content):
            size = RECORD.unpack_from(content, place)[1]
            place += RECORD.size
            if place + size > len(content):
                break  # still being written
            batch = decoder.decode(content[place : place + size]).batch
            place += size
            refs = [numbers.setdefault(labels, len(numbers)) for labels in batch.labels]
            known = np.array(refs, dtype=np.int64)
            columns.append((known[batch.rows], batch.times.copy(), batch.values.copy()))
    refs, times, values = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.lexsort((times, refs))
    refs, times, values = refs[order], times[order], values[order]
    first = np.concatenate(([True], (np.diff(refs) != 0) | (np.diff(times) != 0)))
    refs, times, values = refs[first], times[first], values[first]
    of_series: dict[str, list[int]] = {}
    for labels, ref in numbers.items():
        name = dict(labels)
        of_series.setdefault(f"{name.get('job', '')} {name.get('instance', '')}", []).append(ref)
    counts = np.bincount(refs, minlength=len(numbers))
    offsets = _offsets(counts)
    known_labels = list(numbers)
    hosts = []
    for name, members in of_series.items():
        # A series of a few samples says nothing of a column.
        mine = np.array([ref for ref in members if counts[ref] > 1])
        if len(mine) > 20:
            places = spans(offsets[mine], counts[mine])
            data = ChunkData(mine, _offsets(counts[mine]), times[places], values[places])
            hosts.append(Host(name, data, [known_labels[ref] for ref in mine.tolist()]))
    return hosts


def sizes(hosts: Sequence[Host]) -> str:
    """Bytes a sample of each host, for chunks of several lengths."""
    rows = []
    for host in hosts:
        length = int(np.ptp(host.data.times))
        for name, span in SPANS:
            parts = list(host.cut(span))
            ours = sum(encode_chunk(part).size() for part in parts) / host.samples
            singles = sum(len(row) for part in parts for row in SeriesArchive.encoded(part))
            bare = [SeriesArchive.encoded(part, with_times=False) for part in parts]
            lower = sum(len(row) for rows in bare for row in rows) / host.samples
            rows.append(
                [
                    f"{host.name}, {name}",
                    number(len(host.data.refs)),
                    number(host.samples),
                    number(ours, 3),
                    number(singles / host.samples, 3),
                    number(lower, 3),
                    ratio(singles / host.samples, ours),
                ]
            )
            if span > length:
                break
    headings = ["host, chunks of", "series", "samples", "per host", "per series", "without times"]
    return table([*headings, "per series / host"], rows)


def readers(hosts: Sequence[Host], span: int, folder: Path) -> list[list[str]]:
    """What a graph (one series, a day) and a rule (2,000 series, an hour) wait; both layouts."""
    ours = Archive(folder / f"host-{span}.db")
    theirs = SeriesArchive(folder / f"series-{span}.db")
    refs = 0
    while refs < SERIES:
        for host in hosts:
            if refs < SERIES:
                data = host.lasting(DAY, refs, SERIES - refs)
                for part in Host(host.name, data).cut(span):
                    hosts = [f"{refs}"] * len(part.refs)
                    group = int(
                        ours.groups(part.refs, lambda new, hosts=hosts: hosts[: len(new)])[0]
                    )
                    ours.put([NewChunk(group, 0, part)])
                    theirs.put(part)
                refs += len(data.refs)
    end = max(chunk.latest for chunk in ours.chunks())
    everything = np.arange(refs)
    some = np.random.default_rng(1).permutation(refs)[:40]
    rows = []
    for what, wanted, start in (
        ("one series, a day", [some[i : i + 1] for i in range(len(some))], end - DAY),
        (f"{refs:,} series, an hour", [everything] * 7, end - 60 * MINUTE),
    ):
        cells = []
        for archive in (ours, theirs):
            _check(archive.select(wanted[0], start, end), ours.select(wanted[0], start, end))
            cells.append(_median(archive.select, wanted, start, end))
        rows.append([f"{what}, chunks of {span // MINUTE} min", *(number(c, 2) for c in cells)])
        rows[-1].append(ratio(cells[1], cells[0]))
    with closing(Archive(folder / f"host-{span}.db")) as cold:
        begun = time.perf_counter()
        cold.select(everything[:1], end - DAY, end)
        first = (time.perf_counter() - begun) * 1000
    rows.append(
        [f"one series, a day, at first, chunks of {span // MINUTE} min", number(first, 2), "-", "-"]
    )
    ours.close()
    theirs.close()
    return rows


def _median(
    select: Callable[[Ints, int, int], object], wanted: Sequence[Ints], start: int, end: int
) -> float:
    taken = []
    for refs in wanted:
        begun = time.perf_counter()
        select(refs, start, end)
        taken.append((time.perf_counter() - begun) * 1000)
    return percentile(taken, 0.5)


def _check(left: tuple[Ints, Floats, Ints], right: tuple[Ints, Floats, Ints]) -> None:
    for mine, other in zip(left, right, strict=True):
        if not np.array_equal(mine.view(np.int64), other.view(np.int64)):
            raise AssertionError("the two layouts do not hold the same")


def _offsets(counts: Ints) -> Ints:
    return np.concatenate(([0], np.cumsum(counts)))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", nargs="+", type=Path)
    hosts = recorded(parser.parse_args().recordings)
    print(f"SQLite {sqlite3.sqlite_version}\n")
    print(sizes(hosts), "\n")
    headings = ["reader, milliseconds (median)", "per host", "per series", "per series / host"]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for _, span in SPANS:
            rows += readers(hosts, span, Path(folder))
    print(table(headings, rows))


if __name__ == "__main__":
    main()
