"""The webhook receiver that all systems deliver to; it notes when each message arrived."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.faults import Fault, Kind, now

DOWN, ERRORS = "VictimDown", "VictimLogError"
KINDS = {DOWN: Kind.KILL, ERRORS: Kind.ERROR}


@dataclass
class Receiver:
    """First arrivals by system and fault, and when our tasks were opened (ms since epoch)."""

    port: int
    arrived: dict[str, dict[Fault, float]] = field(default_factory=dict)
    opened: dict[Fault, float] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self, system: str) -> str:
        """Where this system is to deliver."""
        return f"http://127.0.0.1:{self.port}/{system}"

    def take(self, system: str, body: dict[str, Any], at: float) -> None:
        """Note a message that arrived at `at`."""
        with self._lock:
            for fault, opened in _faults(body):
                known = self.arrived.setdefault(system, {})
                if fault in known:
                    self.repeats[system] = self.repeats.get(system, 0) + 1
                    continue
                known[fault] = at
                if opened is not None:
                    self.opened[fault] = opened

    def count(self, system: str, among: set[Fault]) -> int:
        """How many of these faults the system has told of."""
        with self._lock:
            return len(among & self.arrived.get(system, {}).keys())


def _faults(body: dict[str, Any]) -> Iterator[tuple[Fault, float | None]]:
    """The faults that a message tells of; Forewarn's with the `opened_at` of the task."""
    if "task" in body:
        if body["action"] == "open":
            labels = body["task"]["labels"]
            victim = labels.get("groupname") or labels["log"]
            kind = KINDS[body["task"]["rule_name"]]
            yield Fault(victim, kind), float(body["task"]["opened_at"])
        return
    for alert in body["alerts"]:
        if alert["status"] == "firing":
            labels = alert["labels"]
            yield Fault(labels["victim"], KINDS[labels["alertname"]]), None


def _handler(take: Callable[[str, dict[str, Any], float], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            at = now()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            take(self.path.strip("/"), body, at)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    return Handler


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver on a free loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    found = Receiver(server.server_port)
    server.RequestHandlerClass = _handler(found.take)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
