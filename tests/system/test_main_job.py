"""The main job with real parts: an agent, a collector, a queue, and a process that dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.databases import DATABASES
from support.receiver import receiving
from support.servers import (
    RunningCollector,
    free_port,
    running,
    running_agent,
    running_collector,
    stop,
)
from support.waiting import wait_until

COLLECTOR = """\
queues:
  support: {{kind: webhook, url: '{url}'}}
default_queue: support
"""
AGENT = """\
instance: host-1
interval: 1s
processes:
  - {name: victim, cmdline: ['victim-of-the-test']}
"""
VICTIM = [sys.executable, "-c", "import time; time.sleep(600)", "victim-of-the-test"]
DOWN = "ProcessGroupDown"


@contextmanager
def victim(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with running(VICTIM, folder / "victim.log") as process:
        yield process


def collector_config(folder: Path, url: str) -> str:
    file = folder / "collector.yml"
    file.write_text(COLLECTOR.format(url=url))
    return str(file)


def members(collector: RunningCollector) -> list[str]:
    query = 'namedprocess_namegroup_num_procs{groupname="victim"}'
    return [row["value"][1] for row in collector.query(query)]


def down(collector: RunningCollector) -> list[dict[str, Any]]:
    return collector.tasks(rule=DOWN, instance="host-1")


def test_a_killed_process_becomes_a_task_and_its_return_resolves_it(tmp_path: Path) -> None:
    with (
        receiving() as queue,
        running_collector(tmp_path, "--config", collector_config(tmp_path, queue.url)) as collector,
        running_agent(tmp_path, collector.url, AGENT, token_file=collector.data / "token"),
    ):
        with victim(tmp_path) as process:
            wait_until("the victim is seen", lambda: members(collector) == ["1"])
            before = int(time.time() * 1000)
            process.kill()
            process.wait()
            opened = wait_until("the queue has the task", lambda: queue.of("open", DOWN))
        task = opened[0]
        assert task["labels"]["instance"] == "host-1"
        assert task["labels"]["groupname"] == "victim"
        assert task["state"] == "open"
        # The sample that showed it was made after the kill; the task follows from it.
        assert before - 5 <= task["onset_at"] <= task["opened_at"]
        found = collector.get(f"/api/tasks/{task['number']}").json()
        (evidence,) = found["evidence"]
        assert evidence["notes"] == []
        assert evidence["values"]["samples"][-1][1] == "0", "no process is left"
        plot = collector.get(f"/api/tasks/{task['number']}/plot.svg")
        assert plot.headers["Content-Type"].startswith("image/svg+xml")
        assert plot.body.startswith(b"<svg ")
        page = collector.get(f"/tasks/{task['number']}").body.decode()
        assert '<svg class="plot"' in page
        assert next(entry["kind"] for entry in found["timeline"]) == "opened"

        with victim(tmp_path):
            resolved = wait_until("the queue knows of the end", lambda: queue.of("resolve", DOWN))
        assert resolved[0]["number"] == task["number"]
        assert resolved[0]["state"] == "resolved"
        assert len(queue.of("open", DOWN)) == 1
        assert len(set(queue.ids)) == len(queue.ids)
        text = collector.get("/metrics").body.decode()
        assert "forewarn_onset_to_task_seconds_count 1.0" in text


def comment(task: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
    """A command for a task, with a key."""
    headers = {"Content_Type": "application/json", "Idempotency_Key": "key-1"}
    return f"/api/tasks/{task['number']}/comment", b'{"text": "said once"}', headers


@contextmanager
def command_without_answer(
    collector: RunningCollector, path: str, body: bytes, headers: dict[str, str]
) -> Iterator[None]:
    """A command whose answer nobody reads."""
    host, _, port = collector.url.removeprefix("http://").partition(":")
    given = {
        **{name.replace("_", "-"): value for name, value in headers.items()},
        "Authorization": f"Bearer {collector.token}",
        "Content-Length": str(len(body)),
    }
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in given.items())]
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        yield


def texts(collector: RunningCollector, task: dict[str, Any]) -> list[str]:
    """What the task's timeline says."""
    found = collector.get(f"/api/tasks/{task['number']}").json()
    return [entry["text"] for entry in found["timeline"]]


