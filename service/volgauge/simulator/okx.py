"""OKX's words for the simulated market: families, names, rows. Numbers are text, as on the wire.

Shapes are those of VENUES: public/instruments, bbo-tbt, books, tickers, opt-summary. Contracts of
the coin families are the venue's of 2026; ticks of the USD-margined ones are a choice of ours.
"""

from datetime import UTC, datetime
from math import isnan, sqrt
from typing import Any

import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import numbers, pricing
from volgauge.simulator.board import I64, Board
from volgauge.simulator.listing import Terms
from volgauge.simulator.perpetual import perpetual_of
from volgauge.simulator.quoting import QuoteBook

Row = dict[str, Any]
SETTLEMENT_MS = 8 * 3_600_000
"""Between two fundings of a swap."""
DEPTH = 12
"""Levels that a side of a long book has."""
_CONTRACTS = {
    "BTC": ((1, 100), (5, 1)),
    "ETH": ((1, 10), (1, 10)),
    "SOL": ((1, 1), (1, 100)),
}
"""Coin to the size of a contract in it, and the tick of a margined premium."""
_COIN_FAMILIES = frozenset({"BTC", "ETH"})
"""Coins with options that are paid in the coin."""


class Family(Struct, frozen=True):
    """One option book of the venue."""

    name: str
    """`BTC-USD` or `BTC-USD_UM`."""
    number: int
    """Of the market's board."""
    terms: Terms

    @property
    def index(self) -> str:
        """What it settles on."""
        return self.name.removesuffix("_UM")


def families_of(boards: tuple[Board, ...]) -> list[Family]:
    """The books that the venue lists on the market's boards."""
    found = []
    for number, board in enumerate(boards):
        asset = board.terms.asset
        if asset not in _CONTRACTS:
            continue
        if asset in _COIN_FAMILIES:
            found.append(Family(f"{asset}-USD", number, _terms(board, coin=True)))
        found.append(Family(f"{asset}-USD_UM", number, _terms(board, coin=False)))
    return found


def _terms(board: Board, *, coin: bool) -> Terms:
    terms = board.terms
    contract, tick = _CONTRACTS[terms.asset]
    return Terms(
        asset=terms.asset,
        coin=coin,
        spot=terms.spot,
        vol=terms.vol,
        tick=(1, 10_000) if coin else tick,
        tick_above=50 if coin else 0,
        tick_multiple=5 if coin else 1,
        future_tick=terms.future_tick,
        contract_size=contract[0] / contract[1],
        min_amount=contract,
    )


