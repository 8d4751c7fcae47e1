"""What is logged of windows and files as time passes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from forewarn_collector.calendars import CalendarWatch
from forewarn_collector.config import read_config
from forewarn_collector.metrics import Family
from forewarn_collector.observe import calendar_families

HOUR = 3_600_000
# 1970-01-01 01:00 and 02:00 UTC.
EVENT = "UID:1\r\nSUMMARY:move\r\nDTSTART:19700101T010000Z\r\nDTEND:19700101T020000Z\r\n"
GOOD = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{EVENT}END:VEVENT\r\nEND:VCALENDAR\r\n"


def values(families: list[Family]) -> dict[str, float]:
    return {s.name: s.value for family in families for s in family.samples}


def test_windows_and_files_show_in_the_log_and_in_metrics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "forewarn_collector.calendars")
    path = tmp_path / "w.ics"
    path.write_text(GOOD)
    config = read_config(f"maintenance: [{{name: works, timezone: UTC, ics: {path}}}]", "c.yml")
    watch = CalendarWatch(config.calendars.windows, config.calendars.files)

    def shown(at: int) -> dict[str, float]:
        return values(list(calendar_families(watch, {"gold/late": 3}, at)))

    for at in (HOUR - 1, HOUR, HOUR + 1, 2 * HOUR):
        watch.tick(at)
    assert [record.getMessage() for record in caplog.records] == [
        "maintenance window works: move is in force until 1970-01-01 02:00 UTC",
        "maintenance window works: move is over",
    ]
    assert shown(HOUR) == {
        "forewarn_window_active": 1,
        "forewarn_calendar_file_current": 1,
        "forewarn_escalations_total": 3,
    }
    caplog.clear()
    path.write_text("half")
    watch.tick(3 * HOUR)
    watch.tick(3 * HOUR + 1)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"{path}: its last good state stays in force: is no")
    assert shown(2 * HOUR)["forewarn_calendar_file_current"] == 0
    assert shown(2 * HOUR)["forewarn_window_active"] == 0
    caplog.clear()
    path.write_text(GOOD)
    watch.tick(4 * HOUR)
    assert [record.getMessage() for record in caplog.records] == [f"{path} read again: 1 events"]
