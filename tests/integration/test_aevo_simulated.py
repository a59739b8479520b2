"""The Aevo adapter on real sockets against the simulated Aevo: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isnan
from typing import Any

import numpy as np
import pytest

from fakes.aevo_lab import make
from integration.shells import Shells, connected
from volgauge.adapters.aevo.adapter import AevoAdapter
from volgauge.adapters.aevo.protocol import AevoProtocol
from volgauge.domain.events import (
    Coverage,
    FeedDown,
    FeedUp,
    ForwardMark,
    IndexPrice,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
)
from volgauge.domain.instrument import Premium
from volgauge.simulator.aevo_venue import AevoVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import SimulatorOptions

SETTINGS: dict[str, Any] = {"assets": (), "catalog_refresh_seconds": 1.0}
"""Of the adapter, where a test does not say otherwise."""


class Running(Shells[AevoVenue, AevoAdapter]):
    """The simulated venue, its adapter, and the shells between them."""

    @property
    def protocol(self) -> AevoProtocol:
        """Its one session."""
        (protocol,) = self.adapter.connections()
        return protocol


@asynccontextmanager
async def running(
    *,
    roll_in_seconds: float | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Running]:
    """A market with a slow pace, the venue on it, the adapter connected."""
    options = SimulatorOptions(
        currencies=("BTC", "ETH"), rate=400.0, seed=11, venues=("aevo",),
        roll_in_seconds=roll_in_seconds,
    )  # fmt: skip
    async with connected(Running, make, options, **SETTINGS | settings) as run:
        yield run


async def test_aevo_listing_has_the_terms_of_the_market() -> None:
    """Both coins, discovered; every contract's terms."""
    async with running() as run:
        await run.until(run.is_covered)
        listed = run.listed

        assert set(listed) == set(run.venue.contracts)
        assert len(listed) > 500
        for name, (_, instrument) in listed.items():
            place, slot = run.venue.contracts[name]
            board = run.venue.books[place].board
            option = board.options[slot]
            assert instrument.asset == board.terms.asset
            assert instrument.strike == option.strike
            assert instrument.expiry_ns == option.expiry.expiry_ns
            assert (instrument.kind.value == "C") == option.is_call
            assert (instrument.premium, instrument.quote_currency) == (Premium.QUOTE, "USDC")
            assert instrument.contract_size == 1.0
            assert instrument.tick_size == run.venue.families[place].terms.tick_size
        assert {instrument.asset for _, instrument in listed.values()} == {"BTC", "ETH"}


async def test_aevo_quotes_are_the_venues() -> None:
    """The first chain and every change after it, both sides with sizes, or absent."""
    async with running() as run:
        await run.until(run.is_covered)
        before = len(run.sink.quotes)
        await run.until(lambda: len(run.sink.quotes) > before + 200)
        run.venue.lies = Lies(frozen=True)
        await run.until(run.is_same)

        assert sum(isnan(top[0]) for top in run.tops().values()) > 0
        assert run.sink.of(FeedDown) == []
        assert not any(key.startswith("rejected") for key in run.protocol.counts)


async def test_aevo_forwards_and_marks_are_those_of_the_market() -> None:
    """A forward an expiry, told by REST and moved by the index; undiscounted marks."""
    async with running(assets=("BTC",)) as run:
        await run.until(run.is_covered)
        run.venue.lies = Lies(frozen=True)
        await run.until(lambda: len(run.sink.of(ForwardMark)) > 60 and run.sink.of(MarkQuote))
        (board,) = [b for b in run.venue.market.boards if b.terms.asset == "BTC"]
        forwards = {e.expiry_ns: e.price for e in run.sink.of(ForwardMark)}
        listed = run.listed

        assert set(forwards) == {i.expiry_ns for _, i in listed.values()}
        for expiry_ns, price in forwards.items():
            place = [e.expiry_ns for e in board.expiries].index(expiry_ns)
            assert price == pytest.approx(board.forward[place], rel=2e-3)
        assert run.sink.of(IndexPrice)[-1].price == pytest.approx(board.index_price, rel=2e-3)
        first = run.sink.of(MarkQuote)[0]
        marks = dict(zip(first.slots, first.prices, strict=True))
        checked = 0
        for name, (slot, _) in listed.items():
            place, at = run.venue.contracts[name]
            forward = board.forward[board.expiry_of[at]]
            fair = float(run.venue.market.fair_prices(0, np.array([at]))[0]) * forward
            if slot in marks and fair > 10.0:
                checked += 1
                assert marks[slot] == pytest.approx(fair, rel=2e-2, abs=0.003 * forward)
        assert checked > 100
        assert all(isnan(vol) or 0.05 < vol < 5.0 for vol in first.implied_vols)


