"""Late events that are sent until they are acknowledged, while collectors are killed: each counts
once, at its own time, and is stored once."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from crash.lives import RETENTION, Death, Lives, lives
from crash.load import LOGS, Post, now
from crash.phases import Aim, Point
from forewarn_collector.store import Matcher, MatchOp, Store
from forewarn_wire import Event, Severity, labels_from
from forewarn_wire.otlp import encode_logs

SEED = int(os.environ.get("FOREWARN_CRASH_SEED", "1"))
KILLS = int(os.environ.get("FOREWARN_CRASH_KILLS", "240")) // 20
HOUR = 3_600_000
HOSTS = ("a", "b", "c")


class Replay(threading.Thread):
    """Sends events of the last hours, in no order, and some of now, a few at a time."""

    def __init__(self, number: int, collectors: Lives, ended: threading.Event) -> None:
        super().__init__(name=f"replay-{number}")
        self.late: dict[str, Event] = {}
        self.timely: dict[str, Event] = {}
        self._number = number
        self._post = Post(collectors, ended)
        self._ended = ended
        self._dice = random.Random(SEED * 10 + number)

    def run(self) -> None:
        """Send until the test ends; what was begun is taken, or was never."""
        count = 0
        while not self._ended.is_set():
            events = []
            for _ in range(self._dice.randint(1, 4)):
                count += 1
                late = self._dice.random() < 0.8
                age = self._dice.randrange(HOUR // 4, 6 * HOUR) // 1_000 * 1_000 if late else 0
                uid = f"{self._number}-{count}"
                labels = labels_from({"instance": self._dice.choice(HOSTS)})
                event = Event(now() - age, "replay", Severity.ERROR, labels, "it broke", uid)
                (self.late if late else self.timely)[uid] = event
                events.append(event)
            if not self._post.until_taken("/v1/logs", encode_logs(events), LOGS):
                for event in events:
                    self.late.pop(event.uid, None)
                    self.timely.pop(event.uid, None)
                break
        self._post.close()


@contextmanager
def replaying(collectors: Lives) -> Iterator[list[Replay]]:
    """Senders that end before the last collector does."""
    ended = threading.Event()
    senders = [Replay(number, collectors, ended) for number in range(2)]
    for sender in senders:
        sender.start()
    try:
        yield senders
    finally:
        ended.set()
        for sender in senders:
            sender.join(20)


def test_late_events_of_killed_collectors_count_once_at_their_own_time(tmp_path: Path) -> None:
    dice = random.Random(SEED)
    hits: Counter[str] = Counter()
    with lives(tmp_path, "http://127.0.0.1:1", event_retention=RETENTION) as collectors:
        with replaying(collectors) as senders:
            for number in range(KILLS):
                phase = ("event insert", "journal commit", "seal: put")[number % 3]
                point = dice.choice(list(Point))
                collectors.begin(
                    Aim(phase, dice.randint(1, 9), point, dice.random(), 2), look=False
                )
                death = collectors.end()
                assert isinstance(death, Death), death
                assert death.status == -signal.SIGKILL, collectors.log[-3000:]
                hits.update(death.phases)
            collectors.begin(look=False)
            collectors.listening()
        # What was under way when the senders ended may be stored without their knowing.
        collectors.stop()
        store = Store(collectors.data, retention=RETENTION, clock=now)
        store.open()
        with closing(store):
            stored = store.events([], 0, now(), 1_000_000)
            found = store.select(
                [Matcher("__name__", MatchOp.EQUAL, "forewarn_events_total")], 0, now()
            )
            assert store.stats().damaged == 0
    assert hits["event insert"] >= KILLS // 6
    uids = Counter(event.uid for event in stored)
    assert set(uids.values()) == {1}
    sent = {uid for sender in senders for uid in (*sender.late, *sender.timely)}
    assert sent <= uids.keys()
    assert len(sent) > 10 * KILLS
    timely = {uid for sender in senders for uid in sender.timely}
    late = {event.uid for sender in senders for event in sender.late.values()}
    # At each sample as many events as had happened by then; those of now when they came.
    for row, labels in enumerate(found.labels):
        own = [
            event
            for event in stored
            if event.labels == labels_from({"instance": dict(labels)["instance"]})
        ]
        samples = slice(int(found.offsets[row]), int(found.offsets[row + 1]))
        times, values = found.times[samples].tolist(), found.values[samples].tolist()
        assert values[-1] == len(own)
        newest = max(event.time for event in own if event.uid in late)
        past = sorted(event.time for event in own if event.uid not in timely)
        for time, value in zip(times, values, strict=True):
            if time < newest - HOUR // 4:
                assert value == sum(each <= time for each in past)
        assert {event.time for event in own if event.uid in late} <= set(times)
