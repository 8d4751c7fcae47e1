"""`forewarn rules`: check rule files before they can wake anyone, and see what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from forewarn_collector.cli.client import Client, connection
from forewarn_collector.cli.rules_backtest import backtest_command
from forewarn_collector.cli.rules_check import check
from forewarn_collector.cli.rules_status import status
from forewarn_collector.cli.rules_test import test
from forewarn_collector.rules import (
    RuleFileError,
    RuleStatus,
    load_rules,
    plan_lines,
    rule_plans,
)

_FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)


@click.group(commands=[backtest_command, check, status, test])
def rules() -> None:
    """Check, test and backtest rule files; see how rules fare and how they are evaluated."""


@rules.command()
@_FILES
@connection
def explain(files: tuple[Path, ...], *, client: Client, as_json: bool) -> None:
    """Show the plan of every rule of FILES: what it shares with others and what is kept.

    How many series there are and what the last evaluation took is asked of the collector, if it
    runs and has the rule.
    """
    try:
        loaded = load_rules(list(files))
    except RuleFileError as error:
        raise click.ClickException(str(error)) from error
    local = [plan.to_json() for plan in rule_plans([*map(RuleStatus, loaded.rules())], None)]
    try:
        running = {_identity(plan): plan for plan in client.get("/api/rules/plans")["rules"]}
    except click.ClickException as error:
        click.echo(f"plans only, without figures: {error.message}", err=True)
        running = {}
    plans = [running.get(_identity(plan), plan) for plan in local]
    if as_json:
        click.echo(json.dumps({"rules": plans}, indent=2))
        return
    for plan in plans:
        click.echo(f"{plan['group']}/{plan['name']}: {_last_evaluation(plan)}")
        for line in plan_lines(plan["plan"], 1):
            click.echo(line)
        click.echo()


def _identity(plan: Mapping[str, Any]) -> tuple[str, str, str]:
    """What makes a rule of a file that of the collector, which may have read it elsewhere."""
    return plan["group"], plan["name"], plan["query"]


def _last_evaluation(plan: Mapping[str, Any]) -> str:
    at = plan["last_evaluation_at"]
    if at is None:
        return "not evaluated"
    if plan["last_error"]:
        return f"failed: {plan['last_error']}"
    when = datetime.fromtimestamp(at / 1000).astimezone().strftime("%H:%M:%S")
    size, milliseconds = plan["elements"], plan["evaluation_seconds"] * 1000
    return f"{size:,} element{'s' * (size != 1)} in {milliseconds:.3f} ms at {when}"
