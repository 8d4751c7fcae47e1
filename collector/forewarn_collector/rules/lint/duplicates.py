"""Rules that say the same twice."""

from __future__ import annotations

from collections.abc import Iterator

from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_collector.rules.model import Rule


def _find(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    rule = subject.rule
    for other in ruleset.named[rule.name]:
        if other is subject:
            return
        if _said(other.rule) == _said(rule):
            place = f"{other.rule.file}:{other.rule.line}"
            field = "alert" if subject.alert else "record"
            message = f"{rule.name} stands at {place} already, with the same labels and expression"
            yield Remark((field,), message, "remove one of the two, or give it a label of its own")
            return


def _said(rule: Rule) -> tuple[object, ...]:
    labels = {name: getattr(value, "source", value) for name, value in rule.labels.items()}
    return type(rule), rule.query.expr, labels


DUPLICATES = Lint("duplicate-rule", "an equal rule that stands twice", _find)
