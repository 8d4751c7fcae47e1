"""YAML that a person wrote, read with the place of every value, all its problems at once.

A `Section` hands out the values of a mapping one by one, each checked; what is wrong is added to
one list of problems, and what nobody asked for is an unknown field. Used by the agent's and the
collector's configuration and by rule files.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import yaml

from forewarn_wire.document_errors import yaml_problem
from forewarn_wire.errors import Problem

T = TypeVar("T")

_NO_HINTS: Mapping[str, str] = {}
_DEEPEST = 100
_MOST_FIELDS = 10_000
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Section:
    """One mapping of a document: typed reading of its fields, with their places."""

    def __init__(self, node: yaml.MappingNode, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self._node = node
        self._fields: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        self._asked: list[str] = []
        for key, value in node.value:
            name = str(key.value)
            # A field that came through a merge key (`<<: *other`) stands outside, and may be given
            # again to override it.
            if name in self._fields and _stands_in(self._fields[name][0], node):
                self._problem(key, f"{name} is given twice", "keep one of them")
            self._fields[name] = (key, value)

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def names(self) -> list[str]:
        """The names of all fields, in the order of the file."""
        return list(self._fields)

    def place(self, name: str = "") -> tuple[int, int]:
        """Line and column, from 1, of a field's value, or of the section itself."""
        node = self._fields[name][1] if name in self._fields else self._node
        return node.start_mark.line + 1, node.start_mark.column + 1

    def end(self) -> tuple[int, int]:
        """Line and column, from 1, where what follows the section begins, or the document ends."""
        mark = self._node.end_mark
        return mark.line + 1, mark.column + 1

    def problem(self, name: str, message: str, hint: str = "") -> None:
        """Report something wrong with the value of a field (or, for "", with the section)."""
        node = self._fields[name][1] if name in self._fields else self._node
        self._problem(node, message, hint)

    def _problem(self, node: yaml.Node, message: str, hint: str) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self.file, mark.line + 1, mark.column + 1, message, hint))

    def take(self, name: str, read: Callable[[Any], T], default: T) -> T:
        """The field's value through `read`, which raises ValueError with what it expects."""
        self._asked.append(name)
        if name not in self._fields:
            return default
        value = _construct(self._fields[name][1])
        if value is None:
            return default
        try:
            return read(value)
        except ValueError as error:
            self.problem(name, f"{name}: {error}")
            return default

    def require(self, name: str, read: Callable[[Any], T], default: T) -> T:
        """As `take`, but a missing or empty field is a problem; `default` then stands in."""
        if name not in self._fields or _construct(self._fields[name][1]) is None:
            self._asked.append(name)
            self.problem("", f"{name} is missing")
            return default
        return self.take(name, read, default)

    def written(self, name: str) -> str | None:
        """The field's text as it was written, also where YAML would read 1, true or a date.

        None where the field is absent, empty or not a scalar (which is a problem).
        """
        self._asked.append(name)
        if name not in self._fields:
            return None
        node = self._fields[name][1]
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag.endswith(":null") else str(node.value)
        self.problem(name, f"{name}: expected text, found a list or a mapping")
        return None

    def section(self, name: str) -> Section | None:
        """The field as a section of its own; None where it is absent or empty."""
        self._asked.append(name)
        if name not in self._fields:
            return None
        return self._as_section(self._fields[name][1], name)

    def sections(self, name: str) -> list[Section]:
        """The field as a list of sections."""
        self._asked.append(name)
        if name not in self._fields:
            return []
        node = self._fields[name][1]
        if isinstance(node, yaml.SequenceNode):
            found = [self._as_section(item, f"each item of {name}") for item in node.value]
            return [section for section in found if section is not None]
        if _construct(node) is not None:
            self.problem(name, f"{name} must be a list", "start each item with '- '")
        return []

    def _as_section(self, node: yaml.Node, what: str) -> Section | None:
        if isinstance(node, yaml.MappingNode):
            return Section(node, self.file, self.problems)
        if _construct(node) is not None:
            self._problem(node, f"{what} must be a mapping", "write it as 'name: value' lines")
        return None

    def refuse_unknown(self, hints: Mapping[str, str] = _NO_HINTS) -> None:
        """Report every field that was never asked for, with its hint or the nearest known name."""
        for name, (key, _) in self._fields.items():
            if name not in self._asked:
                near = difflib.get_close_matches(name, self._asked, 1)
                known = ", ".join(dict.fromkeys(self._asked))
                nearest = f"did you mean {near[0]}?" if near else f"known fields: {known}"
                hint = hints.get(name, nearest)
                self._problem(key, f"unknown field {name}", hint)


def read_document(text: str, file: str, problems: list[Problem]) -> Section | None:
    """Read a YAML document that is one mapping. None where it is empty or not readable.

    What is wrong is added to `problems`; nothing is raised.
    """
    try:
        _refuse_depth(text)
        node = yaml.compose(text, Loader=_LOADER)
        if node is not None:
            _construct(node)
    except (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError) as error:
        # The last three: what PyYAML lets escape for 2026-13-45, !!bool x and !!timestamp x.
        problems.append(yaml_problem(error, file, text))
        return None
    if node is None or (isinstance(node, yaml.ScalarNode) and node.value == ""):
        return None
    if not isinstance(node, yaml.MappingNode):
        mark = node.start_mark
        problems.append(
            Problem(
                file,
                mark.line + 1,
                mark.column + 1,
                "the file must be a mapping",
                "write it as 'name: value' lines",
            )
        )
        return None
    return Section(node, file, problems)


def _refuse_depth(text: str) -> None:
    # libyaml's composer calls itself without a bound, and would take the process with it.
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            mark: Any = event.start_mark
            problem = f"nested more than {_DEEPEST} deep"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _stands_in(node: yaml.Node, parent: yaml.Node) -> bool:
    inside: bool = parent.start_mark.index <= node.start_mark.index < parent.end_mark.index
    return inside


class _Constructor(yaml.constructor.SafeConstructor):
    """Refuses merge keys that multiply one another beyond all use."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_FIELDS:
            raise yaml.MarkedYAMLError(
                problem=f"a mapping of more than {_MOST_FIELDS} fields",
                problem_mark=node.start_mark,
            )


def _construct(node: yaml.Node) -> Any:
    constructor = _Constructor()
    return constructor.construct_document(node)
