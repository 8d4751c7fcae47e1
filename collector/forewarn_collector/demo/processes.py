"""The demo's programs: started with their output in a file, and stopped by their process id."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class DemoError(Exception):
    """The demo can't go on; the text says why."""


class Program:
    """One program of the demo, run by this Python."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], folder: Path) -> None:
        self.name = name
        self.output = folder / f"{name}.out"
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", module, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=folder,
            )

    def check(self) -> None:
        """Raise DemoError with the last lines of its output if it has ended."""
        if self.process.poll() is not None:
            lines = self.output.read_text(errors="replace").splitlines()[-10:]
            text = "\n".join(lines)
            raise DemoError(f"the {self.name} ended ({self.process.returncode}):\n{text}")

    def stop(self) -> None:
        """End it: orderly, or after five seconds by force."""
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_for(
    what: str, ask: Callable[[], T | None], programs: Sequence[Program], seconds: float = 30
) -> T:
    """Ask until there is an answer. Raises DemoError when time is up or a program has ended."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer is not None:
            return answer
        for program in programs:
            program.check()
        if time.monotonic() > end:
            raise DemoError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.02)
