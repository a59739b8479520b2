"""The HTTP side: metrics, health, the records as JSON and as a stream, and the live page.

The server binds, guards and answers errors; what it answers is in route groups (`site`, `api`,
`stream`, and what the composition root adds). Answers to bad requests are typed:
`{"error": {"code": ..., "message": ...}}`. There is no authentication, so the server binds to
loopback unless the settings say otherwise, and then still refuses foreign Host headers on
loopback (DNS rebinding).
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler
from prometheus_client import CollectorRegistry

from volgauge.clock import Clock
from volgauge.publish.answers import ApiError, error_answer, only
from volgauge.publish.api import Api, EvidenceReader, HistoryReader
from volgauge.publish.hub import Hub
from volgauge.publish.openapi import known_parameters
from volgauge.publish.reference import Reference
from volgauge.publish.site import Site
from volgauge.publish.stream import Stream
from volgauge.settings import HttpSettings

MAX_CONNECTIONS = 512
"""File descriptors are shared with the venues' sockets and Redis."""
IDLE_SECONDS = 30.0
"""A connection without a complete request for this long is closed."""
MAX_HEADER_BYTES = 16_384
MAX_TARGET_BYTES = 4_096
"""Path and query; a longer one is 414."""
MAX_LINE_BYTES = 65_536
"""So much of a request line is read to be refused in our own words."""
SHUTDOWN_SECONDS = 0.5
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


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
        routes: Iterable[web.RouteDef] = (),
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
            routes: More route groups.
        """
        self.url = ""
        """Where the server answers, after `start`."""
        self._settings = settings
        self._hub = hub
        api = Api(
            hub,
            clock,
            history=history,
            about=about,
            evidence=evidence,
            headline_tenor_days=headline_tenor_days,
        )
        groups = [
            *Site(registry, reasons_not_ready).routes(),
            *api.routes(),
            *Stream(hub, clock, SECURITY_HEADERS).routes(),
            *routes,
        ]
        explanation = evidence.explanation if evidence is not None else dict[str, Any]
        self._routes = [*groups, *Reference(groups, explanation).routes()]
        self._parameters = known_parameters(explanation)
        self._runner: web.AppRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and listen.

        Raises:
            OSError: The address cannot be bound.
        """
        app = web.Application(middlewares=[self._guard], client_max_size=65_536)
        app.add_routes(self._routes)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_logger(),
            keepalive_timeout=IDLE_SECONDS,
            shutdown_timeout=SHUTDOWN_SECONDS,
            max_line_size=MAX_LINE_BYTES,
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
            self._check_target(request)
            response = await handler(request)
        except ApiError as error:
            response = error_answer(error.status, error.code, str(error))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            response = error_answer(
                error.status, error.reason.lower().replace(" ", "_"), error.reason
            )
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        if not response.prepared:
            response.headers.update(SECURITY_HEADERS)
        return response

    def _check_host(self, request: web.Request) -> None:
        host = re.sub(r":\d+$", "", request.host)
        if not self._settings.allow_public and host not in LOOPBACK:
            raise ApiError(421, "misdirected_request", "expected a loopback Host header")

    def _check_target(self, request: web.Request) -> None:
        """Nothing endless, nothing twice, and of ours no parameter that nobody reads."""
        if len(request.raw_path) > MAX_TARGET_BYTES:
            raise ApiError(414, "uri_too_long", f"expected at most {MAX_TARGET_BYTES} bytes")
        query = request.query
        if len(query) != len(set(query)):
            twice = next(name for name in query if len(query.getall(name)) > 1)
            raise ApiError(400, "bad_query", f"parameter {twice!r} is given twice")
        resource = request.match_info.route.resource
        known = self._parameters.get(resource.canonical) if resource is not None else None
        if known is not None:
            only(request, known)


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
