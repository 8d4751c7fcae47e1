"""What commands on a data directory have in common: its option, times, selectors and progress."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from forewarn_collector.config import DEFAULT_DATA
from forewarn_collector.promql import PromQLError, Selector, compile_query
from forewarn_collector.store import Matcher

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=DEFAULT_DATA,
    show_default=True,
    help="The data directory.",
)


def time_of(option: str, text: str) -> int:
    """A time in ISO 8601, of this machine's zone where it names none, or in Unix seconds: ms."""
    try:
        return round(float(text) * 1000)
    except (ValueError, OverflowError):
        pass
    try:
        return round(datetime.fromisoformat(text).astimezone().timestamp() * 1000)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is no time; write 2026-01-31T08:00, with Z for UTC, or Unix seconds",
            param_hint=option,
        ) from None


def selectors_of(texts: Sequence[str]) -> list[Sequence[Matcher]]:
    """What --match says."""
    found: list[Sequence[Matcher]] = []
    for text in texts:
        try:
            expr = compile_query(text).expr
        except PromQLError as error:
            raise click.BadParameter(str(error), param_hint="--match") from error
        if not isinstance(expr, Selector) or expr.offset or expr.at is not None:
            raise click.BadParameter(f"{text} is no series selector", param_hint="--match")
        found.append(expr.matchers)
    return found


class ProgressLine:
    """A line on a terminal that is written again and again; elsewhere nothing."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._shown:
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)

    def end(self) -> None:
        """Remove it."""
        self.show("")
