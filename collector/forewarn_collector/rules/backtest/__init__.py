"""Backtests: stored signals through the rules on simulated time."""

from forewarn_collector.rules.backtest.engine import replay
from forewarn_collector.rules.backtest.model import (
    EXACT,
    Progress,
    Replayed,
    RuleOutcome,
    Sizes,
    Span,
    Watch,
)

__all__ = ["EXACT", "Progress", "Replayed", "RuleOutcome", "Sizes", "Span", "Watch", "replay"]
