"""Late events count at their own time: in every reading, in any order, once, and for good."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.promql import Round, compile_query
from forewarn_collector.promql.live import LiveWindows
from forewarn_collector.store import AppendedEvents, Past, Store
from forewarn_wire import Event, Labels, Severity, labels_from
from support.stores import HOUR, START, Clock, contents, matching, series

Reopen = Callable[..., Store]
MINUTE = 60_000
TICK = 15_000
COUNTED = matching("forewarn_events_total")


def counter(instance: str) -> Labels:
    return series("forewarn_events_total", type="log", severity="error", instance=instance)


def event(uid: str, time: int, instance: str = "a") -> Event:
    labels = labels_from({"instance": instance})
    return Event(time, "log", Severity.ERROR, labels, "it broke", uid, {})


def send(store: Store, *events: Event) -> AppendedEvents:
    return store.append_events(events).result(10)


def run(store: Store, clock: Clock, until: int) -> None:
    """The collector samples its counters every 15 seconds."""
    while clock.now + TICK <= until:
        clock.now += TICK
        store.sample_counters(clock.now)


def counted(store: Store, instance: str = "a") -> list[tuple[int, float]]:
    return contents(store, COUNTED)[counter(instance)]


def rise(store: Store, span: str, at: int) -> dict[str, float]:
    """By how much counters rose, without the guesses of `increase` beyond what was sampled."""
    window = f"forewarn_events_total[{span}]"
    query = compile_query(f"max_over_time({window}) - min_over_time({window})")
    return {dict(labels)["instance"]: value for labels, value in query.instant(store, at).vector()}


def test_a_late_event_raises_its_counter_at_its_own_time_and_not_now(
    store: Store, clock: Clock
) -> None:
    send(store, event("1", START))
    run(store, clock, START + 2 * HOUR)
    late = START + HOUR + 4_000
    assert send(store, event("2", late)) == AppendedEvents(1, 0)
    run(store, clock, START + 2 * HOUR + MINUTE)
    expected = [(START - 1_000, 0.0), (START, 1.0)]
    expected += [(START + k * TICK, 1.0) for k in range(1, 241)]
    expected += [(late, 2.0)]
    expected += [(START + k * TICK, 2.0) for k in range(241, 485)]
    assert counted(store) == expected
    assert rise(store, "5m", late) == {"a": 1}
    assert rise(store, "5m", clock.now) == {"a": 0}
    assert store.stats().late_events == 1


def test_an_event_less_than_a_minute_old_counts_when_it_comes(store: Store, clock: Clock) -> None:
    send(store, event("1", START - MINUTE), event("2", START - MINUTE - 1))
    assert counted(store)[:2] == [(START - MINUTE - 1_001, 0.0), (START - MINUTE - 1, 1.0)]
    assert counted(store)[-2:] == [(START - 1_000, 1.0), (START, 2.0)]
    assert store.stats().late_events == 1


def test_a_counter_that_was_unknown_has_its_late_events_and_a_sample_of_now(
    store: Store, clock: Clock
) -> None:
    late = START - 3 * HOUR
    send(store, event("1", late), event("2", late))
    # What it would have had: one before, and ten minutes of samples behind.
    assert counted(store) == [
        (late - 1_000, 0.0),
        *((late + k * TICK, 2.0) for k in range(41)),
        (START, 2.0),
    ]
    clock.now += TICK
    send(store, event("3", clock.now))
    assert counted(store)[-1] == (clock.now, 3.0)


def test_an_event_of_the_first_second_there_is_has_no_sample_before_that(store: Store) -> None:
    send(store, event("1", 0))
    assert counted(store)[0] == (0, 1.0)


def test_a_time_in_which_the_collector_was_off_is_filled_about_late_events(
    store: Store, clock: Clock
) -> None:
    send(store, event("1", START))
    clock.now = back = START + HOUR
    store.sample_counters(back)
    first, second, third = START + 20 * MINUTE, START + 20 * MINUTE + 20_000, back - 70_000
    send(store, event("3", second), event("2", first), event("4", third))
    tail = [(second + k * TICK, 3.0) for k in range(1, 41)]
    assert counted(store) == [
        (START - 1_000, 0.0),
        (START, 1.0),
        (first - 1_000, 1.0),
        (first, 2.0),
        (first + TICK, 2.0),
        (second - 1_000, 2.0),
        (second, 3.0),
        *tail,
        (third - 1_000, 3.0),
        *((third + k * TICK, 4.0) for k in range(5)),
        (back, 4.0),
    ]


def test_a_resend_of_late_events_adds_nothing_also_after_a_restart(
    reopen: Reopen, clock: Clock
) -> None:
    store = reopen()
    send(store, event("1", START))
    run(store, clock, START + HOUR)
    late = [event("2", START + 10 * MINUTE), event("3", START + 10 * MINUTE)]
    assert send(store, *late, late[0]) == AppendedEvents(2, 1)
    before = counted(store)
    assert send(store, *late) == AppendedEvents(0, 2)
    assert counted(store) == before
    store = reopen()
    assert counted(store) == before
    assert send(store, *late) == AppendedEvents(0, 2)
    assert counted(store) == before
    clock.now += 1_000
    assert send(store, event("4", START + 10 * MINUTE)) == AppendedEvents(1, 0)
    assert counted(store)[-1][1] == 4.0


def test_what_fails_leaves_no_late_event_behind(store: Store, clock: Clock) -> None:
    unwritable = event("bad", START)._replace(body="\ud800")
    with pytest.raises(UnicodeEncodeError):
        send(store, event("1", START - HOUR), unwritable)
    assert contents(store, COUNTED) == {}
    send(store, event("1", START - HOUR))
    assert counted(store)[-1] == (START, 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_in_any_order_every_reading_counts_each_event_at_its_time(
    reopen: Reopen, tmp_path: Path, clock: Clock, seed: int
) -> None:
    chosen = random.Random(seed)
    store = reopen()
    happened: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    window = LiveWindows(store)
    live = compile_query("increase(forewarn_events_total[20m])")
    for uid in range(120):
        run(store, clock, clock.now + chosen.choice([0, 0, TICK, 10 * TICK]))
        clock.now += chosen.choice([2, 700])
        host = chosen.choice("abc")
        late = chosen.choice([0, 0, 2 * MINUTE, 7 * MINUTE, 90 * MINUTE])
        time = clock.now - (late + chosen.randrange(60_000) if late else 0)
        if late and chosen.random() < 0.3:
            # At the very time of a sample that is there.
            before = [
                each
                for each, _ in contents(store, COUNTED, time, clock.now - 2 * MINUTE).get(
                    counter(host), []
                )
            ]
            time = chosen.choice(before or [time])
        happened[host].append(time)
        send(store, event(str(uid), time, host))
        match chosen.randrange(12):
            case 0:
                store.seal()
            case 1:
                store.seal()
                list(store.compact())
            case 2:
                store = reopen()
                window = LiveWindows(store)
            case 3 | 4 | 5:
                at = clock.now
                wanted = dict(live.instant(store, at).vector())
                kept = dict(live.at(Round(store, at, live=window), at).vector())
                assert kept == pytest.approx(wanted)
    store.sample_counters(clock.now)
    newest = store.latest(COUNTED, 0, clock.now)
    totals = {
        dict(labels)["instance"]: value
        for labels, value in zip(newest.labels, newest.values, strict=True)
    }
    assert totals == {host: len(times) for host, times in happened.items()}
    for host, times in happened.items():
        samples = counted(store, host)
        sampled = np.array([time for time, _ in samples])
        # At any sample, as many as had happened by then; what is not late counts at once too.
        expected = [sum(each <= time for each in times) for time in sampled.tolist()]
        assert [value for _, value in samples] == expected
        assert set(times) <= {*sampled.tolist()}
    past = Past(tmp_path / "data")
    refs = {
        ref: labels for ref, labels in past.series if dict(labels)["__name__"] == COUNTED[0].value
    }
    read: dict[Labels, list[tuple[int, float]]] = {}
    for each_refs, times, values in past.samples(np.array(sorted(refs)), 0, clock.now):
        for ref, time, value in zip(
            each_refs.tolist(), times.tolist(), values.tolist(), strict=True
        ):
            read.setdefault(refs[ref], []).append((time, value))
    past.close()
    assert read == contents(store, COUNTED)


def test_late_events_go_with_retention_and_the_rest_counts_on(reopen: Reopen, clock: Clock) -> None:
    store = reopen()

    def sample_hours(count: int) -> None:
        for _ in range(count):
            clock.now += HOUR
            store.sample_counters(clock.now)

    send(store, event("1", START))
    run(store, clock, START + 10 * MINUTE)
    send(store, *(event(f"late {k}", START + MINUTE + k * 1_000) for k in range(10)))
    sample_hours(25)
    # It must know of newer data before it drops any.
    send(store, event("2", clock.now, "b"))
    send(store, event("3", clock.now - HOUR))
    before = counted(store)
    store.enforce_retention()
    # Only what went is gone; as many as before are in the counter.
    left = counted(store)
    assert left[-1][1] == 12.0
    assert left == before[-len(left) :]
    store = reopen()
    left = counted(store)
    assert left == before[-len(left) :]
    # Without an event for a whole retention the counter is forgotten, and begins at 0.
    sample_hours(25)
    send(store, event("4", clock.now, "b"))
    store.enforce_retention()
    clock.now += MINUTE
    send(store, event("5", clock.now))
    assert counted(store)[-1] == (clock.now, 1.0)
    assert rise(store, "30s", clock.now)["a"] == 1
    store = reopen()
    assert counted(store)[-1] == (clock.now, 1.0)


def test_events_are_seen_at_once_after_a_clock_that_was_ahead(
    store: Store, clock: Clock, reopen: Reopen
) -> None:
    send(store, event("1", START))
    run(store, clock, START + 5 * MINUTE)
    clock.now += 3 * HOUR
    store.sample_counters(clock.now)
    clock.now = START + 6 * MINUTE
    store = reopen()
    send(store, event("2", clock.now))
    assert rise(store, "5m", clock.now) == {"a": 1.0}
    run(store, clock, START + 8 * MINUTE)
    send(store, event("3", clock.now - 1000))
    assert rise(store, "1m", clock.now) == {"a": 1.0}
    # It is sampled on, and never falls, also where its samples of the other clock are met.
    run(store, clock, START + 4 * HOUR)
    times, values = zip(*counted(store), strict=True)
    assert list(values) == sorted(values)
    assert values[-1] == 3.0
    assert max(np.diff(times)) <= 2 * MINUTE