@pytest.mark.usefixtures("each_database")
def test_a_collector_that_is_killed_does_nothing_twice_and_owes_what_it_owed(
    tmp_path: Path,
) -> None:
    port = free_port()
    config = collector_config(tmp_path, f"http://127.0.0.1:{port}/")
    listen = f"127.0.0.1:{free_port()}"
    arguments = ("--config", config, "--listen", listen, *DATABASES.arguments(tmp_path))
    with (
        victim(tmp_path) as process,
        running_collector(tmp_path, *arguments) as collector,
        running_agent(tmp_path, f"http://{listen}", AGENT, token_file=collector.data / "token"),
    ):
        wait_until("the victim is seen", lambda: members(collector) == ["1"])
        process.kill()
        task = wait_until("the task opens", lambda: down(collector))[0]
        # Nobody listens at the queue: the delivery is owed.
        assert task["delivered_at"] is None
        with command_without_answer(collector, *comment(task)):
            wait_until("it is said", lambda: texts(collector, task).count("said once") == 1)
        collector.process.send_signal(signal.SIGKILL)
        collector.process.wait()
        with (
            running_collector(tmp_path, *arguments) as again,
            receiving(port) as queue,
        ):
            wait_until("the delivery is made", lambda: queue.of("open", DOWN), seconds=40)
            wait_until("signals arrive again", lambda: members(again) == ["0"])
            path, body, headers = comment(task)
            answer = again.post(path, body, **headers)
            assert (answer.status, answer.headers["Idempotency-Replayed"]) == (200, "true")
            assert texts(again, task).count("said once") == 1
            tasks = again.tasks(rule=DOWN, state=["open", "acknowledged", "resolved"])
            assert [found["number"] for found in tasks] == [task["number"]]
            assert len(queue.of("open", DOWN)) == 1


def test_a_lost_agent_gives_one_task_and_holds_the_others(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        """
groups:
  - name: lost
    interval: 1s
    rules:
      - {alert: HostLost, expr: up == 0}
      - {alert: Down, expr: 'namedprocess_namegroup_num_procs == 0'}
"""
    )
    with running_collector(tmp_path, "--rules", str(rules)) as collector:
        token = collector.data / "token"
        with running_agent(tmp_path, collector.url, AGENT, token_file=token) as agent:
            wait_until("the missing process is seen", lambda: collector.tasks(rule="Down"))
            assert collector.query("up")[0]["value"][1] == "1"
            stop(agent)
        wait_until("the host's loss is a task", lambda: collector.tasks(rule="HostLost"))
        assert collector.query("up")[0]["value"][1] == "0"
        states = {task["rule_name"]: task["state"] for task in collector.tasks()}
        assert states == {"HostLost": "open", "Down": "open"}
        with running_agent(tmp_path, collector.url, AGENT, token_file=token):
            wait_until(
                "the host's return resolves its task",
                lambda: collector.tasks(rule="HostLost", state="resolved"),
            )


def test_people_handle_a_task_from_the_command_line(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        """
groups:
  - name: always
    interval: 1s
    rules:
      - alert: Always
        expr: vector(7)
        labels: {severity: high}
        annotations: {summary: "seven is {{ $value }}"}
"""
    )

    with running_collector(tmp_path, "--rules", str(rules)) as collector:

        def forewarn(*arguments: str) -> str:
            command = [sys.executable, "-m", "forewarn_collector", "tasks", *arguments]
            environment = {
                **os.environ,
                "FOREWARN_SERVER": collector.url,
                "FOREWARN_TOKEN": collector.token,
                "COLUMNS": "120",
            }
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout

        wait_until("the task opens", lambda: collector.tasks())
        assert "seven is 7" in forewarn("list")
        assert "FW-1 is acknowledged" in forewarn("ack", "FW-1")
        forewarn("comment", "FW-1", "looking at it")
        assert "looking at it" in forewarn("show", "FW-1")
        assert "FW-1 is resolved" in forewarn("resolve", "FW-1", "--text", "it is a prime")
        assert forewarn("list") == "no open tasks\n"
        assert json.loads(forewarn("show", "FW-1", "--json"))["state"] == "resolved"


def test_bad_rules_leave_the_running_ones_in_force(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rule = "      - {alert: A, expr: 'vector(1)'}\n"
    good = "groups:\n  - name: g\n    interval: 1s\n    rules:\n" + rule
    rules.write_text(good)
    with running_collector(tmp_path, "--rules", str(rules)) as collector:
        wait_until("the rule fires", lambda: collector.tasks(rule="A"))
        rules.write_text("groups: [")
        wait_until("the bad file is refused", lambda: "stay in force" in collector.output)
        assert f"{rules}:" in collector.output
        names = [
            rule["name"]
            for group in collector.get("/api/v1/rules").json()["data"]["groups"]
            for rule in group["rules"]
        ]
        assert names == ["A"]
        rules.write_text(good.replace("alert: A", "alert: B"))
        wait_until("the mended file is taken", lambda: collector.tasks(rule="B"))


def test_the_demo_ends_by_itself_after_the_first_open_and_resolve(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "forewarn_collector", "demo", "--once"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FW-1 opens" in done.stdout
    assert "FW-1 resolves" in done.stdout
