"""An independent client reads the simulated Delta: what it cannot digest is a bug of the simulator.

ccxt speaks Delta's REST interface alone. It is no dependency of ours; where it is absent the test
says so.
"""

import asyncio
from typing import Any

import pytest

from volgauge.simulator.delta_venue import DeltaVenue
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import Simulator, SimulatorOptions

ccxt: Any = pytest.importorskip("ccxt.async_support", reason="ccxt is not installed")
PATIENCE_SECONDS = 60.0


async def test_ccxt_reads_deltas_options_tickers_and_books() -> None:
    """Currencies, markets, tickers, greeks, a book, funding and the state of the venue."""
    options = SimulatorOptions(currencies=("BTC", "ETH"), rate=50.0, seed=4, venues=("delta",))
    async with Simulator(options) as simulator:
        host = simulator.dialects["delta"]
        assert isinstance(host, DeltaVenue)
        client = ccxt.delta()
        client.urls["api"] = dict.fromkeys(("public", "private"), simulator.rest_url_of("delta"))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await check(client, host)
        finally:
            await client.close()


async def check(client: Any, host: DeltaVenue) -> None:  # noqa: ANN401 - untyped library
    """What ccxt understood against what the venue says."""
    markets = await client.load_markets()
    known = {m["id"]: m for m in markets.values() if m["option"]}
    assert set(known) == set(host.contracts)
    assert {m["id"] for m in markets.values() if m["swap"]} == {"BTCUSDT", "ETHUSDT"}
    host.lies = Lies(frozen=True)
    name = next(n for n, (place, slot) in host.contracts.items() if host.books[place].bid[slot] > 0)
    market = known[name]
    place, slot = host.contracts[name]
    book, board = host.books[place], host.books[place].board
    assert market["strike"] == board.strike[slot]
    assert market["expiry"] == board.options[slot].expiry.expiry_ns // 1_000_000
    assert market["expiryDatetime"].endswith("T12:00:00.000Z")
    assert market["optionType"] == ("call" if board.is_call[slot] else "put")
    assert market["contractSize"] == book.terms.contract_size
    assert market["precision"]["price"] == book.terms.tick_size
    assert market["linear"]

    ticker = await client.fetch_ticker(market["symbol"])
    assert (ticker["bid"], ticker["ask"]) == (book.bid[slot], book.ask[slot])
    assert (ticker["bidVolume"], ticker["askVolume"]) == (book.bid_lots[slot], book.ask_lots[slot])
    fetched = await client.fetch_order_book(market["symbol"])
    assert fetched["bids"] == [[book.bid[slot], book.bid_lots[slot]]]
    assert fetched["asks"] == [[book.ask[slot], book.ask_lots[slot]]]
    greeks = await client.fetch_greeks(market["symbol"])
    assert greeks["markPrice"] == pytest.approx(float(ticker["info"]["mark_price"]), rel=1e-2)
    assert -1.0 <= greeks["delta"] <= 1.0
    assert greeks["underlyingPrice"] == pytest.approx(board.index_price, rel=1e-2)
    funding = await client.fetch_funding_rate("BTC/USDT:USDT")
    assert funding["indexPrice"] == pytest.approx(book.source.index_price, rel=1e-2)
    assert abs(funding["fundingRate"]) < 1e-3
    assert (await client.fetch_status())["status"] == "ok"
    assert await client.fetch_time() == pytest.approx(host.stamp / 1e3, abs=5_000)
