"""Binance's words for the simulated market: names, rows, prices of contracts paid today.

Shapes are those of VENUES: exchangeInfo, mark, optionMarkPrice, bookTicker. Ticks are those seen on
the wire; what a contract of SOL is, is a choice of ours.
"""

from datetime import UTC, datetime
from math import isnan, nan
from typing import Any

import numpy as np
from msgspec import Struct
from typing_extensions import override

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import pricing
from volgauge.simulator.board import F64, I64, Board
from volgauge.simulator.listing import Terms
from volgauge.simulator.market import Market
from volgauge.simulator.numbers import number_text
from volgauge.simulator.quoting import QuoteBook, QuotingStyle

Row = dict[str, Any]
Side = list[tuple[str, str]]
"""Price and size, best first."""
QUOTE = "USDT"
LOTS = 100
"""In a contract: sizes have two decimals."""
_CONTRACTS = {
    "BTC": (1, (5, 1), 3),
    "ETH": (1, (1, 5), 4),
    "SOL": (1, (1, 100), 4),
    "XRP": (100, (1, 100), 4),
}
"""Coin to coins in a contract, tick of its price, decimals printed."""
_RATE_DECIMALS = 4
_LARGEST_RATE = 0.9


class Family(Struct, frozen=True):
    """One option book of the venue."""

    number: int
    """Of the market's board."""
    terms: Terms
    """Prices and sizes of contracts."""
    unit: int
    """Coins in a contract."""
    decimals: int
    """Printed of a price."""

    @property
    def underlying(self) -> str:
        """`BTCUSDT`."""
        return f"{self.terms.asset}{QUOTE}"


def families_of(boards: tuple[Board, ...]) -> list[Family]:
    """The books that the venue lists on the market's boards: all are paid in USDT."""
    found = []
    for number, board in enumerate(boards):
        terms = board.terms
        if terms.asset in _CONTRACTS:
            unit, tick, decimals = _CONTRACTS[terms.asset]
            mine = Terms(
                asset=terms.asset, coin=False, spot=terms.spot, vol=terms.vol, tick=tick,
                future_tick=terms.future_tick, contract_size=float(unit), min_amount=(1, LOTS),
            )  # fmt: skip
            found.append(Family(number, mine, unit, decimals))
    return found


class ContractBook(QuoteBook):
    """Quotes a contract, paid today: unit x exp(-rf T) times the forward premium of a coin."""

    def __init__(
        self, market: Market, family: Family, style: QuotingStyle, seed: list[int]
    ) -> None:
        super().__init__(market, family.number, family.terms, style, seed)
        self.family = family
        self._clock = market

    def rates(self) -> F64:
        """(expiries,) what turns the index into the forward, as the venue prints it; 0 when over.

        index x exp(rf T) = forward, to the digits of rf.
        """
        years = self.board.years(self._clock.now_ns)
        ahead = years > 0.0
        ratio = np.where(ahead, self.board.forward / self.board.index_price, 1.0)
        exact = np.where(ahead, np.log(ratio) / np.where(ahead, years, 1.0), 0.0)
        return np.clip(np.round(exact, _RATE_DECIMALS), -_LARGEST_RATE, _LARGEST_RATE)

    @override
    def fair(self, slots: I64) -> F64:
        """Noise-free prices of a contract now."""
        return super().fair(slots) * self._factor(slots)

    @override
    def _intrinsic(self, slots: I64) -> F64:
        return super()._intrinsic(slots) * self._factor(slots)

    def _factor(self, slots: I64) -> F64:
        years = np.maximum(self.board.years(self._clock.now_ns), 0.0)
        return (np.exp(-self.rates() * years) * self.family.unit)[self.board.expiry_of[slots]]


def option_name(board: Board, slot: int) -> str:
    """`BTC-260828-67000-C`, `XRP-251219-2.05-P`."""
    option = board.options[slot]
    right = "C" if option.is_call else "P"
    return f"{board.terms.asset}-{day_of(board, slot)}-{number_text(option.strike)}-{right}"


def day_of(board: Board, slot: int) -> str:
    """`260828`."""
    expiry_ns = board.options[slot].expiry.expiry_ns
    return f"{datetime.fromtimestamp(expiry_ns // NANOS_PER_SECOND, UTC):%y%m%d}"


def price_text(family: Family, price: float) -> str:
    """With the decimals of the coin; `0.000` where no order stands."""
    return f"{0.0 if isnan(price) else price:.{family.decimals}f}"


def size_text(lots: int) -> str:
    """Contracts, two decimals."""
    return f"{lots / LOTS:.2f}"


def instrument_row(family: Family, board: Board, slot: int) -> Row:
    """A row of exchangeInfo's optionSymbols."""
    option, tick = board.options[slot], number_text(family.terms.tick_size)
    return {
        "expiryDate": option.expiry.expiry_ns // NANOS_PER_MILLI,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000",
             "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": "0.01", "maxQty": "1000", "stepSize": "0.01"},
        ],
        "symbol": option_name(board, slot), "side": "CALL" if option.is_call else "PUT",
        "strikePrice": number_text(option.strike), "underlying": family.underlying,
        "unit": family.unit, "liquidationFeeRate": "0.0019000", "minQty": "0.01",
        "maxQty": "1000", "initialMargin": "0.15", "maintenanceMargin": "0.075",
        "minInitialMargin": "0.1", "minMaintenanceMargin": "0.05",
        "priceScale": family.decimals, "quantityScale": 2, "quoteAsset": QUOTE,
        "status": "TRADING",
    }  # fmt: skip


