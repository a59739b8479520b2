"""The Bybit adapter on real sockets against the simulated Bybit: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isnan
from typing import Any

import numpy as np
import pytest

from fakes.bybit_lab import make
from integration.shells import Shells, connected
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.adapters.bybit.plan import BOOKS, CONNECTIONS
from volgauge.book.depth import DepthBook
from volgauge.domain.events import (
    BookDelta,
    BookSnapshot,
    Coverage,
    FeedDown,
    FeedUp,
    ForwardMark,
    Gap,
    IndexPrice,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
    VenueState,
)
from volgauge.domain.instrument import Premium
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import SimulatorOptions

PRINTED = 1e-8
"""Last decimal of marks and forwards on this wire."""

SETTINGS: dict[str, Any] = {"assets": (), "catalog_refresh_seconds": 0.5}
"""Of the adapter, where a test does not say otherwise."""


class Running(Shells[BybitVenue, BybitAdapter]):
    """The simulated venue, its adapter, and the shells between them."""

    def is_same_of(self, columns: int) -> bool:
        """The first columns are the venue's, to the last bit."""
        tops, newest = self.tops(), self.newest
        return set(tops) == set(newest) and all(
            np.array_equal(newest[slot][:columns], tops[slot][:columns], equal_nan=True)
            for slot in tops
        )


@asynccontextmanager
async def running(
    *,
    currencies: tuple[str, ...] = ("BTC", "SOL_USDC"),
    rate: float = 400.0,
    roll_in_seconds: float | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Running]:
    """A market with a slow pace, the venue on it, the adapter connected."""
    options = SimulatorOptions(
        currencies=currencies, rate=rate, seed=11, venues=("bybit",),
        roll_in_seconds=roll_in_seconds,
    )  # fmt: skip
    async with connected(Running, make, options, **SETTINGS | settings) as run:
        yield run


async def test_listing_has_the_terms_of_the_market() -> None:
    """All coins, discovered; every contract, strike, expiry and tick."""
    async with running() as run:
        await run.until(run.is_covered)
        await run.until(lambda: run.sink.of(OpenInterest))
        listed = run.listed

        assert set(listed) == set(run.venue.contracts)
        for name, (_, instrument) in listed.items():
            place, slot = run.venue.contracts[name]
            family, board = run.venue.families[place], run.venue.books[place].board
            option = board.options[slot]
            assert instrument.asset == board.terms.asset
            assert instrument.quote_currency == "USDT"
            assert instrument.strike == option.strike
            assert instrument.expiry_ns == option.expiry.expiry_ns
            assert (instrument.kind.value == "C") == option.is_call
            assert instrument.premium is Premium.QUOTE
            assert instrument.contract_size == 1.0
            assert instrument.tick_size == family.terms.tick_size
            assert instrument.listed_ns == option.listed_ns // 10**6 * 10**6
        assert {instrument.asset for _, instrument in listed.values()} == {"BTC", "SOL"}


async def test_quotes_are_the_venues() -> None:
    """Books of the hot expiries and tickers of the rest, both sides with sizes, or absent."""
    async with running() as run:
        await run.until(run.is_covered)
        run.venue.lies = Lies(frozen=True)
        await run.until(lambda: run.is_same_of(4))

        assert sum(isnan(bid) for bid, *_ in run.tops().values()) > 0
        assert run.sink.of(FeedDown) == []
        assert run.sink.of(Gap) == []
        counts = [p.counts for p in run.adapter.connections()]
        assert not any(key.startswith("rejected") for count in counts for key in count)


async def test_forwards_indices_and_marks_are_the_markets() -> None:
    """Each expiry's own forward; marks of premiums in USDT, volatilities as fractions."""
    async with running() as run:
        await run.until(run.is_covered)
        await run.until(lambda: len(run.sink.of(MarkQuote)) > 20)
        listed = run.listed
        boards = {board.terms.asset: board for board in run.venue.market.boards}

        forwards = {(e.asset, e.expiry_ns): e.price for e in run.sink.of(ForwardMark)}
        assert set(forwards) == {(i.asset, i.expiry_ns) for _, i in listed.values()}
        for (asset, expiry_ns), price in forwards.items():
            board = boards[str(asset)]
            place = [e.expiry_ns for e in board.expiries].index(expiry_ns)
            assert price == pytest.approx(board.forward[place], rel=2e-3)
        for event in run.sink.of(IndexPrice)[-4:]:
            assert event.price == pytest.approx(boards[str(event.asset)].index_price, rel=2e-3)
        marks: dict[int, tuple[float, float]] = {}
        for event in run.sink.of(MarkQuote):
            pairs = zip(event.prices, event.implied_vols, strict=True)
            marks |= dict(zip(event.slots, pairs, strict=True))
        marked = 0
        for name, (slot, instrument) in listed.items():
            place, at = run.venue.contracts[name]
            book = run.venue.books[place]
            fair = float(book.fair(np.array([at]))[0])
            if slot not in marks:
                # Prints as 0: no mark.
                assert fair < 2.0 * PRINTED
                continue
            marked += 1
            # A spot that moves meanwhile moves the premium by no more.
            forward = forwards[instrument.asset, instrument.expiry_ns]
            assert marks[slot][0] == pytest.approx(fair, rel=0.05, abs=5e-3 * forward)
            assert 0.05 < marks[slot][1] <= 5.0
        assert marked > 0.8 * len(listed)


