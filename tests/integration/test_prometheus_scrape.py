"""A real Prometheus, with the shipped configuration, scrapes and evaluates our metrics."""

import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from integration.processes import eventually
from integration.prometheus import PROGRAM, exporter, prometheus
from volgauge.domain.index import IndexValue, Method, Source, Status
from volgauge.domain.instrument import Asset
from volgauge.telemetry.metrics import Metrics

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="prometheus is not installed")


@pytest.fixture
def registry() -> CollectorRegistry:
    """Metrics with one record in them, as the service registers them."""
    registry = CollectorRegistry(auto_describe=True)
    metrics = Metrics(registry, version="0.0.0")
    now_ns = time.time_ns()
    metrics.record(
        IndexValue(
            code="VG-BTC-30D",
            asset=Asset("BTC"),
            tenor_days=30.0,
            value=52.25,
            bid=51.5,
            ask=53.0,
            status=Status.SINGLE_VENUE,
            event_ns=now_ns,
            computed_ns=now_ns,
            source=Source.SIMULATED,
            mode=Method.NATIVE,
        )
    )
    metrics.tick_to_publish.observe_ns(150_000)
    metrics.set_ready(ready=True)
    return registry


def test_prometheus_serves_the_index_and_the_rules_over_it(
    registry: CollectorRegistry, tmp_path: Path
) -> None:
    """Series, labels and a recording rule arrive; no alert fires on a healthy service."""
    with (
        exporter(registry) as target,
        prometheus(tmp_path, {"volgauge": target}, interval="200ms") as server,
    ):
        spread = "job_instance_asset:volgauge_index_spread_ratio:last"
        (ratio,) = eventually(lambda: server.now(spread), spread)
        (index,) = server.now("volgauge_index_points")
        (up,) = server.now("up")
        alerts = server.alerts()

    assert index.labels["asset"] == "BTC"
    assert (index.labels["tenor"], index.labels["job"]) == ("30d", "volgauge")
    assert index.finite == [52.25]
    assert ratio.finite == [pytest.approx(1.5 / 52.25)]
    assert up.finite == [1.0]
    assert [alert for alert in alerts if alert["state"] == "firing"] == []
