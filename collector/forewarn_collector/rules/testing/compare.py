"""What was expected beside what came, in the words that promtool's users know."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from decimal import Decimal

from forewarn_collector.promql import series_text
from forewarn_collector.rules.testing.model import AlertCheck, ExpectedTask, ExprCheck, TaskCheck
from forewarn_collector.rules.testing.notation import same_float
from forewarn_collector.rules.testing.tasks import OpenTask
from forewarn_wire import Labels
from forewarn_wire.durations import format_duration

_INDENT = "            "

Alerts = Sequence[tuple[Labels, Labels]]
"""Labels and annotations of alerts, sorted."""
Samples = Sequence[tuple[Labels, float]]
"""Labels and values, sorted."""


def compare_alerts(check: AlertCheck, got: Alerts, *, diff: bool) -> str | None:
    """What is wrong with the alerts that fire; None where they are as expected."""
    if list(check.expected) == list(got):
        return None
    head = f"    alertname: {check.name}, time: {format_duration(check.at)},"
    return _difference(head, _alert_lines(check.expected), _alert_lines(got), diff=diff)


def compare_samples(check: ExprCheck, got: Samples, *, fuzzy: bool, diff: bool) -> str | None:
    """What is wrong with an expression's result; None where it is as expected."""
    if len(check.expected) == len(got) and all(
        one[0] == other[0] and same_float(one[1], other[1], fuzzy=fuzzy)
        for one, other in zip(check.expected, got, strict=True)
    ):
        return None
    head = f"{expr_head(check)},"
    if diff:
        return _difference(head, _sample_lines(check.expected), _sample_lines(got), diff=True)
    expected, found = (", ".join(_sample_lines(each)) or "nil" for each in (check.expected, got))
    return f"{head}\n        exp: {expected}\n        got: {found}"


def compare_tasks(check: TaskCheck, got: Sequence[OpenTask], *, diff: bool) -> str | None:
    """What is wrong with the tasks that are open; None where they are as expected.

    Each expected task must be one of those that are open, and none may be left over.
    """
    rest = list(got)
    wanted = []
    for expected in check.expected:
        found = next((task for task in rest if _is_as(task, expected)), None)
        if found is None:
            wanted.append(expected)
        else:
            rest.remove(found)
    if not wanted and not rest:
        return None
    of = f"    alertname: {check.name}, time:" if check.name is not None else "    tasks at"
    head = f"{of} {format_duration(check.at)},"
    return _difference(
        head,
        [line for each in check.expected for line in _expected_lines(each)],
        [line for each in got for line in _open_lines(each)],
        diff=diff,
    )


def expr_head(check: ExprCheck) -> str:
    """How a failure of an expression begins."""
    text = check.query.text.strip().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'    expr: "{text}", time: {format_duration(check.at)}'


def scientific(value: float) -> str:
    """The shortest number that reads back the same, in Go's `%E`: 1.5E+03."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    fraction = "".join(map(str, digits[1:]))
    power = int(exponent) + len(digits) - 1 if value else 0
    point = "." if fraction else ""
    return f"{'-' * sign}{digits[0]}{point}{fraction}E{power:+03d}"


def _difference(head: str, expected: Sequence[str], got: Sequence[str], *, diff: bool) -> str:
    if not diff:
        return f"{head}\n        exp:{_bracketed(expected)},\n        got:{_bracketed(got)}"
    lines = difflib.unified_diff(expected, got, "expected", "got", lineterm="", n=100)
    shown = [_INDENT + line for line in lines if not line.startswith("@@")]
    return "\n".join([head, "        diff:", *shown])


def _bracketed(lines: Sequence[str]) -> str:
    if not lines:
        return "[]"
    return "\n".join(["[", *(_INDENT + line for line in lines), f"{_INDENT}]"])


def _alert_lines(alerts: Alerts) -> list[str]:
    lines = []
    for number, (labels, texts) in enumerate(alerts):
        comma = "," if number < len(alerts) - 1 else ""
        lines += [
            f"{number}:",
            f"  Labels:{series_text(labels)}",
            f"  Annotations:{series_text(texts)}{comma}",
        ]
    return lines


def _sample_lines(samples: Samples) -> list[str]:
    return [f"{series_text(labels)} {scientific(value)}" for labels, value in samples]


def _is_as(task: OpenTask, expected: ExpectedTask) -> bool:
    return (
        expected.title in {None, task.title}
        and expected.severity in {None, task.severity}
        and expected.labels.items() <= dict(task.labels).items()
    )


def _expected_lines(task: ExpectedTask) -> list[str]:
    fields = {"Title": task.title, "Severity": task.severity}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    if task.labels:
        lines.append(f"Labels: {series_text(tuple(sorted(task.labels.items())))}")
    return lines or ["any task"]


def _open_lines(task: OpenTask) -> list[str]:
    return [
        f"Title: {task.title}",
        f"Severity: {task.severity}",
        f"Labels: {series_text(task.labels)}",
    ]
