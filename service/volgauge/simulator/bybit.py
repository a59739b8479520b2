"""Bybit's words for the simulated market: names, rows, levels. Numbers are text, as on the wire.

Shapes are those of VENUES and the venue's v5 pages: instruments-info, tickers (the websocket's and
the REST interface's names differ), orderbook. Ticks of SOL and XRP are a choice of ours.
"""

from math import isnan
from typing import Any

import numpy as np

from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.simulator import pricing
from volgauge.simulator.board import I64, Board
from volgauge.simulator.listing import expiry_code
from volgauge.simulator.numbers import decimal_text, number_text, size_text
from volgauge.simulator.perpetual import perpetual_of
from volgauge.simulator.quoting import Family, QuoteBook

Row = dict[str, Any]
Side = dict[str, str]
"""Price to size, best first."""
SETTLE_COIN = "USDT"
DEPTH = 12
"""Levels that a side has, of the 25 and 100 that it may have."""
PERPETUALS = ("linear", "inverse")
"""Categories of the perpetuals."""
SETTLEMENT_MS = 8 * 3_600_000
"""Between two fundings of a perpetual."""
LARGEST_VOL = 5.0
"""The venue prints no larger volatility."""
CONTRACTS = {
    "BTC": ((5, 1), (1, 100)),
    "ETH": ((1, 10), (1, 10)),
    "SOL": ((1, 100), (1, 1)),
    "XRP": ((1, 10_000), (100, 1)),
}
"""Coin to the tick of its premiums and the step of its sizes, both as fractions."""
_NEWTON_STEPS = 6
_REST_NAMES = {
    "bidPrice": "bid1Price", "bidSize": "bid1Size", "bidIv": "bid1Iv", "askPrice": "ask1Price",
    "askSize": "ask1Size", "askIv": "ask1Iv", "markPriceIv": "markIv",
}  # fmt: skip


def option_name(board: Board, slot: int) -> str:
    """`BTC-28AUG26-67000-C-USDT`."""
    option = board.options[slot]
    right = "C" if option.is_call else "P"
    code, strike = expiry_code(option.expiry.expiry_ns), number_text(option.strike)
    return f"{board.terms.asset}-{code}-{strike}-{right}-{SETTLE_COIN}"


