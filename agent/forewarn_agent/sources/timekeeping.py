"""The host's clock: its time, its source, and how well it is kept in step.

Names: node_exporter's collectors `time` and `timex`. Source: adjtimex(2); reading needs no rights.
"""

from __future__ import annotations

import struct
import time
from typing import Any

from forewarn_agent.sources.base import Loop, Reading, Series, SourceContext
from forewarn_agent.sources.procfs import read_text

# struct timex: modes; offset, freq, maxerror, esterror; status; constant, precision, tolerance;
# time (seconds, fraction); tick, ppsfreq, jitter; shift; stabil, jitcnt, calcnt, errcnt, stbcnt;
# tai; room for growth.
_TIMEX = struct.Struct("@I4li3l2l3li5li44x")
_STATUS_NANO = 0x2000
_TIME_ERROR = 5
_PPM = 65_536_000_000.0  # frequencies are in parts per million, with 16 bits of fraction
_MICRO = 1e6
_TIMEX_METRICS = (
    "offset_seconds",
    "frequency_adjustment_ratio",
    "maxerror_seconds",
    "estimated_error_seconds",
    "status",
    "loop_time_constant",
    "tick_seconds",
    "pps_frequency_hertz",
    "pps_jitter_seconds",
    "pps_shift_seconds",
    "pps_stability_hertz",
    "pps_jitter_total",
    "pps_calibration_total",
    "pps_error_total",
    "pps_stability_exceeded_total",
    "tai_offset_seconds",
    "sync_status",
)


def timex_values(state: int, data: bytes) -> tuple[float, ...]:
    """The values of `_TIMEX_METRICS` from what adjtimex returned and filled in."""
    fields = _TIMEX.unpack(data)
    _, offset, frequency, maxerror, esterror, status, constant = fields[:7]
    tick, ppsfreq, jitter, shift, stability, jitters, calibrations, errors, exceeded, tai = fields[
        11:
    ]
    fraction = 1e9 if status & _STATUS_NANO else _MICRO
    return (
        offset / fraction,
        1 + frequency / _PPM,
        maxerror / _MICRO,
        esterror / _MICRO,
        status,
        constant,
        tick / _MICRO,
        ppsfreq / _PPM,
        jitter / fraction,
        shift,
        stability / _PPM,
        jitters,
        calibrations,
        errors,
        exceeded,
        tai,
        0.0 if state == _TIME_ERROR else 1.0,
    )


class TimexSource:
    """`node_timex_*`: what the kernel's clock discipline knows."""

    name = "timex"

    def __init__(self, context: SourceContext) -> None:
        self._series = [context.series(f"node_timex_{name}") for name in _TIMEX_METRICS]
        self._buffer: Any = None
        self._adjtimex: Any = None

    def start(self, loop: Loop) -> None:
        """Find the system call. Raises OSError where there is none."""
        import ctypes  # here, as its 0.7 MB are for this source only

        try:
            self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
        except AttributeError as error:
            raise OSError("this system has no adjtimex") from error
        self._buffer = ctypes.create_string_buffer(_TIMEX.size)
        self._ask()

    def collect(self, now: int) -> list[Reading]:
        """The readings of one round."""
        return list(zip(self._series, self._ask(), strict=True))

    def stop(self) -> None:
        """Nothing is kept open."""

    def _ask(self) -> tuple[float, ...]:
        # modes = 0: read, change nothing.
        self._buffer[:4] = bytes(4)
        state = self._adjtimex(self._buffer)
        if state < 0:
            raise OSError("adjtimex was refused; a sandbox that forbids it hides the clock's state")
        return timex_values(state, self._buffer.raw)


class TimeSource:
    """`node_time_seconds`, time zone and clock source."""

    name = "time"

    def __init__(self, context: SourceContext, sys: str = "/sys") -> None:
        self._context = context
        self._seconds = context.series("node_time_seconds")
        self._folder = f"{sys}/devices/system/clocksource/clocksource0"
        self._zone = ""
        self._zone_offset = context.series("node_time_zone_offset_seconds")
        self._sources: tuple[str, str] = ("", "")
        self._source_infos: list[Reading] = []

    def start(self, loop: Loop) -> None:
        """Nothing to take."""

    def collect(self, now: int) -> list[Reading]:
        """The readings of one round."""
        seconds = now / 1000
        local = time.localtime(seconds)
        if local.tm_zone != self._zone:
            self._zone = local.tm_zone
            labels = {"time_zone": self._zone}
            self._zone_offset = self._context.series("node_time_zone_offset_seconds", labels)
        return [
            (self._seconds, seconds),
            (self._zone_offset, float(local.tm_gmtoff)),
            *self._clock_sources(),
        ]

    def stop(self) -> None:
        """Nothing is kept open."""

    def _clock_sources(self) -> list[Reading]:
        try:
            current = read_text(f"{self._folder}/current_clocksource")
            available = read_text(f"{self._folder}/available_clocksource")
        except OSError:
            return []
        if (current, available) != self._sources:
            self._sources = (current, available)
            self._source_infos = [
                (self._info("available", name), 1.0) for name in available.split()
            ]
            self._source_infos.append((self._info("current", current), 1.0))
        return self._source_infos

    def _info(self, which: str, name: str) -> Series:
        labels = {"clocksource": name, "device": "0"}
        return self._context.series(f"node_time_clocksource_{which}_info", labels)
