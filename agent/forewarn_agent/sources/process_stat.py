"""Read one process from /proc/PID: who it is, and what it uses.

Source of the formats: proc(5).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_SIZE = 8_192
_STATUS = re.compile(
    rb"^(VmRSS|VmSwap|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):\s+(\d+)", re.MULTILINE
)
_IO = re.compile(rb"^(read_bytes|write_bytes): (\d+)", re.MULTILINE)
_OPEN_FILES = re.compile(rb"^Max open files\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """What /proc/PID/stat tells. Times in seconds, sizes in bytes.

    `started` is in clock ticks since the host's start: with the pid it names one process only.
    `wait_status` is as of waitpid, and 0 while it runs or where it may not be read.
    """

    pid: int
    comm: str
    state: str
    parent: int
    minor_faults: int
    major_faults: int
    user_seconds: float
    system_seconds: float
    threads: int
    started: int
    virtual: int
    wait_status: int

    @property
    def started_seconds(self) -> float:
        """Seconds from the host's start to this process'."""
        return self.started / _TICKS


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """What a process uses beyond its stat file, sizes in bytes; None where we may not see it."""

    resident: int
    swapped: int
    voluntary_switches: int
    nonvoluntary_switches: int
    read_bytes: int | None
    write_bytes: int | None
    open_files: int | None
    max_open_files: int | None


def read_stat(proc: str, pid: int) -> ProcessStat | None:
    """The process now, or None when there is none of this number."""
    data = read_file(f"{proc}/{pid}/stat")
    if not data:
        return None
    # The name stands in brackets and may hold anything, brackets and blanks too.
    opening, closing = data.index(b"("), data.rindex(b")")
    words = data[closing + 2 :].split()
    return ProcessStat(
        pid=pid,
        comm=data[opening + 1 : closing].decode("utf-8", "replace"),
        state=words[0].decode(),
        parent=int(words[1]),
        minor_faults=int(words[7]),
        major_faults=int(words[9]),
        user_seconds=int(words[11]) / _TICKS,
        system_seconds=int(words[12]) / _TICKS,
        threads=int(words[17]),
        started=int(words[19]),
        virtual=int(words[20]),
        wait_status=int(words[49]) if len(words) > 49 else 0,
    )


def read_command(proc: str, pid: int) -> tuple[str, ...]:
    """The command line's words; none for a kernel thread or a process that has gone."""
    data = read_file(f"{proc}/{pid}/cmdline")
    return tuple(data.decode("utf-8", "replace").rstrip("\0").split("\0")) if data else ()


def read_program(proc: str, pid: int) -> str:
    """The path of the program, or "" where it may not be seen."""
    try:
        # After an upgrade the file that runs has been replaced.
        return os.readlink(f"{proc}/{pid}/exe").removesuffix(" (deleted)")
    except OSError:
        return ""


def read_use(proc: str, pid: int) -> ProcessUse:
    """What the process uses now; zeros when it has just gone."""
    status = dict(_STATUS.findall(read_file(f"{proc}/{pid}/status")))
    io = dict(_IO.findall(read_file(f"{proc}/{pid}/io")))
    limit = _OPEN_FILES.search(read_file(f"{proc}/{pid}/limits"))
    try:
        open_files: int | None = len(os.listdir(f"{proc}/{pid}/fd"))
    except OSError:
        open_files = None
    return ProcessUse(
        # The stat file has it too, but off by up to 64 pages for each CPU.
        resident=int(status.get(b"VmRSS", 0)) * 1024,
        swapped=int(status.get(b"VmSwap", 0)) * 1024,
        voluntary_switches=int(status.get(b"voluntary_ctxt_switches", 0)),
        nonvoluntary_switches=int(status.get(b"nonvoluntary_ctxt_switches", 0)),
        read_bytes=int(io[b"read_bytes"]) if io else None,
        write_bytes=int(io[b"write_bytes"]) if io else None,
        open_files=open_files,
        max_open_files=int(limit[1]) if limit else None,
    )


def read_file(path: str) -> bytes:
    """A file of /proc, or nothing where it is not there or not ours to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        data = os.read(descriptor, _SIZE)
        while len(data) % _SIZE == 0 and (more := os.read(descriptor, _SIZE)):
            data += more
        return data
    except OSError:
        return b""
    finally:
        os.close(descriptor)
