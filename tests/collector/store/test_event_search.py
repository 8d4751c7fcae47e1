"""A search of events equals a naive scan, pages are stable, upkeep keeps index and room in step."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from forewarn_collector.store import (
    AppendedEvents,
    EventLimits,
    EventQuery,
    Matcher,
    MatchOp,
    Store,
    StoreError,
)
from forewarn_collector.store.eventlog import tending
from forewarn_wire import Event, Severity, labels_from
from support.stores import HOUR, START, Clock, contents, matching

Reopen = Callable[..., Store]
ALWAYS = 1 << 60
WORDS = ("refused", "memory", "timeout", "disk", "retry", "login", "panic", "slow")


def event(uid: str, time: int = START, body: str = "", **labels: str) -> Event:
    own = labels_from({"instance": "a", **labels})
    return Event(time, "log", Severity.ERROR, own, body or f"event {uid}", uid)


def random_events(count: int, seed: int) -> list[Event]:
    chance = random.Random(seed)
    return [
        Event(
            time=START + chance.randrange(count // 2),
            type=chance.choice(["log", "oom"]),
            severity=chance.choice(list(Severity)),
            labels=labels_from(
                {"instance": f"web{chance.randrange(6)}"}
                | ({"job": "app"} if chance.random() < 0.5 else {})
            ),
            body=" ".join(chance.choices(WORDS, k=3)) * chance.choice([1, 1, 1, 60]),
            uid=f"{seed}/{number}",
            attributes={"file": chance.choice(WORDS)} if chance.random() < 0.3 else {},
        )
        for number in range(count)
    ]


def uids(store: Store, **asked: object) -> list[str]:
    query = EventQuery(**{"start": 0, "end": ALWAYS, "limit": 10_000, **asked})  # type: ignore[arg-type]
    page = store.event_store.search(query, 10)
    assert page.complete
    return [found.uid for found in page.events]


def paged(store: Store, limit: int, between: Callable[[], object], **asked: object) -> list[str]:
    found: list[str] = []
    before = None
    while True:
        query = EventQuery(0, ALWAYS, limit, before=before, **asked)  # type: ignore[arg-type]
        page = store.event_store.search(query, 10)
        assert len(page.events) <= limit
        found += [item.uid for item in page.events]
        before = page.next
        if before is None:
            return found
        between()


def test_a_search_equals_a_scan_of_all_events_in_any_combination(store: Store) -> None:
    events = random_events(1_200, 5)
    for start in range(0, len(events), 100):
        store.append_events(events[start : start + 100]).result(10)
    chance = random.Random(6)
    for _ in range(150):
        word = chance.choice(["", *WORDS])
        without = chance.choice(["", "", *WORDS])
        host = chance.choice(["", "web1", "web9"])
        job = chance.choice([None, "", "app"])
        least = chance.choice([None, Severity.WARN, Severity.FATAL])
        start = START + chance.randrange(600)
        end = start + chance.choice([0, 50, 10_000])
        matchers = []
        if host:
            matchers.append(Matcher("instance", MatchOp.EQUAL, host))
        if job is not None:
            matchers.append(Matcher("job", chance.choice([MatchOp.EQUAL, MatchOp.REGEX]), job))
        if least is not None:
            wanted = [item.value for item in Severity if item.number >= least.number]
            matchers.append(Matcher("severity", MatchOp.REGEX, "|".join(wanted)))

        def meets(item: Event) -> bool:
            text = [*item.body.replace("refused", " refused").split(), *item.attributes.values()]
            words = set(" ".join([item.body, *item.attributes.values()]).split())
            labels = dict(item.labels)
            return (
                bool(text)
                and start <= item.time <= end  # noqa: B023 - used at once
                and (not word or word in words)  # noqa: B023
                and not (word and without and without in words)  # noqa: B023
                and (not host or labels["instance"] == host)  # noqa: B023
                and (job is None or labels.get("job", "") == job)  # noqa: B023
                and (least is None or item.severity.number >= least.number)  # noqa: B023
            )

        expected = [item for item in events if meets(item)]
        # In the order of arrival within a millisecond; the newest first.
        expected.reverse()
        expected.sort(key=lambda item: -item.time)
        text = f"{word} -{without}" if word and without else word
        found = uids(store, start=start, end=end, selectors=[matchers], text=text)
        assert found == [item.uid for item in expected]
        limit = chance.choice([1, 7])
        if len(expected) < 60:
            asked = {"selectors": [matchers], "text": text}
            everything = uids(store, **asked)
            assert paged(store, limit, lambda: None, **asked) == everything


@pytest.mark.parametrize("text", ["", "event"])
def test_pages_show_each_event_once_while_others_come_in(store: Store, text: str) -> None:
    store.append_events([event(str(k), START + k // 3) for k in range(60)]).result(10)
    numbers = iter(range(10_000))

    def more() -> None:
        number = next(numbers)
        newer = event(f"newer {number}", START + 1_000 + number)
        same = event(f"same {number}", START + 19 - number % 3)
        store.append_events([newer, same]).result(10)

    found = paged(store, 7, more, text=text)
    assert len(set(found)) == len(found)
    assert set(found) >= {str(k) for k in range(60)}
    assert not [uid for uid in found if uid.startswith("newer")]


def test_a_selector_may_name_the_counter_of_events_and_several_are_one_or_the_other(
    store: Store,
) -> None:
    store.append_events([event("1"), event("2", instance="b"), event("3", instance="c")]).result(10)
    name = Matcher("__name__", MatchOp.EQUAL, "forewarn_events_total")
    one = [name, Matcher("instance", MatchOp.EQUAL, "a")]
    two = [Matcher("instance", MatchOp.REGEX, "b|x")]
    assert uids(store, selectors=[one]) == ["1"]
    assert uids(store, selectors=[one, two]) == ["2", "1"]
    assert uids(store, selectors=[[Matcher("__name__", MatchOp.EQUAL, "up")]]) == []
    assert uids(store, selectors=[[Matcher("nothing", MatchOp.NOT_EQUAL, "x")]]) == ["3", "2", "1"]


def test_one_event_is_found_by_its_uid_with_all_that_it_had(reopen: Reopen) -> None:
    long = event("http/a/b", START + 5, body="é\0 trace\n" * 500)._replace(
        attributes={"": "empty", "stack": "at x\n" * 300}
    )
    reopen().append_events([event("1"), long]).result(10)
    store = reopen()
    assert store.event_store.one("http/a/b") == long
    assert store.event_store.one("no") is None


def test_more_events_in_a_millisecond_than_it_has_numbers_go_on_in_the_next(
    store: Store,
) -> None:
    count = 2 * (1 << 14) + 3
    events = [event(str(k)) for k in range(count)]
    assert store.append_events(events).result(60) == AppendedEvents(count, 0)
    assert store.append_events(events[::1_000]).result(60) == AppendedEvents(0, 33)
    assert uids(store, start=START + 2) == [str(k) for k in range(count - 1, count - 4, -1)]
    assert uids(store, start=START + 1, end=START + 1, limit=1) == [str(count - 4)]


def test_what_retention_dropped_is_not_taken_again_also_after_a_restart(
    reopen: Reopen, clock: Clock
) -> None:
    store = reopen()
    old = [event("old"), event("old too", START + 1)]
    store.append_events(old).result(10)
    clock.now = START + 30 * HOUR
    store.append_events([event("new", clock.now)]).result(10)
    store.enforce_retention()
    assert store.append_events(old).result(10) == AppendedEvents(0, 0, 2)
    assert uids(store) == uids(store, text="event") == ["new"]
    late = event("late", clock.now - 23 * HOUR)
    assert store.append_events([late]).result(10) == AppendedEvents(1, 0)
    assert uids(store, text="late") == ["late"]
    # This one at its own time, from 0 as the samples before it are gone; then it and "new" beside
    # the 2 old ones; no resend.
    (counted,) = contents(store, matching("forewarn_events_total"), late.time - 1_000).values()
    assert counted[:2] == [(late.time - 1_000, 0.0), (late.time, 1.0)]
    assert counted[-1] == (clock.now, 4.0)
    clock.now += 2 * HOUR
    store.append_events([event("newer", clock.now)]).result(10)
    store.enforce_retention()
    store = reopen()
    assert store.append_events([*old, late]).result(10) == AppendedEvents(0, 0, 3)
    assert uids(store) == ["newer", "new"]
    stats = store.event_store.stats()
    assert (stats.events, stats.dropped_age, stats.dropped_late) == (2, 3, 5)


@contextmanager
def opened(folder: Path, clock: Clock, limits: EventLimits) -> Iterator[Store]:
    store = Store(folder, retention=24 * HOUR, clock=clock, event_limits=limits)
    store.open()
    try:
        yield store
    finally:
        store.close()


def tables(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "store.db")) as connection:
        rows = connection.execute(
            "SELECT name, sum(pgsize) FROM dbstat WHERE name LIKE 'event%' OR name LIKE"
            " 'sqlite_autoindex_event%' GROUP BY name"
        ).fetchall()
    return dict(rows)


def test_the_oldest_go_once_events_take_more_room_than_they_may(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "_LEAST_MERGED", 100)
    limit = 400_000
    with opened(tmp_path, clock, EventLimits(max_bytes=limit)) as store:
        for round_ in range(20):
            some = random_events(300, round_)
            some = [item._replace(time=item.time + round_ * 1_000) for item in some]
            store.append_events(some).result(10)
            store.event_store.tend(10)
        stats = store.event_store.stats()
        kept = uids(store)
        assert len(kept) == stats.events
        assert stats.bytes <= limit
        assert stats.dropped_size == 6_000 - stats.events > 0
        assert {uid.split("/")[0] for uid in kept} >= {"18", "19"}
        assert "0/0" not in kept
        # The text index and the labels' index have gone along.
        assert set(uids(store, text=" OR ".join(WORDS))) == set(kept)
        assert store.append_events(random_events(300, 0)).result(10) == AppendedEvents(0, 0, 300)
    # The estimate is right to a factor of two, whatever the size of pages.
    assert limit / 2.5 < sum(tables(tmp_path).values()) < limit * 2.5


def test_the_text_index_gives_back_the_room_of_what_was_dropped(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "_LEAST_MERGED", 100)
    sizes = []
    with opened(tmp_path, clock, EventLimits(max_bytes=300_000)) as store:
        for round_ in range(24):
            some = random_events(200, round_)
            some = [item._replace(time=item.time + round_ * 1_000) for item in some]
            store.append_events(some).result(10)
            store.event_store.tend(10)
            sizes.append(tables(tmp_path)["event_text_data"])
        assert store.event_store.stats().dropped_size > 3_000
        assert set(uids(store, text=" OR ".join(WORDS))) == set(uids(store))
    # Without merging it would grow by a third of its size each time.
    assert max(sizes[12:]) <= 3 * max(sizes[:4])


def test_a_write_that_fails_leaves_no_event_no_count_and_no_word(store: Store) -> None:
    good, bad = event("good", body="disk full", instance="new"), event("bad", body="\ud800")
    with pytest.raises(UnicodeEncodeError):
        store.append_events([good, bad]).result(10)
    assert uids(store) == uids(store, text="disk") == []
    assert contents(store, matching("forewarn_events_total")) == {}
    assert store.append_events([good]).result(10) == AppendedEvents(1, 0)
    new = [Matcher("instance", MatchOp.EQUAL, "new")]
    assert uids(store, text="disk", selectors=[new]) == ["good"]


def test_a_search_that_goes_on_holds_up_no_write(store: Store) -> None:
    store.append_events(random_events(500, 3)).result(10)
    reader = store.event_store._reader
    with reader._snapshot(time.monotonic() + 60) as searching:
        rows = searching.execute("SELECT id FROM event_log")
        rows.fetchone()
        assert store.append_events([event("meanwhile")]).result(10).added == 1
        assert "meanwhile" in uids(store)


def test_labels_that_have_no_events_any_more_are_forgotten(tmp_path: Path, clock: Clock) -> None:
    with opened(tmp_path, clock, EventLimits(retention=HOUR)) as store:
        store.append_events([event(str(k), instance=f"pod{k}") for k in range(50)]).result(10)
        clock.now += 2 * HOUR
        store.append_events([event("new", clock.now)]).result(10)
        store.enforce_retention()
        assert uids(store) == ["new"]
        # Samples stay for as long as they are to.
        assert len(contents(store, matching("forewarn_events_total"))) == 51
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        for table in ("event_streams", "event_log", "event_uids"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
        pairs = connection.execute("SELECT name, value FROM event_pairs").fetchall()
        assert sorted(pairs) == [("instance", "a"), ("severity", "error"), ("type", "log")]


OLD = (
    "CREATE TABLE events (id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, time INTEGER NOT NULL,"
    " type TEXT NOT NULL, severity TEXT NOT NULL, labels TEXT NOT NULL, body TEXT NOT NULL,"
    " attributes TEXT NOT NULL)"
)


def test_events_of_a_data_directory_of_format_1_are_taken_over(reopen: Reopen) -> None:
    reopen().append_events([event("1")]).result(10)
    row = (
        f"INSERT INTO events VALUES (NULL, '%s', {START + 7}, 'oom', 'fatal',"
        """ '[["instance","a"]]', 'Killed process 4711', '{"pid":"4711"}')"""
    )
    dropped = [
        f"DROP TABLE {name}"
        for name in (
            "event_text",
            "event_log",
            "event_streams",
            "event_pairs",
            "event_uids",
            "event_state",
        )
    ]
    bad = row.replace("'fatal'", "'calm'") % "bad"
    store = reopen(*dropped, OLD, row % "old", bad, "PRAGMA user_version = 1")
    wanted = Event(
        START + 7,
        "oom",
        Severity.FATAL,
        (("instance", "a"),),
        "Killed process 4711",
        "old",
        {"pid": "4711"},
    )
    assert store.events([], 0, ALWAYS, 10) == [wanted]
    assert store.append_events([wanted, event("2", START + 9)]).result(10) == AppendedEvents(1, 1)
    page = store.event_store.search(EventQuery(0, ALWAYS, 10, text="killed"), 10)
    assert (page.events, page.indexed_from) == ([], START + 7)
    store.event_store.tend(10)
    assert uids(store, text="killed") == ["old"]
    assert uids(store, text="event") == ["2"]
    assert reopen().event_store.one("old") == wanted


def test_a_damaged_text_index_costs_no_event_and_is_made_anew(reopen: Reopen) -> None:
    store = reopen()
    store.append_events([event("1", body="disk full"), event("2", START + 1)]).result(10)
    store = reopen("UPDATE event_text_data SET block = x'ff00ff' WHERE id > 10")
    with pytest.raises(StoreError, match="text index of events is damaged") as failure:
        uids(store, text="disk")
    assert failure.value.retryable
    assert uids(store) == ["2", "1"]
    assert store.append_events([event("3", START + 2, body="disk")]).result(10).added == 1
    store.event_store.tend(10)
    assert uids(store, text="disk") == ["3", "1"]
    assert uids(reopen(), text="disk") == ["3", "1"]


def test_an_event_is_stored_and_counted_also_where_its_text_cannot_be_indexed(
    reopen: Reopen,
) -> None:
    reopen().append_events([event("1", body="disk full")]).result(10)
    # The record with the index' structure, without which nothing can be added to it.
    store = reopen("UPDATE event_text_data SET block = x'ff' WHERE id = 10")
    assert store.append_events([event("2", START + 1, body="disk")]).result(10).added == 1
    assert uids(store) == ["2", "1"]
    values = next(iter(contents(store, matching("forewarn_events_total")).values()))
    assert values[-1][1] == 2.0
    store.event_store.tend(10)
    assert uids(store, text="disk") == ["2", "1"]


def test_a_damaged_event_is_left_out_and_the_rest_is_found(reopen: Reopen) -> None:
    events = [event(str(k), START + k, body="x" * 2_000) for k in range(4)]
    reopen().append_events(events).result(10)
    store = reopen("UPDATE event_log SET body = x'00' WHERE uid = '2'")
    assert uids(store) == ["3", "1", "0"]
    assert paged(store, 1, lambda: None) == ["3", "1", "0"]


def test_an_event_whose_uid_is_no_text_any_more_does_not_hide_the_others(reopen: Reopen) -> None:
    reopen().append_events([event(str(k), START + k) for k in range(3)]).result(10)
    store = reopen("UPDATE event_log SET uid = CAST(x'61ff62' AS TEXT) WHERE uid = '1'")
    assert uids(store) == ["2", "a\ufffdb", "0"]


def test_a_search_ends_in_its_time_and_says_where_to_go_on(store: Store) -> None:
    store.append_events(random_events(3_000, 1)).result(10)
    never = [Matcher("instance", MatchOp.NOT_EQUAL, "web1")]
    found: list[str] = []
    before = None
    early = 0
    for _ in range(10_000):
        with suppress(StoreError):  # a machine so busy that not one event was met in time
            query = EventQuery(0, ALWAYS, 10_000, [never], before=before)
            page = store.event_store.search(query, 0.004)
            early += not page.complete
            found += [item.uid for item in page.events]
            before = page.next
            if before is None:
                break
    assert found == uids(store, selectors=[never])
    assert early
