"""Functions that change labels, or order series by them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import re2

from forewarn_collector.promql.annotations import SORT_IN_RANGE
from forewarn_collector.promql.errors import Position, PromQLError
from forewarn_collector.promql.functions.base import Builder, Compiler
from forewarn_collector.promql.nodes import Call, place_of
from forewarn_collector.promql.relabel import Relabel
from forewarn_collector.promql.values import Context, Memo, Plan, Vector
from forewarn_collector.store.columns import Ints
from forewarn_wire.labels import METRIC_NAME, Labels, labels_from


@dataclass(frozen=True, slots=True)
class _RelabelPlan:
    argument: Plan[Vector]
    relabel: Relabel

    def evaluate(self, context: Context) -> Vector:
        return self.relabel(self.argument.evaluate(context))


def with_label(labels: Labels, name: str, value: str) -> Labels:
    """The labels with one set, or taken out if the value is empty."""
    return labels_from({**dict(labels), name: value})


def _label_replace(compiler: Compiler, call: Call) -> Plan[Vector]:
    vector, *others = call.arguments
    target, replacement, source, pattern = (compiler.text(other) for other in others)
    _check_target("label_replace", target)
    options = re2.Options()
    options.log_errors = False
    try:
        expression = re2.compile(f"^(?s:{pattern})$", options)
    except re2.error:
        message = f"invalid regular expression in label_replace(): {pattern}"
        raise PromQLError(message, place_of(call, 4)) from None

    def change(labels: Labels, nameless: bool) -> tuple[Labels, bool]:
        found = expression.match(dict(labels).get(source, ""))
        if found is None:
            return labels, nameless
        changed = with_label(labels, target, expanded(replacement, found))
        return changed, nameless and target != METRIC_NAME

    return _RelabelPlan(compiler.vector(vector), Relabel(change))


_REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z0-9_]+)|\{([A-Za-z0-9_]+)\})")


def expanded(template: str, found: Any) -> str:
    """Go's `Regexp.Expand`: `$1`, `$name`, `${name}`, `$$`; an unknown group is empty."""

    def text_of(reference: re.Match[str]) -> str:
        dollar, plain, braced = reference.groups()
        if dollar:
            return "$"
        name = plain or braced
        try:
            return found.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(text_of, template)


def _label_join(compiler: Compiler, call: Call) -> Plan[Vector]:
    vector, *others = call.arguments
    target, separator, *sources = (compiler.text(other) for other in others)
    _check_target("label_join", target)

    def change(labels: Labels, nameless: bool) -> tuple[Labels, bool]:
        known = dict(labels)
        joined = separator.join(known.get(source, "") for source in sources)
        return with_label(labels, target, joined), nameless and target != METRIC_NAME

    return _RelabelPlan(compiler.vector(vector), Relabel(change))


def _check_target(function: str, name: str) -> None:
    # Any text may be a label's name since Prometheus 3, except none at all.
    if not name:
        raise PromQLError(f"invalid destination label name in {function}(): {name}")


@dataclass(frozen=True, slots=True)
class _SortPlan:
    argument: Plan[Vector]
    order: Callable[[Vector], Ints]
    place: Position | None

    def evaluate(self, context: Context) -> Vector:
        vector = self.argument.evaluate(context)
        # The steps of a range have no common order.
        if context.steps != 1:
            context.annotations.warn(SORT_IN_RANGE, self.place)
            return vector
        return replace(vector, order=self.order(vector))


def _sort(descending: bool) -> Builder:
    def order(vector: Vector) -> Ints:
        values = vector.values[:, 0]
        # NaN comes last, either way.
        return np.argsort(-values if descending else values, kind="stable")

    return lambda compiler, call: _SortPlan(
        compiler.vector(call.arguments[0]), order, place_of(call)
    )


def _sort_by_label(descending: bool) -> Builder:
    def build(compiler: Compiler, call: Call) -> Plan[Vector]:
        vector, *others = call.arguments
        names = [compiler.text(other) for other in others]

        def ranks(series: Sequence[Labels]) -> Ints:
            keys = [_sort_key(labels, names) for labels in series]
            places = sorted(range(len(keys)), key=keys.__getitem__, reverse=descending)
            return np.array(places, dtype=np.int64)

        memo: Memo[Ints] = Memo(ranks)
        return _SortPlan(
            compiler.vector(vector), lambda vector: memo(vector.labels), place_of(call)
        )

    return build


def _sort_key(labels: Labels, names: Sequence[str]) -> tuple[Any, ...]:
    known = dict(labels)
    return tuple(_natural(known.get(name, "")) for name in names), labels


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key by which "a2" comes before "a10"."""
    return tuple(
        (0, int(part), "") if "0" <= part[0] <= "9" else (1 if part[0] > "9" else -1, 0, part)
        for part in re.findall(r"[0-9]+|[^0-9]+", text)
    )


LABELLING: Mapping[str, Builder] = {
    "label_replace": _label_replace,
    "label_join": _label_join,
    "sort": _sort(descending=False),
    "sort_desc": _sort(descending=True),
    "sort_by_label": _sort_by_label(descending=False),
    "sort_by_label_desc": _sort_by_label(descending=True),
}
