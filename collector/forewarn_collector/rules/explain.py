"""The plans of rules: what each evaluates, what it shares with others, what its last turn took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forewarn_collector.promql import Explained, Expr, explain
from forewarn_collector.promql.explain import parts
from forewarn_collector.promql.nodes import unwrapped
from forewarn_collector.rules.model import AlertingRule, Rule
from forewarn_collector.rules.status import RuleStatus
from forewarn_collector.store import SeriesSource

_NAMED = 3
"""How many of the rules that share a part are named."""


@dataclass(frozen=True, slots=True)
class RulePlan:
    """A rule's plan, and its last evaluation where there was one."""

    status: RuleStatus
    plan: Explained

    def to_json(self) -> dict[str, Any]:
        """Times are ms since epoch, None before the first evaluation."""
        status, rule = self.status, self.status.rule
        return {
            "group": rule.group,
            "file": rule.file,
            "name": rule.name,
            "type": "alerting" if isinstance(rule, AlertingRule) else "recording",
            "query": rule.expr,
            "health": status.health.value,
            "last_error": status.last_error,
            "last_evaluation_at": status.last_evaluation,
            "evaluation_seconds": status.evaluation_seconds,
            "elements": status.elements,
            "plan": plan_json(self.plan),
        }


def rule_plans(statuses: Sequence[RuleStatus], source: SeriesSource | None) -> list[RulePlan]:
    """The plans of rules that are compiled together.

    With a source, they tell how many series there are.
    """
    sharers = _sharers([status.rule for status in statuses])
    found = []
    for status in statuses:
        rule = status.rule
        notes = dict(_shared(unwrapped(rule.query.expr), rule, sharers, ""))
        found.append(RulePlan(status, explain(rule.query.expr, source, notes)))
    return found


def plan_json(plan: Explained) -> dict[str, Any]:
    """A plan as JSON: `text`, `notes` and `children`."""
    return {
        "text": plan.text,
        "notes": list(plan.notes),
        "children": [plan_json(child) for child in plan.children],
    }


def plan_lines(plan: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """A plan in that JSON as lines of text, each part below and within what works on it."""
    notes = f"  [{'; '.join(plan['notes'])}]" if plan["notes"] else ""
    yield f"{'  ' * depth}{plan['text']}{notes}"
    for child in plan["children"]:
        yield from plan_lines(child, depth + 1)


def _sharers(rules: Iterable[Rule]) -> dict[Expr, dict[str, str]]:
    """For each part that several rules have, their names by key."""
    found: dict[Expr, dict[str, str]] = {}
    for rule in rules:
        for node in _all_parts(unwrapped(rule.query.expr)):
            found.setdefault(node, {})[rule.key] = rule.name
    return {node: names for node, names in found.items() if len(names) > 1}


def _all_parts(node: Expr) -> Iterator[Expr]:
    yield node
    for part in parts(node):
        yield from _all_parts(part)


def _shared(
    node: Expr, rule: Rule, sharers: Mapping[Expr, Mapping[str, str]], above: str
) -> Iterator[tuple[Expr, tuple[str, ...]]]:
    """What each part of a rule shares with others, unless it is what is said `above` it."""
    names = sharers.get(node, {})
    others = list(dict.fromkeys(name for key, name in names.items() if key != rule.key))
    more = len(others) - _NAMED
    text = ", ".join(others[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    if others and text != above:
        yield node, (f"shared with {text}",)
    for part in parts(node):
        yield from _shared(part, rule, sharers, text)
