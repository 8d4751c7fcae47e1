"""`forewarn silences`: see, make and end silences from a terminal."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from forewarn_collector.cli.client import Client, connection
from forewarn_collector.cli.tables import print_table
from forewarn_collector.silencing import MatcherError, parse_matchers
from forewarn_wire.clock import Clock
from forewarn_wire.durations import parse_duration

_PATH = "/api/v2/silences"


@click.group()
def silences() -> None:
    """List, make and end silences."""


@silences.command("list")
@click.option("--all", "everything", is_flag=True, help="Expired ones too.")
@connection
def list_silences(*, everything: bool, client: Client, as_json: bool) -> None:
    """List the silences that are active or to come, the next to end first."""
    found = [
        silence
        for silence in client.get(_PATH)
        if everything or silence["status"]["state"] != "expired"
    ]
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        click.echo("no silences")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("ID", "STATE", "MATCHERS", "STARTS", "ENDS", "BY", "COMMENT"):
        table.add_column(title, overflow="fold")
    for silence in found:
        table.add_row(
            silence["id"],
            silence["status"]["state"],
            escape(_written(silence["matchers"])),
            _local(silence["startsAt"]),
            _local(silence["endsAt"]),
            escape(silence["createdBy"]),
            escape(silence["comment"]),
        )
    print_table(table)


@silences.command()
@click.argument("matchers", nargs=-1, required=True)
@click.option("--duration", default="1h", show_default=True, help="How long, such as 30m or 2d.")
@click.option("--comment", required=True, help="Why; whoever misses an alert reads it.")
@click.option("--by", default="", help="Who. [default: you]")
@connection
@click.pass_obj
def add(
    clock: Clock,
    matchers: tuple[str, ...],
    *,
    duration: str,
    comment: str,
    by: str,
    client: Client,
    as_json: bool,
) -> None:
    """Silence the alerts that meet all MATCHERS, from now on.

    A matcher is written as name=value, with =, !=, =~ or !~: forewarn silences add
    alertname=DiskFull 'instance=~"web.*"' --comment "new disks".
    """
    try:
        found = [matcher for text in matchers for matcher in parse_matchers(text)]
        length = parse_duration(duration)
    except (MatcherError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    now = datetime.fromtimestamp(clock() / 1000, UTC)
    answer = client.post(
        _PATH,
        {
            "matchers": [
                {
                    "name": each.name,
                    "value": each.value,
                    "isRegex": each.kind.is_regexp,
                    "isEqual": each.kind.is_equal,
                }
                for each in found
            ],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(milliseconds=length)).isoformat(),
            "createdBy": by or getpass.getuser(),
            "comment": comment,
        },
    )
    click.echo(json.dumps(answer, indent=2) if as_json else answer["silenceID"])


@silences.command()
@click.argument("ids", nargs=-1, required=True)
@connection
def expire(ids: tuple[str, ...], *, client: Client, as_json: bool) -> None:
    """End the silences with these IDS now; what they held and still fires opens its task."""
    for silence_id in ids:
        client.delete(f"/api/v2/silence/{silence_id}")
    if as_json:
        click.echo(json.dumps({"expired": list(ids)}, indent=2))
    else:
        click.echo(f"{len(ids)} expired")


def _written(matchers: list[dict[str, Any]]) -> str:
    kinds = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
    return ", ".join(
        f"{each['name']}{kinds[each['isRegex'], each['isEqual']]}{json.dumps(each['value'])}"
        for each in matchers
    )


def _local(stamp: str) -> str:
    return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M %Z")
