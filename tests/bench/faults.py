"""Victims that both systems watch, and the faults that befall them.

Each victim is a service with one process and one log file of its own, so that every fault (a kill,
an error line) makes an alert of its own and no fault waits for another to end.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ERROR_LINE = "2026-01-01 12:00:00 ERROR payment failed: connection refused\n"
CALM_LINE = "2026-01-01 12:00:00 INFO payment of 12.50 taken\n"


class Kind(StrEnum):
    """What befalls a victim."""

    KILL = "process"
    """Its process is killed with SIGKILL."""
    ERROR = "log"
    """A line with an error is written to its log."""


@dataclass(frozen=True)
class Fault:
    """One fault: what happens to whom."""

    victim: str
    kind: Kind


@dataclass
class Victim:
    """A service to be broken."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def suffer(self, kind: Kind) -> float:
        """Break it; returns when (ms since epoch, taken just before)."""
        if kind is Kind.KILL:
            at = now()
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            return at
        line = ERROR_LINE.encode()
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        try:
            at = now()
            os.write(log, line)
        finally:
            os.close(log)
        return at


def now() -> float:
    """Milliseconds since epoch, with fractions."""
    return time.time_ns() / 1e6


@contextmanager
def victims(folder: Path, count: int) -> Iterator[dict[str, Victim]]:
    """Start `count` victims with their logs in `folder`; at the end those that live are ended.

    The file `victims.json` there lists them for the exporter.
    """
    sleep = shutil.which("sleep")
    assert sleep is not None
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Victim] = {}
    try:
        for i in range(count):
            name = f"victim-{i:03}"
            log = folder / f"{name}.log"
            log.write_text(CALM_LINE)
            process = subprocess.Popen([name, "1000000"], executable=sleep)
            found[name] = Victim(name, log, process)
        listed = [{"name": v.name, "pid": v.process.pid, "log": str(v.log)} for v in found.values()]
        (folder / "victims.json").write_text(json.dumps(listed))
        yield found
    finally:
        for victim in found.values():
            if victim.process.poll() is None:
                victim.process.kill()
            victim.process.wait()


def in_random_order(names: Sequence[str], count: int, dice: random.Random) -> list[Fault]:
    """`count` faults, half of each kind, each at most once per victim."""
    kills = [Fault(name, Kind.KILL) for name in names[: (count + 1) // 2]]
    errors = [Fault(name, Kind.ERROR) for name in names[: count // 2]]
    faults = kills + errors
    dice.shuffle(faults)
    return faults
