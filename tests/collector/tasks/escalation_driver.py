"""A keeper that escalates and kills itself at a given step; run by test_escalation_crash.py.

`escalation_driver.py` reads lines `FOLDER STEP`. A life ticks through two hours of a task's life on
simulated time and dies with SIGKILL right before statement or commit number STEP after the task
opened (0: never). It ends with the number of steps.
"""

from __future__ import annotations

from pathlib import Path

from forewarn_collector.config import read_config
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.levels import ConfiguredLevels
from support.alerts import MINUTE, T0, Desk, alert_of, change, rule_of
from support.dying import Steps, serve_lives

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


def live(words: list[str]) -> int:
    folder, fatal = words
    desk = Desk(Path(folder), levels=ConfiguredLevels(read_config(CONFIG, "").service.levels))
    # A life begins with what the last one may not have noted: the same round, the same ticks.
    desk.apply(change(RULE, ALERT, AlertState.FIRING))
    steps = Steps(fatal)
    steps.watch(desk.ledger.engine)
    for minutes in range(0, 121, 15):
        desk.tick(T0 + minutes * MINUTE)
    desk.close()
    return steps.done


if __name__ == "__main__":
    serve_lives(live)
