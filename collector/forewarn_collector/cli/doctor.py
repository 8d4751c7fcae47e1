"""`forewarn doctor`: what is in a data directory, what is wrong with it and what to do."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from forewarn_collector.care import CareError, Report, examine, repair
from forewarn_collector.cli.directories import ProgressLine
from forewarn_collector.config import DEFAULT_DATA
from forewarn_wire.durations import format_duration

_TIMES = ("earliest", "latest", "events_earliest", "events_latest")
_SIZES = ("bytes", "free", "sample_bytes")


@click.command()
@click.argument("data", metavar="[DIR]", type=click.Path(path_type=Path), default=DEFAULT_DATA)
@click.option("--quick", is_flag=True, help="Do not read every page and chunk.")
@click.option(
    "--repair",
    "mend",
    is_flag=True,
    help="Make damaged indexes anew, and save what can be read of broken files, which are set"
    " aside; the collector must be stopped.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(data: Path, *, quick: bool, mend: bool, as_json: bool) -> None:
    """Look at the data directory DIR, also while its collector runs.

    Without --repair nothing is changed.

    The exit status is 0 where nothing serious is wrong, 1 where something is.
    """
    line = ProgressLine()

    def look() -> Report:
        try:
            return examine(data, lambda name: line.show(f"reading {name}"), thorough=not quick)
        finally:
            line.end()

    try:
        report = look()
        done = repair(data, report) if mend else []
        if done:
            report = look()
    except CareError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(
            json.dumps({**asdict(report), "sound": report.sound, "repaired": done}, indent=2)
        )
    else:
        _show(data, report, done)
    if not report.sound:
        raise SystemExit(1)


def _show(data: Path, report: Report, done: list[str]) -> None:
    click.echo(f"{data}: {'a collector runs' if report.running else 'no collector runs'}")
    for name, facts in report.facts.items():
        click.echo(f"  {name}")
        for key, value in facts.items():
            if value is not None and value != {}:
                click.echo(f"    {key.replace('_', ' ')}: {_plain(key, value)}")
    for text in done:
        click.echo(f"repaired: {text}")
    for finding in report.findings:
        click.echo(f"{'wrong' if finding.serious else 'note'}: {finding.where}: {finding.what}")
        click.echo(f"  -> {finding.remedy}")
    if not report.findings:
        click.echo("nothing is wrong")


def _plain(key: str, value: Any) -> str:
    if key in _TIMES:
        return datetime.fromtimestamp(value / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")
    if key in _SIZES:
        return f"{value / 2**20:,.1f} MiB"
    if key == "lag":
        return format_duration(value // 1000 * 1000) if value >= 1000 else "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {count:,}" for name, count in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
