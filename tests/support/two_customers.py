"""A collector with two customers: the same kinds of things of each, with the name in every text."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forewarn_wire import Event, Severity, labels_from
from support.databases import DATABASES
from support.servers import Answer, RunningCollector, call, running_collector
from support.waiting import wait_until
from support.writing import LOGS_HEADERS, WRITE_HEADERS, logs_body, write_body

ACME, BRAVO = "acme", "bravo"
ROLES = ("agent", "viewer", "operator")

RULES = """\
groups:
  - name: shared
    interval: 1s
    rules:
      - alert: Broken
        expr: broken > 0
        labels: {severity: high}
        annotations: {summary: "{{ $labels.part }} of {{ $labels.instance }} is broken"}
        task: {evidence: [{expr: 'broken{instance="$instance"}', last: 5m}]}
      - {record: part:broken:max, expr: max by (part) (broken)}
  - name: of-one
    rules:
      - {alert: BravoSlow, expr: 'bravo_lag{customer="bravo"} > 100'}
      - {record: 'lag:max', expr: 'max(lag)', labels: {customer: bravo}}
"""


@dataclass
class TwoCustomers:
    """The collector, and what is where of each customer."""

    collector: RunningCollector
    tokens: Mapping[str, str]
    """By role and customer (`viewer acme`), or by role alone (`viewer`)."""
    tasks: dict[str, str]
    silences: dict[str, str]
    events: dict[str, str]

    def call(
        self,
        who: str,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request with the token of somebody, of JSON where there is a body."""
        named = {"Authorization": f"Bearer {self.tokens[who]}", **(headers or {})}
        data = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            data = json.dumps(body).encode()
            named.setdefault("Content-Type", "application/json")
        return call(self.collector.url + path, data, named, method)

    def settled(self, task: str) -> dict[str, Any]:
        """A task once nothing but people changes it: all is delivered."""

        def found() -> dict[str, Any] | None:
            queues = self.call("admin", "GET", "/api/queues").json()["queues"]
            answer: dict[str, Any] = self.call("admin", "GET", f"/api/tasks/{task}").json()
            return None if any(each["owed"] for each in queues) else answer

        return wait_until(f"{task} is settled", found)

    def place(self, who: str) -> int:
        """Where the stream of tasks has come to."""
        url = f"{self.collector.url}/api/tasks/stream"
        headers = {"Authorization": f"Bearer {self.tokens[who]}"}
        with urllib.request.urlopen(urllib.request.Request(url, None, headers)) as answer:
            opening = answer.readline() + answer.readline()
        return int(opening.partition(b"id: ")[2])

    def follow(self, who: str, since: int, events: int) -> list[bytes]:
        """The first events of the stream of tasks behind one, each as it came."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Last-Event-ID": str(since)}
        request = urllib.request.Request(f"{self.collector.url}/api/tasks/stream", None, headers)
        found: list[bytes] = []
        with urllib.request.urlopen(request, timeout=10) as answer:
            event = b""
            while len(found) < events:
                line = answer.readline()
                event += line
                if not line.strip():
                    if b"data: " in event:
                        found.append(event)
                    event = b""
        return found


@contextmanager
def two_customers(folder: Path) -> Iterator[TwoCustomers]:
    """A collector with tokens of every role, and signals, alerts and silences of both customers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(RULES)
    tokens: dict[str, str] = {}
    lines = ["rules: [rules.yml]", "queues: {support: {kind: log}}", "tokens:"]
    given = [(role, who) for who in (ACME, BRAVO, "") for role in ROLES]
    for role, who in [*given, ("admin", "")]:
        name = f"{role} {who}".strip()
        tokens[name] = f"secret-of-{role}-{who or 'all'}-{uuid.uuid4()}"
        file = folder / f"{name.replace(' ', '-')}.token"
        file.write_text(tokens[name])
        customer = f", customer: {who}" if who else ""
        lines.append(
            f"  - {{name: {role}-{who or 'all'}, token_file: {file}, role: {role}{customer}}}"
        )
    (folder / "collector.yml").write_text("\n".join(lines) + "\n")
    arguments = ["--config", str(folder / "collector.yml"), *DATABASES.arguments(folder)]
    with running_collector(folder, *arguments) as collector:
        found = TwoCustomers(collector, tokens, {}, {}, {})
        for who in (ACME, BRAVO):
            _tell(found, who)
        yield found


def _tell(found: TwoCustomers, who: str) -> None:
    now = int(time.time() * 1000)
    # What an agent sends, and a metric of the customer's own.
    body = write_body(
        {
            "forewarn_agent_interval_seconds": 10,
            "broken": 1,
            "lag": 5,
            f"{who}_lag": 1,
            "target_info": 1,
        },
        now,
        instance="web-1",
        job=f"{who}-job",
        part=f"{who}-pump",
    )
    headers = {name.replace("_", "-"): value for name, value in WRITE_HEADERS.items()}
    assert found.call(f"agent {who}", "POST", "/api/v1/write", body, headers).status == 204
    metadata = {
        "resourceMetrics": [
            {
                "resource": {
                    "attributes": [
                        {"key": "service.name", "value": {"stringValue": f"{who}-service"}}
                    ]
                },
                "scopeMetrics": [
                    {
                        "metrics": [
                            {
                                "name": "orders",
                                "description": f"Orders of {who}.",
                                "gauge": {
                                    "dataPoints": [
                                        {"timeUnixNano": str(now * 10**6), "asDouble": 1.0}
                                    ]
                                },
                            }
                        ]
                    }
                ],
            }
        ]
    }
    assert found.call(f"agent {who}", "POST", "/v1/metrics", metadata).status == 200
    uid = str(uuid.uuid4())
    event = Event(
        now,
        "log",
        Severity.ERROR,
        labels_from({"instance": f"{who}-host"}),
        f"failed at {who}",
        uid,
        {"file": f"/srv/{who}"},
    )
    logs = {name.replace("_", "-"): value for name, value in LOGS_HEADERS.items()}
    assert found.call(f"agent {who}", "POST", "/v1/logs", logs_body(event), logs).status == 200
    found.events[who] = uid
    alert = {
        "labels": {"alertname": f"{who}-alert", "instance": f"{who}-host"},
        "annotations": {"summary": f"of {who}"},
        "generatorURL": f"http://{who}/graph?g0.expr={who}_up",
    }
    assert found.call(f"agent {who}", "POST", "/api/v2/alerts", [alert]).status == 200
    silence = {
        "matchers": [
            {"name": "alertname", "value": f"{who}-planned", "isRegex": False, "isEqual": True}
        ],
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2036-01-01T00:00:00Z",
        "createdBy": f"{who}-ann",
        "comment": f"work at {who}",
    }
    answer = found.call(f"operator {who}", "POST", "/api/v2/silences", silence)
    assert answer.status == 200, answer.body
    found.silences[who] = answer.json()["silenceID"]

    def number() -> str:
        answer = found.call("admin", "GET", f"/api/tasks?customer={who}&rule=Broken")
        tasks = answer.json()["tasks"]
        return tasks[0]["number"] if tasks else ""

    found.tasks[who] = wait_until(f"a task of {who}", number)
    path = f"/api/tasks/{found.tasks[who]}/comment"
    said = found.call(f"operator {who}", "POST", path, {"text": f"{who} says so"})
    assert said.status == 200, said.body
