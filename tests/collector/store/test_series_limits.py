"""Limits of active series: new ones over them are refused, known ones are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from forewarn_collector.store import (
    AppendedEvents,
    Batch,
    Layout,
    Matcher,
    MatchOp,
    SeriesLimits,
    Store,
)
from forewarn_wire import Event, Labels, Severity, labels_from

NOW = 1_760_000_000_000
HOUR = 3_600_000


class Clocked:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def opened(folder: Path, clock: Clocked, limits: SeriesLimits) -> Store:
    store = Store(folder, retention=24 * HOUR, clock=clock, limits=limits)
    store.open()
    return store


def labelled(count: int, customer: str = "", start: int = 0) -> list[Labels]:
    extra = {"customer": customer} if customer else {}
    return [
        labels_from({"__name__": "m", "k": str(k), **extra}) for k in range(start, start + count)
    ]


def batch(labels: list[Labels], time: int, layout: Layout | None = None) -> Batch:
    rows = np.arange(len(labels), dtype=np.int64)
    times = np.full(len(labels), time, dtype=np.int64)
    if layout is not None:
        return Batch(layout.labels, layout.rows, times, rows.astype(float), layout)
    return Batch(labels, rows, times, rows.astype(float))


def stored(store: Store, time: int) -> list[str]:
    found = store.select([Matcher("__name__", MatchOp.EQUAL, "m")], time, time)
    counts = np.diff(found.offsets)
    return [dict(labels)["k"] for labels, count in zip(found.labels, counts, strict=True) if count]


def test_new_series_over_a_customers_limit_are_refused_and_known_ones_kept(tmp_path: Path) -> None:
    clock = Clocked()
    store = opened(tmp_path, clock, SeriesLimits(by_value={"acme": 3}))
    try:
        assert store.append(batch(labelled(2, "acme"), NOW)).result().refused == ()
        clock.now += 1_000
        answer = store.append(batch(labelled(5, "acme"), NOW + 1)).result()
        assert (answer.added, answer.duplicates) == (3, 0)
        assert [labels for labels, _ in answer.refused] == labelled(2, "acme", 3)
        assert "3 series of customer acme are active" in answer.refused[0][1]
        assert stored(store, NOW + 1) == ["0", "1", "2"]
        # Of others there is no limit, and what the collector makes itself is never refused.
        assert store.append(batch(labelled(9, "other"), NOW)).result().refused == ()
        assert store.append(batch(labelled(9, "acme"), NOW + 2), own=True).result().added == 9
        assert store.stats().created == 3 + 9 + 6
    finally:
        store.close()


def test_series_that_have_stopped_make_room_after_an_hour(tmp_path: Path) -> None:
    clock = Clocked()
    store = opened(tmp_path, clock, SeriesLimits(most=3))
    try:
        assert store.append(batch(labelled(3), NOW)).result().added == 3
        assert len(store.append(batch(labelled(1, start=3), NOW)).result().refused) == 1
        clock.now += HOUR + 20_000
        later = store.append(batch(labelled(4, start=3), clock.now)).result()
        assert (later.added, len(later.refused)) == (3, 1)
        # Known ones are taken though there is no room for a new one.
        assert store.append(batch(labelled(3), clock.now)).result().added == 3
    finally:
        store.close()


def test_a_layout_with_refused_series_is_looked_at_again(tmp_path: Path) -> None:
    clock = Clocked()
    store = opened(tmp_path, clock, SeriesLimits(most=2))
    try:
        labels = labelled(3)
        layout = Layout(labels, np.arange(3, dtype=np.int64))
        for turn in range(3):
            answer = store.append(batch(labels, NOW + turn, layout)).result()
            assert (answer.added, len(answer.refused)) == (2, 1)
        clock.now += HOUR + 20_000
        for turn in range(3):
            answer = store.append(batch(labels, clock.now + turn, layout)).result()
            assert (answer.added, answer.refused) == (3, ())
    finally:
        store.close()


def test_a_batch_with_a_layout_gives_what_one_without_gives(tmp_path: Path) -> None:
    clock = Clocked()
    labels = labelled(4)[::-1]
    layout = Layout(labels, np.array([2, 0, 1, 3, 0], dtype=np.int64))
    times = np.array([0, 1, 2, 3, 4], dtype=np.int64) + NOW
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    found = []
    for number, kept in enumerate((layout, None)):
        store = opened(tmp_path / str(number), clock, SeriesLimits())
        try:
            for turn in range(4):
                arriving = Batch(labels, layout.rows, times + 10 * turn, values, kept)
                assert store.append(arriving).result().added == 5
            columns = store.select([], NOW, NOW + 100)
            found.append([*map(list, (columns.labels, columns.times, columns.values))])
        finally:
            store.close()
    assert found[0] == found[1]


def logged(uid: str, severity: Severity, customer: str, **labels: str) -> Event:
    named = labels_from({"customer": customer, **labels})
    return Event(NOW, f"type {uid}", severity, named, "it broke", uid)


def test_events_whose_counter_is_over_a_limit_are_kept_and_count_together(tmp_path: Path) -> None:
    clock = Clocked()
    store = opened(tmp_path, clock, SeriesLimits(by_value={"acme": 3}))
    known = logged("known", Severity.ERROR, "acme", instance="a")
    store.append_events([known]).result(10)
    many = [logged(str(k), Severity.ERROR, "acme", instance=f"i{k}") for k in range(50)]
    many += [logged("f", Severity.FATAL, "acme", instance="f"), known._replace(uid="again")]
    late = [each._replace(uid=f"late {each.uid}", time=NOW - HOUR) for each in many]
    clock.now += 1_000
    # Two new counters are within the limit.
    appended = store.append_events([*many, *late]).result(10)
    assert appended == AppendedEvents(104, 0, 0, overflow=98)
    store.append_events([logged("other", Severity.ERROR, "b", instance="b")]).result(10)
    overflow = Matcher("otel_metric_overflow", MatchOp.EQUAL, "true")
    found = store.latest([overflow], NOW - 2 * HOUR, clock.now)
    assert {
        dict(labels)["severity"]: (dict(labels), value)
        for labels, value in zip(found.labels, found.values.tolist(), strict=True)
    } == {
        severity: (
            {
                "__name__": "forewarn_events_total",
                "customer": "acme",
                "severity": severity,
                "otel_metric_overflow": "true",
            },
            count,
        )
        for severity, count in {"error": 96.0, "fatal": 2.0}.items()
    }
    # Those of an hour ago count at their own time here too.
    then = store.latest([overflow], 0, NOW - HOUR)
    assert sorted(then.values.tolist()) == [1.0, 48.0]
    assert len(store.events([], 0, clock.now, 1_000)) == 106
    assert store._head.active(0) == 6
    store.close()
