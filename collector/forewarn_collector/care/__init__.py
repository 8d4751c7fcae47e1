"""A data directory kept safe: copies of it, and what is wrong with it."""

from forewarn_collector.care.backup import Backup, Copied, back_up
from forewarn_collector.care.doctor import Finding, Report, examine, repair
from forewarn_collector.care.errors import CareError

__all__ = [
    "Backup",
    "CareError",
    "Copied",
    "Finding",
    "Report",
    "back_up",
    "examine",
    "repair",
]
