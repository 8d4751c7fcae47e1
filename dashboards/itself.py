"""Forewarn itself: does it take what comes, evaluate in time, deliver, and how much that needs."""

from __future__ import annotations

from frame import Board, Note, chosen
from itself_agents import AGENTS
from panels import graph, number
from style import (
    ANY,
    BUDGET_SECONDS,
    BYTES,
    NUMBER,
    ONSET,
    PLAIN,
    RATE,
    SECONDS,
    SHARE,
    WANTED,
    said,
)

_OWN = 'job="forewarn",instance=~"$own"'


def _of(metric: str, **labels: str) -> str:
    chosen = "".join(f'{name}="{value}",' for name, value in labels.items())
    return f"{metric}{{{chosen}{_OWN}}}"


def _rate(metric: str, **labels: str) -> str:
    return f"rate({_of(metric, **labels)}[$__rate_interval])"


def _quantile(quantile: float, metric: str, by: str = "") -> str:
    groups = f"le, {by}" if by else "le"
    return f"histogram_quantile({quantile}, sum by ({groups}) ({_rate(f'{metric}_bucket')}))"


_NOW = (
    number(
        "Agents up",
        "Agents that have reported within three of their intervals.",
        f"sum({_of('forewarn_agents', state='up')})",
        WANTED,
        span=3,
    ),
    number(
        "Agents silent",
        "Agents that missed three intervals.",
        f"sum({_of('forewarn_agents', state='silent')})",
        ANY,
        span=3,
    ),
    number(
        "Samples a second",
        "Samples that were new.",
        f"sum({_rate('forewarn_ingest_samples_total')})",
        PLAIN,
        RATE,
        span=3,
    ),
    number(
        "Series",
        "Series in the store.",
        f"sum({_of('forewarn_store_series')})",
        PLAIN,
        span=3,
    ),
    number(
        "Rules as in their files",
        "No: a rule file has a mistake, and the rules before it stay in force; "
        "`forewarn rules status` names it.",
        f"min({_of('forewarn_rules_current')})",
        WANTED,
        span=3,
    ).mappings(said({"0": ("no", "red"), "1": ("yes", "green")})),
    number(
        "Onset to task, p99",
        "Of the tasks opened in the chosen time: from the sample that showed the fault to the open "
        "task. The budget is 250 ms; data that comes late, after an outage, counts too.",
        "histogram_quantile(0.99, sum by (le) "
        f"(increase({_of('forewarn_onset_to_task_seconds_bucket')}[$__range])))",
        ONSET,
        SECONDS,
        span=3,
        empty="no task",
    ),
    number(
        "Error budget left",
        "Of the tasks that may open late (`objective:` of collector.yml), the share that is left.",
        f"min({_of('forewarn_objective_budget_left_ratio')})",
        ((None, "red"), (0, "orange"), (0.25, "green")),
        SHARE,
        span=3,
    ),
    number(
        "Damage",
        "Parts of the journal and blocks of sealed history that cannot be read and were set aside; "
        "`forewarn doctor` says more.",
        f"sum({_of('forewarn_store_damaged')} + {_of('forewarn_archive_damaged_blocks')})",
        ANY,
        span=3,
    ),
)

_INGEST = (
    graph(
        "Samples and events",
        "A second: new ones, samples that were there already (a resend), and what was refused.",
        RATE,
        (f"sum({_rate('forewarn_ingest_samples_total')})", "samples"),
        (f"sum({_rate('forewarn_ingest_events_total')})", "events"),
        (f"sum({_rate('forewarn_ingest_duplicates_total')})", "duplicates"),
        (f"sum({_rate('forewarn_ingest_rejected_total')}) or vector(0)", "refused"),
    ),
    graph(
        "Write requests",
        "A second, by format and answer.",
        RATE,
        (
            f"sum by (format, code) ({_rate('forewarn_ingest_requests_total')})",
            "{{format}} {{code}}",
        ),
    ),
    graph(
        "Time to be durable",
        "From a decoded remote write to its samples being on the disk.",
        SECONDS,
        (_quantile(0.5, "forewarn_ingest_commit_seconds"), "p50"),
        (_quantile(0.99, "forewarn_ingest_commit_seconds"), "p99"),
    ),
    graph(
        "Told to wait, or refused",
        "Requests a second over a limit of `limits:` in collector.yml, by limit and customer; none "
        "is usual.",
        RATE,
        (
            f"sum by (limit, customer) ({_rate('forewarn_ingest_limited_total')})",
            "{{limit}} {{customer}}",
        ),
    ),
    graph(
        "Waiting requests",
        "Bytes of write requests that are not answered yet.",
        BYTES,
        (_of("forewarn_ingest_waiting_bytes"), "{{instance}}"),
    ),
    graph(
        "New series",
        "A second. Many for long: some sender puts values without bound into a label.",
        RATE,
        (f"sum({_rate('forewarn_store_series_created_total')})", "new series"),
    ),
)

