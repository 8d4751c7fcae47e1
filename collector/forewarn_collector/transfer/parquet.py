"""Samples as Parquet: name, labels (as JSON), time and value; a slice is a row group.

Values keep every bit, so that stale markers are told from other NaN by theirs.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import BinaryIO

import numpy as np

from forewarn_collector.store.spans import run_starts
from forewarn_collector.transfer.slices import Slice
from forewarn_wire import Labels, metric_name, without
from forewarn_wire.labels import METRIC_NAME


class ParquetFormat:
    """Raises ModuleNotFoundError without pyarrow, which is an extra of its own: it is large."""

    def __init__(self, out: BinaryIO) -> None:
        self._arrow = import_module("pyarrow")
        parquet = import_module("pyarrow.parquet")
        arrow = self._arrow
        text = arrow.dictionary(arrow.int32(), arrow.string())
        self._schema = arrow.schema(
            [
                ("name", text),
                ("labels", text),
                ("time", arrow.timestamp("ms", tz="UTC")),
                ("value", arrow.float64()),
            ]
        )
        self._file = arrow.PythonFile(out, mode="w")
        self._writer = parquet.ParquetWriter(self._file, self._schema, compression="zstd")

    def write(self, part: Slice) -> int:
        """See `Format`."""
        arrow = self._arrow
        starts = run_starts(part.refs)
        series = [part.labels(ref) for ref in part.refs[starts].tolist()]
        names = sorted({metric_name(labels) for labels in series})
        numbers = {name: number for number, name in enumerate(names)}
        of_series = np.array([numbers[metric_name(labels)] for labels in series], dtype=np.int32)
        counts = np.diff(starts, append=len(part.refs))
        columns = [
            arrow.DictionaryArray.from_arrays(
                arrow.array(np.repeat(of_series, counts)), arrow.array(names, arrow.string())
            ),
            arrow.DictionaryArray.from_arrays(
                arrow.array(np.repeat(np.arange(len(series), dtype=np.int32), counts)),
                arrow.array([_labels_text(labels) for labels in series], arrow.string()),
            ),
            arrow.array(part.times).cast(self._schema.field("time").type),
            arrow.array(part.values),
        ]
        self._writer.write_table(arrow.Table.from_arrays(columns, schema=self._schema))
        return len(part.times)

    def finish(self) -> None:
        """See `Format`."""
        self._writer.close()
        self._file.flush()


def _labels_text(labels: Labels) -> str:
    return json.dumps(dict(without(labels, {METRIC_NAME})), ensure_ascii=False)
