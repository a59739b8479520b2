"""The simulated venue as a server on loopback: websocket and REST on one port.

`Simulator` runs in the loop that starts it; `serve` runs one until it is cancelled, for a process
of its own. It paces the source by the loop's clock; when the host cannot keep up, time is skipped
without quotes rather than queued.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec
from aiohttp import WSMsgType, web
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI
from volgauge.simulator.board import Source
from volgauge.simulator.chain import ChainSource
from volgauge.simulator.connection import Connection
from volgauge.simulator.deribit import AbsentSide
from volgauge.simulator.dialects import (
    DIALECTS,
    ClientSession,
    Dialect,
    PingingSession,
    RoutedDialect,
)
from volgauge.simulator.faults import Faults
from volgauge.simulator.listing import ROLL_OF_DAY_NS
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.memory import VolIndexMemory
from volgauge.simulator.public_api import PublicApi, WireError
from volgauge.simulator.recording import RecordingSource
from volgauge.simulator.scenario import Scenario
from volgauge.simulator.session import Credits, Session, Timing
from volgauge.simulator.venue import Venue

WS_PATH = "/ws/api/v2"
REST_PATH = "/api/v2"
MAX_CONNECTIONS = 32
MAX_INBOUND_BYTES = 4 << 20
TICK_SECONDS = 0.05
MAINTENANCE_NOTICE_SECONDS = 0.2
"""Between the announcement and the end of the connections."""
MAINTENANCE_CODE = 1012
_HTTP_STATUS = {11051: 503, 10028: 429}
"""Everything else the venue refuses comes with 400."""


class SimulatorOptions(Struct, frozen=True, kw_only=True):
    """What to serve and how."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    source: Literal["market", "chain", "recording"] = "market"
    seed: int = 7
    currencies: tuple[str, ...] = ("BTC", "ETH", "SOL_USDC", "XRP_USDC")
    rate: float = 1_000.0
    """Market: option quotes a second. Chain: quotes are sent again at this rate."""
    burst: int = 1
    """Market: quotes that come back to back."""
    surge: float = 1.0
    """Market: the rate is multiplied by this for 0.3 s in every 10 s."""
    start_ns: int | None = None
    """The venue's clock at the start; None: the wall clock."""
    smile: Literal["ssvi", "mixture", "mixed"] = "mixed"
    """Market only: the family of its smiles."""
    roll_in_seconds: float | None = None
    """Market only: contracts expire this long after the start, then daily; None: at 08:00 UTC."""
    step_ms: int = 5
    path: str = ""
    """Chain: the CSV file. Recording: its folder."""
    asset: str = "BTC"
    """Chain only."""
    venues: tuple[str, ...] = ()
    """Market only: more venues on the same market, names of `dialects.DIALECTS`."""
    scenario: Scenario = Scenario()
    """Market only: what is known of it beforehand."""
    speed: float = 1.0
    """Recording only."""
    lag_limit_seconds: float = 0.5
    """Further behind the clock than this, time is skipped: the stream is no longer repeatable."""
    absent: AbsentSide = "mixed"
    compression: bool = True
    """Accept permessage-deflate where it is offered."""
    timing: Timing = Timing()
    faults: Faults = Faults()


