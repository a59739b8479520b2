"""The doctor's checks of the venues: name, connection, TLS, the venue's time, a websocket's hello.

Step by step, each with its duration, so that the one that fails is named.
"""

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from volgauge.adapters.aevo import endpoints as aevo
from volgauge.adapters.binance import endpoints as binance
from volgauge.adapters.bybit import endpoints as bybit
from volgauge.adapters.delta import endpoints as delta
from volgauge.adapters.deribit import endpoints as deribit
from volgauge.adapters.derive import endpoints as derive
from volgauge.adapters.okx import endpoints as okx
from volgauge.settings import Settings, VenueSettings
from volgauge.terminal.findings import Finding, Level, Step, in_thread

R = TypeVar("R")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
DNS_SECONDS = 3.0
STEP_SECONDS = 3.0
"""One host takes at most what its steps take together; the doctor's own deadline is shorter."""
MAX_BODY_BYTES = 65_536


class Facts(Struct, frozen=True):
    """How to greet a venue."""

    ws_url: str
    rest_url: str
    time_path: str
    """Of its REST interface; tells milliseconds."""
    read_time: Callable[[Any], float]
    """Milliseconds out of the decoded answer; raises what a body of another form raises."""
    hello: str
    """A text that the venue answers; empty: a ping of the websocket protocol."""
    route: str = ""
    """Appended to `ws_url`."""


def _rpc(method: str) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}})


VENUES = {
    "deribit": Facts(
        deribit.WS_URL, deribit.REST_URL, "public/get_time",
        lambda body: float(body["result"]), _rpc("public/test"),
    ),
    "okx": Facts(
        okx.WS_URL, okx.REST_URL, "public/time",
        lambda body: float(body["data"][0]["ts"]), "ping",
    ),
    "bybit": Facts(
        bybit.WS_URL, bybit.REST_URL, "v5/market/time",
        lambda body: float(body["result"]["timeNano"]) / 1e6, '{"op":"ping"}',
    ),
    "binance": Facts(
        binance.WS_URL, binance.REST_URL, "eapi/v1/time",
        lambda body: float(body["serverTime"]), "", binance.PUBLIC_ROUTE,
    ),
    "derive": Facts(
        derive.WS_URL, derive.REST_URL, "public/get_time",
        lambda body: float(body["result"]), _rpc("public/get_time"),
    ),
    "aevo": Facts(
        aevo.WS_URL, aevo.REST_URL, "time",
        lambda body: float(body["timestamp"]) / 1e6, '{"op":"ping","id":1}',
    ),
    "delta": Facts(
        delta.WS_URL, delta.REST_URL, "v2/settings",
        lambda body: float(body["result"]["server_time"]) / 1e3, '{"type":"ping"}',
    ),
}  # fmt: skip
"""Of every venue that the settings know."""


class _Failed(Exception):
    """A step did not succeed; what it says is for a person."""


class Walk:
    """The steps of one check, timed; the first that fails ends it."""

    def __init__(self, check: str) -> None:
        self.check = check
        self.steps: list[Step] = []
        self.skew_seconds: float | None = None

    async def step(self, name: str, work: Awaitable[R], seconds: float = STEP_SECONDS) -> R:
        """Do one step.

        Raises:
            _Failed: It failed, or took too long.
        """
        began = time.perf_counter()
        error = ""
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            error = f"no answer in {seconds:g} s"
        except asyncio.CancelledError:
            error = "no answer before the doctor's deadline"
            raise
        except (OSError, aiohttp.ClientError, WebSocketException, ValueError) as failure:
            error = _words(failure)
        finally:
            spent = (time.perf_counter() - began) * 1000.0
            self.steps.append(Step(name, round(spent, 1), error))
        raise _Failed(error)

    def finding(self) -> Finding:
        """What came of it."""
        done = ", ".join(
            f"{step.name} {step.milliseconds:.0f} ms" for step in self.steps if not step.error
        )
        if not self.steps:
            return self._make(Level.FAIL, "not tried before the doctor's deadline", "Try again.")
        broken = next((step for step in self.steps if step.error), None)
        if broken is None:
            return self._make(Level.OK, done, "")
        found = f"{broken.name} failed: {broken.error}" + (f" ({done})" if done else "")
        return self._make(Level.FAIL, found, _ADVICE[broken.name])

    def _make(self, level: Level, found: str, advice: str) -> Finding:
        return Finding(
            check=self.check,
            level=level,
            found=found,
            advice=advice,
            steps=tuple(self.steps),
            skew_seconds=self.skew_seconds,
        )


