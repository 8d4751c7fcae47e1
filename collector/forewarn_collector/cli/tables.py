"""How the commands print tables, and what others wrote."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_WHOLE_LINES = 10_000


def printable(text: str) -> str:
    """Without what would move a terminal's cursor or change its colours."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def plain(text: str) -> str:
    """What others wrote, for rich to print as it is: it neither marks up nor drives a terminal."""
    return escape(printable(text))


def print_table(table: Table) -> None:
    """Print to stdout: as wide as a terminal is, in whole lines to a pipe or a file."""
    # `:up:` in a rule's name is no picture.
    console = Console(width=None if sys.stdout.isatty() else _WHOLE_LINES, emoji=False)
    with console.capture() as printed:
        console.print(table)
    for line in printed.get().splitlines():
        click.echo(line.rstrip())
