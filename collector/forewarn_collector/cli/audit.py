"""`forewarn audit`: who did what to what, when and why."""

from __future__ import annotations

import json

import click
from rich.table import Table

from forewarn_collector.cli.client import EXIT_CODES, Client, connection
from forewarn_collector.cli.tables import plain, print_table
from forewarn_collector.cli.times import duration_of, local_time
from forewarn_wire.clock import Clock


@click.command(epilog=EXIT_CODES)
@click.option("--of", default="", help="Only of this task's number or silence's id.")
@click.option("--who", default="", help="Only of this person, or `rules`.")
@click.option("--action", default="", help="Only of this action, such as closed.")
@click.option("--last", default="", help="Only within this time, such as 2d.")
@click.option("--limit", default=100, show_default=True, help="The most to list.")
@connection
@click.pass_obj
def audit(
    clock: Clock,
    *,
    of: str,
    who: str,
    action: str,
    last: str,
    limit: int,
    client: Client,
    as_json: bool,
) -> None:
    """Show the audit log, the newest entries first; needs an admin's token."""
    query = {"of": of, "who": who, "action": action, "limit": str(limit)}
    if last:
        query["since"] = str(clock() - duration_of("--last", last))
    answer = client.get("/api/audit", query)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["entries"]:
        click.echo("no entries")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("AT", "WHO", "ROLE", "ACTION", "OF", "WHY"):
        table.add_column(title, overflow="fold")
    for entry in answer["entries"]:
        why = entry["reason"] or entry["detail"].get("text", "")
        cells = (entry["who"], entry["role"], entry["action"], entry["object"], why)
        table.add_row(local_time(entry["at"]), *map(plain, cells))
    print_table(table)