_STORE = (
    graph(
        "Series and samples in memory",
        "Series in the store, and samples that memory holds of them.",
        NUMBER,
        (_of("forewarn_store_series"), "series"),
        (_of("forewarn_store_samples"), "samples"),
    ),
    graph(
        "Memory of samples",
        "What the samples in memory take.",
        BYTES,
        (_of("forewarn_store_memory_bytes"), "{{instance}}"),
    ),
    graph(
        "Disk",
        "Size of the store's files, and of the events in them.",
        BYTES,
        (_of("forewarn_store_disk_bytes"), "all"),
        (_of("forewarn_events_bytes"), "events"),
        (f"sum({_of('forewarn_archive_bytes')})", "sealed samples"),
    ),
    graph(
        "Last seal",
        "Time since samples went from the journal to the archive; 300 s at most when all is well.",
        SECONDS,
        (_of("forewarn_store_seal_age_seconds"), "{{instance}}"),
        limit=600,
    ),
    graph(
        "Upkeep",
        "Share of one CPU's time that sealing, merging and dropping take.",
        SHARE,
        (
            f"sum by (task) ({_rate('forewarn_store_upkeep_seconds_total')})",
            "{{task}}",
        ),
        stacked=True,
    ),
    graph(
        "Upkeep that failed",
        "Runs a second; the log says why.",
        RATE,
        (
            f"sum by (task) ({_rate('forewarn_store_upkeep_total', result='failed')})",
            "{{task}}",
        ),
    ),
    graph(
        "Events",
        "Events in the store.",
        NUMBER,
        (_of("forewarn_events_stored"), "{{instance}}"),
    ),
    graph(
        "Events not kept",
        "A second: too old, over the size, or older than what is kept when they came.",
        RATE,
        (f"sum by (reason) ({_rate('forewarn_events_dropped_total')})", "{{reason}}"),
    ),
    graph(
        "Writes in the queue",
        "Writes that wait for the one thread that writes.",
        NUMBER,
        (_of("forewarn_store_waiting"), "{{instance}}"),
    ),
)

_RULES = (
    graph(
        "Time of an evaluation",
        "Of all rules of a group, the ten slowest.",
        SECONDS,
        (f"topk(10, {_of('forewarn_rule_group_last_duration_seconds')})", "{{group}}"),
    ),
    graph(
        "Lag of an evaluation",
        "From when rules were due, by an arrival or by the clock, until they were evaluated; the "
        "ten latest groups.",
        SECONDS,
        (f"topk(10, {_of('forewarn_rule_group_last_lag_seconds')})", "{{group}}"),
    ),
    graph(
        "Evaluations",
        "A second, of all groups, and rules that failed in them.",
        RATE,
        (f"sum({_rate('forewarn_rule_group_evaluations_total')})", "evaluations"),
        (f"sum({_rate('forewarn_rule_group_failures_total')})", "failed rules"),
    ),
    graph(
        "Alerts",
        "By state; unknown are those whose data is missing.",
        NUMBER,
        (f"sum by (state) ({_of('forewarn_alerts')})", "{{state}}"),
        stacked=True,
        colours={"pending": "yellow", "firing": "red", "unknown": "purple"},
    ),
    graph(
        "Late data",
        "Hosts whose late data waits to be evaluated at its own time.",
        NUMBER,
        (_of("forewarn_backlogs_waiting"), "{{instance}}"),
    ),
    graph(
        "Evidence",
        "Time to gather what a task shows, for the tasks around each point.",
        SECONDS,
        (_quantile(0.5, "forewarn_evidence_seconds"), "p50"),
        (_quantile(0.99, "forewarn_evidence_seconds"), "p99"),
        points=True,
    ),
)

