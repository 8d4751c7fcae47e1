"""Tasks as several dashboards show them: as a table, and how many there were."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table, timeseries
from panels import Column, graph, sheet, to_host
from style import NUMBER, SERVICE_BOARD, SEVERITIES, SINCE, STANDS, STATES, TASK_PAGE, coloured

COUNTED = f'{STANDS},customer=~"$customer"'
"""The matchers of `forewarn_tasks` for what stands."""


def tasks(
    title: str, description: str, chosen: str, *, ended: bool = False, height: int = 9
) -> table.Panel:
    """A table of the tasks that these matchers choose, each with the way to its page."""
    info = f"forewarn_task_info{{{chosen}}}"
    times = ["onset", "ended" if ended else "due"]
    queries = [
        f"{info} * on (job, task) group_left () (1000 * forewarn_task_{name}_timestamp_seconds)"
        for name in times
    ]
    text = {"type": "color-text"}
    columns = [
        Column("task", "Task", more={"links": [TASK_PAGE], "custom.width": 90}),
        Column("title", "What is wrong", more={"links": [TASK_PAGE], "custom.minWidth": 260}),
        Column(
            "severity",
            "Severity",
            more={"mappings": coloured(SEVERITIES), "custom.cellOptions": text},
        ),
        Column("state", "State", more={"mappings": coloured(STATES), "custom.cellOptions": text}),
        Column("Value #A", "Since", unit=SINCE),
        Column("Value #B", "Ended" if ended else "Due", unit=SINCE),
        to_host(),
        Column("service", "Service", more={"links": [SERVICE_BOARD]}),
        Column("customer", "Customer"),
        Column("assignee", "Assignee"),
        Column("rule", "Rule"),
        # Only for the links.
        Column("url", "url", more={"custom.hidden": True}),
    ]
    sort = ("Ended", True) if ended else ("Since", True)
    empty = "none ended within a day" if ended else "no task"
    return sheet(
        title, description, queries, columns, span=24, height=height, sort=sort, empty=empty
    )


def by_severity(title: str) -> timeseries.Panel:
    """How many tasks stood at each time, by severity."""
    return graph(
        title,
        "How many tasks were open at each time, of the chosen customers.",
        NUMBER,
        (f"sum by (severity) (forewarn_tasks{{{COUNTED}}})", "{{severity}}"),
        stacked=True,
        colours=SEVERITIES,
    )


def by_state(title: str) -> timeseries.Panel:
    """How many tasks stood at each time, by state."""
    return graph(
        title,
        "Open tasks wait for somebody; acknowledged ones and those in progress have somebody, "
        "waiting ones wait for something outside.",
        NUMBER,
        (f"sum by (state) (forewarn_tasks{{{COUNTED}}})", "{{state}}"),
        stacked=True,
        colours=STATES,
    )
