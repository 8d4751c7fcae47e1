"""Tests of rules: promtool's test files, run on simulated time over the collector's own core."""

from forewarn_collector.rules.testing.files import FileResult, NamedResult, never_active, run_file
from forewarn_collector.rules.testing.tasks import OpenBook, OpenTask, TaskBook

__all__ = [
    "FileResult",
    "NamedResult",
    "OpenBook",
    "OpenTask",
    "TaskBook",
    "never_active",
    "run_file",
]
