"""The customer's software in the demo: a small web shop that logs what it does.

Run as `python -m forewarn_collector.demo.shop PORT LOG`. It prints a line when it is ready.
"""

from __future__ import annotations

import logging
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/fail":
            logging.fatal("payment gateway unreachable, orders are lost")
            self._answer(500, b"out of order\n")
        else:
            self._answer(200, b"welcome to the shop\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        logging.info("%s", format % args)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve until killed."""
    port, log = int(sys.argv[1]), sys.argv[2]
    logging.basicConfig(
        filename=log, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    server = ThreadingHTTPServer(("127.0.0.1", port), _Shop)
    sys.stdout.write(f"ready {server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
