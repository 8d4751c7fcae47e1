"""`forewarn rules`: check rule files before they can wake anyone."""

from __future__ import annotations

from pathlib import Path

import click

from forewarn_collector.rules import check_files


@click.group()
def rules() -> None:
    """Check rule files."""


@rules.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
def check(files: tuple[Path, ...]) -> None:
    """Say every problem of rule FILES with its place; exit with 1 if there is one."""
    report = check_files(files)
    for problem in report.problems:
        click.echo(str(problem), err=True)
    if report.problems:
        count = len(report.problems)
        click.echo(f"{count} problem{'s' if count > 1 else ''}", err=True)
        raise SystemExit(1)
    for file, count in report.rules.items():
        click.echo(f"{file}: {count} rule{'s' if count != 1 else ''}, fine")
