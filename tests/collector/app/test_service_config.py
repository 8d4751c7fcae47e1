"""`calendars:`, `maintenance:`, `rotations:`, `service_levels:` and `depends_on:`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from forewarn_collector.calendars import NEXT, StepFrom
from forewarn_collector.config import CollectorConfig, read_config

HOUR = 3_600_000


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in read_config(text, "c.yml").problems]


ALL = """
calendars:
  office:
    timezone: Europe/Berlin
    hours: {mon-thu: "08:00-18:00", fri: ["08:00-12:00", "13:00-16:30"]}
    holidays: {2026-04-03: Good Friday, 12-25: Christmas}
maintenance:
  - name: patching
    match: {customer: acme}
    match_re: {instance: web.*}
    timezone: Europe/Berlin
    start: 2026-01-04 02:00
    duration: 2h
    rrule: FREQ=WEEKLY;BYDAY=SU
    except: [2026-12-27]
rotations:
  ops:
    people: [ada, grace]
    timezone: Europe/Berlin
    start: 2026-01-05 09:00
    length: 7d
    overrides: [{who: linus, from: 2026-12-24 00:00, until: 2026-12-27 00:00}]
service_levels:
  - name: gold
    match: {customer: acme}
    calendar: office
    rotation: ops
    due: {critical: 4h}
    steps:
      - {name: remind, after: 30m, notify: managers}
      - {name: hand over, after: 1h, assign: next}
      - {name: late, overdue: 0, severity: critical, stops_on_acknowledgement: true}
depends_on:
  - {target: {service: shop}, on: {service: database}, equal: [site]}
queues:
  support: {kind: log}
  managers: {kind: log}
default_queue: support
"""


@pytest.fixture
def config() -> CollectorConfig:
    found = read_config(ALL, "c.yml")
    assert found.problems == []
    return found


def test_business_hours_are_read(config: CollectorConfig) -> None:
    office = config.calendars.hours["office"]
    # Friday 5 June 2026, 11:00 in Berlin: an hour until noon, then 13:00 to 16:30, then Monday.
    assert office.add(at("2026-06-05T09:00"), 5 * HOUR) == at("2026-06-08T06:30")
    # Good Friday, and a Christmas of a year that no file names.
    assert office.between(at("2026-04-03T10:00"), at("2026-04-03T10:00") + HOUR) == 0
    assert office.between(at("2029-12-25T10:00"), at("2029-12-25T10:00") + HOUR) == 0


def test_a_maintenance_window_is_read(config: CollectorConfig) -> None:
    (window,) = config.calendars.windows
    assert window.concerns({"customer": "acme", "instance": "web1"})
    assert not window.concerns({"customer": "acme", "instance": "db1"})
    assert not window.concerns({"instance": "web1"})
    # Sunday 7 June 2026, 02:00 in Berlin is 00:00 UTC.
    span = window.at(at("2026-06-07T01:59"))
    assert span is not None
    assert (span.start, span.end) == (at("2026-06-07T00:00"), at("2026-06-07T02:00"))
    assert window.at(at("2026-06-07T02:00")) is None
    assert window.at(at("2026-12-27T01:30")) is None
    assert window.at(at("2026-12-20T01:30")) is not None


def test_a_service_level_is_read(config: CollectorConfig) -> None:
    (gold,) = config.service.levels
    assert gold.hours is config.calendars.hours["office"]
    assert gold.rotation is config.calendars.rotations["ops"]
    assert gold.due == {"critical": 4 * HOUR}
    remind, over, late = gold.steps
    assert (remind.counts_from, remind.wait, remind.queue) == (
        StepFrom.OPENED,
        HOUR / 2,
        "managers",
    )
    assert (over.assign, over.stops_on_acknowledgement) == (NEXT, True)
    assert (late.counts_from, late.severity) == (StepFrom.OVERDUE, "critical")


def test_all_mistakes_are_told_at_once_each_with_its_place() -> None:
    found = problems("""calendars:
  a: {timezone: Europe/Berln, hours: {mon: "18:00-08:00"}}
  b: {hours: {fri-mon: "08:00-18:00"}, timezone: UTC, holidays: {13-01: x}}
