"""The Derive adapter on real sockets against the simulated Derive: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import floor, isnan
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from fakes.derive_lab import make
from integration.shells import Shells, connected
from volgauge.adapters.derive.adapter import DeriveAdapter
from volgauge.adapters.derive.plan import CONNECTIONS
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
from volgauge.domain.instrument import Premium
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator.derive_venue import DeriveVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import SimulatorOptions

SETTINGS: dict[str, Any] = {"assets": (), "catalog_refresh_seconds": 1.0}
"""Of the adapter, where a test does not say otherwise."""


class Running(Shells[DeriveVenue, DeriveAdapter]):
    """The simulated venue, its adapter, and the shells between them."""

    @override
    def tops(self) -> dict[int, tuple[float, ...]]:
        """The same, undiscounted."""
        found = {}
        at_slot = {slot: self.venue.contracts[name] for name, (slot, _) in self.listed.items()}
        for slot, (bid, ask, *sizes) in super().tops().items():
            place, at = at_slot[slot]
            book = self.venue.books[place]
            factor = floor(book.factors()[book.board.expiry_of[at]] * 1_000) / 1_000 + 0.0005
            found[slot] = (bid / factor, ask / factor, *sizes)
        return found


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
        currencies=currencies, rate=rate, seed=11, venues=("derive",),
        roll_in_seconds=roll_in_seconds,
    )  # fmt: skip
    async with connected(Running, make, options, **SETTINGS | settings) as run:
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
    async with running(currencies=("SOL_USDC",), rate=200.0, roll_in_seconds=64.0) as run:
        await run.until(lambda: run.sink.of(InstrumentsExpired))

        first = run.sink.of(InstrumentsListed)[0]
        nearest_ns = min(i.expiry_ns for i in first.instruments)
        (expired,) = run.sink.of(InstrumentsExpired)
        assert len(expired.slots) == sum(i.expiry_ns == nearest_ns for i in first.instruments)
        assert 0 < nearest_ns - expired.received_ns <= 60 * NANOS_PER_SECOND
