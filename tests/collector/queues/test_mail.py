"""E-mail: threads, stable ids, nothing forged through a header, and a real SMTP server."""

from __future__ import annotations

import email
import email.policy
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.queues import DeliveryError, EmailQueue
from forewarn_collector.queues.mail import Mailbox, compose
from forewarn_collector.tasks import Delivery
from support.alerts import T0
from support.deliveries import OPEN, OPEN_ID, RESOLVE, RESOLVE_ID, TASK, PostOffice, post_office
from support.servers import program

MAILBOX = Mailbox(
    host="127.0.0.1",
    security="none",
    sender="Forewarn <forewarn@example.org>",
    recipients=("support@example.org", "ann@example.net"),
    timeout=2_000,
)


@pytest_asyncio.fixture
async def office() -> AsyncIterator[PostOffice]:
    async with post_office() as office:
        yield office


def queue(office: PostOffice, **more: object) -> EmailQueue:
    return EmailQueue("support", replace(MAILBOX, port=office.port, **more))  # type: ignore[arg-type]


async def refused(queue: EmailQueue) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await queue.deliver(OPEN)
    return caught.value


async def test_a_task_is_a_thread_with_its_open_first(office: PostOffice) -> None:
    assert await queue(office).deliver(OPEN) == f"<{OPEN_ID}@example.org>"
    await queue(office).deliver(replace(RESOLVE, thread_id=OPEN_ID))
    first, second = office.messages
    assert first["Subject"] == "[FW-17] high: / on a fills"
    assert first["Message-ID"] == f"<{OPEN_ID}@example.org>"
    assert first["In-Reply-To"] is None
    assert second["Subject"] == "Re: [FW-17] high: / on a fills"
    assert second["Message-ID"] == f"<{RESOLVE_ID}@example.org>"
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]


async def test_a_message_goes_to_all_and_says_what_to_do(office: PostOffice) -> None:
    await queue(office).deliver(OPEN)
    assert office.envelopes[0].rcpt_tos == ["support@example.org", "ann@example.net"]
    assert office.envelopes[0].mail_from == "forewarn@example.org"
    (message,) = office.messages
    assert message["From"] == "Forewarn <forewarn@example.org>"
    assert message["Auto-Submitted"] == "auto-generated"
    # T0 is 2023-11-14 22:13:20 UTC.
    assert message["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    plain = message.get_body(("plain",))
    assert plain is not None
    text = plain.get_content()
    for part in (
        "FW-17: / on a fills",
        "open: It fires.",
        "Half of it is gone.",
        "Due:      2023-11-15 22:13:20 UTC",
        "https://example.org/runbooks/disk",
        "[ ] Find what grew",
        "no space",
    ):
        assert part in text


def parts_of(delivery: Delivery) -> dict[str, str]:
    """The parts of a message that was read back, by their types."""
    text = compose(delivery, MAILBOX).as_bytes()
    message = email.message_from_bytes(text, policy=email.policy.default)
    found = {}
    for part in message.walk():
        if not part.is_multipart():
            content = part.get_content()
            found[part.get_content_type()] = (
                content if isinstance(content, str) else content.decode()
            )
    return found


def test_a_message_with_evidence_is_text_and_html_with_a_plot() -> None:
    parts = parts_of(replace(OPEN, external_url="https://fw.example.org"))
    assert list(parts) == ["text/plain", "text/html", "image/svg+xml"]
    html = parts["text/html"]
    assert '<a href="https://example.org/runbooks/disk">' in html
    assert '<a href="https://fw.example.org/tasks/FW-17">' in html
    assert f'<img src="cid:plot.{OPEN_ID}@example.org"' in html
    assert "no space" in html
    assert parts["image/svg+xml"].startswith("<svg ")
    message = compose(OPEN, MAILBOX)
    assert f"Content-ID: <plot.{OPEN_ID}@example.org>" in message.as_string()
    assert list(parts_of(RESOLVE)) == ["text/plain", "text/html"]


@pytest.mark.parametrize("text", ["<script>x</script>", '"><a href="javascript:x">', "\ud800"])
def test_what_a_task_tells_is_no_part_of_the_html(text: str) -> None:
    evidence = ({"gathered_at": T0, "value": text},)
    runbook = {"runbook_url": f"javascript:alert(1){text}"}
    task = replace(
        TASK, title=text, description=text, checklist=(text,), customer=text,
        annotations=runbook, labels=((text, text),), evidence=evidence,
    )  # fmt: skip
    html = parts_of(replace(OPEN, task=task, text=text))["text/html"]
    assert "<script" not in html
    assert "<a " not in html


def test_every_attempt_composes_the_same_message() -> None:
    again = replace(OPEN, attempt=3, sent_at=OPEN.sent_at + 9_000)
    assert compose(OPEN, MAILBOX).as_bytes() == compose(again, MAILBOX).as_bytes()


@given(st.text(), st.text(), st.text())
def test_no_text_of_a_task_becomes_a_header(title: str, severity: str, customer: str) -> None:
    task = replace(TASK, title=title, severity=severity, customer=customer, description=title)
    message = compose(replace(OPEN, task=task, text=customer), MAILBOX)
    read = email.message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert sorted(read.keys()) == sorted(compose(OPEN, MAILBOX).keys())
    assert "\n" not in str(read["Subject"])
    assert not read.defects


async def test_a_server_that_refuses_some_has_taken_it(
    office: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    office.refuse = {"ann@example.net": "550 unknown"}
    await queue(office).deliver(OPEN)
    assert len(office.messages) == 1
    assert "ann@example.net was refused" in caplog.text


@pytest.mark.parametrize(("answer", "permanent"), [("550 unknown", True), ("450 busy", False)])
async def test_a_server_that_refuses_all_says_whether_for_good(
    office: PostOffice, answer: str, permanent: bool
) -> None:
    office.refuse = dict.fromkeys(MAILBOX.recipients, answer)
    error = await refused(queue(office))
    assert error.permanent is permanent
    assert answer in str(error)


async def test_without_starttls_nothing_is_sent_where_it_is_asked_for(office: PostOffice) -> None:
    error = await refused(queue(office, security="starttls", tls=ssl.create_default_context()))
    assert not error.permanent
    assert office.messages == []


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signed itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = f"{program('openssl')} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
    command += " -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    command += f" -keyout {key} -out {cert}"
    subprocess.run(command.split(), check=True, capture_output=True)
    return cert, key


async def test_over_starttls_it_logs_in_and_sends(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(cert, key)
    async with post_office(server, ("forewarn", "pässword")) as office:
        box = {
            "security": "starttls",
            "tls": ssl.create_default_context(cafile=cert),
            "username": "forewarn",
            "password": "pässword".encode(),
        }
        await queue(office, **box).deliver(OPEN)
        assert len(office.messages) == 1
        wrong = await refused(queue(office, **{**box, "password": b"wrong"}))
        # The password is at fault, not the message.
        assert not wrong.permanent
        assert wrong.whole_queue
        assert "login refused" in str(wrong)
        stranger = await refused(queue(office, **{**box, "tls": ssl.create_default_context()}))
        assert not stranger.permanent
        assert len(office.messages) == 1
