"""Senders of prepared bodies: each waits for an answer before it sends the next body."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

HEADERS = {
    1: "Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n",
    2: "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"
    "X-Prometheus-Remote-Write-Version: 2.0.0\r\n",
}


@dataclass
class Answers:
    """How many answers there were of each status, and the first text of one that is no 2xx."""

    counts: dict[int, int] = field(default_factory=dict)
    refusal: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int, text: str) -> None:
        """Count an answer."""
        with self._lock:
            self.counts[status] = self.counts.get(status, 0) + 1
            if status // 100 != 2 and not self.refusal:
                self.refusal = f"{status} {text}"


class Sender:
    """One kept connection."""

    def __init__(self, port: int, token: str, version: int, answers: Answers) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = (
            f"POST /api/v1/write HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n"
            f"Authorization: Bearer {token}\r\nContent-Encoding: snappy\r\n{HEADERS[version]}"
        )
        self._answers = answers

    def send(self, body: bytes) -> None:
        """Send a body and wait for its answer; where that is 429, as long as told, and again."""
        status, text, wait = self._sent(body)
        while status == 429:
            time.sleep(wait)
            status, text, wait = self._sent(body)
        self._answers.note(status, text)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _sent(self, body: bytes) -> tuple[int, str, float]:
        """The answer's status and text, and after how many seconds to send again."""
        head = f"{self._head}Content-Length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode() + body)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._received()
        top, _, rest = data.partition(b"\r\n\r\n")
        lines = top.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(fields.get("content-length", "0"))
        while len(rest) < length:
            rest += self._received()
        wait = float(fields.get("retry-after", "0"))
        return int(lines[0].split()[1]), rest.decode(errors="replace"), wait

    def _received(self) -> bytes:
        data = self._socket.recv(65_536)
        if not data:
            raise ConnectionError("the receiver closed the connection")
        return data


def send_all(senders: Sequence[Sender], bodies: Sequence[Sequence[bytes]]) -> None:
    """Each sender its own bodies, all at the same time."""
    failures: list[Exception] = []

    def run(sender: Sender, own: Sequence[bytes]) -> None:
        try:
            for body in own:
                sender.send(body)
        except OSError as error:
            failures.append(error)

    threads = [
        threading.Thread(target=run, args=pair) for pair in zip(senders, bodies, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
