"""A stand-in for a rule that is in no file any more, so that its alerts can end."""

from __future__ import annotations

from forewarn_collector.promql import compile_query
from forewarn_collector.rules.model import AlertingRule


def rule_for(key: str) -> AlertingRule:
    """A rule of this key that never fires."""
    group, _, name = key.partition("/")
    expr = "vector(0) > 1"
    return AlertingRule(
        key=key, name=name, group=group, file="", line=0, expr=expr, query=compile_query(expr)
    )
