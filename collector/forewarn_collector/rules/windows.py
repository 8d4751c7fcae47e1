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

    `lookback` is how far an instant selector looks.
    """
    found: dict[str, int] = {}
    for group in rules.groups:
        reach = reach_of([rule.query.expr for rule in group.rules], lookback)
        for name, age in reach.items():
            slides = min(group.interval, _LONGEST) if age > lookback else 0
            needed = age + slides + max(group.query_offset, 0) + _LAG
            found[name] = max(found.get(name, 0), needed)
    return found
