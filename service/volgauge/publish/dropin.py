"""Deribit's volatility-index endpoints over our own index: a client changes only its URL.

`/ws/api/v2` (JSON-RPC over a websocket) and `/api/v2/public/...` (HTTP). What differs from the
original on purpose: `testnet` is true unless the index is computed from live markets; a value that
is stale, held or missing is never sent as new; methods that have nothing to do with the index are
not found.
"""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web
from msgspec import UNSET, Struct

from volgauge.clock import Clock
from volgauge.domain.index import Source
from volgauge.domain.units import NANOS_PER_MICRO
from volgauge.publish.answers import COMPRESS_BYTES, ApiError
from volgauge.publish.api import CandleReader
from volgauge.publish.dropin_methods import CANDLES_METHOD, Methods
from volgauge.publish.dropin_rpc import (
    MAX_FRAME_BYTES,
    METHOD_NOT_FOUND,
    UNAVAILABLE,
    Request,
    RpcError,
    failure,
    parse,
    success,
)
from volgauge.publish.dropin_session import CANDLES_COST, Closing, Session
from volgauge.publish.hub import Hub

MAX_CLIENTS = 64
TICK_SECONDS = 1.0
WRITE_SECONDS = 5.0
"""A client that does not take a message for this long is dropped."""
MAX_BUFFERED_BYTES = 262_144
"""A client is dropped as soon as more than that waits for it."""
PING_SECONDS = 30.0
CLOSE_SECONDS = 1.0


class DropInStats(Struct):
    """Facts for the metrics; plain numbers, never reset."""

    client_count: int = 0
    clients_refused: int = 0
    clients_dropped: int = 0
    """Did not read for too long."""
    requests: int = 0
    errors: int = 0


