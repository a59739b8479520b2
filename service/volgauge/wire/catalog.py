"""Fetch a venue's listings over REST whenever its adapter wants them."""

import asyncio
import random
from collections.abc import Callable

import aiohttp
import structlog

from volgauge.adapters.base import VenueAdapter
from volgauge.clock import Clock
from volgauge.errors import CatalogError, RateLimited, VenueError, VenueUnavailable
from volgauge.wire.backoff import Backoff
from volgauge.wire.feed import Recorder

MAX_BODY_BYTES = 64 << 20
TIMEOUT = aiohttp.ClientTimeout(total=30.0, connect=10.0)
POLL_SECONDS = 0.1

log = structlog.get_logger("volgauge.wire")


async def run_catalog(
    adapter: VenueAdapter,
    clock: Clock,
    flush: Callable[[], None],
    recorder: Recorder | None,
    *,
    uniform: Callable[[], float] = random.random,
) -> None:
    """Keep the adapter's listings fresh for ever; failures are retried with growing waits."""
    backoff = Backoff(uniform)
    bound = log.bind(venue=adapter.venue)
    async with aiohttp.ClientSession(timeout=TIMEOUT, auto_decompress=True) as session:
        while True:
            if adapter.catalog_due_ns > clock.wall_ns():
                await asyncio.sleep(POLL_SECONDS)
                continue
            try:
                bodies = await _fetch(session, adapter, clock, recorder)
                now_ns = clock.wall_ns()
                if recorder is not None:
                    recorder.catalog(adapter.venue, now_ns)
                adapter.on_catalog(bodies, now_ns)
            except VenueError as error:
                at_least = error.wait_seconds if isinstance(error, RateLimited) else 0.0
                wait = backoff.wait_seconds(at_least)
                bound.warning("catalog.refused", error=str(error)[:300], wait_seconds=wait)
                await asyncio.sleep(wait)
                continue
            backoff.reset()
            bound.debug("catalog.refreshed", bytes=sum(map(len, bodies.values())))
            flush()


async def _fetch(
    session: aiohttp.ClientSession,
    adapter: VenueAdapter,
    clock: Clock,
    recorder: Recorder | None,
) -> dict[str, bytes]:
    """All bodies of one catalog, one after the other: venues count requests a second."""
    bodies = {}
    for request in adapter.catalog_requests():
        url = f"{adapter.rest_url.rstrip('/')}/{request.path}"
        try:
            async with session.get(url) as response:
                body = await response.content.read(MAX_BODY_BYTES + 1)
                while not response.content.at_eof() and len(body) <= MAX_BODY_BYTES:
                    body += await response.content.read(MAX_BODY_BYTES + 1 - len(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise VenueUnavailable(adapter.venue, f"{request.path}: {error!r}") from error
        if len(body) > MAX_BODY_BYTES:
            raise CatalogError(adapter.venue, f"{request.path}: more than {MAX_BODY_BYTES} bytes")
        if response.status != 200:
            raise adapter.catalog_error(response.status, body)
        if recorder is not None:
            recorder.rest(adapter.venue, request.name, clock.wall_ns(), body)
        bodies[request.name] = body
    return bodies
