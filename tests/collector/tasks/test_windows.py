"""Maintenance windows and dependencies: alerts wait under them, and open when they still fire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.config import read_config
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.hold_rows import current_holds
from forewarn_collector.tasks.queries import TaskFilter, TaskQueries
from forewarn_collector.tasks.windows import Dependencies, Windows
from forewarn_collector.tasks.words import TimelineKind
from support.alerts import HOUR, MINUTE, T0, Desk, alert_of, change, rule_of

FIRING, INACTIVE, UNKNOWN = AlertState.FIRING, AlertState.INACTIVE, AlertState.UNKNOWN
SHOP_RULE, DATABASE_RULE, HOST_RULE = rule_of("ShopDown"), rule_of("DbDown"), rule_of("HostDown")
SHOP = alert_of(SHOP_RULE, {"service": "shop", "customer": "acme"})
DATABASE = alert_of(DATABASE_RULE, {"service": "database", "customer": "acme"})
HOST = alert_of(HOST_RULE, {"instance": "db1", "customer": "acme"})
ELSEWHERE = alert_of(SHOP_RULE, {"service": "shop", "customer": "other"})

# T0 is Tuesday, 14 November 2023, 22:13:20 UTC, which is 23:13:20 in Berlin.
CONFIG = """
maintenance:
  - name: patching
    match: {customer: acme}
    timezone: Europe/Berlin
    start: 2023-11-07 23:00
    duration: 2h
    rrule: FREQ=WEEKLY;BYDAY=TU
depends_on:
  - {target: {service: shop}, on: {service: database}}
  - {target: {service: database}, on: {instance: db1}}
"""
END = T0 + HOUR + 46 * MINUTE + 40_000
"""01:00 in Berlin."""


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def windows() -> Windows:
    return Windows(read_config(CONFIG, "").calendars.windows)


def dependencies() -> Dependencies:
    return Dependencies(read_config(CONFIG, "").service.dependencies)


def opened(desk: Desk) -> list[str]:
    page = TaskQueries(desk.ledger).list(TaskFilter())
    return [task.rule_name for task in sorted(page.tasks, key=lambda task: task.id)]


def test_what_still_fires_after_a_window_opens_then_with_its_true_onset(desk: Desk) -> None:
    desk.gates.append(windows())
    desk.apply(change(SHOP_RULE, SHOP, FIRING), change(DATABASE_RULE, DATABASE, FIRING))
    desk.apply(change(SHOP_RULE, ELSEWHERE, FIRING, T0 + 1))
    assert [task.customer for task in TaskQueries(desk.ledger).list(TaskFilter()).tasks] == [
        "other"
    ]
    with desk.ledger.read() as connection:
        held = {each.hold for each in current_holds(connection)}
    ((kind, ref, until),) = {(hold.kind.value, hold.ref, hold.until) for hold in held}
    assert (kind, ref, until) == ("window", "patching", END)
    desk.apply(change(DATABASE_RULE, DATABASE, INACTIVE, T0 + HOUR))
    assert desk.tick(END - 1) == []
    (told,) = desk.tick(END)
    task = TaskQueries(desk.ledger).one(told.task.number)
    assert (task.rule_name, task.onset_at, task.opened_at) == ("ShopDown", T0 - 500, END)
    first = task.timeline[0]
    assert (first.kind, first.reason) == (TimelineKind.HELD, "window patching")
    assert first.text.endswith("maintenance window patching, until 2023-11-15 01:00 CET.")


def test_a_window_goes_on_over_a_restart(desk: Desk, tmp_path: Path) -> None:
    desk.gates.append(windows())
    desk.apply(change(SHOP_RULE, SHOP, FIRING))
    desk.close()
    again = Desk(tmp_path)
    again.gates.append(windows())
    again.rules[SHOP_RULE.key] = SHOP_RULE
    assert again.tick(T0 + MINUTE) == []
    assert len(again.tick(END)) == 1
    again.close()


def test_only_the_first_cause_of_a_chain_has_a_task(desk: Desk) -> None:
    desk.gates.append(dependencies())
    desk.apply(
        change(SHOP_RULE, SHOP, FIRING),
        change(DATABASE_RULE, DATABASE, FIRING),
        change(HOST_RULE, HOST, FIRING),
        change(SHOP_RULE, ELSEWHERE, FIRING),
    )
    assert opened(desk) == ["HostDown", "ShopDown"]
    # The host is back, the database is not: that is now what the shop waits for.
    desk.apply(change(HOST_RULE, HOST, INACTIVE, T0 + MINUTE))
    assert opened(desk) == ["HostDown", "ShopDown", "DbDown"]
    desk.apply(change(DATABASE_RULE, DATABASE, INACTIVE, T0 + 2 * MINUTE))
    assert opened(desk) == ["HostDown", "ShopDown", "DbDown", "ShopDown"]
    task = TaskQueries(desk.ledger).one("FW-4")
    assert [e.text for e in task.timeline if e.kind is TimelineKind.HELD] == [
        '{customer="acme", service="shop"} was held for 1 min: depends on HostDown'
        ' {customer="acme", instance="db1"}.',
        '{customer="acme", service="shop"} was held for 1 min: depends on DbDown'
        ' {customer="acme", service="database"}.',
    ]


def test_a_cause_whose_input_stopped_holds_still(desk: Desk) -> None:
    desk.gates.append(dependencies())
    desk.apply(change(DATABASE_RULE, DATABASE, FIRING))
    desk.apply(change(DATABASE_RULE, DATABASE, UNKNOWN, T0 + 1))
    desk.apply(change(SHOP_RULE, SHOP, FIRING, T0 + 2))
    assert opened(desk) == ["DbDown"]
    desk.tick(T0 + HOUR)
    assert opened(desk) == ["DbDown"]


def test_what_was_open_before_its_cause_falls_quiet(desk: Desk) -> None:
    desk.gates.append(dependencies())
    desk.apply(change(SHOP_RULE, SHOP, FIRING))
    desk.apply(change(DATABASE_RULE, DATABASE, FIRING, T0 + MINUTE))
    desk.tick(T0 + MINUTE)
    assert TaskQueries(desk.ledger).one("FW-1").quiet_since == T0 + MINUTE
    desk.apply(change(DATABASE_RULE, DATABASE, INACTIVE, T0 + 2 * MINUTE))
    desk.tick(T0 + 2 * MINUTE)
    assert TaskQueries(desk.ledger).one("FW-1").quiet_since is None
