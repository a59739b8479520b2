"""Deribit's words: contract rows, tickers, quotes, books and channel names, as bytes and dicts.

Every shape follows a recorded frame or the venue's documentation; nothing here keeps state.
Documentation: docs.deribit.com, "JSON-RPC API", public methods and subscription channels.
"""

import math
import re
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.simulator import pricing
from volgauge.simulator.board import I64, Board, round_to_ticks, tick_at
from volgauge.simulator.listing import Terms
from volgauge.simulator.perpetual import perpetual_of

AbsentSide = Literal["null", "zero", "mixed"]
"""How a missing side is spelled: the venue has used both; `mixed` does so by slot."""
Row = dict[str, Any]
Levels = list[tuple[float, float]]

PERPETUAL = -1
"""Number of the perpetual; futures are -2 - (index of the expiry), options their slot."""
PERPETUAL_EXPIRY_MS = 32_503_708_800_000
DEPTH = 10
_FUTURE_IDS = 90_000
"""Options of a book have the ids below, futures those from here."""
NAME_PATTERN = re.compile(r"[A-Z0-9]+(_USDC)?-(PERPETUAL|\d{1,2}[A-Z]{3}\d{2}(-\d+(d\d+)?-[CP])?)")


class Contract(Struct, frozen=True):
    """One tradable name."""

    board: Board
    number: int
    name: str

    @property
    def is_option(self) -> bool:
        """Not a future and not the perpetual."""
        return self.number >= 0


def future_number(expiry_index: int) -> int:
    """Number of a future among a board's contracts."""
    return -2 - expiry_index


def contracts_of(board: Board) -> list[Contract]:
    """All that lives on a board: the perpetual, the futures, the options."""
    found = [Contract(board, PERPETUAL, f"{board.terms.prefix}-PERPETUAL")]
    found += [
        Contract(board, future_number(index), board.future_name(index))
        for index in board.living_expiries()
        if board.has_futures[index]
    ]
    found += [
        Contract(board, int(slot), board.options[slot].name) for slot in np.flatnonzero(board.alive)
    ]
    return found


def notification(channel: str, data: object) -> bytes:
    """The envelope of every push."""
    params = {"channel": channel, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "subscription", "params": params})


class QuoteRenderer:
    """Renders `quote.{name}` frames of one board from prepared pieces: the hot path."""

    def __init__(self, board: Board, absent: AbsentSide) -> None:
        self._board = board
        self._absent = absent
        self._pieces: list[tuple[str, str, str]] = []

    def render(
        self, slot: int, stamp: int, bid: float, ask: float, bid_size: float, ask_size: float
    ) -> bytes:
        """One frame; a NaN price is an absent side."""
        pieces = self._pieces
        if slot >= len(pieces):
            self._extend()
        head, middle, absent = pieces[slot]
        # NaN compares false: an absent side.
        bid_text, bid_amount = (repr(bid), repr(bid_size)) if bid > 0.0 else (absent, "0.0")
        ask_text, ask_amount = (repr(ask), repr(ask_size)) if ask > 0.0 else (absent, "0.0")
        return (
            f"{head}{stamp}{middle}{ask_text},"
            f'"best_bid_price":{bid_text},"best_ask_amount":{ask_amount},'
            f'"best_bid_amount":{bid_amount}}}}}}}'
        ).encode()

    def _extend(self) -> None:
        for slot in range(len(self._pieces), len(self._board.options)):
            name = self._board.options[slot].name
            self._pieces.append((*quote_pieces(name), absent_text(self._absent, slot)))


def quote_pieces(name: str) -> tuple[str, str]:
    """The fixed text of a quote frame before the time and before the prices."""
    head = (
        '{"jsonrpc":"2.0","method":"subscription","params":'
        f'{{"channel":"quote.{name}","data":{{"timestamp":'
    )
    return head, f',"instrument_name":"{name}","best_ask_price":'


def absent_text(style: AbsentSide, slot: int) -> str:
    """`null` or `0.0`."""
    zero = style == "zero" or (style == "mixed" and slot % 2 == 1)
    return "0.0" if zero else "null"


