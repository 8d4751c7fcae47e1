"""What was compared: each part of the language, and how much was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from differential.answers import Answer
from differential.changes import CHANGES, Change
from differential.language import AGGREGATIONS, FUNCTIONS, NATIVE, OPERATORS
from differential.question import Question
from forewarn_collector.promql import PromQLError, compile_query
from forewarn_collector.promql.nodes import (
    Aggregation,
    AtEdge,
    Binary,
    Call,
    Expr,
    Negation,
    Range,
    Selector,
    Subquery,
    children,
)

_RENAMED = {"holt_winters": "double_exponential_smoothing"}
MODIFIERS = (
    "bool", "on", "ignoring", "group_left", "group_right", "by", "without",
    "offset", "negative offset", "@ start()", "@ end()", "@ time", "[range]", "[range:step]",
    "negation",
)  # fmt: skip
EVERYTHING = frozenset(
    {
        *(f"{_RENAMED.get(name, name)}()" for name in FUNCTIONS if name not in NATIVE),
        *AGGREGATIONS,
        *OPERATORS,
        *MODIFIERS,
        "instant query",
        "range query",
    }
)
"""Every part that must have been compared in an answer that is not empty.

Three functions find something in native histograms alone, which Prometheus 2.42 has.
"""


@dataclass(slots=True)
class Counts:
    """Counts of comparisons, of parts seen in answers that are not empty, of changes met."""

    answers: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)
    expressions: set[str] = field(default_factory=set)
    by_http: int = 0

    def add(self, question: Question, theirs: Answer) -> None:
        """Count one comparison."""
        self.expressions.add(question.text)
        self.answers["error" if theirs.failed else "empty" if theirs.empty else "found"] += 1
        if not theirs.failed and not theirs.empty:
            self.parts["range query" if question.step else "instant query"] += 1
            self.parts.update(parts_of(question.expression(0)))

    def missing(self) -> list[str]:
        """What has not been compared in any answer that is not empty."""
        return sorted(EVERYTHING - self.parts.keys())

    def __str__(self) -> str:
        total = self.answers.total()
        shares = ", ".join(f"{count / total:.1%} {kind}" for kind, count in self.answers.items())
        lines = [
            f"{total:,} answers compared ({len(self.expressions):,} different expressions,"
            f" {self.by_http:,} also by HTTP): {shares}",
            "changes from 2.42 met:",
            *(f"  {self.changes[change]:6,}  {change.what}" for change in CHANGES),
            "in answers that are not empty:",
        ]
        named = [f"{part} {count:,}" for part, count in sorted(self.parts.items())]
        lines += ["  " + ", ".join(named[i : i + 8]) for i in range(0, len(named), 8)]
        return "\n".join(lines)


def parts_of(text: str) -> set[str]:
    """The functions, operators, aggregations and modifiers of an expression."""
    try:
        return set(_parts(compile_query(text).expr))
    except PromQLError:
        return set()


def _parts(node: Expr) -> Iterator[str]:
    match node:
        case Call(function):
            yield f"{function}()"
        case Aggregation(operator, labels=labels, without=without):
            yield operator
            if labels or without:
                yield "without" if without else "by"
        case Binary(operator, returns_bool=returns_bool, matching=matching):
            yield operator
            if returns_bool:
                yield "bool"
            if matching.on or matching.labels:
                yield "on" if matching.on else "ignoring"
            side = {"many-to-one": "group_left", "one-to-many": "group_right"}
            if matching.cardinality in side:
                yield side[matching.cardinality]
        case Negation():
            yield "negation"
        case Range():
            yield "[range]"
        case Subquery():
            yield "[range:step]"
    if isinstance(node, Selector | Subquery):
        if node.offset:
            yield "offset" if node.offset > 0 else "negative offset"
        if isinstance(node.at, AtEdge):
            yield f"@ {node.at}()"
        elif node.at is not None:
            yield "@ time"
    for child in children(node):
        yield from _parts(child)
