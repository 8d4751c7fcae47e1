"""Selectors as text, and which of them contain others."""

from __future__ import annotations

import json
from collections.abc import Sequence

from forewarn_collector.store import Matcher, MatchOp
from forewarn_wire import is_label_name, is_metric_name
from forewarn_wire.labels import METRIC_NAME


def selector_text(matchers: Sequence[Matcher]) -> str:
    """A selector in PromQL."""
    name = next((each.value for each in matchers if _is_plain_name(each)), "")
    pairs = [
        f"{_name(each.name)}{each.op.value}{json.dumps(each.value, ensure_ascii=False)}"
        for each in matchers
        if not (name and _is_plain_name(each))
    ]
    return name + ("{" + ",".join(pairs) + "}" if pairs or not name else "")


def broadest(selectors: Sequence[Sequence[Matcher]]) -> list[Sequence[Matcher]]:
    """The selectors without those that find nothing that another does not find, too."""
    kept: list[tuple[frozenset[Matcher], Sequence[Matcher]]] = []
    # With fewer conditions first, so that each is compared with all that may contain it.
    for matchers in sorted(selectors, key=lambda each: len(frozenset(each))):
        conditions = frozenset(matchers)
        if not any(other <= conditions for other, _ in kept):
            kept.append((conditions, matchers))
    return [matchers for _, matchers in kept]


def _is_plain_name(matcher: Matcher) -> bool:
    is_name = matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL
    return is_name and is_metric_name(matcher.value)


def _name(name: str) -> str:
    return name if is_label_name(name) else json.dumps(name, ensure_ascii=False)
