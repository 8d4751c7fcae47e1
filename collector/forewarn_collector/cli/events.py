"""`forewarn events`: find events from a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from forewarn_collector.cli.client import Client, connection
from forewarn_collector.cli.tables import printable
from forewarn_wire import Severity
from forewarn_wire.clock import Clock
from forewarn_wire.durations import parse_duration

_COLOURS = {"fatal": "red", "error": "red", "warn": "yellow", "info": "default"}
_SHOWN_LABELS = ("instance", "job")
_PAGE = 500
_FOLLOW_SECONDS = 2.0
_FOLLOW_OVERLAP = 60_000
"""How late (ms) an event may come in and still be shown by --follow."""

Shown = dict[str, Any]


@click.command()
@click.argument("text", nargs=-1)
@click.option("--since", default="1h", show_default=True, help="How far back: 15m, 7d.")
@click.option("--until", default="", help="Up to how long ago. [default: now]")
@click.option("--match", multiple=True, help="A selector such as '{instance=\"web1\"}'.")
@click.option("--type", "kinds", multiple=True, help="Only this type; may be repeated.")
@click.option(
    "--severity",
    type=click.Choice([severity.value for severity in Severity]),
    help="At least so severe.",
)
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most.")
@click.option("--follow", "-f", is_flag=True, help="Then show what comes in, until Ctrl-C.")
@connection
@click.pass_obj
def events(
    clock: Clock,
    *,
    text: tuple[str, ...],
    since: str,
    until: str,
    match: tuple[str, ...],
    kinds: tuple[str, ...],
    severity: str | None,
    limit: int,
    follow: bool,
    client: Client,
    as_json: bool,
) -> None:
    """Find events, the oldest of them first.

    TEXT are words that an event has: refused upstream, conn*, 'oom OR "out of memory"',
    'error NOT healthcheck'. With --json each event is a line of its own.
    """
    now = clock()
    asked: dict[str, str | list[str]] = {
        "q": " ".join(text),
        "match[]": list(match),
        "type": list(kinds),
        "severity_min": severity or "",
        "start": _seconds(now - _span("--since", since)),
        "end": _seconds(now - _span("--until", until)) if until else "",
    }
    asked = {name: value for name, value in asked.items() if value}
    console = Console(highlight=False)
    seen: dict[str, int] = {}
    found = list(_found(client, asked, limit))
    if not found and not follow and not as_json:
        click.echo("no events")
    _show(console, reversed(found), seen, as_json=as_json)
    while follow:
        time.sleep(_FOLLOW_SECONDS)
        newest = max(seen.values(), default=now)
        asked["start"] = _seconds(newest - _FOLLOW_OVERLAP)
        asked.pop("end", None)
        seen = {uid: at for uid, at in seen.items() if at >= newest - _FOLLOW_OVERLAP}
        fresh = [event for event in _found(client, asked, 10_000) if event["uid"] not in seen]
        _show(console, reversed(fresh), seen, as_json=as_json)


def _found(client: Client, asked: dict[str, str | list[str]], limit: int) -> Iterator[Shown]:
    """Events, the newest first, page by page."""
    cursor = ""
    while limit > 0:
        page = {"limit": str(min(limit, _PAGE)), **({"cursor": cursor} if cursor else {})}
        answer = client.get("/api/events", {**asked, **page})
        cursor = answer["data"]["next"]
        for warning in answer.get("warnings", []) if not cursor else []:
            click.echo(warning, err=True)
        yield from answer["data"]["events"]
        limit -= len(answer["data"]["events"])
        if not cursor:
            return


def _show(console: Console, found: Iterator[Shown], seen: dict[str, int], *, as_json: bool) -> None:
    for event in found:
        seen[event["uid"]] = event["time"]
        if as_json:
            click.echo(json.dumps(event))
        else:
            console.print(_line(event), soft_wrap=True)


def _line(event: Shown) -> Text:
    at = datetime.fromtimestamp(event["time"] / 1000).astimezone()
    labels = [event["labels"][name] for name in _SHOWN_LABELS if name in event["labels"]]
    line = Text(f"{at:%Y-%m-%d %H:%M:%S} ")
    line.append(f"{event['severity']:<5} ", _COLOURS.get(event["severity"], "dim"))
    line.append(f"{' '.join([*labels, event['type']])}: ", "cyan")
    line.append(printable(event["body"]))
    return line


def _span(option: str, text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"