async def test_refused_aevo_channels_are_told_as_uncovered() -> None:
    """The tops of ETH are refused: the throttled channel quotes it, and that is told."""
    async with running() as run:
        run.venue.faults = Faults(refuse=0.3)
        await run.until(lambda: run.sink.of(Coverage))
        refused = [name for name in run.venue.channels if run.venue.faults.refuses(name)]
        assert refused == ["book-ticker:ETH:OPTION", "ticker-500ms:BTC:OPTION"]
        ours = {slot for slot, instrument in run.listed.values() if instrument.asset == "ETH"}
        await run.until(lambda: {quote[0] for quote in run.sink.quotes} >= ours)

        (coverage, *_) = run.sink.of(Coverage)
        assert (coverage.requested, coverage.accepted) == (2, 1)
        assert run.protocol.counts["channels_uncovered"] == 2


async def test_aevo_maintenance_hangs_up_and_ends() -> None:
    """Everybody is cut off, the listing stays, and all comes back."""
    async with running(assets=("BTC",)) as run:
        await run.until(run.is_covered)
        age = asyncio.get_running_loop().time() - run.started_seconds
        run.venue.faults = Faults(maintenance_after_seconds=age + 0.2, maintenance_seconds=2.0)
        await run.until(lambda: run.sink.of(FeedDown))
        await run.until(lambda: len(run.sink.of(FeedUp)) >= 2)
        quotes = len(run.sink.quotes)
        await run.until(lambda: len(run.sink.quotes) > quotes + 100)

        assert run.sink.of(InstrumentsExpired) == []
        assert run.sink.of(FeedDown)[0].feeds_forwards


async def test_silent_aevo_is_left_although_it_answers() -> None:
    """Answers are no data."""
    async with running(assets=("ETH",), reconnect_after_seconds=0.5) as run:
        await run.until(lambda: run.sink.of(FeedUp))
        run.venue.lies = Lies(silent=True)
        await run.until(lambda: run.sink.of(FeedDown))

        assert {event.reason for event in run.sink.of(FeedDown)} == {"feed_stale"}


async def test_garbled_aevo_frames_end_the_session_and_it_comes_back() -> None:
    """Truncated, overwritten and repeated frames: typed errors, and the venue's tops in the end."""
    async with running(assets=("ETH",)) as run:
        await run.until(run.is_covered)
        run.venue.faults = Faults(truncate=0.05, garble=0.05, duplicate=0.2, reorder=0.1)
        await run.until(lambda: run.sink.of(FeedDown))
        run.venue.faults = Faults()
        await run.until(lambda: len(run.sink.of(FeedUp)) > len(run.sink.of(FeedDown)))
        run.venue.lies = Lies(frozen=True)
        await run.until(run.is_same)

        assert {event.reason for event in run.sink.of(FeedDown)} <= {
            "protocol_violation", "venue_unavailable",
        }  # fmt: skip


async def test_aevo_options_go_at_their_hour_and_new_ones_come() -> None:
    """Nobody tells: what is quoted and not listed wakes the catalog."""
    async with running(roll_in_seconds=6.0, assets=("ETH",), catalog_refresh_seconds=60.0) as run:
        await run.until(run.is_covered)
        nearest_ns = min(instrument.expiry_ns for _, instrument in run.listed.values())
        await run.until(lambda: run.sink.of(InstrumentsExpired))
        (expired,) = run.sink.of(InstrumentsExpired)
        first = run.sink.of(InstrumentsListed)[0]

        assert len(expired.slots) == sum(i.expiry_ns == nearest_ns for i in first.instruments)
        assert 0 <= expired.received_ns - nearest_ns < 2_000_000_000
