"""An independent client reads the simulated Binance: what it cannot digest is the simulator's bug.

ccxt is no dependency of ours; where it is absent the test says so.
"""

import asyncio
from typing import Any

import numpy as np
import pytest

from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.lies import Lies
from volgauge.simulator.server import Simulator, SimulatorOptions

ccxt: Any = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")
PATIENCE_SECONDS = 60.0


async def test_ccxt_reads_options_tickers_and_books() -> None:
    """Markets, a ticker and an order book over REST; best prices and a book over the websocket."""
    options = SimulatorOptions(currencies=("BTC",), rate=300.0, seed=4, venues=("binance",))
    async with Simulator(options) as simulator:
        host = simulator.dialects["binance"]
        assert isinstance(host, BinanceVenue)
        settings = {"fetchMarkets": {"types": ["option"]}, "fetchMargins": False}
        client = ccxt.binance({"options": settings})
        addresses = client.urls["api"]
        addresses["eapiPublic"] = f"{simulator.rest_url_of('binance')}/eapi/v1"
        # ccxt takes options for futures that are paid in dollars, and puts the route in itself.
        addresses["ws"]["future"] = f"{simulator.ws_url_of('binance')}/ws"
        client.has["fetchCurrencies"] = False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await check(client, host)
        finally:
            await client.close()


async def check(client: Any, host: BinanceVenue) -> None:  # noqa: ANN401 - untyped library
    """What ccxt understood against what the venue says."""
    markets = await client.load_markets()
    known = {market["id"]: market for market in markets.values()}
    assert set(known) == set(host.contracts)
    book, board = host.books[0], host.books[0].board
    expiry = board.living_expiries()[2]
    slots = np.flatnonzero(board.alive & (board.expiry_of == expiry) & (book.bid > 0.0))
    slot = int(slots[len(slots) // 2])
    market = known[host.names[0][slot]]
    assert market["strike"] == board.strike[slot]
    assert market["expiry"] == board.options[slot].expiry.expiry_ns // 1_000_000
    assert market["optionType"] == ("call" if board.is_call[slot] else "put")
    assert (market["settle"], market["contractSize"]) == ("USDT", 1.0)
    pushed = await client.watch_bids_asks([market["symbol"]])
    assert 0.0 < pushed[market["symbol"]]["bid"] < pushed[market["symbol"]]["ask"]
    watched = await client.watch_order_book(market["symbol"])
    assert watched["bids"][0][0] < watched["asks"][0][0]
    host.lies = Lies(frozen=True)
    await asyncio.sleep(0.3)
    best = (book.bid[slot], book.bid_lots[slot] / 100, book.ask[slot], book.ask_lots[slot] / 100)

    ticker = await client.fetch_ticker(market["symbol"])
    assert (ticker["bid"], ticker["ask"]) == (best[0], best[2])
    fetched = await client.fetch_order_book(market["symbol"], 10)
    assert (*fetched["bids"][0], *fetched["asks"][0]) == best
    followed = client.orderbooks[market["symbol"]]
    assert (*followed["bids"][0][:2], *followed["asks"][0][:2]) == best
