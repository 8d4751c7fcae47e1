"""`forewarn ledger copy`: move the tasks from one kind of database to the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import URL

from forewarn_collector.cli.directories import ProgressLine, data_option
from forewarn_collector.config_ledger import ledger_url
from forewarn_collector.store import StoreError
from forewarn_collector.store.holding import hold
from forewarn_collector.tasks import Ledger, LedgerError
from forewarn_collector.tasks.copying import copy_ledger


@click.group()
def ledger() -> None:
    """The database of tasks."""


@ledger.command("copy")
@data_option
@click.option("--to", "target", metavar="URL", help="Copy into this PostgreSQL database.")
@click.option("--from", "source", metavar="URL", help="Copy from this PostgreSQL database.")
def copy(*, data: Path, source: str | None, target: str | None) -> None:
    """Copy all tasks from the data directory's ledger.db into PostgreSQL, or back.

    Every collector that uses either must be stopped. What is copied into must have no tasks yet;
    what is copied from stays as it is. A password comes by PGPASSFILE or PGPASSWORD.
    """
    if (source is None) == (target is None):
        raise click.UsageError("say --to URL or --from URL, and not both")
    file, server = Ledger(data), Ledger(data, _url(source or target or ""))
    line = ProgressLine()
    try:
        with _held(data):
            if target is not None and not file.path.exists():
                raise LedgerError(f"there is no {file.path}; is --data right?", retryable=False)
            counts = copy_ledger(
                *((file, server) if target is not None else (server, file)),
                lambda table, done, total: line.show(f"{table}: {done:,} of {total:,}"),
            )
    except (LedgerError, StoreError) as error:
        raise click.ClickException(str(error)) from error
    finally:
        line.end()
    told = ", ".join(f"{count:,} {table}" for table, count in counts.items() if count)
    click.echo(f"copied: {told}")
    if target is not None:
        click.echo(f"name {server.name} in collector.yml (ledger:) and start the collector")
    else:
        click.echo("take ledger: out of collector.yml and start the collector")


def _url(text: str) -> URL:
    try:
        url = ledger_url(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if url.password is not None:
        raise click.UsageError(
            "a password stands in the URL, for all to see in the list of processes;"
            " use PGPASSFILE or PGPASSWORD"
        )
    return url


@contextmanager
def _held(data: Path) -> Iterator[None]:
    """No collector uses the data directory meanwhile. Raises StoreError."""
    if not data.is_dir():
        raise click.BadParameter(f"there is no directory {data}", param_hint="--data")
    held = hold(data)
    try:
        yield
    finally:
        os.close(held)
