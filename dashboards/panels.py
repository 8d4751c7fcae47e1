"""The kinds of panels that our dashboards are made of, all with the same manners.

Each takes a title, a description for whoever looks at it for the first time, and its queries.
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, table
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")

Steps = Sequence[tuple[float | None, str]]
"""Thresholds: from which value (None: from the lowest on) which colour."""


def thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    """Absolute thresholds."""
    found = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def over_time(expr: str, legend: str = "") -> prometheus.Dataquery:
    """A query for a line over the dashboard's time range."""
    return _query(expr, legend).range()


def at_once(expr: str, legend: str = "") -> prometheus.Dataquery:
    """A query for the state at the end of the dashboard's time range."""
    return _query(expr, legend).instant()


def rows(expr: str) -> prometheus.Dataquery:
    """A query whose series become a table's rows, their labels its columns."""
    return _query(expr, "").instant().format(PromQueryFormat.TABLE)


def number(
    title: str, description: str, query: prometheus.Dataquery, steps: Steps, unit: str = "none"
) -> stat.Panel:
    """One large number, coloured by its thresholds."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(query.ref_id("A"))
        .unit(unit)
        .thresholds(thresholds(steps))
        .no_value("none")
        .color_mode(common_model.BigValueColorMode.BACKGROUND)
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(4)
        .span(4)
    )


def bars(
    title: str, description: str, query: prometheus.Dataquery, steps: Steps, unit: str
) -> bargauge.Panel:
    """Horizontal bars from 0 to 1, for shares."""
    return (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(query.ref_id("A"))
        .unit(unit)
        .min(0)
        .max(1)
        .thresholds(thresholds(steps))
        .no_value("no data")
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(9)
        .span(8)
    )


def graph(
    title: str, description: str, queries: Sequence[prometheus.Dataquery], unit: str
) -> lines.Panel:
    """Lines over time."""
    panel = (
        lines.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .no_value("no data")
        .fill_opacity(8)
        .line_width(1)
        .show_points(common_model.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_model.TooltipDisplayMode.MULTI)
            .sort(common_model.SortOrder.DESCENDING)
        )
        .height(8)
        .span(8)
    )
    for letter, query in zip("ABCDEF", queries, strict=False):
        panel.with_target(query.ref_id(letter))
    return panel


def stacked(panel: lines.Panel) -> lines.Panel:
    """The same graph with its lines stacked, for parts of a whole."""
    return panel.stacking(
        common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A")
    ).fill_opacity(30)


def limit_shown(panel: lines.Panel, steps: Steps) -> lines.Panel:
    """The same graph with its thresholds as dashed lines."""
    style = common.GraphThresholdsStyleConfig().mode(common_model.GraphThresholdsStyleMode.DASHED)
    return panel.thresholds(thresholds(steps)).thresholds_style(style)


def sheet(
    title: str,
    description: str,
    queries: Sequence[prometheus.Dataquery],
    columns: Sequence[tuple[str, str]],
) -> table.Panel:
    """A table that joins the queries' series by their labels.

    `columns`: field and heading, in order; `Value #A` is the first query's value. Fields that are
    not named are left out.
    """
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .no_value("no data")
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="filterFieldsByName",
                options={"include": {"names": [field for field, _ in columns]}},
            )
        )
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "indexByName": {field: i for i, (field, _) in enumerate(columns)},
                    "renameByName": dict(columns),
                },
            )
        )
        .height(9)
        .span(8)
    )
    for letter, query in zip("ABCDEF", queries, strict=False):
        panel.with_target(query.ref_id(letter))
    return panel


def numbered(built: model.Dashboard) -> model.Dashboard:
    """The same dashboard with its panels' ids, which the SDK leaves to Grafana or gives twice."""
    for number, panel in enumerate(built.panels or [], 1):
        panel.id_val = number
    return built


def _query(expr: str, legend: str) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expr).datasource(DATASOURCE)
    return query.legend_format(legend) if legend else query
