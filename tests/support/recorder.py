"""A collector that only records what an agent sends, and answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cramjam
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from forewarn_agent.answers import fields


@dataclass
class Request:
    """A request as it came; `at` counts requests from 0."""

    at: int
    path: str
    headers: dict[str, str]
    body: bytes

    def samples(self) -> list[tuple[dict[str, str], float, int]]:
        """Labels, value and time of every sample of a remote-write body."""
        return decode_samples(bytes(cramjam.snappy.decompress_raw(self.body)))

    def events(self) -> list[dict[str, str]]:
        """Body, type, severity and attributes of every record of an OTLP logs body."""
        request = ExportLogsServiceRequest.FromString(self.body)
        return [
            {
                "body": record.body.string_value,
                "type": record.event_name,
                "severity": record.severity_text,
                **{pair.key: pair.value.string_value for pair in resource.resource.attributes},
                **{pair.key: pair.value.string_value for pair in record.attributes},
            }
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


def decode_samples(body: bytes) -> list[tuple[dict[str, str], float, int]]:
    """Every sample of a remote-write message, decoded here by the field numbers of its .proto."""
    import struct

    found = []
    for number, series in fields(body):
        assert number == 1
        assert isinstance(series, bytes)
        labels: dict[str, str] = {}
        position = 0
        while position < len(series):
            tag = series[position]
            size = series[position + 1]
            assert size < 128, "the samples and labels of the tests are short"
            part = series[position + 2 : position + 2 + size]
            position += 2 + size
            if tag == 0x0A:
                pair = dict(fields(part))
                name, value = pair[1], pair.get(2, b"")
                assert isinstance(name, bytes)
                assert isinstance(value, bytes)
                labels[name.decode()] = value.decode()
            else:
                assert tag == 0x12
                assert part[0] == 0x09
                assert part[9] == 0x10
                time = next(value for _, value in fields(part[9:]))
                assert isinstance(time, int)
                found.append((labels, struct.unpack("<d", part[1:9])[0], time))
    return found


Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Recorder:
    """What was received, and the answer to the next request: 204 unless `reply` says another."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    reply: Callable[[Request], Reply] = lambda request: (204, {}, b"")
    received: threading.Condition = field(default_factory=threading.Condition)
    connections: int = 0

    def take(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """Record a request."""
        with self.received:
            request = Request(len(self.requests), path, headers, body)
            self.requests.append(request)
            self.received.notify_all()
        return self.reply(request)

    def to(self, path: str) -> list[Request]:
        """The requests to a path so far."""
        return [request for request in self.requests if request.path == path]

    def samples(self) -> list[tuple[dict[str, str], float, int]]:
        """All samples received so far."""
        return [sample for request in self.to("/api/v1/write") for sample in request.samples()]

    def events(self) -> list[dict[str, str]]:
        """All events received so far."""
        return [event for request in self.to("/v1/logs") for event in request.events()]

    def wait_for(self, what: str, condition: Callable[[], object], seconds: float = 20) -> None:
        """Until a condition on what was received holds."""
        with self.received:
            assert self.received.wait_for(condition, seconds), f"waited in vain: {what}"


@contextmanager
def recording(port: int = 0) -> Iterator[Recorder]:
    """A recorder that listens on loopback."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            recorder.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra, answer = recorder.take(self.path, headers, body)
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer if status != 204 else b"")

        def log_message(self, *_: object) -> None:
            """Tests read what they need themselves."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

    server = Server(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01))
    thread.start()
    recorder.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
