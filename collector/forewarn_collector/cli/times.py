"""How the commands read lengths of time and show times."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from forewarn_wire.durations import parse_duration


def duration_of(name: str, text: str) -> int:
    """A length of time in ms, such as 90m or 2d. Ends the command where it is none."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from error


def local_time(milliseconds: int | None) -> str:
    """A time as people here read it; empty where there is none."""
    if milliseconds is None:
        return ""
    try:
        found = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "for ever"
    return found.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def clock_time(milliseconds: int) -> str:
    """The time of day here."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).astimezone().strftime("%H:%M:%S")
