"""The collector's clock leaps by an hour, ahead and back; what senders bring has the right time."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

from crash.comparing import Report, before_start, compare, counted_events, task_faults
from crash.lives import lives
from crash.load import DeskServer, Load, now
from support.waiting import wait_until

HOUR = 3_600_000
RETENTION = HOUR * 3 // 2
BEHIND = ((0, 0), (85 * 60_000, 0))
"""How far (ms) senders are behind: by a clock that is an hour ahead, one's samples are too old. A
wrong clock alone must not empty the store."""


def test_a_clock_that_leaps_by_an_hour_loses_no_sample_and_doubles_no_task(tmp_path: Path) -> None:
    report, clock = Report(), tmp_path / "clock"
    clock.write_bytes(struct.pack("<q", 0))

    def leap(offset: int) -> None:
        with clock.open("r+b") as file:
            file.write(struct.pack("<q", offset))

    with DeskServer() as desk, lives(tmp_path, desk.url, RETENTION) as collectors:
        with Load(collectors, desk, BEHIND, lanes=2) as load:
            collectors.begin()
            collectors.listening()
            for offset in (HOUR, 0, -HOUR, 0):
                over = len(load.over)
                wait_until("faults come and go", lambda over=over: len(load.over) > over, 30)
                leap(offset)
                taken = [len(sender.sent.acknowledged) for sender in load.senders]
                wait_until(
                    "writes are taken whatever the clock says",
                    lambda taken=taken: all(
                        len(sender.sent.acknowledged) > before + 20
                        for sender, before in zip(load.senders, taken, strict=True)
                    ),
                    30,
                )
                if offset:
                    # A collector may also start by the wrong clock.
                    os.kill(collectors.process, signal.SIGKILL)
                    collectors.end()
                    known = before_start(load.senders)
                    collectors.begin()
                    collectors.listening()
                    found = collectors.found()
                    assert found is not None
                    compare(report, found, known, now())
                    leap(0)
            load.finish(30)
        collectors.stop()
        known = before_start(load.senders)
        collectors.begin()
        collectors.listening()
        collectors.stop()
        found = collectors.found()
        assert found is not None
        compare(report, found, known, now())
        report.wrong += task_faults(found, load.over, desk)
    assert not report.wrong, report.wrong[:10]
    assert len(load.over) >= 4
    assert counted_events(collectors.data) == sum(len(each.events) for each in load.senders)
