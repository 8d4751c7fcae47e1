"""A sliding window holds just what a plain reading of the same range finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.store import Matcher, MatchOp
from forewarn_collector.store.sliding import Contents, Slide, Turn
from forewarn_wire import STALE_NAN, labels_from
from support.head_source import HeadSource

METRIC = Matcher("__name__", MatchOp.EQUAL, "m")


class Kept:
    """A head with a window on it, and what the window's slides say that it holds."""

    def __init__(self) -> None:
        self.source = HeadSource()
        self.window = self.source.sliding([METRIC])
        self.contents: dict[int, list[tuple[int, float]]] = {}

    def write(self, batch: Sequence[tuple[int, int, float]]) -> None:
        """Add samples (series, time, value)."""
        self.source.write(
            [
                (labels_from({"__name__": "m", "n": str(number)}), time, value)
                for number, time, value in batch
            ]
        )

    def slide(self, opens: int, closes: int) -> Slide:
        """Slide, and bring `contents` up to date from what the slide tells."""
        slide = self.window.slide(opens, closes)
        refs = self.source.index.select([METRIC]).refs.tolist()
        self.contents = {ref: self.contents.get(ref, []) for ref in refs}
        if slide.contents is not None:
            for row, samples in zip(slide.renewed.tolist(), _split(slide.contents), strict=True):
                self.contents[refs[row]] = samples
        for turn in slide.entered:
            for row, time, value, linked, before in _samples(turn):
                known = self.contents[refs[row]]
                assert linked == bool(known)
                assert not linked or _same(before, known[-1][1])
                known.append((time, value))
        for turn in slide.left:
            for row, time, value, linked, after in _samples(turn):
                known = self.contents[refs[row]]
                first = known.pop(0)
                assert first[0] == time
                assert _same(first[1], value)
                assert linked == bool(known)
                assert not linked or _same(after, known[0][1])
        return slide

    def check(self, opens: int, closes: int) -> None:
        """Compare with a plain reading."""
        refs = self.source.index.select([METRIC]).refs
        times, values, offsets = self.source.head.select(refs, opens + 1, closes)
        assert len(self.window.labels) == len(refs)
        read = _split(Contents(times, values, offsets))
        for row, (ref, found) in enumerate(zip(refs.tolist(), read, strict=True)):
            wanted = [(t, v) for t, v in found if not _same(v, STALE_NAN)]
            held = self.contents[ref]
            assert [time for time, _ in held] == [time for time, _ in wanted]
            assert all(_same(a[1], b[1]) for a, b in zip(held, wanted, strict=True))
            assert self.window.counts[row] == len(wanted)
            if wanted:
                assert self.window.first_times[row] == wanted[0][0]
                assert _same(self.window.first_values[row], wanted[0][1])
                assert self.window.last_times[row] == wanted[-1][0]
                assert _same(self.window.last_values[row], wanted[-1][1])


def _samples(turn: Turn) -> Iterator[tuple[int, int, float, bool, float]]:
    columns = (turn.rows, turn.times, turn.values, turn.linked, turn.neighbours)
    return zip(*(column.tolist() for column in columns), strict=True)


def _split(contents: Contents) -> list[list[tuple[int, float]]]:
    edges = zip(contents.offsets[:-1].tolist(), contents.offsets[1:].tolist(), strict=True)
    return [
        list(zip(contents.times[a:b].tolist(), contents.values[a:b].tolist(), strict=True))
        for a, b in edges
    ]


def _same(one: float, other: float) -> bool:
    return bool(np.float64(one).view(np.int64) == np.float64(other).view(np.int64))


_VALUES = st.sampled_from([0.0, 1.0, 2.5, -3.0, float("inf"), float("nan"), STALE_NAN])
_STEPS = st.one_of(
    # Whole ticks of some series, in order of time, as agents send them.
    st.tuples(st.just("tick"), st.sets(st.integers(0, 5), min_size=1), _VALUES, st.integers(1, 40)),
    # Samples at any time: late, twice, far ahead.
    st.tuples(
        st.just("write"),
        st.lists(
            st.tuples(st.integers(0, 5), st.integers(0, 600), _VALUES), min_size=1, max_size=8
        ),
    ),
    st.tuples(st.just("slide"), st.integers(-10, 60), st.sampled_from([5, 30, 200])),
    st.tuples(st.just("drop"), st.integers(0, 300)),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_STEPS, max_size=40))
def test_a_window_that_slides_holds_what_a_plain_reading_finds(
    steps: list[tuple[object, ...]],
) -> None:
    kept = Kept()
    now = 0
    for step in steps:
        match step:
            case ("tick", set(rows), float(value), int(count)):
                for _ in range(count):
                    now += 1
                    kept.write([(number, now, value + now % 3) for number in sorted(rows)])
            case ("write", list(samples)):
                kept.write([(int(ref), int(time), float(value)) for ref, time, value in samples])
            case ("slide", int(ahead), int(length)):
                closes = now + ahead
                kept.slide(closes - length, closes)
                kept.check(closes - length, closes)
            case ("drop", int(age)):
                kept.source.drop(now - age)
