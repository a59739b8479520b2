"""A market, an engine with evidence and the real HTTP side in one process, for the live page."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import sin

from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from fakes.evidence_lab import Lab
from fakes.readings import TENOR, analytics_value, coupling_value
from golden.market_feed import VENUE
from serving import CLOCK, index_record, surface_record
from volgauge.domain.analytics import AnalyticsValue
from volgauge.domain.index import IndexValue, SurfaceValue
from volgauge.domain.units import NANOS_PER_SECOND, format_instant
from volgauge.offline.explain import explain
from volgauge.publish.api import HistoryQuery
from volgauge.publish.evidence import EvidenceDesk
from volgauge.publish.holdings import HoldingsDesk
from volgauge.publish.http import HttpServer
from volgauge.publish.hub import Hub
from volgauge.publish.record import Record
from volgauge.publish.smile_desk import SmileDesk
from volgauge.settings import HttpSettings
from volgauge.surface.surface import Surface

TENORS = {"7d": -2.0, "14d": -1.2, "30d": 0.0, "60d": 0.8, "90d": 1.4, "180d": 2.0}
"""Constant tenors and how far their readings lie from the 30-day one."""
PARTS = {"30d.bid": -0.8, "30d.ask": 0.8, "30d.deribit": 0.3, "30d.okx:USDC": -0.3}
"""Of the headline, likewise."""
RESOLUTIONS = (1, 60, 3_600, 86_400)


class Stage:
    """What a test of the page works with."""

    def __init__(self, lab: Lab | None) -> None:
        self.hub = Hub(CLOCK)
        self.lab = lab
        self.url = ""
        self.resolutions: tuple[int, ...] = RESOLUTIONS
        """Of what the history is said to hold."""

    def run(self, seconds: float) -> list[IndexValue]:
        """Let the market move and hand over what the engine says; its headline records."""
        lab = self.lab
        assert lab is not None
        found = []
        for _ in range(round(seconds * NANOS_PER_SECOND / lab.market.step_ns)):
            before = lab.market.now_ns
            step = lab.market.advance()
            lab.feed.step(step)
            if before // NANOS_PER_SECOND != step.now_ns // NANOS_PER_SECOND:
                for board in lab.market.boards:
                    lab.feed.state(board, step.now_ns)
            lab.engine.timer(step.now_ns)
            for record in lab.engine.recompute(step.now_ns):
                self.hub.offer(record)
                if isinstance(record, IndexValue) and record.tenor_days == 30.0:
                    found.append(record)
        lab.seal()
        return found

    async def history(self, query: HistoryQuery) -> dict[str, object]:
        """Waves, so that candles look like candles; only the newest 300."""
        step = query.resolution_seconds
        first = max(query.start_s, query.end_s - 300 * step) // step * step
        candles = []
        for opened in range(first, query.end_s, step):
            level, after = (wave(query.series, at, step) for at in (opened, opened + step))
            low, high = min(level, after) - 0.1, max(level, after) + 0.1
            candles.append(
                {"opened_s": opened, "open": level, "high": high, "low": low, "close": after}
            )
        return {"asset": query.asset, "series": query.series, "candles": candles}

    async def held(self, asset: str) -> dict[str, tuple[int, ...]]:
        """Every tenor and part at every resolution, of BTC and ETH alone."""
        kept = [*TENORS, *PARTS]
        return dict.fromkeys(kept, self.resolutions) if asset in {"BTC", "ETH"} else {}

    def books(self, asset: str) -> list[tuple[str, Surface]]:
        """The one option book of the market."""
        if self.lab is None:
            return []
        books = self.lab.engine.sink(VENUE).books
        return [(str(VENUE), book) for key, book in books.items() if key.asset == asset]


@asynccontextmanager
async def on_stage(
    *, port: int = 0, lab: Lab | None = None, about: dict[str, object] | None = None
) -> AsyncIterator[Stage]:
    """Serve on loopback."""
    stage = Stage(lab)
    evidence = None
    if lab is not None:
        evidence = EvidenceDesk(lab.keeper, epoch=lambda: stage.hub.epoch, explain=explain)
    told = {"version": "test", "methodology": "0", "mode": "native", "source": "simulated"}
    server = HttpServer(
        HttpSettings(port=port),
        stage.hub,
        CollectorRegistry(),
        CLOCK,
        reasons_not_ready=list,
        history=stage.history,
        evidence=evidence,
        about={**told, "evidence": lab is not None, **(about or {})},
        routes=[
            *SmileDesk(stage.books, CLOCK).routes(),
            *HoldingsDesk(stage.held).routes(),
        ],
    )
    await server.start()
    stage.url = server.url
    try:
        yield stage
    finally:
        await server.stop()


def market_lab() -> Lab:
    """A market that begins now."""
    start = format_instant(time.time_ns() // NANOS_PER_SECOND * NANOS_PER_SECOND)
    return Lab(start=start, tenors_days=(7.0, 30.0, 60.0))


def wave(series: str, at: int, step: int) -> float:
    """The made-up past of a series."""
    return 52.0 + {**TENORS, **PARTS}[series] + sin(at / step / 9)


def everything(seq: int, *, assets: tuple[str, ...] = ("BTC", "ETH")) -> list[Record]:
    """One round of records of every kind, slowly moving."""
    made: list[Record] = []
    for number, asset in enumerate(assets):
        value = 52.0 + 3 * number + sin(seq / 40 + number)
        made.append(index_record(seq, value, asset=asset))
        made.append(replace(surface(asset, value), seq=seq))
        made.append(readings(seq, asset, value))
    made.append(coupling_value(seq, computed_ns=CLOCK.wall_ns()))
    return made


def surface(asset: str, value: float) -> SurfaceValue:
    """Six constant tenors around a value."""
    term: dict[str, float | None] = {tenor: value + by for tenor, by in TENORS.items()}
    return replace(surface_record(asset), term=term)


def readings(seq: int, asset: str, value: float) -> AnalyticsValue:
    """Every constant tenor of the surface around a value."""
    tenors = tuple(
        replace(
            TENOR,
            tenor=tenor,
            atm=value + by,
            put_10=value + by + 6.0 - by,
            put_25=value + by + 2.4 - by / 3,
            call_25=value + by + 0.4,
            call_10=value + by + 2.6,
        )
        for tenor, by in TENORS.items()
    )
    record = analytics_value(seq, asset=asset, computed_ns=CLOCK.wall_ns(), value=value)
    return replace(record, tenors=tenors)
