"""`forewarn rules backtest`: what rules would have made of the signals of the past."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import click

from forewarn_collector.cli.backtest_progress import watching
from forewarn_collector.cli.backtest_source import SourceOptions, source_options
from forewarn_collector.cli.backtest_time import parse_moment
from forewarn_collector.config import CollectorConfig, ConfigError, read_config
from forewarn_collector.history import HistoryError, Window, selector_text
from forewarn_collector.promql import LOOKBACK
from forewarn_collector.rules import RuleFileError, RuleSet, load_rules
from forewarn_collector.rules.backtest import EXACT, Span
from forewarn_collector.rules.narrow import narrowed
from forewarn_collector.store.matching import metric_of
from forewarn_collector.tasks.backtest import BacktestResult, backtest
from forewarn_collector.tasks.backtest_report import (
    compare,
    counted,
    difference_document,
    difference_lines,
    failure_lines,
    lasting,
    moment,
    names,
    result_document,
    summary_lines,
    task_lines,
    zone,
)
from forewarn_collector.tasks.errors import LedgerError
from forewarn_wire.clock import Clock
from forewarn_wire.durations import format_duration, parse_duration

_DAY = 86_400_000
_ELSEWHERE = 90 * _DAY
"""How far (ms) before the time asked for signals are searched, to say where there are any."""
_ALERTS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


@dataclass(frozen=True, slots=True)
class Past:
    """The signals that are replayed, and over which time (ms) there are any; `wanted` was asked."""

    window: Window
    name: str
    span: Span
    wanted: Span


@click.command("backtest")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--since", metavar="DURATION", help="So long until now. [default: 30d]")
@click.option(
    "--from", "start", metavar="TIME", help="RFC 3339, seconds since 1970, or a duration ago."
)
@click.option("--to", "end", metavar="TIME", help="The same. [default: now]")
@source_options
@click.option(
    "--resolution",
    metavar="DURATION",
    help="Put evaluations off to multiples of it; 1ms: none. [default: the finest that is quick]",
)
@click.option("--rule", "only", metavar="REGEX", help="Only alerts whose name this is found in.")
@click.option(
    "--diff",
    "old_files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="OLD",
    help="Compare with these rules over the same signals; may be repeated.",
)
@click.option("--verbose", is_flag=True, help="All tasks of all rules, each flap, hosts by week.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_obj
def backtest_command(
    clock: Clock,
    *,
    files: tuple[Path, ...],
    since: str | None,
    start: str | None,
    end: str | None,
    source: SourceOptions,
    resolution: str | None,
    only: str | None,
    old_files: tuple[Path, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """Replay stored signals through the rules of FILES: which tasks would have opened when.

    Signals are read from a data directory (also of a collector that runs), or from a Prometheus.
    Exits with 1 if the files have mistakes or a rule failed to evaluate.
    """
    # What goes wrong in a rule is in the report.
    logging.getLogger("forewarn_collector").addHandler(logging.NullHandler())
    config = _config(source.config)
    wanted = _span(since, start, end, clock())
    step = _resolution(resolution)
    pattern = _pattern(only)
    rules = _rules(files, config, pattern)
    old = _rules(old_files, config, pattern) if old_files else None
    everything = verbose or only is not None
    try:
        name, window = source.open(config, _selectors(rules, old))
        with closing(window):
            past = Past(window, name, _clipped(window, name, wanted, clock()), wanted)
            found = _replay(rules, past, config, step, pattern, "replaying")
            # At the same resolution: else the instants would differ, too.
            same = found.replayed.resolution
            before = _replay(old, past, config, same, pattern, "the old version") if old else None
            unmatched = _unmatched(rules, window)
    except (HistoryError, LedgerError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
        raise SystemExit(130) from None
    if as_json:
        click.echo(json.dumps(_document(past, found, before, unmatched), indent=2))
    else:
        _show(past, found, before, unmatched, everything=everything)
    failures = list(failure_lines(rules.rules(), found.replayed.outcomes))
    for line in failures:
        click.echo(line, err=True)
    if failures:
        raise SystemExit(1)


def _show(
    past: Past,
    found: BacktestResult,
    before: BacktestResult | None,
    unmatched: dict[str, list[str]],
    *,
    everything: bool,
) -> None:
    span = past.span
    click.echo(
        f"{past.name}: {moment(span.start)} to {moment(span.end)} {zone(span.end)},"
        f" {lasting(span.length)}"
    )
    if found.replayed.resolution > EXACT:
        step = format_duration(found.replayed.resolution)
        click.echo(f"evaluated every {step}, not at every sample (--resolution 1ms does)")
    if past.window.damaged:
        click.echo(f"{counted(past.window.damaged, 'record')} in it could not be read")
    if span.start > past.wanted.start + LOOKBACK:
        click.echo(f"there is nothing older, back to {moment(past.wanted.start)}")
    click.echo()
    if before is not None:
        lines = difference_lines(compare(before, found), before, found, everything=everything)
        for line in lines:
            click.echo(line)
        return
    for line in summary_lines(found, everything=everything):
        click.echo(line)
    for line in task_lines(found, everything=everything):
        click.echo(line)
    if unmatched:
        click.echo()
        click.echo("found nothing in all that time, so that what needs it can't fire:")
        shown = list(unmatched.items())
        for selector, readers in shown if everything else shown[:10]:
            click.echo(f"  {selector}: {names(readers, everything=everything)}")
        if not everything and len(shown) > 10:
            click.echo(f"  and {counted(len(shown) - 10, 'selector')} more (--verbose)")


def _document(
    past: Past,
    found: BacktestResult,
    before: BacktestResult | None,
    unmatched: dict[str, list[str]],
) -> dict[str, Any]:
    document = {
        "source": past.name,
        **result_document(found),
        "unmatched": [
            {"selector": selector, "rules": readers} for selector, readers in unmatched.items()
        ],
    }
    if before is not None:
        document["old"] = result_document(before)
        document["diff"] = difference_document(compare(before, found), found.span)
    return document


def _replay(
    rules: RuleSet,
    past: Past,
    config: CollectorConfig,
    resolution: int | None,
    pattern: re.Pattern[str] | None,
    title: str,
) -> BacktestResult:
    began = monotonic()
    with watching(title) as progress:
        found = backtest(
            rules,
            past.window,
            past.span,
            progress=progress,
            resolution=resolution,
            external_url=config.external_url,
            external_labels=dict(config.external_labels),
        )
    seconds = max(monotonic() - began, 1e-3)
    count = sum(1 for _ in rules.rules())
    speed = count * past.span.length / _DAY / seconds
    click.echo(
        f"{title}: {counted(count, 'rule')}, {found.replayed.samples:,} samples in {seconds:.1f} s,"
        f" {speed:,.0f} rule-days per second",
        err=True,
    )
    # Rules that others need were replayed, too.
    return replace(
        found,
        rules=[each for each in found.rules if pattern is None or pattern.search(each.rule.name)],
    )


def _rules(
    files: Sequence[Path], config: CollectorConfig, pattern: re.Pattern[str] | None
) -> RuleSet:
    try:
        rules = load_rules(files, interval=config.evaluation_interval)
    except RuleFileError as error:
        click.echo(str(error), err=True)
        raise SystemExit(1) from error
    if not rules.groups:
        raise click.ClickException(f"there are no rules in {', '.join(map(str, files))}")
    if pattern is None:
        return rules
    found = narrowed(rules, lambda rule: bool(pattern.search(rule.name)))
    if not found.groups:
        raise click.BadParameter("no alert has such a name", param_hint="--rule")
    return found


def _selectors(*sets: RuleSet | None) -> list[Any]:
    """All that the rules read."""
    return [
        selector.matchers
        for rules in sets
        if rules is not None
        for rule in rules.rules()
        for selector in rule.query.selectors
    ]


def _unmatched(rules: RuleSet, window: Window) -> dict[str, list[str]]:
    """Selectors that found nothing, each with the names of the rules that need it."""
    made = {*rules.recording(), *_ALERTS}
    found: dict[str, list[str]] = {}
    for rule in rules.rules():
        for selector in rule.query.selectors:
            if selector.negated or metric_of(selector.matchers) in made:
                continue
            if not window.found(selector.matchers):
                readers = found.setdefault(selector_text(selector.matchers), [])
                if rule.name not in readers:
                    readers.append(rule.name)
    return found


def _clipped(window: Window, name: str, wanted: Span, now: int) -> Span:
    """The part of the time with signals: before, rules would wait for what never came."""
    found = window.extent(wanted.start, wanted.end)
    if found is not None:
        return Span(*found)
    for start, end in ((wanted.start - _ELSEWHERE, wanted.start - 1), (wanted.end + 1, now)):
        other = window.extent(start, end) if start <= end else None
        if other is not None:
            raise click.ClickException(
                f"{name} has no signals from {moment(wanted.start)} to {moment(wanted.end)}; it has"
                f" some from {moment(other[0])} to {moment(other[1])}: use --from and --to"
            )
    raise click.ClickException(
        f"{name} has no signals that these rules read from {moment(wanted.start)} to"
        f" {moment(wanted.end)}, nor {lasting(_ELSEWHERE)} before it"
    )


def _span(since: str | None, start: str | None, end: str | None, now: int) -> Span:
    if since is not None and (start is not None or end is not None):
        raise click.UsageError("--since goes without --from and --to")
    last = now if end is None else _read("--to", lambda: parse_moment(end, now))
    if start is not None:
        first = _read("--from", lambda: parse_moment(start, now))
    else:
        first = last - _read("--since", lambda: parse_duration(since or "30d"))
    if first >= last:
        raise click.UsageError(f"the time ends ({moment(last)}) before it begins ({moment(first)})")
    return Span(first, last)


def _resolution(text: str | None) -> int | None:
    if text is None:
        return None
    found = _read("--resolution", lambda: parse_duration(text))
    if found < EXACT:
        raise click.BadParameter("1ms is the least, at every sample", param_hint="--resolution")
    return found


def _read(option: str, reading: Callable[[], int]) -> int:
    try:
        return reading()
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _config(file: Path | None) -> CollectorConfig:
    if file is None:
        return CollectorConfig()
    try:
        config = read_config(file.read_text("utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {file}: {error}") from error
    if config.problems:
        raise click.ClickException(str(ConfigError(config.problems)))
    return config


def _pattern(only: str | None) -> re.Pattern[str] | None:
    try:
        return None if only is None else re.compile(only)
    except re.error as error:
        raise click.BadParameter(
            f"not a regular expression: {error}", param_hint="--rule"
        ) from None
