"""Tasks and queue: what is to be done, what came of it, how fast, and what the queue is owed."""

from __future__ import annotations

from frame import CHANGES, Board, customers, hosts, services, task_spans
from panels import bars, graph, number, timeline
from style import (
    ANY,
    ENDED,
    NUMBER,
    PLAIN,
    RATE,
    SECONDS,
    SHARE,
    SOME,
    STANDS,
    TASKS,
    said,
)
from task_panels import COUNTED, by_severity, by_state, tasks

_INFO = f"forewarn_task_info{{{STANDS},{TASKS}}}"
_DUE = f"forewarn_task_due_timestamp_seconds{{{TASKS}}}"
_ONSET = f"forewarn_task_onset_timestamp_seconds{{{TASKS}}}"


def _named(expr: str, label: str) -> str:
    """The same, where what has no such label gets the value `none`."""
    return f'label_replace({expr}, "{label}", "none", "{label}", "")'


def _step(quantile: float, step: str) -> str:
    buckets = f'forewarn_task_step_seconds_bucket{{step="{step}"}}'
    return f"histogram_quantile({quantile}, sum by (le) (rate({buckets}[$__rate_interval])))"


_STEPS = (
    ("detected", "rule holds"),
    ("opened", "task opens"),
    ("delivered", "queue has it"),
    ("acknowledged", "somebody takes it"),
    ("resolved", "it is resolved"),
)

_NOW = (
    number(
        "Open",
        "Tasks that nobody has resolved or closed yet.",
        f"count({_INFO}) or vector(0)",
        SOME,
        span=3,
    ),
    number(
        "With nobody",
        "Of these, those that nobody has acknowledged.",
        f'count(forewarn_task_info{{state="open",{TASKS}}}) or vector(0)',
        ANY,
        span=3,
    ),
    number(
        "Urgent",
        "Of severity critical or high.",
        f'count(forewarn_task_info{{{STANDS},severity=~"critical|high",{TASKS}}}) or vector(0)',
        ANY,
        span=3,
    ),
    number(
        "Overdue",
        "Tasks whose due time has passed.",
        f"count({_DUE} < time()) or vector(0)",
        ANY,
        span=3,
    ),
    number(
        "Oldest",
        "For how long the fault of the oldest open task has lasted.",
        f"max(time() - {_ONSET} and on (job, task) {_INFO})",
        ((None, "green"), (86400, "orange"), (604800, "red")),
        SECONDS,
        span=3,
        empty="no task",
    ),
    number(
        "Ended within a day",
        "Tasks that were resolved or closed within the last 24 hours.",
        f"count(forewarn_task_info{{{ENDED},{TASKS}}}) or vector(0)",
        ((None, "green"),),
        span=3,
    ),
    number(
        "Deliveries owed",
        "Messages that a queue has not taken yet, of all customers. Several for more than a "
        "minute: the queue is down, see the collector's log.",
        'sum(forewarn_deliveries{state="owed"}) or vector(0)',
        ((None, "green"), (1, "orange"), (20, "red")),
        span=3,
    ),
    number(
        "Deliveries given up",
        "Messages that a queue refused for good, of all customers: a person must look, "
        "`forewarn queues deliveries QUEUE --state dead` lists them.",
        'sum(forewarn_deliveries{state="dead"}) or vector(0)',
        ANY,
        span=3,
    ),
)

_LISTS = (
    tasks(
        "What is to be done",
        "What is to be done; a click leads to the task's page. Of more than 1,000 tasks the newest "
        "are here.",
        f"{STANDS},{TASKS}",
        height=12,
    ),
    tasks(
        "What has ended",
        "What was resolved or closed within the last 24 hours.",
        f"{ENDED},{TASKS}",
        ended=True,
    ),
)