class DropIn:
    """The handlers."""

    def __init__(
        self,
        hub: Hub,
        clock: Clock,
        *,
        candles: CandleReader | None,
        headline: str,
        configured: Collection[str],
        source: Source,
        any_origin: bool = False,
    ) -> None:
        """Prepare.

        Args:
            hub: Where records come from.
            clock: Says what now is.
            candles: None keeps no history.
            headline: Series that is served, `30d`.
            configured: Assets that will have an index, even if none was computed yet.
            source: Of the records.
            any_origin: Let scripts of foreign web pages connect, too.
        """
        self.stats = DropInStats()
        self._hub = hub
        self._clock = clock
        self._methods = Methods(
            hub, clock, candles=candles, headline=headline, configured=configured
        )
        self._testnet = source is not Source.LIVE
        self._any_origin = any_origin

    def routes(self) -> list[web.RouteDef]:
        """What this group answers."""
        return [
            web.get("/ws/api/v2", self._socket, allow_head=False),
            web.get("/api/v2/public/{method}", self._get),
            web.post("/api/v2/public/{method}", self._post),
            web.post("/api/v2", self._post),
        ]

    async def _get(self, request: web.Request) -> web.Response:
        """One method; the parameters are those of the query."""
        us_in = self._now_us()
        call = Request(UNSET, f"public/{request.match_info['method']}", dict(request.query))
        return await self._respond(lambda: call, us_in)

    async def _post(self, request: web.Request) -> web.Response:
        """One JSON-RPC request; a method in the path must be the one in the body."""
        us_in = self._now_us()
        body = await request.read()
        named = request.match_info.get("method")

        def read() -> Request:
            call = parse(body)
            if named is not None and call.method != f"public/{named}":
                raise RpcError(METHOD_NOT_FOUND, "Method not found", request_id=call.id)
            return call

        return await self._respond(read, us_in)

    async def _respond(self, read: Callable[[], Request], us_in: int) -> web.Response:
        body, error = await self._answer(read, None, us_in)
        response = web.Response(
            body=body,
            status=200 if error is None else 503 if error.code == UNAVAILABLE else 400,
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
            zlib_executor_size=COMPRESS_BYTES,
        )
        response.enable_compression()
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        if not self._any_origin:
            _require_own_origin(request)
        socket = web.WebSocketResponse(
            # Above the limit that is answered with an error, so that there is an answer.
            max_msg_size=4 * MAX_FRAME_BYTES,
            heartbeat=PING_SECONDS,
            compress=False,
            timeout=CLOSE_SECONDS,
        )
        if not socket.can_prepare(request):
            raise ApiError(400, "websocket_expected", "expected a websocket handshake")
        if self.stats.client_count >= MAX_CLIENTS or self._hub.is_closed:
            self.stats.clients_refused += 1
            raise ApiError(503, "too_many_streams", "too many streaming clients")
        self.stats.client_count += 1
        try:
            try:
                await socket.prepare(request)
            except ConnectionError:
                # The client is gone already: nobody reads this.
                return web.Response(status=503)
            session = Session(self._clock.wall_ns())
            async with asyncio.TaskGroup() as tasks:
                ticker = tasks.create_task(
                    self._tick(request, socket, session), name="drop-in ticker"
                )
                await self._read(request, socket, session)
                ticker.cancel()
        finally:
            self.stats.client_count -= 1
        return socket

    async def _read(
        self, request: web.Request, socket: web.WebSocketResponse, session: Session
    ) -> None:
        """Answer the client's requests, one after the other, until it goes."""
        async for message in socket:
            if message.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                continue
            us_in = self._now_us()
            session.heard(self._clock.wall_ns())
            frame = message.data if isinstance(message.data, bytes) else message.data.encode()
            body, _ = await self._answer(partial(parse, frame), session, us_in)
            if not await self._send(request, socket, body):
                return
            if session.closing is not None:
                await _close(socket, session.closing)
                return

    async def _tick(
        self, request: web.Request, socket: web.WebSocketResponse, session: Session
    ) -> None:
        """Send what is due, once a second."""
        while not socket.closed:
            await asyncio.sleep(TICK_SECONDS)
            if self._hub.is_closed:
                session.closing = Closing(1001, "service stops")
            for frame in session.due(self._clock.wall_ns(), self._methods.newest):
                if not await self._send(request, socket, frame):
                    return
            if session.closing is not None:
                await _close(socket, session.closing)
                return

    async def _send(
        self, request: web.Request, socket: web.WebSocketResponse, frame: bytes
    ) -> bool:
        """Whether the client took it; one that does not read is cut off, the others never wait."""
        transport = request.transport
        if transport is None or socket.closed:
            return False
        if transport.get_write_buffer_size() > MAX_BUFFERED_BYTES:
            return self._drop(transport)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await socket.send_str(frame.decode())
        except TimeoutError:
            return self._drop(transport)
        except ConnectionError:
            return False
        return True

    async def _answer(
        self, read: Callable[[], Request], session: Session | None, us_in: int
    ) -> tuple[bytes, RpcError | None]:
        """The envelope of one request, and the error that is in it."""
        self.stats.requests += 1
        error = None
        try:
            try:
                call = read()
            except RpcError:
                self._pay(session, 1.0)
                raise
            try:
                self._pay(session, CANDLES_COST if call.method == CANDLES_METHOD else 1.0)
                result = await self._methods.call(call, session)
            except RpcError as refusal:
                refusal.request_id = call.id
                raise
            body = success(call.id, result, us_in, self._now_us(), testnet=self._testnet)
        except RpcError as refusal:
            error = refusal
            self.stats.errors += 1
            body = failure(refusal, us_in, self._now_us(), testnet=self._testnet)
        return body, error

    def _pay(self, session: Session | None, cost: float) -> None:
        if session is not None:
            session.pay(cost, self._clock.wall_ns())

    def _drop(self, transport: asyncio.Transport) -> bool:
        self.stats.clients_dropped += 1
        transport.abort()
        return False

    def _now_us(self) -> int:
        return self._clock.wall_ns() // NANOS_PER_MICRO


async def _close(socket: web.WebSocketResponse, closing: Closing) -> None:
    await socket.close(code=closing.code, message=closing.reason.encode())


def _require_own_origin(request: web.Request) -> None:
    """A browser names the page whose script connects; a foreign page's has no business here.

    Raises:
        ApiError: 403 `foreign_origin`.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        host = ""
    if host != request.host:
        raise ApiError(403, "foreign_origin", "expected no script of a foreign page")
