"""Late data through the rules at its own time, and what follows from it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from forewarn_collector.backlog.collecting import Due
from forewarn_collector.backlog.selecting import OfHosts, keeps_instance, rules_reading
from forewarn_collector.promql import LOOKBACK
from forewarn_collector.rules.alerts import Alert, AlertChange, AlertState, ChangeReason
from forewarn_collector.rules.backtest import EXACT, Sizes, Span, Watch, replay
from forewarn_collector.rules.model import AlertingRule, RuleSet
from forewarn_collector.rules.schedule import Source
from forewarn_collector.rules.standing import Begin
from forewarn_collector.rules.templates import TemplateContext
from forewarn_collector.store import LATE
from forewarn_collector.tasks.identity import task_key
from forewarn_collector.tasks.model import Member, Task
from forewarn_collector.tasks.rehearsal import Rehearsal
from forewarn_collector.tasks.retrospect import Finding
from forewarn_collector.tasks.rounds import id_of_alert
from forewarn_wire import Labels

LONGEST_LEAD = 6 * 3_600_000
"""How far (ms) before late data rules are evaluated at most, for the `for` of what pends then."""
SIZES = Sizes(first_slab=600_000, longest_slab=3_600_000, samples=1_000_000, cells=100_000)
"""Smaller than a backtest's, since the collector's own memory and threads are shared."""

_FEW_HOSTS = 20
_RESOLUTION = 5_000
"""Many hosts' samples have as many times: then instants are put off to multiples of this (ms)."""

_NEVER_FIRED = frozenset({AlertState.INACTIVE, AlertState.PENDING})

AlertNames = Collection[tuple[str, Labels]]
"""Alerts by their rule's key and their final labels."""


@dataclass(frozen=True, slots=True)
class Review:
    """What follows from late data.

    `begins` are those of alerts that stand at its end, by rule's key and final labels, which began
    in it. `rules` is how many were evaluated, `evaluations` how often, `samples` what they read.
    """

    findings: Sequence[Finding]
    begins: Mapping[str, Mapping[Labels, Begin]]
    rules: int
    evaluations: int
    samples: int


def review(
    rules: RuleSet,
    source: Source,
    due: Due,
    now: int,
    live: AlertNames,
    *,
    watch: Watch = lambda _: None,
    external_url: str = "",
    external_labels: Mapping[str, str] | None = None,
) -> Review:
    """Evaluate the rules that read late data, from its oldest time to `now` (ms).

    Only alerts of its hosts count, and those of no host: others were judged when their data came.
    `live` are the alerts that stand now, of rules with `keep_firing_for`. What `watch` raises ends
    it.
    """
    chosen = rules if due.refs is None else rules_reading(rules, source, due.refs)
    alerting = chosen.alerting()
    lead = min(max((rule.for_ for rule in alerting.values()), default=0), LONGEST_LEAD) + LATE
    oldest = min(backlog.since for backlog in due.hosts.values())
    span = Span(oldest - lead, now)
    book = _Book(due, external_url, external_labels or {})
    evaluations = samples = 0
    for part, its_source in _parts(chosen, source, due):
        replayed = replay(
            part,
            its_source,
            span,
            apply=book.take,
            progress=watch,
            resolution=EXACT if len(due.hosts) <= _FEW_HOSTS else _RESOLUTION,
            lookback=LOOKBACK,
            external_url=external_url,
            external_labels=external_labels,
            sizes=SIZES,
        )
        evaluations += replayed.evaluations
        samples += replayed.samples
    book.end_kept(live)
    return Review(book.findings(), book.begins(), len(alerting), evaluations, samples)


def _parts(rules: RuleSet, source: Source, due: Due) -> list[tuple[RuleSet, OfHosts | Source]]:
    """The rules of which each host's alerts follow from its own series, and the others.

    The first, as a rule the most, need not read what all other hosts have sent.
    """
    own, across = keeps_instance(rules)
    found: list[tuple[RuleSet, OfHosts | Source]] = []
    if own.groups:
        found.append((own, OfHosts(source, sorted(due.hosts))))
    if across.groups:
        found.append((across, source))
    return found


