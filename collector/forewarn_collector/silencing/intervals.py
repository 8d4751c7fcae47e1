"""Time intervals: named times of day, days, months and years, in which routes are mute or active.

Source: prometheus/alertmanager `timeinterval/timeinterval.go`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Range = tuple[int, int]

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_TIME = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_WHOLE = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class TimeInterval:
    """Conditions that all must hold; an empty one holds always. Ranges include both ends.

    `times` are minutes of the day, the end excluded; `weekdays` count from Sunday, 0; negative
    days of the month count from its end, -1 being the last.
    """

    times: tuple[Range, ...] = ()
    weekdays: tuple[Range, ...] = ()
    days_of_month: tuple[Range, ...] = ()
    months: tuple[Range, ...] = ()
    years: tuple[Range, ...] = ()
    zone: tzinfo = UTC

    def contains(self, at: int) -> bool:
        """Whether a time (ms since epoch) lies within."""
        when = datetime.fromtimestamp(at / 1000, self.zone)
        minute = when.hour * 60 + when.minute
        return (
            (not self.times or any(start <= minute < end for start, end in self.times))
            and (not self.days_of_month or self._on_day_of_month(when))
            and _within(self.months, when.month)
            and _within(self.weekdays, when.isoweekday() % 7)
            and _within(self.years, when.year)
        )

    def _on_day_of_month(self, when: datetime) -> bool:
        days = calendar.monthrange(when.year, when.month)[1]
        for given in self.days_of_month:
            start, end = (day if day >= 0 else days + day + 1 for day in given)
            if start <= days and start <= when.day <= min(end, days):
                return True
        return False


def contains_any(intervals: Sequence[TimeInterval], at: int) -> bool:
    """Whether a time (ms) lies within one of them."""
    return any(interval.contains(at) for interval in intervals)


def read_time(text: str) -> int:
    """Minutes of HH:MM, up to 24:00. Raises ValueError."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"expected a time such as 09:00, found {text!r}")
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def read_weekdays(text: str) -> Range:
    """`monday` or `monday:friday`. Raises ValueError."""
    start, end = _range(text, lambda word: _named(word, DAYS, "weekday"))
    if start > end:
        raise ValueError(f"{text}: the start day is after the end day; Sunday comes first")
    return start, end


def read_days_of_month(text: str) -> Range:
    """`1`, `1:15`, `-3:-1`. Raises ValueError."""
    start, end = _range(text, _number)
    for day in (start, end):
        if day == 0 or abs(day) > 31:
            raise ValueError(f"{day} is no day of a month")
    if start < 0 < end:
        raise ValueError("the end day must be negative if the start day is")
    # The shortest month has 28 days: what could never be right is refused.
    if (28 + start if start < 0 else start) > (28 + end if end < 0 else end):
        raise ValueError(f"end day {end} is always before start day {start}")
    return start, end


def read_months(text: str) -> Range:
    """`may`, `5`, `may:august`, `5:8`. Raises ValueError."""

    def month(word: str) -> int:
        return _number(word) if _WHOLE.fullmatch(word) else _named(word, MONTHS, "month") + 1

    start, end = _range(text, month)
    if start > end:
        raise ValueError(f"{text}: the end month is before the start month")
    return start, end


def read_years(text: str) -> Range:
    """`2030` or `2030:2032`. Raises ValueError."""
    start, end = _range(text, _number)
    if start > end:
        raise ValueError(f"{text}: the end year is before the start year")
    return start, end


def read_zone(text: str) -> tzinfo:
    """A time zone of the IANA database; Local is this machine's. Raises ValueError."""
    if text in {"", "UTC"}:
        return UTC
    if text == "Local":
        return datetime.fromtimestamp(0).astimezone().tzinfo or UTC
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"unknown time zone {text}") from None


def _within(ranges: Sequence[Range], value: int) -> bool:
    return not ranges or any(start <= value <= end for start, end in ranges)


def _range(text: str, read: Callable[[str], int]) -> Range:
    words = text.lower().split(":")
    if len(words) > 2:
        raise ValueError(f"expected one value or start:end, found {text!r}")
    return read(words[0]), read(words[-1])


def _number(word: str) -> int:
    if _WHOLE.fullmatch(word) is None:
        raise ValueError(f"expected a whole number, found {word!r}")
    return int(word)


def _named(word: str, names: Sequence[str], what: str) -> int:
    if word not in names:
        raise ValueError(f"{word!r} is not a valid {what}")
    return names.index(word)
