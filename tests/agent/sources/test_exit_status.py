"""How a process has ended, before and after its parent has taken note of it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from forewarn_agent.sources.exit_status import describe, wait_status
from forewarn_agent.sources.process_stat import read_stat
from support.waiting import wait_until

KERNEL = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])


def child(code: str) -> tuple[subprocess.Popen[bytes], int, int]:
    """A Python process that waits for its input to end; its start and a pidfd."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"import os, sys; sys.stdin.read(); {code}"], stdin=subprocess.PIPE
    )
    stat = read_stat("/proc", process.pid)
    assert stat is not None
    return process, stat.started, os.pidfd_open(process.pid)


def state_of(process: subprocess.Popen[bytes]) -> str:
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2][0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
    ],
)
def test_the_status_is_read_before_the_parent_has_taken_it(code: str, words: str) -> None:
    process, started, pidfd = child(code)
    assert process.stdin is not None
    process.stdin.close()
    wait_until("it has ended", lambda: state_of(process) == "Z")
    status = wait_status("/proc", process.pid, started, pidfd)
    process.wait()
    os.close(pidfd)
    assert describe(status)[0] == words


def test_the_status_is_asked_of_the_pidfd_once_the_process_is_gone() -> None:
    process, started, pidfd = child("os._exit(4)")
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    status = wait_status("/proc", process.pid, started, pidfd)
    os.close(pidfd)
    # Linux 6.15 and later keep it; before, nobody can know any more.
    assert describe(status) == (
        ("ended with exit code 4", {"exit_code": "4"}) if KERNEL >= (6, 15) else ("ended", {})
    )


def test_a_pidfd_that_cannot_be_asked_leaves_the_status_open() -> None:
    with open(os.devnull) as not_a_pidfd:
        assert wait_status("/nowhere", 1, 1, not_a_pidfd.fileno()) is None
    assert wait_status("/nowhere", 1, 1, -1) is None
