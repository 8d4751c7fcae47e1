"""What every ticket queue's configuration says alike: how a task's facts become a ticket's fields.

project_setting: ACME          each tracker's own word; a template like the others below
title: "{{ title }}"           templates are Jinja2's, on the names in `NAMES`
labels: [forewarn, "severity:{{ severity }}"]
priority: {critical: P1, high: P2}      the tracker's word for each severity
assignee: {alice: alice-acme}           the tracker's name for each person; others: nobody
default_assignee: support-lead          for tasks that are nobody's
due: true                      whether the ticket gets the task's due time
fields: {customfield_10010: "{{ labels.instance }}"}   more fields, by the tracker's names
on_resolve: comment            or `close`: what happens when the signal says that it is over
poll: 1m                       how often the tracker is asked what people did; `off`: never
hook_secret_file: PATH         what the tracker signs its webhooks with, see api/hooks.py
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import ChainableUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from forewarn_collector.queues.base import DeliveryError, read_secret
from forewarn_collector.queues.tracker import TicketFields
from forewarn_collector.tasks import Task
from forewarn_wire.document import Section
from forewarn_wire.readers import boolean, duration, one_of, text, text_mapping, texts

NAMES = (
    "number",
    "title",
    "severity",
    "kind",
    "customer",
    "service",
    "rule",
    "labels",
    "annotations",
    "where",
)
"""What templates may speak of."""

_TITLE = "{{ title }}"
_LABELS = ("forewarn", "severity:{{ severity }}", "customer:{{ customer }}")
_POLL = 60_000
_SHORTEST_POLL = 10_000
_LONGEST_FIELD = 10_000
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=ChainableUndefined)
_UNSENDABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_WHERE = ("instance", "host", "service", "job")


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketSettings:
    """See the module's text. `poll` in ms, 0 for never.

    `one_project` is whether all tasks go to the same one: its loss is then the whole queue's.
    """

    project: Template
    one_project: bool = True
    title: Template = field(default_factory=lambda: _ENVIRONMENT.from_string(_TITLE))
    labels: tuple[Template, ...] = ()
    priority: Mapping[str, str] = field(default_factory=dict)
    assignee: Mapping[str, str] = field(default_factory=dict)
    default_assignee: str = ""
    due: bool = True
    custom: Mapping[str, Any] = field(default_factory=dict)
    closes_on_resolve: bool = False
    poll: int = _POLL
    hook_secret: bytes = b""

    def fields(self, task: Task, longest_title: int) -> TicketFields:
        """The fields of a task's ticket. Raises DeliveryError where a template can't be filled."""
        names = _names(task)
        project = _filled(self.project, names)
        if not project:
            raise DeliveryError(
                f"the project of {task.number} is empty: no label that its template names is there",
                permanent=True,
            )
        filled = [_filled(template, names) for template in self.labels]
        title = " ".join(_filled(self.title, names).split())
        return TicketFields(
            project=project,
            title=cut(title or task.number, longest_title),
            priority=self.priority.get(task.severity, ""),
            # One whose value is missing says nothing: `customer:`.
            labels=tuple(dict.fromkeys(x for x in filled if x and not x.endswith(":"))),
            assignee=self.assignee.get(task.assignee, self.default_assignee),
            due_at=task.due_at if self.due else None,
            custom={name: _filled_all(value, names) for name, value in self.custom.items()},
        )

    def person(self, name: str) -> str:
        """Who a name in the tracker is here: the reverse of `assignee`, else the same name."""
        return next((ours for ours, theirs in self.assignee.items() if theirs == name), name)


def read_ticket_settings(
    section: Section, project_setting: str, environ: Mapping[str, str]
) -> TicketSettings | None:
    """Read them; None where that is impossible, with the problems reported."""
    before = len(section.problems)
    found = TicketSettings(
        project=section.require(project_setting, _template, _ENVIRONMENT.from_string("")),
        one_project=section.take(project_setting, _is_constant, True),
        title=section.take("title", _template, _ENVIRONMENT.from_string(_TITLE)),
        labels=section.take("labels", _templates, _templates(list(_LABELS))),
        priority=section.take("priority", text_mapping, {}),
        assignee=section.take("assignee", text_mapping, {}),
        default_assignee=section.take("default_assignee", text, ""),
        due=section.take("due", boolean, True),
        custom=section.take("fields", _custom, {}),
        closes_on_resolve=section.take("on_resolve", one_of("comment", "close"), "comment")
        == "close",
        poll=section.take("poll", _poll, _POLL),
        hook_secret=read_secret(section, "hook_secret", environ),
    )
    return found if len(section.problems) == before else None


def where_of(task: Task) -> str:
    """Where a task's problem is, in one word; empty where no label says so."""
    labels = dict(task.labels)
    return next((labels[name] for name in _WHERE if labels.get(name)), "")


def cut(value: str, longest: int) -> str:
    """Text of at most so many characters; what was longer ends in an ellipsis."""
    return value if len(value) <= longest else value[: longest - 1].rstrip() + "…"


def sendable(value: str) -> str:
    """Text without what no request or database takes: controls, half characters, non-characters."""
    return _UNSENDABLE.sub("", value).encode("utf-8", "replace").decode()


def _names(task: Task) -> Mapping[str, Any]:
    where = where_of(task)
    title = task.title if not where or where in task.title else f"{task.title} ({where})"
    return {
        "number": task.number,
        "title": title,
        "severity": task.severity,
        "kind": task.kind,
        "customer": task.customer,
        "service": task.service,
        "rule": task.rule_name,
        "labels": dict(task.labels),
        "annotations": dict(task.annotations),
        "where": where,
    }


def _filled(template: Template, names: Mapping[str, Any]) -> str:
    try:
        filled = template.render(names)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        said = f"a template of this queue can't be filled: {error}"
        raise DeliveryError(said, permanent=True) from error
    # Nothing invisible either: these are names and titles.
    visible = "".join(c for c in filled if c.isprintable() or c in "\n\t")
    return sendable(visible).strip()[:_LONGEST_FIELD]


def _filled_all(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, Template):
        return _filled(value, names)
    if isinstance(value, dict):
        return {name: _filled_all(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled_all(item, names) for item in value]
    return value


def _template(value: Any) -> Template:
    try:
        return _ENVIRONMENT.from_string(text(value))
    except TemplateError as error:
        raise ValueError(f"expected a template; {error}: {value!r}") from error


def _is_constant(value: Any) -> bool:
    try:
        return not find_undeclared_variables(_ENVIRONMENT.parse(text(value)))
    except (TemplateError, ValueError):
        # It is told of where it is read as a template.
        return True


def _templates(value: Any) -> tuple[Template, ...]:
    return tuple(_template(item) for item in texts(value))


def _custom(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected the names of fields with their values, found {value!r}")
    return {str(name): _compiled(item) for name, item in value.items()}


def _compiled(value: Any) -> Any:
    if isinstance(value, str):
        return _template(value)
    if isinstance(value, dict):
        return {str(name): _compiled(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_compiled(item) for item in value]
    return value


def _poll(value: Any) -> int:
    if value is False or value == "off":
        return 0
    milliseconds = duration(value)
    if milliseconds < _SHORTEST_POLL:
        raise ValueError(f"expected at least 10s, or off; found {value!r}")
    return milliseconds