_COUNTS = (
    by_severity("By severity"),
    by_state("By state"),
    graph(
        "By customer",
        "The ten customers with most open tasks.",
        NUMBER,
        (
            _named(f"topk(10, sum by (customer) (forewarn_tasks{{{COUNTED}}}))", "customer"),
            "{{customer}}",
        ),
        stacked=True,
    ),
    bars(
        "By rule, now",
        "The ten rules with most open tasks: where most is to be gained.",
        (f"topk(10, sum by (rule) (forewarn_tasks{{{COUNTED}}}))", "{{rule}}"),
        steps=PLAIN,
        unit=NUMBER,
        most=None,
    ),
    bars(
        "By queue, now",
        "Where the open tasks were sent.",
        (_named(f"sum by (queue) (forewarn_tasks{{{COUNTED}}})", "queue"), "{{queue}}"),
        steps=PLAIN,
        unit=NUMBER,
        most=None,
    ),
    bars(
        "By assignee, now",
        "Who has the open tasks.",
        (_named(f"count by (assignee) ({_INFO})", "assignee"), "{{assignee}}"),
        steps=PLAIN,
        unit=NUMBER,
        most=None,
    ),
)

_SPEED = (
    graph(
        "How long it took, median",
        "Of the tasks around each point, of all customers: from the onset until the rule holds and "
        "until the task is open, and from there until the queue has it, somebody takes it, and it "
        "is resolved.",
        SECONDS,
        *((_step(0.5, step), title) for step, title in _STEPS),
        points=True,
        span=12,
    ),
    graph(
        "How long it took, the slowest twentieth",
        "The same for the 95th percentile.",
        SECONDS,
        *((_step(0.95, step), title) for step, title in _STEPS),
        points=True,
        span=12,
    ),
    graph(
        "Opened and resolved",
        "Tasks a second that opened (or came back) and that were resolved, of all customers.",
        RATE,
        *(
            (
                f'sum(rate(forewarn_task_step_seconds_count{{step="{step}"}}[$__rate_interval]))',
                step,
            )
            for step in ("opened", "resolved")
        ),
    ),
    graph(
        "Error budget left",
        "Of the tasks that may open late (`objective:` of collector.yml), the share that is left; "
        "below 0 the objective is missed.",
        SHARE,
        ("forewarn_objective_budget_left_ratio", "{{instance}}"),
        most=1,
        below_zero=True,
    ),
    graph(
        "Tasks of the objective",
        "Tasks of its window that opened in time or late.",
        NUMBER,
        ("sum by (outcome) (forewarn_objective_tasks)", "{{outcome}}"),
        stacked=True,
        colours={"in_time": "green", "late": "red"},
    ),
)

_QUEUE = (
    graph(
        "Owed and given up",
        "By queue: owed are tried again until the queue takes them; dead ones were refused for "
        "good and need a person.",
        NUMBER,
        (
            'sum by (queue, state) (forewarn_deliveries{state=~"owed|dead"})',
            "{{queue}} {{state}}",
        ),
    ),
    graph(
        "Attempts that failed",
        "A second, by queue.",
        RATE,
        (
            "sum by (queue) (rate(forewarn_delivery_failures_total[$__rate_interval]))",
            "{{queue}}",
        ),
    ),
    graph(
        "Held back",
        "Alerts that fire and may open no task now, by what holds them.",
        NUMBER,
        ("sum by (kind) (forewarn_holds)", "{{kind}}"),
        stacked=True,
    ),
    graph(
        "Silences",
        "By state.",
        NUMBER,
        ('sum by (state) (forewarn_silences{state!="expired"})', "{{state}}"),
    ),
    graph(
        "Escalations",
        "Steps taken a second, since nobody acknowledged or the due time came near.",
        RATE,
        (
            "sum by (step) (rate(forewarn_escalations_total[$__rate_interval]))",
            "{{step}}",
        ),
    ),
    timeline(
        "Maintenance windows",
        "While one lasts its alerts open no tasks.",
        ("forewarn_window_active", "{{window}}"),
        said({"0": ("over", "text"), "1": ("lasts", "blue")}),
        span=8,
    ),
)

BOARD = Board(
    uid="forewarn-tasks",
    title="Forewarn: tasks and queue",
    description="Maintenance tasks: what is open and what ended, how fast, and the queues.",
    variables=(customers(), hosts(), services()),
    notes=(task_spans(TASKS), *CHANGES),
    sections=(
        ("Now", _NOW),
        ("Tasks", _LISTS),
        ("How many", _COUNTS),
        ("How fast", _SPEED),
        ("Queues", _QUEUE),
    ),
)
