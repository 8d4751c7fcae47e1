"""What a kernel may run out of: file handles, tracked connections, entropy; from /proc/sys.

Names: node_exporter's collectors `filefd`, `conntrack` (entries and limit) and `entropy`.
"""

from __future__ import annotations

from collections.abc import Sequence

from forewarn_agent.sources.base import SourceContext
from forewarn_agent.sources.procfs import FileSource, Line, Plan, Planner, Value


def plan_file_nr(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/sys/fs/file-nr: allocated, free (always 0), maximum."""
    allocated = Value(0, context.series("node_filefd_allocated"))
    return Plan((), [allocated, Value(2, context.series("node_filefd_maximum"))])


def plan_one(metric: str) -> Planner:
    """The plan of a file that is one number."""

    def plan(lines: Sequence[Line], context: SourceContext) -> Plan:
        return Plan((), [Value(0, context.series(metric))])

    return plan


def filefd_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of `node_filefd_*`: file handles of the whole host."""
    return FileSource("filefd", context, [(f"{proc}/sys/fs/file-nr", plan_file_nr)])


def conntrack_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of `node_nf_conntrack_entries` and its limit, where connections are tracked."""
    folder = f"{proc}/sys/net/netfilter"
    return FileSource(
        "conntrack",
        context,
        [
            (f"{folder}/nf_conntrack_count", plan_one("node_nf_conntrack_entries")),
            (f"{folder}/nf_conntrack_max", plan_one("node_nf_conntrack_entries_limit")),
        ],
    )


def entropy_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of `node_entropy_*`, in bits."""
    folder = f"{proc}/sys/kernel/random"
    return FileSource(
        "entropy",
        context,
        [
            (f"{folder}/entropy_avail", plan_one("node_entropy_available_bits")),
            (f"{folder}/poolsize", plan_one("node_entropy_pool_size_bits")),
        ],
    )
