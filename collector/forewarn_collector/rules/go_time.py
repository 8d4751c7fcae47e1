"""Go's time.Time and time.Duration, as `toTime` and `toDuration` give them.

Times are in UTC, as those of Prometheus' templates, unless they are put into a zone. Source: https://pkg.go.dev/time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar

from forewarn_collector.rules.go_numbers import format_float
from forewarn_collector.rules.go_values import Int64, Pointer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = 1_000_000_000
_LONGEST = 2**63
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip
DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


class Month(int):
    """A month, 1 to 12, printed by its name."""

    go_type: ClassVar[str] = "time.Month"

    def text(self) -> str:
        """Its English name."""
        return MONTHS[self - 1]


class Weekday(int):
    """A day of the week, Sunday is 0, printed by its name."""

    go_type: ClassVar[str] = "time.Weekday"

    def text(self) -> str:
        """Its English name."""
        return DAYS[self]


class Duration(int):
    """A duration in nanoseconds."""

    go_type: ClassVar[str] = "time.Duration"

    def text(self) -> str:
        """As Go prints it: 1h1m1.5s, 250ms."""
        size = abs(self)
        sign = "-" if self < 0 else ""
        if size < _SECOND:
            for unit, factor in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
                if size < factor * 1_000:
                    return "0s" if size == 0 else sign + _decimal(size, factor) + unit
        minutes, rest = divmod(size, 60 * _SECOND)
        hours, minutes = divmod(minutes, 60)
        whole = f"{hours}h" if hours else ""
        whole += f"{minutes}m" if hours or minutes else ""
        return f"{sign}{whole}{_decimal(rest, _SECOND)}s"


@dataclass(frozen=True, slots=True, order=True)
class Time:
    """A moment: nanoseconds since 1970, shown in a zone."""

    nanoseconds: int
    zone: tzinfo = field(default=UTC, compare=False)
    go_type: ClassVar[str] = "time.Time"

    def text(self) -> str:
        """As Go prints it: 2015-06-23 13:19:44.128 +0000 UTC."""
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def clock(self) -> datetime:
        """The same to the second. Raises ValueError before the year 1 and after 9999."""
        try:
            utc = _EPOCH + timedelta(seconds=self.nanoseconds // _SECOND)
            return utc.astimezone(self.zone)
        except OverflowError:
            raise ValueError("a time beyond the years 1 to 9999") from None

    def format(self, layout: str) -> str:
        """By a layout that shows how Go's reference time would be written."""
        clock, fraction = self.clock(), self.nanoseconds % _SECOND
        return _LAYOUT.sub(lambda match: _piece(match[0], clock, fraction), layout)


def _decimal(number: int, unit: int) -> str:
    whole, part = divmod(number, unit)
    digits = f"{part:0{len(str(unit)) - 1}d}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


# What a layout may name. The order matters: the first that fits is taken, as in Go.
_LAYOUT = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|2006|_2006|__2|_2(?!006)|002|01|02|03|04|05|06"
    r"|15|[.,]0+(?![0-9])|[.,]9+(?![0-9])|PM|pm|[-Z]07:00:00|[-Z]070000|[-Z]07:00|[-Z]0700|[-Z]07"
    r"|1|2|3|4|5"
)


