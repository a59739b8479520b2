"""The desk as the service drives it: jobs told before they run, errors kept from the index."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from fakes.desk_lab import NOW_NS, DeskLab
from fakes.redis_lab import wait_for
from volgauge.analytics.asset import Past
from volgauge.analytics.desk import JOB_NS, MOST_AT_ONCE, PUT_OFF_NS, Part
from volgauge.clock import SystemClock
from volgauge.domain.analytics import AlertEvent, AnalyticsValue, CouplingValue, SpilloverReading
from volgauge.domain.index import IndexValue, SurfaceValue
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MINUTE
from volgauge.publish.readings import Readings
from volgauge.telemetry.analytics import AnalyticsMetrics


class Stage:
    """Readings over a lab, with lists for sinks."""

    def __init__(self, lab: DeskLab) -> None:
        self.lab = lab
        self.order: list[object] = []
        """Instants of jobs and records handed over, as they came."""
        self.registry = CollectorRegistry(auto_describe=True)
        self.metrics = AnalyticsMetrics(self.registry, [part.value for part in Part])
        self.readings = Readings(
            lab.desk,
            self.metrics,
            SystemClock(),
            hand_over=self.order.append,
            on_job=self.order.append,
            beside=self.beside,
        )
        self.threads = 0

    async def beside(self, work: Callable[[], SpilloverReading]) -> SpilloverReading:
        """Count, and work in a thread."""
        self.threads += 1
        return await asyncio.to_thread(work)

    def steps(self, count: int) -> None:
        """Look for work so often, after the lab has run for a tick."""
        for _ in range(count):
            self.lab.now_ns += JOB_NS
            self.readings.step(self.lab.now_ns)

    def shown(self, name: str, part: Part) -> float | None:
        """A sample of a part."""
        return self.registry.get_sample_value(f"volgauge_analytics_{name}", {"part": part.value})


def noted(lab: DeskLab) -> None:
    """Let the desk see the index without working."""
    lab.now_ns += JOB_NS
    for record in lab.engine.recompute(lab.now_ns):
        if isinstance(record, IndexValue | SurfaceValue):
            lab.desk.take(record)


def test_each_job_is_told_before_its_records() -> None:
    """A recording holds the instant first; every record of the job follows, and is counted."""
    stage = Stage(DeskLab({"BTC": 0.6}))
    noted(stage.lab)
    stage.steps(10)
    kinds = [type(item) for item in stage.order]
    values = [item for item in stage.order if isinstance(item, AnalyticsValue)]

    assert AnalyticsValue in kinds
    assert CouplingValue in kinds
    for place, item in enumerate(stage.order):
        if isinstance(item, AnalyticsValue | CouplingValue | AlertEvent):
            assert stage.order[place - 1] == item.computed_ns
    labels = {"kind": "analytics"}
    counted = stage.registry.get_sample_value("volgauge_analytics_records_total", labels)
    assert counted == len(values)
    assert stage.shown("duration_seconds_count", Part.SURFACE) == len(values)


def test_a_look_far_behind_does_several_jobs() -> None:
    """One a look in time, four when the loop comes 15 ms late; all told at the same instant."""
    stage = Stage(DeskLab({"BTC": 0.6, "ETH": 0.7}))
    noted(stage.lab)
    now_ns = stage.lab.now_ns
    told = []
    for late_ns in (0, PUT_OFF_NS):
        stage.order.clear()
        stage.readings.step(now_ns, late_ns)
        told.append([item for item in stage.order if isinstance(item, int)])

    assert told == [[now_ns], [now_ns] * MOST_AT_ONCE]


def test_an_error_is_counted_and_told_once() -> None:
    """A book whose arrays are broken fails its surface reading; the other parts go on."""
    lab = DeskLab({"BTC": 0.6})
    stage = Stage(lab)
    noted(lab)
    stage.steps(10)
    (surface,) = lab.sink.books.values()
    values, surface.values = surface.values, surface.values[:1, :0]
    with capture_logs() as logs:
        for _ in range(4):
            lab.now_ns += 1_000_000_000
            stage.steps(10)
    failed = [line for line in logs if line["event"] == "analytics.failed"]
    surface.values = values
    prices = stage.shown("duration_seconds_count", Part.PRICE)

    assert {line["part"] for line in failed} <= {"surface", "interest"}
    assert len(failed) == len({line["part"] for line in failed})
    assert stage.shown("failures_total", Part.SURFACE) == 4.0
    assert prices is not None
    assert prices >= 4.0


async def test_spillovers_are_computed_in_a_thread() -> None:
    """The job's frozen inputs go there, and its result comes back to the desk."""
    rng = np.random.default_rng(3)
    base = NOW_NS - NOW_NS % (5 * NANOS_PER_MINUTE)
    lab = DeskLab({"BTC": 0.6, "ETH": 0.7})
    lab.seed(
        {
            name: Past(
                index_closes=[
                    (base - step * 5 * NANOS_PER_MINUTE, value)
                    for step, value in enumerate(
                        60.0 * np.exp(np.cumsum(0.003 * rng.standard_normal(600)))
                    )
                ]
            )
            for name in ("BTC", "ETH")
        }
    )
    stage = Stage(lab)
    noted(lab)
    running = asyncio.create_task(stage.readings.run())
    try:
        stage.steps(20)
        await wait_for(lambda: stage.shown("duration_seconds_count", Part.SPILLOVER), 20.0)
        lab.now_ns += 6_000_000_000
        for asset in lab.vols:
            lab.quote(Asset(asset), 1)
        noted(lab)
        stage.steps(20)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    told = [item for item in stage.order if isinstance(item, CouplingValue)]

    assert stage.threads == 1
    assert told[0].spillover is None
    assert told[-1].spillover is not None
    assert told[-1].spillover.assets == ("BTC", "ETH")


def test_alerts_are_logged() -> None:
    """Both ends by their own event, with the episode."""
    lab = DeskLab({"BTC": 0.6})
    stage = Stage(lab)
    noted(lab)
    stage.steps(10)
    lab.drop()
    with capture_logs() as logs:
        for _ in range(15):
            lab.now_ns += 1_000_000_000
            lab.engine.timer(lab.now_ns)
            noted(lab)
            stage.steps(10)
    raised = [line for line in logs if line["event"] == "alert.raised"]

    assert "stale" in {line["rule"] for line in raised}
    assert all(line["episode"].startswith(line["rule"]) for line in raised)
