"""An independent client reads the simulated OKX: what it cannot digest is a bug of the simulator.

ccxt is no dependency of ours; where it is absent the test says so.
"""

import asyncio
from typing import Any

import pytest

from volgauge.simulator.lies import Lies
from volgauge.simulator.okx_venue import OkxVenue
from volgauge.simulator.server import Simulator, SimulatorOptions

ccxt: Any = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")
PATIENCE_SECONDS = 60.0


async def test_ccxt_reads_options_tickers_and_books() -> None:
    """Markets over REST, a ticker and an order book over REST and over the websocket."""
    options = SimulatorOptions(currencies=("BTC", "ETH"), rate=50.0, seed=4, venues=("okx",))
    async with Simulator(options) as simulator:
        host = simulator.dialects["okx"]
        assert isinstance(host, OkxVenue)
        client = ccxt.okx({"options": {"fetchMarkets": {"types": ["option"]}}})
        client.urls["api"]["rest"] = simulator.rest_url_of("okx").removesuffix("/api/v5")
        client.urls["api"]["ws"] = simulator.ws_url_of("okx").removesuffix("/public")
        client.has["fetchCurrencies"] = False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await check(client, host)
        finally:
            await client.close()


async def check(client: Any, host: OkxVenue) -> None:  # noqa: ANN401 - untyped library
    """What ccxt understood against what the venue says."""
    markets = await client.load_markets()
    known = {m["id"]: m for m in markets.values() if m["option"]}
    assert set(known) == set(host.contracts)
    host.lies = Lies(frozen=True)
    name = next(
        name
        for name, (place, slot) in host.contracts.items()
        if place == 0 and host.books[0].bid[slot] > 0.0
    )
    market = known[name]
    place, slot = host.contracts[name]
    book, board = host.books[place], host.books[place].board
    assert market["strike"] == board.strike[slot]
    assert market["expiry"] == board.options[slot].expiry.expiry_ns // 1_000_000
    assert market["optionType"] == ("call" if board.is_call[slot] else "put")
    # ccxt takes ctVal alone for the size of a contract, so the multiplier is compared in its row.
    size = market["contractSize"] * float(market["info"]["ctMult"])
    assert size == book.terms.contract_size
    best = (book.bid[slot], book.bid_lots[slot], book.ask[slot], book.ask_lots[slot])

    asked = await client.fetch_ticker(market["symbol"])
    pushed = await client.watch_ticker(market["symbol"])
    for ticker in (asked, pushed):
        assert (ticker["bid"], ticker["ask"]) == (best[0], best[2])
    fetched = await client.fetch_order_book(market["symbol"], 5)
    assert (fetched["bids"][0][0], fetched["asks"][0][0]) == (best[0], best[2])
    watched = await client.watch_order_book(market["symbol"])
    assert (watched["bids"][0][:2], watched["asks"][0][:2]) == (
        [best[0], best[1]],
        [best[2], best[3]],
    )