def symbol_event(family: Family, board: Board, slot: int, stamp: int) -> Row:
    """Payload of `!optionSymbol`."""
    option = board.options[slot]
    return {
        "e": "optionSymbol", "E": stamp, "s": option_name(board, slot), "ps": family.underlying,
        "qa": QUOTE, "d": "CALL" if option.is_call else "PUT", "sp": number_text(option.strike),
        "dt": option.expiry.expiry_ns // NANOS_PER_MILLI, "u": family.unit,
        "ot": option.listed_ns // NANOS_PER_MILLI,
        "cs": "TRADING" if board.alive[slot] else "CLOSE",
    }  # fmt: skip


def chain_rows(
    book: ContractBook, slots: I64, now_ns: int, stamp: int, names: list[str]
) -> list[Row]:
    """Rows of `optionMarkPrice`: best prices and sizes, marks, volatilities, greeks of a coin.

    The volatilities of bid and ask are those of the mark moved by the price difference over vega:
    they are there to be read, not to be relied on. `names` are by slot.
    """
    board, family = book.board, book.family
    places = board.expiry_of[slots]
    years = board.years(now_ns)[places]
    rate = book.rates()[places]
    forward = board.forward[places]
    discount = np.exp(-rate * years)
    k = np.log(board.strike[slots] / forward)
    deviation = np.sqrt(board.mark_variance[slots])
    vol = deviation / np.sqrt(years)
    d1 = -k / deviation + 0.5 * deviation
    density = pricing.normal_pdf(d1)
    vega = discount * forward * density * np.sqrt(years)
    mark = book.fair(slots)
    moved = [
        vol + (side[slots] - mark) / np.maximum(vega * family.unit, 1e-9)
        for side in (book.bid, book.ask)
    ]
    delta = np.where(board.is_call[slots], 1.0, 0.0) + pricing.normal_cdf(d1) - 1.0
    gamma = density / (board.index_price * deviation)
    theta = -0.5 * vega * vol / years / 365.0
    index = f"{board.index_price:.8f}"
    absent, rates = price_text(family, nan), [number_text(r) for r in rate.tolist()]
    vols, deltas, thetas = vol.tolist(), delta.tolist(), theta.tolist()
    gammas, vegas, prices = gamma.tolist(), (vega / 100.0).tolist(), mark.tolist()
    bids, asks = book.bid[slots].tolist(), book.ask[slots].tolist()
    bid_lots, ask_lots = book.bid_lots[slots].tolist(), book.ask_lots[slots].tolist()
    bid_vols, ask_vols = moved[0].tolist(), moved[1].tolist()
    rows = []
    for place, slot in enumerate(slots.tolist()):
        price = prices[place]
        rows.append({
            "s": names[slot], "mp": price_text(family, price), "E": stamp,
            "e": "markPrice", "i": index, "P": absent,
            "bo": price_text(family, bids[place]), "ao": price_text(family, asks[place]),
            "bq": size_text(bid_lots[place]), "aq": size_text(ask_lots[place]),
            "b": _vol_text(bid_vols[place], bids[place]),
            "a": _vol_text(ask_vols[place], asks[place]),
            "hl": price_text(family, 1.8 * price), "ll": price_text(family, 0.2 * price),
            "vo": number_text(round(vols[place], 8)), "rf": rates[place],
            "d": f"{deltas[place]:.8f}", "t": f"{thetas[place]:.8f}",
            "g": f"{gammas[place]:.8f}", "v": f"{vegas[place]:.8f}",
        })  # fmt: skip
    return rows


def mark_row(row: Row) -> Row:
    """The same option as a row of GET /eapi/v1/mark."""
    return {
        "symbol": row["s"], "markPrice": row["mp"], "bidIV": row["b"], "askIV": row["a"],
        "markIV": row["vo"], "delta": row["d"], "theta": row["t"], "gamma": row["g"],
        "vega": row["v"], "highPriceLimit": row["hl"], "lowPriceLimit": row["ll"],
        "riskFreeInterest": row["rf"],
    }  # fmt: skip


def levels(book: ContractBook, slot: int, depth: int) -> tuple[Side, Side]:
    """Bids and asks, best first: behind the best each side goes on tick by tick."""
    sides = []
    for prices, lots, step in ((book.bid, book.bid_lots, -1), (book.ask, book.ask_lots, 1)):
        price, first = float(prices[slot]), int(lots[slot])
        side: Side = []
        if not isnan(price):
            numerator, denominator = book.terms.tick
            ticks = round(price * denominator / numerator)
            for place in range(depth):
                further = (ticks + step * place) * numerator / denominator
                if further > 0.0:
                    side.append((price_text(book.family, further), size_text(first + 7 * place)))
        sides.append(side)
    return sides[0], sides[1]


def _vol_text(vol: float, price: float) -> str:
    """`-1.0` without an order, and where the price says nothing of a volatility."""
    return "-1.0" if isnan(price) or not vol > 0.0 else f"{vol:.8f}"
