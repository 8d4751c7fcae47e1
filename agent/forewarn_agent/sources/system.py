"""What the host is: kernel, operating system, and whether it wants a reboot.

Names: node_exporter's collectors `uname` and `os`; `node_reboot_required` as Debian's
`apt` text-file collector has it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from forewarn_agent.sources.base import Loop, Reading, SourceContext
from forewarn_agent.sources.procfs import read_text

_OS_FIELDS = (
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
)
_VERSION = re.compile(r"[0-9]+\.?[0-9]*")


class UnameSource:
    """`node_uname_info`: kernel and host name."""

    name = "uname"

    def __init__(self, context: SourceContext, proc: str = "/proc") -> None:
        self._context = context
        self._domain = f"{proc}/sys/kernel/domainname"
        self._labels: dict[str, str] = {}
        self._readings: list[Reading] = []

    def start(self, loop: Loop) -> None:
        """Nothing to take."""

    def collect(self, now: int) -> list[Reading]:
        """One reading; it is a new series when the host has been renamed."""
        found = os.uname()
        labels = {
            "domainname": self._domainname(),
            "machine": found.machine,
            "nodename": found.nodename,
            "release": found.release,
            "sysname": found.sysname,
            "version": found.version,
        }
        if labels != self._labels:
            self._labels = labels
            self._readings = [(self._context.series("node_uname_info", labels), 1.0)]
        return self._readings

    def stop(self) -> None:
        """Nothing is kept open."""

    def _domainname(self) -> str:
        try:
            return read_text(self._domain)
        except OSError:
            return ""


class OsSource:
    """`node_os_info`, `node_os_version`, and `node_reboot_required` on Debian and its kin."""

    name = "os"

    def __init__(self, context: SourceContext, root: str = "/") -> None:
        self._context = context
        self._files = [f"{root}etc/os-release", f"{root}usr/lib/os-release"]
        self._reboot_flag = f"{root}run/reboot-required"
        self._reboot = context.series("node_reboot_required")
        self._has_reboot_flag = False
        self._stamp: tuple[str, int] = ("", 0)
        self._readings: list[Reading] = []

    def start(self, loop: Loop) -> None:
        """Find the file. Raises OSError when the system does not describe itself."""
        self._found()

    def collect(self, now: int) -> list[Reading]:
        """The readings; the file is read again when it has changed, as by an upgrade."""
        stamp = self._found()
        if stamp != self._stamp:
            self._stamp = stamp
            self._readings = self._describe(parse_os_release(read_text(stamp[0])))
        if not self._has_reboot_flag:
            return self._readings
        required = float(os.path.exists(self._reboot_flag))
        return [*self._readings, (self._reboot, required)]

    def stop(self) -> None:
        """Nothing is kept open."""

    def _found(self) -> tuple[str, int]:
        path = self._files[0] if os.path.exists(self._files[0]) else self._files[1]
        return path, os.stat(path).st_mtime_ns

    def _describe(self, fields: Mapping[str, str]) -> list[Reading]:
        labels = {name: fields.get(name.upper(), "") for name in _OS_FIELDS}
        kin = {labels["id"], *labels["id_like"].split()}
        self._has_reboot_flag = bool(kin & {"debian", "ubuntu"})
        readings = [(self._context.series("node_os_info", labels), 1.0)]
        version = _VERSION.match(labels["version_id"])
        if version:
            few = {name: labels[name] for name in ("id", "id_like", "name")}
            series = self._context.series("node_os_version", few)
            readings.append((series, float(version[0])))
        return readings


def parse_os_release(text: str) -> dict[str, str]:
    """The fields of an os-release file. Source: os-release(5): shell assignments, quoted."""
    fields = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if not separator or name.startswith("#"):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            quote = value[0]
            value = value[1:-1]
            if quote == '"':
                value = re.sub(r'\\([\\"$`])', r"\1", value)
        fields[name] = value
    return fields
