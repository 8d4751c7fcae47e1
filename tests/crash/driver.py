"""Starts collectors by fork, tells what they found, kills them: `python -m crash.driver FOLDER`.

To import a collector's libraries takes a second; a fork of a process that has them does not. Each
collector is a process of its own with the real parts, and a thread that seals, compacts and
enforces retention all the time, so that a kill lands there too. Orders come as lines of JSON on
standard input, answers go as lines of JSON to standard output.
"""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import random
import resource
import select
import signal
import struct
import sys
import threading
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Table
from sqlalchemy import select as select_rows

from crash.phases import Aim, Phases, Point
from crash.truth import METRIC
from forewarn_collector.app import Collector, StartError
from forewarn_collector.config import Address, read_config
from forewarn_collector.config_events import EventsConfig
from forewarn_collector.config_thinning import ThinningConfig
from forewarn_collector.store import Matcher, MatchOp, Store, StoreError
from forewarn_collector.store.commit import Committer
from forewarn_collector.store.compact import Compactor, StoppedError
from forewarn_collector.store.eventlog import EventLog, EventTender
from forewarn_collector.store.journal import Journal
from forewarn_collector.store.sealed import Archive
from forewarn_collector.store.sealer import Sealer
from forewarn_collector.store.thin import Thinner
from forewarn_collector.tasks.ledger import Ledger
from forewarn_collector.tasks.schema import alerts, tasks
from forewarn_wire.clock import Clock

POLL_SECONDS = 0.0002
UPKEEP_SECONDS = 0.05


def mark(phases: Phases) -> None:
    """Have the parts of every collector note their phases."""
    phases.mark(Committer, "_commit", "journal commit")
    phases.mark(EventLog, "insert", "event insert")
    phases.mark(Ledger, "write", "ledger write")
    phases.mark(Sealer, "_put", "seal: put")
    phases.mark(Journal, "drop_until", "seal: drop from the journal")
    phases.mark(Sealer, "drop", "seal: drop from memory")
    phases.mark(Compactor, "_merge_small", "compaction")
    phases.mark(Compactor, "_merge_day", "compaction of a day")
    phases.mark(Thinner, "_replace", "thinning")
    phases.mark(Store, "_drop_old", "retention: journal, series")
    phases.mark(Archive, "drop", "retention: chunks")
    phases.mark(EventTender, "tend", "event upkeep")


def say(**answer: Any) -> None:
    """A line on standard output, whole even where two processes write."""
    os.write(1, json.dumps(answer).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Order:
    """A life: what to be killed at, where to tell first what there is (or nowhere), retentions
    and the age of thinning (ms), the greatest file (bytes, or 0), whether to seal and merge all
    the time."""

    aim: Aim | None
    dump: str
    retention: int
    event_retention: int
    thinning: int
    file_size: int
    upkeep: bool


def order_of(line: str) -> Order:
    """Read an order."""
    given = json.loads(line)
    aim = given["aim"]
    if aim is not None:
        aim = Aim(**{**aim, "point": Point(aim["point"])})
    return Order(**{**given, "aim": aim})


def clock_of(folder: Path) -> Clock:
    """This machine's time and as much (ms) as is written in the file `clock`, if there is any."""
    file = folder / "clock"
    if not file.exists():
        return lambda: time.time_ns() // 1_000_000
    with file.open("rb") as opened:
        page = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    return lambda: time.time_ns() // 1_000_000 + struct.unpack_from("<q", page)[0]


def look(collector: Collector, target: Path) -> None:
    """Write all that a collector has of our samples, events, alerts and tasks into a file."""
    store, ledger = collector._store, collector._ledger
    found = store.select([Matcher("__name__", MatchOp.EQUAL, METRIC)], 0, 1 << 60)
    events = store.events([], 0, 1 << 60, 1_000_000)
    with ledger.read() as connection:

        def rows(table: Table) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(select_rows(table)).mappings()]

        kept = {"alerts": rows(alerts), "tasks": rows(tasks)}
    texts = {
        "labels": [dict(labels) for labels in found.labels],
        "events": [event.uid for event in events],
        "damaged": [store.stats().damaged, len(store._archive.damaged())],
        **kept,
    }
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(
            file,
            times=found.times,
            values=found.values.view(np.uint64),
            offsets=found.offsets,
            texts=np.array(json.dumps(texts)),
        )
    # Whole or not at all, whenever the kill comes.
    part.rename(target)


