"""The OKX adapter on real sockets against the simulated OKX: every value is the market's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes.deribit_lab import Sink
from fakes.okx_lab import make
from integration.shells import PATIENCE_SECONDS, Replayed, Shells, connected
from volgauge import kernels
from volgauge.adapters.base import State
from volgauge.adapters.okx.adapter import OkxAdapter
from volgauge.book.depth import DepthBook
from volgauge.clock import SystemClock
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
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.instrument import Premium
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import VenueError
from volgauge.pipeline import build_pipeline
from volgauge.settings import Settings, VenueSettings, VenuesSettings
from volgauge.simulator.faults import Faults
from volgauge.simulator.lies import Lies
from volgauge.simulator.okx_venue import OkxVenue
from volgauge.simulator.server import Simulator, SimulatorOptions
from volgauge.wire.catalog import run_catalog
from volgauge.wire.feed import run_connection
from volgauge.wire.recorder import Recorder
from volgauge.wire.replay import replay


class Running(Shells[OkxVenue, OkxAdapter]):
    """The simulated venue, its adapter, and the shells between them."""

    def covers(self) -> bool:
        """All three connections have everything they asked for."""
        told = {e.connection: e for e in self.sink.of(Coverage)}
        return len(told) == 3 and all(e.requested == e.accepted > 0 for e in told.values())


@asynccontextmanager
async def running(
    *,
    roll_in_seconds: float | None = None,
    recorder: Recorder | None = None,
    **settings: Any,  # noqa: ANN401 - any setting
) -> AsyncIterator[Running]:
    """A market with a slow pace, the venue on it, the adapter connected."""
    options = SimulatorOptions(
        currencies=("BTC", "SOL_USDC"), rate=400.0, seed=11, venues=("okx",),
        roll_in_seconds=roll_in_seconds,
    )  # fmt: skip
    async with connected(Running, make, options, recorder, **settings) as run:
        yield run


async def test_listing_has_the_terms_of_the_market() -> None:
    """Three families on two boards; every contract, strike, expiry and tick."""
    async with running() as run:
        await run.until(run.covers)
        listed = run.listed

        assert set(listed) == set(run.venue.contracts)
        for name, (_, instrument) in listed.items():
            place, slot = run.venue.contracts[name]
            family, board = run.venue.families[place], run.venue.books[place].board
            option = board.options[slot]
            assert instrument.asset == board.terms.asset
            assert instrument.quote_currency == family.name.partition("-")[2]
            assert instrument.strike == option.strike
            assert instrument.expiry_ns == option.expiry.expiry_ns
            assert (instrument.kind.value == "C") == option.is_call
            assert (instrument.premium is Premium.COIN) == family.terms.coin
            assert instrument.contract_size == family.terms.contract_size
            assert instrument.tick_size == family.terms.tick_size
        assert {i.quote_currency for _, i in listed.values()} == {"USD", "USD_UM"}
        (interest,) = run.sink.of(OpenInterest)[:1]
        assert len(interest.slots) == len(listed)


async def test_quotes_forwards_and_indices_are_the_markets() -> None:
    """Every option of both families at rest: both sides, sizes in coin, or absent."""
    async with running() as run:
        await run.until(run.covers)
        run.venue.lies = Lies(frozen=True)
        await run.until(lambda: len(run.newest) == len(run.listed))
        await asyncio.sleep(0.3)
        newest, listed = run.newest, run.listed

        absent = 0
        for name, (slot, instrument) in listed.items():
            place, place_slot = run.venue.contracts[name]
            book, size = run.venue.books[place], instrument.contract_size
            expected = (
                book.bid[place_slot],
                book.ask[place_slot],
                book.bid_lots[place_slot] * size if book.bid_lots[place_slot] else np.nan,
                book.ask_lots[place_slot] * size if book.ask_lots[place_slot] else np.nan,
            )
            assert newest[slot] == pytest.approx(expected, nan_ok=True, rel=1e-12)
            absent += isnan(expected[0])
        assert absent > 0

        for event in run.sink.of(IndexPrice)[-2:]:
            boards = {b.terms.asset: b for b in run.venue.market.boards}
            assert event.price == pytest.approx(boards[event.asset].index_price, rel=2e-3)
        forwards = {
            (e.asset, e.quote_currency, e.expiry_ns): e.price for e in run.sink.of(ForwardMark)
        }
        assert set(forwards) == {
            (i.asset, i.quote_currency, i.expiry_ns) for _, i in listed.values()
        }
        for (asset, _, expiry_ns), price in forwards.items():
            board = next(b for b in run.venue.market.boards if b.terms.asset == asset)
            place = [e.expiry_ns for e in board.expiries].index(expiry_ns)
            assert price == pytest.approx(board.forward[place], rel=2e-3)
        vols = [v for e in run.sink.of(MarkQuote) for v in e.implied_vols]
        assert len(vols) >= len(listed)
        assert 0.05 < float(np.nanmedian(vols)) < 2.0
        assert run.sink.of(FeedDown) == []
        assert all(p.counts.get("rejected.bad_number", 0) == 0 for p in run.adapter.connections())


async def test_index_of_okx_alone_follows_the_truth() -> None:
    """Both families through the whole calculation: within half a point of the noise-free value."""
    kernels.warm()
    options = SimulatorOptions(currencies=("BTC", "SOL_USDC"), rate=400.0, seed=5, venues=("okx",))
    async with Simulator(options) as simulator:
        okx = VenueSettings(
            assets=("BTC", "SOL"),
            ws_url=simulator.ws_url_of("okx"),
            rest_url=simulator.rest_url_of("okx"),
        )
        venues = VenuesSettings(deribit=VenueSettings(enabled=False), okx=okx)
        engine, adapters = build_pipeline(Settings(venues=venues), Source.SIMULATED)
        (adapter,) = adapters.values()
        clock = SystemClock()
        values: dict[str, float] = {}
        complete = asyncio.Event()

        def flush() -> None:
            for record in engine.recompute(clock.wall_ns()):
                match record:
                    case IndexValue(tenor_days=30.0, value=float() as value):
                        values[record.asset] = value
                    case _:
                        pass
            if len(values) == 2:
                complete.set()

        tasks = [asyncio.create_task(run_catalog(adapter, clock, flush))]
        tasks += [
            asyncio.create_task(run_connection(p, clock, flush)) for p in adapter.connections()
        ]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await complete.wait()
            assert simulator.market is not None
            for asset, name in (("BTC", "BTC"), ("SOL", "SOL_USDC")):
                truth = simulator.market.constant_tenor(name).corridor
                assert values[asset] == pytest.approx(truth, abs=0.5)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def test_long_books_follow_the_venue_over_gaps() -> None:
    """Updates that link, updates that are left out, numbers that begin anew."""
    async with running(depth_levels=20, hot_days=3.0, assets=("BTC",)) as run:
        await run.until(run.covers)
        run.venue.keep_alive_ns = NANOS_PER_SECOND
        run.venue.faults = Faults(book_gap=0.02)
        await run.until(lambda: run.sink.of(Gap))
        run.venue.faults = Faults()
        run.venue.reset_sequences()
        await asyncio.sleep(0.5)
        run.venue.lies = Lies(frozen=True)
        # What was left out last is found out by the sign of life.
        await run.until(lambda: run.covers() and is_same(run), every=0.5)

        assert len(run.sink.of(BookSnapshot)) > len(hot_names(run))
        assert run.adapter.connections()[0].counts["ignored.book_keep_alive"]
        assert run.sink.of(FeedDown) == []


def hot_names(run: Running) -> list[str]:
    """Options of the long books."""
    return [
        arg.inst_id
        for arg in run.adapter.connections()[0].subscriptions.active
        if arg.channel == "books"
    ]


def is_same(run: Running) -> bool:
    """The books as told are those of the venue, level by level."""
    books = DepthBook()
    for event in run.sink.events:
        if isinstance(event, BookSnapshot | BookDelta):
            books.apply(event)
        elif isinstance(event, Gap):
            for slot in event.slots:
                books.forget(slot)
    names, listed = hot_names(run), run.listed
    for name in names:
        held = run.venue._deep.get(name)
        slot, instrument = listed[name]
        bids, asks = books.levels(slot)
        if held is None:
            return False
        size = instrument.contract_size
        for told, real in ((bids, held.bids), (asks, held.asks)):
            expected = {float(price): float(lots) * size for price, lots in real.items()}
            if dict(told) != pytest.approx(expected):
                return False
    return bool(names)


async def test_upgrade_passes_without_a_gap() -> None:
    """64008 on every connection: three hand-overs, and the engine hears of none."""
    async with running(assets=("SOL",)) as run:
        await run.until(run.covers)
        first = run.adapter.connections()[:3]
        await run.until(lambda: all(p.state is State.LIVE for p in first))
        run.venue.faults = Faults(upgrade_after_seconds=0.1, upgrade_seconds=600.0)
        await run.until(lambda: all(p.counts["handover_announced"] for p in first))
        run.venue.faults = Faults()
        second = run.adapter.connections()[3:]
        await run.until(lambda: all(p.state is State.LIVE for p in second))
        await run.until(lambda: all(p.counts["reconnects.handed_over"] == 1 for p in first))
        before = len(run.sink.quotes)
        await run.until(lambda: len(run.sink.quotes) > before + 20)

        assert [p.state for p in first] == [State.SPARE] * 3
        assert run.sink.of(FeedDown) == []
        assert sorted(e.connection for e in run.sink.of(FeedUp)) == ["hot", "market", "wings"]


async def test_recorded_hand_over_replays_as_the_same_events(tmp_path: Path) -> None:
    """Catalogs, two sessions of one connection, deadlines: the same program from files."""
    recorder = Recorder(tmp_path)
    async with running(assets=("SOL",), recorder=recorder) as run:
        await run.until(run.covers)
        run.venue.faults = Faults(upgrade_after_seconds=0.1, upgrade_seconds=600.0)
        first = run.adapter.connections()[:3]
        await run.until(lambda: all(p.counts["handover_announced"] for p in first))
        run.venue.faults = Faults()
        await run.until(lambda: all(p.counts["reconnects.handed_over"] == 1 for p in first))
        await asyncio.sleep(0.3)
        live = run.sink
    await recorder.write()
    again = Sink()
    adapter = make(again, assets=("SOL",))
    refused: list[VenueError] = []
    replay(tmp_path, {adapter.venue: adapter}, Replayed(), refused.append)

    assert refused == []
    assert again.quotes == live.quotes
    assert again.events == live.events
    assert len(again.quotes) > 1_000


async def test_refused_channels_are_told_as_uncovered() -> None:
    """60018 for a tenth of the channels; the rest is served."""
    async with running(assets=("SOL",)) as run:
        run.venue.faults = Faults(refuse=0.1)
        await run.until(lambda: len(run.sink.of(Coverage)) >= 2)

        told = [event for event in run.sink.of(Coverage) if event.connection != "market"]
        assert all(0.7 < event.accepted / event.requested < 1.0 for event in told)
        assert any(p.counts["request_refused.60018"] for p in run.adapter.connections())


async def test_planned_maintenance_is_told_and_ends() -> None:
    """Announced on `status`, everybody is cut off, and comes back."""
    async with running(assets=("SOL",)) as run:
        await run.until(run.covers)
        age = asyncio.get_running_loop().time() - run.started_seconds
        run.venue.faults = Faults(maintenance_after_seconds=age + 0.3, maintenance_seconds=1.5)
        await run.until(lambda: any(e.maintenance for e in run.sink.of(VenueState)))
        await run.until(lambda: run.sink.of(FeedDown))
        await run.until(lambda: not run.sink.of(VenueState)[-1].maintenance)
        before = len(run.sink.quotes)
        await run.until(lambda: len(run.sink.quotes) > before + 20)


async def test_silent_venue_is_left_although_it_answers() -> None:
    """Pongs are no data."""
    async with running(assets=("SOL",), reconnect_after_seconds=0.5) as run:
        await run.until(run.covers)
        run.venue.lies = Lies(silent=True)
        await run.until(lambda: run.sink.of(FeedDown))

        assert {event.reason for event in run.sink.of(FeedDown)} == {"feed_stale"}


@pytest.mark.slow
async def test_roll_takes_the_old_and_brings_the_new() -> None:
    """Expiry 12 s after the start; thirteen seconds later the successors, on new channels."""
    async with running(roll_in_seconds=12.0, assets=("SOL",)) as run:
        await run.until(run.covers)
        before = set(run.listed)
        await run.until(lambda: run.sink.of(InstrumentsExpired))
        (gone, *_) = run.sink.of(InstrumentsExpired)
        expired = before - set(run.listed)
        assert len(gone.slots) == len(expired) > 0
        await run.until(lambda: len(run.sink.of(InstrumentsListed)) > 1)
        await run.until(lambda: run.covers() and set(run.listed) == sol_names(run))
        new = {run.listed[name][0] for name in set(run.listed) - before}
        run.sink.quotes.clear()
        run.venue.lies = Lies()
        await run.until(lambda: new <= set(run.newest) or len(run.sink.quotes) > 5_000)

        assert new & set(run.newest)
        old = {n.split("-")[2] for n in expired}
        assert not any(n.split("-")[2] in old for n in run.listed)


def sol_names(run: Running) -> set[str]:
    """What the venue lists on the coin of the test."""
    return {name for name in run.venue.contracts if name.startswith("SOL-")}
