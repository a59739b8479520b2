"""The frame of a dashboard: choices at the top, rows from top to bottom, classic JSON out."""

import json
from typing import Any

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from boards.kit import SOURCE, Panel, lines
from boards.queries import TARGET

COLUMNS = 24
"""Width of Grafana's grid."""
USUAL_HEIGHT = 8
TAG = "volgauge"


class Board:
    """A dashboard being laid out: rows from top to bottom, panels from left to right.

    Classic JSON, not the newer resource form: Grafana 10 to 13 read it.
    """

    def __init__(self, uid: str, title: str, description: str) -> None:
        others = dashboard.DashboardLink("volgauge").type(models.DashboardLinkType.DASHBOARDS)
        self._board = (
            dashboard.Dashboard(title)
            .uid(uid)
            .description(description)
            .tags([TAG])
            .readonly()
            .timezone("browser")
            .tooltip(models.DashboardCursorSync.CROSSHAIR)
            .refresh("5s")
            .time("now-1h", "now")
            .live_now(True)
            .link(others.tags([TAG]).include_vars(True).keep_time(True))
        )
        self._marks: list[dict[str, Any]] = []
        self._x = self._y = self._row_height = self._last_id = 0

    def choices(self, *, has_tenor: bool, has_asset: bool = True) -> None:
        """The choices at the top: source of the data, job, instance, asset and tenor."""
        source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        chosen = models.VariableOption(selected=True, text="Prometheus", value="prometheus")
        self._board.with_variable(source.current(chosen))
        self._several("job", "Job", "label_values(volgauge_build_info, job)")
        self._several(
            "instance", "Instance", 'label_values(volgauge_build_info{job=~"$job"}, instance)'
        )
        if has_asset:
            assets = f"label_values(volgauge_index_points{{{TARGET}}}, asset)"
            self._several("asset", "Asset", assets)
        if has_tenor:
            tenor = self._query(
                "tenor", "Tenor", f"label_values(volgauge_index_points{{{TARGET}}}, tenor)"
            )
            tenor.sort(models.VariableSort.NUMERICAL_ASC)
            self._board.with_variable(
                tenor.current(models.VariableOption(selected=True, text="30d", value="30d"))
            )

    def mark(self, name: str, color: str, expr: str, title: str, labels: str) -> None:
        """Mark the times at which an expression has samples, on every panel.

        Args:
            name: Of the switch at the top.
            color: Of the marks.
            expr: What has samples then.
            title: Of a mark; may name labels.
            labels: Whose values a mark shows as tags, separated by commas.
        """
        self._marks.append(
            {
                "name": name,
                "datasource": {"type": SOURCE.type_val, "uid": SOURCE.uid},
                "enable": True,
                "hide": False,
                "iconColor": color,
                "expr": expr,
                "step": "15s",
                "titleFormat": title,
                "textFormat": "",
                "tagKeys": labels,
                "useValueForTime": False,
            }
        )

    def row(self, title: str) -> None:
        """Begin a new row with a heading."""
        self._break()
        place = models.GridPos(h=1, w=COLUMNS, x=0, y=self._y)
        heading = dashboard.Row(title).id(self._next_id()).collapsed(False).grid_pos(place)
        self._board.with_row(heading)
        self._y += 1

    def add(self, width: int, height: int, panel: Panel) -> None:
        """Put a panel to the right of the last one, or below where it does not fit."""
        if self._x + width > COLUMNS:
            self._break()
        place = models.GridPos(h=height, w=width, x=self._x, y=self._y)
        self._board.with_panel(panel.id(self._next_id()).grid_pos(place))
        self._x += width
        self._row_height = max(self._row_height, height)

    def lines(self, width: int, *what: Any, **how: Any) -> None:  # noqa: ANN401 - those of `kit.lines`
        """Put series over time, of the usual height."""
        self.add(width, USUAL_HEIGHT, lines(*what, **how))

    def as_json(self) -> str:
        """The committed file."""
        tree: dict[str, Any] = json.loads(JSONEncoder().encode(self._board.build()))
        tree["annotations"] = {"list": self._marks}
        for variable in tree["templating"]["list"]:
            # Defaults of the builders that Grafana 13 no longer knows.
            for key in ("auto", "auto_min", "auto_count"):
                variable.pop(key, None)
        for panel in tree["panels"]:
            if "repeat" not in panel:
                # Says something only where a panel repeats.
                panel.pop("repeatDirection", None)
        return json.dumps({"id": None, **tree}, indent=2, ensure_ascii=False) + "\n"

    def _several(self, name: str, label: str, query: str) -> None:
        """A choice of any number of values, all at first."""
        variable = self._query(name, label, query).multi(True).include_all(True).all_value(".+")
        variable.sort(models.VariableSort.ALPHABETICAL_ASC)
        everything = models.VariableOption(selected=True, text="All", value="$__all")
        self._board.with_variable(variable.current(everything))

    def _query(self, name: str, label: str, query: str) -> dashboard.QueryVariable:
        variable = dashboard.QueryVariable(name).label(label).query(query).datasource(SOURCE)
        return variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)

    def _break(self) -> None:
        self._x = 0
        self._y += self._row_height
        self._row_height = 0

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id
