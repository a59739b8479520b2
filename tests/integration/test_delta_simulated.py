"""The Delta adapter on real sockets against the simulated Delta: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.delta_lab import make
from fakes.deribit_lab import Sink
from integration.shells import Replayed, Shells, connected
from volgauge.adapters.delta.adapter import DeltaAdapter
from volgauge.adapters.delta.plan import CONNECTIONS
from volgauge.domain.events import (
    Coverage,
    FeedDown,
    FeedUp,
    ForwardMark,
    IndexPrice,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    PerpetualState,
    TradedVolume,
    VenueState,
)
from volgauge.domain.instrument import Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_SECOND
from volgauge.errors import VenueError
from volgauge.simulator.delta_venue import DeltaVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import SimulatorOptions
from volgauge.wire.recorder import Recorder
from volgauge.wire.replay import replay

SETTINGS: dict[str, Any] = {"assets": (), "catalog_refresh_seconds": 1.0}
"""Of the adapter, where a test does not say otherwise."""


class Running(Shells[DeltaVenue, DeltaAdapter]):
    """The simulated venue, its adapter, and the shells between them."""


@asynccontextmanager
async def running(
    *,
    roll_in_seconds: float | None = None,
    recorder: Recorder | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Running]:
    """A market with a slow pace, the venue on it, the adapter connected."""
    options = SimulatorOptions(
        currencies=("BTC",), rate=100.0, seed=11, venues=("delta",), roll_in_seconds=roll_in_seconds
    )
    async with connected(
        Running,
        make,
        options,
        recorder,
        **SETTINGS | settings,
    ) as run:
        yield run


async def test_delta_listing_has_the_terms_of_the_market() -> None:
    """Every contract's terms; all expire at noon."""
    async with running() as run:
        await run.until(run.is_covered)
        listed = run.listed

        assert set(listed) == set(run.venue.contracts)
        assert len(listed) > 250
        for name, (_, instrument) in listed.items():
            place, slot = run.venue.contracts[name]
            board, terms = run.venue.books[place].board, run.venue.families[place].terms
            option = board.options[slot]
            assert (instrument.asset, instrument.quote_currency) == ("BTC", "USDT")
            assert instrument.strike == option.strike
            assert instrument.expiry_ns == option.expiry.expiry_ns
            assert instrument.expiry_ns % NANOS_PER_DAY == 12 * NANOS_PER_HOUR
            assert (instrument.kind.value == "C") == option.is_call
            assert instrument.premium is Premium.QUOTE
            assert (instrument.contract_size, instrument.tick_size) == (0.001, terms.tick_size)
            assert instrument.listed_ns == option.listed_ns // NANOS_PER_SECOND * NANOS_PER_SECOND


async def test_delta_quotes_are_the_venues() -> None:
    """Near options and far ones, both sides with sizes in coins, or absent."""
    async with running() as run:
        await run.until(run.is_covered)
        run.venue.lies = Lies(frozen=True)
        await run.until(run.is_same)

        assert run.sink.of(FeedDown) == []
        counts = [p.counts for p in run.adapter.connections()]
        assert not any(key.startswith("rejected") for count in counts for key in count)


async def test_delta_premiums_are_those_of_the_market() -> None:
    """Marks are its surface at strikes and expiries of the venue's own; no forward is told."""
    async with running() as run:
        await run.until(run.is_covered)
        slots = {slot for slot, _ in run.listed.values()}
        await run.until(lambda: {s for e in run.sink.of(MarkQuote) for s in e.slots} >= slots)
        marks: dict[int, float] = {}
        for event in run.sink.of(MarkQuote):
            marks |= dict(zip(event.slots, event.prices, strict=True))
        (book,) = run.venue.books

        assert run.sink.of(ForwardMark) == []
        index = run.sink.of(IndexPrice)[-1]
        assert index.price == pytest.approx(book.source.index_price, rel=2e-3)
        for name, (slot, _) in run.listed.items():
            at = np.array([run.venue.contracts[name][1]])
            fair = float(book.fair(at)[0])
            moved = 3e-3 * book.source.index_price
            assert marks[slot] == pytest.approx(fair, abs=moved)


