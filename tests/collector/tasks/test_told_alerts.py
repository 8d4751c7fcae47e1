"""A delivery tells of the alerts of its task, each with its own labels, annotations and times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from forewarn_collector.notifications import NotifiedAlert
from forewarn_collector.silencing import read_alertmanager_file
from forewarn_collector.tasks import (
    Actor,
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
        queues = {name: name for name in ("desk", "chat", "page")}
        file = read_alertmanager_file(FILE, "am.yml")
        self.place = AlertmanagerPlace(self.ledger, file, queues, "", lambda _: None, "http://x")
        policy = Policy(
            placing=self.place.placing(ByRule()),
            gates=self.place.gates,
            rule_of=self.place.rule_of,
        )
        self.keeper = TaskKeeper(
            self.ledger, NoEvidence(), policy, lambda: self.now, lambda _: None
        )
        self.outbox = Outbox(self.ledger, "http://x")

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Alerts by `starts` and `ends` (s from T0, None: they fire) and labels, as from outside."""
        self.place.received.post([_received(alert) for alert in alerts], self.keeper, self.now)

    def taken(self, queue: str) -> list[Delivery]:
        """What the queue is owed; it takes it."""
        found: list[Delivery] = []
        while due := self.outbox.due_deliveries(queue, self.now, 10):
            for delivery in due:
                assert self.outbox.claim(delivery, self.now)
                self.outbox.delivered(delivery.id, None, self.now)
            found += due
        return found


def _received(alert: Mapping[str, Any]) -> Any:
    from forewarn_collector.api.alertmanager_forms import read_alerts

    found, wrong = read_alerts([alert], T0, 3_600_000, "")
    assert not wrong
    return found[0]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.ledger.close()