def instrument_row(family: Family, board: Board, slot: int) -> Row:
    """A row of /v5/market/instruments-info."""
    option, terms = board.options[slot], family.terms
    step = size_text(terms, 1)
    return {
        "symbol": option_name(board, slot), "status": "Trading", "baseCoin": terms.asset,
        "quoteCoin": SETTLE_COIN, "settleCoin": SETTLE_COIN,
        "optionsType": "Call" if option.is_call else "Put",
        "launchTime": str(option.listed_ns // NANOS_PER_MILLI),
        "deliveryTime": str(option.expiry.expiry_ns // NANOS_PER_MILLI),
        "deliveryFeeRate": "0.00015",
        "priceFilter": {
            "minPrice": number_text(terms.tick_size), "maxPrice": "1110000",
            "tickSize": number_text(terms.tick_size),
        },
        "lotSizeFilter": {"maxOrderQty": "500000", "minOrderQty": step, "qtyStep": step},
        "displayName": "",
    }  # fmt: skip


def ticker_rows(book: QuoteBook, slots: I64, now_ns: int, names: list[str]) -> list[Row]:
    """Payloads of `tickers.{symbol}`: top, marks, volatilities as fractions, the forward."""
    board = book.board
    years = board.years(now_ns)[board.expiry_of[slots]]
    forward = board.forward[board.expiry_of[slots]]
    k = np.log(board.strike[slots] / forward)
    deviation = np.sqrt(board.mark_variance[slots])
    vol = deviation / np.sqrt(years)
    d1 = -k / deviation + 0.5 * deviation
    vega = forward * pricing.normal_pdf(d1) * np.sqrt(years)
    mark, is_call = book.fair(slots), board.is_call[slots]
    intrinsic = np.maximum(np.where(is_call, -np.expm1(k), np.expm1(k)), 0.0)
    bid_vol, ask_vol = (
        pricing.solve_deviation(k, side[slots] / forward - intrinsic, deviation, _NEWTON_STEPS)
        / np.sqrt(years)
        for side in (book.bid, book.ask)
    )
    delta = pricing.normal_cdf(d1) - np.where(is_call, 0.0, 1.0)
    index = number_text(board.index_price)
    return [
        {
            "symbol": name,
            "bidPrice": number_text(float(book.bid[slot])),
            "bidSize": size_text(book.terms, int(book.bid_lots[slot])),
            "bidIv": decimal_text(min(bid_vol[place], LARGEST_VOL), 4),
            "askPrice": number_text(float(book.ask[slot])),
            "askSize": size_text(book.terms, int(book.ask_lots[slot])),
            "askIv": decimal_text(min(ask_vol[place], LARGEST_VOL), 4),
            "lastPrice": "0", "highPrice24h": "0", "lowPrice24h": "0",
            "markPrice": decimal_text(mark[place], 8),
            "indexPrice": index,
            "markPriceIv": decimal_text(vol[place], 4),
            "underlyingPrice": decimal_text(forward[place], 8),
            "openInterest": number_text(float(board.open_interest[slot])),
            "turnover24h": "0", "volume24h": number_text(float(board.volume[slot])),
            "totalVolume": "0", "totalTurnover": "0",
            "delta": decimal_text(delta[place], 8), "gamma": "0",
            "vega": decimal_text(vega[place] / 100.0, 8), "theta": "0",
            "predictedDeliveryPrice": "0", "change24h": "0",
        }
        for place, (slot, name) in enumerate(zip(slots.tolist(), names, strict=True))
    ]  # fmt: skip


def perpetual_row(board: Board, category: str, stamp: int) -> Row:
    """A row of /v5/market/tickers of the perpetual of a category.

    A tenth is held in the inverse one, in USD; the other counts coins.
    """
    perpetual, index = perpetual_of(board, "bybit"), board.index_price
    is_inverse = category == "inverse"
    coins = perpetual.coins * (0.1 if is_inverse else 0.9)
    interest = round(coins * index) if is_inverse else round(coins, 3)
    settled = (stamp // SETTLEMENT_MS + 1) * SETTLEMENT_MS
    return {
        "symbol": board.terms.asset + ("USD" if is_inverse else "USDT"),
        "lastPrice": number_text(index), "indexPrice": number_text(index),
        "markPrice": number_text(index), "openInterest": number_text(interest),
        "openInterestValue": decimal_text(coins if is_inverse else coins * index, 2),
        "fundingRate": f"{perpetual.funding:.8f}", "fundingIntervalHour": "8",
        "nextFundingTime": str(settled), "turnover24h": "0", "volume24h": "0",
    }  # fmt: skip


def rest_row(row: Row) -> Row:
    """A row of /v5/market/tickers: the same under other names."""
    return {_REST_NAMES.get(name, name): value for name, value in row.items()}


def levels(book: QuoteBook, slot: int) -> tuple[Side, Side]:
    """A whole book: behind the best each side goes on tick by tick."""
    sides = []
    numerator, denominator = book.terms.tick
    for prices, lots, step in ((book.bid, book.bid_lots, -1), (book.ask, book.ask_lots, 1)):
        price, first = float(prices[slot]), int(lots[slot])
        side: Side = {}
        if not isnan(price):
            ticks = round(price * denominator / numerator)
            for place in range(DEPTH):
                further = ticks + step * place
                if further > 0:
                    text = number_text(further * numerator / denominator)
                    side[text] = size_text(book.terms, first + 7 * place)
        sides.append(side)
    return sides[0], sides[1]
