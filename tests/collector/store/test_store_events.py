"""Events: stored once, counted as samples, found again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from forewarn_collector.store import AppendedEvents, Matcher, MatchOp, Store
from forewarn_wire import Event, Labels, Severity, labels_from, metric_name
from support.stores import HOUR, START, Clock, contents, matching, series

Reopen = Callable[..., Store]


def event(uid: str, time: int = START, **labels: str) -> Event:
    return Event(
        time=time,
        type="log",
        severity=Severity.ERROR,
        labels=labels_from({"instance": "a", **labels}),
        body="cannot open \u00e9t\u00e9.db\x00",
        uid=uid,
        attributes={"file": "/var/log/app.log", "": "empty"},
    )


def counter(**labels: str) -> Labels:
    return series("forewarn_events_total", type="log", severity="error", instance="a", **labels)


def test_a_new_counter_starts_at_0_shortly_before_its_first_event(
    store: Store, clock: Clock
) -> None:
    arrivals = store.arrivals()
    first = store.append_events([event("1", time=START - 70), event("2", job="app")])
    assert first.result(10) == AppendedEvents(2, 0)
    arrived = store.labels_of(arrivals.get(timeout=5).refs)
    assert {metric_name(labels) for labels in arrived} == {"forewarn_events_total"}
    assert contents(store, matching("forewarn_events_total")) == {
        counter(): [(START - 1_000, 0.0), (START, 1.0)],
        counter(job="app"): [(START - 1_000, 0.0), (START, 1.0)],
    }
    clock.now += 50
    store.append_events([event("3"), event("4")]).result(10)
    assert contents(store, matching("forewarn_events_total", job=""))[counter()][2:] == [
        (START + 50, 3.0)
    ]


def test_a_resent_event_is_neither_stored_nor_counted_again(reopen: Reopen) -> None:
    store = reopen()
    sent = [event("1"), event("2"), event("1")]
    assert store.append_events(sent).result(10) == AppendedEvents(2, 1)
    assert store.append_events(sent).result(10) == AppendedEvents(0, 3)
    store = reopen()
    assert store.append_events(sent).result(10) == AppendedEvents(0, 3)
    assert contents(store, matching("forewarn_events_total"))[counter()][-1] == (START, 2.0)


def test_two_changes_within_a_millisecond_or_with_the_clock_set_back_are_both_seen(
    store: Store, clock: Clock
) -> None:
    for uid in ("1", "2", "3"):
        store.append_events([event(uid)]).result(10)
        clock.now -= uid == "2"
    samples = contents(store, matching("forewarn_events_total"))[counter()]
    assert samples == [(START - 1_000, 0.0), (START, 1.0), (START + 1, 2.0), (START + 2, 3.0)]


def test_counters_go_on_after_a_restart_and_do_not_go_stale(reopen: Reopen, clock: Clock) -> None:
    store = reopen()
    store.append_events([event("1"), event("2")]).result(10)
    store = reopen()
    store.sample_counters(START + 15_000)
    store.sample_counters(START + 15_000)
    clock.now = START + 20_000
    store.append_events([event("3")]).result(10)
    assert contents(store, matching("forewarn_events_total"))[counter()] == [
        (START - 1_000, 0.0),
        (START, 2.0),
        (START + 15_000, 2.0),
        (START + 20_000, 3.0),
    ]


def test_events_are_found_by_labels_and_time_newest_first(store: Store) -> None:
    events = [event(str(k), START + k, job="app" if k % 2 else "db") for k in range(10)]
    warning = event("w", START + 3)._replace(severity=Severity.WARN, type="oom")
    store.append_events([*events, warning]).result(10)

    def found(
        *matchers: Matcher, start: int = 0, end: int = START + 100, limit: int = 100
    ) -> list[str]:
        return [item.uid for item in store.events(matchers, start, end, limit)]

    assert found() == ["9", "8", "7", "6", "5", "4", "w", "3", "2", "1", "0"]
    assert found(limit=2) == ["9", "8"]
    assert found(limit=0) == []
    assert found(start=START + 4, end=START + 5) == ["5", "4"]
    assert found(Matcher("job", MatchOp.EQUAL, "app"), limit=3) == ["9", "7", "5"]
    assert found(Matcher("job", MatchOp.EQUAL, "")) == ["w"]
    assert found(Matcher("job", MatchOp.REGEX, "d.")) == ["8", "6", "4", "2", "0"]
    assert found(Matcher("severity", MatchOp.EQUAL, "warn")) == ["w"]
    assert found(Matcher("type", MatchOp.NOT_EQUAL, "log")) == ["w"]
    assert store.events([Matcher("type", MatchOp.EQUAL, "oom")], 0, START + 100, 1) == [warning]
    with pytest.raises(ValueError, match="bad regex"):
        found(Matcher("job", MatchOp.REGEX, "["))


def test_old_events_and_counters_that_no_longer_change_are_dropped(
    reopen: Reopen, clock: Clock
) -> None:
    store = reopen()
    store.append_events([event("old"), event("old too", kind="x")]).result(10)
    clock.now = START + 30 * HOUR
    store.append_events([event("new", time=clock.now)]).result(10)
    store.enforce_retention()
    assert [item.uid for item in store.events([], 0, clock.now, 10)] == ["new"]
    store.sample_counters(clock.now + 1)
    last = {labels: samples[-1] for labels, samples in contents(store, []).items()}
    assert last == {counter(): (clock.now + 1, 2.0)}


def test_a_counter_is_labelled_by_the_events_own_type_and_severity(store: Store) -> None:
    liar = event("1", severity="calm", type="liar", __name__="up")
    store.append_events([liar]).result(10)
    assert list(contents(store, [])) == [counter()]


def test_an_event_that_cannot_be_stored_does_not_fail_its_neighbours(store: Store) -> None:
    unwritable = event("bad")._replace(body="\ud800")
    futures = [store.append_events([item]) for item in (event("1"), unwritable, event("2"))]
    assert futures[0].result(10).added == 1
    with pytest.raises(UnicodeEncodeError):
        futures[1].result(10)
    assert futures[2].result(10).added == 1
    assert contents(store, matching("forewarn_events_total"))[counter()][-1][1] == 2.0
