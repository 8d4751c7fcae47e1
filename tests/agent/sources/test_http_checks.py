"""HTTP checks against real servers on loopback: good, bad, slow, absent, and over TLS."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forewarn_agent.settings import HttpCheck
from forewarn_agent.sources import SourceContext
from forewarn_agent.sources.http_checks import HttpChecksSource
from forewarn_agent.sources.http_exchange import Failure
from forewarn_agent.sources.http_probe import Outcome, probe
from forewarn_wire import Severity
from support.servers import free_port


class Site(BaseHTTPRequestHandler):
    """Pages by path; `status` is what /switch answers now."""

    protocol_version = "HTTP/1.1"
    status = 200
    seen: list[tuple[str, str, dict[str, str]]] = []  # noqa: RUF012 - one site at a time

    def do_GET(self) -> None:
        Site.seen.append((self.command, self.path, dict(self.headers)))
        if self.path.startswith("/to/"):
            self.answer(302, b"", Location=self.path.removeprefix("/to"))
        elif self.path.startswith("/away/"):
            self.answer(307, b"", Location="http://" + self.path.removeprefix("/away/"))
        elif self.path == "/round":
            self.answer(301, b"", Location="/round")
        elif self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"4\r\nall \r\n4;x=y\r\nwell\r\n0\r\n\r\n")
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"short")
            self.close_connection = True
        elif self.path == "/500":
            self.answer(500, b"broken")
        elif self.path == "/switch":
            self.answer(Site.status, b"switched")
        else:
            self.answer(200, b"all is well")

    do_HEAD = do_POST = do_GET  # noqa: N815 - the names http.server asks for

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    """A web server; its address."""
    Site.status, Site.seen = 200, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def mute() -> Iterator[str]:
    """A server that takes connections and says nothing; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def drip() -> Iterator[str]:
    """A server that sends a byte of its answer every 50 ms, for ever; its address."""
    ended = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            try:
                while not ended.wait(0.05):
                    connection.sendall(b"x")
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        ended.set()
        thread.join()


def ask(url: str, **settings: object) -> Outcome:
    def no_tls(ca_file: str) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=ca_file or None)

    return probe(HttpCheck("shop", url, **settings), no_tls)  # type: ignore[arg-type]


def test_a_page_that_answers_2xx_is_well(site: str) -> None:
    outcome = ask(f"{site}/a page?q=ü&x=1")
    assert outcome.failure is None
    assert (outcome.status, outcome.version, outcome.ip_protocol) == (200, 1.1, 4)
    assert outcome.length == outcome.body_length == len("all is well")
    assert sum(outcome.phases.values()) == pytest.approx(outcome.duration, abs=0.01)
    method, path, headers = Site.seen[0]
    assert (method, path) == ("GET", "/a%20page?q=%C3%BC&x=1")
    assert headers["Host"] == site.removeprefix("http://")


def test_a_server_error_has_failed_with_its_status(site: str) -> None:
    outcome = ask(f"{site}/500")
    assert (outcome.failure, outcome.status) == (Failure.STATUS, 500)


def test_a_status_that_is_expected_is_well(site: str) -> None:
    assert ask(f"{site}/500", expect_status=(500, 503)).failure is None
    assert ask(f"{site}/", expect_status=(500,)).failure is Failure.STATUS


def test_a_page_without_the_expected_text_has_failed(site: str) -> None:
    assert ask(site, expect_text="is well").failure is None
    outcome = ask(site, expect_text="Welcome")
    assert (outcome.failure, outcome.status) == (Failure.TEXT, 200)


def test_chunks_are_put_together(site: str) -> None:
    outcome = ask(f"{site}/chunked", expect_text="all well")
    assert (outcome.failure, outcome.length, outcome.body_length) == (None, -1, 8)


def test_an_answer_that_ends_in_its_middle_has_failed(site: str) -> None:
    outcome = ask(f"{site}/cut")
    assert (outcome.failure, outcome.status) == (Failure.PROTOCOL, 200)


def test_head_expects_no_body(site: str) -> None:
    outcome = ask(site, method="HEAD")
    assert (outcome.failure, outcome.body_length) == (None, 0)


def test_redirects_are_followed_and_counted(site: str) -> None:
    outcome = ask(f"{site}/to/to/end")
    assert (outcome.failure, outcome.status, outcome.redirects) == (None, 200, 2)
    # Found after a POST means GET, as browsers and Go have it.
    ask(f"{site}/to/end", method="POST")
    assert [method for method, *_ in Site.seen[-2:]] == ["POST", "GET"]


def test_redirects_are_not_followed_where_the_check_says_so(site: str) -> None:
    outcome = ask(f"{site}/to/end", follow_redirects=False, expect_status=(302,))
    assert (outcome.failure, outcome.redirects) == (None, 0)


def test_redirects_without_end_have_failed_after_ten(site: str) -> None:
    outcome = ask(f"{site}/round")
    assert (outcome.failure, outcome.redirects) == (Failure.REDIRECTS, 10)


def test_configured_headers_do_not_follow_to_another_server(site: str) -> None:
    secret = (("Authorization", "Bearer secret"),)
    other = site.replace("127.0.0.1", "localhost")
    ask(f"{site}/away/{other.removeprefix('http://')}/end", headers=secret)
    assert [headers.get("Authorization") for *_, headers in Site.seen] == ["Bearer secret", None]


def test_a_redirect_to_what_is_no_web_address_has_failed(site: str) -> None:
    for target in ("file:///etc/passwd", "http://[", "http://host:99999/", "http:///x"):
        assert ask(f"{site}/away/{target}").failure in {Failure.REDIRECTS, Failure.RESOLVE}


