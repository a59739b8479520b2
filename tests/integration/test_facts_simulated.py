"""Volumes and perpetuals of every simulated venue, on real sockets: each is the market's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isfinite

import pytest

from fakes.deribit_lab import Sink
from volgauge.clock import SystemClock
from volgauge.domain.events import InstrumentsListed, PerpetualState, TradedVolume
from volgauge.domain.instrument import Asset, Venue
from volgauge.pipeline import VENUES
from volgauge.settings import VenueSettings
from volgauge.simulator.board import Board
from volgauge.simulator.delta_venue import DeltaVenue
from volgauge.simulator.market import Market
from volgauge.simulator.perpetual import perpetual_of
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.wire.catalog import run_catalog
from volgauge.wire.feed import run_connection

PATIENCE_SECONDS = 40.0
NAMES = tuple(str(venue) for venue in VENUES)
QUOTES = {
    "deribit": {"USD": 1.0}, "okx": {"USD": 0.2, "USDT": 0.8},
    "bybit": {"USD": 0.1, "USDT": 0.9}, "binance": {"USDT": 1.0}, "derive": {"USDC": 1.0},
    "aevo": {"USDC": 1.0}, "delta": {"USDT": 1.0},
}  # fmt: skip
"""Quote currencies of a coin's perpetuals, and each one's share of the venue's open interest."""
SIZES = {"okx": 0.5}
"""Share of the market's volume that an option of the venue has; 1 unless told."""
WITHOUT_VOLUMES = frozenset({"aevo"})
"""Venues that tell the volume of each option by itself only, which is a request for each."""


@asynccontextmanager
async def running(name: str) -> AsyncIterator[tuple[Simulator, Sink]]:
    """The venue, its adapter, and the shells between them."""
    others = () if name == "deribit" else (name,)
    options = SimulatorOptions(currencies=("BTC",), rate=200.0, seed=11, venues=others)
    async with Simulator(options) as simulator:
        sink, clock = Sink(), SystemClock()
        is_first = name == "deribit"
        settings = VenueSettings(
            ws_url=simulator.ws_url if is_first else simulator.ws_url_of(name),
            rest_url=simulator.rest_url if is_first else simulator.rest_url_of(name),
            assets=(Asset("BTC"),),
            compression=False,
        )
        adapter = VENUES[Venue(name)].build(settings, sink)
        tasks = [asyncio.create_task(run_catalog(adapter, clock, _nothing))]
        tasks += [
            asyncio.create_task(run_connection(protocol, clock, _nothing))
            for protocol in adapter.connections()
        ]
        try:
            yield simulator, sink
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def volumes_of(name: str, listed: set[int]) -> set[int]:
    """Slots whose volume the venue tells."""
    return set() if name in WITHOUT_VOLUMES else listed


def board_of(simulator: Simulator, name: str) -> Board:
    """Where the venue's volumes come from: the market's board, or a listing of its own."""
    host = simulator.dialects.get(name)
    return host.books[0].board if isinstance(host, DeltaVenue) else simulator.venue.source.boards[0]


def _nothing() -> None:
    """Nobody computes here."""


@pytest.mark.parametrize("name", NAMES)
async def test_every_venue_tells_volumes_and_perpetuals(name: str) -> None:
    """In coins and for eight hours, whatever the venue's units are."""
    async with running(name) as (simulator, sink):
        told: set[str] = set()
        slots: set[int] = set()
        listed: set[int] = set()
        for _ in range(round(PATIENCE_SECONDS / 0.02)):
            told = {event.quote_currency for event in sink.of(PerpetualState)}
            slots = {slot for event in sink.of(TradedVolume) for slot in event.slots}
            listed = {slot for event in sink.of(InstrumentsListed) for slot in event.slots}
            if told == set(QUOTES[name]) and listed and slots == volumes_of(name, listed):
                break
            await asyncio.sleep(0.02)
        market = simulator.venue.source
        assert isinstance(market, Market)
        board = market.boards[0]
        expected = perpetual_of(board, name)
        made = board_of(simulator, name)
        volumes = {option.strike: 0.0 for option in made.options}
        for slot, option in enumerate(made.options):
            volumes[option.strike] += float(made.volume[slot])
        instruments = {
            slot: instrument
            for event in sink.of(InstrumentsListed)
            for slot, instrument in zip(event.slots, event.instruments, strict=True)
        }

    assert told == set(QUOTES[name])
    assert listed != set()
    assert slots == volumes_of(name, listed)
    for event in sink.of(PerpetualState):
        assert event.asset == "BTC"
        # The market has moved since, and the venue prints few digits.
        assert event.funding_rate == pytest.approx(expected.funding, abs=2e-6)
        share = QUOTES[name][event.quote_currency]
        assert event.open_interest == pytest.approx(share * expected.coins, rel=0.02)
    received: dict[str, dict[float, float]] = {}
    newest = {
        slot: amount
        for event in sink.of(TradedVolume)
        for slot, amount in zip(event.slots, event.amounts, strict=True)
    }
    for slot, amount in newest.items():
        assert isfinite(amount)
        instrument = instruments[slot]
        book = received.setdefault(instrument.quote_currency, {})
        book[instrument.strike] = book.get(instrument.strike, 0.0) + amount
    for book in received.values():
        wanted = {strike: SIZES.get(name, 1.0) * volumes[strike] for strike in book}
        assert book == pytest.approx(wanted, abs=0.2)
        assert sum(book.values()) == pytest.approx(sum(wanted.values()), rel=1e-3)
        assert sum(book.values()) > 0.0
