"""An independent client reads the simulated Deribit: what it cannot digest is the simulator's bug.

ccxt is no dependency of ours; where it is absent the test says so.
"""

import asyncio
from typing import Any

import numpy as np
import pytest

from volgauge.simulator.board import Board
from volgauge.simulator.deribit import Contract, depth
from volgauge.simulator.server import Simulator, SimulatorOptions

ccxt: Any = pytest.importorskip("ccxt.pro", reason="ccxt is not installed")
PATIENCE_SECONDS = 60.0


@pytest.mark.parametrize("currency", ["BTC", "SOL_USDC"])
async def test_ccxt_reads_options_tickers_and_books(currency: str) -> None:
    """Markets over REST, a ticker and an order book over REST and over the websocket."""
    # One quote a second of a thousand options: what is compared stands still.
    options = SimulatorOptions(currencies=(currency,), rate=1.0, seed=4)
    async with Simulator(options) as simulator:
        client = ccxt.deribit()
        client.urls["api"]["rest"] = f"http://127.0.0.1:{simulator.port}"
        client.urls["api"]["ws"] = simulator.ws_url
        client.has["fetchCurrencies"] = False
        assert simulator.market is not None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await check(client, simulator.market.boards[0])
        finally:
            await client.close()


async def check(client: Any, board: Board) -> None:  # noqa: ANN401 - untyped library
    """What ccxt understood against what the venue says."""
    markets = await client.load_markets()
    known = {market["id"]: market for market in markets.values() if market["option"]}
    assert set(known) == {board.options[slot].name for slot in np.flatnonzero(board.alive)}
    expiry = board.living_expiries()[2]
    slots = np.flatnonzero(board.alive & (board.expiry_of == expiry) & (board.bid > 0.0))
    slot = int(slots[len(slots) // 2])
    market = known[board.options[slot].name]
    assert market["strike"] == board.strike[slot]
    assert market["expiry"] == board.options[slot].expiry.expiry_ns // 1_000_000
    assert market["optionType"] == ("call" if board.is_call[slot] else "put")
    assert market["settle"] == ("BTC" if board.terms.coin else "USDC")
    assert market["contractSize"] == board.terms.contract_size
    bids, asks = depth(Contract(board, slot, board.options[slot].name))

    asked = await client.fetch_ticker(market["symbol"])
    pushed = await client.watch_ticker(market["symbol"])
    for ticker in (asked, pushed):
        assert (ticker["bid"], ticker["ask"]) == (bids[0][0], asks[0][0])
    fetched = await client.fetch_order_book(market["symbol"], 5)
    watched = await client.watch_order_book(market["symbol"])
    for book in (fetched, watched):
        assert [tuple(level[:2]) for level in book["bids"][:5]] == [tuple(x) for x in bids[:5]]
        assert [tuple(level[:2]) for level in book["asks"][:5]] == [tuple(x) for x in asks[:5]]
    greeks = await client.fetch_greeks(market["symbol"])
    assert greeks["underlyingPrice"] == pytest.approx(board.forward[expiry], rel=1e-2)
    assert 0.1 < greeks["markImpliedVolatility"] / 100.0 < 2.0