_OUT = (
    graph(
        "Onset to task",
        "From the sample that showed a fault to its open task, for the tasks opened around each "
        "point; gaps where none opened. The dashed line is the budget for p99.",
        SECONDS,
        (_quantile(0.5, "forewarn_onset_to_task_seconds"), "p50"),
        (_quantile(0.99, "forewarn_onset_to_task_seconds"), "p99"),
        points=True,
        limit=BUDGET_SECONDS,
    ),
    graph(
        "Deliveries owed",
        "Messages that a queue has not taken yet.",
        NUMBER,
        (
            f"sum by (queue) ({_of('forewarn_deliveries', state='owed')})",
            "{{queue}}",
        ),
    ),
    graph(
        "Alerts to Alertmanagers",
        "A second: taken, and not taken.",
        RATE,
        (
            f"sum by (alertmanager) ({_rate('forewarn_notifications_sent_total')})",
            "{{alertmanager}} taken",
        ),
        (
            f"sum by (alertmanager) ({_rate('forewarn_notifications_errors_total')})",
            "{{alertmanager}} not taken",
        ),
    ),
    graph(
        "Requests",
        "A second, by answer.",
        RATE,
        (
            f"sum by (code) ({_rate('forewarn_http_request_duration_seconds_count')})",
            "{{code}}",
        ),
    ),
    graph(
        "Time to answer, p99",
        "By path, the ten slowest.",
        SECONDS,
        (
            f"topk(10, {_quantile(0.99, 'forewarn_http_request_duration_seconds', 'path')})",
            "{{path}}",
        ),
    ),
    graph(
        "Refused",
        "Requests a second without a right token, or whose token may not do that.",
        RATE,
        (f"sum({_rate('forewarn_http_unauthorized_total')})", "no right token"),
        (f"sum({_rate('forewarn_http_forbidden_total')})", "may not"),
    ),
)

_PROCESS = (
    graph(
        "CPU",
        "CPUs that the collector takes; 1 is one CPU.",
        NUMBER,
        (_rate("process_cpu_seconds_total"), "{{instance}}"),
    ).decimals(2),
    graph(
        "Memory",
        "Resident memory of the collector, and the part that samples take.",
        BYTES,
        (_of("process_resident_memory_bytes"), "all"),
        (_of("forewarn_store_memory_bytes"), "samples"),
    ),
    graph(
        "Open files and connections",
        "Each agent keeps a connection open. The share of what the system admits.",
        SHARE,
        (f"{_of('process_open_fds')} / {_of('process_max_fds')}", "{{instance}}"),
        most=1,
    ),
)

BOARD = Board(
    uid="forewarn-itself",
    title="Forewarn: itself",
    description="The collector and its agents: what comes in, the store, rules, and what goes out.",
    variables=(
        chosen(
            "own",
            "Address",
            "The collector's own series, by the address at which it listens",
            'label_values(forewarn_store_series{job="forewarn"}, instance)',
        ),
    ),
    notes=(
        Note(
            "Starts of the collector",
            f"1000 * ({_of('process_start_time_seconds')} > time() - $__range_s)",
            "purple",
            "{{instance}} was started",
            at_value=True,
        ),
        Note(
            "Rules reloaded",
            f"increase({_of('forewarn_rule_reloads_total')}[1m]) > 0",
            "blue",
            "Rules were {{outcome}}",
            tags="outcome",
        ),
    ),
    sections=(
        ("Now", _NOW),
        ("What comes in", _INGEST),
        ("The store", _STORE),
        ("Rules", _RULES),
        ("What goes out", _OUT),
        ("The process", _PROCESS),
        ("Agents", AGENTS),
    ),
)
