"""The Binance adapter on real sockets against the simulated one: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import exp, isnan
from typing import Any

import numpy as np
import pytest

from fakes.binance_lab import make
from integration.shells import Shells, connected
from volgauge.adapters.base import State
from volgauge.adapters.binance.adapter import BinanceAdapter
from volgauge.adapters.binance.protocol import BinanceProtocol
from volgauge.domain.events import (
    BookSnapshot,
    Coverage,
    FeedDown,
    FeedUp,
    ForwardMark,
    IndexPrice,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
    OpenInterest,
)
from volgauge.domain.instrument import Premium
from volgauge.domain.units import NANOS_PER_SECOND, years_between
from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import SimulatorOptions


class Running(Shells[BinanceVenue, BinanceAdapter]):
    """The simulated venue, its adapter, and the shells between them."""

    def session(self, name: str) -> BinanceProtocol:
        """A session by its name."""
        return next(p for p in self.adapter.connections() if p.connection == name)

    def covers(self) -> bool:
        """Everything that was asked for is accepted, and the first connections deliver."""
        told = {e.connection: e for e in self.sink.of(Coverage)}
        is_whole = all(e.requested == e.accepted > 0 for e in told.values())
        is_live = all(self.session(name).state is State.LIVE for name in ("market", "hot-1"))
        return is_live and is_whole and {"market", "hot-1"} <= set(told)


@asynccontextmanager
async def running(
    *,
    roll_in_seconds: float | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Running]:
    """A market with a slow pace, the venue on it, the adapter connected."""
    options = SimulatorOptions(
        currencies=("BTC", "XRP_USDC"), rate=400.0, seed=11, venues=("binance",),
        roll_in_seconds=roll_in_seconds,
    )  # fmt: skip
    async with connected(Running, make, options, **settings) as run:
        yield run


async def test_binance_listing_has_the_terms_of_the_market() -> None:
    """Both coins; every contract, strike, expiry and tick, per coin."""
    async with running() as run:
        run.venue.interest_ns = NANOS_PER_SECOND
        await run.until(run.covers)
        listed = run.listed

        assert set(listed) == set(run.venue.contracts)
        for name, (_, instrument) in listed.items():
            place, slot = run.venue.contracts[name]
            family, board = run.venue.families[place], run.venue.books[place].board
            option = board.options[slot]
            assert instrument.asset == board.terms.asset
            assert (instrument.quote_currency, instrument.premium) == ("USDT", Premium.QUOTE)
            assert instrument.strike == option.strike
            assert instrument.expiry_ns == option.expiry.expiry_ns
            assert (instrument.kind.value == "C") == option.is_call
            assert instrument.contract_size == {"BTC": 1.0, "XRP": 100.0}[instrument.asset]
            assert instrument.tick_size == family.terms.tick_size / instrument.contract_size
        await run.until(lambda: sum(len(e.slots) for e in run.sink.of(OpenInterest)) >= len(listed))
        amounts = {
            s: a for e in run.sink.of(OpenInterest) for s, a in zip(e.slots, e.amounts, strict=True)
        }
        for name, (our_slot, instrument) in listed.items():
            place, slot = run.venue.contracts[name]
            coins = run.venue.books[place].board.open_interest[slot]
            printed = 0.005 * instrument.contract_size
            assert amounts[our_slot] == pytest.approx(coins, abs=printed * 1.001)


async def test_binance_quotes_and_forwards_are_the_markets() -> None:
    """At rest: price of a contract x exp(rf T) / unit; forwards to the digits of the rate."""
    async with running() as run:
        await run.until(run.covers)
        run.venue.lies = Lies(frozen=True)
        await run.until(lambda: len(run.newest) == len(run.listed))
        await asyncio.sleep(1.3)
        newest, listed = run.newest, run.listed

        absent = 0
        now_ns = run.venue.market.now_ns
        for name, (slot, instrument) in listed.items():
            place, at = run.venue.contracts[name]
            book, unit = run.venue.books[place], instrument.contract_size
            rate = book.rates()[book.board.expiry_of[at]]
            factor = exp(rate * years_between(now_ns, instrument.expiry_ns)) / unit
            expected = (
                book.bid[at] * factor,
                book.ask[at] * factor,
                book.bid_lots[at] / 100 * unit if book.bid_lots[at] else np.nan,
                book.ask_lots[at] / 100 * unit if book.ask_lots[at] else np.nan,
            )
            # The rate of a short expiry may have changed in its last digit since.
            assert newest[slot] == pytest.approx(expected, nan_ok=True, rel=3e-4)
            absent += isnan(expected[0])
        assert absent > 0

        forwards = {(e.asset, e.expiry_ns): e.price for e in run.sink.of(ForwardMark)}
        assert set(forwards) == {(i.asset, i.expiry_ns) for _, i in listed.values()}
        boards = {b.terms.asset: b for b in run.venue.market.boards}
        for (asset, expiry_ns), price in forwards.items():
            board = boards[asset]
            at = [e.expiry_ns for e in board.expiries].index(expiry_ns)
            assert price == pytest.approx(board.forward[at], rel=2e-3)
        for asset, board in boards.items():
            told = [e.price for e in run.sink.of(IndexPrice) if e.asset == asset]
            assert told[-1] == pytest.approx(board.index_price, rel=2e-3)
        vols = [v for v in run.sink.of(MarkQuote)[-1].implied_vols if not isnan(v)]
        assert 0.05 < float(np.median(vols)) < 2.0
        assert run.sink.of(FeedDown) == []
        assert all(p.counts["rejected.bad_number"] == 0 for p in run.adapter.connections())


async def test_streams_are_faster_than_the_chain() -> None:
    """Near options between two chains; the far ones once a second."""
    async with running(hot_days=3.0, assets=("BTC",)) as run:
        await run.until(run.covers)
        await asyncio.sleep(1.5)
        run.sink.quotes.clear()
        await asyncio.sleep(2.5)
        streamed = set(run.session("hot-1").subscriptions.plan.values())
        slots = {run.listed[name][0] for name in streamed}
        live = [quote for quote in run.sink.quotes if quote[0] in slots and quote[5] % 10**9]

        assert len(live) > 20
        chain = {quote[5] for quote in run.sink.quotes if quote[0] not in slots}
        assert 1 <= len(chain) <= 4
        assert run.session("market").counts["streams_contradicted"] == 0


async def test_partial_books_replace_the_best_prices() -> None:
    """With depth_levels."""
    async with running(depth_levels=5, hot_days=3.0, assets=("XRP",)) as run:
        await run.until(run.covers)
        await run.until(lambda: len(run.sink.of(BookSnapshot)) > 5)

        book = next(e for e in run.sink.of(BookSnapshot) if e.bids and e.asks)
        assert list(book.bids) == sorted(book.bids, reverse=True)
        assert list(book.asks) == sorted(book.asks)
        assert book.bids[0][0] < book.asks[0][0]
        assert len(book.asks) == 5


async def test_wrong_route_is_silent_and_left() -> None:
    """Chains asked for on the other route are answered, and never come."""
    async with running(assets=("XRP",), reconnect_after_seconds=2.0) as run:
        market = run.session("market")
        market.url = market.url.replace("/market/", "/public/")
        await run.until(lambda: market.counts["reconnects.feed_stale"])

        assert run.sink.of(FeedUp) == []
        assert [e.accepted for e in run.sink.of(Coverage) if e.connection == "market"][:1] == [1]


async def test_day_ends_without_a_gap() -> None:
    """The spares take over before the venue hangs up; the engine hears of nothing."""
    async with running(assets=("XRP",), hot_days=3.0) as run:
        for protocol in run.adapter.connections():
            protocol._handover_after_ns = 2 * NANOS_PER_SECOND
        await run.until(run.covers)
        run.venue.lifetime_seconds = 8.0
        first = [run.session(name) for name in ("market", "hot-1")]
        second = [run.session(f"{name}-spare") for name in ("market", "hot-1")]
        both = [*first, *second]
        # Each place is given up twice, so the first two have outlived no day.
        await run.until(lambda: all(p.counts["reconnects.handed_over"] >= 2 for p in both))

        assert run.sink.of(FeedDown) == []
        assert [e.connection for e in run.sink.of(FeedUp)] == ["market"]
        assert all(p.counts["reconnects.closed"] == 0 for p in both)


async def test_client_answers_the_venues_pings() -> None:
    """Protocol pings; who does not answer is cut off in the end."""
    async with running(assets=("XRP",), hot_days=3.0) as run:
        run.venue.ping_seconds = 0.2
        await run.until(run.covers)
        sessions = list(run.venue._audience.sessions)
        before = [session._heard_seconds for session in sessions]
        await run.until(
            lambda: all(
                session._heard_seconds > then
                for session, then in zip(sessions, before, strict=True)
            )
        )

        assert len(sessions) == 2


async def test_silent_streams_are_quoted_by_the_chain() -> None:
    """A fifth of the streams is accepted and never comes."""
    async with running(assets=("XRP",), hot_days=3.0) as run:
        run.venue.faults = Faults(refuse=0.2)
        assert not run.venue.faults.refuses("xrpusdt@optionMarkPrice")
        await run.until(lambda: run.session("hot-1").counts["streams_silent"] > 5)

        hot = run.session("hot-1")
        assert hot.state is State.LIVE
        refused = {
            run.listed[about][0]
            for stream, about in hot.subscriptions.plan.items()
            if run.venue.faults.refuses(stream)
        }
        assert refused <= set(run.newest)


async def test_silent_binance_is_left_although_it_answers() -> None:
    """Answers and pings are no data."""
    async with running(assets=("XRP",), reconnect_after_seconds=2.0) as run:
        await run.until(run.covers)
        run.venue.lies = Lies(silent=True)
        await run.until(lambda: run.sink.of(FeedDown))

        assert {event.reason for event in run.sink.of(FeedDown)} == {"feed_stale"}


async def test_maintenance_cuts_everybody_off_and_ends() -> None:
    """No notice; REST refuses meanwhile."""
    async with running(assets=("XRP",), hot_days=3.0) as run:
        await run.until(run.covers)
        run.venue.faults = Faults(maintenance_after_seconds=0.001, maintenance_seconds=1e6)
        await run.until(lambda: run.sink.of(FeedDown))
        run.venue.faults = Faults()
        await run.until(lambda: len(run.sink.of(FeedUp)) == 2)
        before = len(run.sink.quotes)
        await run.until(lambda: len(run.sink.quotes) > before + 20)


@pytest.mark.slow
async def test_binance_roll_takes_the_old_and_brings_the_new() -> None:
    """Expiry 12 s after the start; thirteen seconds later the successors, told at once."""
    async with running(roll_in_seconds=12.0, assets=("XRP",)) as run:
        await run.until(run.covers)
        before = set(run.listed)
        await run.until(lambda: run.sink.of(InstrumentsExpired))
        assert before - set(run.listed)
        await run.until(lambda: len(run.sink.of(InstrumentsListed)) > 1)
        await run.until(lambda: set(run.listed) == xrp_names(run) and run.covers())
        new = {run.listed[name][0] for name in set(run.listed) - before}
        await run.until(lambda: new <= set(run.newest))

        told = [run.listed[name][1].listed_ns for name in set(run.listed) - before]
        assert all(listed_ns is not None for listed_ns in told)


def xrp_names(run: Running) -> set[str]:
    """What the venue lists on the coin of the test."""
    return {name for name in run.venue.contracts if name.startswith("XRP-")}
