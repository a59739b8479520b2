"""Delta's words for the simulated market: names, rows, frames. Numbers are text, as on the wire.

Shapes are those of the venue's pages and of recorded frames: products, `l1_orderbook`, `v2/ticker`.
Sizes of contracts are the venue's, and so is BTC's tick; its options are of BTC and ETH alone.
"""

from datetime import UTC, datetime
from math import isnan, nan
from typing import Any

import numpy as np
from msgspec.structs import replace

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator import pricing, quoting
from volgauge.simulator.board import B1, F64, I64, Board
from volgauge.simulator.delta_board import NoonBook
from volgauge.simulator.numbers import number_text
from volgauge.simulator.perpetual import perpetual_of
from volgauge.simulator.quoting import Family

Row = dict[str, Any]
QUOTE = "USDT"
LEAST_VOL = 5e-6
"""Printed for the volatility of a price below the least that there can be."""
FUNDING_SECONDS = 28_800
CALLS, PUTS, PERPETUALS = "call_options", "put_options", "perpetual_futures"
_CONTRACTS = {
    "BTC": ((1, 10), (1, 1_000)),
    "ETH": ((1, 100), (1, 100)),
}
"""Coin to the tick of its premiums and the coins of a contract, both as fractions."""
_INDICES = {"BTC": ".DEXBTUSDT", "ETH": ".DEETHUSDT"}
_ASSETS = {"BTC": 2, "ETH": 3, QUOTE: 5}
_NEWTON_STEPS = 8


def families_of(boards: tuple[Board, ...]) -> list[Family]:
    """The coins whose options the venue lists: all are paid in USDT, a contract is a few."""
    return [
        Family(family.number, replace(family.terms, contract_size=lot / whole))
        for family in quoting.families_of(boards, _CONTRACTS)
        for lot, whole in [family.terms.min_amount]
    ]


def index_of(family: Family) -> str:
    """Name of the coin's index."""
    return _INDICES[family.terms.asset]


