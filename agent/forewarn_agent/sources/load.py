"""Load averages, from /proc/loadavg. Names: node_exporter's collector `loadavg`."""

from __future__ import annotations

from collections.abc import Sequence

from forewarn_agent.sources.base import SourceContext
from forewarn_agent.sources.procfs import FileSource, Line, Plan, Value


def plan_loadavg(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/loadavg: the first three words."""
    names = ("node_load1", "node_load5", "node_load15")
    return Plan((), [Value(index, context.series(name)) for index, name in enumerate(names)])


def load_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of the load averages over 1, 5 and 15 minutes."""
    return FileSource("loadavg", context, [(f"{proc}/loadavg", plan_loadavg)])
