"""Every panel of every dashboard shows something: a real Prometheus, our demo, each query."""

import enum
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from deployed import RUNBOOKS, boards, fill, panels, promtool
from fakes.readings import analytics_value, coupling_value
from fakes.records import index_value
from integration.processes import START_SECONDS, Process, eventually, fetch, page_of
from integration.prometheus import PROGRAM, Prometheus, Series, exporter, prometheus
from volgauge.domain.index import Fixing, FixingValue, Source
from volgauge.domain.instrument import Asset
from volgauge.telemetry.analytics import AnalyticsMetrics
from volgauge.telemetry.metrics import Metrics

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="prometheus is not installed")

INDEX = index_value(1)

LATE = {
    "volgauge_fixing_points": "a fixing is made once a day",
    "volgauge_fixing_values": "a fixing is made once a day",
    "volgauge_comparison_bias_points": "a minute in which both indices are fresh",
    "volgauge_comparison_rmse_points": "a minute in which both indices are fresh",
    "volgauge_comparison_level_correlation_ratio": "a minute in which both indices are fresh",
    "volgauge_comparison_change_correlation_ratio": "a minute in which both indices are fresh",
    "volgauge_comparison_lead_seconds": "ten minutes, and a lag that stands out",
    "volgauge_comparison_lead_correlation_ratio": "ten minutes",
    "volgauge_feed_ignored_total": "a minute: heartbeats are the only frames that are not read",
    "volgauge_flow_imbalance_ratio": "a minute of order flow",
    "volgauge_vol_of_vol_points": "an hour of the index",
    "volgauge_coupling_lead_seconds": "ten minutes, and a lag that stands out",
    "volgauge_coupling_spread_z_ratio": "an hour of both indices",
    "volgauge_decoupled": "an hour of both indices",
}
"""What a young service cannot tell yet, and what it waits for. The same collectors show these from
records that are written out, under the job `late`; all other metrics must come from the demo."""
WAIT_SECONDS = 220.0
QUIET_SECONDS = 120.0
"""Without any further panel that shows something, the rest is not waited for."""
WINDOW_SECONDS = 30.0
STEP_SECONDS = 1.0


class Late(Collector):
    """Of what collectors show, only the metrics that come late."""

    def __init__(self, shown: Iterable[Collector]) -> None:
        self._shown = list(shown)

    def collect(self) -> Iterable[Metric]:  # type: ignore[explicit-override]  # 3.11 has no override
        """Families of LATE."""
        for collector in self._shown:
            for metric in collector.collect():
                # The library takes the suffix off a counter's name.
                if metric.name in LATE or f"{metric.name}_total" in LATE:
                    yield metric


class Deribit:
    """A venue whose own index follows ours by three seconds."""

    venue = "deribit"
    last_data_ns = 0

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.coverage: dict[str, Any] = {}
        self.vol_index: dict[Asset, float] = {}
        self.vol_index_ns: dict[Asset, int] = {}


class State(enum.Enum):
    """Of a session."""

    LIVE = "live"


class Session:
    """A feed that got a frame of a kind that is not read."""

    venue = "deribit"
    connection = "one"
    state = State.LIVE
    counts: ClassVar = {"ignored.heartbeat": 1}


def late_metrics() -> CollectorRegistry:
    """The collectors of the service with records of a day behind them."""
    private = CollectorRegistry(auto_describe=True)
    metrics, readings = Metrics(private, version="0"), AnalyticsMetrics(private, [])
    for asset in ("BTC", "ETH"):
        readings.record(analytics_value(1, asset=asset))
    readings.record(coupling_value(1))
    venue, btc = Deribit(), Asset("BTC")
    metrics.watch_venue(venue)
    metrics.watch_connection(Session())
    walk = 52.0 + np.cumsum(np.random.default_rng(7).normal(0.0, 0.05, 700))
    for second, points in enumerate(walk.tolist()):
        at_ns = 1_795_000_000_000_000_000 + second * 1_000_000_000
        venue.vol_index = {btc: float(walk[max(second - 3, 0)]) - 0.5}
        venue.vol_index_ns = {btc: at_ns}
        metrics.record(replace(INDEX, value=points, event_ns=at_ns, computed_ns=at_ns))
        metrics.timer(at_ns + 100_000_000)
    metrics.fixing(
        FixingValue(
            asset=btc,
            tenor_days=30.0,
            name=Fixing.UTC_0800,
            value=52.0,
            medians=(52.0,) * 6,
            n_values=1800,
            begin_ns=0,
            end_ns=1,
            computed_ns=1,
            source=Source.SIMULATED,
        )
    )
    shown = CollectorRegistry()
    shown.register(Late((metrics, readings)))
    return shown


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    """Root of the HTTP side of a running demo whose alerts go to a webhook that nobody answers."""
    environment = {
        "VOLGAUGE__ALERTS__WEBHOOK_URL": "http://127.0.0.1:9/alerts",
        "VOLGAUGE__LOG__LEVEL": "warning",
    }
    with Process(
        "demo", "--venue", "okx", "--rate", "200", "--port", "0", environment=environment
    ) as process:
        yield page_of(process)


