"""`forewarn top` in a real terminal, against a real collector with a real agent."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from forewarn_collector.cli import build
from forewarn_collector.cli.top_screen import Host, Screen, Seen
from support.alerts import T0
from support.two_customers import ACME, BRAVO, TwoCustomers, two_customers


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoCustomers]:
    with two_customers(tmp_path_factory.mktemp("top")) as found:
        yield found


class Terminal:
    """What a program shows on a terminal of 100 columns and 30 rows, and keys for it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.shown = ""

    def until(self, wanted: str, without: str = "\0") -> None:
        """Wait for a picture with a text, and without another one."""
        end = time.monotonic() + 30
        while not any(wanted in each and without not in each for each in self._pictures()):
            assert time.monotonic() < end, f"never shown: {wanted!r} in {self.shown!r}"
            if select.select([self._descriptor], [], [], 0.2)[0]:
                read = os.read(self._descriptor, 65_536).decode("utf-8", "replace")
                self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", read)

    def _pictures(self) -> list[str]:
        return self.shown.split("Forewarn  ")

    def press(self, key: str) -> None:
        """Press a key; what was shown before is forgotten."""
        self.shown = ""
        os.write(self._descriptor, key.encode())


@contextmanager
def top(world: TwoCustomers, who: str, *options: str) -> Iterator[tuple[Terminal, int]]:
    program = str(Path(sys.executable).with_name("forewarn"))
    process, descriptor = pty.fork()
    if process == 0:
        os.environ |= {
            "FOREWARN_SERVER": world.collector.url,
            "FOREWARN_TOKEN": world.tokens[who],
            "TERM": "xterm-256color",
        }
        os.execv(program, [program, "top", "--interval", "500ms", *options])
    try:
        fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        yield Terminal(descriptor), process
    finally:
        os.close(descriptor)
        os.waitpid(process, 0)


def test_it_shows_what_is_open_and_ends_with_q(world: TwoCustomers) -> None:
    with top(world, "admin") as (terminal, _):
        terminal.until("WHAT IS WRONG")
        terminal.until(world.tasks[ACME])
        terminal.until(world.tasks[BRAVO])
        terminal.press("h")
        terminal.until("FULLEST DISK", without="WHAT IS WRONG")
        terminal.press("t")
        terminal.until("WHAT IS WRONG")
        terminal.press("q")


def test_a_customers_token_sees_only_its_own(world: TwoCustomers) -> None:
    with top(world, f"viewer {ACME}") as (terminal, _):
        terminal.until(world.tasks[ACME])
        terminal.press("j")
        terminal.until("TASK")
        assert f"{world.tasks[BRAVO]} " not in terminal.shown
        terminal.press("q")


def test_to_a_pipe_it_prints_once(world: TwoCustomers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREWARN_SERVER", world.collector.url)
    monkeypatch.setenv("FOREWARN_TOKEN", world.tokens["admin"])
    command = build(lambda: int(time.time() * 1000))
    plain = CliRunner().invoke(command, ["top"])
    assert plain.exit_code == 0, plain.output
    assert world.tasks[ACME] in plain.output
    told = json.loads(CliRunner().invoke(command, ["top", "--json"]).output)
    assert {task["number"] for task in told["tasks"]} >= {world.tasks[ACME]}
    monkeypatch.setenv("FOREWARN_SERVER", "http://127.0.0.1:1")
    assert CliRunner().invoke(command, ["top"]).exit_code == 6


def shown(screen: Screen, width: int = 90) -> list[str]:
    console = Console(width=width, file=open(os.devnull, "w"), record=True)  # noqa: SIM115
    console.print(screen)
    console.file.close()
    return console.export_text().splitlines()


def seen(tasks: int, hosts: int = 1) -> Seen:
    each = {
        "severity": "critical",
        "state": "in_progress",
        "onset_at": T0 - 3_720_000,
        "due_at": T0 - 60_000,
        "labels": {"instance": "a\x1b[31m"},
        "title": "[red]it\nfills",
    }
    return Seen(
        T0,
        [{**each, "number": f"FW-{number}"} for number in range(1, tasks + 1)],
        tasks,
        [Host(f"h{n}", n > 0, 1, "critical", 50.0, None, 99.6) for n in range(hosts)],
    )


def test_a_task_is_one_line_and_drives_no_terminal() -> None:
    head, _, line, *_ = shown(Screen(seen(1), rows=0))
    assert re.match(r"Forewarn  1 open  1 critical   1 host, 1 silent   \d\d:\d\d:\d\d$", head)
    assert line.split() == [
        *("FW-1", "critical", "in", "progress", "1h2m", "1m", "late", "a�[31m", "[red]it"),
        "fills",
    ]


def test_a_crowd_fits_the_terminal_and_can_be_scrolled() -> None:
    screen = Screen(seen(200, hosts=300), rows=30)
    lines = shown(screen)
    assert len(lines) <= 29
    assert sum("FW-" in line for line in lines) >= 10
    assert sum("reports" in line for line in lines) >= 5
    last = shown(replace(screen, first=199, shown=("tasks",)))
    assert "FW-200" in last[-1]
    assert len(last) <= 29


def test_a_lost_connection_is_said_and_what_was_seen_stays() -> None:
    lines = shown(Screen(seen(1), rows=30, trouble="no collector answers"))
    assert "no collector answers; shown is" in lines[1]
    assert any("FW-1" in line for line in lines)
    assert "nothing needs anybody" in "".join(shown(Screen(seen(0), rows=30)))
