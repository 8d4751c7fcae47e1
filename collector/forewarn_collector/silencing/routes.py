"""The routing tree: which receiver hears of an alert, and with which others it is grouped.

Source: prometheus/alertmanager `dispatch/route.go` and `dispatch/dispatch.go` (getGroupLabels).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from forewarn_collector.silencing.matchers import Matcher, braced, matches_all
from forewarn_wire import Labels

GROUP_WAIT, GROUP_INTERVAL, REPEAT_INTERVAL = 30_000, 300_000, 14_400_000


@dataclass(frozen=True, slots=True)
class Route:
    """One node of the tree, with what it inherits from its parents filled in. Times in ms.

    `group_by` None groups by all labels. `key` is the path of matchers, Alertmanager's own key of
    a route; `line` is where it stands in its file.
    """

    receiver: str
    matchers: tuple[Matcher, ...] = ()
    key: str = "{}"
    group_by: tuple[str, ...] | None = ()
    continues: bool = False
    mute_intervals: tuple[str, ...] = ()
    active_intervals: tuple[str, ...] = ()
    group_wait: int = GROUP_WAIT
    group_interval: int = GROUP_INTERVAL
    repeat_interval: int = REPEAT_INTERVAL
    routes: tuple[Route, ...] = ()
    line: int = field(default=0, compare=False)

    def match(self, labels: Mapping[str, str]) -> list[Route]:
        """The nodes that an alert ends at, first to last; empty where it doesn't match this one."""
        if not matches_all(self.matchers, labels):
            return []
        found: list[Route] = []
        for route in self.routes:
            matched = route.match(labels)
            found += matched
            if matched and not route.continues:
                break
        return found or [self]

    def group_labels(self, labels: Labels) -> Labels:
        """The labels that name the group of an alert; those it lacks do not count."""
        if self.group_by is None:
            return labels
        return tuple(pair for pair in labels if pair[0] in self.group_by)

    def walk(self) -> Iterator[Route]:
        """This node and all below it, from the top."""
        yield self
        for route in self.routes:
            yield from route.walk()


def route_key(parent: str, matchers: Sequence[Matcher]) -> str:
    """The key of a route below a parent's."""
    return f"{parent}/{braced(matchers)}"
