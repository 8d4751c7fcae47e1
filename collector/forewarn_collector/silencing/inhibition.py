"""Inhibition: alerts that make others not worth telling.

Source: prometheus/alertmanager `inhibit/inhibit.go`. An alert that matches both sides of a rule is
not inhibited by another one for which the same is true, so none inhibits itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from forewarn_collector.silencing.matchers import Matcher, matches_all
from forewarn_wire import Labels


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """A source alert inhibits the target alerts that have the same values of `equal`.

    A label that both lack is equal. `line` is where the rule stands in its file.
    """

    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()
    line: int = 0


class Inhibitor:
    """The rules over one set of alerts that fire: what inhibits each.

    `firing` are their labels by their ids; made once, it answers for many targets.
    """

    def __init__(
        self, rules: Sequence[InhibitRule], firing: Iterable[tuple[str, Labels]]
    ) -> None:
        self._rules = rules
        self._sources: list[dict[tuple[str, ...], list[tuple[str, bool]]]] = [{} for _ in rules]
        for name, labels in firing:
            values = dict(labels)
            for rule, sources in zip(rules, self._sources, strict=True):
                if matches_all(rule.source, values):
                    both = matches_all(rule.target, values)
                    sources.setdefault(_equal(rule, values), []).append((name, both))

    def sources(self, labels: Labels) -> list[str]:
        """The ids of the alerts that inhibit an alert with these labels, rule by rule."""
        values = dict(labels)
        found: list[str] = []
        for rule, sources in zip(self._rules, self._sources, strict=True):
            if not sources or not matches_all(rule.target, values):
                continue
            is_source = matches_all(rule.source, values)
            found += [
                name
                for name, both in sources.get(_equal(rule, values), ())
                if not (both and is_source)
            ]
        return list(dict.fromkeys(found))


def _equal(rule: InhibitRule, values: dict[str, str]) -> tuple[str, ...]:
    return tuple(values.get(name, "") for name in rule.equal)
