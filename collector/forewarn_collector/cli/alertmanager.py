"""`forewarn alertmanager`: what an alertmanager.yml would be here."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from forewarn_collector.notifications import templates_of
from forewarn_collector.silencing import (
    AlertmanagerFile,
    Email,
    Pager,
    Receiver,
    Told,
    Webhook,
    read_alertmanager_file,
)
from forewarn_wire import Problem


@click.group()
def alertmanager() -> None:
    """Look at an Alertmanager's configuration."""


@alertmanager.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(file: Path, *, as_json: bool) -> None:
    """Check FILE, an alertmanager.yml: what is wrong with it, what is taken, and what is not.

    Ends with 1 where something is wrong, so that Alertmanager itself would refuse it, too.
    """
    try:
        found = _checked(read_alertmanager_file(file.read_text("utf-8"), str(file)))
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {file}: {error}") from error
    if as_json:
        click.echo(json.dumps(_document(found), indent=2))
    else:
        _print(found)
    if found.problems:
        sys.exit(1)


def _checked(found: AlertmanagerFile) -> AlertmanagerFile:
    """With what is wrong with its templates."""
    checked = templates_of(found)
    return replace(
        found,
        problems=(*found.problems, *checked.problems),
        notes=(*found.notes, *checked.notes),
    )


def _print(found: AlertmanagerFile) -> None:
    for problem in found.problems:
        click.echo(str(problem))
    if found.problems:
        click.echo(f"{len(found.problems)} wrong")
        return
    click.echo("taken:")
    for name, count in _counts(found).items():
        click.echo(f"  {count} {name}")
    click.echo("receivers:")
    for receiver in found.receivers.values():
        click.echo(f"  {receiver.name}: {_queue(receiver)}")
    if found.notes:
        click.echo("not taken:")
    for note in found.notes:
        click.echo(f"  {note}")


def _counts(found: AlertmanagerFile) -> dict[str, int]:
    return {
        "routes": sum(1 for _ in found.route.walk()) if found.route.receiver else 0,
        "inhibit rules": len(found.inhibit_rules),
        "time intervals": len(found.intervals),
        "receivers": len(found.receivers),
        "template files": len(found.templates),
    }


def _queue(receiver: Receiver) -> str:
    if receiver.told:
        return "; ".join(map(_told, receiver.told))
    if receiver.others:
        kinds = ", ".join(receiver.others)
        return f"{kinds}: the queue {receiver.name} of collector.yml, or else the default queue"
    return "tells nobody: tasks are kept and not delivered"


def _told(each: Told) -> str:
    match each:
        case Email():
            return f"e-mail to {each.to}"
        case Pager():
            return "PagerDuty, in our own words"
        case Webhook():
            return "webhook, in Alertmanager's own form"


def _document(found: AlertmanagerFile) -> dict[str, Any]:
    return {
        "taken": _counts(found),
        "receivers": {name: _queue(each) for name, each in found.receivers.items()},
        "not_taken": [_place(note) for note in found.notes],
        "problems": [_place(problem) for problem in found.problems],
    }


def _place(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "hint": problem.hint,
    }
