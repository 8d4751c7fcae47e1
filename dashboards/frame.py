"""What is around the panels of each dashboard: variables, annotations, links, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model
from panels import Panel
from style import DATASOURCE, HOSTS, STANDS

TAG = "forewarn"

Variable = dashboard.QueryVariable | dashboard.CustomVariable
Section = tuple[str, Sequence[Panel]]
"""A row: its title, and its panels from left to right and down. A title that ends with `…` is that
of a row which opens when it is clicked."""


@dataclass(frozen=True)
class Note:
    """An annotation: spans of time (or, with `at_value`, moments in ms) that lie over all graphs.

    `title` and `text` may have labels as `{{instance}}`.
    """

    name: str
    expr: str
    color: str
    title: str
    text: str = ""
    tags: str = ""
    at_value: bool = False
    shown: bool = True


@dataclass(frozen=True)
class Board:
    """One dashboard, as its module describes it."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    notes: Sequence[Note]
    sections: Sequence[Section]
    since: str = "now-6h"

    def to_json(self) -> str:
        """The text of its file: sorted, so that a new SDK changes only what it really changes."""
        document = json.loads(json.dumps(self._built(), cls=JSONEncoder))
        # Grafana's Prometheus data source reads these of an annotation, and the SDK has none.
        for made, note in zip(document["annotations"]["list"], self.notes, strict=True):
            made |= {
                "titleFormat": note.title,
                "textFormat": note.text,
                "tagKeys": note.tags,
                "step": "60s",
                "useValueForTime": note.at_value,
            }
        return json.dumps(document, indent=2, sort_keys=True) + "\n"

    def _built(self) -> model.Dashboard:
        found = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags([TAG])
            .editable()
            .tooltip(model.DashboardCursorSync.CROSSHAIR)
            .time(self.since, "now")
            .refresh("30s")
            .timezone("browser")
            .link(
                dashboard.DashboardLink("Forewarn")
                .type(model.DashboardLinkType.DASHBOARDS)
                .tags([TAG])
                .as_dropdown(True)
                .include_vars(True)
                .keep_time(True)
            )
            .link(
                dashboard.DashboardLink("The collector's page")
                .type(model.DashboardLinkType.LINK)
                .icon("external link")
                .url("${collector:raw}/")
                .target_blank(True)
            )
        )
        for variable in (_source(), *self.variables, _collector()):
            found.with_variable(variable)
        for note in self.notes:
            found.annotation(
                dashboard.AnnotationQuery()
                .name(note.name)
                .datasource(DATASOURCE)
                .enable(note.shown)
                .icon_color(note.color)
                .expr(note.expr)
            )
        for title, panels in self.sections:
            row = dashboard.Row(title.removesuffix("…"))
            if title.endswith("…"):
                for panel in panels:
                    row.with_panel(panel)
                found.with_row(row)
            else:
                found.with_row(row)
                for panel in panels:
                    found.with_panel(panel)
        return _numbered(found.build())


def chosen(
    name: str, title: str, description: str, query: str, *, one: bool = False, regex: str = ""
) -> dashboard.QueryVariable:
    """A variable of the values that a query finds: any number of them, or just one."""
    made = (
        dashboard.QueryVariable(name)
        .label(title)
        .description(description)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(not one)
        .include_all(not one)
    )
    if regex:
        made.regex(regex)
    if one:
        return made
    # `.*` also takes what is without the label, which no list of its values would.
    return made.all_value(".*").current(
        model.VariableOption(selected=True, text="All", value="$__all")
    )


def customers() -> dashboard.QueryVariable:
    """Customers that have hosts."""
    query = 'label_values(up{job="node"}, customer)'
    return chosen("customer", "Customer", "The tenant of a host", query)


def hosts(*, one: bool = False) -> dashboard.QueryVariable:
    """Hosts of the chosen customers."""
    query = 'label_values(up{job="node",customer=~"$customer"}, instance)'
    return chosen("host", "Host", "The hosts of the chosen customers", query, one=one)


def services() -> dashboard.QueryVariable:
    """Process groups, checks and logs by their names: what the agents' files call a service."""
    parts = [
        f'label_replace({metric}{{{HOSTS}}}, "service", "$1", "{label}", "(.+)")'
        for metric, label in (
            ("namedprocess_namegroup_num_procs", "groupname"),
            ("probe_success", "check"),
            ("forewarn_log_lines_total", "log"),
        )
    ]
    query = f"query_result(count by (service) ({' or '.join(parts)}))"
    about = "Process groups, checks and logs of the chosen hosts, by name"
    return chosen("service", "Service", about, query, regex='/service="([^"]+)"/')


def _source() -> dashboard.DatasourceVariable:
    source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    return source.description("A Prometheus data source with the address of the collector")


def _collector() -> dashboard.QueryVariable:
    # A customer's token does not see the collector itself, but the addresses of its own tasks.
    query = "query_result(forewarn_collector_info or max by (url) (forewarn_task_info))"
    about = "Where people reach the collector: `external_url` of its collector.yml"
    regex = r'/url="(.+?)(?:\/tasks\/FW-\d+)?"/'
    made = chosen("collector", "Collector", about, query, one=True, regex=regex)
    return made.hide(model.VariableHide.HIDE_VARIABLE)


def task_spans(matchers: str) -> Note:
    """From the moment a task is open until it ends."""
    labels = "task, title, severity, rule, customer, service, instance, url"
    return Note(
        "Tasks",
        f"max by ({labels}) (forewarn_task_info{{{STANDS},{matchers}}})",
        "red",
        "{{task}} {{title}}",
        '<a href="{{url}}" target="_blank">{{task}}</a> {{severity}} {{instance}} {{customer}}',
        "severity,rule",
    )


CHANGES = (
    Note(
        "Reboots",
        f"1000 * (node_boot_time_seconds{{{HOSTS}}} > time() - $__range_s)",
        "purple",
        "{{instance}} was started",
        tags="instance",
        at_value=True,
    ),
    Note(
        "Versions",
        " or ".join(
            f"max by (instance, {label}) ({metric}{{{HOSTS}}}) "
            f"unless on (instance, {label}) {metric}{{{HOSTS}}} offset $__interval "
            f"and on (instance) {metric}{{{HOSTS}}} offset $__interval"
            for metric, label in (
                ("forewarn_agent_info", "version"),
                ("node_uname_info", "release"),
                ("node_os_info", "pretty_name"),
            )
        ),
        "blue",
        "{{instance}} has another version",
        "agent {{version}} kernel {{release}} system {{pretty_name}}",
        "instance",
    ),
    Note(
        "Restarts of services",
        f"1000 * (namedprocess_namegroup_oldest_start_time_seconds{{{HOSTS}}} "
        "> time() - $__range_s)",
        "super-light-blue",
        "{{groupname}} on {{instance}} was started",
        tags="groupname",
        at_value=True,
        shown=False,
    ),
    Note(
        "Maintenance",
        "forewarn_window_active == 1",
        "green",
        "Maintenance: {{window}}",
        tags="window",
        shown=False,
    ),
)
"""What people want to know beside a graph that bends: what was changed there."""


def _numbered(built: model.Dashboard) -> model.Dashboard:
    """The same dashboard with its panels' ids, which the SDK leaves to Grafana or gives twice."""
    count = 0
    for panel in built.panels or []:
        for each in (panel, *(panel.panels if isinstance(panel, model.RowPanel) else ())):
            count += 1
            each.id_val = count
    return built
