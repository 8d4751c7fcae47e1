"""`forewarn backup`: a copy of a data directory, while its collector runs."""

from __future__ import annotations

from pathlib import Path

import click

from forewarn_collector.care import CareError, back_up
from forewarn_collector.cli.directories import ProgressLine, data_option


@click.command()
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@data_option
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="collector.yml, to be copied too.",
)
def backup(target: Path, *, data: Path, config: Path | None) -> None:
    """Copy the data directory to DIR, new or empty, and check the copy.

    The collector may run; every sample, event and task that it had accepted before is in the copy.
    To restore, stop the collector and put the copy in the place of its data directory.
    Tasks in PostgreSQL are not copied: back that up with pg_dump.
    """
    line = ProgressLine()
    try:
        done = back_up(data, target, config, lambda name, part: line.show(f"{part:4.0%}  {name}"))
    except CareError as error:
        raise click.ClickException(str(error)) from error
    finally:
        line.end()
    for file in done.files:
        rows = ", ".join(f"{count:,} {table}" for table, count in file.rows.items() if count)
        click.echo(f"{file.name}: {file.bytes:,} bytes{': ' * bool(rows)}{rows}")
    if done.elsewhere:
        click.echo(
            f"not copied: the tasks, which are in {done.elsewhere}; back that up with pg_dump"
            " after this, so that it has every task whose signals are here"
        )
    for problem in done.problems:
        click.echo(f"damaged: {problem}", err=True)
    if done.problems:
        raise click.ClickException(
            f"{target} is a copy of damaged data; `forewarn doctor {data}` says what to do"
        )
    click.echo(f"{target} is whole and sound")
