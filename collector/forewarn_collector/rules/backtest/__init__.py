"""Backtests: stored signals through the rules on simulated time."""

from forewarn_collector.rules.backtest.model import (
    EXACT,
    Progress,
    Replayed,
    RuleOutcome,
    Span,
    Watch,
)
from forewarn_collector.rules.backtest.replay import replay

__all__ = ["EXACT", "Progress", "Replayed", "RuleOutcome", "Span", "Watch", "replay"]
