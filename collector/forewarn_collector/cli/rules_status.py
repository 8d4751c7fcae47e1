"""`forewarn rules status`: how the rules of a running collector fare, the worst first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import click
from rich.table import Table

from forewarn_collector.cli.client import Client, connection
from forewarn_collector.cli.tables import plain, print_table

_STATES = ("firing", "unknown", "pending", "inactive")
_COLOURS = {"failed": "red", "firing": "dark_orange", "unknown": "magenta", "pending": "yellow"}


@click.command()
@click.option("--failed", is_flag=True, help="Only rules whose last evaluation failed.")
@connection
def status(*, failed: bool, client: Client, as_json: bool) -> None:
    """Show how every rule of the running collector fares: its state, its last error, its time.

    Rules that fail come first, then those with alerts that fire, are unknown or pending. Exits
    with 1 if a rule fails, or if the rule files were changed and are refused.
    """
    groups = client.get("/api/v1/rules")["data"]["groups"]
    refused = client.get("/api/v1/status/runtimeinfo").get("warnings", [])
    rows = sorted(_rows(groups), key=_worst_first)
    failures = [row for row in rows if row["health"] == "err"]
    shown = failures if failed else rows
    if as_json:
        click.echo(json.dumps({"rules": shown}, indent=2))
    elif shown:
        _print(shown)
    else:
        click.echo("no rule failed" if rows else "the collector has no rules")
    for warning in refused:
        click.echo(
            f"the rule files are refused, the rules before them stay in force:\n{warning}", err=True
        )
    if failures or refused:
        raise SystemExit(1)


def _rows(groups: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for group in groups:
        for rule in group["rules"]:
            counts = Counter(alert["state"] for alert in rule.get("alerts", ()))
            yield {
                "group": group["name"],
                "file": group["file"],
                "name": rule["name"],
                "type": rule["type"],
                "state": rule.get("state", ""),
                "health": rule["health"],
                "last_error": rule.get("lastError", ""),
                "last_evaluation": rule["lastEvaluation"],
                "evaluation_seconds": rule["evaluationTime"],
                "alerts": {state: counts[state] for state in _STATES if counts[state]},
            }


def _worst_first(row: Mapping[str, Any]) -> tuple[bool, int]:
    state = row["state"]
    return row["health"] != "err", _STATES.index(state) if state in _STATES else len(_STATES)


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("RULE", "STATE", "ALERTS", "EVALUATED", "MS", "ERROR"):
        last = title in {"RULE", "ERROR"}
        table.add_column(
            title,
            overflow="fold" if last else "ellipsis",
            justify="right" if title == "MS" else "left",
        )
    for row in rows:
        state = "failed" if row["health"] == "err" else row["state"] or "records"
        if row["health"] == "unknown":
            state = "not evaluated"
        table.add_row(
            plain(f"{row['group']}/{row['name']}"),
            f"[{_COLOURS.get(state, 'default')}]{state}[/]",
            ", ".join(f"{count} {name}" for name, count in row["alerts"].items()) or "-",
            _time_of_day(row["last_evaluation"]) if row["health"] != "unknown" else "-",
            f"{row['evaluation_seconds'] * 1000:.1f}",
            plain(row["last_error"]) or "-",
        )
    print_table(table)


def _time_of_day(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S")