class _Book:
    """Takes changes in the order of their times (of each part), as a task keeper would."""

    def __init__(self, due: Due, external_url: str, external_labels: Mapping[str, str]) -> None:
        self._due = due
        templates = TemplateContext(external_url=external_url, external_labels=external_labels)
        self._rehearsal = Rehearsal(templates)
        self._standing: dict[tuple[str, Labels], AlertChange] = {}
        self._rules: dict[str, AlertingRule] = {}
        self._first: dict[str, list[AlertChange]] = {}
        self._members: dict[str, list[tuple[str, Member]]] = {}

    def take(self, changes: Sequence[AlertChange], at: int) -> None:
        """Changes of one instant (ms)."""
        own = [change for change in changes if self._concerns(change.alert)]
        for change in own:
            name = change.rule.key, change.alert.labels
            if change.after is AlertState.INACTIVE:
                self._standing.pop(name, None)
            else:
                self._standing[name] = change
        told = [each for each in own if not {each.before, each.after} <= _NEVER_FIRED]
        if told:
            self._rehearsal.apply(told, at)
            for change in told:
                self._note(change)

    def end_kept(self, live: AlertNames) -> None:
        """End alerts that are merely kept firing, and that the live rules know nothing of."""
        for (key, labels), change in list(self._standing.items()):
            since = change.alert.keep_firing_since
            if since is not None and (key, labels) not in live:
                ended = replace(change.alert, state=AlertState.INACTIVE, resolved_at=since)
                over = AlertState.INACTIVE
                reason = ChangeReason.CONDITION_CLEARED
                end = AlertChange(change.rule, ended, change.after, over, reason, since)
                self.take([end], since)

    def begins(self) -> dict[str, dict[Labels, Begin]]:
        """When alerts began that stand, and began within what came late."""
        found: dict[str, dict[Labels, Begin]] = {}
        for (key, labels), change in self._standing.items():
            alert = change.alert
            since, until = self._span(self._hosts_of([alert]))
            if since <= alert.onset <= until and alert.keep_firing_since is None:
                found.setdefault(key, {})[labels] = alert.onset, alert.active_at
        return found

    def findings(self) -> list[Finding]:
        """The tasks that were there while any of their late data was made.

        Those of one problem that are over are one: a backlog makes no series of tasks, however
        long the problem was away in between.
        """
        found: dict[tuple[str, bool], Finding] = {}
        for task in self._rehearsal.tasks():
            first = self._opened_by(task)
            hosts = self._hosts_of(each.alert for each in self._first[task.key])
            if self._within(task, self._span(hosts)):
                finding = Finding(
                    task,
                    self._rules[task.rule],
                    first.alert,
                    first.at,
                    self._members_of(task),
                    hosts,
                )
                name = task.key, finding.ended_at is None
                before = found.get(name)
                found[name] = finding if before is None else before.continued(finding)
        return list(found.values())

    def _note(self, change: AlertChange) -> None:
        rule, labels = change.rule, change.alert.labels
        key = task_key(rule, labels)
        self._rules[rule.key] = rule
        if change.after is AlertState.FIRING and change.before in _NEVER_FIRED:
            self._first.setdefault(key, []).append(change)
            member = Member(id_of_alert(change), labels, change.at)
            self._members.setdefault(key, []).append((member.alert_id, member))
        elif change.after is AlertState.INACTIVE:
            members = self._members[key]
            place = max(i for i, (name, _) in enumerate(members) if name == id_of_alert(change))
            name, member = members[place]
            members[place] = name, replace(member, left_at=change.at)

    def _opened_by(self, task: Task) -> AlertChange:
        return next(each for each in self._first[task.key] if each.at >= task.opened_at)

    def _members_of(self, task: Task) -> tuple[Member, ...]:
        """Each alert once, as it was the last time in this task."""
        end = task.resolved_at
        return tuple(
            {
                name: member
                for name, member in self._members[task.key]
                if task.opened_at <= member.joined_at and (end is None or member.joined_at <= end)
            }.values()
        )

    def _concerns(self, alert: Alert) -> bool:
        host = _host(alert)
        return host is None or host in self._due.hosts

    def _hosts_of(self, alerts: Iterable[Alert]) -> tuple[str, ...]:
        """The hosts of alerts; where these are of none, all whose data came late."""
        found = {host for alert in alerts if (host := _host(alert)) is not None}
        return tuple(sorted(found or self._due.hosts))

    def _span(self, hosts: Sequence[str]) -> tuple[int, int]:
        chosen = [self._due.hosts[host] for host in hosts]
        return min(each.since for each in chosen), max(each.until for each in chosen)

    @staticmethod
    def _within(task: Task, span: tuple[int, int]) -> bool:
        since, until = span
        ended = task.resolved_at
        return task.onset_at <= until and (ended is None or ended > since)


def _host(alert: Alert) -> str | None:
    return dict(alert.series).get("instance", dict(alert.labels).get("instance"))
