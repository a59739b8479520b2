"""The simulated Delta over GET: products in pages, tickers, books, settings."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import numpy as np

from volgauge.simulator import delta
from volgauge.simulator.delta import CALLS, PERPETUALS, PUTS, Row
from volgauge.simulator.delta_board import NoonBook
from volgauge.simulator.numbers import number_text
from volgauge.simulator.quoting import Family

Params = Mapping[str, str]
ROOT = "v2/"
SETTINGS = "settings"
DEFAULT_ROWS = 3_000
KINDS = frozenset({CALLS, PUTS, PERPETUALS})


class Host(Protocol):
    """The venue, as far as its REST interface needs it."""

    families: list[Family]
    books: list[NoonBook]
    names: list[list[str]]
    contracts: dict[str, tuple[int, int]]
    in_maintenance: bool

    @property
    def stamp(self) -> int:
        """The venue's clock in microseconds."""
        ...

    def is_allowed(self) -> bool:
        """Count a request of the client's address against its limit."""
        ...

    def ticker_rows(self, place: int, slots: list[int]) -> list[Row]:
        """`v2/ticker` of some options."""
        ...


class _Refusal(Exception):
    """In the venue's words."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status


class DeltaRest:
    """Answers GETs from a venue's state."""

    def __init__(self, venue: Host) -> None:
        self._venue = venue
        self._answers: dict[str, Callable[[Params], Row]] = {
            "assets": lambda _: {"result": delta.assets_of(self._venue.families)},
            "products": self._products,
            "tickers": self._tickers,
            SETTINGS: self._settings,
        }
        self._of_symbol: dict[str, Callable[[str], Row]] = {
            "tickers": self._ticker,
            "l2orderbook": self._book,
        }

    def answer(self, path: str, params: Params) -> tuple[int, bytes]:
        """Status and body."""
        try:
            body = self._answer(path, params) | {"success": True}
        except _Refusal as refusal:
            told = {"error": {"code": str(refusal), "context": {}}, "success": False}
            return refusal.status, msgspec.json.encode(told)
        return 200, msgspec.json.encode(body)

    def _answer(self, path: str, params: Params) -> Row:
        if not path.startswith(ROOT):
            raise _Refusal(404, "not_found")
        if not self._venue.is_allowed():
            raise _Refusal(429, "too_many_requests")
        name, _, symbol = path.removeprefix(ROOT).partition("/")
        if self._venue.in_maintenance and name != SETTINGS:
            raise _Refusal(503, "under_maintenance")
        if symbol and name in self._of_symbol:
            return self._of_symbol[name](symbol)
        if name not in self._answers:
            raise _Refusal(404, "not_found")
        return self._answers[name](params)

    def _kinds(self, params: Params) -> set[str]:
        asked = params.get("contract_types")
        return set(KINDS) if not asked else set(KINDS).intersection(asked.split(","))

    def _products(self, params: Params) -> Row:
        kinds, states = self._kinds(params), params.get("states", "live").split(",")
        rows: list[tuple[Family, NoonBook, int | None]] = []
        for family, book in zip(self._venue.families, self._venue.books, strict=True):
            if "live" in states:
                rows += [(family, book, slot) for slot in _slots(book, kinds)]
                rows += [(family, book, None)] if PERPETUALS in kinds else []
        size = _integer(params, "page_size", DEFAULT_ROWS)
        first = _integer(params, "after", 0)
        after = str(first + size) if first + size < len(rows) else None
        meta = {
            "after": after, "before": None, "limit": size, "total_count": len(rows),
        }  # fmt: skip
        chosen = rows[first : first + size]
        return {"meta": meta, "result": [_product(*row) for row in chosen]}

    def _tickers(self, params: Params) -> Row:
        kinds, asset = self._kinds(params), params.get("underlying_asset_symbols")
        found: list[Row] = []
        for place, family in enumerate(self._venue.families):
            if asset and family.terms.asset not in asset.split(","):
                continue
            book = self._venue.books[place]
            found += self._venue.ticker_rows(place, _slots(book, kinds))
            if PERPETUALS in kinds:
                found.append(delta.perpetual_ticker(family, book.source, self._venue.stamp))
        return {"result": found}

    def _find(self, symbol: str) -> tuple[int, int]:
        found = self._venue.contracts.get(symbol)
        if found is None:
            raise _Refusal(404, "not_found")
        return found

    def _ticker(self, symbol: str) -> Row:
        for family, book in zip(self._venue.families, self._venue.books, strict=True):
            if symbol == delta.perpetual_name(family):
                row = delta.perpetual_ticker(family, book.source, self._venue.stamp)
                return {"result": row}
        place, slot = self._find(symbol)
        rows = self._venue.ticker_rows(place, [slot])
        if not rows:
            raise _Refusal(404, "not_found")
        return {"result": rows[0]}

    def _book(self, symbol: str) -> Row:
        """One level a side: more is not quoted."""
        place, slot = self._find(symbol)
        book = self._venue.books[place]
        sides = [
            [] if np.isnan(prices[slot]) else
            [{"depth": str(lots[slot]), "price": number_text(prices[slot]),
              "size": int(lots[slot])}]
            for prices, lots in ((book.bid, book.bid_lots), (book.ask, book.ask_lots))
        ]  # fmt: skip
        stamp = self._venue.stamp
        return {
            "result": {
                "buy": sides[0], "last_updated_at": stamp, "sell": sides[1], "symbol": symbol,
            }
        }  # fmt: skip

    def _settings(self, _: Params) -> Row:
        word = "true" if self._venue.in_maintenance else "false"
        return {"result": {"server_time": self._venue.stamp, "under_maintenance": word}}


def _slots(book: NoonBook, kinds: set[str]) -> list[int]:
    """What is listed of some kinds."""
    board = book.board
    return [
        int(slot)
        for slot in np.flatnonzero(board.alive)
        if (CALLS if board.is_call[slot] else PUTS) in kinds
    ]


def _product(family: Family, book: NoonBook, slot: int | None) -> Row:
    """An option, or without a slot the perpetual."""
    if slot is None:
        return delta.perpetual_row(family)
    return delta.option_row(family, book.board, slot)


def _integer(params: Params, name: str, otherwise: int) -> int:
    try:
        value = int(params.get(name, otherwise))
    except ValueError as error:
        raise _Refusal(400, "bad_schema") from error
    if value < 0 or (name == "page_size" and not value):
        raise _Refusal(400, "bad_schema")
    return value
