"""Bybit's words for the simulated market: names, rows, levels. Numbers are text, as on the wire.

Shapes are those of VENUES and the venue's v5 pages: instruments-info, tickers (the websocket's and
the REST interface's names differ), orderbook. Ticks of SOL and XRP are a choice of ours.
"""

from math import isnan
from typing import Any

import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.simulator import pricing
from volgauge.simulator.board import F64, I64, Board
from volgauge.simulator.listing import Terms, expiry_code
from volgauge.simulator.perpetual import perpetual_of
from volgauge.simulator.quoting import QuoteBook

Row = dict[str, Any]
Side = dict[str, str]
"""Price to size, best first."""
SETTLE_COIN = "USDT"
DEPTH = 12
PERPETUALS = ("linear", "inverse")
"""Categories of the perpetuals."""
SETTLEMENT_MS = 8 * 3_600_000
"""Between two fundings of a perpetual."""
"""Levels that a side has, of the 25 and 100 that it may have."""
LARGEST_VOL = 5.0
"""The venue prints no larger volatility."""
_CONTRACTS = {
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


class Family(Struct, frozen=True):
    """One option book of the venue."""

    number: int
    """Of the market's board."""
    terms: Terms


def families_of(boards: tuple[Board, ...]) -> list[Family]:
    """The books that the venue lists on the market's boards: all are paid in USDT."""
    return [
        Family(number, _terms(board.terms))
        for number, board in enumerate(boards)
        if board.terms.asset in _CONTRACTS
    ]


def _terms(terms: Terms) -> Terms:
    tick, step = _CONTRACTS[terms.asset]
    return Terms(
        asset=terms.asset, coin=False, spot=terms.spot, vol=terms.vol, tick=tick,
        future_tick=terms.future_tick, contract_size=1.0, min_amount=step,
    )  # fmt: skip


def option_name(board: Board, slot: int) -> str:
    """`BTC-28AUG26-67000-C-USDT`."""
    option = board.options[slot]
    right = "C" if option.is_call else "P"
    code, strike = expiry_code(option.expiry.expiry_ns), number_text(option.strike)
    return f"{board.terms.asset}-{code}-{strike}-{right}-{SETTLE_COIN}"


def number_text(value: float) -> str:
    """The shortest decimal without an exponent or a trailing point; "0" for none."""
    if isnan(value):
        return "0"
    text = repr(float(value))
    if "e" in text:
        text = f"{value:.12f}".rstrip("0")
    return text.removesuffix(".0").rstrip(".")


def size_text(terms: Terms, lots: int) -> str:
    """So many steps of size, in coins."""
    numerator, denominator = terms.min_amount
    return number_text(lots * numerator / denominator)


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
        _solve(k, side[slots] / forward - intrinsic, deviation) / np.sqrt(years)
        for side in (book.bid, book.ask)
    )
    delta = pricing.normal_cdf(d1) - np.where(is_call, 0.0, 1.0)
    index = number_text(board.index_price)
    return [
        {
            "symbol": name,
            "bidPrice": number_text(float(book.bid[slot])),
            "bidSize": size_text(book.terms, int(book.bid_lots[slot])),
            "bidIv": _decimals(min(bid_vol[place], LARGEST_VOL), 4),
            "askPrice": number_text(float(book.ask[slot])),
            "askSize": size_text(book.terms, int(book.ask_lots[slot])),
            "askIv": _decimals(min(ask_vol[place], LARGEST_VOL), 4),
            "lastPrice": "0", "highPrice24h": "0", "lowPrice24h": "0",
            "markPrice": _decimals(mark[place], 8),
            "indexPrice": index,
            "markPriceIv": _decimals(vol[place], 4),
            "underlyingPrice": _decimals(forward[place], 8),
            "openInterest": number_text(float(board.open_interest[slot])),
            "turnover24h": "0", "volume24h": number_text(float(board.volume[slot])),
            "totalVolume": "0", "totalTurnover": "0",
            "delta": _decimals(delta[place], 8), "gamma": "0",
            "vega": _decimals(vega[place] / 100.0, 8), "theta": "0",
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
        "openInterestValue": _decimals(coins if is_inverse else coins * index, 2),
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


def _solve(k: F64, value: F64, start: F64) -> F64:
    """Deviations of out-of-the-money prices in units of the forward; NaN where there is none.

    Newton's steps from the mark's: enough for the digits that are printed, as quotes are near it.
    """
    deviation = start
    for _ in range(_NEWTON_STEPS):
        slope = pricing.normal_pdf(-k / deviation + 0.5 * deviation)
        missing = value - pricing.out_of_the_money(k, deviation * deviation)
        moved = deviation + missing / np.maximum(slope, 1e-12)
        deviation = np.clip(moved, 0.5 * deviation, 2.0 * deviation)
    return np.where(value > 0.0, deviation, np.nan)


def _decimals(value: float, places: int) -> str:
    """At most so many decimals; "0" for what is no number, as a bid's volatility without a bid."""
    if isnan(value):
        return "0"
    return f"{value:.{places}f}".rstrip("0").rstrip(".") or "0"
