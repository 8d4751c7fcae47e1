"""What makes two alerts one problem, and what a task is called, ranked and due."""

from __future__ import annotations

import json
from dataclasses import replace

from forewarn_collector.rules.alerts import ALERT_NAME, Alert
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.templates import TemplateContext, TemplateData
from forewarn_wire import Labels, labels_from

CUSTOMER = "customer"
SEVERITY = "severity"
SERVICE = "service"

_HOUR = 3_600_000
_DAY = 24 * _HOUR

# Prometheus has no fixed severities; these are the names in use, the worst first.
_SEVERITIES: tuple[tuple[frozenset[str], int], ...] = (
    (frozenset({"emergency", "critical", "page", "fatal", "disaster"}), 4 * _HOUR),
    (frozenset({"high", "error", "major"}), _DAY),
    (frozenset({"medium", "warning", "warn", "average", "ticket"}), 3 * _DAY),
    (frozenset({"low", "minor"}), 7 * _DAY),
)
_OTHER_DUE = 14 * _DAY
_TITLE_LENGTH = 200


def task_key(rule: AlertingRule, labels: Labels) -> str:
    """The identity of a task: the rule, the grouping labels, the customer.

    Grouping labels are the rule's `group_by`, else all of the alert's labels but `alertname`
    (the rule says as much) and `severity` (a problem that gets worse is the same problem). The
    customer always counts: no task spans two. The queue does not: moving a rule to another queue
    opens nothing anew.
    """
    group_by = rule.task.group_by
    if group_by is None:
        chosen = [pair for pair in labels if pair[0] not in {ALERT_NAME, SEVERITY}]
    else:
        chosen = [pair for pair in labels if pair[0] in group_by or pair[0] == CUSTOMER]
    pairs = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in chosen)
    return f"{rule.key}{{{pairs}}}"


def label(labels: Labels, name: str) -> str:
    """A label's value; empty where it is absent."""
    return dict(labels).get(name, "")


def title_of(rule: AlertingRule, alert: Alert, context: TemplateContext) -> str:
    """The rule's `task.title`, else the annotation `summary`, else name and labels; on one line."""
    title = label(alert.annotations, "summary")
    if rule.task.title is not None:
        then = replace(context, at=alert.evaluated_at)
        title = rule.task.title.expand(TemplateData(dict(alert.labels), alert.value), then)
    if not title.strip():
        skipped = {ALERT_NAME, SEVERITY}
        rest = ", ".join(f"{name}={value}" for name, value in alert.labels if name not in skipped)
        title = f"{rule.name} ({rest})" if rest else rule.name
    # Logs and terminals show it: a line is a line, and nothing of it drives a terminal.
    title = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    return title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"


def severity_rank(severity: str) -> int:
    """0 for the worst; every name that is not in use elsewhere comes last."""
    for rank, (names, _) in enumerate(_SEVERITIES):
        if severity.lower() in names:
            return rank
    return len(_SEVERITIES)


def severity_order() -> list[tuple[str, ...]]:
    """The names of severities in lower case, those of one rank together, the worst first."""
    return [tuple(names) for names, _ in _SEVERITIES]


def due_after(severity: str) -> int:
    """How long a task may take (ms) by severity alone.

    critical 4 h, high 1 d, medium or warning 3 d, low 7 d, anything else 14 d.
    """
    rank = severity_rank(severity)
    return _SEVERITIES[rank][1] if rank < len(_SEVERITIES) else _OTHER_DUE


def describe(labels: Labels) -> str:
    """An alert's labels as people read them in a timeline."""
    rest = labels_from(pair for pair in labels if pair[0] != ALERT_NAME)
    return "{" + ", ".join(f'{name}="{value}"' for name, value in rest) + "}"


def span(milliseconds: int) -> str:
    """A length of time as people say it: 45 s, 12 min, 5 h 30 min, 3 d 4 h."""
    seconds = max(0, milliseconds) // 1000
    for size, name, smaller, small_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 60, ""),
    ):
        if seconds >= size:
            rest = seconds % size // smaller
            more = f" {rest} {small_name}" if rest and small_name else ""
            return f"{seconds // size} {name}{more}"
    return f"{seconds} s"
