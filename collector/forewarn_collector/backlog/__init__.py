"""Backlogs: data that came late goes through the rules at its own time, in the background."""

from forewarn_collector.backlog.collecting import Backlogs
from forewarn_collector.backlog.reviewer import Reviewer

__all__ = ["Backlogs", "Reviewer"]
