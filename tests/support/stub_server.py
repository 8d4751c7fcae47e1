"""A server that gives fixed answers, for the refusals that a real one gives seldom."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Fixed = Mapping[str, tuple[int, bytes]]


@contextmanager
def stub_server(
    answers: Fixed,
    first: Fixed | None = None,
    authorizations: list[str | None] | None = None,
    missing: int = 0,
) -> Iterator[str]:
    """Answers by path, 404 elsewhere; `first` are those to the first call of a path.

    `authorizations` is filled with that header of every call. Each body lacks `missing` bytes of
    the length that is announced.
    """
    waiting = dict(first or {})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def do_GET(self) -> None:
            if authorizations is not None:
                authorizations.append(self.headers.get("Authorization"))
            status, body = waiting.pop(self.path, None) or answers.get(self.path, (404, b"no"))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://elsewhere.example/")
            self.send_header("Content-Length", str(len(body) + missing))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
