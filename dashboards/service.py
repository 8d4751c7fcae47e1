"""Services: process groups, checks and logs, on one host or many."""

from __future__ import annotations

from frame import CHANGES, Board, customers, hosts, services, task_spans
from panels import GAUGE, Column, graph, number, sheet, timeline, to_host
from style import (
    ANY,
    BYTES,
    BYTES_RATE,
    DAYS,
    HOSTS,
    NUMBER,
    RATE,
    ROOM_DAYS,
    SECONDS,
    SHARE,
    SOME,
    STANDS,
    TASKS,
    TASKS_BOARD,
    WANTED,
    said,
)
from task_panels import tasks

_PROCESSES = f'groupname=~"$service",{HOSTS}'
_CHECKS = f'check=~"$service",{HOSTS}'
_LOGS = f'log=~"$service",{HOSTS}'
_NAME = "{{groupname}} {{instance}}"
_CHECK = "{{check}} {{instance}}"
_WORKS = said({"0": ("fails", "red"), "1": ("works", "green")})


def _group(name: str) -> str:
    return f"namedprocess_namegroup_{name}{{{_PROCESSES}}}"


def _group_rate(name: str) -> str:
    return f"rate({_group(name)}[$__rate_interval])"


_LEFT = f"(probe_ssl_earliest_cert_expiry{{{_CHECKS}}} - time()) / 86400"

_NOW = (
    number(
        "Open tasks",
        "Tasks about the chosen services and hosts that nobody has resolved or closed yet.",
        f"count(forewarn_task_info{{{STANDS},{TASKS}}}) or vector(0)",
        SOME,
        link=TASKS_BOARD,
    ),
    number(
        "Services running",
        "Process groups with at least one process.",
        f"count({_group('num_procs')} > 0) or vector(0)",
        WANTED,
    ),
    number(
        "Services down",
        "Process groups without any process.",
        f"count({_group('num_procs')} == 0) or vector(0)",
        ANY,
    ),
    number(
        "Checks failing",
        "Checks whose last answer was not as it should be.",
        f"count(probe_success{{{_CHECKS}}} == 0) or vector(0)",
        ANY,
    ),
    number(
        "Errors in logs",
        "Lines of severity error or fatal in the chosen time.",
        "sum(increase(forewarn_events_total"
        f'{{type="log",severity=~"error|fatal",{_LOGS}}}[$__range])) or vector(0)',
        ANY,
        decimals=0,
    ),
    number(
        "Next certificate expires in",
        "Of those that the checks of https addresses see.",
        f"min({_LEFT})",
        ROOM_DAYS,
        DAYS,
        empty="no certificate",
    ),
)

_TASKS = (
    tasks(
        "What is to be done",
        "What is to be done about the chosen services; a click leads to the task's page.",
        f"{STANDS},{TASKS}",
        height=6,
    ),
)

_CHECKED = (
    timeline(
        "Checks",
        "Whether each check was answered as it should be.",
        (f"probe_success{{{_CHECKS}}}", _CHECK),
        _WORKS,
        span=8,
    ),
    graph(
        "Time to answer",
        "Of each check, from the first look-up to the last byte.",
        SECONDS,
        (f"probe_duration_seconds{{{_CHECKS}}}", _CHECK),
    ),
    graph(
        "Where the time goes",
        "Of all chosen checks on average: the look-up of the name, the connection, TLS, the "
        "service's own work (processing), and the transfer of its answer.",
        SECONDS,
        (f"avg by (phase) (probe_http_duration_seconds{{{_CHECKS}}})", "{{phase}}"),
        stacked=True,
    ),
    sheet(
        "Availability",
        "Share of checks in the chosen time that were answered as they should be, and the status "
        "of the last answer (0: none came).",
        [
            f"avg_over_time(probe_success{{{_CHECKS}}}[$__range])",
            f"probe_http_status_code{{{_CHECKS}}}",
        ],
        [
            Column("check", "Check"),
            to_host("From"),
            Column("target", "Address"),
            Column(
                "Value #A",
                "Answered",
                unit=SHARE,
                more={
                    **GAUGE,
                    "thresholds": {
                        "mode": "absolute",
                        "steps": [
                            {"value": None, "color": "red"},
                            {"value": 0.99, "color": "orange"},
                            {"value": 0.999, "color": "green"},
                        ],
                    },
                },
            ),
            Column("Value #B", "Status", unit=NUMBER),
        ],
        span=16,
        height=8,
        sort=("Answered", False),
        empty="no check",
    ),
    graph(
        "Certificates",
        "Days until the certificate of each https address expires.",
        DAYS,
        (_LEFT, _CHECK),
        limit=14,
    ),
)

