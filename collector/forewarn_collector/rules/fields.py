"""The fields of a rule that need more than a reader: expressions, templates, labels, by place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from forewarn_collector.promql import PromQLError, Query, compile_query
from forewarn_collector.rules.positions import place_in_file
from forewarn_collector.rules.templates import Template, TemplateError
from forewarn_wire import Problem
from forewarn_wire.document import Section
from forewarn_wire.labels import METRIC_NAME

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RuleReader:
    """Reads a section of a rule file; what is wrong goes to the section's problems."""

    section: Section
    source: str
    """The text of the whole file."""

    def within(self, section: Section) -> RuleReader:
        """A reader of another section of the same file."""
        return RuleReader(section, self.source)

    def refuse(self, name: str, reason: str, hint: str) -> None:
        """Report a field that is given, whatever it holds."""
        if self.section.take(name, lambda _: True, False):
            self.section.problem(name, reason, hint)

    def query(self, name: str) -> Query | None:
        """A field's PromQL, compiled; None where it is missing or wrong."""
        text = self.section.written(name)
        if text is None or not text.strip():
            self.section.problem(name, f"{name} is missing", "write the PromQL expression here")
            return None
        try:
            query = compile_query(text)
        except PromQLError as error:
            offset = None if error.position is None else _offset(text, *error.position)
            self._problem(name, text, offset, f"{name}: {error.message}", "")
            return None
        if query.result_type not in {"vector", "scalar"}:
            what = f"{name} gives a {query.result_type}; a rule needs an instant vector"
            self.section.problem(name, what, "wrap a range in a function such as rate()")
            return None
        return query

    def template(self, name: str) -> Template | None:
        """A field's template; None where it is missing or wrong."""
        text = self.section.written(name)
        if text is None:
            return None
        try:
            return Template.parse(text)
        except TemplateError as error:
            hint = "templates are Go's, with the functions and variables that Prometheus has"
            self._problem(name, text, error.offset, f"{name}: {error}", hint)
            return None

    def labels(self, read: Callable[[RuleReader, str], T | None]) -> dict[str, T]:
        """The field `labels`, each value through `read`; a label's name must be allowed."""
        found = self.named("labels", read)
        inner = self.section.section("labels")
        for name in ("", METRIC_NAME):
            if name in found and inner is not None:
                inner.problem(name, f"not a label's name: {name!r}", "give it another name")
        return found

    def named(self, field: str, read: Callable[[RuleReader, str], T | None]) -> dict[str, T]:
        """A field that maps names to values, each through `read`; None is left out."""
        inner = self.section.section(field)
        if inner is None:
            return {}
        reader = self.within(inner)
        values = {name: read(reader, name) for name in inner.names()}
        return {name: value for name, value in values.items() if value is not None}

    def text(self, name: str) -> str:
        """A field's plain text; empty where there is none."""
        return self.section.written(name) or ""

    def _problem(self, name: str, text: str, offset: int | None, message: str, hint: str) -> None:
        line, column = self.section.place(name)
        if offset is not None:
            line, column = place_in_file(self.source, line, column, text, offset)
        self.section.problems.append(Problem(self.section.file, line, column, message, hint))


def _offset(text: str, line: int, column: int) -> int:
    before = text.split("\n")[: line - 1]
    return sum(len(each) + 1 for each in before) + column - 1
