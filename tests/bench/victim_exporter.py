"""A tiny Prometheus exporter of the victims: is it alive, how many error lines has its log.

Run as `python victim_exporter.py PORT VICTIMS_JSON`. It looks at the moment of each scrape, so that
the peer's figures hold no delay of the exporter's own.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not yet waited for does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def exposition(victims: list[dict[str, Any]]) -> str:
    """The state of all victims in the text format."""
    lines = ["# TYPE bench_process_up gauge"]
    for victim in victims:
        lines.append(
            f'bench_process_up{{victim="{victim["name"]}"}} {int(is_alive(victim["pid"]))}'
        )
    lines.append("# TYPE bench_log_errors_total counter")
    for victim in victims:
        count = Path(victim["log"]).read_bytes().count(b" ERROR ")
        lines.append(f'bench_log_errors_total{{victim="{victim["name"]}"}} {count}')
    return "\n".join(lines) + "\n"


def main() -> None:
    """Serve until killed."""
    port, listed = int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = exposition(listed).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
