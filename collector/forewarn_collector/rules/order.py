"""In which order rules are evaluated, so that what one records the next can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from forewarn_collector.rules.model import RecordingRule, Rule
from forewarn_collector.store import Matcher
from forewarn_collector.store.matching import predicate
from forewarn_wire.labels import METRIC_NAME


@dataclass(frozen=True, slots=True)
class Order:
    """Rules in the order of their evaluation, each after those that feed it.

    A rule feeds another that reads the metric which it records. Rules are known by their
    positions here: `feeders[i]` feed rule `i`; `followers[i]` are all that rule `i` feeds, directly
    or through others. Rules that feed each other keep the order in which they were given.
    """

    rules: tuple[Rule, ...]
    feeders: tuple[AbstractSet[int], ...]
    followers: tuple[AbstractSet[int], ...]


def ordered(rules: Sequence[Rule]) -> Order:
    """The order of rules that were given group by group, as the files have them.

    Rules that have nothing to wait for come first, then those that wait for these only, and so on:
    so that what many rules record is written at once.
    """
    feeders = _feeders(rules)
    fed: list[set[int]] = [set() for _ in rules]
    for reader, sources in enumerate(feeders):
        for source in sources:
            fed[source].add(reader)
    followers = [_reachable(start, fed) for start in range(len(rules))]
    # What feeds a rule has fewer rules upstream, itself counted in, unless both are in a cycle.
    upstream = Counter(each for rule, found in enumerate(followers) for each in {rule, *found})
    levels = [0] * len(rules)
    for position in sorted(range(len(rules)), key=upstream.__getitem__):
        cycle = {other for other in followers[position] if position in followers[other]}
        together = cycle | {position}
        before = {source for member in together for source in feeders[member]} - together
        levels[position] = 1 + max((levels[source] for source in before), default=-1)
    chosen = sorted(range(len(rules)), key=lambda position: (levels[position], position))
    places = {position: place for place, position in enumerate(chosen)}

    def placed(positions: AbstractSet[int]) -> AbstractSet[int]:
        return frozenset(places[position] for position in positions)

    return Order(
        tuple(rules[position] for position in chosen),
        tuple(placed(feeders[position]) for position in chosen),
        tuple(placed(followers[position]) for position in chosen),
    )


def accepts_name(matchers: Sequence[Matcher]) -> Callable[[str], bool]:
    """Whether a selector may find series of a metric, as far as its name tells."""
    tests = [predicate(matcher) for matcher in matchers if matcher.name == METRIC_NAME]
    return lambda name: all(test(name) for test in tests)


def _feeders(rules: Sequence[Rule]) -> list[set[int]]:
    """For each rule, those that record what it reads."""
    recording: dict[str, set[int]] = {}
    for position, rule in enumerate(rules):
        if isinstance(rule, RecordingRule):
            recording.setdefault(rule.name, set()).add(position)
    found: list[set[int]] = []
    for rule in rules:
        names = rule.query.metrics
        if names is None:
            tests = [accepts_name(selector.matchers) for selector in rule.query.selectors]
            names = frozenset(name for name in recording if any(test(name) for test in tests))
        found.append({each for name in names & recording.keys() for each in recording[name]})
    return found


def _reachable(start: int, fed: Sequence[AbstractSet[int]]) -> AbstractSet[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        for following in fed[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found
