"""The simulated Binance over GET: listings, marks, books. Refusals are codes in a body."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_MINUTE
from volgauge.simulator import binance
from volgauge.simulator.binance import ContractBook, Family, Row
from volgauge.simulator.market import Market
from volgauge.simulator.perpetual import perpetual_of

Params = Mapping[str, str]
WEIGHT_PER_MINUTE = 2_400
TOLERATED = 100
"""Requests above it, in the minute, before an address is banned."""
BAN_NS = 2 * NANOS_PER_MINUTE
_WEIGHTS = {"mark": 5, "ticker": 5}
_DEPTHS = ((50, 1), (100, 5), (500, 10), (1_000, 20))
DEFAULT_DEPTH = 100
SETTLEMENT_MS = 8 * 3_600_000
"""Between two fundings of a perpetual."""
ROOT = "eapi/v1/"
FUTURES_ROOT = "fapi/v1/"
"""On a host of its own in production; of the test network it is the same."""


class Host(Protocol):
    """The venue, as far as its REST interface needs it."""

    market: Market
    families: list[Family]
    books: list[ContractBook]
    names: list[list[str]]
    contracts: dict[str, tuple[int, int]]
    in_maintenance: bool

    @property
    def stamp(self) -> int:
        """The venue's clock in ms."""
        ...

    def chain(self, place: int) -> list[Row]:
        """Rows of optionMarkPrice."""
        ...

    def depth(self, name: str, limit: int) -> Row:
        """A book."""
        ...

    def interest_rows(self, place: int, day: str) -> list[Row]:
        """Rows of optionOpenInterest."""
        ...


