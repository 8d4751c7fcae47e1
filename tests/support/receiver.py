"""A support queue for system tests: a webhook that keeps what it gets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """A support queue: keeps the deliveries it gets, and answers them with `status`."""

    def __init__(self, port: int = 0) -> None:
        self.deliveries: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.status = 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.ids.append(self.headers["Idempotency-Key"])
                receiver.deliveries.append(json.loads(body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def of(self, action: str, rule: str) -> list[dict[str, Any]]:
        """The tasks of the deliveries with this action for this rule."""
        return [
            delivery["task"]
            for delivery in self.deliveries
            if delivery["action"] == action and delivery["task"]["rule_name"] == rule
        ]


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.close()
