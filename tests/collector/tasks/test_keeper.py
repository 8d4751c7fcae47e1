"""What alerts do to tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from forewarn_collector.rules.alerts import AlertState, ChangeReason
from forewarn_collector.tasks.commands import TaskCommands
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.outbox import Outbox
from forewarn_collector.tasks.queries import TaskFilter, TaskQueries
from forewarn_collector.tasks.words import (
    DeliveryAction,
    OpenReason,
    ResolveReason,
    TaskState,
    TimelineKind,
)
from support.alerts import DAY, HOUR, MINUTE, T0, Desk, alert_of, change, rule_of

pytestmark = pytest.mark.usefixtures("each_database")

FIRING, PENDING = AlertState.FIRING, AlertState.PENDING
INACTIVE, UNKNOWN = AlertState.INACTIVE, AlertState.UNKNOWN

RULE = rule_of()
ROOT = alert_of(
    RULE,
    {"instance": "a", "mountpoint": "/", "severity": "high"},
    annotations={"summary": "/ on a\nfills", "description": "Half of it is gone."},
)
HOME = alert_of(RULE, {"instance": "a", "mountpoint": "/home", "severity": "high"})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


def all_tasks(desk: Desk) -> list[Task]:
    page = TaskQueries(desk.ledger).list(TaskFilter())
    return sorted(page.tasks, key=lambda task: task.id)


def one(desk: Desk, number: str = "FW-1") -> Task:
    return TaskQueries(desk.ledger).one(number)


def kinds(task: Task) -> list[TimelineKind]:
    return [entry.kind for entry in task.timeline]


def test_a_firing_alert_opens_a_task_that_says_what_it_is_about(desk: Desk) -> None:
    told = desk.apply(change(RULE, ROOT, FIRING))
    assert [(t.action, t.reason, t.onset_at) for t in told] == [
        (DeliveryAction.OPEN, "new", T0 - 500)
    ]
    task = one(desk)
    assert task.number == "FW-1"
    assert task.key == 'storage/DiskFull{instance="a", mountpoint="/"}'
    assert (task.state, task.severity, task.kind) == (TaskState.OPEN, "high", "corrective")
    assert (task.title, task.description) == ("/ on a fills", "Half of it is gone.")
    assert (task.onset_at, task.detected_at, task.opened_at) == (T0 - 500, T0, T0)
    assert task.due_at == T0 + DAY
    assert (task.queue, task.value, task.expr) == ("support", "0.5", "disk_free < 1")
    assert task.evidence == ({"gathered_at": T0, "value": "0.5"},)
    assert [(e.kind, e.reason) for e in task.timeline] == [(TimelineKind.OPENED, "new")]


def test_a_pending_alert_is_kept_and_opens_nothing(desk: Desk) -> None:
    assert desk.apply(change(RULE, ROOT, PENDING)) == []
    assert all_tasks(desk) == []
    (stored,) = desk.ledger.load_alerts()
    assert stored.rule_key == RULE.key
    assert stored.alert == change(RULE, ROOT, PENDING).alert


def test_an_alert_reads_back_as_it_was_written_also_with_a_value_that_is_no_number(
    desk: Desk,
) -> None:
    alert = alert_of(RULE, {"instance": "a"}, value=math.inf, keep_firing_since=T0 + 5)
    desk.apply(change(RULE, alert, FIRING), change(RULE, ROOT, UNKNOWN))
    stored = {s.alert.labels: s.alert for s in desk.ledger.load_alerts()}
    assert stored[alert.labels] == change(RULE, alert, FIRING).alert
    assert stored[ROOT.labels] == change(RULE, ROOT, UNKNOWN).alert
    nan = alert_of(RULE, {"instance": "b"}, value=math.nan)
    desk.apply(change(RULE, nan, FIRING))
    values = [s.alert.value for s in desk.ledger.load_alerts() if s.alert.labels == nan.labels]
    assert len(values) == 1
    assert math.isnan(values[0])


def test_a_round_applied_twice_changes_nothing_more(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    before = one(desk)
    assert desk.apply(change(RULE, ROOT, FIRING)) == []
    assert one(desk) == before
    desk.apply(change(RULE, ROOT, INACTIVE, T0 + MINUTE))
    before = one(desk)
    assert desk.apply(change(RULE, ROOT, INACTIVE, T0 + MINUTE)) == []
    assert one(desk) == before
    assert len(all_tasks(desk)) == 1


def test_a_task_resolves_when_its_alert_ends(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    told = desk.apply(change(RULE, ROOT, INACTIVE, T0 + MINUTE))
    assert [(t.action, t.reason) for t in told] == [(DeliveryAction.RESOLVE, "alert_ended")]
    task = one(desk)
    assert (task.state, task.resolved_at) == (TaskState.RESOLVED, T0 + MINUTE)
    assert task.resolve_reason == ResolveReason.ALERT_ENDED
    assert desk.ledger.load_alerts() == []


def test_a_task_resolves_with_its_reason_when_the_rule_goes(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    gone = change(RULE, ROOT, INACTIVE, T0 + 1, reason=ChangeReason.RULE_REMOVED)
    (told,) = desk.apply(gone)
    assert told.reason == ResolveReason.RULE_REMOVED


def test_an_alert_that_fires_again_soon_reopens_its_task(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    TaskCommands(desk.ledger, desk.told.extend).acknowledge("FW-1", "ann", T0 + 1)
    desk.apply(change(RULE, ROOT, INACTIVE, T0 + MINUTE))
    (told,) = desk.apply(change(RULE, ROOT, FIRING, T0 + MINUTE + DAY))
    assert (told.action, told.reason) == (DeliveryAction.REOPEN, OpenReason.REOPENED)
    (task,) = all_tasks(desk)
    assert (task.state, task.reopen_count) == (TaskState.OPEN, 1)
    assert task.reopened_at == T0 + MINUTE + DAY
    assert (task.resolved_at, task.acknowledged_at, task.resolve_reason) == (None, None, "")
    assert task.opened_at == T0
    assert task.due_at == T0 + MINUTE + DAY + DAY


def test_an_alert_that_fires_again_late_opens_a_new_task(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    desk.apply(change(RULE, ROOT, INACTIVE, T0 + MINUTE))
    (told,) = desk.apply(change(RULE, ROOT, FIRING, T0 + MINUTE + DAY + 1))
    assert (told.action, told.reason) == (DeliveryAction.OPEN, OpenReason.NEW)
    assert [task.state for task in all_tasks(desk)] == [TaskState.RESOLVED, TaskState.OPEN]


def test_without_reopening_every_firing_is_a_task(desk: Desk) -> None:
    rule = rule_of(reopen_within=0)
    desk.apply(change(rule, ROOT, FIRING))
    desk.apply(change(rule, ROOT, INACTIVE, T0 + 1))
    desk.apply(change(rule, ROOT, FIRING, T0 + 2))
    assert len(all_tasks(desk)) == 2


def test_alerts_with_other_labels_are_other_problems(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING), change(RULE, HOME, FIRING))
    assert [task.labels for task in all_tasks(desk)] == [ROOT.labels, HOME.labels]


def test_alerts_of_one_group_share_a_task_that_ends_with_the_last(desk: Desk) -> None:
    rule = rule_of(group_by=("instance",))
    assert len(desk.apply(change(rule, ROOT, FIRING))) == 1
    assert desk.apply(change(rule, HOME, FIRING, T0 + 1)) == []
    assert desk.apply(change(rule, ROOT, INACTIVE, T0 + 2)) == []
    task = one(desk)
    assert task.state is TaskState.OPEN
    assert kinds(task) == [TimelineKind.OPENED, TimelineKind.JOINED, TimelineKind.LEFT]
    assert len(task.evidence) == 2
    assert [m.left_at for m in task.members] == [T0 + 2, None]
    (told,) = desk.apply(change(rule, HOME, INACTIVE, T0 + 3))
    assert told.action is DeliveryAction.RESOLVE


def test_a_group_shows_the_labels_that_its_alerts_share(desk: Desk) -> None:
    rule = rule_of(group_by=())
    desk.apply(change(rule, ROOT, FIRING), change(rule, HOME, FIRING))
    (task,) = all_tasks(desk)
    assert dict(task.labels) == {"alertname": "DiskFull", "instance": "a", "severity": "high"}
    assert kinds(one(desk)) == [TimelineKind.OPENED, TimelineKind.JOINED]


def test_no_task_spans_two_customers(desk: Desk) -> None:
    rule = rule_of(group_by=())
    for customer in ("acme", "globex"):
        desk.apply(change(rule, alert_of(rule, {"customer": customer}), FIRING))
    assert [task.customer for task in all_tasks(desk)] == ["acme", "globex"]


def test_one_alert_ending_as_another_fires_neither_resolves_nor_reopens(desk: Desk) -> None:
    worse = alert_of(RULE, {"instance": "a", "mountpoint": "/", "severity": "critical"})
    desk.apply(change(RULE, ROOT, FIRING))
    (told,) = desk.apply(
        change(RULE, ROOT, INACTIVE, T0 + MINUTE), change(RULE, worse, FIRING, T0 + MINUTE)
    )
    assert (told.action, told.reason) == (DeliveryAction.UPDATE, "severity")
    (task,) = all_tasks(desk)
    assert (task.state, task.severity) == (TaskState.OPEN, "critical")
    assert task.due_at == T0 + MINUTE + 4 * HOUR


def test_missing_input_holds_the_task_and_shows_on_it(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    assert desk.apply(change(RULE, ROOT, UNKNOWN, T0 + MINUTE)) == []
    task = one(desk)
    assert (task.state, task.input_missing_since) == (TaskState.OPEN, T0 + MINUTE)
    back = change(RULE, ROOT, FIRING, T0 + HOUR, reason=ChangeReason.INPUT_RETURNED)
    assert desk.apply(back) == []
    task = one(desk)
    assert (task.state, task.input_missing_since) == (TaskState.OPEN, None)
    assert kinds(task) == [
        TimelineKind.OPENED,
        TimelineKind.INPUT_MISSING,
        TimelineKind.INPUT_BACK,
    ]


def test_an_unknown_alert_that_ends_resolves_its_task(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    desk.apply(change(RULE, ROOT, UNKNOWN, T0 + 1))
    desk.apply(change(RULE, ROOT, INACTIVE, T0 + 2))
    task = one(desk)
    assert (task.state, task.input_missing_since) == (TaskState.RESOLVED, None)


def test_a_persons_resolve_lasts_until_the_alert_ends_and_fires_again(desk: Desk) -> None:
    desk.apply(change(RULE, ROOT, FIRING))
    TaskCommands(desk.ledger, desk.told.extend).resolve("FW-1", "ann", T0 + 1, "cleaned up")
    assert desk.apply(change(RULE, ROOT, FIRING, T0 + 2)) == []
    assert desk.apply(change(RULE, ROOT, UNKNOWN, T0 + 3)) == []
    assert desk.apply(change(RULE, ROOT, FIRING, T0 + 4)) == []
    task = one(desk)
    assert (task.state, task.resolved_by) == (TaskState.RESOLVED, "ann")
    # Its end says nothing new to the queue; long after, it counts from that end.
    assert desk.apply(change(RULE, ROOT, INACTIVE, T0 + 10 * DAY)) == []
    (told,) = desk.apply(change(RULE, ROOT, FIRING, T0 + 11 * DAY))
    assert told.reason == OpenReason.REOPENED
    assert len(all_tasks(desk)) == 1


def test_another_alert_of_the_group_reopens_what_a_person_resolved(desk: Desk) -> None:
    rule = rule_of(group_by=("instance",))
    desk.apply(change(rule, ROOT, FIRING))
    TaskCommands(desk.ledger, desk.told.extend).resolve("FW-1", "ann", T0 + 1)
    (told,) = desk.apply(change(rule, HOME, FIRING, T0 + 9 * DAY))
    assert told.reason == OpenReason.REOPENED
    desk.apply(change(rule, HOME, INACTIVE, T0 + 10 * DAY))
    assert one(desk).state is TaskState.OPEN
    desk.apply(change(rule, ROOT, INACTIVE, T0 + 11 * DAY))
    assert one(desk).state is TaskState.RESOLVED


def test_changed_grouping_does_not_orphan_an_open_task(desk: Desk) -> None:
    desk.apply(change(rule_of(), ROOT, FIRING))
    regrouped = rule_of(group_by=("instance",))
    assert desk.apply(change(regrouped, ROOT, FIRING, T0 + 1)) == []
    desk.apply(change(regrouped, ROOT, INACTIVE, T0 + 2))
    assert [task.state for task in all_tasks(desk)] == [TaskState.RESOLVED]


def test_a_rule_says_queue_due_kind_and_checklist(desk: Desk) -> None:
    rule = rule_of(queue="dba", due=2 * DAY, checklist=("look", "mend"))
    desk.apply(change(rule, ROOT, FIRING))
    task = one(desk)
    assert (task.queue, task.due_at, task.checklist) == ("dba", T0 + 2 * DAY, ("look", "mend"))


def test_a_task_without_a_summary_is_named_by_its_labels(desk: Desk) -> None:
    desk.apply(change(RULE, HOME, FIRING))
    assert one(desk).title == "DiskFull (instance=a, mountpoint=/home)"


def test_without_any_queue_a_task_is_kept_and_nothing_is_owed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, default_queue="")
    assert len(desk.apply(change(RULE, ROOT, FIRING))) == 1
    assert Outbox(desk.ledger).counts() == {}
    desk.close()


def test_a_thousand_alerts_of_one_group_make_one_task_and_one_message(desk: Desk) -> None:
    rule = rule_of(group_by=())
    alerts = [alert_of(rule, {"instance": f"host{n}"}) for n in range(1200)]
    assert len(desk.apply(*(change(rule, alert, FIRING) for alert in alerts))) == 1
    task = one(desk)
    assert len(task.members) == 1200
    assert len(task.timeline) == 2
    assert "and 1194 more joined" in task.timeline[1].text
    desk.apply(*(change(rule, alert, INACTIVE, T0 + 1) for alert in alerts))
    assert one(desk).state is TaskState.RESOLVED


def test_the_ledger_opens_again_with_all_that_it_had(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.apply(change(RULE, ROOT, FIRING))
    before, ledger_id = one(desk), desk.ledger.id
    desk.close()
    desk = Desk(tmp_path)
    assert (one(desk), desk.ledger.id) == (before, ledger_id)
    assert [s.alert.state for s in desk.ledger.load_alerts()] == [FIRING]
    desk.close()


def test_a_label_that_a_database_cannot_hold_opens_its_task_all_the_same(desk: Desk) -> None:
    odd = alert_of(RULE, {"instance": "a\x00b"}, annotations={"summary": "\x00 on a\x00b"})
    (told,) = desk.apply(change(RULE, odd, FIRING))
    assert desk.apply(change(RULE, odd, FIRING)) == []
    (told,) = desk.apply(change(RULE, odd, INACTIVE, T0 + 1))
    assert told.action is DeliveryAction.RESOLVE
    assert one(desk).state is TaskState.RESOLVED
