"""Dashboards, rules and Prometheus' configuration agree with the metrics and with Prometheus."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from volgauge.telemetry.families import Kind
from volgauge.telemetry.metrics import FAMILIES, Metrics

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = PROMETHEUS / "rules" / "volgauge.yml"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
VARIABLES = {
    "$__rate_interval": "1m",
    "$job": ".+",
    "$instance": ".+",
    "$asset": ".+",
    "$tenor": "30d",
}
TARGET_LABELS = {"job", "instance", "le"}


def families() -> dict[str, tuple[str, ...]]:
    """Names of the samples that a scrape can hold, with their own labels."""
    names: dict[str, tuple[str, ...]] = {}
    for family in FAMILIES:
        if family.kind is Kind.HISTOGRAM:
            for suffix in ("_bucket", "_sum", "_count"):
                names[family.name + suffix] = family.labels
        elif family.kind is Kind.INFO:
            names[family.name] = ("version", "methodology", "python")
        else:
            names[family.name] = family.labels
    registry = CollectorRegistry(auto_describe=True)
    Metrics(registry, version="0")
    for metric in registry.collect():
        for sample in metric.samples:
            names.setdefault(sample.name, tuple(sample.labels))
    return names


def panels() -> Iterator[dict[str, Any]]:
    """Every panel of every dashboard, without the rows."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] != "row":
                yield panel


def panel_expressions() -> Iterator[str]:
    """Every query of every panel."""
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]


def rules() -> list[dict[str, Any]]:
    """Every recording and alerting rule."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool, or skip where it is absent."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed")
    return subprocess.run(
        [path, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_every_metric_named_exists_and_has_the_labels_asked_for() -> None:
    """No panel or rule can be empty for a name that nobody exports."""
    known = families()
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    unknown = []
    for expression in [*panel_expressions(), *(rule["expr"] for rule in rules())]:
        bare = expression
        for name in recorded:
            bare = bare.replace(name, "")
        for name, matchers in re.findall(
            r"\b((?:volgauge|process|python)_\w+)(?:\{([^}]*)\})?", bare
        ):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
            if name not in known or not labels <= {*known[name], *TARGET_LABELS}:
                unknown.append(f"{name}{{{matchers}}}")

    assert unknown == []


def test_every_metric_has_a_panel() -> None:
    """What is worth counting is worth seeing."""
    shown = " ".join(panel_expressions())
    hidden = {"volgauge_index_strip_points", "volgauge_index_uncertainty_points"}
    hidden |= {
        "volgauge_index_last_record_timestamp_seconds",
        "volgauge_publish_last_record_timestamp_seconds",
        "volgauge_publish_reconnects_total",
        "volgauge_feed_connected",
        "volgauge_fixing_values",
    }

    assert hidden == {family.name for family in FAMILIES if family.name not in shown}


def test_every_panel_query_is_valid_promql(tmp_path: Path) -> None:
    """Prometheus parses each query, with the variables filled in."""
    recorded = []
    for number, expression in enumerate(panel_expressions()):
        filled = expression
        for name, value in VARIABLES.items():
            filled = filled.replace(name, value)
        assert "$" not in filled
        recorded.append({"record": f"panel:{number}", "expr": filled})
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recorded}]}))

    done = promtool("check", "rules", str(path))

    assert (0, "") == (done.returncode, done.stderr)


def test_prometheus_accepts_its_configuration_and_rules() -> None:
    """Configuration and rules as they are shipped."""
    done = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))

    assert done.returncode == 0, done.stdout + done.stderr


def test_counters_are_read_as_rates_only() -> None:
    """The height of a counter says nothing."""
    for expression in [*panel_expressions(), *(rule["expr"] for rule in rules())]:
        for match in re.finditer(r"\w+_total\b", expression):
            before = expression[: match.start()]
            assert re.search(r"(rate|increase)\($", before), expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_are_documented_and_read_the_chosen_data(path: Path) -> None:
    """Title, description, unit, the templated data source, job and instance everywhere."""
    board = json.loads(path.read_text())
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]

    assert not board["editable"]
    assert {"datasource", "job", "instance"} <= {v["name"] for v in board["templating"]["list"]}
    for panel in shown:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert 'job=~"$job"' in target["expr"]
            assert 'instance=~"$instance"' in target["expr"]
            assert not re.search(r"\[\d+\w\]", target["expr"]), "use $__rate_interval"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_do_not_overlap(path: Path) -> None:
    """Each cell of the grid of 24 columns belongs to one panel; numbers are unique."""
    cells: set[tuple[int, int]] = set()
    numbers = set()
    for panel in json.loads(path.read_text())["panels"]:
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


def test_recording_rules_are_named_level_metric_operation() -> None:
    """As Prometheus' own guide asks."""
    names = [rule["record"] for rule in rules() if "record" in rule]

    assert names
    for name in names:
        assert re.fullmatch(r"[a-z_]+:volgauge_\w+:\w+", name)


