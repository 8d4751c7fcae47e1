"""What is held by a window of a calendar's file, and what a queue refused, over the whole way."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from support.receiver import receiving
from support.servers import RunningCollector, running_collector
from support.waiting import wait_until

ICS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//provider//works//EN
BEGIN:VEVENT
UID:works-1
SUMMARY:New switches
DTSTART:{start}
DTEND:{end}
END:VEVENT
END:VCALENDAR
"""
CONFIG = """\
queues: {{support: {{kind: webhook, url: '{url}'}}}}
default_queue: support
maintenance:
  - {{name: provider, match: {{site: berlin}}, timezone: UTC, ics: provider.ics}}
"""


def post(
    collector: RunningCollector, path: str, body: Any, **headers: str
) -> tuple[dict[str, Any] | None, dict[str, str]]:
    answer = collector.post(
        path, json.dumps(body).encode(), Content_Type="application/json", **headers
    )
    assert answer.status == 200, answer.body
    return (answer.json() if answer.body else None), answer.headers


def write_window(folder: Path, start: float, end: float) -> None:
    times = {
        name: f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}"
        for name, at in (("start", start), ("end", end))
    }
    (folder / "provider.ics").write_text(ICS.format(**times).replace("\n", "\r\n"))


def alert(name: str, site: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "instance": "web-1", "site": site},
        "endsAt": "2099-01-01T00:00:00Z",
    }


def test_an_alert_of_a_window_is_held_and_opens_when_the_files_window_ends(
    tmp_path: Path,
) -> None:
    now = time.time()
    write_window(tmp_path, now - 60, now + 3_600)
    config = tmp_path / "collector.yml"
    with receiving() as queue:
        config.write_text(CONFIG.format(url=queue.url))
        with running_collector(tmp_path, "--config", str(config)) as collector:
            post(collector, "/api/v2/alerts", [alert("Held", "berlin"), alert("Free", "paris")])
            wait_until("the other one's queue is told", lambda: queue.of("open", "Free"))
            assert [task["rule_name"] for task in collector.tasks()] == ["Free"]
            metrics = collector.get("/metrics").body.decode()
            assert 'forewarn_window_active{window="provider"} 1.0' in metrics
            assert 'forewarn_holds{kind="window"} 1.0' in metrics
            # The works are over sooner than was said: the file is read again.
            write_window(tmp_path, now - 60, time.time())
            opened = wait_until("what still fires opens", lambda: queue.of("open", "Held"))
            assert len(queue.of("open", "Held")) == 1
            found = collector.get(f"/api/tasks/{opened[0]['number']}").json()
            # With its own onset, and why it was not told before.
            assert found["onset_at"] <= found["held_since"] < found["opened_at"]
            held = [entry for entry in found["timeline"] if entry["kind"] == "held"]
            assert len(held) == 1
            assert "provider" in held[0]["text"]


def test_a_delivery_that_its_queue_refused_is_revived_and_made_once(tmp_path: Path) -> None:
    write_window(tmp_path, 0, 1)
    config = tmp_path / "collector.yml"
    with receiving() as queue:
        queue.status = 400
        config.write_text(CONFIG.format(url=queue.url))
        with running_collector(tmp_path, "--config", str(config)) as collector:
            post(collector, "/api/v2/alerts", [alert("Refused", "berlin")])
            path = "/api/queues/support/deliveries"

            def in_state(state: str) -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = collector.get(path, state=state).json()["deliveries"]
                return found

            (dead,) = wait_until("the delivery is dead", lambda: in_state("dead"))
            assert "400" in dead["error"]
            queue.status = 204
            revive = f"{path}/{dead['id']}/revive"
            first, _ = post(collector, revive, {"who": "ann"}, Idempotency_Key="revive-1")
            again, headers = post(collector, revive, {"who": "ann"}, Idempotency_Key="revive-1")
            assert first is not None
            assert first["id"] == dead["id"]
            assert (again, headers["Idempotency-Replayed"]) == (first, "true")
            (made,) = wait_until("it is made", lambda: in_state("delivered"))
            assert (made["id"], made["attempts"]) == (dead["id"], 2)
            # The receiver knows both attempts by the same key.
            assert queue.ids == [dead["id"]] * 2
            assert in_state("dead") == []
            entries = collector.get("/api/audit", action="delivery revived").json()["entries"]
            assert [(entry["who"], entry["detail"]["delivery"]) for entry in entries] == [
                ("ann", dead["id"])
            ]
