"""What is sealed, dropped from memory, restarted and sent again reads as if it all were in one."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forewarn_collector.store import NEVER, Store
from forewarn_collector.store.journal import JOURNAL_FILE
from forewarn_collector.store.sealed import ARCHIVE_FILE, Archive
from forewarn_collector.store.unsealed import Sealing
from forewarn_wire import Labels
from support.stores import HOUR, START, Clock, batch, contents, matching, series

MINUTE = 60_000
NAMES = ("load", "free")
HOSTS = ("a", "b", "c")
ALL = [series(name, instance=host) for name in NAMES for host in HOSTS]


class Whole:
    """A store and what a dictionary of all samples says of it."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock(START)
        self.folder = folder
        self.samples: dict[Labels, dict[int, float]] = {}
        self._open()

    def _open(self) -> None:
        self.store = Store(self.folder, retention=1 << 50, clock=self.clock)
        self.store.open()

    def reopen(self) -> None:
        self.store.close()
        self._open()

    def write(self, rows: Sequence[tuple[int, int, float]]) -> None:
        """Samples: which series, seconds after the start, value."""
        sent = [(ALL[which], START + second * 1_000, value) for which, second, value in rows]
        if sent:
            self.store.append(batch(*sent)).result()
        for labels, time, value in sent:
            self.samples.setdefault(labels, {}).setdefault(time, value)

    def check(self, start: int, end: int) -> None:
        """Compare all ways to read between two times (ms)."""
        for name in NAMES:
            wanted = {
                labels: sorted(
                    (time, value)
                    for time, value in self.samples[labels].items()
                    if start <= time <= end
                )
                for labels in ALL
                if labels in self.samples and ("__name__", name) in labels
            }
            assert contents(self.store, matching(name), start, end) == wanted
            found = self.store.latest(matching(name), start, end)
            columns = zip(found.labels, found.times.tolist(), found.values.tolist(), strict=True)
            newest = {labels: (t, v) for labels, t, v in columns if t >= start}
            assert newest == {labels: rows[-1] for labels, rows in wanted.items() if rows}
            there = self.store.series([matching(name)], start, end)
            assert {labels for labels, rows in wanted.items() if rows} <= set(there)


@contextmanager
def whole() -> Iterator[Whole]:
    with tempfile.TemporaryDirectory() as folder:
        kept = Whole(Path(folder))
        try:
            yield kept
        finally:
            kept.store.close()


_SECONDS = st.integers(0, 3_600)
_STEPS = st.one_of(
    # Every series of some hosts for some ticks of 10 s, as agents send.
    st.tuples(st.just("ticks"), st.sets(st.sampled_from(HOSTS), min_size=1), st.integers(1, 60)),
    st.tuples(
        st.just("write"),
        st.lists(
            st.tuples(st.integers(0, len(ALL) - 1), _SECONDS, st.sampled_from([0.0, 1.5, -2.0])),
            max_size=8,
        ),
    ),
    st.tuples(st.just("seal")),
    st.tuples(st.just("keep"), st.integers(0, HOUR)),
    st.tuples(st.just("restore")),
    st.tuples(st.just("reopen")),
)


_RESEND_WITH_ANOTHER_VALUE = [
    ("ticks", {"a"}, 1),
    ("write", [(0, 0, 1.5)]),
    ("seal",),
    ("reopen",),
    ("write", [(0, 0, 0.0)]),
]


@settings(max_examples=60, deadline=None)
@example(_RESEND_WITH_ANOTHER_VALUE, 0, 0)
@given(st.lists(_STEPS, max_size=14), _SECONDS, _SECONDS)
def test_all_that_was_written_is_read_once(
    steps: list[tuple[object, ...]], start: int, end: int
) -> None:
    with whole() as kept:
        now = 0
        window = kept.store.sliding(matching("load"))
        for step in steps:
            match step:
                case ("ticks", set(hosts), int(count)):
                    for _ in range(count):
                        now += 10
                        kept.clock.now = START + now * 1_000
                        kept.write(
                            [
                                (which, now, now / 7 + which)
                                for which, labels in enumerate(ALL)
                                if dict(labels)["instance"] in hosts
                            ]
                        )
                case ("write", list(rows)):
                    kept.write(rows)
                case ("seal",):
                    kept.store.seal()
                case ("keep", int(age)):
                    kept.store.keep({"load": age})
                case ("restore",):
                    kept.store.restore()
                case _:
                    kept.reopen()
                    window = kept.store.sliding(matching("load"))
            closes = START + now * 1_000
            window.slide(closes - 20 * MINUTE, closes)
            wanted = {
                labels: sorted(t for t in times if closes - 20 * MINUTE < t <= closes)
                for labels, times in kept.samples.items()
            }
            assert dict(zip(window.labels, window.counts.tolist(), strict=True)) == {
                labels: len(wanted[labels]) for labels in window.labels
            }
        kept.check(0, 1 << 60)
        kept.check(START + start * 1_000, START + end * 1_000)


@pytest.fixture
def kept() -> Iterator[Whole]:
    with whole() as found:
        yield found


