"""Panels, over Grafana's own typed builders.

A panel here is title, one sentence of description, unit, and its queries; the rest is the same
everywhere.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models

POINTS = "suffix:pts"
"""Volatility points: 52.3 is 52.3 percent a year."""
SHARE = "percentunit"
PLAIN = "none"
SECONDS = "s"
BYTES = "bytes"
EACH_SECOND = "cps"

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")

Steps: TypeAlias = Sequence[tuple[float | None, str]]
"""Lower bound and colour of each step, the first without a bound."""
Words: TypeAlias = Sequence[tuple[str, str]]
"""Text and colour of the numbers 0, 1, ... ."""
Panel: TypeAlias = (
    timeseries.Panel | stat.Panel | bargauge.Panel | statetimeline.Panel | table.Panel
)
Shown = TypeVar(
    "Shown", timeseries.Panel, stat.Panel, bargauge.Panel, statetimeline.Panel, table.Panel
)

STATUS: Words = (
    ("OK", "green"),
    ("SINGLE_VENUE", "light-green"),
    ("DEGRADED", "yellow"),
    ("GUARD", "orange"),
    ("WARMING", "blue"),
    ("STALE", "red"),
    ("HALTED", "dark-red"),
)
"""How far the index can be trusted, the best first; everywhere in these colours."""
NO_YES: Words = (("no", "red"), ("yes", "green"))


@dataclass(frozen=True)
class Query:
    """One expression and how its series are named."""

    expr: str
    legend: str
    instant: bool = False
    """The newest value alone."""


@dataclass(frozen=True)
class Override:
    """What is drawn differently: every series whose name matches."""

    pattern: str
    """A regular expression, `/ bid$/`."""
    properties: Mapping[str, Any]


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    decimals: int | None = None,
    limits: tuple[float | None, float | None] = (None, None),
    stacked: bool = False,
    logarithmic: bool = False,
    steps: Steps | None = None,
    overrides: Iterable[Override] = (),
    repeat: int = 0,
) -> timeseries.Panel:
    """Series over time.

    Args:
        title: What it shows.
        description: How to read it.
        unit: Of all series; an override may say another.
        queries: What is drawn.
        decimals: Shown; None leaves it to Grafana.
        limits: Soft lower and upper end of the axis.
        stacked: Areas on top of each other.
        logarithmic: Scale by powers of ten.
        steps: Dashed lines at these bounds.
        overrides: Series that look different.
        repeat: One panel for each chosen asset, this many in a row; 0 is one for all.
    """
    panel = timeseries.Panel().line_width(1).show_points(kinds.VisibilityMode.NEVER)
    panel.fill_opacity(60 if stacked else 0).span_nulls(False)
    panel.line_interpolation(kinds.LineInterpolation.LINEAR)
    panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
    if stacked:
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if logarithmic:
        powers = common.ScaleDistributionConfig().type(kinds.ScaleDistribution.LOG)
        panel.scale_distribution(powers.log(10))
    low, high = limits
    if low is not None:
        panel.axis_soft_min(low)
    if high is not None:
        panel.axis_soft_max(high)
    if steps is not None:
        panel.thresholds(_thresholds(steps))
        panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED)
        )
    panel.legend(
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.TABLE)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs(["min", "max", "lastNotNull"])
    )
    panel.tooltip(_tooltip())
    return _finish(panel, title, description, unit, queries, decimals, overrides, repeat)


def tiles(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    decimals: int | None = None,
    steps: Steps | None = None,
    words: Words | None = None,
    overrides: Iterable[Override] = (),
    shows: Literal["value", "name", "trend"] = "value",
    color: str | None = None,
) -> stat.Panel:
    """Big numbers: the newest value of each series.

    Args:
        title: What it shows.
        description: How to read it.
        unit: Of the number.
        queries: What is shown.
        decimals: Shown; None leaves it to Grafana.
        steps: Colours by value.
        words: Text and colour in place of 0, 1, ... .
        overrides: Series that look different.
        shows: The number; the name of the series, where the value is always 1; or the number with
            its line and its change over the time shown.
        color: One colour for all.
    """
    panel = stat.Panel().justify_mode(kinds.BigValueJustifyMode.AUTO)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    named = len(queries) > 1 or "{{" in queries[0].legend
    text = kinds.BigValueTextMode.VALUE_AND_NAME if named else kinds.BigValueTextMode.VALUE
    panel.text_mode(kinds.BigValueTextMode.NAME if shows == "name" else text)
    area = shows == "trend"
    panel.graph_mode(kinds.BigValueGraphMode.AREA if area else kinds.BigValueGraphMode.NONE)
    panel.show_percent_change(area).wide_layout(True)
    has_background = words is not None or shows == "name"
    panel.color_mode(
        kinds.BigValueColorMode.BACKGROUND if has_background else kinds.BigValueColorMode.VALUE
    )
    _colour(panel, steps, words, color, area=area)
    return _finish(panel, title, description, unit, queries, decimals, overrides, 0)


def bars(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    decimals: int | None = None,
    repeat: int = 0,
) -> bargauge.Panel:
    """The newest value of each series as a bar."""
    panel = bargauge.Panel().display_mode(kinds.BarGaugeDisplayMode.GRADIENT).min(0)
    panel.orientation(kinds.VizOrientation.HORIZONTAL)
    panel.value_mode(kinds.BarGaugeValueMode.TEXT).show_unfilled(True)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
    panel.color_scheme(
        dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color("blue")
    )
    return _finish(panel, title, description, unit, queries, decimals, (), repeat)


def states(
    title: str, description: str, words: Words, *queries: Query, rows: float = 0.8
) -> statetimeline.Panel:
    """What state each series was in, over time; the number stands for a word."""
    panel = statetimeline.Panel().mappings([_mapping(words)]).row_height(rows).merge_values(True)
    panel.show_value(kinds.VisibilityMode.AUTO).line_width(0).fill_opacity(80)
    panel.color_scheme(
        dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color("text")
    )
    panel.legend(
        common.VizLegendOptions()
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
        .show_legend(False)
    )
    panel.tooltip(_tooltip())
    return _finish(panel, title, description, PLAIN, queries, 0, (), 0)


def matrix(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    row: str,
    column: str,
    order: Sequence[str],
    decimals: int,
    repeat: int,
) -> table.Panel:
    """A table of the newest values, coloured from low to high.

    Args:
        title: What it shows.
        description: How to read it.
        unit: Of each cell.
        query: By the labels `row` and `column`.
        row: Label that names the rows.
        column: Label that names the columns.
        order: The columns from left to right.
        decimals: Shown.
        repeat: One table for each chosen asset, this many in a row.
    """
    corner = f"{row}\\{column}"
    panel = table.Panel().color_scheme(
        dashboard.FieldColor().mode(models.FieldColorModeId.CONTINUOUS_BL_YL_RD)
    )
    panel.cell_options(
        kinds.TableColoredBackgroundCellOptions(mode=kinds.TableCellBackgroundDisplayMode.BASIC)
    )
    panel.show_header(True)
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="groupingToMatrix",
            options={"columnField": column, "rowField": row, "valueField": "Value"},
        )
    )
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "indexByName": {name: place for place, name in enumerate((corner, *order))},
                "renameByName": {corner: row},
            },
        )
    )
    overrides = (Override(f"/^{row}/", {"custom.cellOptions": {"type": "auto"}, "unit": "string"}),)
    return _finish(panel, title, description, unit, (query,), decimals, overrides, repeat, "table")


def listing(
    title: str, description: str, query: Query, *, columns: Mapping[str, str]
) -> table.Panel:
    """A table of labels: one row a series.

    Args:
        title: What it shows.
        description: How to read it.
        query: An instant query.
        columns: Labels to show, in order, with their headings.
    """
    panel = table.Panel().show_header(True)
    panel.with_transformation(
        models.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True, "Value": True},
                "indexByName": {name: place for place, name in enumerate(columns)},
                "renameByName": dict(columns),
            },
        )
    )
    return _finish(panel, title, description, PLAIN, (query,), None, (), 0, "table")


def _finish(
    panel: Shown,
    title: str,
    description: str,
    unit: str,
    queries: Sequence[Query],
    decimals: int | None,
    overrides: Iterable[Override],
    repeat: int,
    shape: Literal["time_series", "table"] = "time_series",
) -> Shown:
    """What every panel has."""
    panel.title(title).description(description).unit(unit).datasource(SOURCE)
    if decimals is not None:
        panel.decimals(decimals)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend)
        target.ref_id(letter).datasource(SOURCE)
        target = target.instant() if query.instant else target.range()
        target.editor_mode(prometheus_models.QueryEditorMode.CODE)
        target.format(prometheus_models.PromQueryFormat(shape))
        panel.with_target(target)
    for override in overrides:
        properties = [
            models.DynamicConfigValue(id_val=name, value=value)
            for name, value in override.properties.items()
        ]
        panel.override_by_regexp(override.pattern, properties)
    if repeat:
        panel.repeat("asset").max_per_row(repeat)
    return panel


def _colour(
    panel: stat.Panel, steps: Steps | None, words: Words | None, color: str | None, *, area: bool
) -> None:
    mode = models.FieldColorModeId.THRESHOLDS
    if words is not None:
        panel.mappings([_mapping(words)])
    if steps is not None:
        panel.thresholds(_thresholds(steps))
    elif color is not None:
        panel.color_scheme(
            dashboard.FieldColor().mode(models.FieldColorModeId.FIXED).fixed_color(color)
        )
        return
    elif words is None:
        # The colours of the lines on the panels below, in the same order.
        mode = models.FieldColorModeId.PALETTE_CLASSIC if area else mode
        panel.thresholds(_thresholds([(None, "text")]))
    panel.color_scheme(dashboard.FieldColor().mode(mode))


def _thresholds(steps: Steps) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps([models.Threshold(value=value, color=color) for value, color in steps])
    )


def _mapping(words: Words) -> models.ValueMap:
    return models.ValueMap(
        options={
            str(code): models.ValueMappingResult(text=text, color=color, index=code)
            for code, (text, color) in enumerate(words)
        }
    )


def _tooltip() -> common.VizTooltipOptions:
    return (
        common.VizTooltipOptions()
        .mode(kinds.TooltipDisplayMode.MULTI)
        .sort(kinds.SortOrder.DESCENDING)
    )
