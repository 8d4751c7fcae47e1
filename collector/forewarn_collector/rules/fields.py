"""The fields of a rule that need more than a reader: expressions, templates, labels, by place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from forewarn_collector.promql import PromQLError, Query, compile_query
from forewarn_collector.promql.nodes import Aggregation, Binary, Expr, Selector, nodes_of
from forewarn_collector.rules.expression_hints import hint_of
from forewarn_collector.rules.positions import place_in_file
from forewarn_collector.rules.templates import Template, TemplateError
from forewarn_collector.store import MatchOp
from forewarn_wire import Problem
from forewarn_wire.document import Section
from forewarn_wire.labels import METRIC_NAME, is_label_name, is_metric_name

T = TypeVar("T")


class NameScheme(StrEnum):
    """Which names metrics and labels may have: Prometheus' `metric_name_validation_scheme`."""

    UTF8 = "utf8"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a file: from a line and column to those behind its end, None where unknown."""

    line: int
    column: int
    end_line: int | None = None
    end_column: int | None = None


@dataclass(frozen=True, slots=True)
class RuleReader:
    """Reads a section of a rule file; what is wrong goes to the section's problems."""

    section: Section
    source: str
    """The text of the whole file."""
    scheme: NameScheme = NameScheme.UTF8

    def within(self, section: Section) -> RuleReader:
        """A reader of another section of the same file."""
        return RuleReader(section, self.source, self.scheme)

    def span(self, name: str, start: int = 0, end: int | None = None) -> Span:
        """Where `text[start:end]` of a field stands; without an end, where it begins."""
        line, column = self.section.place(name)
        text = self.section.written(name) if name in self.section else None
        if text is None:
            return Span(line, column)
        first = place_in_file(self.source, line, column, text, start)
        if end is None:
            return Span(*first)
        last = place_in_file(self.source, line, column, text, end - 1)
        return Span(*first, last[0], last[1] + 1)

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
            offset = None if error.position is None else offset_of(text, *error.position)
            self._problem(name, text, offset, f"{name}: {error.message}", hint_of(error.message))
            return None
        if query.result_type not in {"vector", "scalar"}:
            what = f"{name} gives a {query.result_type}; a rule needs an instant vector"
            self.section.problem(name, what, "wrap a range in a function such as rate()")
            return None
        if self.scheme is NameScheme.LEGACY:
            for each in sorted(set(_new_names(query.expr))):
                self.section.problem(name, f"{name}: {_not_legacy(each)}", _RENAME)
        # Rules are evaluated by the plans that `share` makes of them.
        return query.without_plan()

    def template(self, name: str) -> Template | None:
        """A field's template; None where it is missing or wrong."""
        text = self.section.written(name)
        if text is None:
            return None
        try:
            return Template.parse(text)
        except TemplateError as error:
            hint = error.hint or "templates are Go's, with Prometheus' functions and variables"
            self._problem(name, text, error.offset, f"{name}: {error}", hint)
            return None

    def labels(self, read: Callable[[RuleReader, str], T | None]) -> dict[str, T]:
        """The field `labels`, each value through `read`; a label's name must be allowed."""
        found = self.named("labels", read)
        for name in ("", METRIC_NAME):
            inner = self.section.section("labels") if name in found else None
            if inner is not None:
                inner.problem(name, f"not a label's name: {name!r}", "give it another name")
        return found

    def named(self, field: str, read: Callable[[RuleReader, str], T | None]) -> dict[str, T]:
        """A field that maps names to values, each through `read`; None is left out."""
        inner = self.section.section(field)
        if inner is None:
            return {}
        reader = self.within(inner)
        if self.scheme is NameScheme.LEGACY:
            for each in inner.names():
                if each and not is_label_name(each):
                    inner.problem(each, f"{field}: {_not_legacy(each)}", _RENAME)
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


_RENAME = "use letters, digits and _ only, not a digit first"


def _not_legacy(name: str) -> str:
    return f"{name!r} is not a name in Prometheus 2"


def _new_names(expr: Expr) -> Iterator[str]:
    """The names in an expression that only Prometheus 3 reads."""
    for node in nodes_of(expr):
        labels: list[str] = []
        match node:
            case Selector(matchers):
                labels += [matcher.name for matcher in matchers]
                yield from (
                    matcher.value
                    for matcher in matchers
                    if matcher.name == METRIC_NAME
                    and matcher.op is MatchOp.EQUAL
                    and not is_metric_name(matcher.value)
                )
            case Aggregation():
                labels += node.labels
            case Binary():
                labels += (*node.matching.labels, *node.matching.include)
        yield from (name for name in labels if not is_label_name(name))


def offset_of(text: str, line: int, column: int) -> int:
    """The index of the character at a line and column of a text, both from 1."""
    before = text.split("\n")[: line - 1]
    return sum(len(each) + 1 for each in before) + column - 1
