"""Relabelling as Prometheus' configuration has it: one step read, with all that it refuses.

Source: prometheus/prometheus `model/relabel/relabel.go`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import re2

from forewarn_wire.document import Section
from forewarn_wire.labels import is_label_name
from forewarn_wire.readers import text, texts, whole_number


class Action(StrEnum):
    """What a step does."""

    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEP_EQUAL = "keepequal"
    DROP_EQUAL = "dropequal"
    HASH_MOD = "hashmod"
    LABEL_MAP = "labelmap"
    LABEL_DROP = "labeldrop"
    LABEL_KEEP = "labelkeep"
    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"


@dataclass(frozen=True, slots=True)
class RelabelConfig:
    """One step; `regex` is compiled, and matches a whole text or nothing of it."""

    action: Action
    source_labels: tuple[str, ...]
    separator: str
    regex: Any
    modulus: int
    target_label: str
    replacement: str


_WITH_TARGET = frozenset(
    {
        Action.REPLACE,
        Action.HASH_MOD,
        Action.LOWERCASE,
        Action.UPPERCASE,
        Action.KEEP_EQUAL,
        Action.DROP_EQUAL,
    }
)
_FOREIGN = {
    Action.KEEP_EQUAL: ("separator", "regex", "modulus", "replacement"),
    Action.DROP_EQUAL: ("separator", "regex", "modulus", "replacement"),
    Action.LABEL_DROP: ("source_labels", "separator", "modulus", "target_label", "replacement"),
    Action.LABEL_KEEP: ("source_labels", "separator", "modulus", "target_label", "replacement"),
    Action.LOWERCASE: ("replacement",),
    Action.UPPERCASE: ("replacement",),
}
"""Fields that would do nothing, by action."""
_NAME_TEMPLATE = re.compile(r"(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+", re.ASCII)


def read_relabel_configs(document: Section, name: str) -> tuple[RelabelConfig, ...]:
    """The steps of a list; what is wrong goes to `document.problems`."""
    return tuple(_step(section) for section in document.sections(name))


def _step(section: Section) -> RelabelConfig:
    step = RelabelConfig(
        action=section.take("action", _action, Action.REPLACE),
        source_labels=section.take("source_labels", _names, ()),
        separator=section.take("separator", text, ";"),
        regex=section.take("regex", _regex, _ALL),
        modulus=section.take("modulus", whole_number, 0),
        target_label=section.take("target_label", text, ""),
        replacement=section.take("replacement", text, "$1"),
    )
    section.refuse_unknown()
    action = step.action
    for field in _FOREIGN.get(action, ()):
        if field in section:
            section.problem(field, f"{field} does nothing with {action}", "take it out")
    if action in _WITH_TARGET and not step.target_label:
        section.problem("", f"{action} needs a target_label")
    elif action in _WITH_TARGET and not _is_target(step):
        section.problem("target_label", f"{step.target_label!r} is no name of a label")
    if action is Action.LABEL_MAP and _NAME_TEMPLATE.fullmatch(step.replacement) is None:
        section.problem("replacement", f"{step.replacement!r} gives no name of a label")
    if action is Action.HASH_MOD and not step.modulus:
        section.problem("modulus", "hashmod needs a modulus of 1 or more")
    return step


def _is_target(step: RelabelConfig) -> bool:
    if step.action is Action.REPLACE and "$" in step.target_label:
        return _NAME_TEMPLATE.fullmatch(step.target_label) is not None
    return is_label_name(step.target_label)


def _action(value: Any) -> Action:
    try:
        return Action(text(value).lower())
    except ValueError:
        raise ValueError(f"expected one of {', '.join(Action)}, found {value!r}") from None


def _names(value: Any) -> tuple[str, ...]:
    names = texts(value)
    for name in names:
        if not is_label_name(name):
            raise ValueError(f"expected names of labels, found {name!r}")
    return names


def _regex(value: Any) -> Any:
    pattern = text(value)
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(f"^(?s:{pattern})$", options)
    except re2.error:
        raise ValueError(f"bad regex {pattern!r}; see RE2's syntax") from None


_ALL = _regex("(.*)")
