"""The overview: what is open, how fast it was found, the worst hosts, the collector's own state.

Tasks, deliveries and the collector's own figures are of the whole installation; the variables
`customer` and `instance` narrow down the hosts.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.common import VisibilityMode
from panels import (
    DATASOURCE,
    Steps,
    at_once,
    bars,
    graph,
    limit_shown,
    number,
    numbered,
    over_time,
    rows,
    sheet,
    stacked,
    thresholds,
)

UID = "forewarn-overview"

HOST = 'job="node",customer=~"$customer",instance=~"$instance"'
OPEN = 'state=~"open|acknowledged"'
URGENT = 'severity=~"critical|high"'

# The shares and the latency budget at which a person should look; the rules in rules/host.yml
# decide for themselves when a task opens.
BUSY: Steps = ((None, "green"), (0.8, "orange"), (0.95, "red"))
BUDGET_SECONDS = 0.25

_IDLE = f'rate(node_cpu_seconds_total{{mode="idle",{HOST}}}[$__rate_interval])'
CPU = f"1 - avg by (customer, instance) ({_IDLE})"
MEMORY = f"1 - node_memory_MemAvailable_bytes{{{HOST}}} / node_memory_MemTotal_bytes{{{HOST}}}"
_REAL = f'fstype!~"tmpfs|ramfs|overlay|squashfs",{HOST}'
DISK = f"1 - node_filesystem_avail_bytes{{{_REAL}}} / (node_filesystem_size_bytes{{{_REAL}}} > 0)"
FULLEST = f"topk(15, {DISK})"
NAME = "{{instance}} {{customer}}"


def build() -> model.Dashboard:
    """The dashboard."""
    found = (
        dashboard.Dashboard("Forewarn: overview")
        .uid(UID)
        .description("Open maintenance tasks, how fast they were found, and the worst hosts.")
        .tags(["forewarn"])
        .editable()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
    )
    for variable in _variables():
        found.with_variable(variable)
    _now(found)
    found.with_row(dashboard.Row("Tasks"))
    _tasks(found)
    found.with_row(dashboard.Row("Worst hosts"))
    _hosts(found)
    found.with_row(dashboard.Row("Collector"))
    _collector(found)
    return numbered(found.build())


def _variables() -> list[dashboard.QueryVariable | dashboard.DatasourceVariable]:
    def labels(name: str, title: str, query: str, what: str) -> dashboard.QueryVariable:
        return (
            dashboard.QueryVariable(name)
            .label(title)
            .description(what)
            .datasource(DATASOURCE)
            .query({"query": query, "refId": name})
            .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(model.VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            # `.*` also takes hosts without the label, which no list of its values would.
            .all_value(".*")
            .current(model.VariableOption(selected=True, text="All", value="$__all"))
        )

    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    source.description("A Prometheus data source with the address of the collector")
    up = 'up{job="node"'
    return [
        source,
        labels(
            "customer",
            "Customer",
            f"label_values({up}}}, customer)",
            "The tenant of a host",
        ),
        labels(
            "instance",
            "Host",
            f'label_values({up},customer=~"$customer"}}, instance)',
            "The hosts of the chosen customers",
        ),
    ]


def _now(found: dashboard.Dashboard) -> None:
    some: Steps = ((None, "green"), (1, "orange"))
    grave: Steps = ((None, "green"), (1, "red"))
    panels = (
        number(
            "Open tasks",
            "Tasks that are open or acknowledged, of the whole installation.",
            at_once(f"sum(forewarn_tasks{{{OPEN}}}) or vector(0)"),
            some,
        ),
        number(
            "Of these urgent",
            "Open or acknowledged tasks of severity critical or high.",
            at_once(f"sum(forewarn_tasks{{{OPEN},{URGENT}}}) or vector(0)"),
            grave,
        ),
        number(
            "Hosts up",
            "Agents that have reported within three of their intervals, among the chosen hosts.",
            at_once(f"count(up{{{HOST}}} == 1) or vector(0)"),
            ((None, "red"), (1, "green")),
        ),
        number(
            "Hosts silent",
            "Agents that missed three intervals: the host, its agent or the network is down.",
            at_once(f"count(up{{{HOST}}} == 0) or vector(0)"),
            grave,
        ),
        number(
            "Onset to task, p99",
            "Of the tasks opened in the chosen time: from the sample that showed the fault to the "
            "open task. The budget is 250 ms; data that comes late, after an outage, counts too.",
            at_once(
                "histogram_quantile(0.99, "
                "sum by (le) (increase(forewarn_onset_to_task_seconds_bucket[$__range])))"
            ),
            ((None, "green"), (BUDGET_SECONDS, "orange"), (10, "red")),
            "s",
        ).no_value("no task"),
        number(
            "Deliveries owed",
            "Messages that a queue has not taken yet. Several for more than a minute: the queue is "
            "down, see the collector's log.",
            at_once('sum(forewarn_deliveries{state="owed"}) or vector(0)'),
            ((None, "green"), (1, "orange"), (20, "red")),
        ),
    )
    for panel in panels:
        found.with_panel(panel)


def _tasks(found: dashboard.Dashboard) -> None:
    severity = over_time(f"sum by (severity) (forewarn_tasks{{{OPEN}}})", "{{severity}}")
    found.with_panel(
        stacked(
            graph(
                "Open tasks by severity",
                "Tasks that are open or acknowledged, of the whole installation.",
                [severity],
                "none",
            ).decimals(0)
        )
    )
    state = over_time(f"sum by (state, kind) (forewarn_tasks{{{OPEN}}})", "{{state}}, {{kind}}")
    found.with_panel(
        stacked(
            graph(
                "Open tasks by state and kind",
                "Open tasks wait for somebody; acknowledged ones are being worked on.",
                [state],
                "none",
            ).decimals(0)
        )
    )
    bucket = "sum by (le) (rate(forewarn_onset_to_task_seconds_bucket[$__rate_interval]))"
    onset = graph(
        "Onset to task",
        "From the sample that showed a fault to its open task, for the tasks opened around each "
        "point; gaps where none opened. The dashed line is the budget for p99.",
        [
            over_time(f"histogram_quantile(0.5, {bucket})", "p50"),
            over_time(f"histogram_quantile(0.99, {bucket})", "p99"),
        ],
        "s",
    ).show_points(VisibilityMode.ALWAYS)
    found.with_panel(limit_shown(onset, ((None, "green"), (BUDGET_SECONDS, "red"))))


def _hosts(found: dashboard.Dashboard) -> None:
    found.with_panel(
        bars(
            "CPU, busiest now",
            "Share of all CPUs' time not idle, the ten busiest of the chosen hosts.",
            at_once(f"topk(10, {CPU})", NAME),
            BUSY,
            "percentunit",
        )
    )
    found.with_panel(
        bars(
            "Memory, fullest now",
            "Share of memory that is not available to programs (MemAvailable), the ten fullest.",
            at_once(f"topk(10, {MEMORY})", NAME),
            BUSY,
            "percentunit",
        )
    )
    share, free = "Value #A", "Value #B"
    found.with_panel(
        sheet(
            "File systems, fullest now",
            "The fifteen fullest file systems of the chosen hosts, as unprivileged programs see "
            "them; temporary and overlay ones are left out.",
            [
                rows(FULLEST),
                rows(
                    f"node_filesystem_avail_bytes{{{_REAL}}} "
                    f"and on (customer, instance, device, mountpoint) {FULLEST}"
                ),
            ],
            [
                ("instance", "Host"),
                ("mountpoint", "Mounted on"),
                (share, "Used"),
                (free, "Free"),
                ("customer", "Customer"),
            ],
        )
        .thresholds(thresholds(BUSY))
        .override_by_name(
            "Used",
            [
                model.DynamicConfigValue("unit", "percentunit"),
                model.DynamicConfigValue("min", 0),
                model.DynamicConfigValue("max", 1),
                model.DynamicConfigValue("custom.cellOptions", {"type": "gauge", "mode": "basic"}),
            ],
        )
        .override_by_name("Free", [model.DynamicConfigValue("unit", "bytes")])
        .sort_by([TableSortByFieldState().display_name("Used").desc(True)])
    )
    found.with_panel(
        graph(
            "CPU over time",
            "The five busiest at each point; a host that is not among them has a gap.",
            [over_time(f"topk(5, {CPU})", NAME)],
            "percentunit",
        ).max(1)
    )
    found.with_panel(
        graph(
            "Memory over time",
            "The five fullest at each point; a host that is not among them has a gap.",
            [over_time(f"topk(5, {MEMORY})", NAME)],
            "percentunit",
        ).max(1)
    )
    found.with_panel(
        graph(
            "File systems over time",
            "The five fullest at each point; one that is not among them has a gap.",
            [over_time(f"topk(5, {DISK})", "{{instance}} {{mountpoint}}")],
            "percentunit",
        ).max(1)
    )


def _collector(found: dashboard.Dashboard) -> None:
    found.with_panel(
        graph(
            "Rule evaluation",
            "Time of each rule group's last evaluation, the ten slowest.",
            [over_time("topk(10, forewarn_rule_group_last_duration_seconds)", "{{group}}")],
            "s",
        )
    )
    rate = "rate(forewarn_ingest_{}_total[$__rate_interval])"
    found.with_panel(
        graph(
            "Ingest",
            "Samples and events a second: new ones, samples that were there already (a resend), "
            "and what was refused.",
            [
                over_time(f"sum({rate.format('samples')})", "samples"),
                over_time(f"sum({rate.format('events')})", "events"),
                over_time(f"sum({rate.format('duplicates')})", "duplicates"),
                over_time(f"sum({rate.format('rejected')}) or vector(0)", "refused"),
            ],
            "cps",
        )
    )
    found.with_panel(
        graph(
            "Deliveries owed and given up",
            "By queue: owed are tried again until the queue takes them; dead ones were refused for "
            "good and need a person.",
            [
                over_time(
                    'sum by (queue, state) (forewarn_deliveries{state=~"owed|dead"})',
                    "{{queue}} {{state}}",
                )
            ],
            "none",
        ).decimals(0)
    )
