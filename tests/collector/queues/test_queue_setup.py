"""`forewarn queues add` and `test`, as a person uses them."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forewarn_collector.cli import build
from forewarn_collector.queues import QUEUE_KINDS, TRACKERS
from forewarn_collector.queues.questions import QUESTIONS
from support.alerts import T0
from support.deliveries import Receiver, webhook_receiver
from support.redmine import Redmine
from support.request_tracker import RequestTracker


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A webhook's receiver on a thread of its own, as the command has its own loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        stack = webhook_receiver()
        running = asyncio.run_coroutine_threadsafe(stack.__aenter__(), loop).result(10)
        yield running
        asyncio.run_coroutine_threadsafe(stack.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(build(lambda: T0), ["queues", *arguments], input=typed)


def test_every_kind_can_be_set_up() -> None:
    assert set(QUESTIONS) == {kind.kind for kind in (*QUEUE_KINDS, *TRACKERS)}


def test_a_queue_is_asked_for_tried_and_written(tmp_path: Path) -> None:
    file = tmp_path / "collector.yml"
    file.write_text("# ours\nlisten: 127.0.0.1:9999  # kept\n")
    with receiver() as hook:
        found = run(
            *("add", "webhook", "--config", str(file)), typed=f"desk\n{hook.url}\nhunter2\n"
        )
        assert found.exit_code == 0, found.output
        assert [posted.body["action"] for posted in hook.posted] == ["open", "resolve"]
        assert all("Forewarn-Signature" in posted.headers for posted in hook.posted)
        again = run("test", "desk", "--config", str(file))
    assert again.exit_code == 0, again.output
    assert "ok  a test message was taken" in again.output
    secret = tmp_path / "secrets" / "desk.secret"
    assert secret.read_text() == "hunter2\n"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert file.read_text() == (
        "# ours\nlisten: 127.0.0.1:9999  # kept\n\n"
        f"queues:\n  desk:\n    kind: webhook\n    url: {hook.url}\n    secret: file:{secret}\n"
        "default_queue: desk\n"
    )
    assert "hunter2" not in found.output + again.output


def test_real_trackers_are_set_up_in_one_go(
    tmp_path: Path, request_tracker: RequestTracker, redmine: Redmine
) -> None:
    file = tmp_path / "collector.yml"
    token, key = request_tracker.tokens["forewarn"], redmine.keys["forewarn"]
    typed = f"desk\n{request_tracker.url}\nSupport\n{token}\n"
    first = run("add", "request_tracker", "--config", str(file), typed=typed)
    typed = f"issues\n{redmine.url}\nsupport\n{key}\nSupport\n\n"
    second = run("add", "redmine", "--config", str(file), typed=typed)
    for found in (first, second):
        assert found.exit_code == 0, found.output
        assert "it got a remark and was closed" in found.output
        assert token not in found.output
        assert key not in found.output
    [(status,)] = request_tracker.rows("SELECT Status FROM Tickets ORDER BY id DESC LIMIT 1")
    [(closed,)] = redmine.rows("SELECT closed_on FROM issues ORDER BY id DESC LIMIT 1")
    assert status == "resolved"
    assert closed is not None


def test_a_second_queue_goes_beside_the_first(tmp_path: Path) -> None:
    file = tmp_path / "collector.yml"
    before = "    # the first\n    eyes: {kind: log}\ndefault_queue: eyes\n"
    file.write_text(f"queues:   # all\n{before}")
    found = run("add", "log", "--name", "more", "--config", str(file))
    assert found.exit_code == 0, found.output
    assert file.read_text() == f"queues:   # all\n    more:\n      kind: log\n{before}"


def test_what_does_not_work_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "collector.yml"
    with receiver() as hook:
        hook.answers(401, b"no such key")
        setting = f"url={hook.url}"
        arguments = ("webhook", "--name", "desk", "--config", str(file), "--set", setting)
        found = run("add", *arguments, typed="hunter2\n")
    assert found.exit_code == 1
    assert "the queue desk does not work: HTTP 401" in found.output
    assert not file.exists()
    assert not (tmp_path / "secrets" / "desk.secret").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "webhook", "--name", "a", "--set", "url=ftp://x", "--set", "secret="), "url"),
        (("add", "webhook", "--name", "a", "--set", "url=x", "--set", "secret=s3"), "command line"),
        (("add", "log", "--name", "a b"), "letters"),
        (("add", "log", "--name", "eyes"), "already"),
        (("add", "log", "--name", "a", "--set", "colour=red"), "unknown field colour"),
        (("test", "nobody"), "there are: eyes"),
    ],
)
def test_mistakes_are_named_and_change_nothing(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    file = tmp_path / "collector.yml"
    file.write_text("queues:\n  eyes: {kind: log}\n")
    found = run(*arguments, "--config", str(file))
    assert found.exit_code != 0
    assert said in found.output
    assert file.read_text() == "queues:\n  eyes: {kind: log}\n"


def test_the_queue_that_was_alone_stays_the_default(tmp_path: Path) -> None:
    file = tmp_path / "collector.yml"
    file.write_text("queues:\n  eyes: {kind: log}\n")
    found = run("add", "log", "--name", "more", "--config", str(file))
    assert found.exit_code == 0, found.output
    assert file.read_text().endswith("default_queue: eyes\n")
    assert "tasks go to eyes" in found.output
