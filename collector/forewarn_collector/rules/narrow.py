"""Some of the rules, with all that these need of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from forewarn_collector.rules.model import AlertingRule, RuleSet
from forewarn_collector.rules.order import ordered


def narrowed(rules: RuleSet, wanted: Callable[[AlertingRule], bool]) -> RuleSet:
    """The alerting rules that are wanted, and those whose records or alerts they read."""
    every = list(rules.rules())
    order = ordered(every)
    chosen = {
        place
        for place, rule in enumerate(order.rules)
        if isinstance(rule, AlertingRule) and wanted(rule)
    }
    waiting = list(chosen)
    while waiting:
        place = waiting.pop()
        shown = {other for other, seen in enumerate(order.watchers) if place in seen}
        more = (order.feeders[place] | shown) - chosen
        chosen |= more
        waiting += more
    keys = {order.rules[place].key for place in chosen}
    groups = (
        replace(group, rules=tuple(rule for rule in group.rules if rule.key in keys))
        for group in rules.groups
    )
    return RuleSet(tuple(group for group in groups if group.rules))
