"""How much of each metric the loaded rules read, which is what a store keeps in memory."""

from __future__ import annotations

from forewarn_collector.promql import LOOKBACK
from forewarn_collector.promql.reach import reach_of
from forewarn_collector.rules.model import RuleSet

_LAG = 30_000
"""How late (ms) an evaluation may be and still find all that it reads."""
_LONGEST = 900_000
"""How long (ms) a window waits at most for the next evaluation and can slide on from there."""


def windows_of(rules: RuleSet, lookback: int = LOOKBACK) -> dict[str, int]:
    """From metric to how far back (ms) some rule reads it; under "" what is read of all metrics.

    `lookback` is how far an instant selector looks. What is read as of now alone is left out: a
    store knows the newest samples whatever it keeps.
    """
    found: dict[str, int] = {}
    for group in rules.groups:
        expressions = [rule.query.expr for rule in group.rules]
        behind = max(group.query_offset, 0)
        before_now = reach_of(expressions, 0)
        for name, age in reach_of(expressions, lookback).items():
            if not before_now[name] + behind:
                continue
            slides = min(group.interval, _LONGEST) if age > lookback else 0
            needed = age + slides + behind + _LAG
            found[name] = max(found.get(name, 0), needed)
    return found
