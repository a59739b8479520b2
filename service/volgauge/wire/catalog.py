"""Fetches a venue's listings over REST when its adapter says that they are due."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
import structlog

from volgauge.adapters.base import ReadsAhead, RestRequest, VenueAdapter
from volgauge.clock import Clock
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import CatalogError, RateLimited, VenueError, VenueUnavailable
from volgauge.wire.backoff import Backoff
from volgauge.wire.seams import Recorder

MAX_BODY_BYTES = 32 * 1024 * 1024
"""The 2,500 linear options of one currency are 2 MB."""
CHUNK_BYTES = 64 * 1024
TOTAL_SECONDS = 20.0
CONNECT_SECONDS = 10.0
OPTIONAL_SECONDS = 3.0
"""For a body that the listing does not need, and must not wait for."""
POLL_SECONDS = 0.1
"""How late a due time can be noticed that a websocket has set."""
HTTP_OK = 200

log = structlog.get_logger("volgauge")


async def run_catalog(
    adapter: VenueAdapter,
    clock: Clock,
    flush: Callable[[], None],
    recorder: Recorder | None = None,
    *,
    jitter: Callable[[], float] = random.random,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Keep a venue's listing fresh for ever; ends by cancellation only.

    Args:
        adapter: Names the bodies and the time, and reads them.
        clock: Stamps what is received.
        flush: Recompute and publish; runs after each listing.
        recorder: Keeps the bodies that were used.
        jitter: Random numbers in [0, 1) for the waits.
        sleep: Waits between two attempts.
    """
    backoff = Backoff(jitter)
    has_failed = False
    resting: dict[str, int] = {}
    async with aiohttp.ClientSession(trust_env=True) as session:
        while True:
            wait = (adapter.catalog_due_ns - clock.wall_ns()) / NANOS_PER_SECOND
            if wait > 0.0:
                await sleep(min(wait, POLL_SECONDS))
                continue
            try:
                bodies = await _fetch(session, adapter, clock.wall_ns(), resting)
                await _read_ahead(adapter, bodies, clock.wall_ns())
                now_ns = clock.wall_ns()
                if recorder is not None:
                    for name, body in bodies.items():
                        recorder.rest(adapter.venue, name, now_ns, body)
                    recorder.catalog(adapter.venue, now_ns)
                adapter.on_catalog(bodies, now_ns)
            except VenueError as error:
                wait = backoff.wait_seconds(error)
                if not has_failed:
                    log.warning(
                        "catalog.refused",
                        venue=adapter.venue,
                        error=str(error),
                        wait_seconds=round(wait, 3),
                    )
                has_failed = True
                await sleep(wait)
            else:
                backoff.reset()
                if has_failed:
                    log.info("catalog.refreshed", venue=adapter.venue)
                has_failed = False
                flush()


async def _read_ahead(adapter: VenueAdapter, bodies: Mapping[str, bytes], now_ns: int) -> None:
    """Do in pieces what the listing does not have to do at its instant."""
    if isinstance(adapter, ReadsAhead):
        for _ in adapter.read_ahead(bodies, now_ns):
            # The feeds have their turn.
            await asyncio.sleep(0)


async def _fetch(
    session: aiohttp.ClientSession, adapter: VenueAdapter, now_ns: int, resting: dict[str, int]
) -> dict[str, bytes]:
    """All bodies, one request after another: the venue meters them.

    An optional one that fails is left out. After one that got no answer the others of its host are
    left out too, so that a host which is down costs one time-out; another host that refuses us for
    speed is left alone for as long as it says, the venue's own always ends the round.

    Args:
        session: To ask with.
        adapter: Whom to ask for.
        now_ns: The instant.
        resting: Roots of other hosts, and until when nothing is asked of them.
    """
    bodies = {}
    silent = {root for root, until_ns in resting.items() if now_ns < until_ns}
    for request in adapter.catalog_requests():
        if request.is_optional and request.root in silent:
            continue
        try:
            bodies[request.name] = await _get(session, adapter, request)
        except VenueError as error:
            if not request.is_optional:
                raise
            if isinstance(error, RateLimited):
                if not request.root:
                    raise
                resting[request.root] = now_ns + round(error.wait_seconds * NANOS_PER_SECOND)
            if isinstance(error, RateLimited | VenueUnavailable):
                silent.add(request.root)
    return bodies


async def _get(
    session: aiohttp.ClientSession, adapter: VenueAdapter, request: RestRequest
) -> bytes:
    url = f"{(request.root or adapter.rest_url).rstrip('/')}/{request.path}"
    seconds = OPTIONAL_SECONDS if request.is_optional else TOTAL_SECONDS
    timeout = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, CONNECT_SECONDS))
    try:
        # A redirect is followed nowhere: it would leave the host that the source rests on.
        async with session.get(url, allow_redirects=False, timeout=timeout) as response:
            body = await _read_body(response, adapter)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        text = str(error) or type(error).__name__
        raise VenueUnavailable(adapter.venue, f"{request.name}: {text}") from error
    if response.status != HTTP_OK:
        raise adapter.catalog_error(response.status, body)
    return body


async def _read_body(response: aiohttp.ClientResponse, adapter: VenueAdapter) -> bytes:
    """The decompressed body, up to the limit."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise CatalogError(adapter.venue, f"body longer than {MAX_BODY_BYTES} bytes")
    return bytes(body)
