"""Deribit's public methods, the same over REST and over the websocket."""

from collections.abc import Callable
from typing import Any

import msgspec

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator import deribit
from volgauge.simulator.board import Board
from volgauge.simulator.deribit import NAME_PATTERN, Contract, Row
from volgauge.simulator.listing import expiry_code
from volgauge.simulator.venue import Venue

VERSION = "1.2.26"
Params = dict[str, Any]
Candles = Callable[[str, int, int, int], list[list[float]]]
"""(index name, start ms, end ms, resolution seconds) -> rows of [ms, open, high, low, close]."""
MAX_CANDLES = 1000
_RESOLUTIONS = {"1": 1, "60": 60, "3600": 3600, "43200": 43_200, "1D": 86_400}
_CURRENCIES = frozenset({"BTC", "ETH", "USDC", "USDT", "any"})
_KINDS = frozenset({"option", "future", "any", "spot", "future_combo", "option_combo"})


class WireError(Exception):
    """A refusal in the venue's words."""

    def __init__(self, code: int, message: str, data: Row | None = None) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.data = data

    def body(self) -> Row:
        """The `error` member of the answer."""
        extra = {} if self.data is None else {"data": self.data}
        return {"code": self.code, **extra, "message": self.message}


class PublicApi:
    """Answers `public/*` from a venue's state; catalog bodies are kept until the list changes."""

    def __init__(self, venue: Venue, candles: Candles) -> None:
        self.venue = venue
        self.in_maintenance = False
        self._candles = candles
        self._rows: dict[tuple[int, str], tuple[int, list[msgspec.Raw]]] = {}
        self._methods: dict[str, Callable[[Params], object]] = {
            "public/test": lambda _: {"version": VERSION},
            "public/hello": lambda _: {"version": VERSION},
            "public/get_time": lambda _: self.venue.stamp,
            "public/status": self._status,
            "public/get_instruments": self._instruments,
            "public/get_instrument": self._instrument,
            "public/get_book_summary_by_currency": self._summaries,
            "public/get_book_summary_by_instrument": self._summary,
            "public/ticker": self._ticker,
            "public/get_order_book": self._order_book,
            "public/get_index_price": self._index_price,
            "public/get_index_price_names": lambda _: sorted(self.venue.indices),
            "public/get_expirations": self._expirations,
            "public/get_volatility_index_data": self._volatility_index_data,
        }

    def call(self, method: str, params: Params) -> object:
        """Answer one method.

        Raises:
            WireError: The venue would refuse.
        """
        if self.in_maintenance:
            raise WireError(11051, "system_maintenance")
        if method.startswith("private/"):
            raise WireError(13009, "unauthorized")
        answer = self._methods.get(method)
        if answer is None:
            raise WireError(-32601, "Method not found")
        return answer(params)

    def envelope(self, request_id: object, result: object) -> bytes:
        """A successful answer with the venue's microsecond stamps."""
        return self._answer({"jsonrpc": "2.0"} | _id(request_id) | {"result": result})

    def refusal(self, request_id: object, error: WireError) -> bytes:
        """An error answer."""
        return self._answer({"jsonrpc": "2.0"} | _id(request_id) | {"error": error.body()})

    def _answer(self, body: Row) -> bytes:
        received = self.venue.stamp * 1000
        stamps = {"usIn": received, "usOut": received + 120, "usDiff": 120, "testnet": False}
        return msgspec.json.encode(body | stamps)

    def _status(self, _: Params) -> object:
        locked = sorted(self.venue.locked)
        word = "partial" if locked else "false"
        return {"locked": "true" if locked == sorted(self.venue.indices) else word,
                "locked_indices": locked}  # fmt: skip

    def _boards(self, params: Params, *, required: bool = True) -> list[Board]:
        currency = params.get("currency", None if required else "any")
        if currency not in _CURRENCIES:
            raise _invalid("currency", "wrong format")
        return [
            board for board in self.venue.source.boards if currency in ("any", board.terms.currency)
        ]

    def _instruments(self, params: Params) -> object:
        # The documents ask for a currency; ccxt names none, and means all.
        boards, kind = self._boards(params, required=False), _kind(params)
        if str(params.get("expired", "false")).lower() == "true":
            return []
        return [row for board in boards for row in self._catalog(board, kind)]

    def _catalog(self, board: Board, kind: str) -> list[msgspec.Raw]:
        key = (id(board), kind)
        version, rows = self._rows.get(key, (-1, []))
        if version != board.listing_version:
            rows = [
                msgspec.Raw(msgspec.json.encode(deribit.instrument_row(contract)))
                for contract in _chosen(board, kind)
            ]
            self._rows[key] = (board.listing_version, rows)
        return rows

    def _instrument(self, params: Params) -> object:
        return deribit.instrument_row(self._contract(params))

    def _summaries(self, params: Params) -> object:
        kind, stamp = _kind(params), self.venue.stamp
        return [
            deribit.summary_row(contract, stamp)
            for board in self._boards(params)
            for contract in _chosen(board, kind)
        ]

    def _summary(self, params: Params) -> object:
        return [deribit.summary_row(self._contract(params), self.venue.stamp)]

    def _contract(self, params: Params) -> Contract:
        name = params.get("instrument_name")
        if not isinstance(name, str) or not NAME_PATTERN.fullmatch(name):
            raise _invalid("instrument_name", "wrong format")
        contract = self.venue.contracts.get(name)
        if contract is None:
            raise WireError(13020, "not_found")
        return contract

    def _ticker(self, params: Params) -> Row:
        contract = self._contract(params)
        now_ns = self.venue.source.now_ns
        return deribit.ticker_rows([contract], now_ns, self.venue.stamp, "null")[0]

    def _order_book(self, params: Params) -> object:
        contract = self._contract(params)
        levels = int(params.get("depth", 5))
        change_id, bids, asks = self.venue.order_book(contract)
        return self._ticker(params) | {
            "change_id": change_id, "bids": bids[:levels], "asks": asks[:levels]
        }  # fmt: skip

    def _index_price(self, params: Params) -> object:
        name = params.get("index_name")
        for board in self.venue.source.boards:
            if board.terms.index_name == name:
                return {"index_price": board.index_price,
                        "estimated_delivery_price": board.index_price}  # fmt: skip
        raise _invalid("index_name", "wrong format")

    def _expirations(self, params: Params) -> object:
        wanted = str(params.get("currency", "any")).lower()
        kind = _kind(params)
        found: dict[str, dict[str, list[str]]] = {}
        for board in self.venue.source.boards:
            currency = board.terms.currency.lower()
            if wanted not in ("any", "grouped", currency):
                continue
            codes = [expiry_code(board.expiries[i].expiry_ns) for i in board.living_expiries()]
            kinds = ("future", "option") if kind == "any" else (kind,)
            for each in kinds:
                known = found.setdefault(currency, {}).setdefault(each, [])
                known += [code for code in codes if code not in known]
        return found

    def _volatility_index_data(self, params: Params) -> object:
        currency = str(params.get("currency"))
        index = f"{currency.lower()}_usd"
        if index not in self.venue.vol_indices:
            raise _invalid("currency", "wrong format")
        resolution = _RESOLUTIONS.get(str(params.get("resolution")))
        if resolution is None:
            raise _invalid("resolution", "wrong format")
        start, end = (_integer(params, name) for name in ("start_timestamp", "end_timestamp"))
        rows = self._candles(index, start, min(end, self.venue.stamp), resolution)
        # The newest come first page; `continuation` is where the next page ends.
        continuation = int(rows[-MAX_CANDLES - 1][0]) if len(rows) > MAX_CANDLES else None
        return {"data": rows[-MAX_CANDLES:], "continuation": continuation}


