"""The three servers of the benchmark of stores: started, killed, asked and weighed alike."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.process_cost import cost
from support.servers import answers, call, free_port, program
from support.waiting import wait_until

_WRITE_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@dataclass
class Server:
    """A program with its data in `data`; `{data}` and `{port}` of its command are filled in."""

    name: str
    command: Sequence[str]
    ready_path: str
    data: Path
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; the seconds until it is ready."""
        command = [each.format(data=self.data, port=self.port) for each in self.command]
        began = time.perf_counter()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        wait_until(f"{self.name} is ready", lambda: answers(self.url(self.ready_path)), 300, 0.01)
        return time.perf_counter() - began

    def kill(self) -> None:
        """End it by force, as a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """End it in order, however long that takes."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait(120)

    def url(self, path: str) -> str:
        """An address of its."""
        return f"http://127.0.0.1:{self.port}{path}"

    def write(self, body: bytes) -> None:
        """Send a remote-write body. AssertionError where it is refused."""
        answer = call(self.url("/api/v1/write"), body, _WRITE_HEADERS, "POST", 60)
        assert answer.status // 100 == 2, (self.name, answer.status, answer.body)

    def get(self, path: str) -> bytes:
        """What it answers there. AssertionError where that is an error."""
        answer = call(self.url(path), timeout=120)
        assert answer.status // 100 == 2, (self.name, path, answer.status, answer.body)
        return answer.body

    def ask(self, connection: http.client.HTTPConnection, path: str) -> tuple[float, bytes]:
        """Milliseconds until a query is answered, and the answer. AssertionError at an error."""
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        taken = (time.perf_counter() - began) * 1000
        assert answer.status == 200, (self.name, path, body)
        return taken, body

    def resident(self) -> float:
        """Its memory in MB."""
        assert self.process is not None
        return cost(self.process.pid).rss / 1e6

    def cpu(self) -> float:
        """The CPU seconds that it took until now."""
        assert self.process is not None
        return cost(self.process.pid).cpu

    def figures(self) -> dict[str, float]:
        """What it says of itself at /metrics."""
        lines = self.get("/metrics").decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if line and line[0] != "#")
        return {name: float(value) for name, _, value in pairs}


def forewarn(folder: Path) -> Server:
    """Forewarn without rules, at a port of its own."""
    (folder / "rules.yml").write_text("groups: []\n")
    command = [sys.executable, "-m", "forewarn_collector", "serve", "--no-auth"]
    command += ["--listen", "127.0.0.1:{port}", "--data", "{data}"]
    command += ["--rules", str(folder / "rules.yml")]
    return Server("Forewarn", command, "/-/ready", folder / "ours", folder / "ours.log")


def prometheus(folder: Path) -> Server:
    """Debian's Prometheus, which scrapes nothing and takes remote write."""
    (folder / "prometheus.yml").write_text("global: {}\n")
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        "--storage.tsdb.path={data}",
        "--web.listen-address=127.0.0.1:{port}",
        "--web.enable-remote-write-receiver",
        "--web.enable-admin-api",
        "--log.level=warn",
    ]
    return Server(
        "Prometheus", command, "/-/ready", folder / "prometheus", folder / "prometheus.log"
    )


def victoria_metrics(folder: Path) -> Server:
    """Debian's VictoriaMetrics, which answers without its cache of answers."""
    command = [
        program("victoria-metrics"),
        "-storageDataPath={data}",
        "-httpListenAddr=127.0.0.1:{port}",
        "-retentionPeriod=100y",
        "-search.disableCache",
        "-loggerLevel=WARN",
    ]
    return Server(
        "VictoriaMetrics", command, "/health", folder / "victoria", folder / "victoria.log"
    )


def disk(folder: Path) -> int:
    """Bytes of all files below."""
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