@pytest.fixture(scope="module")
def server(demo: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the demo, and what comes late."""
    folder = tmp_path_factory.mktemp("prometheus")
    with (
        exporter(late_metrics()) as late,
        prometheus(
            folder, {"volgauge": demo.removeprefix("http://"), "late": late}, interval="1s"
        ) as started,
    ):
        yield started


def queries() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(where, query with the choices filled in, target) of every query of every panel."""
    for name, board in boards().items():
        for panel in panels(board):
            for target in panel["targets"]:
                is_late = any(re.search(rf"\b{late}\b", target["expr"]) for late in LATE)
                choices = {
                    "job": ".+" if is_late else "volgauge",
                    "instance": ".+",
                    # As Grafana writes one chosen value, and several.
                    "asset": "BTC" if "repeat" in panel else "(BTC|ETH)",
                    "tenor": "30d",
                    "__rate_interval": "10s",
                }
                where = f"{name}: {panel['title']} {target['refId']}"
                yield where, fill(target["expr"], choices), target


def fault(found: list[Series], target: dict[str, Any]) -> str | None:
    """What is wrong with an answer; None for nothing."""
    if not any(series.finite for series in found):
        return "no finite value" if found else "empty"
    if any(abs(value) == np.inf for series in found for _, value in series.points):
        return "infinite"
    # Without an observation in the interval a quantile is no number; nothing else may be.
    if "histogram_quantile" not in target["expr"] and any(
        len(series.finite) < len(series.points) for series in found
    ):
        return "not a number"
    for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
        if not all(series.labels.get(label) for series in found):
            return f"a series without {label}"
    return None


def test_every_panel_shows_finite_series_with_its_labels(
    server: Prometheus,
    record_property: Any,  # noqa: ANN401 - pytest's own callable
) -> None:
    """Each query, with the choices filled in, over the last seconds of the running demo."""
    began = time.monotonic()
    pending = list(queries())
    asked = len(pending)
    wrong: dict[str, str] = {}
    progress = began
    while pending and time.monotonic() < min(began + WAIT_SECONDS, progress + QUIET_SECONDS):
        wrong = {}
        left = []
        for where, expression, target in pending:
            found = (
                server.now(expression)
                if target["instant"]
                else server.over(expression, WINDOW_SECONDS, STEP_SECONDS)
            )
            reason = fault(found, target)
            if reason is not None:
                wrong[where] = reason
                left.append((where, expression, target))
        if len(left) < len(pending):
            progress = time.monotonic()
        pending = left
        if pending:
            time.sleep(1.0)

    spent = time.monotonic() - began
    record_property("measured", f"{asked} queries of {len(boards())} dashboards, {spent:.0f} s")
    assert wrong == {}


def test_the_lists_of_the_choices_are_not_empty(server: Prometheus) -> None:
    """Job, instance, asset and tenor can be chosen."""
    for board in boards().values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
                assert asked is not None
                choices = {"job": ".+", "instance": ".+"}
                expression = fill(asked[1], choices)
                found = eventually(partial(server.now, expression), expression)
                assert all(series.labels.get(asked[2]) for series in found), variable["name"]


def test_promtool_finds_nothing_in_what_the_demo_exports(demo: str) -> None:
    """Names, units and help of a real scrape."""
    _, _, body = fetch(f"{demo}/metrics")

    done = promtool("check", "metrics", stdin=body)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_late_is_told_by_the_demo_already(server: Prometheus) -> None:
    """The list of exceptions holds only what is one."""
    # What a minute is enough for may have come while the others were waited for.
    lasting = (name for name, waits_for in LATE.items() if "a minute" not in waits_for)
    early = [name for name in lasting if server.now(f'{name}{{job="volgauge"}}')]

    assert early == []


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_what_a_runbook_asks_of_the_service_is_answered(demo: str, path: Path) -> None:
    """Each command that asks the service over HTTP prints something and does not fail."""
    if shutil.which("curl") is None or shutil.which("jq") is None:
        pytest.skip("curl and jq are not both installed")
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(), flags=re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl ")]
    for line in lines:
        command = line.replace("http://localhost:8080", demo)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert done.stdout.strip(), line