def ticks(kept: Whole, first: int, last: int) -> None:
    """Samples every 10 s from one second to another, of all series."""
    for second in range(first, last, 10):
        kept.clock.now = START + second * 1_000
        kept.write([(which, second, second + which / 8) for which in range(len(ALL))])


def test_memory_keeps_what_rules_read_and_some_minutes_of_the_rest(kept: Whole) -> None:
    kept.store.keep({"load": HOUR})
    for first in range(0, 7_200, 600):
        ticks(kept, first, first + 600)
        kept.store.seal()
    # An hour of three series is 1,080 samples; of the others five and a half minutes are 33 each.
    # Up to a chunk of 32 more waits to be dropped as a whole.
    assert 1_080 + 99 <= kept.store.stats().samples <= 1_080 + 99 + 6 * 32
    kept.check(0, 1 << 60)
    assert kept.store.seal() == 0


def test_the_journal_lets_go_of_what_is_sealed(kept: Whole) -> None:
    ticks(kept, 0, 600)
    journal = kept.store._journal
    assert journal.last_commit() == 60
    assert kept.store.seal() == 360
    assert journal.last_commit() == 0
    kept.reopen()
    assert kept.store.stats().samples == 0
    assert kept.store.stats().newest == START + 590_000
    kept.check(0, 1 << 60)


def test_the_journal_file_gives_back_the_room_of_what_is_sealed(kept: Whole) -> None:
    small = _pages(kept)
    # Random bits, at least eight bytes a sample; 4,096 are a page.
    dice = np.random.default_rng(1)
    kept.clock.now = START + 48 * HOUR
    for first in range(0, 120_000, 1_000):
        kept.write([(0, first + second, dice.random()) for second in range(1_000)])
    assert _pages(kept) > small + 120_000 * 8 // 4_096

    kept.store.seal()
    assert _pages(kept) < small + 10
    # The archive merges, and does not keep the room of what it merged either.
    kept.write([(0, 47 * 3_600, 1.0)])
    assert sum(kept.store.compact())
    with closing(sqlite3.connect(kept.folder / ARCHIVE_FILE)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    kept.check(START, START + 48 * HOUR)


def _pages(kept: Whole) -> int:
    with closing(sqlite3.connect(kept.folder / JOURNAL_FILE)) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])


def test_what_cannot_be_sealed_stays_and_is_sealed_later(
    kept: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks(kept, 0, 600)

    def full(*_: object) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "put", full)
        with pytest.raises(OSError, match="no space"):
            kept.store.seal()
    kept.check(0, 1 << 60)
    assert kept.store.seal() == 360
    kept.check(0, 1 << 60)


def test_samples_that_move_while_they_are_sealed_are_sealed_too(
    kept: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks(kept, 0, 600)
    plain = Sealing.part

    def disturbed(sealing: Sealing, *arguments: object) -> object:
        monkeypatch.setattr(Sealing, "part", plain)
        # The writer's own way to the head: the lock is held here.
        index, head = kept.store._index, kept.store._head
        refs = np.array([index.ref(ALL[0])])
        head.apply(head.admit(refs, np.array([START + 5_000]), np.array([7.0])))
        return plain(sealing, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Sealing, "part", disturbed)
    # All samples and the late one; those in its chunk once more, had they been handed out.
    assert kept.store.seal() >= 361
    kept.samples[ALL[0]][START + 5_000] = 7.0
    kept.reopen()
    kept.check(0, 1 << 60)


def test_a_restart_takes_back_what_rules_read(kept: Whole) -> None:
    kept.store.keep({"load": HOUR})
    ticks(kept, 0, 3_600)
    kept.store.seal()
    kept.reopen()
    kept.store.keep({"load": HOUR})
    assert kept.store.stats().samples == 0
    kept.clock.now = START + HOUR
    assert kept.store.restore() == kept.store.stats().samples
    refs = kept.store._index.select(matching("load")).refs
    assert (kept.store._head.floors(kept.store._head.slots(refs)) <= START).all()
    ticks(kept, 3_600, 3_700)
    kept.check(0, 1 << 60)
    # What came back is sealed already.
    assert kept.store.seal() == 60


def test_series_that_come_and_go_for_a_day_take_no_more_memory(kept: Whole) -> None:
    # Every minute 50 series come and 50 that are ten minutes old are forgotten.
    sizes = []
    head = kept.store._head
    lasting = np.array([1_000_000_000])
    ref = 1
    head.add_series(lasting, np.zeros(1, np.int64))
    for minute in range(24 * 60):
        refs = np.arange(ref, ref + 50)
        head.add_series(refs, refs % 7, refs % 3)
        ref += 50
        time = START + minute * MINUTE
        both = np.concatenate((refs, lasting))
        head.apply(head.admit(both, np.full(51, time), np.ones(51)))
        gone = head.drop_before(time - 10 * MINUTE)
        head.remove_series(gone)
        if minute in (60, 1_439):
            sizes.append(head.nbytes)
    # A page of 4,096 numbers costs 16 KiB while any series of it lives.
    assert sizes[1] - sizes[0] < 40_000
    assert head.floors(head.slots(np.array([5])))[0] == NEVER