def test_alerts_say_what_and_how_bad() -> None:
    """CamelCase name, severity, one-line summary and a description."""
    alerts = [rule for rule in rules() if "alert" in rule]

    assert alerts
    for alert in alerts:
        assert re.fullmatch(r"Volgauge[A-Z][A-Za-z]+", alert["alert"])
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert {"summary", "description"} == set(alert["annotations"])


@pytest.mark.parametrize(
    ("alert", "series", "eval_time", "labels"),
    [
        pytest.param(
            "VolgaugeIndexStale",
            {'volgauge_index_last_update_timestamp_seconds{asset="BTC"}': "0x30"},
            "1m",
            {"asset": "BTC", "severity": "page"},
            id="an input that gets no newer",
        ),
        pytest.param(
            "VolgaugeFeedDown",
            {'volgauge_feed_connected{venue="deribit"}': "1x5 0x60"},
            "2m",
            {"venue": "deribit", "severity": "page"},
            id="a lost connection",
        ),
        pytest.param(
            "VolgaugeFeedLate",
            {'volgauge_feed_least_lag_seconds{venue="okx"}': "-3x60"},
            "2m",
            {"venue": "okx", "severity": "ticket"},
            id="a clock that is ahead",
        ),
        pytest.param(
            "VolgaugeIndexHalted",
            {
                'volgauge_index_status{asset="BTC",status="OK"}': "0x30",
                'volgauge_index_status{asset="BTC",status="HALTED"}': "1x30",
            },
            "2m",
            {"asset": "BTC", "severity": "page"},
            id="no valid value",
        ),
        pytest.param(
            "VolgaugeIndexNotPublished",
            {'volgauge_publish_last_record_timestamp_seconds{sink="redis"}': "0x30"},
            "1m",
            {"sink": "redis", "severity": "page"},
            id="a sink that takes nothing",
        ),
        pytest.param(
            "VolgaugePublishLosingRecords",
            {'volgauge_publish_failures_total{sink="redis",reason="failed"}': "0+1x60"},
            "4m",
            {"sink": "redis", "reason": "failed", "severity": "ticket"},
            id="records are lost",
        ),
    ],
)
def test_an_alert_fires_on_its_symptom(
    tmp_path: Path, alert: str, series: dict[str, str], eval_time: str, labels: dict[str, str]
) -> None:
    """Prometheus' own rule test raises the alert from made-up series."""
    (rule,) = (rule for rule in rules() if rule.get("alert") == alert)
    unannotated = {key: value for key, value in rule.items() if key != "annotations"}
    bare = tmp_path / "rule.yml"
    bare.write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [unannotated]}]}))
    case = {
        "rule_files": [str(bare)],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [
                    {"series": name, "values": values} for name, values in series.items()
                ],
                "alert_rule_test": [
                    {
                        "eval_time": eval_time,
                        "alertname": alert,
                        "exp_alerts": [{"exp_labels": labels}],
                    }
                ],
            }
        ],
    }
    path = tmp_path / "case.yml"
    path.write_text(yaml.safe_dump(case))

    done = promtool("test", "rules", str(path))

    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_reads_the_folders_that_compose_mounts() -> None:
    """Provider path and data source answer to the compose file."""
    compose = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())
    mounts = dict(
        entry.split(":")[:2] for entry in compose["services"]["grafana"]["volumes"] if "/" in entry
    )
    provisioning = DEPLOY / "grafana" / "provisioning"
    provider = yaml.safe_load((provisioning / "dashboards" / "volgauge.yml").read_text())
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    scrape = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())

    assert mounts["./deploy/grafana/dashboards"] == provider["providers"][0]["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = compose["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert (DEPLOY / "grafana" / "dashboards" / Path(home).name).is_file()
    datasource = source["datasources"][0]
    assert datasource["url"] == "http://prometheus:9090"
    assert datasource["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]


def test_rows_come_in_reading_order() -> None:
    """The value first, then why it can or cannot be trusted."""
    board = json.loads(DASHBOARDS[0].read_text())
    rows = [panel for panel in board["panels"] if panel["type"] == "row"]

    assert rows[0]["title"] == "Index"
    for first, second in pairwise(rows):
        assert first["gridPos"]["y"] < second["gridPos"]["y"]
