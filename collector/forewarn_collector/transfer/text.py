"""Samples as OpenMetrics and as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import BinaryIO

import numpy as np

from forewarn_collector.store import Floats, Ints
from forewarn_collector.store.spans import run_starts
from forewarn_collector.transfer.slices import Slice
from forewarn_wire import Labels, is_label_name, is_metric_name, metric_name, without
from forewarn_wire.labels import METRIC_NAME

_AT_ONCE = 50_000
"""Lines that are made at once: some megabytes."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class OpenMetricsFormat:
    """OpenMetrics 1.0 with timestamps, as `promtool tsdb create-blocks-from openmetrics` takes it.

    It has no stale markers: they are left out.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, part: Slice) -> int:
        """See `Format`."""
        part = part.without(part.stale())
        for piece in part.pieces(_AT_ONCE):
            self._write(piece)
        return len(part.times)

    def _write(self, part: Slice) -> None:
        beginnings = _by_series(part, lambda labels: f"{series_name(labels)} ")
        texts = value_texts(part.values)
        lines = map(
            "".join, zip(beginnings, texts, repeat(" "), _seconds(part.times), strict=False)
        )
        self._out.write(("\n".join(lines) + "\n").encode())

    def finish(self) -> None:
        """See `Format`."""
        self._out.write(b"# EOF\n")


class CsvFormat:
    """A header and a line per sample: name, labels as JSON, time (ms), value.

    A stale marker is an empty value.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        out.write(b"name,labels,timestamp_ms,value\n")

    def write(self, part: Slice) -> int:
        """See `Format`."""
        for piece in part.pieces(_AT_ONCE):
            self._write(piece)
        return len(part.times)

    def _write(self, part: Slice) -> None:
        beginnings = _by_series(part, _csv_fields)
        texts = value_texts(part.values)
        for row in part.stale().tolist():
            texts[row] = ""
        times = map(str, part.times.tolist())
        lines = map("".join, zip(beginnings, times, repeat(","), texts))
        self._out.write(("\n".join(lines) + "\n").encode())

    def finish(self) -> None:
        """See `Format`."""


def series_name(labels: Labels) -> str:
    """A series as OpenMetrics writes it.

    Names that need it are in quotes, a metric's then within the braces, as Prometheus 3 has them.
    """
    name = metric_name(labels)
    plain = not name or is_metric_name(name)
    pairs = [] if plain else [_quoted(name)]
    pairs += [
        f"{each if is_label_name(each) else _quoted(each)}={_quoted(value)}"
        for each, value in labels
        if each != METRIC_NAME
    ]
    before = name if plain else ""
    return f"{before}{{{','.join(pairs)}}}" if pairs or not before else before


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def value_texts(values: Floats) -> list[str]:
    """The shortest text that is read as the same number."""
    texts = list(map(repr, values.tolist()))
    for row in np.flatnonzero(~np.isfinite(values)).tolist():
        texts[row] = "NaN" if values[row] != values[row] else "+Inf" if values[row] > 0 else "-Inf"
    return texts


def _by_series(part: Slice, text_of: Callable[[Labels], str]) -> list[str]:
    # One text per sample, the same object for all samples of a series.
    starts = run_starts(part.refs)
    texts = np.array(
        [text_of(part.labels(ref)) for ref in part.refs[starts].tolist()], dtype=object
    )
    counts = np.diff(starts, append=len(part.refs))
    repeated: list[str] = np.repeat(texts, counts).tolist()
    return repeated


def _csv_fields(labels: Labels) -> str:
    line = io.StringIO()
    rest = json.dumps(dict(without(labels, {METRIC_NAME})), ensure_ascii=False)
    csv.writer(line, lineterminator=",").writerow((metric_name(labels), rest))
    return line.getvalue()


def _seconds(times: Ints) -> Sequence[str]:
    unique, places = np.unique(times, return_inverse=True)
    texts = np.array([_second(time) for time in unique.tolist()], dtype=object)
    found: list[str] = texts[places].tolist()
    return found


def _second(time: int) -> str:
    seconds, rest = divmod(abs(time), 1000)
    text = f"{'-' if time < 0 else ''}{seconds}.{rest:03}"
    # Prometheus cuts what it finds after the millisecond, and a float may lie just below one.
    return text if int(float(text) * 1000) == time else f"{text}001"
