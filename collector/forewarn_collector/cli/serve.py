"""`forewarn serve`: run the collector."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import sys
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource
from sqlalchemy import URL

from forewarn_collector.app import Collector
from forewarn_collector.config import (
    DEFAULT_DATA,
    DEFAULT_LISTEN,
    CollectorConfig,
    ConfigError,
    parse_listen,
    parse_retention,
    read_config,
)
from forewarn_collector.config_ledger import ledger_url
from forewarn_collector.listening import StartError
from forewarn_collector.store import StoreError
from forewarn_collector.tasks.errors import LedgerError
from forewarn_wire.clock import Clock


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="collector.yml; the other options win over it.",
)
@click.option("--listen", help=f"Address and port; port 0 takes any. [default: {DEFAULT_LISTEN}]")
@click.option("--data", type=click.Path(path_type=Path), help=f"[default: {DEFAULT_DATA}]")
@click.option(
    "--ledger",
    envvar="FOREWARN_LEDGER",
    show_envvar=True,
    metavar="URL",
    help="A PostgreSQL database for tasks. [default: a file in the data directory]",
)
@click.option(
    "--rules",
    multiple=True,
    help="Rule file or glob; may be repeated. [default: the rules that ship]",
)
@click.option("--retention", help="How long samples are kept, and events. [default: 400d]")
@click.option("--no-auth", is_flag=True, help="Need no token; on a loopback address only.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning"]), default="info")
@click.pass_obj
def serve(
    clock: Clock,
    *,
    config_file: Path | None,
    listen: str | None,
    data: Path | None,
    ledger: str | None,
    rules: tuple[str, ...],
    retention: str | None,
    no_auth: bool,
    log_level: str,
) -> None:
    """Take signals, apply the rules, open and deliver tasks; until SIGTERM or Ctrl-C."""
    logging.basicConfig(
        level=log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # It tells of each of its parts whenever a ledger is made.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = CollectorConfig()
    if config_file is not None:
        try:
            config = read_config(config_file.read_text("utf-8"), str(config_file))
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"cannot read {config_file}: {error}") from error
    try:
        if ledger is not None:
            config = replace(config, ledger=_ledger_url(ledger))
        if listen is not None:
            config = replace(config, listen=parse_listen(listen))
        if retention is not None:
            config = replace(config, retention=parse_retention(retention))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    config = replace(
        config,
        data=data or config.data,
        rules=rules or config.rules,
        auth=config.auth and not no_auth,
    )
    try:
        asyncio.run(_serve(config, clock))
    except (ConfigError, StartError, LedgerError, StoreError) as error:
        # The last two where a file turns out to be damaged only after it was opened.
        raise click.ClickException(str(error)) from error


def _ledger_url(value: str) -> URL:
    """The URL given. A password may come by the environment only: others see command lines."""
    url = ledger_url(value)
    source = click.get_current_context().get_parameter_source("ledger")
    if url.password is not None and source is ParameterSource.COMMANDLINE:
        raise ValueError(
            "--ledger: a password stands in the URL, for all to see in the list of processes;"
            " set FOREWARN_LEDGER to the URL, or name a password_file in collector.yml"
        )
    return url


# Python's default of 5 ms is what a thread waits for the interpreter's lock whenever another one
# computes, and a small write takes the lock a dozen times on its way to the disk.
_SWITCH_SECONDS = 0.0005


def _allow_files() -> None:
    """Allow as many open files as may be: each agent keeps a connection, and 1,024 is usual."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _serve(config: CollectorConfig, clock: Clock) -> None:
    sys.setswitchinterval(_SWITCH_SECONDS)
    _allow_files()
    collector = Collector(config, clock)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await collector.start()
    # What is there now stays: to look through it for garbage again and again would stop all
    # threads for a tenth of a second each time.
    gc.collect()
    gc.freeze()
    loop.add_signal_handler(signal.SIGHUP, collector.reload)
    try:
        await stop.wait()
    finally:
        await collector.stop()
