"""The service as a process: its event loop, signals, exit code, and what it says on stdout."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module

import structlog

from volgauge import __version__
from volgauge.app import Fill, Service
from volgauge.clock import SystemClock
from volgauge.errors import VolgaugeError
from volgauge.pipeline import source_of
from volgauge.settings import Settings, mask_url
from volgauge.telemetry import logs

log = structlog.get_logger("volgauge")


def serve(
    settings: Settings,
    *,
    stop_after_seconds: float | None = None,
    announce: Callable[[Service], None] | None = None,
    fill: Fill | None = None,
) -> int:
    """Run the service until SIGINT or SIGTERM; the exit code.

    Args:
        settings: The whole tree.
        stop_after_seconds: End by itself after this long.
        announce: Told once the kernels are warm; default says on stdout where to look.
        fill: Puts a past into the history.
    """
    log_lines = logs.configure(settings.log)
    # uvloop saves a third of the cost of messages that come singly; Windows has none.
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        factory = import_module("uvloop").new_event_loop
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(
                _serve(settings, log_lines, stop_after_seconds, announce or _announce, fill)
            )
    finally:
        # The interpreter looks through all that is alive when it ends; here nothing is garbage.
        gc.freeze()


async def _serve(
    settings: Settings,
    log_lines: Mapping[str, int],
    stop_after_seconds: float | None,
    announce: Callable[[Service], None],
    fill: Fill | None,
) -> int:
    service = Service(settings, source=source_of(settings), clock=SystemClock())
    service.metrics.watch_logs(log_lines)
    loop = asyncio.get_running_loop()

    def told_to_end(*_: object) -> None:
        # Python calls it between two steps of whatever runs. A handler of the loop would have
        # its turn only after everything that is readable now has been applied.
        service.is_ending = True
        loop.call_soon_threadsafe(service.end)

    before = {
        number: signal.signal(number, told_to_end) for number in (signal.SIGINT, signal.SIGTERM)
    }
    if stop_after_seconds is not None:
        loop.call_later(stop_after_seconds, service.end)
    failures: list[VolgaugeError] = []
    try:
        await service.run(announce, fill)
    except* VolgaugeError as group:
        failures += _leaves(group)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for failure in failures:
        log.error("service.failed", error=str(failure))
    return 1 if failures else 0


def _leaves(group: BaseExceptionGroup[VolgaugeError]) -> list[VolgaugeError]:
    found: list[VolgaugeError] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _announce(service: Service) -> None:
    """Say on stdout where to look; copyable lines."""
    settings = service.settings
    lines = [f"volgauge {__version__}, source: {source_of(settings).value}"]
    if settings.redis.enabled:
        channel = (
            f"{settings.redis.prefix}:index:{'{BTC}' if settings.redis.cluster else 'BTC'}:30d"
        )
        lines.append(f"  redis    redis-cli -u {mask_url(service.redis_url)} SUBSCRIBE {channel}")
    if service.http is not None:
        lines.append(f"  page     {service.http.url}/")
        lines.append(f"  metrics  {service.http.url}/metrics")
    if service.recorder is not None:
        lines.append(f"  recording into {settings.recorder.path}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
