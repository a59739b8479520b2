"""What is deployed beside the service, as the tests of it read it: dashboards, rules, runbooks."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from volgauge.telemetry.analytics_families import ANALYTICS_FAMILIES
from volgauge.telemetry.families import Family, Kind
from volgauge.telemetry.metrics import Metrics
from volgauge.telemetry.service_families import FAMILIES
from volgauge.telemetry.serving import SERVING_FAMILIES

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
RUNBOOKS = sorted((DEPLOY / "runbooks").glob("Volgauge*.md"))
ALL_FAMILIES: tuple[Family, ...] = (*FAMILIES, *ANALYTICS_FAMILIES, *SERVING_FAMILIES)
TARGET_LABELS = frozenset({"job", "instance", "le"})

Tree = dict[str, Any]


def boards() -> dict[str, Tree]:
    """Every dashboard by its file name."""
    return {path.name: json.loads(path.read_text()) for path in DASHBOARDS}


def panels(board: Tree) -> Iterator[Tree]:
    """The panels of a dashboard without the headings."""
    return (panel for panel in board["panels"] if panel["type"] != "row")


def panel_expressions() -> list[str]:
    """Every query of every panel, and what is marked on them."""
    found = []
    for board in boards().values():
        found += [target["expr"] for panel in panels(board) for target in panel["targets"]]
        found += [mark["expr"] for mark in board["annotations"]["list"]]
    return found


def fill(expression: str, variables: Mapping[str, str]) -> str:
    """A query as Grafana sends it, with these values of the choices.

    Raises:
        AssertionError: A variable is left over.
    """
    # The longest first: $instance is no $in.
    for name in sorted(variables, key=len, reverse=True):
        expression = expression.replace(f"${name}", variables[name])
    assert "$" not in expression, expression
    return expression


def rules() -> list[Tree]:
    """Every recording and alerting rule."""
    trees = [yaml.safe_load(path.read_text()) for path in RULES]
    return [rule for tree in trees for group in tree["groups"] for rule in group["rules"]]


def alerts() -> dict[str, Tree]:
    """Every alerting rule by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def samples() -> dict[str, frozenset[str]]:
    """Names of the samples that a scrape can hold, with their own labels."""
    names: dict[str, frozenset[str]] = {}
    for family in ALL_FAMILIES:
        suffixes = ("_bucket", "_sum", "_count") if family.kind is Kind.HISTOGRAM else ("",)
        for suffix in suffixes:
            names[family.name + suffix] = frozenset(family.sample_labels)
    registry = CollectorRegistry(auto_describe=True)
    Metrics(registry, version="0")
    for metric in registry.collect():
        for sample in metric.samples:
            names.setdefault(sample.name, frozenset(sample.labels))
    return names


def expand(text: str) -> list[str]:
    """What one level of alternatives stands for: `a_(b|c)` is a_b and a_c."""
    match = re.search(r"\(([^()]*)\)", text)
    if match is None:
        return [text]
    head, tail = text[: match.start()], text[match.end() :]
    return [whole for part in match[1].split("|") for whole in expand(head + part + tail)]


def promtool(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool, or skip where it is absent."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed")
    return subprocess.run(
        [path, *arguments], input=stdin, capture_output=True, text=True, check=False, timeout=60
    )
