"""Commands with a key, of which a process may die at any step; run by test_once_crash.py.

`once_driver.py` reads lines `FOLDER KEY STEP`. A life opens the ledger, with a task in it, and
gives two commands with that key; it dies with SIGKILL right before statement or commit number STEP
of them, or, at `answered`, when the first one is done and nobody was told (0: never). It ends with
the number of steps, and of commands that had been carried out before.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.silencing import Silence, parse_matchers
from forewarn_collector.tasks import Once, RepeatedError, TaskCommands, Terms
from forewarn_collector.tasks.audit import Actor
from forewarn_collector.tasks.silences import Silences
from support.alerts import DAY, T0, Desk, alert_of, change, rule_of
from support.dying import Steps, serve_lives

RULE = rule_of()
ALERT = alert_of(RULE, {"instance": "a"})
SILENCE = Silence("", tuple(parse_matchers("a=b")), T0, T0 + DAY, T0, "ann", "")


def live(words: list[str]) -> str:
    folder, key, fatal = words
    desk = Desk(Path(folder))
    desk.apply(change(RULE, ALERT, AlertState.FIRING))
    silences = Silences(desk.ledger)
    silences.load()
    steps, repeated = Steps(fatal), 0
    steps.watch(desk.ledger.engine)
    comment = Terms(token="t", once=Once("t", key, "/comment", key.encode()))
    try:
        TaskCommands(desk.ledger, desk.told.extend, comment).comment("FW-1", "ann", key, T0)
    except RepeatedError:
        repeated += 1
    steps.step("answered")
    once = Once("u", key, "/silences", key.encode())
    try:
        silences.set(replace(SILENCE, comment=key), Actor("ann"), T0, once)
    except RepeatedError:
        repeated += 1
    desk.close()
    return f"{steps.done} {repeated}"


if __name__ == "__main__":
    serve_lives(live)
