"""Whatever alerts and people do, and in whatever order, some things hold of tasks."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import (
    AuditEntry,
    AuditLog,
    CloseReason,
    LostHosts,
    NoSuchTaskError,
    Outbox,
    RefusedError,
    Task,
    TaskCommands,
    TaskFilter,
    TaskQueries,
    TimelineEntry,
    TimelineKind,
)
from forewarn_collector.tasks.hold_rows import current_holds
from support.alerts import DAY, MINUTE, T0, Desk, alert_of, change, rule_of
from support.gates import Silence

RULES = (
    rule_of("Single"),
    rule_of("Grouped", group_by=("instance",)),
    rule_of("Never", reopen_within=0),
    # Where this fires, the other alerts of its host are held.
    rule_of("HostLost"),
)
ALERTS = [
    (made, alert_of(made, {"instance": instance, "mountpoint": mountpoint, "severity": severity}))
    for made in RULES
    for instance in ("a", "b")
    for mountpoint, severity in (("/", "high"), ("/home", "critical"))
]
FIRING, UNKNOWN, INACTIVE = AlertState.FIRING, AlertState.UNKNOWN, AlertState.INACTIVE
FOLLOWING = {
    INACTIVE: [AlertState.PENDING, FIRING],
    AlertState.PENDING: [INACTIVE, FIRING],
    FIRING: [INACTIVE, UNKNOWN],
    UNKNOWN: [FIRING, INACTIVE],
}
COMMANDS = (
    *("acknowledge", "start", "wait", "assign", "comment"),
    *("resolve", "close", "mute", "duplicate", "reopen"),
)
steps = st.sampled_from([1, MINUTE, DAY // 2, 2 * DAY])
moves = st.dictionaries(
    st.integers(0, len(ALERTS) - 1), st.booleans(), min_size=1, max_size=len(ALERTS)
)


class Tasks(RuleBasedStateMachine):
    """Alerts change as rules allow, people command; the ledger is looked at after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.silence = Silence("b", T0)
        self.desk = self.opened()
        self.states = dict.fromkeys(range(len(ALERTS)), INACTIVE)
        self.at = T0
        self.timelines: dict[str, tuple[TimelineEntry, ...]] = {}
        self.audit: list[AuditEntry] = []

    def opened(self) -> Desk:
        desk = Desk(Path(self.folder.name))
        desk.rules |= {made.key: made for made in RULES}
        desk.gates += [self.silence, LostHosts()]
        return desk

    def teardown(self) -> None:
        self.desk.close()
        self.folder.cleanup()

    @rule(moves=moves, step=steps, twice=st.booleans())
    def alerts_change(self, moves: dict[int, bool], step: int, twice: bool) -> None:
        self.at += step
        changes = []
        for index, second in moves.items():
            made, alert = ALERTS[index]
            self.states[index] = FOLLOWING[self.states[index]][second]
            changes.append(change(made, alert, self.states[index], self.at))
        self.desk.apply(*changes)
        if twice:
            before = self.everything()
            assert self.desk.apply(*changes) == []
            assert self.everything() == before

    @rule(number=st.integers(1, 6), step=steps, what=st.sampled_from(COMMANDS))
    def a_person_commands(self, number: int, step: int, what: str) -> None:
        self.at += step
        people = TaskCommands(self.desk.ledger, self.desk.told.extend)
        name, at = f"FW-{number}", self.at
        try:
            match what:
                case "acknowledge":
                    people.acknowledge(name, "ann", at)
                case "start":
                    people.start(name, "ann", at)
                case "wait":
                    people.wait(name, "ann", at + DAY, at)
                case "assign":
                    people.assign(name, "ann", "bob", at)
                case "comment":
                    people.comment(name, "ann", "hm", at)
                case "resolve":
                    people.resolve(name, "ann", at)
                case "close":
                    people.close(name, "ann", CloseReason.NO_ACTION, at)
                case "mute":
                    people.close(name, "ann", CloseReason.WONT_FIX, at, mute_for=DAY)
                case "duplicate":
                    people.close(name, "ann", CloseReason.DUPLICATE, at, duplicate_of="FW-1")
                case "reopen":
                    people.reopen(name, "ann", at)
        except (NoSuchTaskError, RefusedError):
            return

    @rule(length=steps)
    def a_host_is_silenced(self, length: int) -> None:
        self.silence.until = self.at + length

    @rule(step=steps)
    def time_passes(self, step: int) -> None:
        self.at += step
        self.desk.tick(self.at)
        before = self.everything()
        assert self.desk.tick(self.at) == []
        assert self.everything() == before

    @rule()
    def the_collector_is_killed(self) -> None:
        before = self.everything()
        self.desk.close()
        self.desk = self.opened()
        assert self.everything() == before

    def everything(self) -> list[Task]:
        queries = TaskQueries(self.desk.ledger)
        return [queries.one(task.number) for task in queries.list(TaskFilter()).tasks]

    @invariant()
    def what_must_hold(self) -> None:
        tasks = self.everything()
        standing = [task for task in tasks if task.state.stands]
        # One problem, one task.
        assert len({task.key for task in standing}) == len(standing)
        owners: dict[str, list[Task]] = {}
        for task in tasks:
            # The past is not rewritten.
            known = self.timelines.get(task.number, ())
            assert task.timeline[: len(known)] == known
            self.timelines[task.number] = task.timeline
            current = [member for member in task.members if member.left_at is None]
            for member in current:
                owners.setdefault(member.alert_id, []).append(task)
            if not task.state.stands:
                assert task.resolved_at is not None
                assert task.input_missing_since is None
                assert not task.is_quiet
                assert task.flapping_since is None
                assert task.resolve_reason == "person" or not current
            else:
                assert current or task.flapping_since is not None or reopened_by_person(task)
                assert task.resolved_at is None
                unknown = [m.unknown_since for m in current if m.unknown_since is not None]
                assert task.input_missing_since == min(unknown, default=None)
            assert (task.ended_at is None) == bool(current)
            assert task.previous is None or task.previous < task.id
        # Every alert that fires or is unknown is in one task or held, and no other alert is.
        active = sum(state in {FIRING, UNKNOWN} for state in self.states.values())
        with self.desk.ledger.read() as connection:
            held = {each.alert_id for each in current_holds(connection)}
        assert not held & owners.keys()
        assert len(owners) + len(held) == active
        assert all(len(found) == 1 for found in owners.values())
        # What was done stays written.
        audit = AuditLog(self.desk.ledger).list(limit=1_000)[::-1]
        assert audit[: len(self.audit)] == self.audit
        self.audit = audit
        # The ledger knows the alerts as they are.
        stored = {
            (s.rule_key, s.alert.labels): s.alert.state for s in self.desk.ledger.load_alerts()
        }
        expected = {
            (ALERTS[index][0].key, ALERTS[index][1].labels): state
            for index, state in self.states.items()
            if state is not INACTIVE
        }
        assert stored == expected
        # Revisions are gapless: each is one delivery.
        owed = Outbox(self.desk.ledger).statuses(limit=100_000)
        for task in tasks:
            revisions = sorted(s.revision for s in owed if s.number == task.number)
            assert revisions == list(range(1, task.revision + 1))


def reopened_by_person(task: Task) -> bool:
    """Whether nothing has fired since a person brought it back."""
    kinds = (TimelineKind.OPENED, TimelineKind.REOPENED)
    last = [entry for entry in task.timeline if entry.kind in kinds][-1]
    return bool(last.who)


def test_some_things_hold_whatever_is_done(each_database: str) -> None:
    run_state_machine_as_test(
        Tasks,
        settings=settings(
            # What differs between databases shows itself soon.
            max_examples=12 if each_database == "sqlite" else 5,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
