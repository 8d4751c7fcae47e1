"""The rules of a test file, compiled, in the order in which a test evaluates them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from forewarn_collector.promql import Query, share
from forewarn_collector.rules.model import RecordingRule, Rule, RuleGroup, RuleSet


@dataclass(frozen=True, slots=True)
class Program:
    """Groups in their order, each rule with its query, which shares plans with those of others."""

    groups: Sequence[tuple[RuleGroup, Sequence[tuple[Rule, Query]]]]
    recording: Mapping[str, Sequence[RecordingRule]]

    def rules(self) -> Iterator[Rule]:
        """Every rule, in the order of evaluation."""
        for group, _ in self.groups:
            yield from group.rules


def compiled(rules: RuleSet, order: Sequence[str]) -> Program:
    """The rules with their groups in the order of `order`, else in that of the files.

    As in promtool a group that is not named has the same place as the first that is.
    """
    places = {name: place for place, name in enumerate(order)}
    groups = sorted(rules.groups, key=lambda group: places.get(group.name, 0))
    plans = iter(share([rule.query for group in groups for rule in group.rules]))
    return Program(
        [(group, [(rule, next(plans)) for rule in group.rules]) for group in groups],
        rules.recording(),
    )
