"""What a backtest found, for people and for programs."""

from forewarn_collector.tasks.backtest_report.compare import Changed, RuleDifference, compare
from forewarn_collector.tasks.backtest_report.compare_text import difference_lines
from forewarn_collector.tasks.backtest_report.document import difference_document, result_document
from forewarn_collector.tasks.backtest_report.figures import Figures, HostWeek, figures
from forewarn_collector.tasks.backtest_report.text import (
    counted,
    failure_lines,
    lasting,
    moment,
    names,
    summary_lines,
    task_lines,
    zone,
)

__all__ = [
    "Changed",
    "Figures",
    "HostWeek",
    "RuleDifference",
    "compare",
    "counted",
    "difference_document",
    "difference_lines",
    "failure_lines",
    "figures",
    "lasting",
    "moment",
    "names",
    "result_document",
    "summary_lines",
    "task_lines",
    "zone",
]
