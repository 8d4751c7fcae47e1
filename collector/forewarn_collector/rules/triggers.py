"""Which groups an arrival of data concerns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forewarn_collector.rules.model import RuleGroup


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes a group be evaluated: metrics (None: any), but for those in `own`.

    `own` are metrics that the group itself brings about, directly or through other groups: with
    them it would wake itself up for ever.
    """

    metrics: frozenset[str] | None
    own: frozenset[str]

    def concerns(self, arrived: frozenset[str]) -> bool:
        """Whether the arrival of these metrics calls for an evaluation."""
        if self.metrics is None:
            return bool(arrived - self.own)
        return not self.metrics.isdisjoint(arrived)


def triggers(groups: Sequence[RuleGroup]) -> dict[str, Trigger]:
    """The trigger of each group, by its key."""
    metrics = {group.key: group.metrics for group in groups}
    feeds = {
        group.key: {
            other.key for other in groups if group.recorded and _reads(metrics[other.key], group)
        }
        for group in groups
    }
    reach = {key: _reachable(key, feeds) for key in feeds}
    found = {}
    for group in groups:
        upstream = [other for other in groups if other.key in reach[group.key] or other is group]
        cyclic = [other for other in upstream if group.key in reach[other.key] or other is group]
        own = frozenset().union(*(other.recorded for other in cyclic))
        read = metrics[group.key]
        found[group.key] = Trigger(None if read is None else read - own, own)
    return found


def _reads(metrics: frozenset[str] | None, group: RuleGroup) -> bool:
    return metrics is None or not metrics.isdisjoint(group.recorded)


def _reachable(start: str, feeds: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for following in feeds[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found
