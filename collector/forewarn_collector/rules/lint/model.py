"""What a lint is, what it is shown, and what it may remark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from forewarn_collector.promql.errors import Position
from forewarn_collector.promql.label_sets import LabelSet, label_set
from forewarn_collector.promql.places import word_end
from forewarn_collector.rules.fields import RuleReader, Span, offset_of
from forewarn_collector.rules.lint.signals import Signals
from forewarn_collector.rules.model import AlertingRule, RecordingRule, Rule

Path = tuple[str | int, ...]
"""A field of a rule: `("labels", "severity")`, `("task", "evidence", 0, "expr")`."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to mend in a field: the characters `start` to `end` of its text, or (None) all."""

    path: Path
    message: str
    remedy: str
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A rule under lint. `labels` are those that its expression's series have."""

    rule: Rule
    reader: RuleReader
    labels: LabelSet

    @staticmethod
    def of(rule: Rule, reader: RuleReader) -> Subject:
        """The rule, with what is told from its expression."""
        return Subject(rule, reader, label_set(rule.query.expr))

    @property
    def alert(self) -> AlertingRule | None:
        """The rule, if it alerts."""
        return self.rule if isinstance(self.rule, AlertingRule) else None

    def at(self, place: Position | None, message: str, remedy: str) -> Remark:
        """A remark on the word (or the selector) at a place of the expression."""
        if place is None:
            return Remark(("expr",), message, remedy)
        text = self.rule.query.text
        start = offset_of(text, *place)
        return Remark(("expr",), message, remedy, start, word_end(text, start))

    def span(self, remark: Remark) -> Span:
        """Where in the file a remark belongs."""
        reader = self.reader
        section = reader.section
        *above, name = remark.path
        for step, below in zip(above, remark.path[1:], strict=False):
            if isinstance(step, int):
                continue
            if isinstance(below, int):
                section = section.sections(step)[below]
            else:
                # A label of the group stands in no field of the rule.
                inner = section.section(step)
                if inner is None or str(below) not in inner:
                    return reader.span("")
                section = inner
        return reader.within(section).span(str(name), remark.start, remark.end)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All rules that are checked together, and the signals that are there, if they are known.

    `named` has them by name, and `recorded` those that record.
    """

    subjects: Sequence[Subject]
    signals: Signals | None = None
    named: dict[str, list[Subject]] = field(init=False)
    recorded: dict[str, list[RecordingRule]] = field(init=False)

    def __post_init__(self) -> None:
        named: dict[str, list[Subject]] = {}
        recorded: dict[str, list[RecordingRule]] = {}
        for subject in self.subjects:
            named.setdefault(subject.rule.name, []).append(subject)
            if isinstance(subject.rule, RecordingRule):
                recorded.setdefault(subject.rule.name, []).append(subject.rule)
        object.__setattr__(self, "named", named)
        object.__setattr__(self, "recorded", recorded)


@dataclass(frozen=True, slots=True)
class Lint:
    """A check of rules that can be read. `about` says in one line what it finds."""

    name: str
    about: str
    find: Callable[[Subject, Ruleset], Iterator[Remark]]
