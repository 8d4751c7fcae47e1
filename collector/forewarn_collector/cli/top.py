"""`forewarn top`: what is open and how the hosts are, live, on a server without a browser."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from dataclasses import dataclass, replace

import click
from rich.console import Console
from rich.live import Live

from forewarn_collector.cli.client import EXIT_CODES, CallError, Client, connection
from forewarn_collector.cli.times import duration_of
from forewarn_collector.cli.top_screen import Screen, Seen, look
from forewarn_wire.clock import Clock

_KEYS = {"j": 1, "k": -1, "\x1b[B": 1, "\x1b[A": -1, " ": 10, "b": -10}
_SHORTEST = 500


@click.command(epilog=EXIT_CODES)
@click.option("--interval", default="2s", show_default=True, help="How often to look.")
@click.option("--customer", default="", help="Only this customer's.")
@click.option("--once", is_flag=True, help="Print it once and end, for a script or a log.")
@connection
@click.pass_obj
def top(
    clock: Clock, /, *, interval: str, customer: str, once: bool, client: Client, as_json: bool
) -> None:
    """Watch open tasks and hosts: the worst first.

    Keys: q ends it, t and h show only tasks or only hosts, a shows both, j and k (or the arrows)
    move, space and b turn pages.
    """
    every = max(_SHORTEST, duration_of("--interval", interval)) / 1000
    seen = look(client, customer, clock())
    console = Console(emoji=False, highlight=False)
    if as_json:
        click.echo(seen.to_json())
        return
    if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        console.print(Screen(seen, rows=0))
        return
    _watch(console, client, customer, clock, seen, every)


def _watch(
    console: Console, client: Client, customer: str, clock: Clock, seen: Seen, every: float
) -> None:
    screen = Screen(seen, rows=console.height)
    with _keys() as pressed, Live(screen, console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(replace(screen, rows=console.height), refresh=True)
            key = pressed(every)
            if key in {"q", "\x03", "\x04"}:
                return
            if key:
                screen = _moved(screen, key)
                continue
            try:
                screen = replace(screen, seen=look(client, customer, clock()), trouble="")
            except CallError as error:
                screen = replace(screen, trouble=error.message)


def _moved(screen: Screen, key: str) -> Screen:
    shown = {"t": ("tasks",), "h": ("hosts",), "a": ("tasks", "hosts")}.get(key)
    if shown is not None:
        return replace(screen, shown=shown, first=0)
    last = max(len(screen.seen.tasks), len(screen.seen.hosts)) - 1
    return replace(screen, first=min(max(0, screen.first + _KEYS.get(key, 0)), max(0, last)))


@dataclass
class _Pressed:
    """Waits for a key, at most so many seconds; empty where none came."""

    descriptor: int

    def __call__(self, seconds: float) -> str:
        ready, _, _ = select.select([self.descriptor], [], [], seconds)
        # An arrow is three bytes that come at once.
        return os.read(self.descriptor, 8).decode("ascii", "replace") if ready else ""


@contextlib.contextmanager
def _keys() -> Iterator[_Pressed]:
    """The terminal gives each key as it is pressed, and is as before afterwards."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield _Pressed(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
