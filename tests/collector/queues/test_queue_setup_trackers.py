"""`forewarn queues add` for ticket systems: from questions to a configuration that works."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forewarn_collector.cli import build
from forewarn_collector.queues.tracker import TicketState
from support.alerts import T0
from support.trackers import STAGES, github, gitlab, jira
from support.trackers.stage import Stage

TYPED = {
    "github": f"desk\n{github.REPOSITORY}\n{{url}}\n{github.TOKEN}\n",
    "gitlab": f"desk\n{gitlab.PROJECT}\n{{url}}\n{gitlab.TOKEN}\n",
    "jira": f"desk\n{{url}}\n{jira.PROJECT}\nTask\n{jira.USER}\n{jira.TOKEN}\n",
    "jira-server": f"desk\n{{url}}\n{jira.PROJECT}\nTask\n\n{jira.TOKEN}\n",
}


@contextmanager
def staged(kind: str) -> Iterator[Stage]:
    """A fake on a thread of its own, as the command has its own loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        stage = STAGES[kind]()
        yield asyncio.run_coroutine_threadsafe(stage.__aenter__(), loop).result(10)
        asyncio.run_coroutine_threadsafe(stage.__aexit__(None, None, None), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(build(lambda: T0), ["queues", *arguments], input=typed)


@pytest.mark.parametrize("kind", list(TYPED))
def test_a_ticket_system_is_asked_for_tried_and_written(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "collector.yml"
    with staged(kind) as stage:
        typed = TYPED[kind].replace("{url}", stage.faults.url)
        name = kind.removesuffix("-server")
        added = run("add", name, "--config", str(file), typed=typed)
        assert added.exit_code == 0, added.output
        again = run("test", "desk", "--config", str(file))
        assert again.exit_code == 0, again.output
        tickets = asyncio.run(stage.world.tickets())
    assert [ticket.state for ticket in tickets] == [TicketState.CLOSED, TicketState.CLOSED]
    assert "it was found by its marker" in added.output
    written = file.read_text()
    assert f"kind: {name}" in written
    assert stage.secret not in written + added.output + again.output
