"""The fleet as tiles: which colour, in which order, and whose."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.ingest.agents import Agent
from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks.host_tasks import HostTasks, tasks_by_host
from forewarn_collector.web.fleet import host_address, matching, tiles
from forewarn_wire import labels_from
from support.alerts import T0, Desk, alert_of, change, rule_of

FIRING, INACTIVE = AlertState.FIRING, AlertState.INACTIVE


def agent(instance: str, customer: str = "", *, up: bool = True, at: int = T0) -> Agent:
    labels = {"instance": instance, "job": "node"} | ({"customer": customer} if customer else {})
    return Agent(labels_from(labels), 10_000, at, at + 30_000, up)


def test_the_worst_comes_first_then_the_silent_then_by_name() -> None:
    tasks = {
        ("", "c"): HostTasks(2, "critical"),
        ("", "d"): HostTasks(1, "low"),
        ("", "e"): HostTasks(1, ""),
    }
    found = tiles([agent(name, up=name != "b") for name in "abcde"], tasks)
    assert [(tile.name, tile.kind, tile.up) for tile in found] == [
        ("c", "critical", True),
        ("d", "low", True),
        ("e", "none", True),
        ("b", "well", False),
        ("a", "well", True),
    ]
    assert [tile.told for tile in found] == [
        "c: 2 tasks, the worst critical",
        "d: 1 task, the worst low",
        "e: 1 task",
        "b: nothing to do; its agent is silent",
        "a: nothing to do",
    ]


def test_a_host_of_two_agents_is_one_tile_and_a_name_of_two_customers_is_two() -> None:
    found = tiles(
        [agent("a", at=T0 - 1, up=False), agent("a"), agent("a", "acme")],
        {("acme", "a"): HostTasks(1, "high")},
    )
    assert [(tile.customer, tile.up, tile.tasks) for tile in found] == [
        ("acme", True, 1),
        ("", True, 0),
    ]


def test_tiles_are_found_by_name_customer_and_trouble() -> None:
    found = tiles(
        [agent("web-1", "acme"), agent("web-2", "bravo", up=False), agent("db-1", "acme")],
        {("acme", "db-1"): HostTasks(1, "high")},
    )

    def names(text: str = "", customer: str = "", only: str = "") -> list[str]:
        return sorted(tile.name for tile in matching(found, text, customer, only))

    assert names("WEB") == ["web-1", "web-2"]
    assert names(customer="acme") == ["db-1", "web-1"]
    assert names(only="troubled") == ["db-1", "web-2"]
    assert names(only="silent") == ["web-2"]


def test_an_address_survives_any_name() -> None:
    assert host_address("web-1:9100", "") == "/hosts/web-1:9100"
    assert host_address("a b/?#", "x&y") == "/hosts/a%20b%2F%3F%23?customer=x%26y"


@pytest.fixture
def desk(tmp_path: Path, each_database: str) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def test_tasks_count_for_each_of_their_hosts_while_they_stand(desk: Desk) -> None:
    grouped = rule_of(group_by=("service",))
    single = rule_of(name="Other")
    for instance in ("a", "b"):
        labels = {"instance": instance, "service": "shop", "severity": "high"}
        desk.apply(change(grouped, alert_of(grouped, labels), FIRING, T0))
    low = {"instance": "a", "severity": "low"}
    desk.apply(change(single, alert_of(single, low), FIRING, T0))
    assert tasks_by_host(desk.ledger) == {
        ("", "a"): HostTasks(2, "high"),
        ("", "b"): HostTasks(1, "high"),
    }
    assert tasks_by_host(desk.ledger, "acme") == {}
    gone = {"instance": "a", "service": "shop", "severity": "high"}
    desk.apply(change(grouped, alert_of(grouped, gone), INACTIVE, T0 + 1))
    assert tasks_by_host(desk.ledger)["", "a"] == HostTasks(1, "low")
