"""Of which series and events evidence is made: of an alert's customer or of none, of its host."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forewarn_collector.store import Matcher, MatchOp, NarrowedSource, SeriesSource
from forewarn_collector.tasks.identity import CUSTOMER
from forewarn_wire import Labels

HOST = "instance"
HOST_LABELS = frozenset({HOST, CUSTOMER})


def customer_within(customer: str) -> tuple[Matcher, ...]:
    """What the task of a customer may show: two customers may have hosts of one name.

    What is of no customer is nobody's secret, and may be the other side of a join. The task of no
    customer is for those who may see all.
    """
    if not customer:
        return ()
    return (Matcher(CUSTOMER, MatchOp.REGEX, f"{re.escape(customer)}|"),)


def host_of(labels: Labels) -> list[Matcher]:
    """What finds the signals of an alert's host; nothing where it has none."""
    found = [Matcher(name, MatchOp.EQUAL, value) for name, value in labels if name in HOST_LABELS]
    return found if any(matcher.name == HOST for matcher in found) else []


def of_hosts(source: SeriesSource, hosts: Sequence[str]) -> SeriesSource:
    """The series of one host or more, of a source that has others."""
    if len(hosts) == 1:
        return NarrowedSource(source, [Matcher(HOST, MatchOp.EQUAL, hosts[0])])
    any_of = "|".join(map(re.escape, hosts))
    return NarrowedSource(source, [Matcher(HOST, MatchOp.REGEX, any_of)])


class Scopes:
    """A source as the tasks of each customer may read it."""

    def __init__(self, source: SeriesSource) -> None:
        self._source = source
        self._known: dict[str, SeriesSource] = {"": source}

    def of(self, customer: str) -> SeriesSource:
        """The source for a customer; empty for none."""
        if customer not in self._known:
            self._known[customer] = NarrowedSource(self._source, customer_within(customer))
        return self._known[customer]