def top_of_book(contract: Contract) -> tuple[float, float, float, float]:
    """Bid, ask, bid size, ask size; NaN where absent."""
    board, number = contract.board, contract.number
    if contract.is_option:
        sides = (board.bid, board.ask, board.bid_size, board.ask_size)
        bid, ask, bid_size, ask_size = (float(side[number]) for side in sides)
        return bid, ask, bid_size, ask_size
    size = 10_000.0 if board.terms.coin else 100.0 * board.terms.contract_size
    if number == PERPETUAL:
        numerator, denominator = board.terms.future_tick
        ticks = math.floor(board.index_price * denominator / numerator)
        return ticks * numerator / denominator, (ticks + 1) * numerator / denominator, size, size
    index = -2 - number
    return float(board.future_bid[index]), float(board.future_ask[index]), size, size


def quote_data(contract: Contract, stamp: int, absent: AbsentSide) -> Row:
    """`quote.{name}` of any contract, as it stands."""
    bid, ask, bid_size, ask_size = top_of_book(contract)
    spelled = 0.0 if absent_text(absent, contract.number) == "0.0" else None
    return {
        "timestamp": stamp,
        "instrument_name": contract.name,
        "best_ask_price": spelled if math.isnan(ask) else ask,
        "best_bid_price": spelled if math.isnan(bid) else bid,
        "best_ask_amount": 0.0 if math.isnan(ask) else ask_size,
        "best_bid_amount": 0.0 if math.isnan(bid) else bid_size,
    }


def ticker_rows(
    contracts: list[Contract], now_ns: int, stamp: int, absent: AbsentSide
) -> list[Row]:
    """`ticker` of contracts of one board."""
    options = [contract for contract in contracts if contract.is_option]
    rows = {c.number: _future_ticker(c, stamp, absent) for c in contracts if not c.is_option}
    if options:
        board = options[0].board
        slots = np.array([contract.number for contract in options])
        greeks = _greeks(board, slots, now_ns)
        for contract, extra in zip(options, greeks, strict=True):
            rows[contract.number] = _option_ticker(contract, extra, stamp, absent)
    return [rows[contract.number] for contract in contracts]


def _common_ticker(contract: Contract, stamp: int, absent: AbsentSide) -> Row:
    board = contract.board
    return {
        **quote_data(contract, stamp, absent),
        "state": "open",
        "stats": {"high": None, "low": None, "price_change": None,
                  "volume": volume_of(contract), "volume_usd": 0.0},
        "index_price": board.index_price,
        "last_price": None,
        "estimated_delivery_price": board.index_price,
    }  # fmt: skip


def _option_ticker(contract: Contract, extra: Row, stamp: int, absent: AbsentSide) -> Row:
    board, slot = contract.board, contract.number
    index = int(board.expiry_of[slot])
    forward = float(board.forward[index])
    row = _common_ticker(contract, stamp, absent) | extra
    row |= {
        "open_interest": float(board.open_interest[slot]),
        "mark_price": float(board.mark[slot]),
        "interest_rate": 0.0,
        "min_price": board.terms.tick_size,
        "max_price": float(round_to_ticks(board.terms, np.array([2.0 * board.mark[slot]]),
                                          up=True)[0]) + 100.0 * board.terms.tick_size,
    }  # fmt: skip
    # A chain without forwards says nothing here: silence is better than an invented number.
    if not math.isnan(forward):
        has_future = board.has_futures[index]
        row["underlying_price"] = round(forward, 4) if not board.exact else forward
        row["underlying_index"] = (
            board.future_name(index) if has_future else f"SYN.{board.future_name(index)}"
        )
    return row


def _future_ticker(contract: Contract, stamp: int, absent: AbsentSide) -> Row:
    bid, ask, _, _ = top_of_book(contract)
    row = _common_ticker(contract, stamp, absent)
    row |= {
        "open_interest": 0.0,
        "mark_price": round(0.5 * (bid + ask), 4),
        "settlement_price": contract.board.index_price,
        "min_price": round(0.98 * bid, 4),
        "max_price": round(1.02 * ask, 4),
    }
    if contract.number == PERPETUAL:
        row |= perpetual_terms(contract.board) | {"interest_value": 0.0}
    return row


def volume_of(contract: Contract) -> float:
    """Traded in 24 hours, in coins; of futures the market knows none."""
    return float(contract.board.volume[contract.number]) if contract.is_option else 0.0


def perpetual_terms(board: Board) -> Row:
    """Funding and open interest of the perpetual: USD in lots of 10, or coins of a linear one."""
    perpetual = perpetual_of(board, "deribit")
    interest: float = perpetual.coins
    if board.terms.coin:
        interest = 10 * round(perpetual.coins * board.index_price / 10.0)
    return {
        "current_funding": perpetual.funding,
        "funding_8h": perpetual.funding,
        "open_interest": interest,
    }


