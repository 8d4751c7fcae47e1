"""Labels that an aggregation or join names though no series there can have them."""

from __future__ import annotations

from collections.abc import Iterator

from forewarn_collector.promql.label_sets import label_set
from forewarn_collector.promql.nodes import Aggregation, Binary, Cardinality, nodes_of
from forewarn_collector.rules.lint.model import Lint, Remark, Ruleset, Subject
from forewarn_wire.labels import METRIC_NAME


def _find(subject: Subject, ruleset: Ruleset) -> Iterator[Remark]:
    for node in nodes_of(subject.rule.query.expr):
        match node:
            case Aggregation(operator, expr, _, labels, False, places):
                possible = label_set(expr).possible
                for name in sorted(name for name in labels if name not in possible):
                    message = f"{operator} by {name}, which what it aggregates cannot have"
                    remedy = f"keep {name} within the brackets, or leave it out here"
                    yield subject.at(places.start if places else None, message, remedy)
            case Binary(operator, left, right, _, matching, place) if matching.include:
                many_to_one = matching.cardinality is Cardinality.MANY_TO_ONE
                possible = label_set(right if many_to_one else left).possible
                for name in sorted({*matching.include} - {METRIC_NAME}):
                    if name in possible:
                        continue
                    group = "group_left" if many_to_one else "group_right"
                    message = f"{group} takes over {name}, which that side cannot have"
                    remedy = f"keep {name} there, for example in its by (...)"
                    yield subject.at(place, message, remedy)


GROUPING = Lint(
    "label-cannot-be",
    "by (...) or group_left (...) of a label that what stands there cannot have",
    _find,
)
