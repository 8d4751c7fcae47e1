"""`forewarn rules test`: run the unit tests of rules, as promtool does."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import click

from forewarn_collector.rules.testing import FileResult, run_file
from forewarn_collector.rules.testing.junit import junit_xml
from forewarn_collector.rules.testing.report import coverage_lines, debug_lines, file_failures
from forewarn_collector.tasks.rehearsal import rehearsal


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--run",
    "only",
    multiple=True,
    metavar="REGEX",
    help="Only tests whose name this is found in; may be repeated.",
)
@click.option("--diff", is_flag=True, help="Show what differs, line by line.")
@click.option("--debug", is_flag=True, help="Show every sample that a test had in the end.")
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the results to this file as JUnit's XML too.",
)
@click.option("--coverage", is_flag=True, help="Name the rules that no test makes fire.")
def test(
    files: tuple[Path, ...],
    *,
    only: tuple[str, ...],
    diff: bool,
    debug: bool,
    junit: Path | None,
    coverage: bool,
) -> None:
    """Run the tests in FILES, in promtool's format; exit with 1 if one fails."""
    # What goes wrong in a rule is in the report.
    logging.getLogger("forewarn_collector").addHandler(logging.NullHandler())
    pattern = _pattern(only)
    results = []
    for file in files:
        click.echo(f"Unit Testing:  {file}")
        result = run_file(file, rehearsal, only=pattern, diff=diff)
        results.append(result)
        _show(result, debug=debug)
    if pattern is not None and not any(result.cases or result.problems for result in results):
        click.echo(f"WARNING: --run {' --run '.join(only)} finds no test by its name", err=True)
    for line in coverage_lines(results, every=coverage):
        click.echo(line)
    if junit is not None:
        try:
            junit.write_text(junit_xml(results), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{junit} can't be written: {error.strerror}") from error
    if not all(result.passed for result in results):
        raise SystemExit(1)


def _show(result: FileResult, *, debug: bool) -> None:
    for warning in result.warnings:
        click.echo(f"  WARNING: {warning}", err=True)
    if debug:
        for each in result.cases:
            for line in debug_lines(each):
                click.echo(line, err=True)
    if result.passed:
        click.echo("  SUCCESS")
    else:
        click.echo("  FAILED:", err=True)
        for text in file_failures(result):
            click.echo(text, err=True)
            click.echo(err=True)
    click.echo()


def _pattern(only: tuple[str, ...]) -> re.Pattern[str] | None:
    if not only:
        return None
    try:
        return re.compile("|".join(only))
    except re.error as error:
        raise click.BadParameter(f"not a regular expression: {error}", param_hint="--run") from None