async def test_delta_amounts_are_the_markets() -> None:
    """Open interest and volume in coins; the perpetual over REST."""
    async with running() as run:
        await run.until(run.is_covered)
        slots = {slot for slot, _ in run.listed.values()}
        await run.until(
            lambda: (
                {s for e in run.sink.of(OpenInterest) for s in e.slots} >= slots
                and {s for e in run.sink.of(TradedVolume) for s in e.slots} >= slots
            )
        )
        held: dict[int, float] = {}
        traded: dict[int, float] = {}
        for event in run.sink.events:
            if isinstance(event, OpenInterest):
                held |= dict(zip(event.slots, event.amounts, strict=True))
            elif isinstance(event, TradedVolume):
                traded |= dict(zip(event.slots, event.amounts, strict=True))
        (book,) = run.venue.books

        for name, (slot, _) in run.listed.items():
            at = run.venue.contracts[name][1]
            assert held[slot] == pytest.approx(book.board.open_interest[at], abs=5e-5)
            assert traded[slot] == pytest.approx(book.board.volume[at])
        state = run.sink.of(PerpetualState)[-1]
        assert (state.asset, state.quote_currency) == ("BTC", "USDT")
        assert state.open_interest > 0.0
        assert abs(state.funding_rate) < 1e-2


async def test_recorded_delta_replays_as_the_same_events(tmp_path: Path) -> None:
    """Catalogs, three sessions, deadlines: the same program from files."""
    recorder = Recorder(tmp_path)
    async with running(recorder=recorder) as run:
        await run.until(run.is_covered)
        await asyncio.sleep(1.5)
        live = run.sink
    await recorder.write()
    again = Sink()
    adapter = make(again, assets=(), catalog_refresh_seconds=1.0)
    refused: list[VenueError] = []
    replay(tmp_path, {adapter.venue: adapter}, Replayed(), refused.append)

    assert refused == []
    assert again.quotes == live.quotes
    assert again.events == live.events
    assert len(again.quotes) > 300


async def test_refused_delta_channels_are_told_as_uncovered() -> None:
    """A tenth of the symbols is left out of every answer; the rest is served."""
    async with running() as run:
        run.venue.faults = Faults(refuse=0.1)
        await run.until(lambda: len(run.sink.of(Coverage)) >= len(CONNECTIONS))

        requested = sum(event.requested for event in run.sink.of(Coverage))
        accepted = sum(event.accepted for event in run.sink.of(Coverage))
        assert 0.7 < accepted / requested < 1.0
        assert sum(p.counts["channels_uncovered"] for p in run.adapter.connections()) > 0


async def test_delta_maintenance_is_told_and_ends() -> None:
    """Announced; everybody is cut off, and comes back; that it is over is polled."""
    async with running() as run:
        await run.until(run.is_covered)
        age = asyncio.get_running_loop().time() - run.started_seconds
        run.venue.faults = Faults(maintenance_after_seconds=age + 0.2, maintenance_seconds=2.5)
        await run.until(lambda: any(e.maintenance for e in run.sink.of(VenueState)))
        await run.until(lambda: run.sink.of(FeedDown))
        await run.until(lambda: not run.sink.of(VenueState)[-1].maintenance)
        await run.until(run.is_covered)

        assert [e.maintenance for e in run.sink.of(VenueState)] == [True, False]


async def test_silent_delta_is_left_although_its_heart_beats() -> None:
    """Heartbeats are no data."""
    async with running(reconnect_after_seconds=1.5) as run:
        await run.until(lambda: run.sink.of(FeedUp))
        run.venue.lies = Lies(silent=True)
        await run.until(lambda: run.sink.of(FeedDown))

        assert {event.reason for event in run.sink.of(FeedDown)} == {"feed_stale"}


async def test_delta_rolls_four_hours_after_the_market() -> None:
    """The nearest options go at that instant, and new ones come when they are asked for."""
    twenty_hours = 20 * 3600.0
    async with running(roll_in_seconds=twenty_hours + 6.0) as run:
        await run.until(run.is_covered)
        first = run.sink.of(InstrumentsListed)[0]
        nearest_ns = min(i.expiry_ns for i in first.instruments)
        await run.until(lambda: run.sink.of(InstrumentsExpired))
        await run.until(lambda: len(run.listed) > len(first.slots) - 30)

        expired = run.sink.of(InstrumentsExpired)[0]
        assert len(expired.slots) == sum(i.expiry_ns == nearest_ns for i in first.instruments)
        assert 0 <= expired.received_ns - nearest_ns < NANOS_PER_SECOND
        market_ns = min(e.expiry_ns for e in run.venue.market.boards[0].expiries)
        # The venue tells its instants in whole seconds.
        assert 0 <= market_ns - nearest_ns - 20 * NANOS_PER_HOUR < NANOS_PER_SECOND