def _greeks(board: Board, slots: I64, now_ns: int) -> list[Row]:
    """Black-76 greeks in USD and the three implied volatilities in percent."""
    expiry = board.expiry_of[slots]
    years = np.maximum(board.years(now_ns)[expiry], 1e-9)
    forward = np.where(np.isnan(board.forward[expiry]), board.index_price, board.forward[expiry])
    strike, is_call = board.strike[slots], board.is_call[slots]
    k = np.log(strike / forward)
    w = np.where(np.isnan(board.mark_variance[slots]), 0.0, board.mark_variance[slots])
    w = np.maximum(w, 1e-12)
    deviation = np.sqrt(w)
    d1 = -k / deviation + 0.5 * deviation
    density = pricing.normal_pdf(d1)
    sign = np.where(is_call, 1.0, -1.0)
    delta = sign * pricing.normal_cdf(sign * d1)
    vol = deviation / np.sqrt(years)
    columns = {
        "delta": delta,
        "gamma": density / (forward * deviation),
        "vega": forward * density * np.sqrt(years) / 100.0,
        "theta": -0.5 * forward * density * vol / np.sqrt(years) / 365.0,
        "rho": sign * strike * years * pricing.normal_cdf(sign * (d1 - deviation)) / 100.0,
    }
    ivs = [100.0 * vol]
    for side in (board.bid[slots], board.ask[slots]):
        price = np.nan_to_num(side if board.terms.coin else side / forward)
        solved = pricing.implied_variance(k, price, is_call)
        ivs.append(100.0 * np.sqrt(np.nan_to_num(solved) / years))
    rows = []
    for place in range(len(slots)):
        greeks = {name: round(float(values[place]), 5) for name, values in columns.items()}
        mark_iv, bid_iv, ask_iv = (round(float(iv[place]), 2) for iv in ivs)
        rows.append({"greeks": greeks, "mark_iv": mark_iv, "bid_iv": bid_iv, "ask_iv": ask_iv})
    return rows


def mark_price_data(board: Board, now_ns: int, stamp: int) -> list[Row]:
    """`markprice.options.{index}`: the whole chain; `iv` is a fraction here."""
    years = np.maximum(board.years(now_ns), 1e-9)
    vols = np.sqrt(np.nan_to_num(board.mark_variance) / years[board.expiry_of])
    return [
        {
            "timestamp": stamp,
            "mark_price": float(board.mark[slot]),
            "iv": round(float(vols[slot]), 4),
            "instrument_name": board.options[slot].name,
        }
        for slot in np.flatnonzero(board.alive)
        if not math.isnan(board.mark[slot])
    ]


def depth(contract: Contract) -> tuple[Levels, Levels]:
    """Up to ten levels a side, best first: the top of book and thicker levels behind it."""
    terms = contract.board.terms
    bid, ask, bid_size, ask_size = top_of_book(contract)
    sides: list[Levels] = []
    for best, size, sign in ((bid, bid_size, -1.0), (ask, ask_size, 1.0)):
        levels: Levels = []
        if not math.isnan(best):
            levels.append((best, size))
            step = _step(contract, best)
            for place in range(1, DEPTH):
                price = _on_grid(contract, best + sign * place * step, up=sign > 0.0)
                if price > 0.0 and (price - levels[-1][0]) * sign > 0.0:
                    lot = terms.min_amount[0] / terms.min_amount[1]
                    levels.append((price, round(size + place * 5.0 * lot, 6)))
        sides.append(levels)
    return sides[0], sides[1]


def _step(contract: Contract, price: float) -> float:
    if contract.is_option:
        return float(tick_at(contract.board.terms, np.array([price]))[0])
    numerator, denominator = contract.board.terms.future_tick
    return numerator / denominator


def _on_grid(contract: Contract, price: float, *, up: bool) -> float:
    if contract.is_option:
        return float(round_to_ticks(contract.board.terms, np.array([price]), up=up)[0])
    numerator, denominator = contract.board.terms.future_tick
    return round(price * denominator / numerator) * numerator / denominator


