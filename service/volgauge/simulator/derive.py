"""Derive's words for the simulated market: names, rows. Numbers are text, as on the wire.

Shapes are those of VENUES and the venue's pages: get_all_instruments, ticker_slim. Ticks are the
venue's for BTC and ETH, a choice of ours for the others, and so is the rate of its discounts.
"""

from datetime import UTC, datetime
from math import floor
from typing import Any

import numpy as np
from typing_extensions import override

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator import pricing
from volgauge.simulator.board import F64, I64, Board
from volgauge.simulator.listing import Terms
from volgauge.simulator.market import Market
from volgauge.simulator.numbers import decimal_text, number_text, size_text
from volgauge.simulator.perpetual import perpetual_of
from volgauge.simulator.quoting import Family, QuoteBook, QuotingStyle

Row = dict[str, Any]
QUOTE = "USDC"
RATE = 0.03
"""Of the discounts, a year."""
FACTOR_DIGITS = 1_000
"""A discount factor is printed in thousandths, the rest cut off."""
LAST_SECONDS = 60
"""Trading ends this long before the expiry."""
CONTRACTS = {
    "BTC": ((1, 1), (1, 100)),
    "ETH": ((1, 10), (1, 10)),
    "SOL": ((1, 100), (1, 1)),
    "XRP": ((1, 10_000), (100, 1)),
    "HYPE": ((1, 100), (1, 1)),
}
"""Coin to the tick of its premiums and the step of its sizes, both as fractions."""
_NEWTON_STEPS = 6


class DiscountedBook(QuoteBook):
    """Quotes of premiums that are paid now: the market's times the discount factor."""

    def __init__(
        self, market: Market, number: int, terms: Terms, style: QuotingStyle, seed: list[int]
    ) -> None:
        super().__init__(market, number, terms, style, seed)
        self._clock = market

    def factors(self) -> F64:
        """(expiries,) discount factors."""
        years = np.maximum(self.board.years(self._clock.now_ns), 0.0)
        return np.exp(-RATE * years)

    @override
    def fair(self, slots: I64) -> F64:
        """Noise-free premiums now, discounted."""
        return super().fair(slots) * self.factors()[self.board.expiry_of[slots]]

    @override
    def _intrinsic(self, slots: I64) -> F64:
        return super()._intrinsic(slots) * self.factors()[self.board.expiry_of[slots]]


