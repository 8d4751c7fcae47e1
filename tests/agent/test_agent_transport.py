"""One kept HTTP connection: what a peer may do, right and wrong."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_agent.answers import parse_http_date, rejected_logs, retry_after, split_write_request
from forewarn_agent.transport import Address, Connection, TransportError, parse_address
from support.recorder import recording

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@contextmanager
def peer(*scripts: Callable[[socket.socket], None]) -> Iterator[Address]:
    """A server that gives each connection to the next of the scripts."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for script in scripts:
            connection, _ = listener.accept()
            with connection:
                script(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Address("http", "127.0.0.1", listener.getsockname()[1], "")
    finally:
        thread.join(5)
        listener.close()


def says(*answers: bytes) -> Callable[[socket.socket], None]:
    """Reads a request of the tests (it ends with `!`) for each answer, then closes."""

    def script(connection: socket.socket) -> None:
        for answer in answers:
            received = b""
            while not received.endswith(b"!"):
                received += connection.recv(4096)
            connection.sendall(answer)

    return script


@contextmanager
def connected(address: Address, timeout: float = 5) -> Iterator[Connection]:
    connection = Connection(address, timeout=timeout)
    yield connection
    connection.close()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, b"hi"),
        (CHUNKED + b"2;x=y\r\nhi\r\n1\r\n!\r\n0\r\n\r\n", 200, b"hi!"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.0 503 Later\r\nContent-Length: 0\r\n\r\n", 503, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", 302, b""),
    ],
)  # fmt: skip
def test_answers_are_read_as_http_frames_them(answer: bytes, status: int, body: bytes) -> None:
    with peer(says(answer)) as address, connected(address) as connection:
        found = connection.post("/x", {}, b"!")
    assert (found.status, found.body) == (status, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with (
        peer(says(answer)) as address,
        connected(address) as connection,
        pytest.raises(TransportError),
    ):
        connection.post("/x", {}, b"!")


def test_one_connection_serves_many_requests() -> None:
    with recording() as recorder, connected(parse_address(recorder.url)) as connection:
        for _ in range(5):
            assert connection.post("/x", {}, b"!").status == 204
        assert recorder.connections == 1


def test_a_kept_connection_that_the_peer_closed_is_made_anew() -> None:
    answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    with peer(says(answer), says(answer)) as address, connected(address) as connection:
        assert connection.post("/x", {}, b"!").status == 204
        assert connection.post("/x", {}, b"!").status == 204


def test_a_peer_that_says_nothing_costs_no_more_than_the_timeout() -> None:
    done = threading.Event()
    with peer(lambda connection: done.wait(5) and None) as address:  # type: ignore[func-returns-value]
        began = time.monotonic()
        with connected(address, timeout=0.2) as connection, pytest.raises(OSError, match="time"):
            connection.post("/x", {}, b"!")
        assert time.monotonic() - began < 2
        done.set()


def test_a_peer_that_drips_costs_no_more_than_the_timeout() -> None:
    def drip(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(b"H")
                time.sleep(0.05)
        except OSError:
            return

    with peer(drip) as address:
        began = time.monotonic()
        with connected(address, timeout=0.3) as connection, pytest.raises(OSError, match="time"):
            connection.post("/x", {}, b"!")
        assert time.monotonic() - began < 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        " -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key -out cert"
        " && cat cert key > both",
        shell=True, cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    return folder / "both"


def test_tls_is_verified_against_the_configured_authority(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                says(b"HTTP/1.1 204 No Content\r\n\r\n")(tls)
        except OSError:
            return

    with peer(serve, serve) as address:
        secure = Address("https", "localhost", address.port, "")
        trusting = Connection(secure, timeout=5, ca_file=str(certificate))
        assert trusting.post("/x", {}, b"!").status == 204
        trusting.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            Connection(secure, timeout=5).post("/x", {}, b"!")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:9815", Address("http", "localhost", 9815, "")),
        ("https://example.org/base/", Address("https", "example.org", 443, "/base")),
        ("http://[::1]:80", Address("http", "::1", 80, "")),
    ],
)
def test_addresses_are_read(url: str, expected: Address) -> None:
    assert parse_address(url) == expected


@pytest.mark.parametrize(
    "url", ["", "localhost:9815", "ftp://x", "http://", "http://a b", "http://x:99999", "http://u:p@h"]
)  # fmt: skip
def test_what_is_no_address_is_refused_with_the_notation(url: str) -> None:
    with pytest.raises(ValueError, match="write it as http://"):
        parse_address(url)


def test_dates_are_read_as_in_rfc_9110() -> None:
    # The specification's own example, section 5.6.7.
    assert parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == 784_111_777_000
    assert parse_http_date("Sun, 99 Nov 1994 08:49:37 GMT") is None
    assert parse_http_date("yesterday") is None


def test_retry_after_is_seconds_or_a_date_by_the_peers_clock() -> None:
    assert retry_after({"retry-after": "17"}, 0) == 17
    assert retry_after({}, 0) == 0
    date = {"retry-after": "Sun, 06 Nov 1994 08:49:37 GMT"}
    assert retry_after({**date, "date": "Sun, 06 Nov 1994 08:49:07 GMT"}, 5) == 30
    assert retry_after(date, 784_111_777_000 - 4_000) == 4
    assert retry_after(date, 784_111_777_000 + 4_000) == 0
    assert retry_after({"retry-after": "999999999"}, 0) == 3600
    assert retry_after({"retry-after": "-5"}, 0) == 0


def test_partial_success_of_otlp_is_read() -> None:
    # ExportLogsServiceResponse{partial_success{rejected_log_records: 3, error_message: "too old"}}
    assert rejected_logs(bytes.fromhex("0a0b") + b"\x08\x03\x12\x07too old") == (3, "too old")
    assert rejected_logs(b"") == (0, "")


@given(st.binary(max_size=60))
def test_any_answer_to_logs_is_read_or_ignored(body: bytes) -> None:
    count, why = rejected_logs(body)
    assert isinstance(count, int)
    assert isinstance(why, str)


def test_a_body_of_one_series_is_not_split() -> None:
    import cramjam

    body = bytes(cramjam.snappy.compress_raw(b"\x0a\x02\x08\x01"))
    assert split_write_request(body) == [(1, body)]
