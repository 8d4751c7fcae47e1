"""The other layout, to compare with: one row for each series and chunk, the same codec within."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import cramjam
import numpy as np
from numpy.typing import NDArray

from forewarn_collector.store.columns import Floats, Ints
from forewarn_collector.store.sealed import ChunkData
from forewarn_collector.store.sealed.decimals import Form, to_numbers, to_values
from forewarn_collector.store.sealed.directory import COLUMN, Table
from forewarn_collector.store.sealed.residuals import Courses, to_integers, to_residuals
from forewarn_collector.store.spans import spans

LEVEL = 3


class SeriesArchive:
    """As much of an archive as the comparison needs: no threads, no damage, no doubles."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE chunks (id INTEGER PRIMARY KEY, ref, earliest, latest, samples, data)",
            "CREATE INDEX of_series ON chunks (ref, latest, earliest)",
        ):
            self._connection.execute(statement).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @staticmethod
    def encoded(data: ChunkData, *, with_times: bool = True) -> list[bytes]:
        """A row of each series: how its times and values are to be read, and their residuals."""
        filled = np.diff(data.offsets) > 0
        offsets = np.concatenate((data.offsets[:-1][filled], data.offsets[-1:]))
        columns = [_coded(data.values.view(np.int64), offsets, data.values)]
        if with_times:
            columns.append(_coded(data.times, offsets, None))
        bounds = list(zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True))
        rows = []
        for index, (low, high) in enumerate(bounds):
            parts = [heads[index : index + 1].tobytes() for heads, _ in columns]
            parts += [
                planes[low:high, : heads["width"][index]].T.tobytes() for heads, planes in columns
            ]
            rows.append(bytes(cramjam.zstd.compress(b"".join(parts), level=LEVEL)))
        return rows

    def put(self, data: ChunkData) -> None:
        """Write the samples of a host, in one transaction."""
        counts = np.diff(data.offsets)
        starts = data.offsets[:-1][counts > 0]
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT INTO chunks (ref, earliest, latest, samples, data) VALUES (?, ?, ?, ?, ?)",
            zip(
                data.refs[counts > 0].tolist(),
                data.times[starts].tolist(),
                data.times[starts + counts[counts > 0] - 1].tolist(),
                counts[counts > 0].tolist(),
                self.encoded(data),
                strict=True,
            ),
        )
        self._connection.execute("COMMIT")

    def select(self, refs: Ints, start: int, end: int) -> tuple[Ints, Floats, Ints]:
        """As `Archive.select`; all columns are computed together."""
        heads: list[bytes] = []
        raws: list[NDArray[np.uint8]] = []
        owners: list[int] = []
        for index, ref in enumerate(refs.tolist()):
            for samples, data in self._connection.execute(
                "SELECT samples, data FROM chunks WHERE ref = ? AND latest >= ? AND earliest <= ?"
                " ORDER BY latest",
                (ref, start, end),
            ):
                raw = bytes(cramjam.zstd.decompress(data, output_len=(17 * samples + 128)))
                heads.append(raw[: 2 * COLUMN.itemsize])
                raws.append(np.frombuffer(raw, dtype=np.uint8, offset=2 * COLUMN.itemsize))
                owners.append(index)
        table: Table = np.frombuffer(b"".join(heads), dtype=COLUMN)
        counts = table["count"].astype(np.int64)
        offsets = np.concatenate(([0], np.cumsum(counts)))
        folded = np.zeros(offsets[-1], dtype=np.uint64)
        planes = folded.view(np.uint8).reshape(-1, 8)
        bounds, widths = offsets.tolist(), table["width"].tolist()
        for index, raw in enumerate(raws):
            place = 0
            for column in (2 * index, 2 * index + 1):
                low, high, width = bounds[column], bounds[column + 1], widths[column]
                size = width * (high - low)
                if width:
                    shape = (width, high - low)
                    planes[low:high, :width] = raw[place : place + size].reshape(shape).T
                place += size
        courses = Courses(table["base"], table["step"], table["unit"], table["order"])
        integers = to_integers(folded, offsets, courses)
        values = to_values(integers, offsets, table["form"], table["exponent"])
        values = values[spans(offsets[:-1:2], counts[::2])]
        times = integers[spans(offsets[1::2], counts[1::2])]
        rows = np.repeat(np.array(owners), counts[::2])
        within = (times >= start) & (times <= end)
        found = np.bincount(rows[within], minlength=len(refs))
        return times[within], values[within], np.concatenate(([0], np.cumsum(found)))


def _coded(integers: Ints, offsets: Ints, values: Floats | None) -> tuple[Table, NDArray[np.uint8]]:
    heads = np.zeros(len(offsets) - 1, dtype=COLUMN)
    heads["form"] = Form.DIVIDED
    if values is not None:
        numbers = to_numbers(values, offsets)
        # With odd values among them a column is kept as bits here: there are two in the recordings.
        owners = np.searchsorted(offsets, numbers.odd, "right") - 1
        numbers.forms[owners] = Form.BITS
        heads["form"], heads["exponent"] = numbers.forms, numbers.exponents
        plain = np.flatnonzero(numbers.forms == Form.BITS)
        places = spans(offsets[plain], np.diff(offsets)[plain])
        numbers.integers[places] = integers[places]
        integers = numbers.integers
    courses, widths, folded = to_residuals(integers, offsets, heads["form"] != Form.BITS)
    heads["count"], heads["width"] = np.diff(offsets), widths
    heads["base"], heads["step"] = courses.bases, courses.steps
    heads["unit"], heads["order"] = courses.units, courses.orders
    return heads, folded.view(np.uint8).reshape(-1, 8)