def instrument_row(contract: Contract) -> Row:
    """One row of `get_instruments`."""
    board = contract.board
    terms: Terms = board.terms
    option = contract.is_option
    row: Row = {
        "base_currency": terms.asset,
        "block_trade_commission": 0.0003,
        "block_trade_min_trade_amount": 25,
        "block_trade_tick_size": terms.tick_size,
        "contract_size": terms.contract_size if option or not terms.coin else 10.0,
        "counter_currency": "USD" if terms.coin else "USDC",
        "instrument_name": contract.name,
        "instrument_type": "reversed" if terms.coin else "linear",
        "is_active": True,
        "kind": "option" if option else "future",
        "maker_commission": 0.0003,
        "price_index": terms.index_name,
        "quote_currency": quote_currency(contract),
        "settlement_currency": terms.asset if terms.coin else "USDC",
        "state": "open",
        "taker_commission": 0.0003,
        "underlying_type": "crypto",
    }
    return row | (_option_terms(contract) if option else _future_terms(contract))


def quote_currency(contract: Contract) -> str:
    """What the price is in, in the venue's words."""
    terms = contract.board.terms
    if not terms.coin:
        return "USDC"
    return terms.asset if contract.is_option else "USD"


def _option_terms(contract: Contract) -> Row:
    board, terms = contract.board, contract.board.terms
    option = board.options[contract.number]
    steps = []
    if terms.tick_above:
        steps = [{
            "above_price": terms.tick_above * terms.tick[0] / terms.tick[1],
            "tick_size": terms.tick_multiple * terms.tick[0] / terms.tick[1],
        }]  # fmt: skip
    return {
        "creation_timestamp": option.listed_ns // NANOS_PER_MILLI,
        "expiration_timestamp": option.expiry.expiry_ns // NANOS_PER_MILLI,
        "instrument_id": option.number,
        "min_trade_amount": terms.min_amount[0] / terms.min_amount[1],
        "option_type": "call" if option.is_call else "put",
        "settlement_period": option.expiry.settlement_period,
        "strike": option.strike,
        "tick_size": terms.tick_size,
        "tick_size_steps": steps,
    }


def _future_terms(contract: Contract) -> Row:
    board, terms = contract.board, contract.board.terms
    row: Row = {
        "future_type": "reversed" if terms.coin else "linear",
        "max_leverage": 50,
        "max_liquidation_commission": 0.0075,
        "min_trade_amount": 10.0 if terms.coin else terms.contract_size,
        "tick_size": terms.future_tick[0] / terms.future_tick[1],
        "tick_size_steps": [],
    }
    if contract.number == PERPETUAL:
        return row | {
            "creation_timestamp": 1_534_242_287_000,
            "expiration_timestamp": PERPETUAL_EXPIRY_MS,
            "instrument_id": board.first_number + _FUTURE_IDS - 1,
            "settlement_period": "perpetual",
        }
    index = -2 - contract.number
    expiry = board.expiries[index]
    return row | {
        "creation_timestamp": expiry.listed_ns // NANOS_PER_MILLI,
        "expiration_timestamp": expiry.expiry_ns // NANOS_PER_MILLI,
        "instrument_id": board.first_number + _FUTURE_IDS + index,
        "settlement_period": expiry.settlement_period,
    }


def summary_row(contract: Contract, stamp: int) -> Row:
    """One row of `get_book_summary_by_currency`: absent is null, no sizes."""
    board = contract.board
    bid, ask, _, _ = top_of_book(contract)
    both = not math.isnan(bid + ask)
    row: Row = {
        "ask_price": None if math.isnan(ask) else ask,
        "base_currency": board.terms.asset,
        "bid_price": None if math.isnan(bid) else bid,
        "creation_timestamp": stamp,
        "estimated_delivery_price": board.index_price,
        "high": None,
        "instrument_name": contract.name,
        "last": None,
        "low": None,
        "mark_price": 0.5 * (bid + ask),
        "mid_price": 0.5 * (bid + ask) if both else None,
        "open_interest": 0.0,
        "price_change": None,
        "quote_currency": quote_currency(contract),
        "volume": volume_of(contract),
        "volume_usd": 0.0,
    }
    if contract.number == PERPETUAL:
        row |= perpetual_terms(board)
    if contract.is_option:
        index = int(board.expiry_of[contract.number])
        years = max((board.expiries[index].expiry_ns // NANOS_PER_MILLI - stamp) / 31_536e6, 1e-9)
        variance = float(np.nan_to_num(board.mark_variance[contract.number]))
        row |= {
            "interest_rate": 0,
            "mark_iv": round(100.0 * math.sqrt(variance / years), 2),
            "mark_price": float(board.mark[contract.number]),
            "open_interest": float(board.open_interest[contract.number]),
        }
        if not math.isnan(board.forward[index]):
            row["underlying_index"] = board.future_name(index)
            row["underlying_price"] = float(board.forward[index])
    return row
