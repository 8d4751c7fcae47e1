"""Work that kills itself at a given step, again and again, each time in a process of its own.

A driver reads one line for each life from standard input and forks: what a life leaves is what a
killed collector leaves, and nothing is imported anew. Its ledgers are where the test's are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, event

from support.databases import DATABASES

TESTS = Path(__file__).parents[1]


class Steps:
    """Counts what the process does, and kills it at the step that was asked for."""

    def __init__(self, fatal: str) -> None:
        self.done = 0
        self._fatal = fatal

    def step(self, name: str = "") -> None:
        """One step; `fatal` may be its number or its name."""
        self.done += 1
        if self._fatal in {name, str(self.done)}:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, engine: Engine) -> None:
        """Each statement and each commit is a step from now on, before it is done."""
        event.listen(engine, "before_cursor_execute", lambda *_: self.step())
        event.listen(engine, "commit", lambda *_: self.step())


def serve_lives(live: Callable[[list[str]], object]) -> None:
    """In a driver: live once for each line, with its words; answer `ended` and more, or `killed`.

    What `live` returns is said after `ended`.
    """
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print("ended", live(line.split()), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status and not os.WIFSIGNALED(status):
            sys.exit("a life failed")
        if status:
            print("killed", flush=True)


class Lives:
    """A driver that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def live(self, *words: object) -> str:
        """One life; what the driver answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline().strip()
        assert answer, "the driver ended"
        return answer


@contextmanager
def driver_of(file: Path, *arguments: str) -> Iterator[Lives]:
    """The driver in a file, until the end."""
    process = subprocess.Popen(
        [sys.executable, str(file), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=DATABASES.environment() | {"PYTHONPATH": str(TESTS)},
    )
    with process:
        try:
            yield Lives(process)
        except BaseException:
            process.kill()
            raise
    assert process.returncode == 0
