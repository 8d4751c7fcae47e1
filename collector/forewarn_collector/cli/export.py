"""`forewarn export`: samples of a data directory as a file for other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from forewarn_collector.cli.directories import ProgressLine, data_option, selectors_of, time_of
from forewarn_collector.history import DirectoryFeed, HistoryError
from forewarn_collector.transfer import FORMATS, TransferError, export_samples, format_of
from forewarn_wire.clock import Clock
from forewarn_wire.durations import parse_duration

_LONGEST = 1 << 53


@click.command()
@data_option
@click.option(
    "--format",
    "name",
    type=click.Choice(sorted(FORMATS)),
    help="[default: by the name of the file, else openmetrics]",
)
@click.option(
    "--match", multiple=True, help="A selector such as 'up{job=\"web\"}'; may be repeated."
)
@click.option("--from", "begin", default="", help="A time such as 2026-01-31T08:00Z.")
@click.option("--to", "until", default="", help="A time, too. [default: the end]")
@click.option("--since", default="", help="In place of --from: how far back, 6h or 7d.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file. [default: standard output]",
)
@click.pass_obj
def export(
    clock: Clock,
    *,
    data: Path,
    name: str | None,
    match: tuple[str, ...],
    begin: str,
    until: str,
    since: str,
    output: Path | None,
) -> None:
    """Write the samples of a data directory, also while its collector runs.

    OpenMetrics is what `promtool tsdb create-blocks-from openmetrics` and `forewarn import` take;
    it has no stale markers, so they are left out. In CSV their value is empty. Parquet keeps all
    bits and needs pip install 'forewarn[parquet]'.
    """
    if begin and since:
        raise click.UsageError("--from and --since are two ways to say one thing; give one")
    selectors = selectors_of(match)
    start = time_of("--from", begin) if begin else -_LONGEST
    if since:
        start = clock() - _span(since)
    end = time_of("--to", until) if until else _LONGEST
    if name is None:
        suffix = output.suffix[1:] if output is not None else ""
        name = suffix if suffix in FORMATS else "openmetrics"
    line = ProgressLine()
    try:
        feed = DirectoryFeed(data)
        try:
            with _opened(output) as file:
                done = export_samples(
                    feed,
                    selectors,
                    start,
                    end,
                    format_of(name, file),
                    lambda part, samples: line.show(f"{part:4.0%}  {samples:,} samples"),
                )
        finally:
            feed.close()
            line.end()
    except (HistoryError, TransferError) as error:
        raise click.ClickException(str(error)) from error
    except BrokenPipeError:
        # Who read the output has seen enough. Python would complain when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        raise click.ClickException(f"cannot write {output or 'the output'}: {error}") from error
    said = f"{done.samples:,} samples"
    if done.left_out:
        said += f"; {done.left_out:,} stale markers left out, which {name} has not"
    click.echo(said, err=True)
    if done.damaged:
        raise click.ClickException(
            f"{done.damaged} parts of the data are damaged and left out;"
            " `forewarn doctor` says more"
        )


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there under its name only when it is whole."""
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if output.exists():
        raise TransferError(f"{output} is there already; name a new file")
    draft = output.with_name(f".{output.name}.part")
    try:
        with draft.open("wb") as file:
            yield file
        draft.rename(output)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _span(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from error
