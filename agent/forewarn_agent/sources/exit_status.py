"""Learn how a process that is not our child has ended, as far as the kernel tells.

Before it is reaped, its stat file has the status for whoever may trace it; afterwards the pidfd
has it on Linux 6.15 and later. Source: proc(5); Linux `include/uapi/linux/pidfd.h`.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct

from forewarn_agent.sources.process_stat import read_stat

# struct pidfd_info: mask, cgroup id; pid, tgid, ppid and eight user and group ids; exit code.
_INFO = struct.Struct("@QQ11Ii")
_GET_INFO = 3 << 30 | _INFO.size << 16 | 0xFF << 8 | 11
_INFO_EXIT = 1 << 3


def wait_status(proc: str, pid: int, started: int, pidfd: int) -> int | None:
    """The status as of waitpid, or None when it cannot be had.

    A 0 from the stat file may also mean that we may not see it, so it counts as not had.
    """
    stat = read_stat(proc, pid)
    if stat is not None and stat.started == started and stat.wait_status:
        return stat.wait_status
    if pidfd < 0:
        return None
    request = _INFO.pack(_INFO_EXIT, 0, *(0,) * 11, 0)
    try:
        answer = _INFO.unpack(fcntl.ioctl(pidfd, _GET_INFO, request))
    except OSError:
        return None
    return int(answer[-1]) if answer[0] & _INFO_EXIT else None


def describe(status: int | None) -> tuple[str, dict[str, str]]:
    """A wait status in words, and as attributes of an event."""
    if status is None:
        return "ended", {}
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return f"was killed by {name}", {"signal": name}
    code = os.waitstatus_to_exitcode(status)
    return f"ended with exit code {code}", {"exit_code": str(code)}
