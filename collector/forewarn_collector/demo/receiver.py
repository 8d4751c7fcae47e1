"""The support queue of the demo: a webhook receiver that keeps what it gets."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from forewarn_wire.clock import Clock


class DemoQueue:
    """Listens on a free loopback port. `received` grows: (time of arrival, delivery)."""

    def __init__(self, clock: Clock) -> None:
        self.received: list[tuple[int, dict[str, Any]]] = []
        queue = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                queue.received.append((clock(), json.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay silent: the demo prints what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}/tickets"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