_ADVICE = {
    "DNS": "Check the host's name in the settings and this machine's name server.",
    "TCP": "Let this machine reach the port (firewall, proxy), or correct the address.",
    "TLS": "Check the certificate, this machine's clock, and whether something intercepts TLS.",
    "time": "The host answers, but not as the venue's REST interface: check the address; "
    "the venue may be closed to this country.",
    "hello": "The host answers, but not as the venue's websocket: check the address; "
    "the venue may be closed to this country.",
}


def walks(settings: Settings) -> list[tuple[Walk, Awaitable[None]]]:
    """Two checks for every venue that is enabled, prepared to run at the same time."""
    found: list[tuple[Walk, Awaitable[None]]] = []
    for name, facts in VENUES.items():
        venue: VenueSettings = getattr(settings.venues, name)
        if not venue.enabled:
            continue
        rest, stream = Walk(f"{name} REST"), Walk(f"{name} websocket")
        rest_url = f"{(venue.rest_url or facts.rest_url).rstrip('/')}/{facts.time_path}"
        found.append((rest, _walk_rest(rest, rest_url, facts)))
        ws_url = (venue.ws_url or facts.ws_url).rstrip("/") + facts.route
        found.append((stream, _walk_socket(stream, ws_url, facts)))
    return found


async def _walk_rest(walk: Walk, url: str, facts: Facts) -> None:
    try:
        await _approach(walk, url)
        walk.skew_seconds = await walk.step("time", _ask_time(url, facts))
    except _Failed:
        return


async def _walk_socket(walk: Walk, url: str, facts: Facts) -> None:
    try:
        await _approach(walk, url)
        await walk.step("hello", _greet(url, facts))
    except _Failed:
        return


async def _approach(walk: Walk, url: str) -> None:
    """Name, connection and TLS; behind a proxy those are the proxy's business."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme in {"https", "wss"}
    port = parts.port or (443 if secure else 80)
    scheme = "https" if secure else "http"
    if host not in LOOPBACK and scheme in getproxies() and not proxy_bypass(host):
        return
    await walk.step("DNS", _resolve(host, port), DNS_SECONDS)
    await walk.step("TCP", _open(host, port, None))
    if secure:
        await walk.step("TLS", _open(host, port, ssl.create_default_context()))


async def _resolve(host: str, port: int) -> None:
    await in_thread(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)


async def _open(host: str, port: int, context: ssl.SSLContext | None) -> None:
    _, writer = await asyncio.open_connection(host, port, ssl=context)
    writer.transport.abort()


async def _ask_time(url: str, facts: Facts) -> float:
    """The venue's clock less ours in seconds, within half the round trip."""
    async with aiohttp.ClientSession(trust_env=True) as session:
        before = time.time()
        async with session.get(url, allow_redirects=False) as answer:
            body = await answer.content.read(MAX_BODY_BYTES)
            after = time.time()
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
    try:
        told = facts.read_time(msgspec.json.decode(body)) / 1000.0
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError("the answer does not tell a time") from error
    return told - (before + after) / 2.0


async def _greet(url: str, facts: Facts) -> None:
    host = urlsplit(url).hostname
    async with connect(
        url,
        open_timeout=None,
        close_timeout=0.2,
        ping_interval=None,
        proxy=None if host in LOOPBACK else True,
    ) as stream:
        if facts.hello:
            await stream.send(facts.hello)
            await stream.recv()
        else:
            await (await stream.ping())


def _words(error: Exception) -> str:
    """The error without the library's words around it."""
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def median_skew(findings: Iterable[Finding]) -> float | None:
    """The venues' clocks less ours, the one in the middle; None when none told its time."""
    known = sorted(one.skew_seconds for one in findings if one.skew_seconds is not None)
    if not known:
        return None
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2.0