def _id(request_id: object) -> Row:
    return {} if request_id is None else {"id": request_id}


def _chosen(board: Board, kind: str) -> list[Contract]:
    found = deribit.contracts_of(board)
    if kind == "any":
        return found
    return [
        contract for contract in found if kind == ("option" if contract.is_option else "future")
    ]


def _kind(params: Params) -> str:
    kind = params.get("kind", "any")
    if kind not in _KINDS:
        raise _invalid("kind", "wrong format")
    return str(kind)


def _integer(params: Params, name: str) -> int:
    try:
        return int(params[name])
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid(name, "wrong format") from error


def _invalid(param: str, reason: str) -> WireError:
    return WireError(-32602, "Invalid params", {"param": param, "reason": reason})


def candles_of(
    times_ms: list[int], values: list[float], resolution_seconds: int
) -> list[list[float]]:
    """Open, high, low, close of a series, by the open time of each candle in ms."""
    width = resolution_seconds * NANOS_PER_SECOND // NANOS_PER_MILLI
    rows: list[list[float]] = []
    for time_ms, value in zip(times_ms, values, strict=True):
        opened = time_ms // width * width
        if rows and rows[-1][0] == opened:
            row = rows[-1]
            row[2], row[3], row[4] = max(row[2], value), min(row[3], value), value
        else:
            rows.append([opened, value, value, value, value])
    return rows
