"""A data directory read beside its collector: journal and archive as one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from forewarn_collector.history import DirectoryFeed
from forewarn_collector.store import Past, Store, past
from support.stores import HOUR, START, Clock, batch, matching, series
from support.waiting import wait_until

A, B = series("up", instance="web1"), series("up", instance="web2")
EVER = (0, 1 << 60)
Found = list[tuple[str, int, float]]


def everything(source: Past) -> Found:
    names = {ref: dict(labels)["instance"] for ref, labels in source.series}
    return [
        (names[ref], time, value)
        for refs, times, values in source.samples(np.array(sorted(names)), *EVER)
        for ref, time, value in zip(refs.tolist(), times.tolist(), values.tolist(), strict=True)
    ]


def test_what_is_sealed_and_what_is_not_is_read_as_one(store: Store, tmp_path: Path) -> None:
    store.append(batch((A, START, 1.0), (B, START, 2.0))).result()
    store.seal()
    store.append(batch((A, START + 1000, 3.0))).result()
    opened = Past(tmp_path / "data")
    try:
        assert sorted(everything(opened)) == [
            ("web1", START, 1.0),
            ("web1", START + 1000, 3.0),
            ("web2", START, 2.0),
        ]
        assert opened.extent(*EVER) == (START, START + 1000)
        assert opened.extent(START + 5000, START + 6000) is None
        assert opened.damaged == 0
    finally:
        opened.close()


def test_what_is_sealed_after_the_opening_is_not_missed(store: Store, tmp_path: Path) -> None:
    store.append(batch((A, START, 1.0))).result()
    opened = Past(tmp_path / "data")
    try:
        store.seal()
        assert everything(opened) == [("web1", START, 1.0)]
    finally:
        opened.close()


def test_nothing_acknowledged_is_missed_while_the_collector_seals_and_merges(
    store: Store, clock: Clock, tmp_path: Path
) -> None:
    clock.now = START + HOUR
    stop = threading.Event()
    acknowledged: list[int] = []

    def write() -> None:
        at = START
        while not stop.is_set():
            at += 1000
            store.append(batch((A, at, 1.0))).result()
            acknowledged.append(at)
            if len(acknowledged) % 10 == 0:
                store.seal()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for wanted in (5, 50, 100, 150):
            wait_until("there are samples", lambda wanted=wanted: len(acknowledged) > wanted)
            before = list(acknowledged)
            opened = Past(tmp_path / "data")
            try:
                found = [time for _, time, _ in everything(opened)]
            finally:
                opened.close()
            assert found[: len(before)] == before
    finally:
        stop.set()
        writer.join()


def test_slices_follow_in_time_and_hold_about_as_much_as_they_should(
    store: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "_SLICE_SAMPLES", 20)
    clock.now = START + HOUR
    for minute in range(60):
        at = START + minute * 60_000
        store.append(batch((A, at, minute), (B, at, -minute))).result()
        if minute % 25 == 24:
            store.seal()
    opened = Past(tmp_path / "data")
    try:
        slices = list(opened.samples(np.array([ref for ref, _ in opened.series]), *EVER))
        assert sum(len(times) for _, times, _ in slices) == 120
        assert len(slices) >= 5
        assert max(len(times) for _, times, _ in slices) <= 40
        for (_, before, _), (_, after, _) in pairwise(slices):
            assert before.max() < after.min()
    finally:
        opened.close()


def test_rules_of_the_past_see_what_is_sealed(reopen: Callable[..., Store], tmp_path: Path) -> None:
    store = reopen()
    store.append(batch((A, START, 1.0), (B, START, 2.0))).result()
    store.seal()
    feed = DirectoryFeed(tmp_path / "data")
    try:
        found = list(feed.samples([matching("up", instance="web2")], *EVER))
        assert [(times.tolist(), values.tolist()) for _, times, values in found] == [
            ([START], [2.0])
        ]
        assert feed.extent([], *EVER) == (START, START)
    finally:
        feed.close()
