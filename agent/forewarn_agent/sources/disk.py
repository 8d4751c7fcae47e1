"""Disk input and output, from /proc/diskstats, and what udev knows of each device.

Names: node_exporter's collector `diskstats`. Source of the format: Linux
`Documentation/admin-guide/iostats.rst`: sectors are of 512 bytes, times in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forewarn_agent.settings import DiskSettings
from forewarn_agent.sources.base import Loop, Reading, Series, SourceContext
from forewarn_agent.sources.procfs import KeptFile, Layout, Line, Plan, Value, read_text

_SECTOR = 1 / 512
_FIELDS = (
    ("reads_completed_total", 1.0),
    ("reads_merged_total", 1.0),
    ("read_bytes_total", _SECTOR),
    ("read_time_seconds_total", 1000.0),
    ("writes_completed_total", 1.0),
    ("writes_merged_total", 1.0),
    ("written_bytes_total", _SECTOR),
    ("write_time_seconds_total", 1000.0),
    ("io_now", 1.0),
    ("io_time_seconds_total", 1000.0),
    ("io_time_weighted_seconds_total", 1000.0),
    ("discards_completed_total", 1.0),
    ("discards_merged_total", 1.0),
    ("discarded_sectors_total", 1.0),
    ("discard_time_seconds_total", 1000.0),
    ("flush_requests_total", 1.0),
    ("flush_requests_time_seconds_total", 1000.0),
)
_ATA_FIELDS = {
    "ata_write_cache": "ID_ATA_WRITE_CACHE",
    "ata_write_cache_enabled": "ID_ATA_WRITE_CACHE_ENABLED",
    "ata_rotation_rate_rpm": "ID_ATA_ROTATION_RATE_RPM",
}


class DiskSource:
    """What each block device has read, written and taken for it."""

    name = "diskstats"

    def __init__(
        self,
        context: SourceContext,
        settings: DiskSettings,
        proc: str = "/proc",
        udev: str = "/run/udev/data",
    ) -> None:
        self._file = KeptFile(f"{proc}/diskstats")
        self._layout = Layout(self._plan, context)
        # An empty expression leaves out nothing, though it is found in every name.
        self._ignored = re.compile(settings.ignore_devices or "$^")
        self._udev = udev
        self._infos: list[Reading] = []

    def start(self, loop: Loop) -> None:
        """Read once, so that a host without /proc/diskstats says so."""
        self._file.read()

    def collect(self, now: int) -> list[Reading]:
        """The counters of every device that is not left out, then what is known of it."""
        return self._layout.readings(self._file.read()) + self._infos

    def stop(self) -> None:
        """Close the file."""
        self._file.close()

    def _plan(self, lines: Sequence[Line], context: SourceContext) -> Plan:
        fixed: list[int] = []
        values: list[Value] = []
        self._infos = []
        for start, words in lines:
            major, minor, device = (word.decode() for word in words[:3])
            fixed.append(start + 2)
            if self._ignored.search(device):
                continue
            for index, (field, divisor) in zip(
                range(start + 3, start + len(words)), _FIELDS, strict=False
            ):
                series = context.series(f"node_disk_{field}", {"device": device})
                values.append(Value(index, series, divisor))
            properties = _udev_properties(f"{self._udev}/b{major}:{minor}")
            self._infos += _infos(context, device, major, minor, properties)
        return Plan(fixed, values)


def _infos(
    context: SourceContext, device: str, major: str, minor: str, udev: dict[str, str]
) -> list[Reading]:
    def info(name: str, /, **labels: str) -> Series:
        return context.series(f"node_disk_{name}", {"device": device, **labels})

    serials = [udev.get(key) for key in ("SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT")]
    readings = [
        (
            info(
                "info",
                major=major,
                minor=minor,
                path=udev.get("ID_PATH", ""),
                wwn=udev.get("ID_WWN", ""),
                model=udev.get("ID_MODEL", ""),
                serial=next(filter(None, serials), ""),
                revision=udev.get("ID_REVISION", ""),
            ),
            1.0,
        )
    ]
    if udev.get("ID_FS_TYPE"):
        labels = {key: udev.get(f"ID_FS_{key.upper()}", "") for key in ("type", "usage", "uuid")}
        version = udev.get("ID_FS_VERSION", "")
        readings.append((info("filesystem_info", **labels, version=version), 1.0))
    if udev.get("DM_NAME"):
        keys = ("name", "uuid", "vg_name", "lv_name", "lv_layer")
        labels = {key: udev.get(f"DM_{key.upper()}", "") for key in keys}
        readings.append((info("device_mapper_info", **labels), 1.0))
    if udev.get("ID_ATA"):
        for name, key in _ATA_FIELDS.items():
            if udev.get(key, "").isdigit():
                readings.append((info(name), float(udev[key])))
    return readings


def _udev_properties(path: str) -> dict[str, str]:
    """The lines `E:NAME=value` of udev's record of a device; none where there is no udev."""
    try:
        lines = read_text(path).splitlines()
    except OSError:
        return {}
    pairs = [line[2:].partition("=") for line in lines if line.startswith("E:")]
    return {name: value for name, _, value in pairs}
