"""The HTTP side: metrics, health, the records as JSON and as a stream, and the live page.

Handlers hand out what the hub holds; nothing is computed here. Answers to bad requests are typed:
`{"error": {"code": ..., "message": ...}}`. There is no authentication, so the server binds to
loopback unless the settings say otherwise, and then still refuses foreign Host headers on
loopback (DNS rebinding).
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol, TypeAlias

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from msgspec import Struct
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from volgauge.clock import Clock
from volgauge.domain.channels import Kind
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.publish.assets import METHODOLOGY_PAGE, Asset, load_methodology, load_page
from volgauge.publish.hub import Hub, HubClient
from volgauge.settings import HttpSettings

STREAM_CLOCK_SECONDS = 1.0
"""Our time goes out this often: it proves the link alive, and lets a client tell an age."""
STREAM_WRITE_SECONDS = 5.0
"""A client that does not take a chunk for this long is dropped."""
RECONNECT_MS = 1_000
MAX_CONNECTIONS = 512
"""File descriptors are shared with the venues' sockets and Redis."""
IDLE_SECONDS = 30.0
"""A connection without a complete request for this long is closed."""
MAX_HEADER_BYTES = 16_384
RESUME = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
"""`Last-Event-ID`: the process and the number of its events so far."""
SHUTDOWN_SECONDS = 0.5
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
NAME = re.compile(r"[A-Za-z0-9]{1,16}")
TENOR = re.compile(r"[0-9]{1,4}(\.[0-9]{1,3})?d")
SEQ = re.compile(r"[0-9]{1,18}")
DAY_SECONDS = 86_400

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ApiError(Exception):
    """A request that is answered with an error body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class HistoryQuery(Struct, frozen=True):
    """What `/v1/history` was asked for."""

    asset: str
    series: str
    """Tenor label or `price`."""
    start_s: int
    end_s: int
    resolution_seconds: int


HistoryReader: TypeAlias = Callable[[HistoryQuery], Awaitable[Mapping[str, Any]]]
"""Where candles come from, as plain data; raises ApiError. The composition root gives one."""


class EvidenceReader(Protocol):
    """Where evidence comes from, as JSON; raises ApiError. The composition root gives one."""

    async def bundle(self, asset: str, tenor_days: float, seq: int) -> bytes:
        """Everything that one record rests on."""
        ...

    async def explain(self, asset: str, tenor_days: float, seq: int, against: int | None) -> bytes:
        """Why a record says what it says, or how it differs from an older one."""
        ...


class HttpServer:
    """Binds at `start`, serves until `stop`."""

    def __init__(
        self,
        settings: HttpSettings,
        hub: Hub,
        registry: CollectorRegistry,
        clock: Clock,
        *,
        reasons_not_ready: Callable[[], list[str]],
        history: HistoryReader | None,
        about: Mapping[str, Any],
        evidence: EvidenceReader | None = None,
        headline_tenor_days: float = 30.0,
    ) -> None:
        """Prepare.

        Args:
            settings: Address.
            hub: Where records come from.
            registry: What /metrics shows.
            clock: Says what now is.
            reasons_not_ready: Empty when /readyz is green.
            history: None keeps no history.
            about: Facts of the build and the source, for the page.
            evidence: None keeps no evidence.
            headline_tenor_days: Whose evidence is meant when no tenor is named.
        """
        self.url = ""
        """Where the server answers, after `start`."""
        self._settings = settings
        self._hub = hub
        self._registry = registry
        self._clock = clock
        self._reasons_not_ready = reasons_not_ready
        self._history = history
        self._about = dict(about)
        self._evidence = evidence
        self._headline_tenor_days = headline_tenor_days
        self._page = load_page()
        self._document = load_methodology()
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None
        self._rendering = asyncio.Lock()

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            OSError: The address cannot be bound.
        """
        app = web.Application(middlewares=[self._guard], client_max_size=65_536)
        app.router.add_get("/", self._index_page)
        app.router.add_get("/page/{name}", self._page_file)
        app.router.add_get("/methodology", self._methodology)
        app.router.add_get("/methodology/{name}", self._methodology_file)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/v1/about", self._show_about)
        app.router.add_get("/v1/index", self._indices)
        app.router.add_get("/v1/index/{asset}", self._indices)
        app.router.add_get("/v1/index/{asset}/{tenor}", self._index)
        app.router.add_get("/v1/venues", self._venues)
        app.router.add_get("/v1/venues/{asset}", self._venues)
        app.router.add_get("/v1/surface/{asset}", self._surface)
        app.router.add_get("/v1/history/{asset}/{series}", self._candles)
        app.router.add_get("/v1/evidence/{asset}/{seq}", self._show_evidence)
        app.router.add_get("/v1/explain/{asset}/{seq}", self._explain)
        app.router.add_get("/v1/stream", self._stream)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_logger(),
            keepalive_timeout=IDLE_SECONDS,
            shutdown_timeout=SHUTDOWN_SECONDS,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        await self._runner.setup()
        self._listener = await asyncio.get_running_loop().create_server(
            self._accept, self._settings.host, self._settings.port
        )
        host, port = self._listener.sockets[0].getsockname()[:2]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def stop(self) -> None:
        """End the streams and close."""
        self._hub.close()
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _accept(self) -> asyncio.Protocol:
        """Serve a connection, or close it at once when there are too many."""
        server = self._runner.server if self._runner is not None else None
        if server is None or len(server.connections) >= MAX_CONNECTIONS:
            return _TurnedAway()
        return server()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Foreign hosts out, errors typed, headers on."""
        try:
            self._check_host(request)
            response = await handler(request)
        except ApiError as error:
            response = _error(error.status, error.code, str(error))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = _error(error.status, error.reason.lower().replace(" ", "_"), error.reason)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        if not response.prepared:
            response.headers.update(SECURITY_HEADERS)
        return response

    def _check_host(self, request: web.Request) -> None:
        host = re.sub(r":\d+$", "", request.host)
        if not self._settings.allow_public and host not in LOOPBACK:
            raise ApiError(421, "misdirected_request", "expected a loopback Host header")

    async def _metrics(self, request: web.Request) -> web.Response:
        try:
            encoder, content_type = choose_encoder(request.headers.get("Accept", ""))
        except (TypeError, ValueError) as error:
            # Its way to say that a version is no number.
            raise ApiError(400, "bad_accept", "Accept: expected a numeric version") from error
        # Rendering hundreds of series takes milliseconds: not on the loop of the ticks, and one
        # at a time, however many ask.
        async with self._rendering:
            body = await asyncio.to_thread(encoder, self._registry)
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = self._reasons_not_ready()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return _json(body, status=503 if reasons else 200)

    async def _show_about(self, _request: web.Request) -> web.Response:
        return _json(self._about)

    async def _indices(self, request: web.Request) -> web.Response:
        """The newest record of every series, or of one asset's."""
        return _raw(request, b'{"indices":[%b]}' % self._newest(request, Kind.INDEX))

    async def _venues(self, request: web.Request) -> web.Response:
        """What each option book alone says, of every asset or of one."""
        return _raw(request, b'{"venues":[%b]}' % self._newest(request, Kind.VENUE))

    def _newest(self, request: web.Request, kind: Kind) -> bytes:
        """The newest record of every series of a kind, by commas; of one asset if it is named."""
        wanted = request.match_info.get("asset")
        if wanted is not None:
            _check(NAME, wanted, "asset")
        lines = [
            line
            for key in self._hub.series()
            if key.kind is kind
            and wanted in {None, key.asset}
            and (line := self._hub.latest(kind, key.asset, key.tenor, key.book)) is not None
        ]
        if wanted is not None and not lines:
            raise ApiError(404, "unknown_asset", f"no index of {wanted}")
        return b",".join(lines)

    async def _index(self, request: web.Request) -> web.Response:
        asset = _check(NAME, request.match_info["asset"], "asset")
        tenor = _check(TENOR, request.match_info["tenor"], "tenor")
        line = self._hub.latest(Kind.INDEX, asset, tenor)
        if line is None:
            raise ApiError(404, "unknown_index", f"no index of {asset} at {tenor}")
        return _raw(request, line)

    async def _surface(self, request: web.Request) -> web.Response:
        asset = _check(NAME, request.match_info["asset"], "asset")
        line = self._hub.latest(Kind.SURFACE, asset)
        if line is None:
            raise ApiError(404, "unknown_asset", f"no surface of {asset}")
        return _raw(request, line)

    async def _candles(self, request: web.Request) -> web.Response:
        if self._history is None:
            raise ApiError(404, "no_history", "this server keeps no history (history.path)")
        asset = _check(NAME, request.match_info["asset"], "asset")
        series = request.match_info["series"]
        if series != "price":
            _check(TENOR, series, "tenor")
        unknown = set(request.query) - {"from", "to", "resolution"}
        if unknown:
            raise ApiError(400, "bad_query", f"unknown parameter {min(unknown)!r}")
        end_s = _instant(request, "to")
        if end_s is None:
            end_s = self._clock.wall_ns() // NANOS_PER_SECOND + 1
        start_s = _instant(request, "from")
        resolution = _whole(request, "resolution", 60)
        if start_s is None:
            start_s = end_s - DAY_SECONDS
        if start_s >= end_s:
            raise ApiError(400, "bad_range", "expected `from` before `to`")
        query = HistoryQuery(asset, series, start_s, end_s, resolution)
        response = _json(await self._history(query))
        response.enable_compression()
        return response

    async def _show_evidence(self, request: web.Request) -> web.Response:
        reader, asset, tenor_days, seq = self._wanted(request, {"tenor"})
        return _raw(request, await reader.bundle(asset, tenor_days, seq))

    async def _explain(self, request: web.Request) -> web.Response:
        reader, asset, tenor_days, seq = self._wanted(request, {"tenor", "against"})
        given = request.query.get("against")
        against = None if given is None else int(_check(SEQ, given, "against"))
        return _raw(request, await reader.explain(asset, tenor_days, seq, against))

    def _wanted(
        self, request: web.Request, known: set[str]
    ) -> tuple[EvidenceReader, str, float, int]:
        """Which record's evidence is asked for."""
        if self._evidence is None:
            raise ApiError(404, "no_evidence", "this server keeps no evidence (evidence.enabled)")
        unknown = set(request.query) - known
        if unknown:
            raise ApiError(400, "bad_query", f"unknown parameter {min(unknown)!r}")
        asset = _check(NAME, request.match_info["asset"], "asset")
        seq = int(_check(SEQ, request.match_info["seq"], "seq"))
        tenor = request.query.get("tenor")
        if tenor is None:
            return self._evidence, asset, self._headline_tenor_days, seq
        label = _check(TENOR, tenor if tenor.endswith("d") else f"{tenor}d", "tenor")
        return self._evidence, asset, float(label.removesuffix("d")), seq

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: a snapshot, then whatever changes; newest only."""
        assets = _names(request, "assets", NAME)
        tenors = _names(request, "tenors", TENOR)
        client = self._hub.join(assets, tenors, self._events_after(request))
        if client is None:
            raise ApiError(503, "too_many_streams", "too many streaming clients")
        response = web.StreamResponse(
            headers={
                **SECURITY_HEADERS,
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

    async def _index_page(self, request: web.Request) -> web.Response:
        return _serve(self._page, "index.html", request)

    async def _page_file(self, request: web.Request) -> web.Response:
        return _serve(self._page, request.match_info["name"], request)

    async def _methodology(self, request: web.Request) -> web.Response:
        return _serve(self._document, METHODOLOGY_PAGE, request)

    async def _methodology_file(self, request: web.Request) -> web.Response:
        return _serve(self._document, request.match_info["name"], request)


class _TurnedAway(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # type: ignore[explicit-override]  # 3.11 has no override
        transport.close()


def _logger() -> logging.Logger:
    """Where aiohttp tells of errors in our handlers; a malformed request is no news."""
    logger = logging.getLogger("volgauge.http")
    logger.addFilter(_is_our_fault)
    return logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _serve(assets: Mapping[str, Asset], name: str, request: web.Request) -> web.Response:
    asset = assets.get(name)
    if asset is None:
        raise ApiError(404, "not_found", "no such file")
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers=headers)
    response = web.Response(
        body=asset.body, content_type=asset.content_type, charset="utf-8", headers=headers
    )
    response.enable_compression()
    return response


def _json(body: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _raw(request: web.Request, line: bytes) -> web.Response:
    """A record as it was encoded for everybody."""
    etag = f'"{sha256(line).hexdigest()[:16]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    response = web.Response(body=line, content_type="application/json", headers=headers)
    response.enable_compression()
    return response


def _error(status: int, code: str, message: str) -> web.Response:
    return _json({"error": {"code": code, "message": message}}, status)


def _check(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise ApiError(400, f"bad_{what}", f"{what}: expected {pattern.pattern}")
    return text


def _names(request: web.Request, key: str, pattern: re.Pattern[str]) -> frozenset[str]:
    text = request.query.get(key, "")
    names = [name for name in text.split(",") if name]
    return frozenset(_check(pattern, name, key.rstrip("s")) for name in names)


def _instant(request: web.Request, key: str) -> int | None:
    """Seconds of a query parameter: ISO-8601 or an epoch number."""
    text = request.query.get(key)
    if text is None:
        return None
    try:
        return parse_instant(text) // NANOS_PER_SECOND
    except (ValueError, OverflowError) as error:
        raise ApiError(400, "bad_query", f"{key}: {error}") from error


def _whole(request: web.Request, key: str, default: int) -> int:
    text = request.query.get(key, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ApiError(400, "bad_query", f"{key}: expected a whole number, received {text!r}")
    return int(text)
