"""`forewarn calendar`: what collector.yml's calendars say, and whether a calendar file is good."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from forewarn_collector.calendars import (
    BusinessHours,
    CalendarError,
    Zone,
    instant,
    joined,
    read_ics,
    shifts,
    wall,
    written,
    zone_of,
)
from forewarn_collector.calendars.spans import spans_of
from forewarn_collector.cli.tables import print_table
from forewarn_collector.config import CollectorConfig, read_config
from forewarn_collector.silencing.matchers import Matcher, braced
from forewarn_wire.clock import Clock

DAY = 86_400_000
_MOST_DAYS = 366
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def calendar() -> None:
    """Understand maintenance windows, business hours and who is on call."""


@calendar.command()
@click.option("--config", "file", type=_FILE, required=True, help="collector.yml.")
@click.option("--customer", default="", help="Only what concerns this customer.")
@click.option("--at", "since", default="", help="From this local time. [default: now]")
@click.option(
    "--days", default=14, show_default=True, type=click.IntRange(1, _MOST_DAYS), help="How far."
)
@click.option("--timezone", default="UTC", show_default=True, help="What --at is given in.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with times in ms.")
@click.pass_obj
def show(
    clock: Clock,
    *,
    file: Path,
    customer: str,
    since: str,
    days: int,
    timezone: str,
    as_json: bool,
) -> None:
    """Show windows, business hours and turns of the next days, each in its own time zone."""
    start = _start(since, timezone) if since else clock()
    period = _Period(start, start + days * DAY)
    config = _config(file)
    found = {
        "windows": list(_windows(config, customer, period)),
        "hours": list(_hours(config, customer, period)),
        "on_call": list(_on_call(config, customer, period)),
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    _print("Maintenance windows", ("from", "until", "window", "alerts"), found["windows"])
    _print("Business hours", ("from", "until", "calendar", "day"), found["hours"])
    _print("On call", ("from", "until", "who", "by"), found["on_call"])


@calendar.command()
@click.argument("file", type=_FILE)
@click.option("--timezone", default="UTC", show_default=True, help="Of times that name none.")
@click.option("--days", default=31, show_default=True, type=click.IntRange(1, _MOST_DAYS))
@click.pass_obj
def check(clock: Clock, *, file: Path, timezone: str, days: int) -> None:
    """Check an iCalendar file (*.ics) or a collector.yml; exit with 1 if something is wrong."""
    if file.suffix.lower() != ".ics":
        config = _config(file)
        windows, levels = len(config.calendars.windows), len(config.service.levels)
        click.echo(f"{file}: {windows} maintenance windows, {levels} service levels, all is well")
        return
    zone = _zone(timezone)
    try:
        events = read_ics(file.read_bytes(), zone)
    except CalendarError as error:
        raise click.ClickException("\n".join(f"{file}: {p}" for p in error.problems)) from error
    found = spans_of(events, clock(), clock() + days * DAY)
    click.echo(f"{file}: {len(events)} events, {len(found)} times in the next {days} days")
    rows = [_row(span.start, span.end, span.name, "", zone) for span in found]
    _print("", ("from", "until", "event", ""), rows)


@dataclass(frozen=True)
class _Period:
    since: int
    until: int


_Row = dict[str, Any]


def _row(start: int, end: int, name: str, about: str, zone: Zone) -> _Row:
    return {
        "start": start,
        "end": end,
        "name": name,
        "about": about,
        "shown": [written(start, zone), written(end, zone)],
    }


def _windows(config: CollectorConfig, customer: str, period: _Period) -> Iterator[_Row]:
    found = [
        _row(span.start, span.end, window.name, braced(window.matchers), window.zone)
        for window in config.calendars.windows
        if _concerns(window.matchers, customer)
        for span in joined(window.agenda.between(period.since, period.until))
    ]
    yield from sorted(found, key=lambda row: (row["start"], row["name"]))


def _hours(config: CollectorConfig, customer: str, period: _Period) -> Iterator[_Row]:
    for hours in _of_customer(config, customer, config.calendars.hours, "hours"):
        yield from _of_calendar(hours, period)


def _of_calendar(hours: BusinessHours, period: _Period) -> Iterator[_Row]:
    day = wall(period.since, hours.zone).date()
    while instant(datetime.combine(day, datetime.min.time()), hours.zone) < period.until:
        for span in hours.open_on(day):
            yield _row(span.start, span.end, hours.name, f"{day:%A}", hours.zone)
        holiday = hours.holidays.on(day, hours.zone)
        if holiday is not None:
            start = instant(datetime.combine(day, datetime.min.time()), hours.zone)
            yield _row(start, start, hours.name, f"{day:%A}, closed: {holiday}", hours.zone)
        day += timedelta(days=1)


def _on_call(config: CollectorConfig, customer: str, period: _Period) -> Iterator[_Row]:
    for rotation in _of_customer(config, customer, config.calendars.rotations, "rotation"):
        for shift in shifts(rotation, period.since, period.until):
            yield _row(shift.start, shift.end, shift.who, shift.why, rotation.zone)


def _of_customer(
    config: CollectorConfig, customer: str, known: Mapping[str, Any], what: str
) -> list[Any]:
    """All that are known; of a customer those of the levels that may concern it."""
    if not customer:
        return list(known.values())
    levels = [level for level in config.service.levels if _concerns(level.matchers, customer)]
    wanted = [getattr(level, what) for level in levels]
    return [each for each in known.values() if each in wanted]


def _concerns(matchers: tuple[Matcher, ...], customer: str) -> bool:
    return not customer or all(m.matches(customer) for m in matchers if m.name == "customer")


def _print(title: str, columns: tuple[str, ...], rows: list[_Row]) -> None:
    if not rows:
        click.echo(f"{title}: none" if title else "")
        return
    table = Table(*columns, title=title or None, title_justify="left")
    for row in rows:
        table.add_row(*row["shown"], row["name"], row["about"])
    print_table(table)


def _config(file: Path) -> CollectorConfig:
    try:
        config = read_config(file.read_text("utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {file}: {error}") from error
    if config.problems:
        raise click.ClickException("\n".join(str(problem) for problem in config.problems))
    return config


def _start(text: str, timezone: str) -> int:
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter("expected 2026-03-29 02:00", param_hint="--at") from error
    zone = _zone(timezone)
    return instant(local, zone) if local.tzinfo is None else int(local.timestamp() * 1000)


def _zone(name: str) -> Zone:
    try:
        return zone_of(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timezone") from error
