"""A whole collector with a ticket system: alerts become tickets, what people do comes back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from forewarn_collector import queues
from forewarn_collector.app import Collector
from forewarn_collector.config import read_config
from support.servers import free_port
from support.trackers.faults import serving
from support.trackers.model import Model, ModelTracker, model_application

CONFIG = """\
queues:
  support:
    kind: model
    url: {tracker}
    project: ops
    assignee: {{alice: alice-acme}}
    poll: off
    hook_secret_file: {folder}/hook.secret
  broken:
    kind: model
    url: http://127.0.0.1:{nobody}
    project: ops
default_queue: {default}
"""


def now() -> int:
    return int(time.time() * 1000)


class Site:
    """The collector at its address, with its own token."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession) -> None:
        self.url, self._token, self._session = url, token, session

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        named = {"Authorization": f"Bearer {self._token}"} | headers
        data = None if body is None else json.dumps(body)
        if data is not None:
            named["Content-Type"] = "application/json"
        url = self.url + path
        async with self._session.request(method, url, data=data, headers=named) as answer:
            text = await answer.text()
            assert answer.status < 300, text
            return json.loads(text) if answer.content_type == "application/json" else text

    async def until(self, path: str, found: Callable[[Any], bool]) -> Any:
        for _ in range(1_000):
            answer = await self.call("GET", path)
            if found(answer):
                return answer
            await asyncio.sleep(0.02)
        raise AssertionError(answer)


@asynccontextmanager
async def site(
    folder: Path, model: Model, patch: pytest.MonkeyPatch, default: str
) -> AsyncIterator[Site]:
    patch.setattr(queues, "TRACKERS", (ModelTracker,))
    (folder / "hook.secret").write_text("s3cret")
    async with serving(model_application(model)) as tracker, aiohttp.ClientSession() as session:
        port = free_port()
        text = CONFIG.format(default=default, tracker=tracker, folder=folder, nobody=free_port())
        text += f"data: {folder}/data\nlisten: 127.0.0.1:{port}\n"
        collector = Collector(read_config(text, "collector.yml"), now)
        await collector.start()
        try:
            token = (folder / "data" / "token").read_text().strip()
            yield Site(f"http://127.0.0.1:{port}", token, session)
        finally:
            await collector.stop()


async def test_an_alert_becomes_a_ticket_and_what_people_do_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(now)
    async with site(tmp_path, model, monkeypatch, "support") as found:
        alert = {"labels": {"alertname": "DiskFull", "instance": "a"}}
        await found.call("POST", "/api/v2/alerts", [alert])
        task = await found.until("/api/tasks/FW-1", lambda task: task["tickets"])
        assert task["tickets"] == [
            {
                "queue": "support",
                "ref": "1",
                "url": "http://model.example/1",
                "state": "new",
                "assignee": "",
            }
        ]
        model.comment("1", "The disk is old.", who="alice-acme")
        model.resolve("1", "fixed", who="alice-acme")
        hook = "/api/queues/support/hook"
        await found.call("POST", hook, {}, Authorization="Bearer s3cret")
        task = await found.until("/api/tasks/FW-1", lambda task: task["state"] == "resolved")
        assert task["resolved_by"] == "alice (support)"
        assert "The disk is old." in [entry["text"] for entry in task["timeline"]]
        # It fires still, and its ticket is told so.
        await found.until("/api/queues", lambda answer: answer["queues"][1]["owed"] == 0)
        assert any("still holds" in each["text"] for each in model.tickets["1"].comments)
        text = await found.call("GET", "/metrics")
        assert 'forewarn_tickets{queue="support",state="closed"} 1.0' in text
        assert 'forewarn_ticket_reads_total{queue="support"}' in text
        assert 'forewarn_hook_calls_total{outcome="taken",queue="support"} 1.0' in text


async def test_a_queue_that_is_down_says_so_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site(tmp_path, Model(now), monkeypatch, "broken") as found:
        alert = {"labels": {"alertname": "DiskFull", "instance": "a"}}
        await found.call("POST", "/api/v2/alerts", [alert])

        def paused(answer: Any) -> bool:
            return any(each["paused_until"] for each in answer["queues"])

        answer = await found.until("/api/queues", paused)
        why = {each["name"]: each["paused_why"] for each in answer["queues"]}
        assert why["support"] == ""
        assert why["broken"].startswith("no connection: ")
        text = await found.call("GET", "/metrics")
        assert 'forewarn_queue_paused{queue="support"} 0.0' in text
        assert 'forewarn_queue_paused{queue="broken"} 1.0' in text