maintenance:
  - {name: w, start: 2026-01-04 25:00, duration: 5s, rrule: FREQ=SECONDLY, timezone: UTC}
  - {name: w, start: 2026-01-04 02:00+01:00, duration: 1h, rule: x, timezone: UTC}
  - {name: x, start: 2026-01-04 02:00, duration: 1h, match_re: {a: "("}, timezone: UTC}
  - {name: y, ics: /nowhere.ics, timezone: UTC}
rotations:
  r: {people: [], start: 2026-01-05 09:00, length: 1m, timezone: UTC}
service_levels:
  - {name: s, calendar: c, due: {high: soon}, steps: [{name: t}, {name: t, after: 1h, overdue: 1h}]}
  - {name: s, steps: [{name: t, after: 1h, assign: next, notify: nobody}]}
depends_on:
  - {target: {service: a}, on: {service: b}}
  - {target: {service: b}, on: {service: a}}
  - {target: {}, on: {service: a}}
""")
    lines = sorted({int(problem.split(":")[1]) for problem in found})
    assert lines == [2, 3, 5, 6, 7, 8, 10, 12, 13, 16, 17]
    text = "\n".join(found)
    for said in (
        "there is no time zone 'Europe/Berln'",
        "hours must ascend",
        "the week begins with mon",
        "month and day are meant",
        "expected 2026-03-29 02:00, found '2026-01-04 25:00'",
        "expected between 1m and 366d",
        "FREQ=SECONDLY is too often",
        "found '2026-01-04 02:00+01:00'",
        "unknown field rule (did you mean rrule?)",
        "missing closing ): `^(?:()$`",
        "ics: /nowhere.ics: cannot be read: No such file or directory",
        "the names of those who take turns",
        "expected an hour or more",
        "expected one of a, b, found 'c'",
        "not a duration: 'soon'",
        "a step needs one of after, before_due and overdue",
        "2 steps are named t",
        "assign: next needs a rotation",
        "tells nobody, which is no queue",
        "two windows are named w",
        "2 levels are named s",
        "depends_on goes in a circle: {service: a} -> {service: b} -> {service: a}",
        "expected labels, as in {service: database}",
    ):
        assert said in text, said


def test_an_ics_file_that_breaks_leaves_what_it_said_before(tmp_path: Path) -> None:
    path = tmp_path / "w.ics"
    good = (
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:move\r\n"
        "DTSTART:20260601T100000Z\r\nDTEND:20260601T110000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    path.write_text(good)
    config = read_config(f"maintenance: [{{name: p, ics: {path}, timezone: UTC}}]", "c.yml")
    assert config.problems == []
    (window,), (file,) = config.calendars.windows, config.calendars.files
    inside = at("2026-06-01T10:30")
    span = window.at(inside)
    assert span is not None
    assert window.said(span) == "maintenance window p: move, until 2026-06-01 11:00 UTC"
    path.write_text("half a file")
    file.refresh()
    assert file.problem.startswith("is no iCalendar file")
    assert window.at(inside) is not None
    path.unlink()
    file.refresh()
    assert file.problem == "cannot be read: No such file or directory"
    assert window.at(inside) is not None
    path.write_text(good.replace("T11", "T12"))
    file.refresh()
    assert file.problem == ""
    assert window.at(at("2026-06-01T11:30")) is not None


def test_windows_that_adjoin_are_told_as_one(tmp_path: Path) -> None:
    config = read_config(
        "maintenance: [{name: w, timezone: UTC, start: 2026-06-01 00:00, duration: 26h,"
        " rrule: FREQ=DAILY;COUNT=3}]",
        "c.yml",
    )
    (window,) = config.calendars.windows
    span = window.at(at("2026-06-02T01:00"))
    assert span is not None
    # The last of three begins on 3 June at 00:00 and lasts 26 hours.
    assert (span.start, span.end) == (at("2026-06-01T00:00"), at("2026-06-04T02:00"))