_RUNNING = (
    graph(
        "Processes",
        "How many processes each group has.",
        NUMBER,
        (_group("num_procs"), _NAME),
    ),
    graph(
        "CPU",
        "CPUs that each group takes; 1 is one CPU.",
        NUMBER,
        (
            "sum without (mode) (rate(namedprocess_namegroup_cpu_seconds_total"
            f"{{{_PROCESSES}}}[$__rate_interval]))",
            _NAME,
        ),
    ).decimals(2),
    graph(
        "Memory",
        "Resident memory of each group; pages that several processes share count for each.",
        BYTES,
        (
            f'namedprocess_namegroup_memory_bytes{{memtype="resident",{_PROCESSES}}}',
            _NAME,
        ),
    ),
    graph(
        "Files read and written",
        "Bytes a second; what the page cache holds counts only when it goes to the disk.",
        BYTES_RATE,
        (_group_rate("read_bytes_total"), f"{_NAME} read"),
        (_group_rate("write_bytes_total"), f"{_NAME} written"),
    ),
    graph(
        "Open files",
        "Of the process of each group that uses most of what it may: the share.",
        SHARE,
        (_group("worst_fd_ratio"), _NAME),
        most=1,
    ),
    graph(
        "Threads",
        "How many threads each group has.",
        NUMBER,
        (_group("num_threads"), _NAME),
    ),
    sheet(
        "Starts",
        "For how long the oldest process of each group runs, and how often that changed in the "
        "chosen time.",
        [
            "max by (customer, instance, groupname) "
            f"(time() - ({_group('oldest_start_time_seconds')} > 0))",
            "max by (customer, instance, groupname) "
            f"(changes({_group('oldest_start_time_seconds')}[$__range]))",
        ],
        [
            Column("groupname", "Service"),
            to_host(),
            Column("customer", "Customer"),
            Column("Value #A", "Runs for", unit=SECONDS),
            Column("Value #B", "Restarts", unit=NUMBER),
        ],
        height=8,
        sort=("Restarts", True),
        empty="no process group",
    ),
    graph(
        "Starts and ends",
        "Processes of the groups that started or ended, a second.",
        RATE,
        (
            "sum by (groupname, type) (rate(forewarn_events_total"
            f'{{type=~"process_.+",{_PROCESSES}}}[$__rate_interval]))',
            "{{groupname}} {{type}}",
        ),
        span=12,
    ),
)

_LOGGED = (
    graph(
        "Lines that matched",
        "Lines of logs in which a pattern was found, a second, by severity.",
        RATE,
        (
            "sum by (log, severity) "
            f'(rate(forewarn_events_total{{type="log",{_LOGS}}}[$__rate_interval]))',
            "{{log}} {{severity}}",
        ),
        span=12,
    ),
    graph(
        "Lines read",
        "All lines of the logs, a second.",
        RATE,
        (
            f"sum by (log) (rate(forewarn_log_lines_total{{{_LOGS}}}[$__rate_interval]))",
            "{{log}}",
        ),
        span=12,
    ),
)

BOARD = Board(
    uid="forewarn-service",
    title="Forewarn: service",
    description="Services: their tasks, checks, processes and logs, on one host or many.",
    variables=(customers(), hosts(), services()),
    notes=(task_spans(TASKS), *CHANGES),
    sections=(
        ("Now", _NOW),
        ("Tasks", _TASKS),
        ("Checks", _CHECKED),
        ("Processes", _RUNNING),
        ("Logs", _LOGGED),
    ),
)
