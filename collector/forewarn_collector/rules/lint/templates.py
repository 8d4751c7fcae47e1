"""Templates, grouping and evidence that name labels which the alert cannot have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from forewarn_collector.promql.label_sets import Names, names
from forewarn_collector.promql.nodes import Call, unwrapped
from forewarn_collector.rules.lint.model import Lint, Path, Remark, Ruleset, Subject
from forewarn_collector.rules.lint.template_uses import uses_of
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.rules.templates import Template
from forewarn_wire.labels import METRIC_NAME

_VARIABLE = re.compile(r"\$(?:\{([a-zA-Z_][a-zA-Z0-9_]*)\}|([a-zA-Z_][a-zA-Z0-9_]*))")


def _templates(rule: AlertingRule) -> Iterator[tuple[Path, Template]]:
    for name, template in rule.labels.items():
        yield ("labels", name), template
    for name, template in rule.annotations.items():
        yield ("annotations", name), template


def _find_labels(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    rule = subject.alert
    if rule is None:
        return
    of_series = subject.labels.possible
    of_alert = (of_series - names(METRIC_NAME)) | names("alertname", *rule.labels)
    for path, template in _templates(rule):
        yield from _of_template(subject, path, template, of_series)
    task = rule.task
    if task.title is not None:
        yield from _of_template(subject, ("task", "title"), task.title, of_alert)
    for name in task.group_by or ():
        if name not in of_alert:
            yield _remark(subject, ("task", "group_by"), name, of_alert)
    for number, evidence in enumerate(task.evidence):
        field = "expr" if evidence.expr else "events"
        for found in _VARIABLE.finditer(evidence.expr or evidence.events):
            name = found[1] or found[2]
            if name not in of_alert:
                path = "task", "evidence", number, field
                yield _remark(subject, path, name, of_alert, *found.span())


def _of_template(
    subject: Subject, path: Path, template: Template, possible: Names
) -> Iterator[Remark]:
    uses = uses_of(template)
    # Who asks whether a label is there knows that it may be missing.
    tested = {use.label for use in uses if use.tested}
    for use in uses:
        if use.label and use.label not in possible and use.label not in tested:
            yield _remark(subject, path, use.label, possible, use.start, use.end)


def _remark(
    subject: Subject,
    path: Path,
    name: str,
    possible: Names,
    start: int = 0,
    end: int | None = None,
) -> Remark:
    field = ".".join(str(step) for step in path if not isinstance(step, int))
    message = f"{field} names the label {name}, which the alert cannot have"
    return Remark(path, message, _remedy(subject, name, possible), start, end)


def _remedy(subject: Subject, name: str, possible: Names) -> str:
    rule = subject.rule
    if name in rule.labels:
        return f"$labels has the labels of the expression; {name} is added by the rule later"
    if name == METRIC_NAME:
        return "functions and operators take the metric's name away"
    top = unwrapped(rule.query.expr)
    if isinstance(top, Call) and top.function.startswith("absent"):
        return f'absent() gives only labels that its selector names by =, such as {name}="..."'
    known = sorted(possible.known or ())
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean {near[0]}?"
    if known:
        return f"it has {', '.join(known)}; keep {name} in the expression, for example in by (...)"
    return f"keep {name} in the expression, for example in by (...)"


def _find_values(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    if subject.alert is None:
        return
    for name, template in subject.alert.labels.items():
        for use in uses_of(template):
            if not use.label and not use.tested:
                message = f"the label {name} has the value in it: with every new value the alert"
                message += " is another one, and begins to wait anew"
                remedy = "put the value into an annotation"
                yield Remark(("labels", name), message, remedy, use.start, use.end)
                break


LABELS = Lint(
    "template-label-cannot-be",
    "a template, group_by or evidence that names a label which the alert cannot have",
    _find_labels,
)
VALUES = Lint("value-in-label", "a label that holds the value", _find_values)
