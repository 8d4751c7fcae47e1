"""Read files of /proc fast: kept descriptors, and layouts worked out once.

A file of /proc names the same things round after round, and only the numbers change. So a family
plans once where the numbers stand in the file and which series each belongs to; a round is then
one `pread`, one `split` and one gather, for as long as the names stay where they were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from operator import itemgetter, truediv
from typing import Any, NamedTuple

from forewarn_agent.sources.base import Loop, Reading, Series, SourceContext

_CHUNK = 16_384


class KeptFile:
    """A file whose descriptor is kept and that is read from its start each time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor = -1

    def read(self) -> bytes:
        """The whole content now. Raises OSError; the next read then opens the file anew."""
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        descriptor = self._descriptor
        try:
            data = os.pread(descriptor, _CHUNK, 0)
            if data:
                # A file of many records may come in pieces smaller than asked for.
                while more := os.pread(descriptor, _CHUNK, len(data)):
                    data += more
        except OSError:
            self.close()
            raise
        return data

    def close(self) -> None:
        """Give the descriptor back; a later read opens the file again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_text(path: str) -> str:
    """A small file's content without the blanks around it. Raises OSError.

    Straight system calls: a tenth of what `open` costs, for the many one-word files of /sys.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _CHUNK).strip().decode("utf-8", "replace")
    finally:
        os.close(descriptor)


class Line(NamedTuple):
    """A line of a file: its words, and the index of the first of them in the whole file."""

    start: int
    words: list[bytes]


class Value(NamedTuple):
    """Where a number stands in a file: word `place`, divided by `divisor`, is of `series`."""

    place: int
    series: Series
    divisor: float = 1.0


class Plan(NamedTuple):
    """A file's layout: the words that must stay as they are, and the values wanted."""

    fixed: Sequence[int]
    values: Sequence[Value]


Planner = Callable[[Sequence[Line], SourceContext], Plan]
"""Works out a file's plan from its lines."""


class Layout:
    """The plan of one file, made anew whenever the file's names have changed."""

    def __init__(self, planner: Planner, context: SourceContext) -> None:
        self._planner = planner
        self._context = context
        self._length = -1
        self._names: tuple[bytes, ...] = ()
        self._gather_names = _gather(())
        self._gather_values = _gather(())
        self._divisors: tuple[float, ...] = ()
        self.series: tuple[Series, ...] = ()

    def values(self, data: bytes) -> list[float]:
        """The values of `self.series` in their order. Raises ValueError for what is no number."""
        words = data.split()
        if len(words) != self._length or self._gather_names(words) != self._names:
            self._replan(data, words)
        # Divided, not multiplied by a fraction: 6725 / 1000 is the nearest float to 6.725.
        return list(map(truediv, map(float, self._gather_values(words)), self._divisors))

    def readings(self, data: bytes) -> list[Reading]:
        """The values with their series."""
        values = self.values(data)
        return list(zip(self.series, values, strict=True))

    def _replan(self, data: bytes, words: list[bytes]) -> None:
        lines = []
        start = 0
        for text in data.splitlines():
            line = Line(start, text.split())
            start += len(line.words)
            lines.append(line)
        plan = self._planner(lines, self._context)
        self._length = len(words)
        self._gather_names = _gather(plan.fixed)
        self._names = self._gather_names(words)
        self._gather_values = _gather([value.place for value in plan.values])
        self._divisors = tuple(value.divisor for value in plan.values)
        self.series = tuple(value.series for value in plan.values)


def _gather(indices: Sequence[int]) -> Callable[[list[bytes]], tuple[bytes, ...]]:
    # itemgetter answers with a tuple only for two indices or more.
    if len(indices) >= 2:
        getter: Any = itemgetter(*indices)
        gather: Callable[[list[bytes]], tuple[bytes, ...]] = getter
        return gather
    return lambda words: tuple(words[index] for index in indices)


class FileSource:
    """A family that is read from one file or more, each with its planner."""

    def __init__(
        self, name: str, context: SourceContext, files: Sequence[tuple[str, Planner]]
    ) -> None:
        self.name = name
        self._files = [(KeptFile(path), Layout(planner, context)) for path, planner in files]

    def start(self, loop: Loop) -> None:
        """Drop the files that this kernel does not have. Raises OSError when none is left."""
        absent: OSError | None = None
        for pair in list(self._files):
            try:
                pair[0].read()
            except OSError as error:
                self._files.remove(pair)
                absent = error
        if not self._files:
            raise absent or OSError(f"{self.name} has no file to read")

    def collect(self, now: int) -> list[Reading]:
        """One reading for every value planned."""
        readings: list[Reading] = []
        for file, layout in self._files:
            readings += layout.readings(file.read())
        return readings

    def stop(self) -> None:
        """Close the files."""
        for file, _ in self._files:
            file.close()
