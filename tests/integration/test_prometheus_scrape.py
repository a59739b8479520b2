"""A real Prometheus, with the shipped configuration, scrapes and evaluates our metrics."""

import asyncio
import shutil
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from volgauge.domain.index import IndexValue, Method, Source, Status
from volgauge.domain.instrument import Asset
from volgauge.telemetry.metrics import Metrics

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
WAIT_SECONDS = 30.0


@pytest.fixture
def metrics() -> Metrics:
    """Metrics with one record in them."""
    metrics = Metrics(CollectorRegistry(auto_describe=True), version="0.0.0")
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
    return metrics


@pytest.fixture
async def target(metrics: Metrics) -> AsyncIterator[str]:
    """Address of a server that answers /metrics."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(metrics)
    application = web.Application()
    application.router.add_get("/metrics", make_aiohttp_handler(registry))
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    yield f"127.0.0.1:{address[1]}"
    await runner.cleanup()


@pytest.fixture
async def prometheus(target: str, tmp_path: Path) -> AsyncIterator[str]:
    """Root URL of a Prometheus that scrapes the target every 200 ms."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "200ms", "evaluation_interval": "200ms"}
    config["rule_files"] = [str(DEPLOY / pattern) for pattern in config["rule_files"]]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={path}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def query(session: aiohttp.ClientSession, root: str, expression: str) -> list[dict[str, Any]]:
    """Ask until there is an answer that is not empty."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        try:
            async with session.get(f"{root}/api/v1/query", params={"query": expression}) as answer:
                body = await answer.json()
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
            continue
        if body["status"] == "success" and body["data"]["result"]:
            result: list[dict[str, Any]] = body["data"]["result"]
            return result
        await asyncio.sleep(0.1)
    raise AssertionError(f"no answer to {expression} within {WAIT_SECONDS:g} s")


async def test_prometheus_serves_the_index_and_the_rules_over_it(prometheus: str) -> None:
    """Series, labels and a recording rule arrive; no alert fires on a healthy service."""
    async with aiohttp.ClientSession() as session:
        (index,) = await query(session, prometheus, "volgauge_index_points")
        (spread,) = await query(session, prometheus, "job_asset:volgauge_index_spread_points:last")
        (up,) = await query(session, prometheus, "up")
        async with session.get(f"{prometheus}/api/v1/alerts") as answer:
            alerts = (await answer.json())["data"]["alerts"]

    labels = index["metric"]
    assert ("BTC", "30d", "volgauge") == (labels["asset"], labels["tenor"], labels["job"])
    assert index["value"][1] == "52.25"
    assert spread["value"][1] == "1.5"
    assert up["value"][1] == "1"
    assert [alert for alert in alerts if alert["state"] == "firing"] == []
