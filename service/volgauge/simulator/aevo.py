"""Aevo's words for the simulated market: names, rows. Numbers are text, as on the wire.

Shapes are those of the venue's pages: "GET /markets", "Book Ticker", "Ticker Throttled",
"GET /coingecko-statistics". Ticks and steps are a choice of ours; the pages print 0.05 and 0.1.
"""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from msgspec import Struct

from volgauge.domain.units import DAYS_PER_YEAR, NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.simulator import numbers, pricing
from volgauge.simulator.board import B1, F64, I64, Board
from volgauge.simulator.listing import Terms
from volgauge.simulator.numbers import decimal_text, size_text
from volgauge.simulator.perpetual import perpetual_of
from volgauge.simulator.quoting import Family, QuoteBook

Row = dict[str, Any]
QUOTE = "USDC"
LONGEST_DAYS = 250
"""Further expiries are not listed,"""
STRIKE_STRIDE = 2
"""and of the market's strikes only every second: a small venue."""
CONTRACTS = {"BTC": ((1, 2), (1, 100)), "ETH": ((1, 20), (1, 10))}
"""Coin to the tick of its premiums and the step of its sizes, both as fractions; the venue has
options of these two."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_GREEKS = ("delta", "theta", "gamma", "rho", "vega", "iv")
_NEWTON_STEPS = 6


class Greeks(Struct, frozen=True):
    """Of some options at their volatilities; each (options,)."""

    columns: tuple[F64, ...]
    """In the order of `_GREEKS`."""

    def row(self, place: int) -> Row:
        """Of one option, as text."""
        return {
            name: number_text(float(column[place]))
            for name, column in zip(_GREEKS, self.columns, strict=True)
        }


def is_short(board: Board, slot: int, now_ns: int) -> bool:
    """The venue would list an option's expiry."""
    return board.options[slot].expiry.expiry_ns - now_ns <= LONGEST_DAYS * NANOS_PER_DAY


