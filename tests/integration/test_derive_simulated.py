"""The Derive adapter on real sockets against the simulated Derive: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from math import floor, isnan
from typing import Any

import numpy as np
import pytest

from fakes.deribit_lab import Sink
from fakes.derive_lab import make
from volgauge.adapters.base import State
from volgauge.adapters.derive.adapter import DeriveAdapter
from volgauge.adapters.derive.plan import CONNECTIONS
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
    VenueState,
)
from volgauge.domain.instrument import Instrument, Premium
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator.derive_venue import DeriveVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.wire.catalog import run_catalog
from volgauge.wire.feed import run_connection

PATIENCE_SECONDS = 20.0


class Running:
    """An adapter whose shells run, and the venue it talks to."""

    def __init__(self, simulator: Simulator, adapter: DeriveAdapter, sink: Sink) -> None:
        dialect = simulator.dialects["derive"]
        assert isinstance(dialect, DeriveVenue)
        self.venue = dialect
        self.adapter = adapter
        self.sink = sink
        self.tasks: list[asyncio.Task[None]] = []
        self.started_seconds = asyncio.get_running_loop().time()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Run the shells of the adapter."""
        clock = SystemClock()
        catalog = run_catalog(self.adapter, clock, lambda: None, jitter=lambda: 0.0)
        self.tasks = [asyncio.create_task(catalog)]
        self.tasks += [
            asyncio.create_task(run_connection(p, clock, lambda: None, jitter=lambda: 0.1))
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
        """What the venue would say now of every option, undiscounted, by our slots."""
        found = {}
        for name, (slot, _) in self.listed.items():
            place, at = self.venue.contracts[name]
            book = self.venue.books[place]
            numerator, denominator = book.terms.min_amount
            factor = floor(book.factors()[book.board.expiry_of[at]] * 1_000) / 1_000 + 0.0005
            sizes = [
                lots[at] * numerator / denominator if lots[at] else np.nan
                for lots in (book.bid_lots, book.ask_lots)
            ]
            prices = [float(side[at]) / factor for side in (book.bid, book.ask)]
            found[slot] = (*prices, *map(float, sizes))
        return found

    def is_same(self) -> bool:
        """We hold what the venue holds, to the last digit: prices, and sizes behind them."""
        tops, newest = self.tops(), self.newest
        return set(tops) == set(newest) and all(
            np.allclose(newest[slot], tops[slot], rtol=1e-14, atol=0.0, equal_nan=True)
            for slot in tops
        )


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[Running]:  # noqa: ANN401 - any setting
    """A market with a slow pace, the venue on it, the adapter connected."""
    options = SimulatorOptions(
        currencies=("BTC", "SOL_USDC"), rate=400.0, seed=11, venues=("derive",)
    )
    async with Simulator(options) as simulator:
        sink = Sink()
        adapter = make(
            sink,
            **{
                "ws_url": simulator.ws_url_of("derive"),
                "rest_url": simulator.rest_url_of("derive"),
                "assets": (),
                "compression": False,
                "catalog_refresh_seconds": 1.0,
            }
            | settings,
        )
        run = Running(simulator, adapter, sink)
        async with run.connected():
            yield run


async def test_derive_listing_has_the_terms_of_the_market() -> None:
    """All coins, discovered, in as many pages as there are; every contract's terms."""
    async with running() as run:
        await run.until(run.is_covered)
        listed = run.listed

        assert set(listed) == set(run.venue.contracts)
        assert len(listed) > 1_000
        for name, (_, instrument) in listed.items():
            place, slot = run.venue.contracts[name]
            family, board = run.venue.families[place], run.venue.books[place].board
            option = board.options[slot]
            assert instrument.asset == board.terms.asset
            assert instrument.quote_currency == "USDC"
            assert instrument.strike == option.strike
            assert instrument.expiry_ns == option.expiry.expiry_ns
            assert (instrument.kind.value == "C") == option.is_call
            assert instrument.premium is Premium.QUOTE
            assert instrument.contract_size == 1.0
            assert instrument.tick_size == family.terms.tick_size
            assert instrument.listed_ns == option.listed_ns // NANOS_PER_SECOND * NANOS_PER_SECOND
        assert {instrument.asset for _, instrument in listed.values()} == {"BTC", "SOL"}


async def test_derive_quotes_are_the_venues() -> None:
    """Near options and far ones, both sides with sizes, or absent; undiscounted."""
    async with running() as run:
        await run.until(run.is_covered)
        run.venue.lies = Lies(frozen=True)
        await run.until(run.is_same)

        assert sum(isnan(bid) for bid, *_ in run.tops().values()) > 0
        assert run.sink.of(FeedDown) == []
        counts = [p.counts for p in run.adapter.connections()]
        assert not any(key.startswith("rejected") for count in counts for key in count)


async def test_derive_premiums_are_those_of_the_market() -> None:
    """Marks, undiscounted, are the market's premium to a tick and half a digit of the factor.

    Read as they are printed, those of a year would be three per cent too low.
    """
    async with running(assets=("BTC",)) as run:
        await run.until(run.is_covered)
        run.venue.lies = Lies(frozen=True)
        await run.until(lambda: len(run.sink.of(MarkQuote)) > 12)
        listed = run.listed
        (board,) = [b for b in run.venue.market.boards if b.terms.asset == "BTC"]

        forwards = {e.expiry_ns: e.price for e in run.sink.of(ForwardMark)}
        assert set(forwards) == {i.expiry_ns for _, i in listed.values()}
        for expiry_ns, price in forwards.items():
            place = [e.expiry_ns for e in board.expiries].index(expiry_ns)
            assert price == pytest.approx(board.forward[place], rel=2e-3)
        index = run.sink.of(IndexPrice)[-1]
        assert index.price == pytest.approx(board.index_price, rel=2e-3)
        marks: dict[int, float] = {}
        for event in run.sink.of(MarkQuote):
            marks |= dict(zip(event.slots, event.prices, strict=True))
            assert all(isnan(vol) or 0.05 < vol < 5.0 for vol in event.implied_vols)
        checked = 0
        for name, (slot, instrument) in listed.items():
            place, at = run.venue.contracts[name]
            forward = board.forward[board.expiry_of[at]]
            # The market's own premium is a share of the forward, not discounted.
            fair = float(run.venue.market.fair_prices(0, np.array([at]))[0]) * forward
            if isnan(marks[slot]):
                assert fair < 2.0
                continue
            checked += 1
            moved = abs(forwards[instrument.expiry_ns] - forward) + 0.002 * forward
            assert marks[slot] == pytest.approx(fair, rel=2e-3, abs=1.0 + moved)
        assert checked > 0.8 * len(listed)


async def test_derive_open_interest_is_the_markets() -> None:
    """In coins."""
    async with running(assets=("SOL",)) as run:
        await run.until(run.is_covered)
        await run.until(
            lambda: (
                {s for e in run.sink.of(OpenInterest) for s in e.slots}
                >= {slot for slot, _ in run.listed.values()}
            )
        )
        amounts: dict[int, float] = {}
        for event in run.sink.of(OpenInterest):
            amounts |= dict(zip(event.slots, event.amounts, strict=True))

        for name, (slot, _) in run.listed.items():
            place, at = run.venue.contracts[name]
            assert amounts[slot] == pytest.approx(run.venue.books[place].board.open_interest[at])


async def test_refused_derive_channels_are_told_as_uncovered() -> None:
    """A tenth of the channels has a reason in its status; the rest is served."""
    async with running(assets=("SOL",)) as run:
        run.venue.faults = Faults(refuse=0.1)
        await run.until(lambda: len(run.sink.of(Coverage)) >= len(CONNECTIONS))

        requested = sum(event.requested for event in run.sink.of(Coverage))
        accepted = sum(event.accepted for event in run.sink.of(Coverage))
        assert 0.7 < accepted / requested < 1.0
        assert sum(p.counts["channels_uncovered"] for p in run.adapter.connections()) > 0


async def test_derive_maintenance_is_told_and_ends() -> None:
    """By the polled incidents; everybody is cut off, and comes back."""
    async with running(assets=("SOL",)) as run:
        await run.until(run.is_covered)
        age = asyncio.get_running_loop().time() - run.started_seconds
        run.venue.faults = Faults(maintenance_after_seconds=age + 0.2, maintenance_seconds=2.5)
        await run.until(lambda: any(e.maintenance for e in run.sink.of(VenueState)))
        await run.until(lambda: run.sink.of(FeedDown))
        await run.until(lambda: not run.sink.of(VenueState)[-1].maintenance)
        await run.until(run.is_covered)

        assert [e.maintenance for e in run.sink.of(VenueState)] == [True, False]


async def test_silent_derive_is_left_although_it_answers() -> None:
    """Answers are no data."""
    async with running(assets=("SOL",), reconnect_after_seconds=0.5) as run:
        await run.until(lambda: run.sink.of(FeedUp))
        run.venue.lies = Lies(silent=True)
        await run.until(lambda: run.sink.of(FeedDown))

        assert {event.reason for event in run.sink.of(FeedDown)} == {"feed_stale"}


async def test_derive_options_go_in_their_last_minute() -> None:
    """They are not traded any more then; the next poll takes them off, and only them."""
    options = SimulatorOptions(
        currencies=("SOL_USDC",), rate=200.0, seed=11, venues=("derive",), roll_in_seconds=64.0
    )
    async with Simulator(options) as simulator:
        sink = Sink()
        adapter = make(
            sink,
            ws_url=simulator.ws_url_of("derive"),
            rest_url=simulator.rest_url_of("derive"),
            assets=(),
            compression=False,
            catalog_refresh_seconds=1.0,
        )
        run = Running(simulator, adapter, sink)
        async with run.connected():
            await run.until(lambda: run.sink.of(InstrumentsExpired))

        first = run.sink.of(InstrumentsListed)[0]
        nearest_ns = min(i.expiry_ns for i in first.instruments)
        (expired,) = run.sink.of(InstrumentsExpired)
        assert len(expired.slots) == sum(i.expiry_ns == nearest_ns for i in first.instruments)
        assert 0 < nearest_ns - expired.received_ns <= 60 * NANOS_PER_SECOND
