"""A backtest as JSON; docs/rules.md describes it. Times in ms since epoch, durations in ms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forewarn_collector.rules.backtest import Span
from forewarn_collector.tasks.backtest import BacktestResult, Period, RuleRecord, TaskRecord
from forewarn_collector.tasks.backtest_report.compare import Changed, RuleDifference
from forewarn_collector.tasks.backtest_report.figures import (
    figures,
    in_order,
    open_time,
    worst_first,
)


def result_document(result: BacktestResult) -> dict[str, Any]:
    """Everything that a backtest found."""
    span = result.span
    return {
        "from": span.start,
        "to": span.end,
        "resolution_ms": result.replayed.resolution,
        "evaluations": result.replayed.evaluations,
        "samples": result.replayed.samples,
        **_figures(result.tasks, span),
        "rules": [_rule(rule, span) for rule, _ in worst_first(result.rules, span)],
    }


def difference_document(found: Sequence[RuleDifference], span: Span) -> list[dict[str, Any]]:
    """Each rule's difference, those without one left out."""
    return [
        {
            "name": each.name,
            "added": each.added,
            "removed": each.removed,
            "fewer": [_task(task, span) for task in each.fewer],
            "more": [_task(task, span) for task in each.more],
            "changed": [_changed(one, span) for one in each.changed],
        }
        for each in found
        if not each.same
    ]


def _rule(record: RuleRecord, span: Span) -> dict[str, Any]:
    rule, outcome = record.rule, record.outcome
    found = figures(record.tasks, span)
    return {
        "rule": rule.key,
        "name": rule.name,
        "group": rule.group,
        "file": rule.file,
        "line": rule.line,
        "evaluations": outcome.evaluations,
        "failures": outcome.failures,
        "first_failed_at": outcome.first_failed,
        "error": outcome.error,
        **_figures(record.tasks, span),
        "weeks": [
            {"instance": each.host, "week": each.week, "tasks": each.tasks, "flaps": each.flaps}
            for each in found.weeks
        ],
        "tasks": [_task(task, span) for task in in_order(record.tasks)],
    }


def _figures(tasks: Sequence[TaskRecord], span: Span) -> dict[str, Any]:
    found = figures(tasks, span)
    return {
        "task_count": found.tasks,
        "flap_count": found.flaps,
        "still_open": found.still_open,
        "open_ms": found.open_time,
        "longest_ms": found.longest,
        "per_host_and_week": round(found.rate, 3),
    }


def _task(task: TaskRecord, span: Span) -> dict[str, Any]:
    return {
        "number": task.number,
        "title": task.title,
        "severity": task.severity,
        "labels": dict(task.labels),
        "opened_at": task.opened_at,
        "resolved_at": task.resolved_at,
        "open_ms": open_time(task, span),
        "flaps": task.flaps,
        "episodes": _periods(task.episodes),
        "unknown": _periods(task.unknown),
    }


def _periods(periods: Sequence[Period]) -> list[dict[str, int | None]]:
    return [{"from": start, "to": end} for start, end in periods]


def _changed(changed: Changed, span: Span) -> dict[str, Any]:
    return {
        "old": _task(changed.old, span),
        "new": _task(changed.new, span),
        "opened_ms": changed.opened,
        "resolved_ms": changed.resolved,
        "open_ms": changed.open_time,
        "flaps": changed.flaps,
    }