def _piece(name: str, clock: datetime, nanoseconds: int) -> str:
    if name[0] in ".,":
        digits = f"{nanoseconds:09d}"[: len(name) - 1].ljust(len(name) - 1, "0")
        if name[1] == "9":
            digits = digits.rstrip("0")
            return name[0] + digits if digits else ""
        return name[0] + digits
    if name[0] in "Z-":
        return _offset(name, clock)
    if name == "_2006":
        return f"_{clock.year:04d}"
    hour = clock.hour % 12 or 12
    half = "AM" if clock.hour < 12 else "PM"
    month, weekday = MONTHS[clock.month - 1], DAYS[clock.isoweekday() % 7]
    zone = clock.tzname() or "UTC"
    day_of_year = clock.timetuple().tm_yday
    parts = {
        "January": month, "Jan": month[:3], "Monday": weekday, "Mon": weekday[:3], "MST": zone,
        "2006": f"{clock.year:04d}", "06": f"{clock.year % 100:02d}", "01": f"{clock.month:02d}",
        "1": str(clock.month), "02": f"{clock.day:02d}", "_2": f"{clock.day:2d}",
        "2": str(clock.day), "002": f"{day_of_year:03d}", "__2": f"{day_of_year:3d}",
        "15": f"{clock.hour:02d}", "03": f"{hour:02d}", "3": str(hour),
        "04": f"{clock.minute:02d}", "4": str(clock.minute), "05": f"{clock.second:02d}",
        "5": str(clock.second), "PM": half, "pm": half.lower(),
    }  # fmt: skip
    return parts[name]


def _offset(name: str, clock: datetime) -> str:
    """The distance from UTC in a form such as `-07:00`; one with Z has that letter for none."""
    seconds = int((clock.utcoffset() or timedelta()).total_seconds())
    if name[0] == "Z" and seconds == 0:
        return "Z"
    minutes, second = divmod(abs(seconds), 60)
    digits = f"{minutes // 60:02d}{minutes % 60:02d}{second:02d}"
    # Layouts differ in how far they go and in their colons.
    numbers = iter(digits)
    shown = "".join(":" if letter == ":" else next(numbers) for letter in name[1:])
    return ("-" if seconds < 0 else "+") + shown


def _int64(number: int) -> int:
    """Go's arithmetic on durations ends at their longest."""
    return max(-_LONGEST, min(_LONGEST - 1, number))


def _round(number: int, unit: int) -> int:
    """Half away from zero; a unit that is not positive changes nothing."""
    if unit <= 0:
        return number
    whole = (abs(number) * 2 + unit) // (2 * unit) * unit
    return whole if number >= 0 else -whole


