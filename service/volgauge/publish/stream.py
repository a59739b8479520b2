"""Server-sent events: a snapshot of every series, then whatever changes, newest only."""

import asyncio
import re

from aiohttp import web

from volgauge.clock import Clock
from volgauge.domain.channels import Kind
from volgauge.publish.answers import NAME, TENOR, ApiError, read_names
from volgauge.publish.hub import Hub, HubClient

KIND = re.compile("|".join(kind.value for kind in Kind))
STREAM_CLOCK_SECONDS = 1.0
"""Our time goes out this often: it proves the link alive, and lets a client tell an age."""
STREAM_WRITE_SECONDS = 5.0
"""A client that does not take a chunk for this long is dropped."""
RECONNECT_MS = 1_000
RESUME = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
"""`Last-Event-ID`: the process and the number of its events so far."""


class Stream:
    """`/v1/stream`."""

    def __init__(self, hub: Hub, clock: Clock, headers: dict[str, str]) -> None:
        self._hub = hub
        self._clock = clock
        self._headers = headers

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        # No HEAD: what never ends has none.
        return [web.get("/v1/stream", self._stream, allow_head=False)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: a snapshot, then whatever changes; newest only."""
        assets = read_names(request, "assets", NAME)
        tenors = read_names(request, "tenors", TENOR)
        kinds = read_names(request, "kinds", KIND)
        client = self._hub.join(assets, tenors, self._events_after(request), kinds)
        if client is None:
            raise ApiError(503, "too_many_streams", "too many streaming clients")
        response = web.StreamResponse(
            headers={
                **self._headers,
                "Content-Type": "text/event-stream",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",
            }
        )
        is_dropped = False
        try:
            await response.prepare(request)
            await response.write(b"retry: %d\n\n" % RECONNECT_MS)
            await self._feed(client, response)
        except TimeoutError:
            # The others must not wait for one that does not read.
            is_dropped = True
            if request.transport is not None:
                request.transport.abort()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._hub.leave(client, is_dropped=is_dropped)
        return response

    def _events_after(self, request: web.Request) -> int | None:
        """Where the client's status events go on; None: with the next one."""
        last = request.headers.get("Last-Event-ID", "")
        resumed = RESUME.fullmatch(last)
        if resumed is not None and int(resumed[1]) == self._hub.run_id:
            return int(resumed[2])
        # After a restart of ours the numbers begin anew: all that we keep is new to the client.
        return 0 if last or request.query.get("events") == "recent" else None

    async def _feed(self, client: HubClient, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        clock_due = 0.0
        while not self._hub.is_closed:
            deliveries = await client.next(max(0.0, clock_due - loop.time()))
            resume = b"%d-%d" % (self._hub.run_id, self._hub.event_count)
            chunks = [
                b"id: %b\nevent: %b\ndata: %b\n\n"
                % (resume, delivery.kind.value.encode(), delivery.line)
                for delivery in deliveries
            ]
            if loop.time() >= clock_due:
                clock_due = loop.time() + STREAM_CLOCK_SECONDS
                now_ns = self._clock.wall_ns()
                chunks.insert(0, b'event: clock\ndata: {"now_ns":%d}\n\n' % now_ns)
            if chunks:
                async with asyncio.timeout(STREAM_WRITE_SECONDS):
                    await response.write(b"".join(chunks))
