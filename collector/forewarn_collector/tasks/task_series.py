"""Tasks as series, for dashboards and expressions: one for each task, and how many are alike.

How many series there are is bounded: by the tasks that stand and those that ended within a day,
and of these by the limits below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from forewarn_collector.tasks.identity import label
from forewarn_collector.tasks.model import Task
from forewarn_collector.tasks.queries import TaskCount
from forewarn_wire import Labels, labels_from

RECENT = 86_400_000
"""For how long (ms) tasks are shown that have ended."""
MOST_TASKS = 1_000
"""How many tasks have series of their own: those that stand first, of each the newest."""
MOST_COUNTS = 2_000
"""How many counts there are at most before those of several rules become one."""
OTHER = "other"
"""The `rule` of tasks that are counted together."""

INFO = "forewarn_task_info"
ONSET = "forewarn_task_onset_timestamp_seconds"
DUE = "forewarn_task_due_timestamp_seconds"
ENDED = "forewarn_task_ended_timestamp_seconds"

_SUBJECTS = ("groupname", "check", "log")
"""Labels of signals that name a service, where no label `service` does."""


def bounded(counts: Sequence[TaskCount]) -> Mapping[tuple[str, ...], int]:
    """The number of tasks by state, severity, kind, customer, rule and queue.

    Of more than `MOST_COUNTS` the largest keep their rule, and the sums stay right.
    """
    found: Counter[tuple[str, ...]] = Counter()
    for rank, each in enumerate(sorted(counts, key=lambda count: -count.tasks)):
        rule = each.rule if rank < MOST_COUNTS else OTHER
        key = (each.state.value, each.severity, each.kind, each.customer, rule, each.queue)
        found[key] += each.tasks
    return found


def series_of(tasks: Iterable[Task], external_url: str) -> dict[Labels, float]:
    """What is shown of tasks: the series with their values. Times are in seconds.

    `instance` is a task's host, where all its alerts are of one; `service` is the label of that
    name, else the process group, check or log that its alerts are about.
    """
    found: dict[Labels, float] = {}
    for task in tasks:
        about = {
            "job": "forewarn",
            "task": task.number,
            "customer": task.customer,
            "service": _service(task),
            "instance": label(task.labels, "instance"),
        }
        told = {
            "state": task.state.value,
            "severity": task.severity,
            "kind": task.kind,
            "rule": task.rule_name,
            "queue": task.queue,
            "assignee": task.assignee,
            "title": task.title,
            "url": f"{external_url}/tasks/{task.number}",
        }
        found[labels_from({"__name__": INFO, **about, **told})] = 1.0
        stands = task.state.stands
        for name, at in (
            (ONSET, task.onset_at),
            (DUE, task.due_at if stands else None),
            (ENDED, None if stands else task.closed_at or task.resolved_at),
        ):
            if at is not None:
                found[labels_from({"__name__": name, **about})] = at / 1000
    return found


def _service(task: Task) -> str:
    named = (label(task.labels, name) for name in _SUBJECTS)
    return task.service or next((name for name in named if name), "")
