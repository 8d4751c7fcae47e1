"""In which order rules are evaluated, so that what one records or shows the next can read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from forewarn_collector.rules.alert_series import ALERT_METRICS, reads_alerts
from forewarn_collector.rules.alerts import ALERT_NAME
from forewarn_collector.rules.model import AlertingRule, RecordingRule, Rule
from forewarn_collector.store import Matcher
from forewarn_collector.store.matching import predicate
from forewarn_wire.labels import METRIC_NAME


@dataclass(frozen=True, slots=True)
class Order:
    """Rules in the order of their evaluation, each after those that feed it.

    A rule feeds another that reads the metric which it records. Rules are known by their
    positions here: `feeders[i]` feed rule `i`; `followers[i]` are all that rule `i` feeds, directly
    or through others. Rules that feed each other keep the order in which they were given.

    `watchers[i]` read the alerts of rule `i` by `ALERTS` or `ALERTS_FOR_STATE`, and none of their
    own doing: a rule that reads its own alerts, or those of a rule that reads its, finds them as
    they were before. `stages: int[rules]` rise with the order; alerts are shown after each.
    `watched[i]` are all whose alerts rule `i` may read, and `circles[i]` the rules which read what
    comes of rule `i`, and rule `i` what comes of them; itself, where it reads its own.
    """

    rules: tuple[Rule, ...]
    feeders: tuple[AbstractSet[int], ...]
    followers: tuple[AbstractSet[int], ...]
    watchers: tuple[AbstractSet[int], ...]
    stages: tuple[int, ...]
    watched: tuple[AbstractSet[int], ...]
    circles: tuple[AbstractSet[int], ...]


def ordered(rules: Sequence[Rule]) -> Order:
    """The order of rules that were given group by group, as the files have them.

    Rules that have nothing to wait for come first, then those that wait for these only, and so on:
    so that what many rules record is written at once. Those that wait for alerts come after all
    that need not.
    """
    feeders, watched = _feeders(rules), _watched(rules)
    followers = _downstream(feeders)
    later = _downstream([fed | seen for fed, seen in zip(feeders, watched, strict=True)])
    # What feeds a rule has fewer rules upstream, itself counted in, unless both are in a cycle.
    upstream = Counter(each for rule, found in enumerate(later) for each in {rule, *found})
    levels, stages = [0] * len(rules), [0] * len(rules)
    circles: list[AbstractSet[int]] = [frozenset()] * len(rules)
    for position in sorted(range(len(rules)), key=upstream.__getitem__):
        cycle = {other for other in later[position] if position in later[other]}
        circles[position], together = cycle, cycle | {position}
        fed = {source for member in together for source in feeders[member]} - together
        seen = {source for member in together for source in watched[member]} - together
        levels[position] = 1 + max((levels[source] for source in fed | seen), default=-1)
        stages[position] = max(
            (*(stages[source] for source in fed), *(stages[source] + 1 for source in seen)),
            default=0,
        )
    watchers: list[set[int]] = [set() for _ in rules]
    for reader, sources in enumerate(watched):
        for source in sources:
            if source not in later[reader]:
                watchers[source].add(reader)
    chosen = sorted(
        range(len(rules)), key=lambda position: (stages[position], levels[position], position)
    )
    places = {position: place for place, position in enumerate(chosen)}

    def placed(positions: AbstractSet[int]) -> AbstractSet[int]:
        return frozenset(places[position] for position in positions)

    return Order(
        tuple(rules[position] for position in chosen),
        tuple(placed(feeders[position]) for position in chosen),
        tuple(placed(followers[position]) for position in chosen),
        tuple(placed(watchers[position]) for position in chosen),
        tuple(stages[position] for position in chosen),
        tuple(placed(watched[position]) for position in chosen),
        tuple(placed(circles[position]) for position in chosen),
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


def _watched(rules: Sequence[Rule]) -> list[set[int]]:
    """For each rule, those whose alerts it may read."""
    found: list[set[int]] = []
    for rule in rules:
        selectors = rule.query.selectors if reads_alerts([rule.query]) else ()
        found.append(
            {
                position
                for position, other in enumerate(rules)
                if isinstance(other, AlertingRule)
                and any(_may_show(other, selector.matchers) for selector in selectors)
            }
        )
    return found


def _may_show(rule: AlertingRule, matchers: Sequence[Matcher]) -> bool:
    """Whether a selector may find the alerts of a rule, as far as its name and labels tell."""
    if not any(map(accepts_name(matchers), ALERT_METRICS)):
        return False
    known = {name: text.source for name, text in rule.labels.items() if "{{" not in text.source}
    known[ALERT_NAME] = rule.name
    return all(
        predicate(matcher)(known[matcher.name]) for matcher in matchers if matcher.name in known
    )


def _downstream(sources: Sequence[AbstractSet[int]]) -> list[AbstractSet[int]]:
    """For each rule, all that have it as a source, directly or through others."""
    fed: list[set[int]] = [set() for _ in sources]
    for reader, found in enumerate(sources):
        for source in found:
            fed[source].add(reader)
    return [_reachable(start, fed) for start in range(len(sources))]


def _reachable(start: int, fed: Sequence[AbstractSet[int]]) -> AbstractSet[int]:
    found: set[int] = set()
    waiting = [start]
    while waiting:
        for following in fed[waiting.pop()] - found:
            found.add(following)
            waiting.append(following)
    return found
