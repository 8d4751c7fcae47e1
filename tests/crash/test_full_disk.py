"""A disk that is full: what does not fit is refused with a reason, and all goes on once it does.

The kernel's limit on the size of files stands for the full disk: every file meets it by itself.
"""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

from crash.comparing import Report, before_start, compare, counted_events, task_faults
from crash.lives import lives
from crash.load import DeskServer, Load, now
from support.servers import call
from support.waiting import wait_until

FULL = 400_000
"""Bytes: less than the write-ahead log of the journal takes after some seconds of load."""


def limit_files(process: int, size: int) -> None:
    """No file of a process may grow beyond so many bytes from now on."""
    hard = resource.prlimit(process, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk_refuses_loses_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    report = Report()
    with DeskServer() as desk, lives(tmp_path, desk.url) as collectors:
        with Load(collectors, desk, lanes=2, pause=0.01) as load:
            collectors.begin(file_size=FULL)
            port = collectors.listening()
            refused = [sender.post.refused for sender in load.senders]
            wait_until("writes are refused", lambda: all(each[503] > 3 for each in refused), 60)
            reasons = {reason for sender in load.senders for reason in sender.post.reasons}
            assert all("free some space" in reason for reason in reasons), reasons
            assert {status for each in refused for status in each} == {503}
            assert call(f"http://127.0.0.1:{port}/api/v1/query?query=crash_sample").status == 200
            limit_files(collectors.process, resource.RLIM_INFINITY)
            taken = [len(sender.sent.acknowledged) for sender in load.senders]
            wait_until(
                "writes are taken again, without a restart",
                lambda: all(
                    len(sender.sent.acknowledged) > before + 20
                    for sender, before in zip(load.senders, taken, strict=True)
                ),
                60,
            )
            # Killed while there is no room, and started once there is.
            limit_files(collectors.process, FULL)
            for each in refused:
                each.clear()
            wait_until("writes are refused again", lambda: any(each[503] for each in refused), 60)
            os.kill(collectors.process, signal.SIGKILL)
            collectors.end()
            known = before_start(load.senders)
            collectors.begin(file_size=1_000)
            refusal = collectors.end()
            assert isinstance(refusal, str)
            assert "free some space" in refusal
            collectors.begin()
            collectors.listening()
            found = collectors.found()
            assert found is not None
            compare(report, found, known, now())
            load.finish(60)
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
        assert load.over
        assert counted_events(collectors.data) == sum(len(each.events) for each in load.senders)
