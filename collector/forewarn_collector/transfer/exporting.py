"""Export: samples of a data directory, slice by slice of time, in one of several formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from forewarn_collector.history import DirectoryFeed
from forewarn_collector.store import Matcher
from forewarn_collector.transfer.errors import TransferError
from forewarn_collector.transfer.parquet import ParquetFormat
from forewarn_collector.transfer.slices import Format, Slice
from forewarn_collector.transfer.text import CsvFormat, OpenMetricsFormat

FORMATS: Mapping[str, Callable[[BinaryIO], Format]] = {
    "openmetrics": OpenMetricsFormat,
    "csv": CsvFormat,
    "parquet": ParquetFormat,
}

Progress = Callable[[float, int], None]
"""Told how much of the time is done (0 to 1), and how many samples were written."""


@dataclass(frozen=True, slots=True)
class Exported:
    """How many samples were written, how many stale markers left out, what could not be read."""

    samples: int
    left_out: int
    damaged: int


def export_samples(
    feed: DirectoryFeed,
    selectors: Sequence[Sequence[Matcher]],
    start: int,
    end: int,
    out: Format,
    progress: Progress,
) -> Exported:
    """Write what meets any selector (all, where there is none) with `start <= time <= end` (ms).

    Raises HistoryError, TransferError, and OSError where `out` cannot be written.
    """
    extent = feed.extent(selectors, start, end)
    written = left_out = 0
    if extent is not None:
        first, last = extent
        for refs, times, values in feed.samples(selectors or [()], first, last):
            part = Slice(feed.index.labels, refs, times, values)
            count = out.write(part)
            written += count
            left_out += len(times) - count
            progress((int(times[-1]) - first + 1) / (last - first + 1), written)
    out.finish()
    return Exported(written, left_out, feed.damaged)


def format_of(name: str, out: BinaryIO) -> Format:
    """The format of that name. Raises TransferError where what it needs is not installed."""
    try:
        return FORMATS[name](out)
    except ModuleNotFoundError as error:
        raise TransferError(
            f"{name} needs {error.name}: pip install 'forewarn[parquet]'"
        ) from error
