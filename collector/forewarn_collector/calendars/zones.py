"""Between milliseconds and what a clock on the wall shows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
DAY = 86_400_000

Zone = ZoneInfo


def zone_of(name: str) -> Zone:
    """The zone of an IANA name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # The last: a name such as "Europe" is a folder of zones.
        raise ValueError(
            f"there is no time zone {name!r}; expected a name such as Europe/Berlin or UTC"
        ) from None


def instant(local: datetime, zone: Zone) -> int:
    """When (ms) a clock in `zone` shows the naive `local`.

    RFC 5545, section 3.3.5: a time that comes twice is the first one, a time that the clock skips
    is read with the offset before the gap, so 02:30 in Berlin's spring is 03:30 of summer time.
    """
    return (local.replace(tzinfo=zone) - EPOCH) // MILLISECOND


def wall(at: int, zone: Zone) -> datetime:
    """What a clock in `zone` shows at `at` (ms), naive."""
    return (EPOCH + timedelta(milliseconds=at)).astimezone(zone).replace(tzinfo=None)


def midnight(day: date, zone: Zone) -> int:
    """When (ms) a day begins."""
    return instant(datetime.combine(day, time()), zone)


def written(at: int, zone: Zone) -> str:
    """A time as people read it, to the minute: 2026-03-29 03:30 CEST."""
    return f"{(EPOCH + timedelta(milliseconds=at)).astimezone(zone):%Y-%m-%d %H:%M %Z}"