def _truncate(number: int, unit: int) -> int:
    return number if unit <= 0 else (abs(number) // unit * unit) * (1 if number >= 0 else -1)


# Go rounds times from the year 1 on, which matters to units that do not divide a day.
_YEAR_1 = 62_135_596_800 * _SECOND


def _round_time(time: Time, unit: int) -> Time:
    return replace(time, nanoseconds=_round(time.nanoseconds + _YEAR_1, unit) - _YEAR_1)


def _truncate_time(time: Time, unit: int) -> Time:
    return replace(time, nanoseconds=_truncate(time.nanoseconds + _YEAR_1, unit) - _YEAR_1)


def _add_date(time: Time, years: int, months: int, days: int) -> Time:
    clock = time.clock()
    month = clock.month - 1 + months
    try:
        first = clock.replace(year=clock.year + years + month // 12, month=month % 12 + 1, day=1)
        moved = first + timedelta(days=clock.day - 1 + days) - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError("a time beyond the years 1 to 9999") from None
    seconds = moved.days * 86_400 + moved.seconds
    return replace(time, nanoseconds=seconds * _SECOND + time.nanoseconds % _SECOND)


@dataclass(frozen=True, slots=True)
class Method:
    """A method: called with its receiver first, and the types of what it takes beyond that."""

    call: Callable[..., Any]
    takes: tuple[str, ...] = ()


def _go_string(time: Time) -> str:
    clock = time.clock()
    day = f"{clock.year}, time.{MONTHS[clock.month - 1]}, {clock.day}"
    of_day = f"{clock.hour}, {clock.minute}, {clock.second}, {time.nanoseconds % _SECOND}"
    return f"time.Date({day}, {of_day}, time.UTC)"


_TIME = {
    "Add": Method(
        lambda time, by: replace(time, nanoseconds=time.nanoseconds + by), ("time.Duration",)
    ),
    "AddDate": Method(_add_date, ("int", "int", "int")),
    "After": Method(lambda time, other: time > other, ("time.Time",)),
    "Before": Method(lambda time, other: time < other, ("time.Time",)),
    "Compare": Method(lambda time, other: (time > other) - (time < other), ("time.Time",)),
    "Day": Method(lambda time: time.clock().day),
    "Equal": Method(lambda time, other: time == other, ("time.Time",)),
    "Format": Method(lambda time, layout: time.format(layout), ("string",)),
    "GoString": Method(_go_string),
    "Hour": Method(lambda time: time.clock().hour),
    "IsDST": Method(lambda time: bool(time.clock().dst())),
    "IsZero": Method(lambda time: time.nanoseconds == -_YEAR_1),
    "Local": Method(lambda time: time),
    "Minute": Method(lambda time: time.clock().minute),
    "Month": Method(lambda time: Month(time.clock().month)),
    "Nanosecond": Method(lambda time: time.nanoseconds % _SECOND),
    "Round": Method(_round_time, ("time.Duration",)),
    "Second": Method(lambda time: time.clock().second),
    "String": Method(Time.text),
    "Sub": Method(
        lambda time, other: Duration(_int64(time.nanoseconds - other.nanoseconds)), ("time.Time",)
    ),
    "Truncate": Method(_truncate_time, ("time.Duration",)),
    "UTC": Method(lambda time: Time(time.nanoseconds)),
    "Unix": Method(lambda time: Int64(time.nanoseconds // _SECOND)),
    "UnixMicro": Method(lambda time: Int64(time.nanoseconds // 1_000)),
    "UnixMilli": Method(lambda time: Int64(time.nanoseconds // 1_000_000)),
    "UnixNano": Method(lambda time: Int64(time.nanoseconds)),
    "Weekday": Method(lambda time: Weekday(time.clock().isoweekday() % 7)),
    "Year": Method(lambda time: time.clock().year),
    "YearDay": Method(lambda time: time.clock().timetuple().tm_yday),
}
_DURATION = {
    "Abs": Method(lambda duration: Duration(_int64(abs(duration)))),
    "Hours": Method(lambda duration: duration / (3_600 * _SECOND)),
    "Microseconds": Method(lambda duration: Int64(_truncate(duration, 1_000) // 1_000)),
    "Milliseconds": Method(lambda duration: Int64(_truncate(duration, 1_000_000) // 1_000_000)),
    "Minutes": Method(lambda duration: duration / (60 * _SECOND)),
    "Nanoseconds": Method(Int64),
    "Round": Method(
        lambda duration, unit: Duration(_int64(_round(duration, unit))), ("time.Duration",)
    ),
    "Seconds": Method(lambda duration: duration / _SECOND),
    "String": Method(Duration.text),
    "Truncate": Method(
        lambda duration, unit: Duration(_truncate(duration, unit)), ("time.Duration",)
    ),
}
_NAMED = {"String": Method(lambda value: value.text())}
_METHODS: Mapping[type, Mapping[str, Method]] = {
    Time: _TIME,
    Duration: _DURATION,
    Month: _NAMED,
    Weekday: _NAMED,
}
_NONE: Mapping[str, Method] = {}


def methods(value: Any) -> Mapping[str, Method]:
    """The methods that a value has, by name; those with several results (Clock) are left out."""
    return _METHODS.get(type(value.of if isinstance(value, Pointer) else value), _NONE)


def time_of(seconds: float) -> Pointer:
    """A Unix time to the millisecond. Raises ValueError as Prometheus does."""
    if not math.isfinite(seconds):
        raise ValueError("value is NaN or Inf")
    if abs(seconds * 1e9) > _LONGEST:
        raise ValueError(
            f"{format_float(seconds)} cannot be represented as a nanoseconds timestamp since it "
            "overflows int64"
        )
    return Pointer(Time(_truncate(int(seconds * 1e9), 1_000_000)))


def duration_of(seconds: float) -> Pointer:
    """A number of seconds as a duration; one that is too long for Go is cut to its longest."""
    nanoseconds = seconds * 1e9
    if math.isnan(nanoseconds):
        return Pointer(Duration(-_LONGEST))
    return Pointer(Duration(_int64(int(max(-1e19, min(1e19, nanoseconds))))))