def option_name(board: Board, slot: int) -> str:
    """`C-BTC-79500-250926`."""
    option = board.options[slot]
    day = datetime.fromtimestamp(option.expiry.expiry_ns // NANOS_PER_SECOND, UTC)
    right = "C" if option.is_call else "P"
    return f"{right}-{board.terms.asset}-{number_text(option.strike)}-{day:%d%m%y}"


def _asset(name: str) -> Row:
    return {
        "base_withdrawal_fee": "0.0005", "deposit_status": "enabled", "id": _ASSETS[name],
        "interest_credit": False, "min_withdrawal_amount": "0.001", "minimum_precision": 4,
        "name": name, "networks": [], "precision": 8, "sort_priority": 1, "symbol": name,
        "variable_withdrawal_fee": "0.0", "withdrawal_status": "enabled",
    }  # fmt: skip


def assets_of(families: list[Family]) -> list[Row]:
    """Rows of GET /v2/assets."""
    return [_asset(name) for name in (*(f.terms.asset for f in families), QUOTE)]


def _product_row(family: Family, number: int, name: str, kind: str) -> Row:
    terms = family.terms
    return {
        "annualized_funding": "10.95", "auction_finish_time": None, "auction_start_time": None,
        "barrier_price": None, "contract_type": kind, "contract_unit_currency": terms.asset,
        "contract_value": number_text(terms.contract_size), "default_leverage": "100",
        "description": f"{terms.asset} {kind}", "disruption_reason": None, "id": number,
        "impact_size": 200, "initial_margin": "1", "is_quanto": False, "launch_time": None,
        "maintenance_margin": "0.5", "maker_commission_rate": "0.0001", "notional_type": "vanilla",
        "position_size_limit": 100000, "price_band": "2", "product_specs": {},
        "quoting_asset": _asset(QUOTE), "settlement_price": None, "settlement_time": None,
        "settling_asset": _asset(QUOTE), "short_description": name,
        "spot_index": {
            "constituent_exchanges": [], "id": family.number + 2, "index_type": "spot_pair",
            "is_composite": False, "price_method": "orderbook", "symbol": index_of(family),
            "tick_size": "0.1", "quoting_asset_id": _ASSETS[QUOTE],
            "underlying_asset_id": _ASSETS[terms.asset],
        },
        "state": "live", "strike_price": None, "symbol": name, "taker_commission_rate": "0.0001",
        "tick_size": number_text(terms.tick_size), "trading_status": "operational",
        "underlying_asset": _asset(terms.asset),
    }  # fmt: skip


def option_row(family: Family, board: Board, slot: int) -> Row:
    """An option as GET /v2/products tells it."""
    option = board.options[slot]
    name = option_name(board, slot)
    row = _product_row(family, option.number, name, CALLS if option.is_call else PUTS)
    return row | {
        "launch_time": _instant(option.listed_ns), "strike_price": number_text(option.strike),
        "settlement_time": _instant(option.expiry.expiry_ns),
        "product_specs": {"max_volatility": 3, "min_volatility": 0.3},
    }  # fmt: skip


def perpetual_name(family: Family) -> str:
    """`BTCUSDT`."""
    return f"{family.terms.asset}{QUOTE}"


def perpetual_row(family: Family) -> Row:
    """The coin's perpetual as GET /v2/products tells it."""
    name, number = perpetual_name(family), 139 + family.number
    row = _product_row(family, number, name, PERPETUALS)
    return row | {
        "launch_time": "2020-04-04T00:00:00Z",
        "product_specs": {"rate_exchange_interval": FUNDING_SECONDS, "funding_clamp_value": 0.05},
    }


def _instant(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NANOS_PER_SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def perpetual_ticker(family: Family, board: Board, stamp: int) -> Row:
    """The coin's perpetual as GET /v2/tickers tells it; funding in per cent of its interval."""
    perpetual, index = perpetual_of(board, "delta"), number_text(board.index_price)
    lots = round(perpetual.coins / family.terms.contract_size)
    return {
        "contract_type": PERPETUALS, "funding_rate": f"{100.0 * perpetual.funding:.10f}",
        "greeks": None, "mark_price": index, "oi": f"{lots * family.terms.contract_size:.4f}",
        "oi_contracts": str(lots), "product_id": 139 + family.number,
        "quotes": {"ask_size": "1", "best_ask": index, "best_bid": index, "bid_size": "1"},
        "spot_price": index, "symbol": perpetual_name(family), "timestamp": stamp,
        "underlying_asset_symbol": family.terms.asset, "volume": 0.0, "size": 0,
    }  # fmt: skip


def top_row(book: NoonBook, slot: int, name: str, stamp: int) -> Row:
    """An `l1_orderbook` frame."""
    bid, ask = float(book.bid[slot]), float(book.ask[slot])
    return {
        "ask_qty": _lots_text(ask, int(book.ask_lots[slot])), "best_ask": _price_text(ask),
        "best_bid": _price_text(bid), "bid_qty": _lots_text(bid, int(book.bid_lots[slot])),
        "last_sequence_no": stamp, "last_updated_at": stamp, "symbol": name,
        "product_id": book.board.options[slot].number, "timestamp": stamp, "type": "l1_orderbook",
    }  # fmt: skip


def _price_text(price: float) -> str | None:
    """Null for the side with no orders."""
    return None if isnan(price) else number_text(price)


def _lots_text(price: float, lots: int) -> str | None:
    return None if isnan(price) else str(lots)


def ticker_rows(book: NoonBook, names: list[str], slots: I64, now_ns: int, stamp: int) -> list[Row]:
    """`v2/ticker` frames; marks and volatilities are of the spot, as the venue has no forward."""
    board = book.board
    years = board.years(now_ns)[board.expiry_of[slots]]
    spot, is_call = board.index_price, board.is_call[slots]
    k = np.log(board.strike[slots] / spot)
    fair = book.fair(slots)
    start = np.sqrt(np.maximum(book.variance(slots), 1e-8))
    vols = [
        _solve(k, side, is_call, start, spot) / np.sqrt(years)
        for side in (fair, book.bid[slots], book.ask[slots])
    ]
    d1 = -k / start + 0.5 * start
    delta = pricing.normal_cdf(d1) - np.where(is_call, 0.0, 1.0)
    vega = spot * pricing.normal_pdf(d1) * np.sqrt(years) / 100.0
    rows = []
    for place, slot in enumerate(slots.tolist()):
        bid, ask = float(book.bid[slot]), float(book.ask[slot])
        size, volume = book.terms.contract_size, float(board.volume[slot])
        mark, bid_vol, ask_vol = (float(vol[place]) for vol in vols)
        rows.append({
            "close": None, "contract_type": CALLS if board.is_call[slot] else PUTS,
            "contract_value": number_text(size), "description": names[slot],
            "greeks": {
                "delta": f"{delta[place]:.8f}", "gamma": "0", "rho": "0", "spot":
                number_text(spot), "theta": "0", "vega": f"{vega[place]:.8f}",
            },
            "mark_price": f"{fair[place]:.8f}", "mark_vol": _vol_text(mark),
            "oi": f"{board.open_interest[slot]:.4f}",
            "oi_contracts": str(round(board.open_interest[slot] / size)),
            "product_id": board.options[slot].number,
            "quotes": {
                "ask_iv": _vol_text(ask_vol), "ask_size": _lots_text(ask, int(book.ask_lots[slot])),
                "best_ask": _price_text(ask), "best_bid": _price_text(bid),
                "bid_iv": _vol_text(bid_vol), "bid_size": _lots_text(bid, int(book.bid_lots[slot])),
                "impact_mid_price": None, "mark_iv": _vol_text(mark),
            },
            "size": round(volume / size), "spot_price": number_text(spot),
            "strike_price": number_text(float(board.strike[slot])), "symbol": names[slot],
            "tick_size": number_text(book.terms.tick_size), "timestamp": stamp,
            "turnover": 0.0, "turnover_symbol": QUOTE, "type": "v2/ticker",
            "underlying_asset_symbol": board.terms.asset, "volume": volume,
        })  # fmt: skip
    return rows


def _vol_text(vol: float) -> str | None:
    """The least for a price that has none; null without a price."""
    if isnan(vol):
        return None
    return f"{max(vol, LEAST_VOL):.8f}"


def _solve(k: F64, price: F64, is_call: B1, start: F64, spot: float) -> F64:
    """Deviations of prices with the spot for a forward; 0 below the intrinsic value, NaN of NaN.

    Newton's steps from the surface's: near enough for what nobody computes with.
    """
    intrinsic = np.maximum(np.where(is_call, -np.expm1(k), np.expm1(k)), 0.0)
    value = price / spot - intrinsic
    deviation = pricing.solve_deviation(k, value, start, _NEWTON_STEPS)
    found = np.where(value > 0.0, deviation, 0.0)
    return np.where(np.isnan(price), nan, found)
