"""A crash before any statement or commit: done again, everything is as if there had been none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Table, event, select

from forewarn_collector.config_damping import Damping
from forewarn_collector.rules.alerts import Alert, AlertState
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks import CloseReason, LostHosts, TaskCommands
from forewarn_collector.tasks.rows import rows_of
from forewarn_collector.tasks.schema import (
    audit,
    deliveries,
    evidence,
    holds,
    task_alerts,
    tasks,
    timeline,
)
from support.alerts import HOUR, MINUTE, T0, Desk, NoEvidence, alert_of, change, rule_of
from support.gates import Silence

FIRING, INACTIVE, UNKNOWN = AlertState.FIRING, AlertState.INACTIVE, AlertState.UNKNOWN
DISK = rule_of("DiskFull", group_by=("instance",))
LINK = rule_of("LinkDown", damping=Damping(suppress=1_000))
LOST = rule_of("HostLost")
RULES = {rule.key: rule for rule in (DISK, LINK, LOST)}
A, A_HOME = (alert_of(DISK, {"instance": "a", "mountpoint": name}) for name in ("/", "/home"))
B, C = (alert_of(LINK, {"instance": name}) for name in "bc")
A_LOST = alert_of(LOST, {"instance": "a"})

Step = Callable[[Desk, TaskCommands], object]
STORY: list[Step] = [
    lambda desk, _: desk.apply(change(DISK, A, FIRING), change(LINK, B, FIRING)),
    lambda desk, _: desk.apply(change(LINK, C, FIRING, T0 + 1), change(LINK, B, INACTIVE, T0 + 1)),
    lambda desk, _: desk.apply(change(LINK, B, FIRING, T0 + 2)),
    lambda _, people: people.wait("FW-1", "ann", T0 + MINUTE, T0 + 3, "a part"),
    lambda desk, _: desk.apply(change(LOST, A_LOST, FIRING, T0 + 4)),
    lambda desk, _: desk.apply(
        change(DISK, A_HOME, FIRING, T0 + 5), change(LINK, B, INACTIVE, T0 + 5)
    ),
    lambda desk, _: desk.apply(change(DISK, A, UNKNOWN, T0 + 6)),
    lambda desk, _: desk.tick(T0 + 2 * MINUTE),
    lambda desk, _: desk.apply(change(LOST, A_LOST, INACTIVE, T0 + 3 * MINUTE)),
    lambda desk, _: desk.tick(T0 + 4 * MINUTE),
    lambda _, people: people.assign("FW-1", "ann", "bob", T0 + 5 * MINUTE),
    lambda _, people: people.close("FW-1", "bob", CloseReason.WONT_FIX, T0 + 6 * MINUTE),
    lambda _, people: people.reopen("FW-1", "ann", T0 + 7 * MINUTE),
    lambda desk, _: desk.tick(T0 + HOUR),
]


class Followed(NoEvidence):
    """Evidence that has a follow-up a minute later."""

    def gather(self, wanted: Sequence[tuple[AlertingRule, Alert]], at: int) -> list[dict[str, Any]]:
        found = super().gather(wanted, at)
        return [{**each, "follow_up_at": at + MINUTE} for each in found]


class CrashError(Exception):
    """The process is gone."""


class Fuse:
    """Ends what runs at the statement or commit of this number; 0: never."""

    def __init__(self, desk: Desk) -> None:
        self.left = 0
        for name in ("before_cursor_execute", "commit"):
            event.listen(desk.ledger.engine, name, self.burn)

    def burn(self, *_: Any) -> None:
        if self.left:
            self.left -= 1
            if not self.left:
                raise CrashError


def opened(folder: Path) -> Desk:
    desk = Desk(folder, evidence=Followed())
    desk.rules |= RULES
    desk.gates += [LostHosts(), Silence("c", T0 + MINUTE)]
    return desk


def everything(desk: Desk) -> dict[str, list[Any]]:
    """All rows but for what counts rows, and what differs from ledger to ledger."""
    found: dict[str, list[Any]] = {}
    tables: list[tuple[Table, str]] = [
        (tasks, "id"),
        (task_alerts, "alert_id"),
        (timeline, "id"),
        (audit, "id"),
        (holds, "id"),
        (deliveries, "seq"),
        (evidence, "id"),
    ]
    with desk.ledger.read() as connection:
        for table, order in tables:
            rows = rows_of(connection.execute(select(table).order_by(order)))
            hidden = {"id", "seq"} if table is not tasks else set()
            found[table.name] = [
                {name: value for name, value in row.items() if name not in hidden} for row in rows
            ]
    return found


def test_a_crash_before_any_statement_of_a_story_changes_nothing_in_the_end(
    tmp_path: Path, each_database: str
) -> None:
    (tmp_path / "smooth").mkdir()
    smooth = opened(tmp_path / "smooth")
    for step in STORY:
        step(smooth, TaskCommands(smooth.ledger, smooth.told.extend))
    expected = everything(smooth)
    smooth.close()
    # The story has what it is to have: more than one of each.
    assert {row["kind"] for row in expected["holds"]} == {"host_lost", "silence"}
    assert any("follows" in row["document"] for row in expected["evidence"])
    kinds = {row["kind"] for row in expected["timeline"]}
    assert kinds >= {"flapping", "resolved", "under", "alone", "wait_over", "held", "closed"}

    (tmp_path / "rough").mkdir()
    desk, crashes = opened(tmp_path / "rough"), 0
    fuse = Fuse(desk)
    for step in STORY:
        at = 0
        while fuse.left == 0:
            at += 1
            fuse.left = at
            try:
                step(desk, TaskCommands(desk.ledger, desk.told.extend))
                break
            except CrashError:
                crashes += 1
                desk.restart()
        fuse.left = 0
    assert everything(desk) == expected
    desk.close()
    print(f"{crashes} crashes on {each_database}")
    assert crashes > 100