def test_a_server_that_does_not_answer_has_failed_at_the_time_out(mute: str) -> None:
    outcome = ask(mute, timeout=200)
    assert outcome.failure is Failure.TIMEOUT
    assert 0.2 <= outcome.duration < 1


def test_a_server_that_drips_cannot_outlast_the_time_out(drip: str) -> None:
    outcome = ask(drip, timeout=300)
    assert outcome.failure is Failure.TIMEOUT
    assert 0.3 <= outcome.duration < 1


def test_a_closed_port_has_refused() -> None:
    outcome = ask(f"http://127.0.0.1:{free_port()}")
    assert (outcome.failure, outcome.status) == (Failure.CONNECT, 0)


def test_a_name_that_is_not_there_is_not_found() -> None:
    # RFC 6761: .invalid never resolves.
    assert ask("http://nowhere.invalid/").failure is Failure.RESOLVE


def test_a_server_that_speaks_something_else_has_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = ask(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert outcome.failure is Failure.PROTOCOL
    assert "SSH-2.0" in outcome.message


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_a_failure(sent: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + sent)

        thread = threading.Thread(target=serve)
        thread.start()
        outcome = ask(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=2000)
        thread.join()
    assert outcome.failure in {None, Failure.PROTOCOL, Failure.STATUS, Failure.REDIRECTS}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, valid for a day, signed by itself, and its key in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture
def secure_site(certificate: Path) -> Iterator[str]:
    Site.status, Site.seen = 200, []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        # The handshake is left to each connection's own thread, where its failure is quiet.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_end_of_the_certificate_is_told(secure_site: str, certificate: Path) -> None:
    outcome = ask(secure_site, ca_file=str(certificate))
    assert outcome.failure is None
    assert outcome.is_tls
    assert outcome.expiry == pytest.approx(time.time() + 86_400, abs=600)
    assert outcome.phases["tls"] > 0


def test_a_certificate_that_nobody_vouches_for_has_failed(secure_site: str) -> None:
    outcome = ask(secure_site)
    assert outcome.failure is Failure.TLS
    assert "certificate" in outcome.message


def test_a_file_of_certificates_that_is_absent_has_failed_and_is_named(secure_site: str) -> None:
    outcome = ask(secure_site, ca_file="/nowhere/ca.pem")
    assert outcome.failure is Failure.TLS
    assert "/nowhere/ca.pem" in outcome.message


def source_of(*checks: HttpCheck) -> HttpChecksSource:
    return HttpChecksSource(SourceContext("here"), checks)


def test_a_change_is_sent_at_once_with_its_event_on_the_loops_thread(site: str, loop) -> None:
    source = source_of(HttpCheck("shop", f"{site}/switch", interval=50))
    assert source.collect(0) == []
    source.start(loop)
    loop.run_until(lambda: loop.values("probe_success") == [1])
    assert loop.events == []
    Site.status = 503
    loop.run_until(lambda: loop.types() == ["check_failed"])
    assert loop.values("probe_success") == [1, 0]
    assert loop.values("probe_http_status_code") == [200, 503]
    event = loop.events[0]
    assert event.severity is Severity.ERROR
    assert event.attributes["reason"] == "status"
    assert "503" in event.body
    assert dict(event.labels) == {
        "job": "blackbox",
        "instance": "here",
        "check": "shop",
        "target": f"{site}/switch",
    }
    Site.status = 200
    loop.run_until(lambda: loop.types() == ["check_failed", "check_recovered"])
    assert loop.threads == {threading.get_ident()}
    source.stop()


def test_every_round_has_the_last_outcome_under_blackbox_exporters_names(site: str, loop) -> None:
    source = source_of(HttpCheck("shop", site))
    source.start(loop)
    loop.run_until(lambda: loop.sent)
    found = {
        (labels.pop("__name__"), labels.get("phase", "")): value
        for series, value in source.collect(0)
        for labels in [dict(series.labels)]
    }
    source.stop()
    # The names are those of blackbox_exporter 0.23 for a module of the prober http.
    assert {name for name, _ in found} == {
        "probe_success",
        "probe_duration_seconds",
        "probe_dns_lookup_time_seconds",
        "probe_http_status_code",
        "probe_http_content_length",
        "probe_http_uncompressed_body_length",
        "probe_http_redirects",
        "probe_http_ssl",
        "probe_http_version",
        "probe_http_duration_seconds",
        "probe_failed_due_to_regex",
        "probe_ip_protocol",
    }
    phases = {phase for name, phase in found if name == "probe_http_duration_seconds"}
    assert phases == {"resolve", "connect", "tls", "processing", "transfer"}


def test_a_check_whose_thread_hangs_has_failed_in_time_and_is_not_started_again(
    loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = threading.Event()
    asked = []

    def resolve(*args: object, **kwargs: object) -> list[object]:
        asked.append(args)
        hang.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    source = source_of(HttpCheck("shop", "http://shop.example/", interval=50, timeout=100))
    source.start(loop)
    loop.run_until(lambda: loop.types() == ["check_failed"])
    assert loop.events[0].attributes["reason"] == "timeout"
    assert len(asked) == 1
    hang.set()
    loop.run_until(lambda: len(asked) > 1)
    source.stop()


def test_user_name_and_password_do_not_become_a_label(loop) -> None:
    source = source_of(HttpCheck("shop", "http://me:secret@127.0.0.1:1/health"))
    source.start(loop)
    loop.run_until(lambda: loop.events)
    source.stop()
    assert dict(loop.events[0].labels)["target"] == "http://127.0.0.1:1/health"
    assert "secret" not in repr(loop.sent) + repr(loop.events)
