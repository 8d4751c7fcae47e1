"""Room on file systems, from /proc/1/mounts and statvfs.

Names: node_exporter's collector `filesystem`. A network file system whose server is gone blocks
whoever asks it, so those are asked by a thread each, and one that does not answer is reported
as a device error while all else goes on.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable

from forewarn_agent.settings import FilesystemSettings
from forewarn_agent.sources.base import Loop, Reading, SourceContext
from forewarn_agent.sources.procfs import KeptFile

# And all of fuse: behind any of them may be another machine.
_REMOTE_TYPES = re.compile(
    r"9p|afs|beegfs|ceph|cifs|coda|davfs|fuse.*|gfs2|glusterfs|gpfs|lustre|ncpfs|nfs4?|ocfs2"
    r"|pvfs2|smb3|smbfs"
)
_FIELDS = ("size_bytes", "free_bytes", "avail_bytes", "files", "files_free")
_STUCK_SECONDS = 5.0
_PATIENCE_SECONDS = 0.02
_ESCAPED = re.compile(r"\\([0-7]{3})")

Statvfs = Callable[[str], os.statvfs_result]


class FilesystemSource:
    """Size, free room, free files and state of every mounted file system that holds data."""

    name = "filesystem"

    def __init__(
        self,
        context: SourceContext,
        settings: FilesystemSettings,
        proc: str = "/proc",
        statvfs: Statvfs = os.statvfs,
    ) -> None:
        self._context = context
        self._statvfs = statvfs
        # An empty expression leaves out nothing, though it is found in every name.
        self._ignored_types = re.compile(settings.ignore_types or "$^")
        self._ignored_mountpoints = re.compile(settings.ignore_mountpoints or "$^")
        # Those of process 1 are the host's own; a sandboxed agent sees bind mounts beside them.
        # Where /proc hides other users' processes, its own are all it can have.
        self._candidates = [f"{proc}/1/mounts", f"{proc}/self/mounts"]
        self._file = KeptFile(self._candidates[0])
        self._text: bytes | None = None
        self._mounts: list[_Mount] = []

    def start(self, loop: Loop) -> None:
        """Find a readable list of mounts. Raises OSError when there is none."""
        for path in self._candidates:
            self._file = KeptFile(path)
            try:
                self._file.read()
            except OSError:
                if path == self._candidates[-1]:
                    raise
            else:
                return

    def collect(self, now: int) -> list[Reading]:
        """The readings of all mounts, in the order of their mounting."""
        text = self._file.read()
        if text != self._text:
            known = {mount.key: mount for mount in self._mounts}
            self._mounts = [known.get(mount.key, mount) for mount in self._parse(text)]
            self._text = text
        for mount in self._mounts:
            mount.ask()
        patience = time.monotonic() + _PATIENCE_SECONDS
        readings: list[Reading] = []
        for mount in self._mounts:
            readings += mount.readings(patience)
        return readings

    def stop(self) -> None:
        """Close the list of mounts. A thread that waits for a dead server is left to it."""
        self._file.close()

    def _parse(self, text: bytes) -> Iterable[_Mount]:
        seen = set()
        for line in text.decode("utf-8", "surrogateescape").splitlines():
            words = line.split(" ")
            if len(words) < 4:
                continue
            device, mountpoint, fstype = (_unescape(word) for word in words[:3])
            if self._ignored_types.search(fstype) or self._ignored_mountpoints.search(mountpoint):
                continue
            mount = _Mount(
                self._context,
                device,
                mountpoint,
                fstype,
                "ro" in words[3].split(","),
                self._statvfs,
            )
            if mount.key not in seen:
                seen.add(mount.key)
                yield mount


def _unescape(word: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), word)


class _Mount:
    def __init__(
        self,
        context: SourceContext,
        device: str,
        mountpoint: str,
        fstype: str,
        readonly: bool,
        statvfs: Statvfs,
    ) -> None:
        self.key = (device, mountpoint, fstype, readonly)
        self._path = mountpoint
        names = {
            "device": _printable(device),
            "mountpoint": _printable(mountpoint),
            "fstype": fstype,
        }
        self._error = context.series("node_filesystem_device_error", names)
        self._readonly = context.series("node_filesystem_readonly", names)
        self._series = [context.series(f"node_filesystem_{field}", names) for field in _FIELDS]
        self._is_readonly = float(readonly)
        self._statvfs = statvfs
        self._remote = _REMOTE_TYPES.fullmatch(fstype) is not None
        self._answered = threading.Event()
        self._asked_at: float | None = None
        self._answer: tuple[float, ...] | OSError | None = None

    def ask(self) -> None:
        """Have a network file system asked, unless it still owes an answer."""
        if self._remote and self._asked_at is None:
            self._answered.clear()
            self._asked_at = time.monotonic()
            threading.Thread(target=self._answer_later, daemon=True).start()

    def readings(self, patience: float) -> list[Reading]:
        """What is known now; a network file system may take until `patience` (monotonic)."""
        if not self._remote:
            return self._as_readings(self._ask_now())
        if self._asked_at is not None:
            self._answered.wait(max(0.0, patience - time.monotonic()))
            if self._answered.is_set():
                self._asked_at = None
            elif time.monotonic() - self._asked_at > _STUCK_SECONDS:
                return self._as_readings(TimeoutError(f"{self._path} does not answer"))
        return self._as_readings(self._answer)

    def _answer_later(self) -> None:
        self._answer = self._ask_now()
        self._answered.set()

    def _ask_now(self) -> tuple[float, ...] | OSError:
        try:
            found = self._statvfs(self._path)
        except OSError as error:
            return error
        block = float(found.f_frsize)
        return (
            found.f_blocks * block,
            found.f_bfree * block,
            found.f_bavail * block,
            float(found.f_files),
            float(found.f_ffree),
        )

    def _as_readings(self, answer: tuple[float, ...] | OSError | None) -> list[Reading]:
        if answer is None:
            return []
        failed = isinstance(answer, OSError)
        readings = [(self._error, float(failed)), (self._readonly, self._is_readonly)]
        if not isinstance(answer, OSError):
            readings += zip(self._series, answer, strict=True)
        return readings


def _printable(name: str) -> str:
    # A path that is not UTF-8 cannot be a label: its bytes become replacement characters.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
