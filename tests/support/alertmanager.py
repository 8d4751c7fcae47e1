"""Debian's Alertmanager beside our own parts, with the same alerts and silences for both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forewarn_collector.api.alertmanager_forms import (
    alert_json,
    group_json,
    read_alerts,
    read_silence,
)
from forewarn_collector.silencing import read_alertmanager_file
from forewarn_collector.tasks import Actor, ByRule, Ledger, Policy, TaskKeeper
from forewarn_collector.tasks.alertmanager import AlertmanagerPlace
from forewarn_collector.tasks.board import groups_of
from support.databases import DATABASES
from support.servers import answers, call, free_port, program, running
from support.waiting import wait_until

_JSON = {"Content-Type": "application/json"}


@dataclass
class Peer:
    """An Alertmanager at `url` with its configuration in `config`."""

    url: str
    config: Path

    def get(self, path: str) -> Any:
        """The JSON at a path below /api/v2."""
        answer = call(f"{self.url}/api/v2/{path}")
        assert answer.status == 200, answer.body
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        """Post JSON; the JSON answered, if any."""
        answer = call(f"{self.url}/api/v2/{path}", json.dumps(body).encode(), _JSON)
        assert answer.status == 200, answer.body
        return answer.json() if answer.body else None

    def configure(self, text: str) -> None:
        """Take another configuration."""
        self.config.write_text(text)
        answer = call(f"{self.url}/-/reload", b"", method="POST")
        assert answer.status == 200, answer.body


@contextmanager
def running_alertmanager(folder: Path, config: str) -> Iterator[Peer]:
    """An Alertmanager with this configuration."""
    binary = program("prometheus-alertmanager")
    file, port = folder / "alertmanager.yml", free_port()
    file.write_text(config)
    command = [
        binary,
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    url = f"http://127.0.0.1:{port}"
    with running(command, folder / "alertmanager.log"):
        wait_until("the Alertmanager is ready", lambda: answers(f"{url}/-/ready"))
        yield Peer(url, file)


class NoEvidence:
    """Evidence of nothing."""

    def gather(self, wanted: Sequence[Any], at: int) -> Sequence[dict[str, Any]]:
        """An empty document for each."""
        return [{} for _ in wanted]


class Ours:
    """Our own parts over a ledger of their own, told and asked as by HTTP."""

    def __init__(self, folder: Path, config: str, now: int) -> None:
        file = read_alertmanager_file(config, "alertmanager.yml")
        assert not file.problems, file.problems
        self.now = now
        self.file = file
        self.ledger = Ledger(folder, DATABASES.url(folder))
        self.ledger.open()
        self.restart()

    def restart(self) -> None:
        """Parts that know only what the ledger has."""
        queues = dict.fromkeys(self.file.receivers, ("desk",))
        self.place = AlertmanagerPlace(
            self.ledger, self.file, queues, "", lambda _: None, "http://here"
        )
        self.place.load()
        policy = Policy(
            placing=self.place.placing(ByRule()),
            gates=self.place.gates,
            rule_of=self.place.rule_of,
        )
        self.keeper = TaskKeeper(
            self.ledger, NoEvidence(), policy, lambda: self.now, lambda _: None
        )

    def post_alerts(self, body: Any) -> None:
        """As POST /api/v2/alerts."""
        alerts, wrong = read_alerts(body, self.now, self.place.resolve_timeout, "")
        assert not wrong, wrong
        self.place.received.post(alerts, self.keeper, self.now)

    def post_silence(self, body: Any) -> str:
        """As POST /api/v2/silences."""
        silence = read_silence(body, self.now)
        return self.place.silences.set(silence, Actor("test"), self.now).id

    def tick(self) -> None:
        """As the clock does every second."""
        self.keeper.tick(self.now)
        self.place.tick(self.keeper, self.now)

    def alerts(self) -> list[dict[str, Any]]:
        """As GET /api/v2/alerts."""
        return [alert_json(alert) for alert in self.place.board.alerts(self.now)]

    def groups(self) -> list[dict[str, Any]]:
        """As GET /api/v2/alerts/groups."""
        return [group_json(group) for group in groups_of(self.place.board.alerts(self.now))]

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()
