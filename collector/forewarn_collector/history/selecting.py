"""Selectors as text, and which of them contain others."""

from __future__ import annotations

import json
from collections.abc import Sequence

from forewarn_collector.store import Matcher
from forewarn_wire import is_label_name


def selector_text(matchers: Sequence[Matcher]) -> str:
    """A selector in PromQL."""
    pairs = (
        f"{_name(each.name)}{each.op.value}{json.dumps(each.value, ensure_ascii=False)}"
        for each in matchers
    )
    return "{" + ",".join(pairs) + "}"


def broadest(selectors: Sequence[Sequence[Matcher]]) -> list[Sequence[Matcher]]:
    """The selectors without those that find nothing that another does not find, too."""
    kept: list[tuple[frozenset[Matcher], Sequence[Matcher]]] = []
    # With fewer conditions first, so that each is compared with all that may contain it.
    for matchers in sorted(selectors, key=lambda each: len(frozenset(each))):
        conditions = frozenset(matchers)
        if not any(other <= conditions for other, _ in kept):
            kept.append((conditions, matchers))
    return [matchers for _, matchers in kept]


def _name(name: str) -> str:
    return name if is_label_name(name) else json.dumps(name, ensure_ascii=False)
