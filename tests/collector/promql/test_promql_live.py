"""What is kept up as samples arrive is what a plain evaluation of all samples gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forewarn_collector.promql import Result, Round, compile_query
from forewarn_collector.promql.functions.live import LIVE
from forewarn_collector.promql.live import LiveWindows
from forewarn_wire import STALE_NAN, labels_from
from support.head_source import HeadSource

SECOND = 1000
SPAN = 60 * SECOND

EXPRESSIONS = [
    *(
        f"{name}(m[1m], 3600)" if name == "predict_linear" else f"{name}(m[1m])"
        for name in sorted(LIVE)
    ),
    "m offset 30s",
    "m",
    "rate(m[1m] offset 20s)",
    "absent_over_time(m[1m])",
    "quantile_over_time(0.5, m[1m])",
]


def _answers(result: Result) -> dict[object, float]:
    return dict(result.vector())


def _close(one: float, other: float, scale: float) -> bool:
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12 * scale)


def _check(source: HeadSource, live: LiveWindows, at: int, scale: float = 1e3) -> None:
    """`scale` is that of the values, beside which what a line takes from them may vanish."""
    for text in EXPRESSIONS:
        query = QUERIES[text]
        wanted = _answers(query.instant(source, at))
        found = _answers(query.at(Round(source, at, live=live), at))
        assert found.keys() == wanted.keys(), text
        for labels, value in wanted.items():
            assert _close(found[labels], value, scale), (text, labels, found[labels], value)


QUERIES = {text: compile_query(text) for text in EXPRESSIONS}

_VALUES = st.one_of(
    st.integers(0, 5).map(float),
    st.floats(-1e6, 1e6),
    st.sampled_from([0.0, math.inf, -math.inf, math.nan, STALE_NAN, 1e15, 1e-3]),
)
_STEPS = st.one_of(
    st.tuples(st.just("tick"), st.lists(_VALUES, min_size=1, max_size=4), st.integers(1, 12)),
    st.tuples(st.just("late"), st.integers(0, 3), st.integers(0, 90), _VALUES),
    st.tuples(st.just("check"), st.integers(-5, 70)),
    st.tuples(st.just("drop"), st.integers(100, 200)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_STEPS, max_size=30))
def test_whatever_arrives_live_and_plain_evaluation_agree(steps: list[tuple[object, ...]]) -> None:
    source = HeadSource()
    live = LiveWindows(source)
    now = 1_000_000
    for step in steps:
        match step:
            case ("tick", list(values), int(count)):
                for _ in range(count):
                    now += 5 * SECOND
                    source.write(
                        [
                            (_labels(number), now + 100 * number, float(value))
                            for number, value in enumerate(values)
                        ]
                    )
            case ("late", int(number), int(age), float(value)):
                source.write([(_labels(number), now - age * SECOND, value)])
            case ("check", int(ahead)):
                _check(source, live, now + ahead * SECOND)
            case ("drop", int(age)):
                source.drop(now - age * SECOND)
    _check(source, live, now)


def _labels(number: int) -> tuple[tuple[str, str], ...]:
    return labels_from({"__name__": "m", "n": str(number)})


def test_a_long_run_drifts_from_nothing() -> None:
    drawn = np.random.default_rng(11)
    source = HeadSource()
    live = LiveWindows(source)
    counter = 1e9
    for tick in range(1_500):
        at = tick * 10 * SECOND
        counter = 0.0 if tick % 170 == 0 else counter + float(drawn.integers(0, 1000))
        level = 1e11 + 1e5 * math.sin(tick / 50) + float(drawn.normal())
        jumpy = float(10.0 ** drawn.integers(-6, 9))
        source.write(
            [
                (_labels(number), at, value)
                for number, value in enumerate([counter, level, jumpy, 3.0])
            ]
        )
        _check(source, live, at, 1e8) if tick % 100 == 99 else _slide(source, live, at)


def _slide(source: HeadSource, live: LiveWindows, at: int) -> None:
    round_ = Round(source, at, live=live)
    for text in EXPRESSIONS:
        QUERIES[text].at(round_, at)


def test_a_line_through_samples_that_lie_close_together_is_exact() -> None:
    source = HeadSource()
    live = LiveWindows(source)
    at = 1_000_000
    source.write([(_labels(0), at, 2.0)])
    _check(source, live, at)
    at += 59 * SECOND
    source.write([(_labels(0), at, 1e6), (_labels(0), at + 1, 1e6 + 3)])
    _check(source, live, at + 1)
    _check(source, live, at + 2 * SECOND)


def test_a_counter_that_fell_and_vanished_can_come_back() -> None:
    source = HeadSource()
    live = LiveWindows(source)
    for second, value in ((0, 9.0), (10, 1.0), (20, 5.0), (30, 1.0)):
        source.write([(_labels(0), second * SECOND, value)])
    query, other = QUERIES["resets(m[1m])"], QUERIES["count_over_time(m[1m])"]
    assert query.at(Round(source, 30 * SECOND, live=live), 30 * SECOND).vector()[0][1] == 2.0
    # The first fall leaves while nobody asks for falls, and then all there was is dropped.
    other.at(Round(source, 65 * SECOND, live=live), 65 * SECOND)
    other.at(Round(source, 75 * SECOND, live=live), 75 * SECOND)
    source.drop(1_000 * SECOND)
    assert not query.at(Round(source, 80 * SECOND, live=live), 80 * SECOND).vector()
    source.write([(_labels(0), 2_000 * SECOND, 1.0)])
    _check(source, live, 2_000 * SECOND)


def test_a_slide_reads_what_arrived_and_not_the_whole_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = HeadSource()
    live = LiveWindows(source)
    query = compile_query("rate(m[1h])")
    for tick in range(400):
        source.write([(_labels(0), tick * 10 * SECOND, float(tick))])
    at = 400 * 10 * SECOND
    query.at(Round(source, at, live=live), at)
    read: list[int] = []
    plain = source.head.read
    monkeypatch.setattr(
        source.head, "read", lambda places: read.append(len(places.chunks)) or plain(places)
    )
    monkeypatch.setattr(source.head, "select", None)
    source.write([(_labels(0), at, 400.0)])
    at += 10 * SECOND
    result = query.at(Round(source, at, live=live), at)
    # 360 samples of 1 each 10 s: the slope is 0.1 a second.
    assert [round(value, 9) for _, value in result.vector()] == [0.1]
    assert sum(read) == 1  # the one that is now the first; the newest is at hand


def test_what_arrives_between_a_slide_and_a_look_at_the_samples_is_counted_once() -> None:
    source = HeadSource()
    live = LiveWindows(source)
    query = compile_query("sum_over_time(m[1m])")
    source.write([(_labels(0), at, 1.0) for at in range(10_000, 50_001, 10_000)])
    window = live.window(query.selectors[0].matchers, SPAN, 60_000)
    # Before anything is kept of the window: a sample of a time that it spans.
    source.write([(_labels(0), 55_000, 1.0)])
    assert window.windows(np.array([0])).values.tolist() == [1.0] * 5
    found = [query.at(Round(source, at, live=live), at).vector() for at in (60_001, 60_002)]
    assert [vector[0][1] for vector in found] == [6.0, 6.0]


def test_a_range_beyond_what_is_kept_goes_on_where_retention_drops_its_beginning() -> None:
    source = HeadSource()
    live = LiveWindows(source)
    query = compile_query("count_over_time(m[1h])")
    for tick in range(300):
        at = (tick + 1) * 10 * SECOND
        source.write([(_labels(0), at, float(tick))])
        if tick % 40 == 39:
            source.drop(at - 10 * 60 * SECOND)
        found = query.at(Round(source, at, live=live), at).vector()
        assert found == query.instant(source, at).vector()