def option_name(family: str, board: Board, slot: int) -> str:
    """`BTC-USD-260828-67000-C`, `SOL-USD_UM-260918-100.5-P`."""
    option = board.options[slot]
    day = datetime.fromtimestamp(option.expiry.expiry_ns // NANOS_PER_SECOND, UTC)
    right = "C" if option.is_call else "P"
    return f"{family}-{day:%y%m%d}-{number_text(option.strike)}-{right}"


def number_text(value: float) -> str:
    """The shortest decimal; "" for NaN."""
    return numbers.number_text(value, absent="")


def instrument_row(family: Family, board: Board, slot: int) -> Row:
    """A row of public/instruments and of the channel of that name."""
    option, terms = board.options[slot], family.terms
    return {
        "alias": "", "baseCcy": "", "category": "1", "ctMult": number_text(terms.contract_size),
        "ctType": "", "ctVal": "1", "ctValCcy": terms.asset,
        "expTime": str(option.expiry.expiry_ns // NANOS_PER_MILLI),
        "groupId": "1" if terms.coin else "2", "instFamily": family.name,
        "instId": option_name(family.name, board, slot),
        "instIdCode": 2 * option.number + (not terms.coin), "instType": "OPTION", "lever": "",
        "listTime": str(option.listed_ns // NANOS_PER_MILLI), "lotSz": "1", "minSz": "1",
        "optType": "C" if option.is_call else "P", "quoteCcy": "",
        "settleCcy": terms.asset if terms.coin else "USD",
        "state": "live" if board.alive[slot] else "expired", "stk": number_text(option.strike),
        "tickSz": number_text(terms.tick_size), "uly": family.index,
    }  # fmt: skip


def band_row(family: Family) -> Row:
    """A row of public/instrument-tick-bands."""
    terms = family.terms
    limit = terms.tick_above * terms.tick_size
    size, steep = terms.tick_size, terms.tick_size * terms.tick_multiple
    bands = [(0.0, limit or 10_000_000.0, size)]
    if limit:
        bands.append((limit, 10_000_000.0, steep))
    return {
        "instType": "OPTION",
        "instFamily": family.name,
        "tickBand": [
            {"minPx": number_text(low), "maxPx": number_text(high), "tickSz": number_text(tick)}
            for low, high, tick in bands
        ],
    }


def top_levels(book: QuoteBook, slot: int) -> tuple[list[list[str]], list[list[str]]]:
    """Best bid and best ask as levels; an absent side is an empty list."""
    sides = []
    for prices, lots in ((book.bid, book.bid_lots), (book.ask, book.ask_lots)):
        price = float(prices[slot])
        sides.append([] if isnan(price) else [[number_text(price), str(lots[slot]), "0", "1"]])
    return sides[0], sides[1]


def deep_levels(book: QuoteBook, slot: int) -> tuple[dict[str, str], dict[str, str]]:
    """A whole book, price to size: behind the best each side goes on tick by tick."""
    sides = []
    for prices, lots, step in ((book.bid, book.bid_lots, -1), (book.ask, book.ask_lots, 1)):
        price, first = float(prices[slot]), int(lots[slot])
        levels: dict[str, str] = {}
        if not isnan(price):
            numerator, denominator = book.terms.tick
            # The coarser of the two steps is on both grids.
            width = book.terms.tick_multiple if book.terms.tick_above else 1
            ticks = round(price * denominator / numerator)
            levels[number_text(price)] = str(first)
            for place in range(1, DEPTH):
                further = (ticks // width + step * place) * width
                if further > 0:
                    levels[number_text(further * numerator / denominator)] = str(first + 7 * place)
        sides.append(levels)
    return sides[0], sides[1]


def ticker_row(name: str, book: QuoteBook, slot: int, stamp: str) -> Row:
    """A row of `tickers`; "" where no order stands."""
    bids, asks = top_levels(book, slot)
    bid, ask = bids[0] if bids else ["", ""], asks[0] if asks else ["", ""]
    # The market's volume, shared out between a coin's two families.
    contracts = round(0.5 * float(book.board.volume[slot]) / book.terms.contract_size)
    return {
        "instType": "OPTION", "instId": name, "last": "", "lastSz": "0", "askPx": ask[0],
        "askSz": ask[1], "bidPx": bid[0], "bidSz": bid[1], "open24h": "", "high24h": "",
        "low24h": "", "sodUtc0": "", "sodUtc8": "",
        "volCcy24h": number_text(round(contracts * book.terms.contract_size, 8)),
        "vol24h": str(contracts), "ts": stamp,
    }  # fmt: skip


def swap_rows(board: Board, stamp: str) -> dict[str, tuple[Row, Row]]:
    """Rows of open-interest and of funding-rate of a coin's swaps, by name.

    A fifth is held in the swap that is paid in the coin, whose contract is USD 100, or 10.
    """
    perpetual, asset = perpetual_of(board, "okx"), board.terms.asset
    found = {}
    for quote, share in (("USD", 0.2), ("USDT", 0.8)):
        name, coins = f"{asset}-{quote}-SWAP", share * perpetual.coins
        dollars = coins * board.index_price
        size = board.index_price * 0.01 if quote == "USDT" else 100.0 if asset == "BTC" else 10.0
        settled = (int(stamp) // SETTLEMENT_MS + 1) * SETTLEMENT_MS
        interest = {
            "instId": name, "instType": "SWAP", "oi": str(round(dollars / size)),
            "oiCcy": number_text(round(coins, 6)), "oiUsd": number_text(round(dollars, 2)),
            "ts": stamp,
        }  # fmt: skip
        funding = {
            "formulaType": "noRate", "fundingRate": f"{perpetual.funding:.10f}",
            "fundingTime": str(settled), "impactValue": "", "instId": name, "instType": "SWAP",
            "interestRate": "", "maxFundingRate": "0.00375", "method": "current_period",
            "minFundingRate": "-0.00375", "nextFundingRate": "",
            "nextFundingTime": str(settled + SETTLEMENT_MS), "premium": "0",
            "settFundingRate": f"{perpetual.funding:.10f}", "settState": "settled", "ts": stamp,
        }  # fmt: skip
        found[name] = (interest, funding)
    return found


def summary_rows(
    family: Family, book: QuoteBook, slots: I64, now_ns: int, stamp: str, names: list[str]
) -> list[Row]:
    """Rows of `opt-summary`: volatilities as fractions, greeks, the forward; no price.

    The volatilities of bid and ask are those of the mark moved by the price difference over vega:
    they are there to be read, not to be relied on.
    """
    board = book.board
    years = board.years(now_ns)[board.expiry_of[slots]]
    forward = board.forward[board.expiry_of[slots]]
    k = np.log(board.strike[slots] / forward)
    w = board.mark_variance[slots]
    deviation = np.sqrt(w)
    vol = deviation / np.sqrt(years)
    d1 = -k / deviation + 0.5 * deviation
    vega = pricing.normal_pdf(d1) * np.sqrt(years)
    unit = 1.0 if family.terms.coin else forward
    fair = book.fair(slots)
    moved = [
        np.clip(vol + (side[slots] - fair) / np.maximum(vega * unit, 1e-12), 0.0, 5.0)
        for side in (book.bid, book.ask)
    ]
    call = board.is_call[slots]
    delta = np.where(call, pricing.normal_cdf(d1), pricing.normal_cdf(d1) - 1.0)
    coin = fair / unit
    rows = []
    for place, name in enumerate(names):
        rows.append({
            "instType": "OPTION", "instId": name, "uly": family.index,
            "delta": _decimals(delta[place] - coin[place]), "gamma": "0",
            "vega": _decimals(vega[place] / 100.0), "theta": "0",
            "deltaBS": _decimals(delta[place]), "gammaBS": "0", "thetaBS": "0",
            "vegaBS": _decimals(vega[place] * forward[place] / 100.0),
            "lever": _decimals(1.0 / coin[place]) if coin[place] > 0.0005 else "2000",
            "markVol": _decimals(vol[place]), "bidVol": _decimals(moved[0][place]),
            "askVol": _decimals(moved[1][place]), "realVol": "",
            "volLv": _decimals(sqrt(max(float(w[place] / years[place]), 0.0))),
            "fwdPx": _decimals(forward[place]), "ts": stamp, "buyApr": "", "sellApr": "",
            "distance": _decimals(np.expm1(k[place])),
        })  # fmt: skip
    return rows


def _decimals(value: float) -> str:
    return numbers.decimal_text(value, 10, absent="")