class Simulator:
    """A venue to connect to. `faults` may be replaced while it runs."""

    def __init__(self, options: SimulatorOptions) -> None:
        self.options = options
        now_ns = time.time_ns() if options.start_ns is None else options.start_ns
        # Whole steps since 1970: a start to the millisecond gives the same stamps on every run.
        self.start_ns = now_ns // NANOS_PER_MILLI * NANOS_PER_MILLI
        self.market: Market | None = None
        self.chain: ChainSource | None = None
        self.venue = self._make_venue()
        self.venue.faults = options.faults
        self.dialects: dict[str, Dialect] = {}
        for name in options.venues:
            source = self.venue.source
            if not isinstance(source, Market) or name not in DIALECTS:
                known = ", ".join(DIALECTS)
                raise ValueError(f"expected the market and venues of {known}, received {name}")
            self.dialects[name] = DIALECTS[name](source, options.seed)
        self.memory = VolIndexMemory(self.market)
        self.api = PublicApi(self.venue, self.memory.candles)
        self.skipped_seconds = 0.0
        self.host = options.host
        self.port = options.port
        self._connections: dict[Connection, Venue | Dialect] = {}
        """Open connections and the venue that each is to."""
        self._rest_credits = Credits()
        self._accepted = 0
        self._runner: web.AppRunner | None = None
        self._pump: asyncio.Task[None] | None = None
        self._started_seconds = 0.0

    @property
    def faults(self) -> Faults:
        """What is going wrong now."""
        return self.venue.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.venue.faults = faults

    @property
    def ws_url(self) -> str:
        """Where websockets connect, after `start`."""
        return f"ws://{self.host}:{self.port}{WS_PATH}"

    @property
    def rest_url(self) -> str:
        """Root of the REST methods, after `start`."""
        return f"http://{self.host}:{self.port}{REST_PATH}"

    def ws_url_of(self, venue: str) -> str:
        """Where websockets of another venue connect, after `start`."""
        return f"ws://{self.host}:{self.port}{self.dialects[venue].ws_path}"

    def rest_url_of(self, venue: str) -> str:
        """Root of another venue's REST interface, after `start`."""
        return f"http://{self.host}:{self.port}{self.dialects[venue].rest_path}"

    @property
    def connection_count(self) -> int:
        """Open websockets."""
        return len(self._connections)

    async def start(self) -> tuple[str, int]:
        """Listen and begin to move; returns the host and the port."""
        app = web.Application(client_max_size=MAX_INBOUND_BYTES)
        app.router.add_get(WS_PATH, self._websocket)
        app.router.add_get(REST_PATH + "/{method:.+}", self._rest)
        app.router.add_post(REST_PATH + "/{method:.+}", self._rest)
        for dialect in self.dialects.values():
            self._add_routes(app, dialect)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.options.host, self.options.port)
        await site.start()
        self.host, self.port = self._runner.addresses[0][:2]
        self._started_seconds = asyncio.get_running_loop().time()
        if self.market is not None and self.options.start_ns is None:
            # Its clock is the wall's: what it took to build the venues has passed there, too.
            self.market.skip_to(time.time_ns())
        self._pump = asyncio.create_task(self._run(), name="simulator.pump")
        return self.host, self.port

    async def stop(self) -> None:
        """Cut all connections and stop listening."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump
            self._pump = None
        self.disconnect_all(1006)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def wait(self) -> None:
        """Wait until the simulator ends, and raise what ended it."""
        if self._pump is not None:
            await self._pump

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    def disconnect_all(self, code: int = 1012, reason: str = "") -> None:
        """Hang up on every client."""
        for connection in list(self._connections):
            connection.hang_up(code, reason)

    @property
    def assets(self) -> tuple[str, ...]:
        """Underlyings that are listed, in order."""
        return tuple(dict.fromkeys(board.terms.asset for board in self.venue.source.boards))

    def _make_venue(self) -> Venue:
        return Venue(self._make_source(), absent=self.options.absent, seed=self.options.seed)

    def _make_source(self) -> Source:
        options = self.options
        match options.source:
            case "market":
                self.market = Market(
                    MarketOptions(
                        seed=options.seed, currencies=options.currencies, start_ns=self.start_ns,
                        rate=options.rate, burst=options.burst, surge=options.surge,
                        smile=options.smile, roll_of_day_ns=self._roll_of_day_ns(),
                        step_ns=options.step_ms * NANOS_PER_MILLI, scenario=options.scenario,
                    )
                )  # fmt: skip
                return self.market
            case "chain":
                self.chain = ChainSource(
                    Path(options.path), asset=options.asset, start_ns=self.start_ns,
                    rate=options.rate, step_ns=options.step_ms * NANOS_PER_MILLI,
                )  # fmt: skip
                return self.chain
            case "recording":
                return RecordingSource(
                    Path(options.path), start_ns=self.start_ns, speed=options.speed,
                    step_ns=options.step_ms * NANOS_PER_MILLI,
                )  # fmt: skip

    def _roll_of_day_ns(self) -> int:
        if self.options.roll_in_seconds is None:
            return ROLL_OF_DAY_NS
        roll_ns = self.start_ns + round(self.options.roll_in_seconds * 1e3) * NANOS_PER_MILLI
        return roll_ns % NANOS_PER_DAY

    async def _run(self) -> None:
        """Advance the source in step with the loop's clock, and send."""
        loop = asyncio.get_running_loop()
        step = self.options.step_ms / 1e3
        began, done, ticked = loop.time(), 0, 0.0
        while True:
            now = loop.time()
            behind = now - began - done * step
            if behind > self.options.lag_limit_seconds:
                skipped = int(behind / step)
                source = self.venue.source
                source.skip_to(source.now_ns + skipped * source.step_ns)
                done += skipped
                self.skipped_seconds += skipped * step
            while began + (done + 1) * step <= loop.time():
                taken = self.venue.advance()
                for dialect in self.dialects.values():
                    dialect.advance(taken)
                done += 1
                self._flush(loop.time())
                await asyncio.sleep(0)
                if loop.time() - now > TICK_SECONDS:
                    break
            if now - ticked >= TICK_SECONDS:
                ticked = now
                self._tick(now)
            await asyncio.sleep(max(began + (done + 1) * step - loop.time(), 0.0))

    def _tick(self, now: float) -> None:
        """What follows from the clock alone: time limits, maintenance, locks."""
        self.memory.remember(self.venue)
        faults, age = self.faults, now - self._started_seconds
        begin, end = faults.maintenance_after_seconds, faults.maintenance_seconds
        due = 0.0 < begin <= age < begin + end
        if due and not self.api.in_maintenance:
            self.venue.announce({"maintenance": True})
            self.api.in_maintenance = True
        elif self.api.in_maintenance and not due:
            self.api.in_maintenance = False
        if due and age >= begin + MAINTENANCE_NOTICE_SECONDS:
            self.disconnect_all(MAINTENANCE_CODE, "system_maintenance")
        begin, end = faults.lock_after_seconds, faults.lock_seconds
        locked = 0.0 < begin <= age < begin + end
        if locked != bool(self.venue.locked):
            self.venue.lock(locked=locked)
        for dialect in self.dialects.values():
            dialect.tick(age)
        for connection, owner in self._connections.items():
            if not connection.is_half_open(owner.faults, now):
                connection.session.tick(now)
                if isinstance(connection.session, PingingSession):
                    payload = connection.session.take_ping(now)
                    if payload is not None:
                        connection.ping(payload)
        self._flush(now)

    def _flush(self, now: float) -> None:
        for connection, owner in self._connections.items():
            connection.flush(owner.faults, now)

    def _add_routes(self, app: web.Application, dialect: Dialect) -> None:
        async def connect(request: web.Request) -> web.StreamResponse:
            now = asyncio.get_running_loop().time()
            if isinstance(dialect, RoutedDialect):
                route, params = request.path.removeprefix(dialect.ws_path), _query(request)
                return await self._serve_socket(
                    request, dialect, lambda: dialect.open_route(route, params, now, self._accepted)
                )
            return await self._serve_socket(
                request, dialect, lambda: dialect.open(now, self._accepted)
            )

        async def answer(request: web.Request) -> web.Response:
            status, body = dialect.answer(request.match_info["path"], _query(request))
            return web.Response(body=body, status=status, content_type="application/json")

        routes = dialect.ws_routes if isinstance(dialect, RoutedDialect) else ("",)
        for route in routes:
            app.router.add_get(dialect.ws_path + route, connect)
        app.router.add_get(dialect.rest_path + "/{path:.+}", answer)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self.api.in_maintenance:
            return web.Response(status=503, text="Service Unavailable")
        now = asyncio.get_running_loop().time()
        return await self._serve_socket(
            request,
            self.venue,
            lambda: Session(self.api, self.options.timing, now, self.options.seed),
        )

    async def _serve_socket(
        self,
        request: web.Request,
        owner: Venue | Dialect,
        make_session: Callable[[], ClientSession],
    ) -> web.StreamResponse:
        held = sum(other is owner for other in self._connections.values())
        if held >= MAX_CONNECTIONS:
            return web.Response(status=429, text="Too Many Requests")
        if owner.faults.refuse_connections:
            return web.Response(status=503, text="Service Unavailable")
        socket = web.WebSocketResponse(
            compress=self.options.compression, autoping=False, timeout=1.0,
            max_msg_size=MAX_INBOUND_BYTES,
        )  # fmt: skip
        try:
            await socket.prepare(request)
        except ConnectionError:
            # The client is gone already: nobody reads this.
            return web.Response(status=503)
        if request.transport is None:
            return socket
        self._accepted += 1
        loop = asyncio.get_running_loop()
        extensions = socket.headers.get("Sec-WebSocket-Extensions", "")
        connection = Connection(
            make_session(),
            request.transport,
            opened_seconds=loop.time(),
            seed=self.options.seed + self._accepted,
            window_bits=int(socket.compress or 0),
            keeps_context="server_no_context_takeover" not in extensions,
        )
        self._connections[connection] = owner
        try:
            await self._listen(socket, connection, owner)
        finally:
            del self._connections[connection]
            connection.session.close()
        return socket

    async def _listen(
        self, socket: web.WebSocketResponse, connection: Connection, owner: Venue | Dialect
    ) -> None:
        loop = asyncio.get_running_loop()
        async for message in socket:
            now = loop.time()
            if connection.is_closing or connection.is_half_open(owner.faults, now):
                continue
            if message.type is WSMsgType.PING:
                connection.pong(message.data)
            elif message.type is WSMsgType.PONG:
                if isinstance(connection.session, PingingSession):
                    connection.session.pong(now)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data = message.data
                connection.session.receive(data.encode() if isinstance(data, str) else data, now)
                connection.flush(owner.faults, now)

    async def _rest(self, request: web.Request) -> web.Response:
        """One public method; errors come with HTTP 400 and the venue's body."""
        method, params = request.match_info["method"], _query(request)
        request_id: object = None
        try:
            if request.method == "POST":
                request_id, posted = _posted(await request.read())
                params |= posted
            self._rest_credits.charge(method, asyncio.get_running_loop().time())
            body = self.api.envelope(request_id, self.api.call(method, params))
        except WireError as error:
            status = _HTTP_STATUS.get(error.code, 400)
            body = self.api.refusal(request_id, error)
        else:
            status = 200
        return web.Response(body=body, status=status, content_type="application/json")


def _query(request: web.Request) -> dict[str, str]:
    """The query of a request; of a repeated name the last counts."""
    query: Mapping[str, str] = request.query
    return dict(query)


def _posted(body: bytes) -> tuple[object, dict[str, str]]:
    try:
        request = msgspec.json.decode(body)
        return request.get("id"), dict(request.get("params") or {})
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError) as error:
        raise WireError(11050, "bad_request", {"reason": "invalid json"}) from error


async def serve(options: SimulatorOptions, ready: Callable[[str, str], None]) -> None:
    """Run a simulator until cancelled; `ready(ws_url, rest_url)` is called once it listens."""
    async with Simulator(options) as simulator:
        ready(simulator.ws_url, simulator.rest_url)
        await simulator.wait()
