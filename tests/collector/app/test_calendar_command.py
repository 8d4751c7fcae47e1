"""`forewarn calendar`: what is shown, and what is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forewarn_collector.cli import build

CONFIG = """
calendars:
  office:
    timezone: Europe/Berlin
    hours: {mon-fri: "08:00-18:00"}
    holidays: {2026-04-03: Good Friday}
maintenance:
  - name: patching
    match: {customer: acme}
    timezone: Europe/Berlin
    start: 2026-01-04 02:00
    duration: 2h
    rrule: FREQ=WEEKLY;BYDAY=SU
rotations:
  ops: {people: [ada, grace], timezone: Europe/Berlin, start: 2026-01-05 09:00, length: 7d}
service_levels:
  - {name: gold, match: {customer: acme}, calendar: office, rotation: ops}
"""
NOW = int(datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp() * 1000)


def run(*words: str) -> Result:
    return CliRunner().invoke(build(lambda: NOW), ["calendar", *words])


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "collector.yml"
    path.write_text(CONFIG)
    return str(path)


def test_show_tells_windows_hours_and_turns_in_local_time(config: str) -> None:
    found = run("show", "--config", config, "--days", "7")
    assert found.exit_code == 0
    # 02:00 does not come on 29 March: the window begins at 03:00 of summer time and lasts 2 hours.
    assert "2026-03-29 03:00 CEST │ 2026-03-29 05:00 CEST │ patching" in found.output
    assert "2026-03-30 08:00 CEST │ 2026-03-30 18:00 CEST │ office" in found.output
    assert "Friday, closed: Good Friday" in found.output
    # 12 weeks after 5 January it is the first one's turn again.
    assert "2026-03-30 09:00 CEST │ 2026-04-06 09:00 CEST │ ada" in found.output


def test_show_of_another_customer_and_as_json(config: str) -> None:
    found = run("show", "--config", config, "--customer", "other", "--json")
    assert json.loads(found.output) == {"windows": [], "hours": [], "on_call": []}
    found = run("show", "--config", config, "--customer", "acme", "--json", "--days", "1")
    (window,) = json.loads(found.output)["windows"]
    # 01:00 UTC of 29 March.
    assert window["start"] == NOW + 13 * 3_600_000
    assert window["end"] - window["start"] == 2 * 3_600_000


def test_show_from_another_time(config: str) -> None:
    found = run("show", "--config", config, "--at", "2026-06-07 00:00", "--days", "1")
    assert "2026-06-07 02:00 CEST" in found.output
    assert run("show", "--config", config, "--at", "soon").exit_code == 2
    assert run("show", "--config", config, "--timezone", "Nowhere", "--at", "2026-06-07").exit_code


def test_check_tells_all_that_is_wrong(tmp_path: Path, config: str) -> None:
    assert "all is well" in run("check", config).output
    bad = tmp_path / "bad.yml"
    bad.write_text(CONFIG.replace("FREQ=WEEKLY", "FREQ=SECONDLY").replace("[ada, grace]", "[]"))
    found = run("check", str(bad))
    assert found.exit_code == 1
    assert f"{bad}:13:12: rrule: FREQ=SECONDLY is too often" in found.output
    assert f"{bad}:15:17: people: expected the names" in found.output


def test_check_tells_when_the_events_of_a_file_take_place(tmp_path: Path) -> None:
    path = tmp_path / "w.ics"
    event = "UID:1\r\nSUMMARY:move\r\nDTSTART:20260401T100000\r\nDURATION:PT1H\r\n"
    path.write_text(f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{event}END:VEVENT\r\nEND:VCALENDAR\r\n")
    found = run("check", str(path), "--timezone", "America/New_York")
    assert found.exit_code == 0
    assert "1 events, 1 times in the next 31 days" in found.output
    assert "2026-04-01 10:00 EDT │ 2026-04-01 11:00 EDT │ move" in found.output
    path.write_text("garbage")
    found = run("check", str(path))
    assert found.exit_code == 1
    assert "is no iCalendar file" in found.output
