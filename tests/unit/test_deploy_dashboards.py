"""The dashboards are what their source builds, and keep the rules of Grafana's dashboard linter.

The rules are those of grafana/dashboard-linter, written anew: the tool itself is a Go program.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployed import (
    ALL_FAMILIES,
    DASHBOARDS,
    DEPLOY,
    boards,
    fill,
    panel_expressions,
    panels,
    promtool,
)

VARIABLES = {
    "__rate_interval": "1m",
    "job": ".+",
    "instance": ".+",
    "asset": ".+",
    "tenor": "30d",
}
UNITS = {"none", "short", "s", "bytes", "cps", "percentunit", "string", "bool_yes_no"}
"""Of Grafana's list; a unit of our own is `suffix:` and a word."""
BOARDS = [pytest.param(board, id=name) for name, board in boards().items()]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def overrides(panel: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What single series are drawn with."""
    for override in panel["fieldConfig"]["overrides"]:
        for entry in override["properties"]:
            yield entry["id"], entry["value"]


def test_the_committed_files_are_what_the_source_builds(tmp_path: Path) -> None:
    """Byte for byte; `make dashboards` writes them."""
    script = DEPLOY / "grafana" / "build.py"
    subprocess.run([sys.executable, str(script), str(tmp_path)], check=True, timeout=60)

    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    assert built == {path.name: path.read_bytes() for path in DASHBOARDS}


def test_there_are_four() -> None:
    """One to look at first, one for the smile, one for what follows from it, one to operate by."""
    assert {board["title"] for board in boards().values()} == {
        "volgauge / Overview",
        "volgauge / Surface",
        "volgauge / Coupling & scaling",
        "volgauge / Health",
    }
    assert len({board["uid"] for board in boards().values()}) == 4


@pytest.mark.parametrize("board", BOARDS)
def test_the_choices_are_templated(board: dict[str, Any]) -> None:
    """Data source, job and instance, and the asset; several at once, refreshed with the time."""
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}

    assert {"datasource", "job", "instance", "asset"} <= variables.keys()
    datasource = variables.pop("datasource")
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    for name, variable in variables.items():
        assert variable["type"] == "query"
        assert variable["datasource"] == SOURCE
        assert variable["query"].startswith("label_values(volgauge_")
        assert variable["refresh"] == 2
        assert variable["label"]
        if name != "tenor":
            assert variable["multi"]
            assert variable["allValue"] == ".+"
            assert variable["current"]["value"] == "$__all"


@pytest.mark.parametrize("board", BOARDS)
def test_the_frame_is_fixed_and_leads_to_the_others(board: dict[str, Any]) -> None:
    """Not editable in place: the next provisioning would lose the edit."""
    assert board["editable"] is False
    assert board["id"] is None
    assert board["description"].endswith(".")
    (link,) = board["links"]
    assert link["tags"] == board["tags"] == ["volgauge"]
    assert link["keepTime"]
    assert link["includeVars"]
    assert board["annotations"]["list"]


@pytest.mark.parametrize("board", BOARDS)
def test_every_panel_says_what_it_shows(board: dict[str, Any]) -> None:
    """Title, description, unit, at least one query, the templated source."""
    for panel in panels(board):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == SOURCE
        assert panel["targets"], panel["title"]
        defaults = panel["fieldConfig"]["defaults"]
        units = [defaults["unit"], *(value for key, value in overrides(panel) if key == "unit")]
        for unit in units:
            assert unit in UNITS or re.fullmatch(r"suffix:[a-z]+", unit), unit


@pytest.mark.parametrize("board", BOARDS)
def test_every_query_reads_what_was_chosen(board: dict[str, Any]) -> None:
    """Templated source, job and instance in every selector, `$__rate_interval` in every range."""
    for panel in panels(board):
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))
        for target in panel["targets"]:
            expression = target["expr"]
            assert target["datasource"] == SOURCE
            selectors = re.findall(r"\b(?:(?:volgauge|process)_\w+|ALERTS)(\{[^}]*\})?", expression)
            assert selectors
            for selector in selectors:
                assert 'job=~"$job"' in selector, expression
                assert 'instance=~"$instance"' in selector, expression
            assert set(re.findall(r"\[([^\]]+)\]", expression)) <= {"$__rate_interval"}
            assert "{{" in target["legendFormat"] or target["legendFormat"] or len(letters) == 1


@pytest.mark.parametrize("board", BOARDS)
def test_a_repeated_panel_asks_for_one_asset(board: dict[str, Any]) -> None:
    """It is drawn once for each chosen asset and says in its title which one."""
    for panel in panels(board):
        if "repeat" in panel:
            assert panel["repeat"] == "asset"
            assert "$asset" in panel["title"]
            assert panel["gridPos"]["w"] == 24
            for target in panel["targets"]:
                assert 'asset=~"$asset"' in target["expr"]
        else:
            assert "$asset" not in panel["title"]


def test_counters_are_read_as_rates_only() -> None:
    """The height of a counter says nothing."""
    for expression in panel_expressions():
        for match in re.finditer(r"\w+_(total|bucket)\b", expression):
            before = expression[: match.start()]
            assert re.search(r"(rate|increase)\($", before), expression


def test_every_query_is_valid_promql(tmp_path: Path) -> None:
    """Prometheus parses each one, with the variables filled in."""
    recorded = [
        {"record": f"panel:{number}", "expr": fill(expression, VARIABLES)}
        for number, expression in enumerate(panel_expressions())
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))

    done = promtool("check", "rules", str(path))

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.parametrize("board", BOARDS)
def test_panels_do_not_overlap(board: dict[str, Any]) -> None:
    """Each cell of the grid of 24 columns belongs to one panel; numbers are unique."""
    cells: set[tuple[int, int]] = set()
    numbers = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        taken = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert panel["id"] not in numbers
        cells |= taken
        numbers.add(panel["id"])


@pytest.mark.parametrize("board", BOARDS)
def test_rows_begin_with_what_is_now(board: dict[str, Any]) -> None:
    """From what is now to why."""
    rows = [panel for panel in board["panels"] if panel["type"] == "row"]

    assert rows[0]["title"] == "Now"
    for first, second in pairwise(rows):
        assert first["gridPos"]["y"] + 1 < second["gridPos"]["y"], "an empty row"


def test_every_metric_has_a_panel() -> None:
    """What is worth counting is worth seeing."""
    shown = set(re.findall(r"volgauge_\w+", " ".join(panel_expressions())))
    shown |= {name.removesuffix("_bucket") for name in shown}

    assert [family.name for family in ALL_FAMILIES if family.name not in shown] == []
