"""A keeper that escalates and kills itself at a given step; run by test_escalation_crash.py.

`escalation_driver.py` reads lines `FOLDER STEP` from standard input and runs each in a child of its
own, which ticks through two hours of a task's life on simulated time and dies with SIGKILL right
before statement or commit number STEP after the task opened (0: never). For each it prints `killed`
or `ended` and the number of steps.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from forewarn_collector.config import read_config
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.levels import ConfiguredLevels
from support.alerts import MINUTE, T0, Desk, alert_of, change, rule_of

CONFIG = """
rotations:
  ops: {people: [ada, grace], timezone: UTC, start: 2023-11-13 09:00, length: 1d}
service_levels:
  - name: all
    rotation: ops
    steps:
      - {name: remind, after: 30m, notify: managers}
      - {name: hand over, after: 1h, assign: next}
      - {name: raise, after: 1h, severity: critical}
queues: {support: {kind: log}, managers: {kind: log}}
default_queue: support
"""
RULE = rule_of()
ALERT = alert_of(RULE, {"instance": "a", "severity": "high"})


def run(folder: Path, fatal: int) -> None:
    desk = Desk(folder, levels=ConfiguredLevels(read_config(CONFIG, "").service.levels))
    done = 0

    def step(*_: object) -> None:
        nonlocal done
        done += 1
        if done == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    # A life begins with what the last one may not have noted: the same round, the same ticks.
    desk.apply(change(RULE, ALERT, AlertState.FIRING))
    event.listen(desk.ledger.engine, "before_cursor_execute", step)
    event.listen(desk.ledger.engine, "commit", step)
    for minutes in range(0, 121, 15):
        desk.tick(T0 + minutes * MINUTE)
    desk.close()
    print("ended", done, flush=True)


def main() -> None:
    for line in sys.stdin:
        folder, fatal = line.split()
        child = os.fork()
        if child == 0:
            run(Path(folder), int(fatal))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status and not os.WIFSIGNALED(status):
            sys.exit("a run failed")
        if status:
            print("killed", flush=True)


if __name__ == "__main__":
    main()
