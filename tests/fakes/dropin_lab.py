"""A real HTTP server whose drop-in endpoints stand on a real hub and a real candle file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from fakes.records import index_value
from volgauge.app import history_reader
from volgauge.clock import SystemClock
from volgauge.domain.history import Candle
from volgauge.domain.index import IndexValue, Reason, Source, Status
from volgauge.history.keeper import HistoryKeeper
from volgauge.history.store import HistoryStore
from volgauge.publish.dropin import DropIn
from volgauge.publish.holdings import HoldingsDesk
from volgauge.publish.http import HttpServer
from volgauge.publish.hub import Hub
from volgauge.publish.udf import Udf
from volgauge.settings import HttpSettings

CLOCK = SystemClock()
HEADLINE = "30d"
DAY = 86_400
START = 20_000 * DAY
"""Where the candles of the tests begin."""


class Lab:
    """What a test works with."""

    def __init__(
        self, server: HttpServer, hub: Hub, keeper: HistoryKeeper, drop_in: DropIn
    ) -> None:
        self.server = server
        self.hub = hub
        self.keeper = keeper
        self.drop_in = drop_in

    @property
    def url(self) -> str:
        """Root of the server."""
        return self.server.url

    @property
    def socket_url(self) -> str:
        """The websocket endpoint."""
        return f"{self.url.replace('http', 'ws', 1)}/ws/api/v2"

    async def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a plain request."""
        async with ClientSession() as client, client.get(f"{self.url}{path}") as response:
            return response.status, await response.read()


def record_now(
    value: float | None,
    *,
    asset: str = "BTC",
    tenor_days: float = 30.0,
    status: Status = Status.OK,
    reason: Reason | None = None,
    age_ns: int = 0,
) -> IndexValue:
    """A record as the engine would emit it now, or did `age_ns` ago."""
    computed_ns = CLOCK.wall_ns() - age_ns
    record = index_value(
        1,
        asset=asset,
        tenor_days=tenor_days,
        value=value,
        status=status,
        computed_ns=computed_ns,
    )
    return replace(record, reason=reason)


def flat(count: int, *, seconds: int, start: int = START) -> list[Candle]:
    """Candles without a gap; each opens one hundredth above the one before."""
    return [
        Candle(start + seconds * i, 50 + i / 100, 51 + i / 100, 49 + i / 100, 50.5 + i / 100)
        for i in range(count)
    ]


@asynccontextmanager
async def serve_dropin(
    folder: Path,
    *,
    with_history: bool = True,
    source: Source = Source.SIMULATED,
    configured: tuple[str, ...] = ("BTC", "ETH"),
    any_origin: bool = False,
) -> AsyncIterator[Lab]:
    """Start a server on loopback, with an empty candle file in a folder."""
    hub = Hub(CLOCK)
    keeper = HistoryKeeper(HistoryStore(folder / "history.sqlite"), source, headline=HEADLINE)
    await keeper.open()
    candles = history_reader(keeper) if with_history else None
    drop_in = DropIn(
        hub,
        CLOCK,
        candles=candles,
        headline=HEADLINE,
        configured=configured,
        source=source,
        any_origin=any_origin,
    )
    udf = Udf(
        hub,
        CLOCK,
        candles=candles,
        catalogue=keeper.catalogue if with_history else None,
        headline=HEADLINE,
        any_origin=any_origin,
    )
    server = HttpServer(
        HttpSettings(port=0),
        hub,
        CollectorRegistry(),
        CLOCK,
        reasons_not_ready=list,
        history=candles,
        about={},
        routes=[*HoldingsDesk(keeper.held).routes(), *drop_in.routes(), *udf.routes()],
    )
    await server.start()
    try:
        yield Lab(server, hub, keeper, drop_in)
    finally:
        await server.stop()
        await keeper.close()
