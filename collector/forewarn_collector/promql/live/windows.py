"""Sliding windows that rules share, each with what is kept up about its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from forewarn_collector.promql.live.accumulators import Accumulator
from forewarn_collector.promql.values import Windows
from forewarn_collector.store.columns import Ints, Matcher, SeriesLabels
from forewarn_collector.store.sliding import SlidingWindow

RENEWED_EVERY = 3_600_000
"""How long (ms) what is kept is kept up before it is computed anew, at least: against drift. Where
four times the range of a window are longer, that long."""

UNUSED = 3_600_000
"""How long (ms) a window is kept that no evaluation reads."""

Kept = TypeVar("Kept", bound=Accumulator)


class SlidingSource(Protocol):
    """What can have windows slide over its samples. `Store` is one."""

    def sliding(self, matchers: Sequence[Matcher]) -> SlidingWindow:
        """A window over the series that match every matcher."""


class LiveWindow:
    """A range selector at one instant: a `SlidingWindow` and what is kept up about it."""

    def __init__(self, window: SlidingWindow, length: int) -> None:
        """`length` is the range in ms."""
        self.window = window
        self._length = length
        self._accumulators: dict[type[Accumulator], Accumulator] = {}
        self._renewed_at = 0

    @property
    def labels(self) -> SeriesLabels:
        """The labels of the series."""
        return self.window.labels

    @property
    def counts(self) -> Ints:
        """How many samples each series has in the window."""
        return self.window.counts

    def slide(self, closes: int) -> None:
        """Move the window, and bring up to date what is kept about it."""
        slide = self.window.slide(closes - self._length, closes)
        series = len(self.window.labels)
        if not 0 <= closes - self._renewed_at <= max(RENEWED_EVERY, 4 * self._length):
            # What is asked for again is computed anew.
            self._accumulators.clear()
            self._renewed_at = closes
        for accumulator in self._accumulators.values():
            accumulator.resize(series)
            if slide.contents is not None:
                accumulator.renew(slide.renewed, slide.contents)
            for turn in slide.entered:
                accumulator.enter(turn)
            for turn in slide.left:
                accumulator.leave(turn)

    def kept(self, kind: type[Kept]) -> Kept:
        """What is kept of one kind, as of the last slide."""
        accumulator = self._accumulators.get(kind)
        if not isinstance(accumulator, kind):
            accumulator = self._accumulators[kind] = kind()
            accumulator.resize(len(self.window.labels))
            doubtful = np.arange(len(self.window.labels))
        else:
            doubtful = accumulator.doubtful(self.window)
        if len(doubtful):
            accumulator.renew(doubtful, self.window.contents(doubtful))
        return accumulator

    def windows(self, rows: Ints) -> Windows:
        """The samples of some series, as a plain range vector of one step."""
        contents = self.window.contents(rows)
        return Windows(
            [self.labels[row] for row in rows.tolist()],
            contents.times,
            contents.values,
            contents.offsets[:-1, np.newaxis],
            contents.offsets[1:, np.newaxis],
            np.array([self.window.opens]),
            np.array([self.window.closes]),
            whole=True,
        )


_Key = tuple[Sequence[Matcher], int, int]


class LiveWindows:
    """The windows of a source that rules read. Not for two threads at once."""

    def __init__(self, source: SlidingSource) -> None:
        self._source = source
        self._windows: dict[_Key, LiveWindow] = {}
        self._used: dict[_Key, int] = {}
        self._at = 0

    def begin(self, at: int) -> None:
        """Begin a round at `at` (ms), and forget the windows that no rule has read for long."""
        self._at = at
        unused = [key for key, used in self._used.items() if used < at - UNUSED]
        for key in unused:
            del self._used[key], self._windows[key]

    def window(self, matchers: Sequence[Matcher], length: int, closes: int) -> LiveWindow:
        """The window of `length` that ends at `closes` (ms)."""
        # Windows that lag behind the round by different times slide apart from each other.
        key = matchers, length, self._at - closes
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = LiveWindow(self._source.sliding(matchers), length)
        self._used[key] = self._at
        window.slide(closes)
        return window
