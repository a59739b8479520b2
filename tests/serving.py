"""A real HTTP server over a real hub, fed with records that the tests write out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from volgauge.clock import SystemClock
from volgauge.domain.index import (
    ExpirySurface,
    ExpiryValue,
    IndexValue,
    Method,
    Reason,
    Source,
    Status,
    SurfaceValue,
    VenueValue,
    index_code,
)
from volgauge.domain.instrument import Asset, Venue
from volgauge.publish.http import ApiError, HistoryQuery, HttpServer
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
    expiry = ExpiryValue(
        expiry="2026-12-18T08:00:00Z",
        t_years=0.0739,
        minutes=38_880,
        forward=98_123.5,
        k_zero=98_000.0,
        n_strikes=31,
        strip_sum=0.01,
        total_variance=0.0201,
        variance=0.272,
        weight=1.0,
        n_rejected=2,
        rejected={"no_bid": 2},
    )
    return IndexValue(
        code=index_code(asset, 30.0),
        asset=Asset(asset),
        tenor_days=30.0,
        seq=seq,
        value=value,
        bid=None if value is None else value - 0.4,
        ask=None if value is None else value + 0.4,
        strip=value,
        status=status,
        reason=reason,
        event_ns=now_ns - age_ns,
        computed_ns=now_ns,
        n_strikes=31,
        source=Source.SIMULATED,
        expiries=(expiry,),
        venues={Venue("deribit"): VenueValue(value=value, weight=1.0, state="in")},
        mode=Method.NATIVE,
        heartbeat_ms=1000,
    )


def surface_record(asset: str = "BTC") -> SurfaceValue:
    """Two expiries and three tenors."""
    row = ExpirySurface(
        venue=Venue("deribit"),
        expiry="2026-12-18T08:00:00Z",
        t_years=0.0739,
        forward=98_123.5,
        total_variance=0.0201,
        implied_vol=52.2,
        strip=52.1,
        n_strikes=31,
        n_rejected=2,
        rejected={"no_bid": 2},
    )
    return SurfaceValue(
        asset=Asset(asset),
        seq=1,
        event_ns=CLOCK.wall_ns(),
        computed_ns=CLOCK.wall_ns(),
        source=Source.SIMULATED,
        expiries=(row, replace(row, expiry="2027-01-29T08:00:00Z", t_years=0.19, implied_vol=54.0)),
        term={"7d": 51.0, "30d": 52.3, "60d": None},
        index_price=98_000.0,
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
