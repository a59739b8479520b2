"""An independent client reads the simulated Bybit: what it cannot digest is a bug of the simulator.

ccxt is no dependency of ours; where it is absent the test says so.
"""

import asyncio
from typing import Any

import numpy as np
import pytest

from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import Simulator, SimulatorOptions

ccxt: Any = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")
PATIENCE_SECONDS = 60.0


async def test_ccxt_reads_options_tickers_and_books() -> None:
    """Markets over REST, a ticker and an order book over REST and over the websocket."""
    options = SimulatorOptions(currencies=("BTC",), rate=50.0, seed=4, venues=("bybit",))
    async with Simulator(options) as simulator:
        host = simulator.dialects["bybit"]
        assert isinstance(host, BybitVenue)
        client = ccxt.bybit({"options": {"defaultType": "option"}})
        addresses = client.urls["api"]
        for name, address in addresses.items():
            if isinstance(address, str):
                addresses[name] = simulator.rest_url_of("bybit")
        addresses["ws"]["public"]["option"] = simulator.ws_url_of("bybit")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await check(client, host)
        finally:
            await client.close()


async def check(client: Any, host: BybitVenue) -> None:  # noqa: ANN401 - untyped library
    """What ccxt understood against what the venue says."""
    markets = await client.fetch_option_markets({"baseCoin": "BTC", "limit": 1_000})
    client.set_markets(markets)
    known = {market["id"]: market for market in markets}
    assert set(known) == set(host.contracts)
    host.lies = Lies(frozen=True)
    book, board = host.books[0], host.books[0].board
    expiry = board.living_expiries()[2]
    slots = np.flatnonzero(board.alive & (board.expiry_of == expiry) & (book.bid > 0.0))
    slot = int(slots[len(slots) // 2])
    market = known[host.names[0][slot]]
    assert market["strike"] == board.strike[slot]
    assert market["expiry"] == board.options[slot].expiry.expiry_ns // 1_000_000
    assert market["optionType"] == ("call" if board.is_call[slot] else "put")
    assert (market["settle"], market["contractSize"]) == ("USDT", 1.0)
    assert market["precision"]["price"] == book.terms.tick_size
    numerator, denominator = book.terms.min_amount
    bid = [book.bid[slot], book.bid_lots[slot] * numerator / denominator]
    ask = [book.ask[slot], book.ask_lots[slot] * numerator / denominator]

    ticker = await client.fetch_ticker(market["symbol"])
    assert [ticker["bid"], ticker["bidVolume"]] == bid
    assert [ticker["ask"], ticker["askVolume"]] == ask
    # Of a pushed ticker ccxt reads the names of futures only; what options call their sides stays
    # in `info`.
    pushed = await client.watch_ticker(market["symbol"])
    assert [float(pushed["info"][name]) for name in ("bidPrice", "bidSize")] == bid
    greeks = await client.fetch_greeks(market["symbol"])
    assert greeks["underlyingPrice"] == pytest.approx(board.forward[expiry], rel=1e-3)
    assert 0.1 < greeks["markImpliedVolatility"] < 2.0
    fetched = await client.fetch_order_book(market["symbol"], 5)
    watched = await client.watch_order_book(market["symbol"])
    for levels in (fetched, watched):
        assert (levels["bids"][0][:2], levels["asks"][0][:2]) == (bid, ask)
