"""`forewarn tasks`: see and handle tasks from a terminal."""

from __future__ import annotations

import getpass
import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from forewarn_collector.cli.client import EXIT_CODES, Client, connection
from forewarn_collector.cli.tables import plain, print_table
from forewarn_collector.cli.times import duration_of, local_time
from forewarn_collector.plots import terminal_lines
from forewarn_collector.tasks import STANDING, CloseReason, TaskOrder, TaskState
from forewarn_collector.tasks.evidence_plot import evidence_plot
from forewarn_collector.tasks.evidence_text import evidence_lines
from forewarn_wire.clock import Clock
from forewarn_wire.durations import format_duration

_COLOURS = {"critical": "red", "high": "dark_orange", "medium": "yellow", "low": "green"}


@click.group(epilog=EXIT_CODES)
def tasks() -> None:
    """List and handle tasks."""


@tasks.command("list")
@click.option("--all", "everything", is_flag=True, help="Resolved and closed ones too.")
@click.option("--state", multiple=True, help=f"{', '.join(TaskState)}; may be repeated.")
@click.option("--severity", default="", help="Only of this severity.")
@click.option("--customer", default="", help="Only of this customer.")
@click.option("--service", default="", help="Only of this service.")
@click.option("--instance", default="", help="Only this host.")
@click.option("--kind", default="", help="Only corrective, preventive, upgrade or plan.")
@click.option("--rule", default="", help="Only of this rule.")
@click.option("--queue", default="", help="Only for this queue.")
@click.option("--assignee", default="", help="Only those given to this person.")
@click.option("--text", default="", help="Only tasks with this in title, description or labels.")
@click.option("--last", default="", help="Only those opened within this time, such as 2d.")
@click.option("--sort", default="", help=f"{', '.join(TaskOrder)}.")
@click.option("--limit", default=100, show_default=True, help="The most to list.")
@connection
@click.pass_obj
def list_tasks(
    clock: Clock,
    /,
    *,
    everything: bool,
    state: tuple[str, ...],
    last: str,
    limit: int,
    client: Client,
    as_json: bool,
    **filters: str,
) -> None:
    """List the tasks that stand, the newest first."""
    states = list(state) or ([] if everything else [each.value for each in STANDING])
    query: dict[str, str | list[str]] = {**filters, "state": states}
    if last:
        query["since"] = str(clock() - duration_of("--last", last))
    query["limit"] = str(limit)
    answer = client.get("/api/tasks", {k: v for k, v in query.items() if v})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    found = answer["tasks"]
    if not found:
        click.echo("no tasks" if everything else "no open tasks")
        return
    if answer["next"]:
        click.echo(f"the first {len(found)} of {answer['total']}; --limit shows more", err=True)
    now = clock()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("TASK", "SEVERITY", "STATE", "HOST", "SINCE", "WHAT IS WRONG"):
        table.add_column(title, overflow="fold" if title == "WHAT IS WRONG" else "ellipsis")
    for task in found:
        colour = _COLOURS.get(task["severity"], "default")
        table.add_row(
            task["number"],
            f"[{colour}]{plain(task['severity'] or '-')}[/]",
            task["state"] + (", retrospective" if task["retrospective"] else ""),
            plain(task["labels"].get("instance", "-")),
            format_duration(max(now - task["onset_at"], 0) // 1000 * 1000),
            plain(task["title"]),
        )
    print_table(table)


@tasks.command()
@click.argument("number")
@connection
def show(number: str, *, client: Client, as_json: bool) -> None:
    """Show a task with its evidence and timeline."""
    task = client.get(f"/api/tasks/{number}")
    if as_json:
        click.echo(json.dumps(task, indent=2))
        return
    console = Console(highlight=False, emoji=False)
    console.print(f"[bold]{task['number']}[/] {plain(task['title'])}")
    if task["description"]:
        console.print(plain(task["description"]))
    rows = Table(box=None, show_header=False, pad_edge=False)
    labels = " ".join(f'{name}="{value}"' for name, value in task["labels"].items())
    missing = ", its input has stopped" if task["input_missing_since"] else ""
    late = ", retrospective: over before its data came" if task["retrospective"] else ""
    for name, value in (
        ("state", task["state"] + missing + late),
        ("severity", task["severity"]),
        ("kind", task["kind"]),
        ("rule", task["rule"]),
        ("labels", labels),
        ("queue", task["queue"]),
        ("assignee", task["assignee"]),
        ("onset", local_time(task["onset_at"])),
        ("opened", local_time(task["opened_at"])),
        ("due", local_time(task["due_at"])),
        ("acknowledged", local_time(task["acknowledged_at"])),
        ("waits until", local_time(task["waiting_until"])),
        ("resolved", local_time(task["resolved_at"])),
        ("runbook", task["annotations"].get("runbook_url", "")),
    ):
        if value:
            rows.add_row(f"[dim]{name}[/]", plain(value))
    console.print(rows)
    for ticket in task["tickets"]:
        who = f", {ticket['assignee']}" if ticket["assignee"] else ""
        state = ticket["state"].replace("_", " ")
        line = f"{ticket['queue']} {ticket['ref']} ({state}{who}) {ticket['url']}"
        console.print(f"  [dim]ticket[/] {plain(line.rstrip())}", soft_wrap=True)
    for item in task["checklist"]:
        console.print(f"  [dim]todo[/] {plain(item)}")
    plot = evidence_plot(task["title"], task["evidence"])
    if plot is not None:
        for line in terminal_lines(plot, min(console.width, 100) - 2):
            console.print(f"  {plain(line)}", soft_wrap=True)
    console.print("[dim]evidence[/]")
    for line in evidence_lines(task["evidence"]):
        console.print(f"  {plain(line)}", soft_wrap=True)
    console.print("[dim]timeline[/]")
    for entry in task["timeline"]:
        line = f"{local_time(entry['at'])} {entry['kind']} {entry['who']} {entry['text']}"
        console.print(f"  {plain(line.rstrip())}")


_TEXT = click.option("--text", default="", help="Why; the timeline and the queue have it.")


@tasks.command()
@click.argument("number")
@_TEXT
@connection
def ack(number: str, *, text: str, client: Client, as_json: bool) -> None:
    """Say that somebody has seen it."""
    _act(client, number, "acknowledge", {"text": text}, as_json=as_json)


@tasks.command()
@click.argument("number")
@_TEXT
@connection
def start(number: str, *, text: str, client: Client, as_json: bool) -> None:
    """Say that somebody works on it."""
    _act(client, number, "start", {"text": text}, as_json=as_json)


@tasks.command()
@click.argument("number")
@click.argument("duration")
@_TEXT
@connection
@click.pass_obj
def wait(
    clock: Clock, number: str, duration: str, *, text: str, client: Client, as_json: bool
) -> None:
    """Have it wait for DURATION, such as 4h or 2d; it is open again then."""
    until = clock() + duration_of("DURATION", duration)
    _act(client, number, "wait", {"until": until, "text": text}, as_json=as_json)


@tasks.command()
@click.argument("number")
@click.argument("assignee", default="")
@_TEXT
@connection
def assign(number: str, assignee: str, *, text: str, client: Client, as_json: bool) -> None:
    """Give it to ASSIGNEE, or to nobody."""
    _act(client, number, "assign", {"assignee": assignee, "text": text}, as_json=as_json)


@tasks.command()
@click.argument("number")
@click.argument("text")
@connection
def comment(number: str, text: str, *, client: Client, as_json: bool) -> None:
    """Add TEXT to a task's timeline."""
    _act(client, number, "comment", {"text": text}, as_json=as_json)


@tasks.command()
@click.argument("number")
@click.option("--text", default="", help="What was done.")
@connection
def resolve(number: str, *, text: str, client: Client, as_json: bool) -> None:
    """Say that a task is done."""
    _act(client, number, "resolve", {"text": text}, as_json=as_json)


@tasks.command()
@click.argument("number")
@click.argument("reason", type=click.Choice([each.value for each in CloseReason]))
@click.option("--of", "original", default="", help="For duplicate: the number of the other task.")
@click.option("--mute-for", default="", help="For wont_fix: how long after its end. [default: 30d]")
@_TEXT
@connection
def close(
    number: str,
    reason: str,
    *,
    original: str,
    mute_for: str,
    text: str,
    client: Client,
    as_json: bool,
) -> None:
    """Say that a task is over for good, and what became of it."""
    body: dict[str, Any] = {"reason": reason, "text": text}
    if original:
        body["duplicate_of"] = original
    if mute_for:
        body["mute_for"] = duration_of("--mute-for", mute_for)
    _act(client, number, "close", body, as_json=as_json)


@tasks.command()
@click.argument("number")
@_TEXT
@connection
def reopen(number: str, *, text: str, client: Client, as_json: bool) -> None:
    """Say that a task is not over."""
    _act(client, number, "reopen", {"text": text}, as_json=as_json)


def _act(client: Client, number: str, verb: str, body: dict[str, Any], *, as_json: bool) -> None:
    task = client.post(f"/api/tasks/{number}/{verb}", {"who": getpass.getuser(), **body})
    if as_json:
        click.echo(json.dumps(task, indent=2))
    else:
        whose = f", assigned to {task['assignee']}" if task["assignee"] else ""
        click.echo(f"{task['number']} is {task['state']}{whose}: {task['title']}")
