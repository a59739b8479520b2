"""Runs the desk of the analytics beside the index: job by job, what is long in a thread.

An error in a job is the analytics' own: it is counted and logged once, and the index goes on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import structlog

from volgauge.analytics.desk import MOST_AT_ONCE, PUT_OFF_NS, Desk, Job, Part
from volgauge.analytics.spillover import SpilloverJob, compute_spillover
from volgauge.clock import Clock
from volgauge.domain.analytics import AlertEvent, AnalyticsValue, CouplingValue, SpilloverReading
from volgauge.telemetry.analytics import AnalyticsMetrics

Record: TypeAlias = AnalyticsValue | CouplingValue | AlertEvent
Beside: TypeAlias = Callable[[Callable[[], SpilloverReading]], Awaitable[SpilloverReading]]
"""Runs work in a thread."""


class Readings:
    """The desk as the service drives it."""

    def __init__(
        self,
        desk: Desk,
        metrics: AnalyticsMetrics,
        clock: Clock,
        *,
        hand_over: Callable[[Record], None],
        on_job: Callable[[int], None],
        beside: Beside,
    ) -> None:
        """Prepare.

        Args:
            desk: What is due.
            metrics: Shows records, cost and errors.
            clock: Measures the jobs.
            hand_over: Takes every record to the sinks.
            on_job: Told the instant of each job, before it is run.
            beside: Runs a decomposition of spillovers in a thread.
        """
        self._desk = desk
        self._metrics = metrics
        self._clock = clock
        self._hand_over = hand_over
        self._on_job = on_job
        self._beside = beside
        self._frozen: asyncio.Queue[SpilloverJob] = asyncio.Queue(maxsize=1)
        self._failing: set[str] = set()
        self._log = structlog.get_logger("volgauge.analytics")

    def step(self, now_ns: int, late_ns: int = 0) -> int:
        """Do one piece of work, if any is due (far behind some), and hand over what comes out.

        Args:
            now_ns: The instant.
            late_ns: How much later than asked for the step comes.

        Returns:
            How long to wait before the next step, ns.
        """
        for _ in range(1 if late_ns < PUT_OFF_NS else MOST_AT_ONCE):
            job = self._desk.next_job(now_ns, late_ns=late_ns)
            if job is None:
                break
            self._do(job, now_ns)
        return self._desk.pause_ns(now_ns)

    def _do(self, job: Job, now_ns: int) -> None:
        self._on_job(now_ns)
        part = job.part.value
        began_ns = self._clock.monotonic_ns()
        try:
            records = job.run()
        except Exception as error:  # noqa: BLE001 - told below; the index must go on
            self._failed(part, error)
            return
        self._metrics.histogram(part).observe_ns(self._clock.monotonic_ns() - began_ns)
        self._failing.discard(part)
        for record in records:
            self._metrics.record(record)
            if isinstance(record, AlertEvent):
                self._tell(record)
            self._hand_over(record)
        frozen = self._desk.take_frozen()
        if frozen is not None and not self._frozen.full():
            self._frozen.put_nowait(frozen)

    async def run(self) -> None:
        """Decompose spillovers off the loop, until cancelled."""
        while True:
            frozen = await self._frozen.get()
            began_ns = self._clock.monotonic_ns()
            try:
                reading = await self._beside(partial(compute_spillover, frozen))
            except Exception as error:  # noqa: BLE001 - told below; the index must go on
                self._failed(Part.SPILLOVER.value, error)
                continue
            self._metrics.histogram(Part.SPILLOVER.value).observe_ns(
                self._clock.monotonic_ns() - began_ns
            )
            self._failing.discard(Part.SPILLOVER.value)
            self._desk.spilled(reading)

    def _failed(self, part: str, error: Exception) -> None:
        self._metrics.failures[part] += 1
        if part not in self._failing:
            self._failing.add(part)
            self._log.error("analytics.failed", part=part, error=repr(error), exc_info=error)

    def _tell(self, event: AlertEvent) -> None:
        self._log.info(
            f"alert.{event.edge.value}",
            rule=event.rule.value,
            subject=event.subject,
            episode=event.episode,
            severity=event.severity.value,
            value=event.value,
            threshold=event.threshold,
            message=event.message,
        )
