"""Times that cannot be right are refused by name, those beside them are kept."""

from __future__ import annotations

import numpy as np

from forewarn_collector.ingest import Kind, Span
from forewarn_collector.store import Batch, Increases, Layout
from forewarn_wire import Event, Labels, Severity, labels_from

DAY = 86_400_000
NOW = 1_750_000_000_000  # 2025-06-15T15:06:40Z
SPAN = Span(NOW - 400 * DAY, NOW + DAY)


def name(text: str) -> Labels:
    return labels_from({"__name__": text})


def batch(*samples: tuple[int, int, float]) -> Batch:
    """Samples of series 0, 1, 2 ...: series, time, value."""
    rows, times, values = zip(*samples, strict=True)
    labels = [name(f"m{row}") for row in range(max(rows) + 1)]
    return Batch(labels, np.array(rows), np.array(times), np.array(values, dtype=np.float64))


def test_a_batch_within_stays_the_same_object() -> None:
    given = batch((0, NOW + DAY, 1.0), (1, NOW - 400 * DAY, 2.0))
    assert SPAN.batch(given) == (given, [])
    empty = Batch((), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    assert SPAN.batch(empty) == (empty, [])


def test_samples_of_the_future_and_of_before_what_is_kept_are_refused_by_series() -> None:
    # The end of a time of 64 bits in nanoseconds, and seconds in the place of milliseconds.
    future, seconds = 18_446_744_073_709, NOW // 1000
    given = batch((0, NOW, 1.0), (1, seconds, 2.0), (1, seconds + 1, 3.0), (2, future, 4.0))
    rows, times = given.rows, given.times
    laid_out = Batch(given.labels, rows, times, given.values, Layout(given.labels, rows))
    kept, refused = SPAN.batch(laid_out)
    assert (list(kept.labels), kept.rows.tolist(), kept.layout) == ([name("m0")], [0], None)
    assert (kept.times.tolist(), kept.values.tolist()) == ([NOW], [1.0])
    assert [(item.kind, item.subject) for item in refused] == [
        (Kind.BAD_TIME, "m1{}"),
        (Kind.BAD_TIME, "m2{}"),
    ]
    assert "2 with a time older than what is kept (2024-05-11T15:06:40Z)" in refused[0].reason
    assert "such as 1750000000 ms (1970-01-21T06:06:40Z)" in refused[0].reason
    assert "1 with a time later than a day from now (2025-06-16T15:06:40Z)" in refused[1].reason
    assert "(2554-07-21T23:34:33Z)" in refused[1].reason


def test_of_very_many_series_all_are_counted() -> None:
    _, refused = SPAN.batch(batch(*((row, 0, 1.0) for row in range(20))))
    assert len(refused) == 20


def test_increases_keep_where_they_began() -> None:
    given = Increases(
        batch((0, NOW, 1.0), (0, NOW + 2 * DAY, 2.0), (0, NOW + 5, 3.0)), np.arange(3)
    )
    kept, refused = SPAN.increases(given)
    assert (kept.starts.tolist(), kept.batch.values.tolist()) == ([0, 2], [1.0, 3.0])
    assert len(refused) == 1


def test_an_event_of_the_future_is_refused_and_the_store_decides_on_old_ones() -> None:
    events = [
        Event(time, "log", Severity.INFO, name("x"), "text", f"uid{time}")
        for time in (0, NOW, NOW + DAY + 1)
    ]
    kept, refused = SPAN.events(events)
    assert kept == events[:2]
    assert [item.kind for item in refused] == [Kind.BAD_TIME]