def upkeep(store: Store, ended: threading.Event) -> None:
    """Seal, merge and enforce retention all the time, beside the collector's own caretaker."""

    def merge() -> int:
        return sum(store.compact(ended.is_set))

    while not ended.wait(UPKEEP_SECONDS):
        try:
            # In any order, so that a short life comes to each.
            for work in random.sample((store.seal, merge, store.enforce_retention), 3):
                work()
        except StoppedError:
            return
        except StoreError as error:
            print(f"upkeep: {error}", file=sys.stderr)


async def live(folder: Path, order: Order, phases: Phases) -> None:
    """Be a collector, until SIGTERM or the kill."""
    config = replace(
        read_config((folder / "collector.yml").read_text(), "collector.yml"),
        listen=Address("127.0.0.1", 0),
        data=folder / "data",
        rules=(str(folder / "rules.yml"),),
        retention=order.retention,
        events=EventsConfig(retention=order.event_retention),
        thinning=ThinningConfig(order.thinning, order.retention),
        auth=False,
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with phases.within("start"):
        collector = Collector(config, clock_of(folder))
        if order.dump:
            look(collector, Path(order.dump))
        await collector.start()
    ended = threading.Event()
    keeping = threading.Thread(target=upkeep, args=(collector._store, ended))
    if order.upkeep:
        keeping.start()
    say(listening=collector._runner.addresses[0][1], process=os.getpid())
    await stop.wait()
    ended.set()
    if order.upkeep:
        await asyncio.to_thread(keeping.join)
    await collector.stop()


def be_collector(folder: Path, order: Order, phases: Phases) -> int:
    """The life of a forked process; its exit status."""
    log = os.open(folder / "collector.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    phases.aim(order.aim)
    if order.file_size:
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.file_size, hard))
    try:
        asyncio.run(live(folder, order, phases))
    except (StartError, StoreError) as error:
        say(refused=str(error))
        return 1
    return 0


def waited(process: int, seconds: float) -> bool:
    """Whether a child ends within so many seconds; it is left for `waitpid`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
        time.sleep(POLL_SECONDS)
    return False


def watch(process: int, aim: Aim | None, phases: Phases) -> None:
    """Kill a collector where it is aimed at; without an aim, stop it when a line comes."""
    if aim is None:
        while not waited(process, 0.05):
            if select.select([sys.stdin], [], [], 0)[0]:
                sys.stdin.readline()
                os.kill(process, signal.SIGTERM)
                return
        return
    end = time.monotonic() + aim.after
    while time.monotonic() < end:
        if aim.point is Point.WITHIN and phases.entered(aim.phase) >= aim.nth > 0:
            time.sleep(aim.share * phases.usual(aim.phase))
            break
        if waited(process, POLL_SECONDS):
            break
    os.kill(process, signal.SIGKILL)


def main(folder: Path) -> None:
    """Serve orders until the input ends."""
    phases = Phases()
    mark(phases)
    gc.collect()
    gc.freeze()
    while line := sys.stdin.readline():
        order = order_of(line)
        phases.clear()
        process = os.fork()
        if process == 0:
            status = 1
            try:
                status = be_collector(folder, order, phases)
            except BaseException:  # noqa: BLE001 - nobody is left to handle it
                traceback.print_exc()
            finally:
                os._exit(status)
        try:
            watch(process, order.aim, phases)
        except BaseException:
            os.kill(process, signal.SIGKILL)
            raise
        _, status = os.waitpid(process, 0)
        say(
            ended=os.waitstatus_to_exitcode(status),
            phases=phases.now(),
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
