"""The Delta adapter on real sockets against the simulated Delta: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.delta_lab import make
from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.delta.adapter import DeltaAdapter
from volgauge.adapters.delta.plan import CONNECTIONS
from volgauge.clock import SystemClock
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
from volgauge.domain.instrument import Asset, Instrument, Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_SECOND
from volgauge.errors import VenueError
from volgauge.simulator.delta_venue import DeltaVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.wire.catalog import run_catalog
from volgauge.wire.feed import run_connection
from volgauge.wire.recorder import Recorder
from volgauge.wire.replay import replay

PATIENCE_SECONDS = 30.0


class Replayed:
    """What a replay drives besides the adapters: nothing to compute here."""

    def timer(self, now_ns: int) -> None:
        """Time passed."""

    def flush(self, now_ns: int, only: Asset | None = None) -> None:
        """A burst was over."""


class Running:
    """An adapter whose shells run, and the venue it talks to."""

    def __init__(self, simulator: Simulator, adapter: DeltaAdapter, sink: Sink) -> None:
        dialect = simulator.dialects["delta"]
        assert isinstance(dialect, DeltaVenue)
        self.venue = dialect
        self.adapter = adapter
        self.sink = sink
        self.recorder: Recorder | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.started_seconds = asyncio.get_running_loop().time()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Run the shells of the adapter."""
        clock, recorder = SystemClock(), self.recorder
        catalog = run_catalog(
            self.adapter, clock, lambda: None, jitter=lambda: 0.0, recorder=recorder
        )
        self.tasks = [asyncio.create_task(catalog)]
        self.tasks += [
            asyncio.create_task(
                run_connection(p, clock, lambda: None, jitter=lambda: 0.1, recorder=recorder)
            )
            for p in self.adapter.connections()
        ]
        try:
            yield
        finally:
            for task in self.tasks:
                task.cancel()
            await asyncio.wait(self.tasks)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for a condition, with a deadline."""
        for _ in range(round(PATIENCE_SECONDS / 0.02)):
            if condition():
                return
            for task in self.tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)
        sessions = [(p.connection, p.state, p.counts) for p in self.adapter.connections()]
        raise AssertionError(f"not in time: {sessions}")

    @property
    def listed(self) -> dict[str, tuple[int, Instrument]]:
        """Options by name, with their slots."""
        found: dict[str, tuple[int, Instrument]] = {}
        for event in self.sink.events:
            if isinstance(event, InstrumentsListed):
                pairs = zip(event.instruments, event.slots, strict=True)
                found |= {i.name: (slot, i) for i, slot in pairs}
            elif isinstance(event, InstrumentsExpired):
                gone = set(event.slots)
                found = {n: pair for n, pair in found.items() if pair[0] not in gone}
        return found

    @property
    def newest(self) -> dict[int, tuple[float, ...]]:
        """Bid, ask and sizes by slot."""
        return {quote[0]: quote[1:5] for quote in self.sink.quotes}

    def is_covered(self) -> bool:
        """Every connection lives and has everything it asked for."""
        told = {e.connection: e for e in self.sink.of(Coverage)}
        is_live = all(p.state is State.LIVE for p in self.adapter.connections())
        return (
            is_live
            and set(told) == set(CONNECTIONS)
            and all(e.requested == e.accepted > 0 for e in told.values())
        )

    def tops(self) -> dict[int, tuple[float, ...]]:
        """What the venue would say now of every option, by our slots; sizes in coins."""
        found = {}
        for name, (slot, _) in self.listed.items():
            place, at = self.venue.contracts[name]
            book = self.venue.books[place]
            sizes = [
                lots[at] * book.terms.contract_size if lots[at] else np.nan
                for lots in (book.bid_lots, book.ask_lots)
            ]
            found[slot] = (float(book.bid[at]), float(book.ask[at]), *map(float, sizes))
        return found

    def is_same(self) -> bool:
        """We hold what the venue holds, to the last digit: prices, and sizes behind them."""
        tops, newest = self.tops(), self.newest
        return set(tops) == set(newest) and all(
            np.allclose(newest[slot], tops[slot], rtol=1e-14, atol=0.0, equal_nan=True)
            for slot in tops
        )


@asynccontextmanager
async def running(
    roll_in_seconds: float | None = None,
    recorder: Recorder | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Running]:
    """A market with a slow pace, the venue on it, the adapter connected."""
    options = SimulatorOptions(
        currencies=("BTC",), rate=100.0, seed=11, venues=("delta",), roll_in_seconds=roll_in_seconds
    )
    async with Simulator(options) as simulator:
        sink = Sink()
        adapter = make(
            sink,
            **{
                "ws_url": simulator.ws_url_of("delta"),
                "rest_url": simulator.rest_url_of("delta"),
                "assets": (),
                "compression": False,
                "catalog_refresh_seconds": 1.0,
            }
            | settings,
        )
        run = Running(simulator, adapter, sink)
        run.recorder = recorder
        async with run.connected():
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
