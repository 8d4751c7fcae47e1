"""How the commands print tables."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

_WHOLE_LINES = 10_000


def print_table(table: Table) -> None:
    """Print to stdout: as wide as a terminal is, in whole lines to a pipe or a file."""
    # `:up:` in a rule's name is no picture.
    console = Console(width=None if sys.stdout.isatty() else _WHOLE_LINES, emoji=False)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        click.echo(line.rstrip())
