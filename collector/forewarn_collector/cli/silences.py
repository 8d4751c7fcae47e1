"""`forewarn silences`: see, make and end silences from a terminal."""

from __future__ import annotations

import getpass
import json
from typing import Any

import click
from rich.table import Table

from forewarn_collector.cli.client import EXIT_CODES, Client, connection
from forewarn_collector.cli.tables import plain, print_table
from forewarn_collector.cli.times import duration_of, local_time
from forewarn_collector.silencing import MatcherError, SilenceState, parse_matchers
from forewarn_wire.clock import Clock

_PATH = "/api/silences"


@click.group(epilog=EXIT_CODES)
def silences() -> None:
    """List, make and end silences."""


@silences.command("list")
@click.option("--all", "everything", is_flag=True, help="Expired ones too.")
@connection
def list_silences(*, everything: bool, client: Client, as_json: bool) -> None:
    """List the silences that are active or to come, the next to end first."""
    states = [each.value for each in SilenceState if everything or each != SilenceState.EXPIRED]
    answer = client.get(_PATH, {"state": states})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["silences"]:
        click.echo("no silences")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("ID", "STATE", "MATCHERS", "STARTS", "ENDS", "BY", "COMMENT"):
        table.add_column(title, overflow="fold")
    for silence in answer["silences"]:
        table.add_row(*map(plain, _cells(silence)))
    print_table(table)


@silences.command()
@click.argument("silence_id", metavar="ID")
@connection
def show(silence_id: str, *, client: Client, as_json: bool) -> None:
    """Show one silence."""
    silence = client.get(f"{_PATH}/{silence_id}")
    if as_json:
        click.echo(json.dumps(silence, indent=2))
        return
    names = ("id", "state", "matchers", "starts", "ends", "by", "comment")
    for name, value in zip(names, _cells(silence), strict=True):
        click.echo(f"{name:<9}{value}")


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
        found = [str(each) for text in matchers for each in parse_matchers(text)]
    except MatcherError as error:
        raise click.UsageError(str(error)) from error
    silence = client.post(
        _PATH,
        {
            "matchers": found,
            "ends_at": clock() + duration_of("--duration", duration),
            "comment": comment,
            "who": by or getpass.getuser(),
        },
    )
    click.echo(json.dumps(silence, indent=2) if as_json else silence["id"])


@silences.command()
@click.argument("ids", nargs=-1, required=True)
@connection
def expire(ids: tuple[str, ...], *, client: Client, as_json: bool) -> None:
    """End the silences with these IDS now; what they held and still fires opens its task."""
    body = {"who": getpass.getuser()}
    ended = [client.post(f"{_PATH}/{silence_id}/expire", body) for silence_id in ids]
    if as_json:
        click.echo(json.dumps({"silences": ended}, indent=2))
    else:
        click.echo(f"{len(ended)} expired")


def _cells(silence: dict[str, Any]) -> list[str]:
    return [
        silence["id"],
        silence["state"],
        ", ".join(silence["matchers"]),
        local_time(silence["starts_at"]),
        local_time(silence["ends_at"]),
        silence["created_by"],
        silence["comment"],
    ]
