"""Which process groups of a host used most at a time, as process-exporter's names tell."""

from __future__ import annotations

from typing import Any

from forewarn_collector.promql import Deadline, compile_query, plain_float
from forewarn_collector.store import SeriesSource

_TOP = {
    "cpu": "topk(5, sum by (groupname) (rate(namedprocess_namegroup_cpu_seconds_total{%s}[5m])))",
    "memory": "topk(5, sum by (groupname) "
    '(namedprocess_namegroup_memory_bytes{memtype="resident",%s}))',
}


def top_processes(
    source: SeriesSource, host: str, at: int, deadline: Deadline
) -> dict[str, list[list[str]]]:
    """Names and values, the highest first: `cpu` in seconds a second, `memory` in resident bytes.

    `host` is what finds its series, as within braces. Raises EvalError.
    """
    return {use: _highest(source, text % host, at, deadline) for use, text in _TOP.items()}


def _highest(source: SeriesSource, text: str, at: int, deadline: Deadline) -> list[Any]:
    found = compile_query(text).instant(source, at, deadline=deadline).vector()
    return [
        [dict(labels).get("groupname", ""), plain_float(value)]
        for labels, value in found
        if value > 0
    ]
