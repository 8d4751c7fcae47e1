"""The overview: what is open, how fast it was found, which hosts are worst."""

from __future__ import annotations

from frame import CHANGES, Board, customers, hosts, services, task_spans
from panels import GAUGE, Column, bars, graph, number, sheet, to_host
from style import (
    ANY,
    BUDGET_SECONDS,
    BYTES,
    ENDED,
    FILES,
    FILES_USED,
    HOST_NAME,
    HOST_OF_LINE,
    HOSTS,
    MEMORY_USED,
    NUMBER,
    ONSET,
    SECONDS,
    SHARE,
    SOME,
    STANDS,
    TASKS,
    TASKS_BOARD,
    WANTED,
)
from task_panels import COUNTED, by_severity, by_state, tasks

CPU = (
    "1 - avg by (customer, instance) "
    f'(rate(node_cpu_seconds_total{{mode="idle",{HOSTS}}}[$__rate_interval]))'
)
_FULLEST = f"topk(15, {FILES_USED})"
_BUCKETS = "sum by (le) ({}(forewarn_onset_to_task_seconds_bucket[{}]))"
_RATE = _BUCKETS.format("rate", "$__rate_interval")

_NOW = (
    number(
        "Open tasks",
        "Tasks that nobody has resolved or closed yet, of the chosen customers.",
        f"sum(forewarn_tasks{{{COUNTED}}}) or vector(0)",
        SOME,
        link=TASKS_BOARD,
    ),
    number(
        "Of these urgent",
        "Of severity critical or high.",
        f'sum(forewarn_tasks{{{COUNTED},severity=~"critical|high"}}) or vector(0)',
        ANY,
        link=TASKS_BOARD,
    ),
    number(
        "Hosts up",
        "Agents that have reported within three of their intervals, among the chosen hosts.",
        f'count(up{{job="node",{HOSTS}}} == 1) or vector(0)',
        WANTED,
    ),
    number(
        "Hosts silent",
        "Agents that missed three intervals: the host, its agent or the network is down.",
        f'count(up{{job="node",{HOSTS}}} == 0) or vector(0)',
        ANY,
    ),
    number(
        "Onset to task, p99",
        "Of the tasks opened in the chosen time, of all customers: from the sample that showed the "
        "fault to the open task. The budget is 250 ms; data that comes late, after an outage, "
        "counts too.",
        f"histogram_quantile(0.99, {_BUCKETS.format('increase', '$__range')})",
        ONSET,
        SECONDS,
        empty="no task",
    ),
    number(
        "Ended within a day",
        "Tasks that were resolved or closed within the last 24 hours, of the chosen customers.",
        f'sum(forewarn_tasks{{{ENDED},customer=~"$customer"}}) or vector(0)',
        ((None, "green"),),
        link=TASKS_BOARD,
    ),
)

_TASKS = (
    tasks(
        "What is to be done",
        "What is to be done now on the chosen hosts and services, the newest first; a click leads "
        "to the task's page. Of more than 1,000 tasks the newest are here.",
        f"{STANDS},{TASKS}",
    ),
    by_severity("Open tasks by severity"),
    by_state("Open tasks by state"),
    graph(
        "Onset to task",
        "From the sample that showed a fault to its open task, for the tasks opened around each "
        "point, of all customers; gaps where none opened. The dashed line is the budget for p99.",
        SECONDS,
        (f"histogram_quantile(0.5, {_RATE})", "p50"),
        (f"histogram_quantile(0.99, {_RATE})", "p99"),
        points=True,
        limit=BUDGET_SECONDS,
    ),
)

_HOSTS = (
    bars(
        "CPU, busiest now",
        "Share of all CPUs' time not idle, the ten busiest of the chosen hosts.",
        (f"topk(10, {CPU})", HOST_NAME),
        link=HOST_OF_LINE,
    ),
    bars(
        "Memory, fullest now",
        "Share of memory that is not available to programs (MemAvailable), the ten fullest.",
        (f"topk(10, {MEMORY_USED})", HOST_NAME),
        link=HOST_OF_LINE,
    ),
    sheet(
        "File systems, fullest now",
        "The fifteen fullest file systems of the chosen hosts, as unprivileged programs see "
        "them; temporary and overlay ones are left out.",
        [
            _FULLEST,
            f"node_filesystem_avail_bytes{{{FILES}}} "
            f"and on (customer, instance, device, mountpoint) {_FULLEST}",
        ],
        [
            to_host(),
            Column("mountpoint", "Mounted on"),
            Column("Value #A", "Used", unit=SHARE, more=GAUGE),
            Column("Value #B", "Free", unit=BYTES),
            Column("customer", "Customer"),
        ],
        span=8,
        height=8,
        sort=("Used", True),
    ),
    graph(
        "CPU over time",
        "The five busiest at each point; a host that is not among them has a gap.",
        SHARE,
        (f"topk(5, {CPU})", HOST_NAME),
        most=1,
        link=HOST_OF_LINE,
    ),
    graph(
        "Memory over time",
        "The five fullest at each point; a host that is not among them has a gap.",
        SHARE,
        (f"topk(5, {MEMORY_USED})", HOST_NAME),
        most=1,
        link=HOST_OF_LINE,
    ),
    graph(
        "File systems over time",
        "The five fullest at each point; one that is not among them has a gap.",
        SHARE,
        (f"topk(5, {FILES_USED})", "{{instance}} {{mountpoint}}"),
        most=1,
        link=HOST_OF_LINE,
    ),
    sheet(
        "Hosts",
        "Each of the chosen hosts with the tasks that are open there; the most first.",
        [
            f"count by (customer, instance) (forewarn_task_info{{{STANDS},{HOSTS}}}) "
            f'or 0 * max by (customer, instance) (up{{job="node",{HOSTS}}})',
            f'max by (customer, instance) (up{{job="node",{HOSTS}}})',
            f"max by (customer, instance) (time() - node_boot_time_seconds{{{HOSTS}}})",
        ],
        [
            to_host(),
            Column("Value #A", "Open tasks", unit=NUMBER),
            Column("Value #B", "Up", unit=NUMBER),
            Column("Value #C", "Runs for", unit=SECONDS),
            Column("customer", "Customer"),
        ],
        span=24,
        sort=("Open tasks", True),
    ),
)

BOARD = Board(
    uid="forewarn-overview",
    title="Forewarn: overview",
    description="Open maintenance tasks, how fast they were found, and the worst hosts.",
    variables=(customers(), services(), hosts()),
    notes=(task_spans(TASKS), *CHANGES),
    sections=(("Now", _NOW), ("Tasks", _TASKS), ("Hosts", _HOSTS)),
)
