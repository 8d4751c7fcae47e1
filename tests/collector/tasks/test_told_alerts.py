"""A delivery tells of the alerts of its task, each with its own labels, annotations and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.api.alertmanager_forms import read_alerts
from forewarn_collector.notifications import NotifiedAlert, Templates
from forewarn_collector.queues import queues_of_each, queues_of_receivers
from forewarn_collector.silencing import read_alertmanager_file
from forewarn_collector.tasks import (
    AlertmanagerPlace,
    ByRule,
    Delivery,
    Ledger,
    Outbox,
    Policy,
    TaskCommands,
    TaskKeeper,
)
from forewarn_collector.tasks.told import MOST
from support.alertmanager import NoEvidence
from support.alerts import T0
from support.databases import DATABASES

pytestmark = pytest.mark.usefixtures("each_database")

FILE = """
route:
  receiver: desk
  group_by: [service]
  routes:
    - {receiver: desk, matchers: [service!=""], continue: true}
    - {receiver: chat, matchers: [service!=""], continue: true}
    - {receiver: page, matchers: [severity=critical]}
receivers: [{name: desk}, {name: chat}, {name: page}]
"""


class World:
    """A ledger with a keeper by FILE, whose queues take all they are owed when asked."""

    def __init__(self, folder: Path) -> None:
        self.now = T0
        self.ledger = Ledger(folder, DATABASES.url(folder))
        self.ledger.open()
        queues = {name: [name] for name in ("desk", "chat", "page")}
        file = read_alertmanager_file(FILE, "am.yml")
        self.place = AlertmanagerPlace(self.ledger, file, queues, "", lambda _: None, "http://x")
        policy = Policy(
            placing=self.place.placing(ByRule()),
            gates=self.place.gates,
            rule_of=self.place.rule_of,
            moved=self.place.moved,
        )
        self.keeper = TaskKeeper(
            self.ledger, NoEvidence(), policy, lambda: self.now, lambda _: None
        )
        self.outbox = Outbox(self.ledger, "http://x")

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Alerts as others send them."""
        found, wrong = read_alerts([*alerts], self.now, 3_600_000, "")
        assert not wrong
        self.place.received.post(found, self.keeper, self.now)

    def taken(self, queue: str) -> list[Delivery]:
        """What the queue is owed; it takes it."""
        found: list[Delivery] = []
        while due := self.outbox.due_deliveries(queue, self.now, 10):
            for delivery in due:
                assert self.outbox.claim(delivery, self.now)
                self.outbox.delivered(delivery.id, None, self.now)
            found += due
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.ledger.close()


def alert(host: str, minute: int, end: int | None = None, **labels: str) -> dict[str, Any]:
    """One of the service shop that begins and ends at a minute of the hour after 23:00."""
    found = {
        "labels": {"alertname": "Down", "service": "shop", "host": host, **labels},
        "annotations": {"summary": f"{host} is down"},
        "startsAt": f"2023-11-14T23:{minute:02}:00Z",
        "generatorURL": f"https://prom/{host}",
    }
    return found if end is None else {**found, "endsAt": f"2023-11-14T23:{end:02}:00Z"}


def at(minute: int) -> int:
    """That minute in ms."""
    return 1_700_002_800_000 + minute * 60_000


def told(host: str, minute: int, end: int | None = None, **labels: str) -> NotifiedAlert:
    """The same as a delivery tells of it."""
    named = {"alertname": "Down", "service": "shop", "host": host, **labels}
    return NotifiedAlert(
        tuple(sorted(named.items())),
        (("summary", f"{host} is down"),),
        at(minute),
        None if end is None else at(end),
        f"https://prom/{host}",
    )


def test_a_delivery_tells_of_what_fires_and_of_what_has_ended_since_the_last(world: World) -> None:
    world.now = at(2)
    world.post(alert("a", 0), alert("b", 1))
    (opened,) = world.taken("desk")
    assert opened.alerts == (told("a", 0), told("b", 1))
    # These come and go without a message: of the second no queue hears ever.
    world.now = at(5)
    world.post(alert("c", 3), alert("d", 3))
    world.now = at(7)
    world.post(alert("a", 0, 6), alert("d", 3, 6))
    assert world.taken("desk") == []
    world.now = at(9)
    TaskCommands(world.ledger, lambda _: None).acknowledge("FW-1", "ann", world.now)
    (updated,) = world.taken("desk")
    assert updated.alerts == (told("b", 1), told("c", 3), told("a", 0, 6))
    world.now = at(12)
    world.post(alert("b", 1, 10), alert("c", 3, 11))
    (resolved,) = world.taken("desk")
    assert resolved.alerts == (told("b", 1, 10), told("c", 3, 11))
    assert resolved.truncated == 0


def test_a_person_who_resolves_a_task_ends_its_alerts_for_the_queue(world: World) -> None:
    world.now = at(2)
    world.post(alert("a", 0))
    world.now = at(9)
    TaskCommands(world.ledger, lambda _: None).resolve("FW-1", "ann", world.now)
    _, resolved = world.taken("desk")
    assert resolved.alerts == (told("a", 0, 9),)


