"""A real HTTP server over a real hub, fed with records that the tests write out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from fakes.records import index_value, surface_value
from volgauge.clock import SystemClock
from volgauge.domain.index import IndexValue, Reason, Status, SurfaceValue
from volgauge.publish.answers import ApiError
from volgauge.publish.api import HistoryQuery
from volgauge.publish.http import HttpServer
from volgauge.publish.hub import Hub
from volgauge.settings import HttpSettings
from volgauge.telemetry.metrics import Metrics

CLOCK = SystemClock()


class Served:
    """What a test works with."""

    def __init__(self, server: HttpServer, hub: Hub, metrics: Metrics) -> None:
        self.server = server
        self.hub = hub
        self.metrics = metrics
        self.reasons: list[str] = []

    @property
    def url(self) -> str:
        """Root of the server."""
        return self.server.url


def index_record(
    seq: int,
    value: float | None,
    *,
    asset: str = "BTC",
    status: Status = Status.SINGLE_VENUE,
    reason: Reason | None = None,
    age_ns: int = 0,
) -> IndexValue:
    """A 30-day record as the engine would emit it now."""
    now_ns = CLOCK.wall_ns()
    return replace(
        index_value(seq, asset=asset, value=value, status=status, computed_ns=now_ns),
        bid=None if value is None else value - 0.4,
        ask=None if value is None else value + 0.4,
        reason=reason,
        event_ns=now_ns - age_ns,
    )


def surface_record(asset: str = "BTC") -> SurfaceValue:
    """Two expiries and three tenors."""
    record = surface_value(1, asset=asset)
    row = record.expiries[0]
    return replace(
        record,
        event_ns=CLOCK.wall_ns(),
        computed_ns=CLOCK.wall_ns(),
        expiries=(row, replace(row, expiry="2027-01-29T08:00:00Z", t_years=0.19, implied_vol=54.0)),
        term={"7d": 51.0, "30d": 52.3, "60d": None},
        venue_index=52.4,
    )


async def _history(query: HistoryQuery) -> dict[str, object]:
    if query.asset != "BTC":
        raise ApiError(404, "no_history", "nothing is stored")
    candle = {"opened_s": query.start_s, "open": 50.0, "high": 51.0, "low": 49.0, "close": 50.5}
    return {"asset": "BTC", "series": query.series, "candles": [candle]}


@asynccontextmanager
async def serve(*, port: int = 0, with_history: bool = True) -> AsyncIterator[Served]:
    """Start a server on loopback."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, version="test")
    hub = Hub(CLOCK)
    reasons: list[str] = []
    server = HttpServer(
        HttpSettings(port=port),
        hub,
        registry,
        CLOCK,
        reasons_not_ready=lambda: reasons,
        history=_history if with_history else None,
        about={"version": "test", "methodology": "0", "mode": "native", "source": "simulated"},
    )
    await server.start()
    served = Served(server, hub, metrics)
    served.reasons = reasons
    try:
        yield served
    finally:
        await server.stop()