async def test_depth_follows_the_venue_over_gaps_and_restarts() -> None:
    """Deltas that are left out, and a service that begins anew with u = 1."""
    async with running(depth_levels=20, hot_days=3.0, assets=("BTC",)) as run:
        await run.until(lambda: run.sink.of(BookSnapshot))
        run.venue.faults = Faults(book_gap=0.05)
        await run.until(lambda: run.sink.of(Gap))
        run.venue.faults = Faults()
        run.venue.restart_books()
        run.venue.lies = Lies(frozen=True)
        told = Told()
        await run.until(lambda: are_books_same(run, told))

        assert {gap.reason for gap in run.sink.of(Gap)} == {"sequence"}
        assert run.sink.of(FeedDown) == []


class Told:
    """The books as the events tell them, read on from where the last look ended."""

    def __init__(self) -> None:
        self.books = DepthBook()
        self.broken: set[int] = set()
        self._read = 0

    def read(self, run: Running) -> None:
        """Take the events that came since."""
        events = run.sink.events
        for event in events[self._read :]:
            if isinstance(event, BookSnapshot | BookDelta):
                self.books.apply(event)
                self.broken.discard(event.slot)
            elif isinstance(event, Gap):
                for slot in event.slots:
                    self.books.forget(slot)
                    self.broken.add(slot)
        self._read = len(events)


def are_books_same(run: Running, told: Told) -> bool:
    """The books as told are those of the venue, level by level."""
    told.read(run)
    books, broken = told.books, told.broken
    for name, (slot, _) in run.listed.items():
        held = run.venue._held.get(BOOKS + name)
        if held is None or slot in broken:
            continue
        for side, real in zip(books.levels(slot), (held.bids, held.asks), strict=True):
            if dict(side) != {float(price): float(size) for price, size in real.items()}:
                return False
    return len(run.venue._held) > len(broken)


async def test_tickers_quote_where_books_are_broken() -> None:
    """Every second delta is missing: the books give way to the tickers, nothing stands still."""
    async with running(hot_days=3.0, assets=("BTC",)) as run:
        await run.until(lambda: len(run.sink.quotes) > 200)
        run.venue.faults = Faults(book_gap=0.5)
        await run.until(lambda: len(run.sink.of(Gap)) > 5)
        run.venue.lies = Lies(frozen=True)
        await run.until(lambda: run.is_same_of(2))


async def test_refused_topics_are_told_as_uncovered() -> None:
    """A tenth of the topics comes back as failed; the rest is served."""
    async with running(assets=("SOL",)) as run:
        run.venue.faults = Faults(refuse=0.1)
        await run.until(lambda: len(run.sink.of(Coverage)) >= len(CONNECTIONS))

        requested = sum(event.requested for event in run.sink.of(Coverage))
        accepted = sum(event.accepted for event in run.sink.of(Coverage))
        assert 0.7 < accepted / requested < 1.0
        assert sum(p.counts["topics_uncovered"] for p in run.adapter.connections()) > 0


async def test_maintenance_is_told_and_ends() -> None:
    """By the polled status; everybody is cut off, and comes back."""
    async with running(assets=("SOL",)) as run:
        await run.until(run.is_covered)
        age = asyncio.get_running_loop().time() - run.started_seconds
        run.venue.faults = Faults(maintenance_after_seconds=age + 0.2, maintenance_seconds=2.0)
        await run.until(lambda: any(e.maintenance for e in run.sink.of(VenueState)))
        await run.until(lambda: run.sink.of(FeedDown))
        await run.until(lambda: not run.sink.of(VenueState)[-1].maintenance)
        await run.until(run.is_covered)

        assert [e.maintenance for e in run.sink.of(VenueState)] == [True, False]


async def test_silent_venue_is_left_although_it_answers() -> None:
    """Pongs are no data."""
    async with running(assets=("SOL",), reconnect_after_seconds=0.5) as run:
        await run.until(lambda: run.sink.of(FeedUp))
        run.venue.lies = Lies(silent=True)
        await run.until(lambda: run.sink.of(FeedDown))

        assert {event.reason for event in run.sink.of(FeedDown)} == {"feed_stale"}


async def test_options_roll() -> None:
    """At the hour the old ones go at once; the new ones come by polling."""
    async with running(
        currencies=("SOL_USDC",), rate=200.0, roll_in_seconds=3.0, catalog_refresh_seconds=60.0
    ) as run:
        await run.until(lambda: run.sink.of(InstrumentsExpired))
        await run.until(lambda: set(run.listed) == set(run.venue.contracts))

        (expired,) = run.sink.of(InstrumentsExpired)
        first = run.sink.of(InstrumentsListed)[0]
        nearest_ns = min(i.expiry_ns for i in first.instruments)
        assert len(expired.slots) == sum(i.expiry_ns == nearest_ns for i in first.instruments)
        assert 0 <= expired.received_ns - nearest_ns < 500_000_000
