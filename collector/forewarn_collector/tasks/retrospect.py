"""What late data tells of problems: tasks for those that are over, a true onset for the others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, update

from forewarn_collector.rules.alerts import Alert
from forewarn_collector.rules.model import AlertingRule
from forewarn_collector.tasks.backlogs import forget_backlogs
from forewarn_collector.tasks.evidence_source import EvidenceSource
from forewarn_collector.tasks.identity import severity_rank
from forewarn_collector.tasks.ledger import Ledger, chunks
from forewarn_collector.tasks.lifecycle import Draft
from forewarn_collector.tasks.model import (
    Member,
    Notify,
    Task,
    TimelineEntry,
)
from forewarn_collector.tasks.policy import Policy
from forewarn_collector.tasks.rows import alert_id
from forewarn_collector.tasks.schema import alerts
from forewarn_collector.tasks.words import (
    OpenReason,
    ResolveReason,
    TimelineKind,
)
from forewarn_collector.tasks.work import Work
from forewarn_wire.clock import Clock

TOLERANCE = 15_000
"""By how much (ms) times may differ from what is known before that is worth telling."""

_MOST_EVIDENCE = 100
_NAMED = 5
MOST_TOLD = 10
"""Of the problems of one time that some hosts were cut off, the worst, that their queue hears of:
there is nothing to be done about any of them now."""
UNTOLD = "Its queue is not told: it has heard of worse that was over by then."
_MOST_ENTRIES = 100
"""Of a timeline: what flapped for days must not fill the ledger at once."""
_BEGINNINGS = frozenset({TimelineKind.OPENED, TimelineKind.REOPENED})


@dataclass(frozen=True, slots=True)
class Finding:
    """A task as it would have been, with its timeline, had the data of `hosts` come in time.

    `alert` is the one that opened it, at `fired_at` (ms); `members` all that belonged to it.
    """

    task: Task
    rule: AlertingRule
    alert: Alert
    fired_at: int
    members: tuple[Member, ...]
    hosts: tuple[str, ...]

    @property
    def ended_at(self) -> int | None:
        """When it was over (ms); None while it holds."""
        return self.task.ended_at if not self.task.state.stands else None

    def continued(self, later: Finding) -> Finding:
        """This and a later one of the same problem as one, as if it had been reopened."""
        entries = [
            replace(entry, kind=TimelineKind.REOPENED, reason=OpenReason.REOPENED.value)
            if entry.kind is TimelineKind.OPENED
            else entry
            for entry in later.task.timeline
        ]
        worst = min(self.task.severity, later.task.severity, key=severity_rank)
        task = replace(
            self.task,
            severity=worst,
            ended_at=later.task.ended_at,
            resolved_at=later.task.resolved_at,
            # Each return is a flap, as it is of a task that is reopened.
            reopen_count=self.task.reopen_count + 1 + later.task.reopen_count,
            flap_count=self.task.flap_count + 1 + later.task.flap_count,
            timeline=(*self.task.timeline, *entries),
        )
        members = {each.alert_id: each for each in (*self.members, *later.members)}
        return replace(self, task=task, members=tuple(members.values()))

    def periods(self) -> list[tuple[int, int | None]]:
        """From and to (ms) of each time that it held."""
        found: list[tuple[int, int | None]] = []
        for entry in self.task.timeline:
            if entry.kind in _BEGINNINGS:
                found.append((entry.at, None))
            elif entry.kind is TimelineKind.RESOLVED:
                found[-1] = found[-1][0], entry.at
        return [(self.task.onset_at, found[0][1]), *found[1:]]

    def text(self) -> str:
        """What it tells, for people; the same whenever it is found again."""
        periods = self.periods()
        named = periods if len(periods) <= _NAMED else [periods[0], periods[-1]]
        held = " and ".join(
            f"from {_when(start)} {f'to {_when(end)}' if end is not None else 'on'}"
            for start, end in named
        )
        if len(named) < len(periods):
            held = f"{len(periods)} times, first and last {held}"
        names = ", ".join(self.hosts[:_NAMED]) or "a sender"
        more = f" and {len(self.hosts) - _NAMED} more" if len(self.hosts) > _NAMED else ""
        return f"By data of {names}{more} that came late, it held {held} (UTC)."


class Outcome(StrEnum):
    """What became of a finding."""

    RECORDED = "recorded"
    """It opened a retrospective task."""
    NOTED = "noted"
    """A task of the same problem was there, and has learned of it."""
    KNOWN = "known"
    """A task tells all of it already."""
    STANDING = "standing"
    """It holds still, and no task of it is open yet: the live rules have it, or do not see it."""


class Retrospect:
    """Writes findings to the ledger, next to the keeper of what happens now."""

    def __init__(
        self,
        ledger: Ledger,
        evidence: EvidenceSource,
        policy: Policy,
        clock: Clock,
        notify: Notify,
    ) -> None:
        self._ledger = ledger
        self._evidence = evidence
        self._policy = policy
        self._clock = clock
        self._notify = notify

    def gather(self, findings: Sequence[Finding]) -> list[Mapping[str, Any] | None]:
        """Evidence as of the time when each fired, of the first hundred that are over."""
        documents: list[Mapping[str, Any] | None] = []
        left = _MOST_EVIDENCE
        for each in findings:
            document = None
            if each.ended_at is not None and left:
                left -= 1
                (document,) = self._evidence.gather([(each.rule, each.alert)], each.fired_at)
            documents.append(document)
        return documents

    def keep(
        self,
        findings: Sequence[Finding],
        documents: Sequence[Mapping[str, Any] | None],
    ) -> list[Outcome]:
        """Write what was found; what is kept again is known, so that nothing comes of it.

        `documents` are evidence, one or none for each finding. Raises LedgerError, and then a part
        may have been written.
        """
        outcomes: list[Outcome] = []
        told = zip(findings, documents, _messages(findings), strict=True)
        # In pieces, since others wait meanwhile.
        for piece in chunks(list(told)):
            outcomes += self._keep(piece)
        return outcomes

    def conclude(self, begun: Sequence[tuple[str, Alert]], seen: Collection[int]) -> None:
        """Write that these backlogs (by their rows) have been looked at, and what stands since.

        `begun` are alerts, with their rules' keys, that began before what is known of them. Raises
        LedgerError, and then nothing is written.
        """
        with self._ledger.write() as connection:
            _save_begins(connection, begun)
            forget_backlogs(connection, seen)

    def _keep(
        self, found: Sequence[tuple[Finding, Mapping[str, Any] | None, str | None]]
    ) -> list[Outcome]:
        findings = [finding for finding, *_ in found]
        now = self._clock()
        with self._ledger.write() as connection:
            work = Work(self._ledger, connection, now, self._policy.levels)
            keys = sorted({each.task.key for each in findings})
            reach = max((each.rule.task.reopen_within for each in findings), default=0)
            oldest = min((each.task.onset_at for each in findings), default=now)
            work.load_keys(keys, oldest - reach)
            outcomes = [self._take(work, *each, now) for each in found]
            told = work.save()
        if told:
            self._notify(told)
        return outcomes

    def _take(
        self,
        work: Work,
        finding: Finding,
        document: Mapping[str, Any] | None,
        message: str | None,
        now: int,
    ) -> Outcome:
        known = _same_problem(work, finding)
        if known is None:
            if finding.ended_at is None:
                return Outcome.STANDING
            draft = self._record(work, finding, message, now)
            if document is not None:
                work.attach(draft, document)
            return Outcome.RECORDED
        text = finding.text()
        if not _is_news(known.task, finding) or work.has_said(known, text):
            return Outcome.KNOWN
        known.learn(
            finding.task.onset_at,
            _new_end(known.task, finding),
            len(finding.periods()) - 1,
            finding.task.flap_count,
            text,
            tell=not (known.task.retrospective and work.has_said(known, UNTOLD)),
        )
        return Outcome.NOTED

    def _record(self, work: Work, finding: Finding, message: str | None, now: int) -> Draft:
        place = self._policy.placing.place(finding.rule, finding.alert.labels)
        task = replace(
            finding.task,
            id=work.new_id(),
            queue=place.queue,
            opened_at=now,
            resolved_at=finding.ended_at,
            resolve_reason=ResolveReason.RETROSPECTIVE.value,
            due_at=None,
            open_lag=None,
            # Those of the rehearsal have numbers of their own.
            previous=None,
            input_missing_since=None,
            revision=1,
            retrospective=True,
            timeline=(),
        )
        draft = Draft(task, {}, now)
        entries = _shortened(finding.task.timeline)
        draft.record(finding.members, entries, finding.text(), message)
        if message is not None:
            draft.reach(place.further)
        if message is None:
            draft.note(TimelineKind.RETROSPECT, UNTOLD)
        work.add(draft)
        return draft


def _messages(findings: Sequence[Finding]) -> list[str | None]:
    """What the queue is told of each that is over; None where it has heard enough."""
    by_hosts: dict[tuple[str, ...], list[Finding]] = {}
    for each in findings:
        if each.ended_at is not None:
            by_hosts.setdefault(each.hosts, []).append(each)
    found: dict[str, str] = {}
    for several in by_hosts.values():
        several.sort(key=lambda each: (severity_rank(each.task.severity), each.task.onset_at))
        for each in several[:MOST_TOLD]:
            found[each.task.key] = each.text()
        if len(several) > MOST_TOLD:
            worst = several[0].task.key
            found[worst] += f" {len(several) - MOST_TOLD} lesser problems of that time are recorded"
            found[worst] += " without a message."
    return [found.get(each.task.key) for each in findings]


def _same_problem(work: Work, finding: Finding) -> Draft | None:
    """The task that this would have been one with, by the usual rules; the last of several."""
    within = finding.rule.task.reopen_within
    found = [
        draft
        for draft in work.drafts.values()
        if draft.task.key == finding.task.key
        and finding.task.onset_at <= _end(draft.task) + within
        and (finding.ended_at is None or draft.task.onset_at <= finding.ended_at + within)
    ]
    return max(found, key=lambda draft: (_end(draft.task), draft.task.id), default=None)


def _end(task: Task) -> float:
    if task.resolved_at is None or task.ended_at is None:
        return float("inf")
    return max(task.resolved_at, task.ended_at)


def _new_end(task: Task, finding: Finding) -> int | None:
    """The end (ms) of a retrospective task; None for others, of which the live rules tell.

    What more data of its only host tells holds; of several, the last one counts.
    """
    if not task.retrospective or finding.ended_at is None:
        return None
    if dict(task.labels).get("instance") in finding.hosts:
        return finding.ended_at
    return max(finding.ended_at, task.ended_at or 0)


def _is_news(task: Task, finding: Finding) -> bool:
    """Whether a finding tells more than a task of the same problem does."""
    if finding.task.onset_at < task.onset_at - TOLERANCE:
        return True
    if finding.ended_at is None:
        return len(finding.periods()) > 1 + task.reopen_count
    if len(finding.periods()) > 1 + task.reopen_count:
        return True
    if task.retrospective:
        return abs((_new_end(task, finding) or 0) - _end(task)) > TOLERANCE
    return task.ended_at is None or abs(finding.ended_at - task.ended_at) > TOLERANCE


def _save_begins(connection: Connection, begun: Sequence[tuple[str, Alert]]) -> None:
    if not begun:
        return
    times: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("onset", "active_at")}
    statement = update(alerts).where(alerts.c.id == bindparam("alert")).values(times)
    rows = [
        {
            "alert": alert_id(key, alert.labels),
            "new_onset": alert.onset,
            "new_active_at": alert.active_at,
        }
        for key, alert in begun
    ]
    connection.execute(statement, rows)


def _shortened(timeline: Sequence[TimelineEntry]) -> Sequence[TimelineEntry]:
    """The beginning and the end of a long one."""
    if len(timeline) <= _MOST_ENTRIES:
        return timeline
    return (*timeline[: _MOST_ENTRIES // 2], *timeline[-_MOST_ENTRIES // 2 :])


def _when(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S}"
