"""Collectors that live and die, from the side of a test: orders to the driver, and its answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crash.phases import Aim
from crash.truth import SERIES, Stored
from support.databases import DATABASES

RETENTION = 40 * 86_400_000
EVENT_RETENTION = 20_000
PENDING = 2_000
"""How long (ms) a fault lasts before its alert fires."""

RULES = """
groups:
  - name: crash
    interval: 1s
    rules:
      - alert: CrashFault
        expr: crash_fault > 0
        for: {pending}
        labels: {{severity: high}}
"""
QUEUES = """
queues:
  desk:
    kind: webhook
    url: {url}
"""
LEDGER = """
ledger:
  url: {url}
"""


@dataclass(frozen=True, slots=True)
class Death:
    """How a collector ended: its exit status (negative: a signal), and what it was doing.

    It answered requests from `listening` to `ended` (ms since epoch), or not at all.
    """

    status: int
    phases: tuple[str, ...]
    listening: int | None
    ended: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a collector found in its directory."""

    series: dict[tuple[int, int], Stored]
    events: list[str]
    alerts: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    damaged: tuple[int, int]


class Lives:
    """Collectors in one data directory, one after the other. `port` and `process` are those
    of the living one."""

    def __init__(
        self,
        process: subprocess.Popen[str],
        folder: Path,
        retention: int,
        event_retention: int,
        thinning: int,
    ) -> None:
        self._process = process
        self._folder = folder
        self._retention = retention
        self._event_retention = event_retention
        self._thinning = thinning
        self._port: int | None = None
        self.process = 0
        self._listening: int | None = None
        self._change = threading.Condition()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._folder / "data"

    @property
    def log(self) -> str:
        """What the driver and all collectors logged."""
        files = [self._folder / name for name in ("driver.log", "collector.log")]
        return "".join(file.read_text() for file in files if file.exists())

    def port(self, seconds: float = 5) -> int | None:
        """The port of the collector that lives, or soon does; None after so long without any."""
        with self._change:
            self._change.wait_for(lambda: self._port is not None, seconds)
            return self._port

    def begin(
        self,
        aim: Aim | None = None,
        *,
        look: bool = True,
        file_size: int = 0,
        upkeep: bool = True,
    ) -> None:
        """Start a collector, which tells `found` what it finds if it is to `look`.

        No file of it may grow beyond `file_size` bytes, 0 for any size. With `upkeep` it seals and
        merges all the time.
        """
        dump = self._folder / "found.npz"
        order = {
            "aim": asdict(aim) if aim else None,
            "dump": str(dump) if look else "",
            "retention": self._retention,
            "event_retention": self._event_retention,
            "thinning": self._thinning,
            "file_size": file_size,
            "upkeep": upkeep,
        }
        self._say(json.dumps(order))

    def end(self) -> Death | str:
        """Wait until the collector is dead; the text is why it refused to start."""
        answer = self._until(listening=False)
        assert not isinstance(answer, int)
        return answer

    def listening(self) -> int:
        """Wait until the collector listens: its port."""
        answer = self.listening_or_end()
        if not isinstance(answer, int):
            raise AssertionError(f"the collector does not start: {answer}\n{self.log[-3000:]}")
        return answer

    def listening_or_end(self) -> int | Death | str:
        """Wait until the collector listens (its port) or ends, as `end`."""
        return self._until(listening=True)

    def stop(self) -> Death | str:
        """Ask the collector to stop, and wait until it has."""
        self._say("stop")
        return self.end()

    def found(self) -> Found | None:
        """What the last collector found, where it lived long enough to tell."""
        dump = self._folder / "found.npz"
        if not dump.exists():
            return None
        with np.load(dump) as file:
            arrays = {name: file[name] for name in file.files}
        dump.unlink()
        texts = json.loads(str(arrays["texts"]))
        offsets = arrays["offsets"]
        owners = np.array(
            [int(each["sender"]) * SERIES + int(each["series"]) for each in texts["labels"]],
            dtype=np.int64,
        )
        of_sample = np.repeat(owners, np.diff(offsets))
        series = {}
        for owner in np.unique(owners).tolist():
            own = np.flatnonzero(of_sample == owner)
            own = own[np.argsort(arrays["times"][own], kind="stable")]
            stored = Stored(arrays["times"][own], arrays["values"][own])
            series[divmod(owner, SERIES)] = stored
        return Found(
            series, texts["events"], texts["alerts"], texts["tasks"], tuple(texts["damaged"])
        )

    def _until(self, *, listening: bool) -> int | Death | str:
        refused = ""
        while True:
            answer = self._answer()
            if "listening" in answer:
                self.process = int(answer["process"])
                self._listening = _now()
                self._set_port(answer["listening"])
                if listening:
                    return int(answer["listening"])
            elif "refused" in answer:
                refused = answer["refused"]
            else:
                since, self._listening = self._listening, None
                self._set_port(None)
                death = Death(answer["ended"], tuple(answer["phases"]), since, _now())
                return refused or death

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError(f"the driver ended:\n{self.log[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _set_port(self, port: int | None) -> None:
        with self._change:
            self._port = port
            self._change.notify_all()


def _now() -> int:
    return time.time_ns() // 1_000_000


@contextmanager
def lives(
    folder: Path,
    webhook: str,
    retention: int = RETENTION,
    *,
    event_retention: int = EVENT_RETENTION,
    thinning: int = RETENTION,
    prefix: Sequence[str] = (),
) -> Iterator[Lives]:
    """A driver with its files under `folder`; its rule waits for `PENDING` before it fires.

    `prefix` is a command that runs the driver with other rights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(RULES.format(pending=f"{PENDING}ms"))
    ledger = DATABASES.arguments(folder)
    where = LEDGER.format(url=ledger[1]) if ledger else ""
    (folder / "collector.yml").write_text(QUEUES.format(url=webhook) + where)
    paths = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    with (folder / "driver.log").open("wb") as log:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "crash.driver", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"},
        )
    with process:
        yield Lives(process, folder, retention, event_retention, thinning)
        if process.stdin is not None:
            process.stdin.close()
