"""The kinds of panels that our dashboards are made of, all with the same manners.

Each takes a title, a description for whoever looks at it for the first time, and its queries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
)
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from style import (
    BUSY,
    DATASOURCE,
    HOST_BOARD,
    SHARE,
    Link,
    Steps,
)

Panel = stat.Panel | bargauge.Panel | lines.Panel | table.Panel | statetimeline.Panel
Line = tuple[str, str]
"""An expression and the legend of its lines."""


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and the field of which it is, which is a label or the value
    of a query (`Value #A` is that of the first)."""

    source: str
    heading: str
    unit: str = ""
    more: Mapping[str, object] = field(default_factory=dict)


def number(
    title: str,
    description: str,
    expr: str,
    steps: Steps,
    unit: str = "none",
    *,
    span: int = 4,
    empty: str = "none",
    link: Link | None = None,
    decimals: int | None = None,
) -> stat.Panel:
    """One large number, coloured by its thresholds."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_query(expr).instant().ref_id("A"))
        .unit(unit)
        .thresholds(_thresholds(steps))
        .no_value(empty)
        .color_mode(common_model.BigValueColorMode.BACKGROUND)
        .graph_mode(common_model.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(4)
        .span(span)
    )
    if decimals is not None:
        panel.decimals(decimals)
    return panel.data_links([_linked(link)]) if link else panel


def bars(
    title: str,
    description: str,
    line: Line,
    *,
    steps: Steps = BUSY,
    unit: str = SHARE,
    most: float | None = 1,
    span: int = 8,
    link: Link | None = None,
) -> bargauge.Panel:
    """Horizontal bars, by default from 0 to 1 for shares."""
    panel = (
        bargauge.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_query(*line).instant().ref_id("A"))
        .unit(unit)
        .min(0)
        .thresholds(_thresholds(steps))
        .no_value("no data")
        .orientation(common_model.VizOrientation.HORIZONTAL)
        .display_mode(common_model.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .height(8)
        .span(span)
    )
    if most is not None:
        panel.max(most)
    return panel.data_links([_linked(link)]) if link else panel


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Line,
    span: int = 8,
    stacked: bool = False,
    most: float | None = None,
    below_zero: bool = False,
    points: bool = False,
    limit: float | None = None,
    colours: Mapping[str, str] | None = None,
    link: Link | None = None,
) -> lines.Panel:
    """Lines over time, from 0 up to `most`; `limit` is a dashed line, `colours` go by legend."""
    panel = (
        lines.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .no_value("no data")
        .fill_opacity(30 if stacked else 8)
        .line_width(1)
        .show_points(
            common_model.VisibilityMode.ALWAYS if points else common_model.VisibilityMode.NEVER
        )
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
        .span(span)
    )
    if not below_zero:
        panel.min(0)
    if most is not None:
        panel.max(most)
    if unit == "none":
        panel.decimals(0)
    if stacked:
        panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A"))
    if limit is not None:
        style = common.GraphThresholdsStyleConfig()
        panel.thresholds(_thresholds(((None, "green"), (limit, "red"))))
        panel.thresholds_style(style.mode(common_model.GraphThresholdsStyleMode.DASHED))
    for name, color in (colours or {}).items():
        fixed = {"mode": "fixed", "fixedColor": color}
        panel.override_by_name(name, [model.DynamicConfigValue("color", fixed)])
    for letter, line in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_query(*line).range().ref_id(letter))
    return panel.data_links([_linked(link)]) if link else panel


def timeline(
    title: str,
    description: str,
    line: Line,
    mappings: list[model.ValueMapping],
    *,
    span: int = 12,
    height: int = 8,
) -> statetimeline.Panel:
    """States over time, a row for each series."""
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(_query(*line).range().ref_id("A"))
        .unit("none")
        .mappings(mappings)
        .no_value("none")
        .show_value(common_model.VisibilityMode.NEVER)
        .row_height(0.8)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(common_model.LegendDisplayMode.LIST)
            .placement(common_model.LegendPlacement.BOTTOM)
        )
        .height(height)
        .span(span)
    )


def sheet(
    title: str,
    description: str,
    queries: Sequence[str],
    columns: Sequence[Column],
    *,
    span: int = 12,
    height: int = 9,
    sort: tuple[str, bool] | None = None,
    empty: str = "no data",
) -> table.Panel:
    """A table that joins the queries' series where all their labels are the same.

    Fields that are no column are left out. `sort` is a heading and whether the largest come first.
    """
    names = [column.source for column in columns]
    renamed = {column.source: column.heading for column in columns}
    panel = (
        table.Panel()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .no_value(empty)
        .with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
        .with_transformation(
            model.DataTransformerConfig(
                id_val="filterFieldsByName", options={"include": {"names": names}}
            )
        )
        .with_transformation(
            model.DataTransformerConfig(
                id_val="organize",
                options={
                    "indexByName": {name: place for place, name in enumerate(names)},
                    "renameByName": renamed,
                },
            )
        )
        .height(height)
        .span(span)
    )
    for letter, expr in zip("ABCDEF", queries, strict=False):
        panel.with_target(_query(expr).instant().format(PromQueryFormat.TABLE).ref_id(letter))
    for column in columns:
        given = {"unit": column.unit, **column.more} if column.unit else dict(column.more)
        if given:
            properties = [model.DynamicConfigValue(name, value) for name, value in given.items()]
            panel.override_by_name(column.heading, properties)
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(sort[0]).desc(sort[1])])
    return panel


GAUGE: Mapping[str, object] = {
    "min": 0,
    "max": 1,
    "custom.cellOptions": {"type": "gauge", "mode": "basic"},
    "thresholds": {
        "mode": "absolute",
        "steps": [{"value": value, "color": color} for value, color in BUSY],
    },
}
"""A cell that shows a share as a bar."""


def to_host(heading: str = "Host") -> Column:
    """The column of hosts, each with the way to its dashboard."""
    return Column("instance", heading, more={"links": [HOST_BOARD]})


def _linked(link: Link) -> dashboard.DashboardLink:
    made = dashboard.DashboardLink(link["title"]).url(link["url"])
    return made.target_blank(link["targetBlank"])


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    found = [model.Threshold(value=value, color=color) for value, color in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def _query(expr: str, legend: str = "") -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expr).datasource(DATASOURCE)
    return query.legend_format(legend) if legend else query