def option_name(board: Board, slot: int) -> str:
    """`BTC-28AUG26-67000-C`; the day has two digits."""
    option = board.options[slot]
    day = datetime.fromtimestamp(option.expiry.expiry_ns // NANOS_PER_SECOND, UTC)
    right = "C" if option.is_call else "P"
    date = f"{day:%d}{_MONTHS[day.month - 1]}{day:%y}"
    return f"{board.terms.asset}-{date}-{number_text(option.strike)}-{right}"


def number_text(value: float) -> str:
    """The shortest decimal: a gamma has many digits."""
    return numbers.number_text(value, places=18)


def market_rows(family: Family, book: QuoteBook, slots: I64, now_ns: int) -> list[Row]:
    """Rows of /markets; the forward is that of the option's expiry."""
    board, terms = book.board, family.terms
    greeks, mark = _mark_greeks(book, slots, now_ns)
    step = size_text(terms, 1)
    rows = []
    for place, slot in enumerate(slots.tolist()):
        option = board.options[slot]
        forward = board.forward[board.expiry_of[slot]]
        rows.append({
            "instrument_id": str(option.number), "instrument_name": option_name(board, slot),
            "instrument_type": "OPTION", "underlying_asset": terms.asset, "quote_asset": QUOTE,
            "price_step": number_text(terms.tick_size), "amount_step": step,
            "min_order_value": "10", "max_order_value": "10000000",
            "max_notional_value": "10000000", "mark_price": decimal_text(float(mark[place]), 6),
            "forward_price": decimal_text(float(forward), 6),
            "index_price": decimal_text(board.index_price, 6), "is_active": bool(board.alive[slot]),
            "option_type": "call" if option.is_call else "put",
            "expiry": str(option.expiry.expiry_ns), "strike": number_text(option.strike),
            "greeks": greeks.row(place), "max_leverage": "10",
        })  # fmt: skip
    return rows


def book_rows(book: QuoteBook, slots: I64, names: list[str], now_ns: int) -> list[Row]:
    """Tickers of a book-ticker push; a side without an order is empty, or zero."""
    board = book.board
    expiries = board.expiry_of[slots]
    years, forward = board.years(now_ns)[expiries], board.forward[expiries]
    k = np.log(board.strike[slots] / forward)
    deviation = np.sqrt(board.mark_variance[slots])
    is_call = board.is_call[slots]
    intrinsic = np.maximum(np.where(is_call, -np.expm1(k), np.expm1(k)), 0.0)
    sides = []
    for prices, lots in ((book.bid, book.bid_lots), (book.ask, book.ask_lots)):
        solved = pricing.solve_deviation(
            k, prices[slots] / forward - intrinsic, deviation, _NEWTON_STEPS
        )
        greeks = _greeks(k, solved, years, forward, is_call)
        sides.append((prices[slots].tolist(), lots[slots].tolist(), greeks))
    rows = []
    for place, slot in enumerate(slots.tolist()):
        bid, ask = (_level(book.terms, side, place) for side in sides)
        rows.append({
            "instrument_id": board.options[slot].number, "instrument_name": names[slot],
            "instrument_type": "OPTION", "bid": bid, "ask": ask,
        })  # fmt: skip
    return rows


def ticker_rows(book: QuoteBook, slots: I64, names: list[str], now_ns: int) -> list[Row]:
    """Tickers of a throttled push: the same, and marks."""
    greeks, mark = _mark_greeks(book, slots, now_ns)
    rows = book_rows(book, slots, names, now_ns)
    for place, row in enumerate(rows):
        row["mark"] = {"price": decimal_text(float(mark[place]), 6), **greeks.row(place)}
    return rows


def perpetual_row(board: Board) -> Row:
    """A row of /coingecko-statistics: funding of an hour, open interest in USDC."""
    perpetual = perpetual_of(board, "aevo")
    asset = board.terms.asset
    return {
        "ticker_id": f"{asset}-PERP", "base_currency": asset, "target_currency": "USD",
        "target_volume": "0", "product_type": "Perpetual",
        "open_interest": decimal_text(perpetual.coins * board.index_price, 6),
        "index_price": decimal_text(board.index_price, 6), "index_currency": "USD",
        "next_funding_rate_timestamp": "0", "funding_rate": f"{perpetual.funding / 8.0:.12f}",
        "contract_type": "Vanilla", "contract_price_currency": "USD",
    }  # fmt: skip


def _level(terms: Terms, side: tuple[list[float], list[int], Greeks], place: int) -> Row:
    prices, lots, greeks = side
    if not lots[place]:
        # Both spellings of none, in turn.
        return {} if place % 2 else {"price": "0", **dict.fromkeys(_GREEKS, "0"), "amount": "0"}
    amount = size_text(terms, lots[place])
    return {"price": number_text(prices[place]), **greeks.row(place), "amount": amount}


def _mark_greeks(book: QuoteBook, slots: I64, now_ns: int) -> tuple[Greeks, F64]:
    board = book.board
    expiries = board.expiry_of[slots]
    years, forward = board.years(now_ns)[expiries], board.forward[expiries]
    k = np.log(board.strike[slots] / forward)
    deviation = np.sqrt(board.mark_variance[slots])
    return _greeks(k, deviation, years, forward, board.is_call[slots]), book.fair(slots)


def _greeks(k: F64, deviation: F64, years: F64, forward: F64, is_call: B1) -> Greeks:
    """Black-76, rate 0: theta a day, rho and vega a point."""
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(years)
        d1 = -k / deviation + 0.5 * deviation
        density = pricing.normal_pdf(d1)
        put = np.where(is_call, 0.0, 1.0)
        delta = pricing.normal_cdf(d1) - put
        rho = forward * np.exp(k) * years * (pricing.normal_cdf(d1 - deviation) - put) / 100.0
        theta = -forward * density * deviation / (2.0 * years) / DAYS_PER_YEAR
        gamma = density / (forward * deviation)
        vega = forward * density * root / 100.0
        return Greeks((delta, theta, gamma, rho, vega, deviation / root))
