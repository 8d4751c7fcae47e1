"""`forewarn queues`: what queues are owed, what failed, and what to try again."""

from __future__ import annotations

import base64
import getpass
import json
import sys
import urllib.parse

import click
from rich.table import Table

from forewarn_collector.cli.client import EXIT_CODES, CallError, Client, connection
from forewarn_collector.cli.queue_setup import add, test
from forewarn_collector.cli.tables import plain, print_table
from forewarn_collector.cli.times import local_time
from forewarn_collector.queues.mail_replies import LARGEST
from forewarn_collector.tasks.delivery_log import DeliveryView

_LEFT_ALONE = 4


@click.group(epilog=EXIT_CODES, commands=[add, test])
def queues() -> None:
    """Set up queues, and see what they are owed.

    add and test read the configuration; the others ask the collector, with an admin's token, for
    reply an operator's.
    """


@queues.command("list")
@connection
def list_queues(*, client: Client, as_json: bool) -> None:
    """List the queues, with how many deliveries stand where, and what stops them."""
    answer = client.get("/api/queues")
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["queues"]:
        click.echo("no queues")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("QUEUE")
    for title in ("OWED", "FAILED", "DELIVERED", "DEAD"):
        table.add_column(title, justify="right")
    table.add_column("PAUSED", overflow="fold")
    for queue in answer["queues"]:
        strange = "" if queue["configured"] else " (not in the configuration)"
        counts = (str(queue[name]) for name in ("owed", "failed", "delivered", "dead"))
        paused = queue["paused_until"]
        why = "" if paused is None else f"until {local_time(paused)}: {queue['paused_why']}"
        table.add_row(plain(queue["name"] + strange), *counts, plain(why))
    print_table(table)


@queues.command()
@click.argument("queue")
@click.option("--state", default="", help=f"Only {', '.join(DeliveryView)} ones.")
@click.option("--limit", default=100, show_default=True, help="The most to list.")
@connection
def deliveries(queue: str, *, state: str, limit: int, client: Client, as_json: bool) -> None:
    """List the deliveries to QUEUE, the newest first; failed ones are owed still."""
    query = {"limit": str(limit)} | ({"state": state} if state else {})
    answer = client.get(f"/api/queues/{urllib.parse.quote(queue, safe='')}/deliveries", query)
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    if not answer["deliveries"]:
        click.echo("no deliveries")
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("ID", "TASK", "ACTION", "STATE", "CREATED", "ATTEMPTS", "ERROR"):
        table.add_column(title, overflow="fold")
    for each in answer["deliveries"]:
        table.add_row(
            each["id"],
            each["number"],
            each["action"],
            each["state"],
            local_time(each["created_at"]),
            str(each["attempts"]),
            plain(each["error"]),
        )
    print_table(table)


@queues.command()
@click.argument("queue")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are dead, the oldest first.")
@connection
def revive(
    queue: str, ids: tuple[str, ...], *, everything: bool, client: Client, as_json: bool
) -> None:
    """Owe the dead deliveries with these IDS to QUEUE again, at once."""
    if everything == bool(ids):
        raise click.UsageError("name the deliveries by their IDS, or say --all")
    path = f"/api/queues/{urllib.parse.quote(queue, safe='')}/deliveries"
    body = {"who": getpass.getuser()}
    dead = _dead(client, path) if everything else ids
    revived = [client.post(f"{path}/{each}/revive", body) for each in dead]
    if as_json:
        click.echo(json.dumps({"deliveries": revived}, indent=2))
    else:
        click.echo(f"{len(revived)} owed again")


def _dead(client: Client, path: str) -> list[str]:
    """The ids of all dead deliveries, the oldest first."""
    found: list[str] = []
    cursor: int | None = None
    while True:
        query = {"state": DeliveryView.DEAD.value, "limit": "1000"}
        page = client.get(path, query | ({} if cursor is None else {"cursor": str(cursor)}))
        found += [each["id"] for each in page["deliveries"]]
        cursor = page["next"]
        if cursor is None:
            return found[::-1]


@queues.command()
@click.argument("queue")
@connection
def reply(queue: str, *, client: Client, as_json: bool) -> None:
    """Take a mail from stdin that answers a message of QUEUE: its remark goes to the task.

    For a mail server to pipe mails into. A mail that is no answer of a person is left alone.
    """
    mail = base64.b64encode(sys.stdin.buffer.read(LARGEST + 1)).decode()
    path = f"/api/queues/{urllib.parse.quote(queue, safe='')}/replies"
    try:
        answer = client.post(path, {"mail": mail})
    except CallError as error:
        if error.exit_code != _LEFT_ALONE:
            raise
        # Nothing that the mail server should send back to whoever wrote it.
        click.echo(error.message, err=True)
        return
    click.echo(json.dumps(answer, indent=2) if as_json else f"{answer['number']} has it")
