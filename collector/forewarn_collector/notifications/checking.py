"""The templates of an alertmanager.yml, with all that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from forewarn_collector.notifications.templates import Templates
from forewarn_collector.rules.template_nodes import TemplateError
from forewarn_collector.silencing import AlertmanagerFile, Email, TemplateText
from forewarn_wire import Problem


@dataclass(frozen=True, slots=True)
class CheckedTemplates:
    """What files define. `problems` are files that Alertmanager would refuse, `notes` are texts of
    receivers that it would fail with when it tells of alerts."""

    templates: Templates
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def templates_of(file: AlertmanagerFile) -> CheckedTemplates:
    """Read the template files of a configuration, and look at every text that uses them."""
    templates = Templates.default()
    problems = []
    for each in file.templates:
        try:
            templates = templates.adding(Path(each.path).name, each.text)
        except TemplateError as error:
            place = _place(each.text, error.offset)
            problems.append(Problem(each.path, *place, str(error), error.hint))
    if problems:
        # What they would have defined is not known.
        return CheckedTemplates(templates, tuple(problems))
    notes = []
    for receiver in file.receivers.values():
        emails = (each for each in receiver.told if isinstance(each, Email))
        for name, text in chain.from_iterable(map(_texts, emails)):
            try:
                templates.check(text.text)
            except TemplateError as error:
                said = f"{receiver.name}: {name} can't be carried out: {error}"
                hint = error.hint or "this part of the message is Forewarn's own"
                notes.append(Problem(file.file, text.line, text.column, said, hint))
    return CheckedTemplates(templates, (), tuple(notes))


def _texts(email: Email) -> Iterator[tuple[str, TemplateText]]:
    if email.html is not None:
        yield "html", email.html
    if email.text is not None:
        yield "text", email.text
    for name, text in email.headers.items():
        yield f"header {name}", text


def _place(text: str, offset: int | None) -> tuple[int, int]:
    if offset is None:
        return 1, 1
    before = text[:offset]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
