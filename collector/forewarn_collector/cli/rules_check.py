"""`forewarn rules check`: every problem of rule files with its place, and what lints remark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from forewarn_collector.cli.client import Client
from forewarn_collector.cli.signals import CollectorSignals, DirectorySignals
from forewarn_collector.history import HistoryError
from forewarn_collector.rules.check import Report, check_files
from forewarn_collector.rules.check_formats import findings_json, github_command
from forewarn_collector.rules.fields import NameScheme
from forewarn_collector.rules.lint import COMMENTS, LINTS, NAMES, Signals

_PATH = click.Path(path_type=Path)


@click.command(
    epilog="\b\nLints, all of them warnings (docs/rules.md tells more):\n"
    + "\n".join(f"  {lint.name}: {lint.about}" for lint in LINTS)
    + f"\n  {COMMENTS}: a comment that turns off what there is not"
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="How to say it: github marks the lines of a pull request.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option(
    "--disable",
    "without",
    multiple=True,
    metavar="LINT",
    help="Leave out a lint; may be repeated. In a file: # forewarn: disable LINT",
)
@click.option(
    "--names",
    type=click.Choice([scheme.value for scheme in NameScheme]),
    default=NameScheme.UTF8.value,
    show_default=True,
    help="Which names there may be: legacy refuses what Prometheus 2 does not read.",
)
@click.option("--server", help="Compare with the series of this running collector.")
@click.option("--data", type=_PATH, help="Compare with the series in this data directory.")
@click.option("--token-file", type=_PATH, help="File with the token for --server.")
@click.option("--ca-file", type=_PATH, help="The authority of an https --server, in PEM.")
def check(
    files: tuple[Path, ...],
    *,
    form: str,
    strict: bool,
    without: tuple[str, ...],
    names: str,
    server: str | None,
    data: Path | None,
    token_file: Path | None,
    ca_file: Path | None,
) -> None:
    """Say every problem of rule FILES with its place; exit with 1 if one is an error.

    A folder stands for all rule files in it. With --server or --data, selectors and joins are
    compared with the series that are there.
    """
    for name in without:
        if name not in NAMES:
            known = ", ".join(sorted(NAMES))
            raise click.BadParameter(f"there is no lint {name}; there are {known}")
    if server is not None and data is not None:
        raise click.UsageError("--data goes without --server")
    client = None if server is None else Client(server, token_file, ca_file)
    with _signals(client, data) as signals:
        report = check_files(
            files, scheme=NameScheme(names), without=frozenset(without), signals=signals
        )
    if not report.rules and not report.errors:
        raise click.ClickException(f"there is no rule file in {', '.join(map(str, files))}")
    _WAYS[form](report)
    if report.errors or (strict and report.warnings):
        raise SystemExit(1)


@contextmanager
def _signals(client: Client | None, data: Path | None) -> Iterator[Signals | None]:
    if client is not None:
        yield CollectorSignals(client)
    elif data is not None:
        try:
            found = DirectorySignals(data)
        except HistoryError as error:
            raise click.ClickException(str(error)) from error
        try:
            yield found
        finally:
            found.close()
    else:
        yield None


def _say_text(report: Report) -> None:
    for finding in report.findings:
        click.echo(str(finding), err=True)
    counts = [
        f"{len(found)} {word}{'s' * (len(found) != 1)}"
        for found, word in ((report.errors, "problem"), (report.warnings, "warning"))
        if found
    ]
    if counts:
        click.echo(", ".join(counts), err=True)
    if report.errors:
        return
    warned = {finding.file for finding in report.warnings}
    for file, count in report.rules.items():
        verdict = "with warnings" if file in warned else "fine"
        click.echo(f"{file}: {count} rule{'s' if count != 1 else ''}, {verdict}")


def _say_json(report: Report) -> None:
    click.echo(findings_json(report.findings))


def _say_github(report: Report) -> None:
    for finding in report.findings:
        click.echo(github_command(finding))


_WAYS: dict[str, Callable[[Report], None]] = {
    "text": _say_text,
    "json": _say_json,
    "github": _say_github,
}
