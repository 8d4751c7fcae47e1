"""Templates that fail whatever the element is: tried once, and judged by what the types decide."""

from __future__ import annotations

from collections.abc import Iterator

from forewarn_collector.rules.lint.model import Lint, Path, Remark, Ruleset, Subject
from forewarn_collector.rules.templates import Template, TemplateContext, TemplateData

_BY_TYPE = (
    "incompatible types for comparison",
    "invalid type for comparison",
    "wrong type for value",
    "wrong number of args",
    "can't evaluate field",
)
"""Failures that follow from types alone, which are the same for every element."""
_REMEDIES = (
    ("incompatible types", '$value is a float and a label is text: compare with 5.0 or "5", not 5'),
    ("Value float64 }", "there are .Labels, .Value, .ExternalLabels and .ExternalURL"),
)
_VALUES = (0.0, 0.5, 150.0)
"""So that both sides are seen of most comparisons."""


def _find(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    rule = subject.alert
    if rule is None:
        return
    templates: list[tuple[Path, Template]] = [
        *((("labels", name), template) for name, template in rule.labels.items()),
        *((("annotations", name), template) for name, template in rule.annotations.items()),
    ]
    if rule.task.title is not None:
        templates.append((("task", "title"), rule.task.title))
    for path, template in templates:
        if template.plain is None:
            yield from _tried(path, template)


def _tried(path: Path, template: Template) -> Iterator[Remark]:
    context = TemplateContext(query=lambda text: [])
    for value in _VALUES:
        failed = template.failure(TemplateData({}, value), context)
        cause = "" if failed is None else str(failed)
        if failed is not None and any(words in cause for words in _BY_TYPE):
            field = ".".join(map(str, path))
            message = f"{field} will read as an error: {cause}"
            remedy = next((hint for words, hint in _REMEDIES if words in cause), "")
            yield Remark(path, message, remedy, failed.offset or 0)
            return


TRIAL = Lint(
    "template-fails", "a template with a mistake of types, whose text will be an error", _find
)