def option_name(board: Board, slot: int) -> str:
    """`BTC-20260828-67000-C`."""
    option = board.options[slot]
    day = datetime.fromtimestamp(option.expiry.expiry_ns // NANOS_PER_SECOND, UTC)
    right = "C" if option.is_call else "P"
    return f"{board.terms.asset}-{day:%Y%m%d}-{number_text(option.strike)}-{right}"


def instrument_row(family: Family, board: Board, slot: int) -> Row:
    """A row of public/get_all_instruments."""
    option, terms = board.options[slot], family.terms
    expiry = option.expiry.expiry_ns // NANOS_PER_SECOND
    step = size_text(terms, 1)
    return {
        "amount_step": step, "base_asset_address": "0x" + "0" * 40,
        "base_asset_sub_id": str(option.number), "base_currency": terms.asset, "base_fee": "0.5",
        "erc20_details": None, "fifo_min_allocation": "100",
        "instrument_name": option_name(board, slot), "instrument_type": "option",
        "is_active": bool(board.alive[slot]), "maker_fee_rate": "0.0001",
        "mark_price_fee_rate_cap": "0.125", "maximum_amount": "100000", "minimum_amount": step,
        "option_details": {
            "expiry": expiry, "index": f"{terms.asset}-USD",
            "option_type": "C" if option.is_call else "P", "settlement_price": None,
            "strike": number_text(option.strike),
        },
        "perp_details": None, "pro_rata_amount_step": step, "pro_rata_fraction": "0.8",
        "quote_currency": QUOTE, "scheduled_activation": option.listed_ns // NANOS_PER_SECOND,
        "scheduled_deactivation": expiry - LAST_SECONDS, "taker_fee_rate": "0.0003",
        "tick_size": number_text(terms.tick_size),
    }  # fmt: skip


def printed_factor(factor: float) -> str:
    """Three digits, the rest cut off."""
    return number_text(floor(factor * FACTOR_DIGITS) / FACTOR_DIGITS)


def ticker_rows(book: DiscountedBook, slots: I64, now_ns: int, stamp: int) -> list[Row]:
    """Slim tickers: top, mark and forward cut off to the tick, volatilities as fractions."""
    board = book.board
    expiries = board.expiry_of[slots]
    years, forward, factor = (
        values[expiries] for values in (board.years(now_ns), board.forward, book.factors())
    )
    k = np.log(board.strike[slots] / forward)
    deviation = np.sqrt(board.mark_variance[slots])
    d1 = -k / deviation + 0.5 * deviation
    vega = factor * forward * pricing.normal_pdf(d1) * np.sqrt(years)
    mark, is_call = book.fair(slots), board.is_call[slots]
    intrinsic = np.maximum(np.where(is_call, -np.expm1(k), np.expm1(k)), 0.0)
    bid_vol, ask_vol = (
        pricing.solve_deviation(
            k, side[slots] / (factor * forward) - intrinsic, deviation, _NEWTON_STEPS
        )
        / np.sqrt(years)
        for side in (book.bid, book.ask)
    )
    vol = deviation / np.sqrt(years)
    delta = factor * (pricing.normal_cdf(d1) - np.where(is_call, 0.0, 1.0))
    index = number_text(board.index_price)
    rows = []
    for place, slot in enumerate(slots.tolist()):
        printed = cut_to_tick(book.terms, float(mark[place]))
        rows.append({
            "t": stamp, "A": size_text(book.terms, int(book.ask_lots[slot])),
            "a": number_text(float(book.ask[slot])),
            "B": size_text(book.terms, int(book.bid_lots[slot])),
            "b": number_text(float(book.bid[slot])), "f": None,
            "option_pricing": {
                "d": decimal_text(delta[place], 5), "t": "0", "g": "0",
                "v": decimal_text(vega[place] / 100.0, 5), "i": decimal_text(vol[place], 5),
                "r": decimal_text(years[place] * mark[place], 5),
                "f": cut_to_tick(book.terms, float(forward[place])), "m": printed,
                "df": printed_factor(float(factor[place])),
                "bi": decimal_text(bid_vol[place], 5), "ai": decimal_text(ask_vol[place], 5),
            },
            "I": index, "M": printed,
            "stats": {
                "c": number_text(float(board.volume[slot])), "pr": "0", "n": 0,
                "v": decimal_text(float(board.volume[slot]) * board.index_price, 2),
                "oi": number_text(float(board.open_interest[slot])), "h": "0", "l": "0", "p": "0",
            },
            "minp": number_text(book.terms.tick_size), "maxp": index,
        })  # fmt: skip
    return rows


def perpetual_row(board: Board, stamp: int) -> Row:
    """Slim ticker of a perpetual; `f` is the funding of an hour."""
    perpetual, index = perpetual_of(board, "derive"), number_text(board.index_price)
    return {
        "t": stamp, "A": "1", "a": index, "B": "1", "b": index,
        "f": f"{perpetual.funding / 8.0:.10f}", "option_pricing": None, "I": index, "M": index,
        "stats": {
            "c": "0", "v": "0", "pr": "0", "n": 0, "oi": number_text(perpetual.coins),
            "h": "0", "l": "0", "p": "0",
        },
        "minp": "0", "maxp": index,
    }  # fmt: skip


def cut_to_tick(terms: Terms, value: float) -> str:
    """What stands on the grid of prices below a value."""
    numerator, denominator = terms.tick
    return number_text(floor(value * denominator / numerator) * numerator / denominator)
