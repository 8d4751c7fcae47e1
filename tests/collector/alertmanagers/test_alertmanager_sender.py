"""Sending to Alertmanagers over HTTP: order, batches, bounds, secrets, TLS, and all that fails."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from forewarn_collector.alertmanagers import Alertmanagers, Notices
from forewarn_collector.alertmanagers.sender import BATCH, CAPACITY, Sender
from forewarn_collector.config_alertmanagers import AlertmanagerConfig, Authorization, TlsFiles
from forewarn_collector.metrics import Metrics
from forewarn_collector.rules import AlertChange, AlertState, load_rules
from support.alerts import T0, alert_of, change
from support.notified import Notified, notified
from support.servers import program

LOGGER = "forewarn_collector.alertmanagers.sender"


class Sending:
    """A sender at work, with its metrics."""

    def __init__(self, config: AlertmanagerConfig) -> None:
        self.metrics = Metrics()
        self.sender = Sender(config, self.metrics)

    def add(self, *numbers: int) -> None:
        self.sender.add([json.dumps({"number": number}).encode() for number in numbers])

    def count(self, what: str) -> float:
        name = f"forewarn_notifications_{what}_total"
        labels = {"alertmanager": self.sender.endpoint}
        found = self.metrics.registry.get_sample_value(name, labels)
        assert found is not None, "it is there from the start"
        return found

    async def finish(self) -> None:
        """Send what is queued, and no more."""
        task = asyncio.create_task(self.sender.run())
        await asyncio.sleep(0)
        self.sender.end()
        await task
        await self.sender.close()


def config(peer: Notified, timeout: int = 5_000, **fields: object) -> AlertmanagerConfig:
    return AlertmanagerConfig(peer.url, timeout=timeout, **fields)  # type: ignore[arg-type]


def numbers(peer: Notified) -> list[int]:
    return [alert["number"] for alert in peer.alerts]


async def test_what_waits_is_sent_in_order_and_in_batches() -> None:
    async with notified() as peer:
        sending = Sending(config(peer))
        sending.add(*range(150))
        await sending.finish()
        assert [len(batch) for batch in peer.batches] == [BATCH, BATCH, 22]
        assert numbers(peer) == list(range(150))
        assert (sending.count("sent"), sending.count("errors")) == (150, 0)
        assert peer.headers[0]["Content-Type"] == "application/json"


async def test_of_too_many_the_oldest_are_dropped_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with notified() as peer:
        sending = Sending(config(peer))
        for start in range(0, CAPACITY + 128, 64):
            sending.add(*range(start, start + 64))
        dropped = sending.count("dropped")
        assert dropped == len(range(0, CAPACITY + 128, 64)) * 64 - CAPACITY
        await sending.finish()
        assert numbers(peer)[0] == dropped
        assert sending.count("sent") == CAPACITY
    assert len([one for one in caplog.messages if "queue is full" in one]) == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 429, 500, 503])
async def test_a_batch_that_is_refused_is_dropped_and_the_next_is_sent(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with notified() as peer:
        sending = Sending(config(peer))
        peer.answers(status, "no\nsuch tenant")
        sending.add(*range(100))
        with caplog.at_level(logging.INFO, LOGGER):
            await sending.finish()
            assert len(peer.batches) == 2
            assert [sending.count(one) for one in ("sent", "errors", "dropped")] == [0, 100, 100]
    # One line for both.
    [trouble] = caplog.messages
    assert f"HTTP {status}" in trouble
    assert "no such tenant" in trouble


async def test_the_log_has_one_line_for_a_trouble_and_one_for_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with notified() as peer:
        sending = Sending(config(peer))
        task = asyncio.create_task(sending.sender.run())
        peer.answers(503)
        with caplog.at_level(logging.INFO, LOGGER):
            for number in (1, 2):
                sending.add(number)
                await peer.until(lambda number=number: len(peer.batches) == number)
            peer.answer = None
            sending.add(3)
            sending.sender.end()
            await task
            await sending.sender.close()
    assert "takes no alerts: HTTP 503" in caplog.messages[0]
    assert "takes alerts again, after 2 requests" in caplog.messages[1]


async def test_one_that_never_answers_costs_its_time_out() -> None:
    async with notified() as peer:
        peer.hangs()
        sending = Sending(config(peer, timeout=100))
        sending.add(1)
        await sending.finish()
        assert sending.count("errors") == 1


async def test_one_that_is_not_there_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async with notified() as peer:
        gone = config(peer)
    sending = Sending(gone)
    sending.add(1)
    await sending.finish()
    assert gone.endpoint in caplog.text
    assert sending.count("errors") == 1


async def test_the_token_is_read_at_every_request(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    async with notified() as peer:
        known = config(peer, authorization=Authorization(file))
        for secret in ("first", "second"):
            file.write_text(f"{secret}\n")
            sending = Sending(known)
            sending.add(1)
            await sending.finish()
        assert [each["Authorization"] for each in peer.headers] == ["Bearer first", "Bearer second"]


async def test_user_and_password_are_basic_authentication(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("geheimnis\n")
    async with notified() as peer:
        sending = Sending(config(peer, authorization=Authorization(file, username="prom")))
        sending.add(1)
        await sending.finish()
        # RFC 7617.
        expected = base64.b64encode(b"prom:geheimnis").decode()
        assert peer.headers[0]["Authorization"] == f"Basic {expected}"


async def test_no_secret_is_in_the_log_whatever_fails(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    async with notified() as peer:
        peer.answers(401)
        for content in (b"geheimnis", b"geheimnis\nX: y", b"geheimnis\xff"):
            file.write_bytes(content)
            sending = Sending(config(peer, authorization=Authorization(file)))
            sending.add(1)
            await sending.finish()
        file.unlink()
        sending = Sending(config(peer, authorization=Authorization(file)))
        sending.add(1)
        await sending.finish()
    assert len(caplog.messages) == 4
    assert str(file) in caplog.messages[3]
    assert "geheimnis" not in caplog.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = f"{program('openssl')} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    command += " -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    return TlsFiles(ca=cert, cert=cert, key=key)


def server_side(files: TlsFiles, *, wants_certificate: bool) -> ssl.SSLContext:
    assert files.cert is not None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
    context.load_cert_chain(files.cert, files.key)
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_private_authority_is_trusted_where_it_is_named(certificate: TlsFiles) -> None:
    async with notified(server_side(certificate, wants_certificate=False)) as peer:
        trusting = Sending(config(peer, tls=TlsFiles(ca=certificate.ca)))
        trusting.add(1)
        await trusting.finish()
        assert trusting.count("sent") == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    certificate: TlsFiles, caplog: pytest.LogCaptureFixture
) -> None:
    async with notified(server_side(certificate, wants_certificate=False)) as peer:
        sending = Sending(config(peer))
        sending.add(1)
        await sending.finish()
        assert sending.count("errors") == 1
        assert peer.batches == []
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text


async def test_a_client_certificate_is_shown_to_who_asks(certificate: TlsFiles) -> None:
    async with notified(server_side(certificate, wants_certificate=True)) as peer:
        for tls, taken in ((certificate, 1), (TlsFiles(ca=certificate.ca), 0)):
            sending = Sending(config(peer, tls=tls))
            sending.add(1)
            await sending.finish()
            assert sending.count("sent") == taken


# All of them together.


class Refusing:
    """A sink that keeps changes, or does not."""

    def __init__(self) -> None:
        self.full = False

    def apply(self, changes: Sequence[AlertChange], at: int) -> None:
        if self.full:
            raise OSError("disk full")


@asynccontextmanager
async def all_of(*peers: Notified) -> AsyncIterator[Alertmanagers]:
    configs = [config(peer, timeout=60_000) for peer in peers]
    found = Alertmanagers(configs, Notices(60_000, "http://here", ()), Metrics(), lambda: T0)
    await found.start(list)
    try:
        yield found
    finally:
        for peer in peers:
            peer.released.set()
        await found.stop()


def fired(folder: Path, instance: str) -> AlertChange:
    file = folder / "rules.yml"
    file.write_text("groups: [{name: g, rules: [{alert: Loaded, expr: load > 5}]}]")
    [rule] = load_rules([file]).alerting().values()
    return change(rule, alert_of(rule, {"instance": instance}), AlertState.FIRING)


async def test_one_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async with notified() as well, notified() as ill:
        ill.hangs()
        async with all_of(well, ill) as alertmanagers:
            sink = alertmanagers.sink(Refusing())
            sink.apply([fired(tmp_path, "a")], T0)
            await ill.until(lambda: ill.alerts)
            await well.until(lambda: len(well.alerts) == 1)
            sink.apply([fired(tmp_path, "b")], T0)
            await well.until(lambda: len(well.alerts) == 2)
            assert [each["labels"]["instance"] for each in well.alerts] == ["a", "b"]
            assert len(ill.alerts) == 1
            assert alertmanagers.waiting()[f"{well.url}/api/v2/alerts"] == 0


async def test_what_the_ledger_does_not_keep_is_not_told(tmp_path: Path) -> None:
    async with notified() as peer, all_of(peer) as alertmanagers:
        ledger = Refusing()
        sink = alertmanagers.sink(ledger)
        ledger.full = True
        with pytest.raises(OSError, match="disk full"):
            sink.apply([fired(tmp_path, "a")], T0)
        ledger.full = False
        sink.apply([fired(tmp_path, "b")], T0)
        await peer.until(lambda: peer.alerts)
        assert [each["labels"]["instance"] for each in peer.alerts] == ["b"]


async def test_what_is_queued_at_the_end_is_still_sent(tmp_path: Path) -> None:
    async with notified() as peer:
        async with all_of(peer) as alertmanagers:
            alertmanagers.changed([fired(tmp_path, "a")])
        assert len(peer.alerts) == 1


def test_without_any_the_ledger_alone_hears_of_changes() -> None:
    none = Alertmanagers((), Notices(60_000, "", ()), Metrics(), lambda: T0)
    ledger = Refusing()
    assert none.sink(ledger) is ledger
