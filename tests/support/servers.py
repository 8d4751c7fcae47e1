"""Real programs for tests: on free loopback ports, in temporary folders, stopped by process id."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.waiting import wait_until


def program(name: str) -> str:
    """The path of a program from Debian; where it is absent CI fails and a laptop skips."""
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not installed; .ci/run installs what the tests need")
        pytest.skip(f"{name} is not installed (Debian has it)")
    return path


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], log: Path, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A program with its output in `log`; at the end it is asked to stop, then made to."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            cwd=cwd,
        )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program: orderly, or after ten seconds by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def call(
    url: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
    timeout: float = 10,
) -> Answer:
    """An HTTP request; any status is an answer."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return Answer(answer.status, answer.read(), dict(answer.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(), dict(error.headers))


def answers(url: str) -> bool:
    """Whether a server answers 200 there."""
    try:
        return call(url, timeout=2).status == 200
    except OSError:
        return False


@dataclass
class RunningCollector:
    """A collector that listens at `url`, with its data and output under `folder`."""

    url: str
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def token(self) -> str:
        """Its own token; with --no-auth there is none, and any will do."""
        file = self.data / "token"
        return file.read_text().strip() if file.exists() else "none"

    @property
    def output(self) -> str:
        """What it has logged."""
        return (self.folder / "collector.log").read_text()

    def get(self, path: str, **query: str | list[str]) -> Answer:
        """GET a path, with the token."""
        text = urllib.parse.urlencode(query, doseq=True)
        url = f"{self.url}{path}?{text}" if text else self.url + path
        return call(url, headers={"Authorization": f"Bearer {self.token}"})

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        """POST a body, with the token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return call(
            self.url + path, body, {"Authorization": f"Bearer {self.token}", **named}, "POST"
        )

    def query(self, expr: str, time: float | None = None) -> list[dict[str, Any]]:
        """The result of an instant query."""
        given = {"query": expr} | ({"time": str(time)} if time is not None else {})
        answer = self.get("/api/v1/query", **given)
        assert answer.status == 200, answer.body
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def tasks(self, **query: str | list[str]) -> list[dict[str, Any]]:
        """The tasks, by filter."""
        answer = self.get("/api/tasks", **query)
        assert answer.status == 200, answer.body
        tasks: list[dict[str, Any]] = answer.json()["tasks"]
        return tasks


@contextmanager
def running_collector(
    folder: Path, *arguments: str, program: Sequence[str] = ("-m", "forewarn_collector")
) -> Iterator[RunningCollector]:
    """A collector with its data in `folder/data` on a free port; extra command line `arguments`.

    `program` is what Python runs: the product, or what a benchmark has around it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "collector.log"
    before = log.stat().st_size if log.exists() else 0
    command = [sys.executable, *program, "serve"]
    if "--listen" not in arguments:
        command += ["--listen", "127.0.0.1:0"]
    command += ["--data", str(folder / "data"), *arguments]
    with running(command, log, cwd=folder) as process:

        def address() -> str:
            text = log.read_text()[before:]
            assert process.poll() is None, f"the collector ended:\n{text}"
            return text.partition("listening on ")[2].split()[0] if "listening on " in text else ""

        yield RunningCollector(wait_until("the collector listens", address), folder, process)


@contextmanager
def running_agent(
    folder: Path, collector: str, config: str = "", *arguments: str, token_file: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that reports to `collector`, with the YAML `config`; its output in agent.log."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "forewarn_agent", "--collector", collector]
    command += ["--spool", str(folder / "spool")]
    if config:
        (folder / "agent.yml").write_text(config)
        command += ["--config", str(folder / "agent.yml")]
    if token_file is not None:
        command += ["--token-file", str(token_file)]
    with running([*command, *arguments], folder / "agent.log", cwd=folder) as process:
        yield process
