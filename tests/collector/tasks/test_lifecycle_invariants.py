"""Whatever alerts and people do, and in whatever order, some things hold of tasks."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from forewarn_collector.rules.alerts import AlertState
from forewarn_collector.tasks import (
    NoSuchTaskError,
    Outbox,
    RefusedError,
    Task,
    TaskCommands,
    TaskFilter,
    TaskQueries,
    TaskState,
    TimelineEntry,
)
from support.alerts import DAY, MINUTE, T0, Desk, alert_of, change, rule_of

RULES = (
    rule_of("Single"),
    rule_of("Grouped", group_by=("instance",)),
    rule_of("Never", reopen_within=0),
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
steps = st.sampled_from([1, MINUTE, DAY // 2, 2 * DAY])
moves = st.dictionaries(
    st.integers(0, len(ALERTS) - 1), st.booleans(), min_size=1, max_size=len(ALERTS)
)


class Tasks(RuleBasedStateMachine):
    """Alerts change as rules allow, people command; the ledger is looked at after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.desk = Desk(Path(self.folder.name))
        self.states = dict.fromkeys(range(len(ALERTS)), INACTIVE)
        self.at = T0
        self.timelines: dict[str, tuple[TimelineEntry, ...]] = {}

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

    @rule(number=st.integers(1, 6), step=steps, what=st.sampled_from(["ack", "say", "resolve"]))
    def a_person_commands(self, number: int, step: int, what: str) -> None:
        self.at += step
        commands = TaskCommands(self.desk.ledger, self.desk.told.extend)
        name = f"FW-{number}"
        try:
            if what == "ack":
                commands.acknowledge(name, "ann", self.at)
            elif what == "say":
                commands.comment(name, "ann", "hm", self.at)
            else:
                commands.resolve(name, "ann", self.at)
        except (NoSuchTaskError, RefusedError):
            return

    @rule()
    def the_collector_is_killed(self) -> None:
        before = self.everything()
        self.desk.close()
        self.desk = Desk(Path(self.folder.name))
        assert self.everything() == before

    def everything(self) -> list[Task]:
        queries = TaskQueries(self.desk.ledger)
        return [queries.one(task.number) for task in queries.list(TaskFilter()).tasks]

    @invariant()
    def what_must_hold(self) -> None:
        tasks = self.everything()
        unresolved = [task for task in tasks if task.state is not TaskState.RESOLVED]
        # One problem, one task.
        assert len({task.key for task in unresolved}) == len(unresolved)
        owners: dict[str, list[Task]] = {}
        for task in tasks:
            # The past is not rewritten.
            known = self.timelines.get(task.number, ())
            assert task.timeline[: len(known)] == known
            self.timelines[task.number] = task.timeline
            current = [member for member in task.members if member.left_at is None]
            for member in current:
                owners.setdefault(member.alert_id, []).append(task)
            if task.state is TaskState.RESOLVED:
                assert task.resolved_at is not None
                assert task.input_missing_since is None
                assert task.resolve_reason == "person" or not current
            else:
                assert current
                assert task.resolved_at is None
                unknown = [m.unknown_since for m in current if m.unknown_since is not None]
                assert task.input_missing_since == min(unknown, default=None)
            assert (task.ended_at is None) == bool(current)
        # Every alert that fires or is unknown is in one task, and no other alert is in any.
        active = sum(state in {FIRING, UNKNOWN} for state in self.states.values())
        assert len(owners) == active
        assert all(len(found) == 1 for found in owners.values())
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


Tasks.TestCase.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestTasks = Tasks.TestCase
