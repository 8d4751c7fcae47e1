"""The state of store, rules and ledger as metric families, read whenever somebody asks."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from forewarn_collector.alertmanagers import Alertmanagers
from forewarn_collector.api.admission import Admission
from forewarn_collector.backlog import Reviewer
from forewarn_collector.calendars import CalendarWatch
from forewarn_collector.config_objective import ObjectiveConfig
from forewarn_collector.ingest.agents import AgentWatch
from forewarn_collector.metrics import Family, Metrics, Table
from forewarn_collector.queues import Pause, TicketReaders
from forewarn_collector.rules import AlertState, Scheduler
from forewarn_collector.silencing import SilenceState
from forewarn_collector.store import Caretaker, Store, StoreError
from forewarn_collector.tasks import (
    LedgerError,
    Outbox,
    QueueCounts,
    TaskChange,
    TaskQueries,
    TicketState,
)
from forewarn_collector.tasks.gates import HoldKind
from forewarn_collector.tasks.retrospect import Outcome
from forewarn_collector.tasks.silences import Silences
from forewarn_collector.tasks.task_series import RECENT, bounded
from forewarn_collector.tasks.timing import Milestone, milestones

log = logging.getLogger(__name__)


def store_families(store: Store, agents: AgentWatch) -> Iterable[Family]:
    """How much the store holds, and how many agents report."""
    stats = store.stats()
    for name, text, value in (
        ("forewarn_store_series", "Series with samples.", stats.series),
        ("forewarn_store_samples", "Samples in memory.", stats.samples),
        ("forewarn_store_memory_bytes", "Memory that the samples take.", stats.memory_bytes),
        ("forewarn_store_disk_bytes", "Size of the store's files.", stats.disk_bytes),
        ("forewarn_store_waiting", "Writes that are queued.", stats.waiting),
        ("forewarn_store_damaged", "Parts set aside as damaged at opening.", stats.damaged),
    ):
        yield Table(name, text).row(value).family()
    for name, text, value in (
        ("forewarn_store_commits_total", "Commits made.", stats.commits),
        ("forewarn_store_conflicts_total", "Duplicates with another value.", stats.conflicts),
        ("forewarn_store_series_created_total", "Series that were new.", stats.created),
    ):
        yield Table(name, text, counter=True).row(value).family()
    known = agents.agents()
    up = sum(agent.up for agent in known)
    table = Table("forewarn_agents", "Agents known, by whether they report.", ("state",))
    yield table.row(up, "up").row(len(known) - up, "silent").family()


def archive_families(store: Store, caretaker: Caretaker) -> Iterable[Family]:
    """What is sealed, and how sealing, merging and dropping fare."""
    text = "Samples that the journal has and the archive has not."
    yield Table("forewarn_store_unsealed_samples", text).row(store.unsealed).family()
    seal = caretaker.tasks["seal"]
    text = "Time since samples were sealed last, or since the start."
    age = time.monotonic() - seal.last_done
    yield Table("forewarn_store_seal_age_seconds", text).row(age).family()
    runs = Table("forewarn_store_upkeep_total", "Runs of upkeep.", ("task", "result"), counter=True)
    seconds = Table(
        "forewarn_store_upkeep_seconds_total", "Time that upkeep took.", ("task",), counter=True
    )
    for name, stats in caretaker.tasks.items():
        runs.row(stats.runs, name, "done").row(stats.failures, name, "failed")
        seconds.row(stats.seconds, name)
    yield runs.family()
    yield seconds.family()
    for name, text, value in (
        ("forewarn_store_sealed_samples_total", "Samples sealed.", seal.amount),
        (
            "forewarn_store_chunks_merged_total",
            "Chunks that larger ones replaced.",
            caretaker.tasks["compact"].amount,
        ),
        ("forewarn_store_chunks_dropped_total", "Chunks too old.", store.dropped_chunks),
    ):
        yield Table(name, text, counter=True).row(value).family()
    try:
        sealed = store.archive_stats()
    except StoreError as error:
        # The other metrics must stay readable just when the disk is in trouble.
        log.warning("no metrics of the archive: %s", error)
        return
    chunks = Table("forewarn_archive_chunks", "Sealed chunks.", ("level",))
    samples = Table("forewarn_archive_samples", "Samples in them.", ("level",))
    size = Table("forewarn_archive_bytes", "Bytes of them.", ("level",))
    for level in sealed.levels:
        chunks.row(level.chunks, str(level.level))
        samples.row(level.samples, str(level.level))
        size.row(level.bytes, str(level.level))
    for table in (chunks, samples, size):
        yield table.family()
    text = "Blocks of sealed chunks that cannot be read, set aside."
    yield Table("forewarn_archive_damaged_blocks", text).row(sealed.damaged).family()
    text = "Time of the oldest sealed sample."
    oldest = (sealed.earliest or 0) / 1000
    yield Table("forewarn_archive_oldest_timestamp_seconds", text).row(oldest).family()


def event_families(store: Store) -> Iterable[Family]:
    """How many events there are, what they take and how many went."""
    try:
        stats = store.event_store.stats()
    except StoreError as error:
        # The other metrics must stay readable just when the disk is in trouble.
        log.warning("no metrics of events: %s", error)
        return
    yield Table("forewarn_events_stored", "Events in the store.").row(stats.events).family()
    text = "About the bytes that events take on disk, with their indexes."
    yield Table("forewarn_events_bytes", text).row(stats.bytes).family()
    text = "Events that were late when they came, and count at their own time."
    late = Table("forewarn_events_late_total", text, counter=True)
    yield late.row(store.stats().late_events).family()
    dropped = Table(
        "forewarn_events_dropped_total", "Events that were not kept.", ("reason",), counter=True
    )
    dropped.row(stats.dropped_age, "age").row(stats.dropped_size, "size")
    yield dropped.row(stats.dropped_late, "late").family()


def admission_families(admission: Admission) -> Iterable[Family]:
    """What write requests take up until they are answered."""
    text = "Bytes of write requests that are not answered yet."
    yield Table("forewarn_ingest_waiting_bytes", text).row(admission.waiting).family()


def rule_families(scheduler: Scheduler) -> Iterable[Family]:
    """How the rule groups fare."""
    group = ("group",)
    seconds = Table(
        "forewarn_rule_group_last_duration_seconds",
        "Time of the last evaluation of all its rules.",
        group,
    )
    lag = Table(
        "forewarn_rule_group_last_lag_seconds",
        "From when rules were due, by an arrival or by the clock, until they were evaluated.",
        group,
    )
    evaluations = Table(
        "forewarn_rule_group_evaluations_total", "Evaluations done.", group, counter=True
    )
    failures = Table(
        "forewarn_rule_group_failures_total", "Rules whose evaluation failed.", group, counter=True
    )
    unstored = Table(
        "forewarn_alert_series_failures_total",
        "Times that ALERTS and ALERTS_FOR_STATE could not be stored.",
        counter=True,
    ).row(scheduler.alert_series_failures)
    alerts = Table("forewarn_alerts", "Alerts that are not inactive.", ("state",))
    states: Counter[AlertState] = Counter()
    for status in scheduler.groups():
        name = status.group.key
        seconds.row(status.evaluation_seconds, name)
        lag.row(status.lag_seconds, name)
        evaluations.row(status.evaluations, name)
        failures.row(status.failures, name)
        for rule in status.rules:
            states.update(rule.standing.states())
    for state in (AlertState.PENDING, AlertState.FIRING, AlertState.UNKNOWN):
        alerts.row(states[state], state.value)
    for table in (seconds, lag, evaluations, failures, alerts, unstored):
        yield table.family()


def backlog_families(reviewer: Reviewer) -> Iterable[Family]:
    """What became of data that came late."""
    stats = reviewer.stats
    waiting = "Hosts whose late data waits to be evaluated at its own time."
    yield Table("forewarn_backlogs_waiting", waiting).row(reviewer.waiting).family()
    for name, text, value in (
        ("forewarn_backlog_reviews_total", "Evaluations of late data.", stats.reviews),
        ("forewarn_backlog_review_failures_total", "Those that failed.", stats.failures),
        ("forewarn_backlog_review_seconds_total", "CPU time that they took.", stats.seconds),
    ):
        yield Table(name, text, counter=True).row(value).family()
    found = Table(
        "forewarn_backlog_findings_total",
        "Problems that late data told of, by what became of them.",
        ("outcome",),
        counter=True,
    )
    for outcome in Outcome:
        found.row(stats.outcomes[outcome], outcome.value)
    yield found.family()


def notification_families(alertmanagers: Alertmanagers) -> Iterable[Family]:
    """How many Alertmanagers there are, and what waits for each."""
    waiting = alertmanagers.waiting()
    length = Table("forewarn_notifications_queue_length", "Alerts that wait.", ("alertmanager",))
    for endpoint, count in waiting.items():
        length.row(count, endpoint)
    yield length.family()
    name, text = "forewarn_notifications_alertmanagers_discovered", "Alertmanagers configured."
    yield Table(name, text).row(len(waiting)).family()


def silence_families(silences: Silences, now: int) -> Iterable[Family]:
    """Silences by state at a time (ms)."""
    table = Table("forewarn_silences", "Silences in the ledger.", ("state",))
    counts = silences.counts(now)
    for state in SilenceState:
        table.row(counts.get(state, 0), state.value)
    yield table.family()


def ledger_families(
    queries: TaskQueries, outbox: Outbox, queues: Collection[str], now: int
) -> Iterable[Family]:
    """Tasks at a time (ms), alerts held by kind, deliveries by queue and state.

    `queues` are those of the configuration, which count from before their first delivery on.
    """
    tasks = Table(
        "forewarn_tasks",
        "Tasks that stand, and those that ended within a day.",
        ("state", "severity", "kind", "customer", "rule", "queue"),
    )
    deliveries = Table("forewarn_deliveries", "Deliveries in the ledger.", ("queue", "state"))
    failures = Table(
        "forewarn_delivery_failures_total", "Attempts that failed.", ("queue",), counter=True
    )
    held = Table("forewarn_holds", "Alerts that fire and may open no task now.", ("kind",))
    try:
        found = queries.held()
        for hold in HoldKind:
            held.row(found.get(hold.value, 0), hold.value)
        for labels, count in bounded(queries.counts(now - RECENT)).items():
            tasks.row(count, *labels)
        owed = outbox.counts()
        for queue in sorted({*queues, *owed}):
            known = owed.get(queue, QueueCounts())
            deliveries.row(known.owed, queue, "owed")
            deliveries.row(known.delivered, queue, "delivered")
            deliveries.row(known.dead, queue, "dead")
            failures.row(known.failed_attempts, queue)
    except LedgerError as error:
        # The other metrics must stay readable just when the disk is in trouble.
        log.warning("no task metrics: %s", error)
        return
    for table in (tasks, held, deliveries, failures):
        yield table.family()


def queue_families(queues: Collection[str], pauses: Mapping[str, Pause]) -> Iterable[Family]:
    """Which queues are left alone now."""
    name = "forewarn_queue_paused"
    table = Table(name, "Whether the queue is down, limited or wrongly configured.", ("queue",))
    for queue in queues:
        table.row(queue in pauses, queue)
    yield table.family()


def ticket_families(readers: TicketReaders) -> Iterable[Family]:
    """Tickets by state, and what their readers have done."""
    tickets = Table("forewarn_tickets", "Tickets of tasks in the ledger.", ("queue", "state"))
    reads = Table(
        "forewarn_ticket_reads_total", "Tickets that were read back.", ("queue",), counter=True
    )
    errors = Table(
        "forewarn_ticket_read_errors_total",
        "Attempts to read tickets that failed.",
        ("queue",),
        counter=True,
    )
    for queue, counts in readers.counts().items():
        reads.row(counts.reads, queue)
        errors.row(counts.errors, queue)
    yield reads.family()
    yield errors.family()
    try:
        found = readers.tickets.counts()
    except LedgerError as error:
        log.warning("no metrics of tickets: %s", error)
        return
    for queue in sorted({queue for queue, _ in found}):
        for state in (*TicketState, "gone"):
            tickets.row(found.get((queue, str(state)), 0), queue, str(state))
    yield tickets.family()


def objective_families(
    queries: TaskQueries, objective: ObjectiveConfig, now: int
) -> Iterable[Family]:
    """How soon tasks open, against what is wanted."""
    try:
        total, in_time = queries.in_time(now - objective.window, objective.within)
    except LedgerError as error:
        log.warning("no metrics of the objective: %s", error)
        return
    budget = (1 - objective.target) * total
    left = 1 - (total - in_time) / budget if total else 1.0
    tasks = Table("forewarn_objective_tasks", "Tasks of the window, by outcome.", ("outcome",))
    yield tasks.row(in_time, "in_time").row(total - in_time, "late").family()
    for name, text, value in (
        ("target_ratio", "The share of tasks that is to open in time.", objective.target),
        ("within_seconds", "What is in time.", objective.within / 1000),
        ("window_seconds", "Over what time tasks are counted.", objective.window / 1000),
        ("budget_left_ratio", "Of the tasks that may be late, the share that is left.", left),
    ):
        yield Table(f"forewarn_objective_{name}", text).row(value).family()


def calendar_families(
    calendars: CalendarWatch, escalations: Mapping[str, int], at: int
) -> Iterable[Family]:
    """Which windows and files are in force at `at` (ms), and how many steps were taken by name."""
    windows = Table("forewarn_window_active", "1 while a maintenance window lasts.", ("window",))
    for window in calendars.windows:
        windows.row(window.at(at) is not None, window.name)
    yield windows.family()
    text = "1 while a calendar file is in force as it is, 0 while its last good state is."
    files = Table("forewarn_calendar_file_current", text, ("file",))
    for path in sorted({str(file.path) for file in calendars.files}):
        broken = any(file.problem for file in calendars.files if str(file.path) == path)
        files.row(not broken, path)
    yield files.family()
    text = "Steps of escalations taken, by service level and step."
    steps = Table("forewarn_escalations_total", text, ("step",), counter=True)
    for name, count in sorted(escalations.items()):
        steps.row(count, name)
    yield steps.family()


def observe_changes(metrics: Metrics, changes: Sequence[TaskChange], now: int) -> None:
    """Count what was done to tasks, which has just been written (ms)."""
    for change in changes:
        for step, took in milestones(change):
            metrics.task_steps.labels(step.value).observe(took / 1000)
        if change.onset_at is not None and change.task.held_since is None:
            metrics.onset_to_task.observe(max(now - change.onset_at, 0) / 1000)


def observe_evidence(metrics: Metrics, seconds: float, missing: int) -> None:
    """Note how long evidence took to gather, and how many parts of it are missing."""
    metrics.evidence.observe(seconds)
    metrics.evidence_missing.inc(missing)


def observe_delivery(metrics: Metrics, took: int) -> None:
    """Count the first delivery of a task, so long (ms) after it opened."""
    metrics.task_steps.labels(Milestone.DELIVERED.value).observe(took / 1000)