def test_of_very_many_alerts_some_are_only_counted(world: World) -> None:
    world.now = at(2)
    world.post(*(alert(f"h{number:03}", 0) for number in range(MOST + 3)))
    (opened,) = world.taken("desk")
    assert (len(opened.alerts), opened.truncated) == (MOST, 3)


def test_every_route_that_an_alert_ends_at_hears_of_its_one_task(world: World) -> None:
    world.now = at(2)
    world.post(alert("a", 0))
    (chatted,) = world.taken("chat")
    assert (chatted.action.value, chatted.task.number, chatted.task.queue) == (
        "open",
        "FW-1",
        "desk",
    )
    assert world.taken("page") == []
    # One that is worse joins: now the third queue hears of the task, the others of no second one.
    world.now = at(3)
    world.post(alert("b", 1, severity="critical"))
    (paged,) = world.taken("page")
    assert (paged.action.value, paged.task.number) == ("open", "FW-1")
    assert paged.alerts == (told("a", 0), told("b", 1, severity="critical"))
    assert [each.action.value for each in world.taken("chat")] == ["update"]
    world.now = at(5)
    world.post(alert("a", 0, 4), alert("b", 1, 4, severity="critical"))
    assert [
        [each.action.value for each in world.taken(queue)] for queue in ("desk", "chat", "page")
    ] == [["open", "update", "resolve"], ["resolve"], ["resolve"]]
    # It comes back: each that knows it is told so.
    world.now = at(7)
    world.post(alert("a", 6))
    assert [
        [(each.action.value, each.task.number) for each in world.taken(queue)]
        for queue in ("desk", "chat", "page")
    ] == [[("reopen", "FW-1")]] * 3


SEVERAL = """
global: {smtp_smarthost: 'localhost:25', smtp_from: a@example.org}
route: {receiver: desk, group_by: [service]}
receivers:
  - name: desk
    email_configs: [{to: b@example.org, send_resolved: false}]
    webhook_configs: [{url: 'http://127.0.0.1:1/'}, {url: 'http://127.0.0.1:2/'}]
  - {name: chat, slack_configs: [{channel: x}]}
  - {name: page, slack_configs: [{channel: x}]}
  - {name: nobody}
"""


def test_a_receiver_that_tells_several_is_several_queues(world: World) -> None:
    file = read_alertmanager_file(SEVERAL, "am.yml")
    names = queues_of_each(file.receivers, {"page", "other"}, "other")
    assert names == {
        "desk": ("desk", "desk#2", "desk#3"),
        "chat": ("other",),
        "page": ("page",),
        "nobody": (),
    }
    queues = queues_of_receivers(file, Templates.default(), "http://x")
    assert {name: queue.kind for name, queue in queues.items()} == {
        "desk": "alertmanager webhook",
        "desk#2": "alertmanager webhook",
        "desk#3": "alertmanager email",
    }
    world.place.take(file, names)
    world.now = at(2)
    world.post(alert("a", 0))
    world.now = at(4)
    world.post(alert("a", 0, 3))
    for queue in queues:
        told_of = [(each.action.value, each.task.number) for each in world.taken(queue)]
        assert told_of == [("open", "FW-1"), ("resolve", "FW-1")]


TIMED = """
route:
  receiver: desk
  group_by: [alertname, service]
  routes:
    - {receiver: desk, matchers: [alertname=Down], continue: true, mute_time_intervals: [morning]}
    - {receiver: page, mute_time_intervals: [night, morning]}
time_intervals:
  - {name: night, time_intervals: [{times: [{start_time: '23:00', end_time: '23:10'}]}]}
  - {name: morning, time_intervals: [{times: [{start_time: '23:20', end_time: '23:30'}]}]}
receivers: [{name: desk}, {name: page}]
"""


def test_a_route_that_is_mute_hears_of_the_task_when_it_is_no_more(world: World) -> None:
    queues = {"desk": ["desk"], "page": ["page"]}
    world.place.take(read_alertmanager_file(TIMED, "am.yml"), queues)
    world.now = at(2)
    world.post(alert("a", 0), alert("b", 0, alertname="Slow"))
    world.keeper.tick(world.now)
    assert [each.alerts for each in world.taken("desk")] == [(told("a", 0),)]
    assert world.taken("page") == []
    world.now = at(10)
    world.keeper.tick(world.now)
    world.keeper.tick(world.now)
    # The other was held, as its one route was mute; of this the desk has known all along.
    paged = {(each.task.number, each.action.value, each.reason) for each in world.taken("page")}
    assert paged == {("FW-1", "open", "routed"), ("FW-2", "open", "new")}
    assert world.taken("desk") == []
    # While all its routes are mute, an alert is held.
    world.now = at(21)
    world.post(alert("c", 20, service="mail"))
    world.keeper.tick(world.now)
    assert world.taken("desk") == []
    world.now = at(30)
    world.keeper.tick(world.now)
    opened = [world.taken(queue)[0].task.number for queue in ("desk", "page")]
    assert opened == ["FW-3", "FW-3"]
