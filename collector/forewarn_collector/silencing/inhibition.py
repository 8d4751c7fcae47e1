"""Inhibition: alerts that make others not worth telling.

Source: prometheus/alertmanager `inhibit/inhibit.go`. An alert that matches both sides of a rule is
not inhibited by another one for which the same is true, so none inhibits itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


Sides = tuple[tuple[int, tuple[str, ...], bool], ...]
"""Of the rules that an alert matches on one side: place, values of `equal`, the other side, too."""


class Inhibitor:
    """The rules over the alerts that fire at this moment: what inhibits each.

    What an alert matches is found once, as it begins; `update` costs little where few change.
    """

    def __init__(self, rules: Sequence[InhibitRule]) -> None:
        self._rules = rules
        self._sides: dict[str, tuple[Sides, Sides]] = {}
        self._sources: dict[tuple[int, tuple[str, ...]], dict[str, bool]] = {}

    def update(self, firing: Mapping[str, Labels]) -> None:
        """Say which alerts fire now: their labels by their ids, each id always with the same."""
        if not self._rules:
            return
        for name in self._sides.keys() - firing.keys():
            for rule, equal, _ in self._sides.pop(name)[0]:
                del self._sources[rule, equal][name]
        for name in firing.keys() - self._sides.keys():
            sides = self._sides_of(firing[name])
            self._sides[name] = sides
            for rule, equal, both in sides[0]:
                self._sources.setdefault((rule, equal), {})[name] = both

    def sources(self, name: str) -> list[str]:
        """The ids of the alerts that inhibit one of those that fire, rule by rule."""
        found: dict[str, None] = {}
        for rule, equal, is_source in self._sides.get(name, ((), ()))[1]:
            for source, both in self._sources.get((rule, equal), {}).items():
                if not (both and is_source):
                    found[source] = None
        return list(found)

    def _sides_of(self, labels: Labels) -> tuple[Sides, Sides]:
        values = dict(labels)
        sources, targets = [], []
        for place, rule in enumerate(self._rules):
            is_source = matches_all(rule.source, values)
            is_target = matches_all(rule.target, values)
            equal = tuple(values.get(name, "") for name in rule.equal)
            if is_source:
                sources.append((place, equal, is_target))
            if is_target:
                targets.append((place, equal, is_source))
        return tuple(sources), tuple(targets)