class _Refusal(Exception):
    """In the venue's words."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class BinanceRest:
    """Answers GETs from a venue's state."""

    def __init__(self, venue: Host) -> None:
        self._venue = venue
        self._used: deque[tuple[int, int]] = deque()
        """Instants and weights of the last minute."""
        self._excess = 0
        self._banned_until_ns = 0
        self._answers: dict[str, Callable[[Params], object]] = {
            "exchangeInfo": self._info,
            "mark": self._marks,
            "ticker": self._tickers,
            "index": self._index,
            "openInterest": self._interest,
            "depth": self._depth,
            "time": lambda _: {"serverTime": self._venue.stamp},
            "ping": lambda _: {},
        }
        self._futures: dict[str, Callable[[Params], object]] = {
            "premiumIndex": self._premium_index,
            "openInterest": self._futures_interest,
            "fundingInfo": lambda _: [],
        }

    def answer(self, path: str, params: Params) -> tuple[int, bytes]:
        """Status and body."""
        try:
            return 200, msgspec.json.encode(self._result(path, params))
        except _Refusal as refusal:
            body = {"code": refusal.code, "msg": str(refusal)}
            return refusal.status, msgspec.json.encode(body)

    def _result(self, path: str, params: Params) -> object:
        name = path.removeprefix(ROOT)
        answer = self._answers.get(name) if path.startswith(ROOT) else None
        if path.startswith(FUTURES_ROOT):
            name = path.removeprefix(FUTURES_ROOT)
            answer = self._futures.get(name)
        if self._venue.in_maintenance:
            raise _Refusal(503, -1016, "This service is no longer available.")
        if answer is None:
            raise _Refusal(404, -1000, "Path not found.")
        self._charge(name, params)
        return answer(params)

    def _charge(self, name: str, params: Params) -> None:
        now_ns, used = self._venue.market.now_ns, self._used
        if now_ns < self._banned_until_ns:
            until = self._banned_until_ns // 1_000_000
            raise _Refusal(418, -1003, f"Way too many requests; IP banned until {until}.")
        while used and now_ns - used[0][0] >= NANOS_PER_MINUTE:
            used.popleft()
            self._excess = 0
        weight = _WEIGHTS.get(name, 1)
        if name == "depth":
            weight = next(cost for limit, cost in _DEPTHS if _limit(params) <= limit)
        if sum(cost for _, cost in used) + weight > WEIGHT_PER_MINUTE:
            self._excess += 1
            if self._excess > TOLERATED:
                self._banned_until_ns = now_ns + BAN_NS
            text = f"Too many requests; current limit is {WEIGHT_PER_MINUTE} request weight."
            raise _Refusal(429, -1003, text)
        used.append((now_ns, weight))

    def _info(self, _: Params) -> Row:
        rows = []
        for family, book in zip(self._venue.families, self._venue.books, strict=True):
            alive = np.flatnonzero(book.board.alive).tolist()
            rows += [binance.instrument_row(family, book.board, slot) for slot in alive]
        return {
            "timezone": "UTC", "serverTime": self._venue.stamp,
            "optionContracts": [
                {"baseAsset": family.terms.asset, "quoteAsset": binance.QUOTE,
                 "underlying": family.underlying, "settleAsset": binance.QUOTE}
                for family in self._venue.families
            ],
            "optionAssets": [{"name": binance.QUOTE}], "optionSymbols": rows,
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
                 "limit": WEIGHT_PER_MINUTE}
            ],
        }  # fmt: skip

    def _chosen(self, params: Params) -> list[tuple[int, Row]]:
        """Families and rows of the chains, of one option if it is named."""
        name = params.get("symbol")
        places = range(len(self._venue.families))
        if name is not None:
            places = range(self._contract(params)[0], self._contract(params)[0] + 1)
        rows = [(place, row) for place in places for row in self._venue.chain(place)]
        return [(place, row) for place, row in rows if name in (None, row["s"])]

    def _marks(self, params: Params) -> list[Row]:
        return [binance.mark_row(row) for _, row in self._chosen(params)]

    def _tickers(self, params: Params) -> list[Row]:
        return [
            {
                "symbol": row["s"], "priceChange": "0", "priceChangePercent": "0",
                "lastPrice": "0", "lastQty": "0", "open": "0", "high": "0", "low": "0",
                "volume": self._volume(row["s"]), "amount": "0", "bidPrice": row["bo"],
                "askPrice": row["ao"],
                "openTime": 0, "closeTime": self._venue.stamp, "firstTradeId": 0,
                "tradeCount": 0, "strikePrice": row["s"].split("-")[2], "exercisePrice": row["i"],
            }
            for _, row in self._chosen(params)
        ]  # fmt: skip

    def _volume(self, name: str) -> str:
        """Contracts of 24 hours."""
        place, slot = self._venue.contracts[name]
        board, unit = self._venue.books[place].board, self._venue.families[place].unit
        return f"{float(board.volume[slot]) / unit:.2f}"

    def _premium_index(self, params: Params) -> Row:
        place = self._place("symbol", params, lambda family: family.underlying)
        board, stamp = self._venue.books[place].board, self._venue.stamp
        price = f"{board.index_price:.8f}"
        return {
            "symbol": params["symbol"], "markPrice": price, "indexPrice": price,
            "estimatedSettlePrice": price, "interestRate": "0.00010000",
            "lastFundingRate": f"{perpetual_of(board, 'binance').funding:.8f}",
            "nextFundingTime": (stamp // SETTLEMENT_MS + 1) * SETTLEMENT_MS, "time": stamp,
        }  # fmt: skip

    def _futures_interest(self, params: Params) -> Row:
        place = self._place("symbol", params, lambda family: family.underlying)
        coins = perpetual_of(self._venue.books[place].board, "binance").coins
        return {
            "symbol": params["symbol"], "openInterest": f"{coins:.3f}", "time": self._venue.stamp,
        }  # fmt: skip

    def _index(self, params: Params) -> Row:
        place = self._place("underlying", params, lambda family: family.underlying)
        price = self._venue.books[place].board.index_price
        return {"time": self._venue.stamp, "indexPrice": f"{price:.8f}"}

    def _interest(self, params: Params) -> list[Row]:
        place = self._place("underlyingAsset", params, lambda family: family.terms.asset)
        if "expiration" not in params:
            raise _missing("expiration")
        return [
            {"symbol": row["s"], "sumOpenInterest": row["o"], "sumOpenInterestUsd": row["h"],
             "timestamp": str(row["E"])}
            for row in self._venue.interest_rows(place, params["expiration"])
        ]  # fmt: skip

    def _depth(self, params: Params) -> Row:
        self._contract(params)
        return self._venue.depth(params["symbol"], _limit(params))

    def _contract(self, params: Params) -> tuple[int, int]:
        if "symbol" not in params:
            raise _missing("symbol")
        found = self._venue.contracts.get(params["symbol"])
        if found is None:
            raise _Refusal(400, -1121, "Invalid symbol.")
        return found

    def _place(self, name: str, params: Params, word: Callable[[Family], str]) -> int:
        if name not in params:
            raise _missing(name)
        for place, family in enumerate(self._venue.families):
            if word(family) == params[name]:
                return place
        raise _Refusal(400, -1121, "Invalid symbol.")


def _missing(name: str) -> _Refusal:
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    return _Refusal(400, -1102, text)


def _limit(params: Params) -> int:
    text = params.get("limit", str(DEFAULT_DEPTH))
    limit = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < limit <= _DEPTHS[-1][0]:
        raise _Refusal(400, -1130, "Data sent for parameter 'limit' is not valid.")
    return limit
