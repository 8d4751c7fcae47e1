"""`forewarn tasks`: see and handle tasks from a terminal."""

from __future__ import annotations

import getpass
import json
from datetime import datetime

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from forewarn_collector.cli.client import Client, connection
from forewarn_collector.cli.tables import print_table
from forewarn_collector.tasks import STANDING, TaskState
from forewarn_collector.tasks.evidence_text import evidence_lines
from forewarn_wire.clock import Clock
from forewarn_wire.durations import format_duration

_COLOURS = {"critical": "red", "high": "dark_orange", "medium": "yellow", "low": "green"}


@click.group()
def tasks() -> None:
    """List and handle tasks."""


@tasks.command("list")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option("--state", multiple=True, help=f"{', '.join(TaskState)}; may be repeated.")
@click.option("--severity", default="")
@click.option("--instance", default="", help="Only this host.")
@click.option("--customer", default="")
@click.option("--text", default="", help="Only tasks with this in title, description or labels.")
@connection
@click.pass_obj
def list_tasks(
    clock: Clock,
    *,
    everything: bool,
    state: tuple[str, ...],
    severity: str,
    instance: str,
    customer: str,
    text: str,
    client: Client,
    as_json: bool,
) -> None:
    """List the tasks that are open, the newest first."""
    states = list(state) or ([] if everything else [each.value for each in STANDING])
    query: dict[str, str | list[str]] = {
        "state": states,
        "severity": severity,
        "instance": instance,
        "customer": customer,
        "text": text,
    }
    answer = client.get("/api/tasks", {k: v for k, v in query.items() if v})
    if as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    found = answer["tasks"]
    if not found:
        click.echo("no tasks" if everything else "no open tasks")
        return
    now = clock()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("TASK", "SEVERITY", "STATE", "HOST", "SINCE", "WHAT IS WRONG"):
        table.add_column(title, overflow="fold" if title == "WHAT IS WRONG" else "ellipsis")
    for task in found:
        colour = _COLOURS.get(task["severity"], "default")
        table.add_row(
            task["number"],
            f"[{colour}]{escape(task['severity'] or '-')}[/]",
            task["state"] + (", retrospective" if task["retrospective"] else ""),
            escape(task["labels"].get("instance", "-")),
            format_duration(max(now - task["onset_at"], 0) // 1000 * 1000),
            escape(task["title"]),
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
    console.print(f"[bold]{task['number']}[/] {escape(task['title'])}")
    if task["description"]:
        console.print(escape(task["description"]))
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
        ("onset", _local(task["onset_at"])),
        ("opened", _local(task["opened_at"])),
        ("due", _local(task["due_at"])),
        ("acknowledged", _local(task["acknowledged_at"])),
        ("resolved", _local(task["resolved_at"])),
        ("runbook", task["annotations"].get("runbook_url", "")),
    ):
        if value:
            rows.add_row(f"[dim]{name}[/]", escape(value))
    console.print(rows)
    for item in task["checklist"]:
        console.print(f"  [dim]todo[/] {escape(item)}")
    console.print("[dim]evidence[/]")
    for line in evidence_lines(task["evidence"]):
        console.print(f"  {escape(line)}", soft_wrap=True)
    console.print("[dim]timeline[/]")
    for entry in task["timeline"]:
        line = f"{_local(entry['at'])} {entry['kind']} {entry['who']} {entry['text']}"
        console.print(f"  {escape(line.rstrip())}")


@tasks.command()
@click.argument("number")
@connection
def ack(number: str, *, client: Client, as_json: bool) -> None:
    """Say that somebody is at it."""
    _act(client, number, "acknowledge", {}, as_json=as_json)


@tasks.command()
@click.argument("number")
@click.argument("text")
@connection
def comment(
    number: str,
    text: str,
    *,
    client: Client,
    as_json: bool,
) -> None:
    """Add TEXT to a task's timeline."""
    _act(client, number, "comment", {"text": text}, as_json=as_json)


@tasks.command()
@click.argument("number")
@click.option("--text", default="", help="What was done.")
@connection
def resolve(
    number: str,
    *,
    text: str,
    client: Client,
    as_json: bool,
) -> None:
    """Say that a task is done."""
    _act(client, number, "resolve", {"text": text}, as_json=as_json)


def _act(client: Client, number: str, verb: str, body: dict[str, str], *, as_json: bool) -> None:
    task = client.post(f"/api/tasks/{number}/{verb}", {"who": getpass.getuser(), **body})
    if as_json:
        click.echo(json.dumps(task, indent=2))
    else:
        click.echo(f"{task['number']} is {task['state']}: {task['title']}")


def _local(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
