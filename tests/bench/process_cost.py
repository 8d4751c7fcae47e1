"""What a process costs: memory and CPU time as the kernel counts them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Memory in bytes now, CPU seconds (utime + stime) since the process began."""

    pss: int
    rss: int
    private: int
    cpu: float


def cost(pid: int) -> Cost:
    """What a process costs now. Raises OSError when it has ended.

    Source: proc(5), /proc/PID/smaps_rollup and /proc/PID/stat. PSS counts a page that n processes
    map as 1/n of a page; `private` is what no other process maps.
    """
    kib = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        kib[name] = int(rest.split()[0])
    # Fields 14 and 15; the command's name, field 2, may hold blanks and brackets.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cost(
        pss=kib["Pss"] * 1024,
        rss=kib["Rss"] * 1024,
        private=(kib["Private_Clean"] + kib["Private_Dirty"]) * 1024,
        cpu=(int(fields[11]) + int(fields[12])) / _TICKS,
    )
