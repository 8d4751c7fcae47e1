"""Reads an alertmanager.yml: everything wrong with it at once, and what of it is not taken.

Source: https://prometheus.io/docs/alerting/latest/configuration/ and prometheus/alertmanager
`config/config.go`. What Alertmanager refuses is refused here; what it takes and Forewarn does not
is a note with its place, never passed over in silence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from forewarn_collector.silencing.configuration import AlertmanagerFile
from forewarn_collector.silencing.inhibition import InhibitRule
from forewarn_collector.silencing.intervals import (
    TimeInterval,
    read_days_of_month,
    read_months,
    read_time,
    read_weekdays,
    read_years,
    read_zone,
)
from forewarn_collector.silencing.masking import masked
from forewarn_collector.silencing.reading_fields import Notes, matchers_of, ranges, read_labels
from forewarn_collector.silencing.reading_receivers import read_receivers
from forewarn_collector.silencing.reading_routes import read_route
from forewarn_collector.silencing.reading_templates import read_template_files
from forewarn_collector.silencing.received import RESOLVE_TIMEOUT
from forewarn_wire import Problem
from forewarn_wire.document import Section, read_document
from forewarn_wire.readers import duration, text


def read_alertmanager_file(content: str, file: str) -> AlertmanagerFile:
    """Read the text of a file; what is wrong is in `.problems`, nothing is raised."""
    problems: list[Problem] = []
    notes = Notes(file)
    document = read_document(content, file, problems)
    if document is None:
        if not problems:
            problems.append(Problem(file, 1, 1, "no routes provided", "begin with route:"))
        return AlertmanagerFile(problems=tuple(problems))
    common = document.section("global")
    timeout = RESOLVE_TIMEOUT
    if common is not None:
        timeout = common.take("resolve_timeout", duration, RESOLVE_TIMEOUT)
    receivers = read_receivers(document, common, notes)
    intervals = _intervals(document, "mute_time_intervals")
    for name, found in _intervals(document, "time_intervals").items():
        if name in intervals:
            document.problem("time_intervals", f"time interval {name!r} is not unique")
        intervals[name] = found
    rules = tuple(_inhibit_rule(section) for section in document.sections("inhibit_rules"))
    templates = read_template_files(document, notes)
    route = read_route(document, frozenset(receivers), frozenset(intervals), notes)
    document.refuse_unknown()
    return AlertmanagerFile(
        route,
        receivers,
        rules,
        intervals,
        timeout,
        notes.sorted(),
        tuple(sorted(problems, key=lambda problem: (problem.line, problem.column))),
        masked(content),
        file,
        templates,
    )


def receivers_in(path: Path | None) -> tuple[str, ...]:
    """The names of the queues that the receivers in a file are; none where it is not good."""
    if path is None:
        return ()
    try:
        file = read_alertmanager_file(path.read_text("utf-8", "replace"), str(path))
    except OSError:
        return ()
    return tuple(queue for receiver in file.receivers.values() for queue in receiver.queues)


def _inhibit_rule(section: Section) -> InhibitRule:
    none: tuple[str, ...] = ()
    rule = InhibitRule(
        matchers_of(section, "source_match", "source_match_re", "source_matchers"),
        matchers_of(section, "target_match", "target_match_re", "target_matchers"),
        section.take("equal", read_labels, none),
        section.place()[0],
    )
    section.refuse_unknown()
    return rule


def _intervals(document: Section, field: str) -> dict[str, tuple[TimeInterval, ...]]:
    found: dict[str, tuple[TimeInterval, ...]] = {}
    for section in document.sections(field):
        name = section.require("name", text, "")
        if name in found:
            section.problem("name", f"time interval {name!r} is not unique")
        found[name] = tuple(_interval(each) for each in section.sections("time_intervals"))
        section.refuse_unknown()
    return found


def _interval(section: Section) -> TimeInterval:
    interval = TimeInterval(
        times=tuple(_times(section)),
        weekdays=section.take("weekdays", ranges(read_weekdays), ()),
        days_of_month=section.take("days_of_month", ranges(read_days_of_month), ()),
        months=section.take("months", ranges(read_months), ()),
        years=section.take("years", ranges(read_years), ()),
        zone=section.take("location", lambda value: read_zone(text(value)), read_zone("UTC")),
    )
    section.refuse_unknown()
    return interval


def _times(section: Section) -> Iterator[tuple[int, int]]:
    for each in section.sections("times"):
        before = len(each.problems)
        start = each.require("start_time", lambda value: read_time(_clock(value)), 0)
        end = each.require("end_time", lambda value: read_time(_clock(value)), 1)
        each.refuse_unknown()
        if len(each.problems) > before:
            continue
        if start >= end:
            hint = "for a night, give two: 22:00 to 24:00 and 00:00 to 06:00"
            each.problem("end_time", "start time cannot be equal or greater than end time", hint)
        else:
            yield start, end


def _clock(value: object) -> str:
    # YAML 1.1 reads 17:00 as a number of sixties; Alertmanager's reader takes it as it is written.
    if isinstance(value, int) and not isinstance(value, bool) and 600 <= value <= 1440:
        return f"{value // 60:02}:{value % 60:02}"
    return text(value)
