"""Takes a backlog and looks at it, and dies at a given write of the ledger: run by a test.

It reads lines of the folder, which write (from 1), and `before` or `after` its commit.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.tasks import Ledger
from support.backlog_story import tell
from support.backlog_world import BacklogWorld
from support.dying import serve_lives
from support.live_run import without_rest
from support.stores import START, Clock


def die_at(which: int, when: str) -> None:
    """Have the process killed at a write of the ledger."""
    write = Ledger.write
    writes = 0

    @contextmanager
    def counted(ledger: Ledger) -> Iterator[Any]:
        nonlocal writes
        writes += 1
        mine = writes == which
        with write(ledger) as connection:
            yield connection
            if mine and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)

    Ledger.write = counted  # type: ignore[method-assign]


def live(words: list[str]) -> None:
    folder, which, when = words
    die_at(int(which), when)
    without_rest(pytest.MonkeyPatch())
    world = BacklogWorld(Path(folder), Clock(START))
    tell(world)
    world.close()


if __name__ == "__main__":
    serve_lives(live)
