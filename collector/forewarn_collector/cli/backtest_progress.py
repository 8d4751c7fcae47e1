"""How far a backtest is: a bar on a terminal, else a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from forewarn_collector.rules.backtest import Progress as Done
from forewarn_collector.tasks.backtest_report import moment

_SECONDS = 10.0
"""Between two lines."""


@contextmanager
def watching(title: str) -> Iterator[Callable[[Done], None]]:
    """Shows on stderr what it is told."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(title)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[at]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task(title, total=1.0, at="")

        def watch(done: Done) -> None:
            bar.update(shown, completed=done.done / max(done.total, 1), at=moment(done.at))

        yield watch


def _lines(title: str) -> Callable[[Done], None]:
    last = monotonic()

    def watch(done: Done) -> None:
        nonlocal last
        if monotonic() - last < _SECONDS:
            return
        last = monotonic()
        share = 100 * done.done / max(done.total, 1)
        click.echo(f"{title}: {share:.0f} %, {moment(done.at)}", err=True)

    return watch
