"""Memory, swap and paging, from /proc/meminfo and /proc/vmstat.

Names: node_exporter's collectors `meminfo` and `vmstat` (its default fields). Source of the
formats: proc(5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from forewarn_agent.sources.base import SourceContext
from forewarn_agent.sources.procfs import FileSource, Line, Plan, Value

_VMSTAT_FIELDS = re.compile(r"(oom_kill|pgpg|pswp|pg.*fault)")


def plan_meminfo(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/meminfo: `Active(anon):  12 kB` is `node_memory_Active_anon_bytes`."""
    fixed = []
    values = []
    for start, words in lines:
        name = words[0].decode().rstrip(":").replace("(", "_").replace(")", "")
        in_kibibytes = words[-1] == b"kB"
        series = context.series(f"node_memory_{name}{'_bytes' if in_kibibytes else ''}")
        fixed.append(start)
        values.append(Value(start + 1, series, 1 / 1024 if in_kibibytes else 1.0))
    return Plan(fixed, values)


def plan_vmstat(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/vmstat: page faults, paging, swapping and processes killed for memory."""
    fixed = []
    values = []
    for start, words in lines:
        name = words[0].decode()
        if _VMSTAT_FIELDS.match(name):
            fixed.append(start)
            values.append(Value(start + 1, context.series(f"node_vmstat_{name}")))
    return Plan(fixed, values)


def memory_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of `node_memory_*`: memory and swap by use."""
    return FileSource("meminfo", context, [(f"{proc}/meminfo", plan_meminfo)])


def vmstat_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of `node_vmstat_*`."""
    return FileSource("vmstat", context, [(f"{proc}/vmstat", plan_vmstat)])
