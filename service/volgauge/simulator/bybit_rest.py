"""The simulated Bybit over GET: listings in pages, tickers, books. Refusals are codes in a body."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator import bybit
from volgauge.simulator.bybit import Row
from volgauge.simulator.market import Market
from volgauge.simulator.quoting import Family, QuoteBook
from volgauge.simulator.window import Window

Params = Mapping[str, str]
WINDOW_NS = 5 * NANOS_PER_SECOND
REQUESTS = 600
"""In the window, of one address."""
BAN_NS = 600 * NANOS_PER_SECOND
TOO_FREQUENT = b"403, access too frequent"
DEFAULT_ROWS, MAX_ROWS = 500, 1_000
DEFAULT_COIN, ALL_COINS = "BTC", "All"
MAX_DEPTH = 25
BAD_PARAMETER = 10001
SERVER_ERROR = 10016
STATUS = "v5/system/status"
_CURSOR = "first="


class Host(Protocol):
    """The venue, as far as its REST interface needs it."""

    market: Market
    families: list[Family]
    books: list[QuoteBook]
    contracts: dict[str, tuple[int, int]]
    in_maintenance: bool

    @property
    def stamp(self) -> int:
        """The venue's clock in ms."""
        ...

    def ticker_rows(self, place: int, slots: list[int]) -> list[tuple[str, Row]]:
        """Names and payloads of tickers."""
        ...

    def status_rows(self) -> list[Row]:
        """Maintenances."""
        ...


class _Refusal(Exception):
    """In the venue's words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BybitRest:
    """Answers GETs from a venue's state."""

    def __init__(self, venue: Host) -> None:
        self._venue = venue
        self._asked = Window(REQUESTS, WINDOW_NS)
        self._banned_until_ns = 0
        self._answers: dict[str, Callable[[Params], Row]] = {
            "v5/market/instruments-info": self._instruments,
            "v5/market/tickers": self._tickers,
            "v5/market/orderbook": self._order_book,
            "v5/market/time": self._time,
            STATUS: lambda _: {"list": self._venue.status_rows()},
        }

    def answer(self, path: str, params: Params) -> tuple[int, bytes]:
        """Status and body."""
        if not self._is_allowed():
            return 403, TOO_FREQUENT
        answer = self._answers.get(path)
        if answer is None:
            return 404, b""
        if self._venue.in_maintenance and path != STATUS:
            answer = _out_of_order
        code, message, result = 0, "OK", {}
        try:
            result = answer(params)
        except _Refusal as refusal:
            code, message = refusal.code, str(refusal)
        return 200, msgspec.json.encode({
            "retCode": code, "retMsg": message, "result": result, "retExtInfo": {},
            "time": self._venue.stamp,
        })  # fmt: skip

    def _is_allowed(self) -> bool:
        now_ns = self._venue.market.now_ns
        if self._asked.wait(now_ns):
            self._banned_until_ns = now_ns + BAN_NS
        self._asked.count(now_ns)
        return now_ns >= self._banned_until_ns

    def _places(self, params: Params) -> list[int]:
        """Families asked for by `baseCoin`."""
        coin = params.get("baseCoin", DEFAULT_COIN)
        return [
            place
            for place, family in enumerate(self._venue.families)
            if coin in (family.terms.asset, ALL_COINS)
        ]

    def _instruments(self, params: Params) -> Row:
        _check_category(params)
        symbol = params.get("symbol")
        listed = (
            [self._contract(symbol)]
            if symbol
            else [
                (place, int(slot))
                for place in self._places(params)
                for slot in np.flatnonzero(self._venue.books[place].board.alive)
            ]
        )
        limit = _integer(params.get("limit", str(DEFAULT_ROWS)))
        if not 1 <= limit <= MAX_ROWS:
            raise _Refusal(BAD_PARAMETER, "params error: limit invalid")
        first = _integer(params.get("cursor", "").removeprefix(_CURSOR) or "0")
        page = listed[first : first + limit]
        # Like the venue's own, the cursor is percent-encoded already.
        more = f"first%3D{first + limit}" if first + limit < len(listed) else ""
        rows = [
            bybit.instrument_row(self._venue.families[place], self._venue.books[place].board, slot)
            for place, slot in page
        ]
        return {"category": "option", "nextPageCursor": more, "list": rows}

    def _tickers(self, params: Params) -> Row:
        if params.get("category") in bybit.PERPETUALS:
            return self._perpetuals(params["category"], params.get("symbol"))
        _check_category(params)
        symbol, coin = params.get("symbol"), params.get("baseCoin")
        if symbol:
            place, slot = self._contract(symbol)
            chosen = [(place, [slot])]
        elif coin:
            chosen = [
                (place, np.flatnonzero(self._venue.books[place].board.alive).tolist())
                for place in self._places(params)
            ]
        else:
            raise _Refusal(BAD_PARAMETER, "params error: baseCoin or symbol is required")
        expiry = params.get("expDate", "")
        rows = [
            bybit.rest_row(row)
            for place, slots in chosen
            for name, row in self._venue.ticker_rows(place, slots)
            if not expiry or name.split("-")[1] == expiry
        ]
        return {"category": "option", "list": rows}

    def _perpetuals(self, category: str, symbol: str | None) -> Row:
        """Of every coin with options."""
        boards = {f.terms.asset: self._venue.market.boards[f.number] for f in self._venue.families}
        rows = [bybit.perpetual_row(b, category, self._venue.stamp) for b in boards.values()]
        chosen = [row for row in rows if symbol in (None, row["symbol"])]
        if not chosen:
            raise _Refusal(BAD_PARAMETER, "params error: symbol invalid")
        return {"category": category, "list": chosen}

    def _order_book(self, params: Params) -> Row:
        _check_category(params)
        symbol = params.get("symbol", "")
        place, slot = self._contract(symbol)
        depth = min(_integer(params.get("limit", "1")), MAX_DEPTH)
        bids, asks = bybit.levels(self._venue.books[place], slot)
        return {
            "s": symbol, "b": list(bids.items())[:depth], "a": list(asks.items())[:depth],
            "ts": self._venue.stamp, "u": 1, "seq": 1,
        }  # fmt: skip

    def _time(self, _: Params) -> Row:
        stamp = self._venue.stamp
        return {"timeSecond": str(stamp // 1_000), "timeNano": str(stamp * 1_000_000)}

    def _contract(self, symbol: str) -> tuple[int, int]:
        found = self._venue.contracts.get(symbol)
        if found is None:
            raise _Refusal(BAD_PARAMETER, "params error: symbol invalid")
        return found


def _out_of_order(params: Params) -> Row:
    raise _Refusal(SERVER_ERROR, f"Server error, {len(params)} parameters")


def _check_category(params: Params) -> None:
    if params.get("category") != "option":
        raise _Refusal(BAD_PARAMETER, "params error: category invalid")


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise _Refusal(BAD_PARAMETER, "params error: number invalid")
    return int(text)
