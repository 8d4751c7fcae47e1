"""`forewarn import`: samples of another program into the data directory of a stopped collector."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import BinaryIO, cast

import click

from forewarn_collector.cli.directories import ProgressLine, data_option
from forewarn_collector.store import Store, StoreError
from forewarn_collector.transfer import Imported, LineError, import_lines
from forewarn_wire.clock import Clock

_SHOWN = 20
_FOREVER = 1 << 62


@click.command("import")
@click.argument(
    "file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
)
@data_option
@click.option("--strict", is_flag=True, help="Stop at the first line that cannot be taken.")
@click.pass_obj
def import_samples(clock: Clock, *, file: Path, data: Path, strict: bool) -> None:
    """Bring FILE (- is standard input) into the data directory of a collector that is stopped.

    FILE is OpenMetrics with timestamps, or what `promtool tsdb dump` prints; also packed by gzip.
    Samples that are there already are left as they are, so that an import can be repeated. No rule
    is evaluated for them. What is older than the retention goes when the collector runs again.
    """
    line = ProgressLine()
    shown = 0

    def refused(error: LineError) -> None:
        nonlocal shown
        if strict:
            raise click.ClickException(f"{file}: {error}; what came before it is stored")
        shown += 1
        if shown <= _SHOWN:
            line.end()
            click.echo(f"{file}: {error}", err=True)

    def progress(done: Imported) -> None:
        line.show(f"{done.added:,} samples added, {done.duplicates:,} there already")

    store = Store(data, retention=_FOREVER, clock=clock)
    try:
        with _opened(file) as lines:
            store.open()
            try:
                done = import_lines(store, lines, refused, progress)
            finally:
                store.close()
                line.end()
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    except (OSError, EOFError) as error:
        raise click.ClickException(f"cannot read {file}: {error}") from error
    if shown > _SHOWN:
        click.echo(f"{file}: and {shown - _SHOWN:,} more lines", err=True)
    click.echo(
        f"{done.added:,} samples added, {done.duplicates:,} there already,"
        f" {done.refused:,} lines refused"
    )
    if done.refused:
        raise SystemExit(1)


def _opened(file: Path) -> BinaryIO:
    if str(file) == "-":
        return sys.stdin.buffer
    opened = file.open("rb")
    packed = opened.read(2) == b"\x1f\x8b"
    opened.seek(0)
    return cast(BinaryIO, gzip.open(opened)) if packed else opened
