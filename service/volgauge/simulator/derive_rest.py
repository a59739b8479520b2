"""The simulated Derive over GET: listings in pages, tickers, incidents. Errors are JSON-RPC's."""

from collections.abc import Callable, Mapping
from math import ceil
from typing import Protocol

import msgspec
import numpy as np

from volgauge.simulator import derive
from volgauge.simulator.derive import DiscountedBook, Row
from volgauge.simulator.quoting import Family

Params = Mapping[str, str]
INCIDENTS = "public/get_live_incidents"
DEFAULT_ROWS, MAX_ROWS = 100, 1_000
_ID = "74af1537-b302-49e0-a5d0-199046926ba2"


class Host(Protocol):
    """The venue, as far as its REST interface needs it."""

    families: list[Family]
    books: list[DiscountedBook]
    names: list[list[str]]
    in_maintenance: bool

    @property
    def stamp(self) -> int:
        """The venue's clock in ms."""
        ...

    def is_allowed(self) -> bool:
        """Count a request of the client's address against its limit."""
        ...

    def ticker_rows(self, place: int, slots: list[int]) -> list[tuple[str, Row]]:
        """Names and slim tickers."""
        ...


class _Refusal(Exception):
    """In the venue's words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class DeriveRest:
    """Answers GETs from a venue's state."""

    def __init__(self, venue: Host) -> None:
        self._venue = venue
        self._answers: dict[str, Callable[[Params], object]] = {
            "public/get_all_instruments": self._all_instruments,
            "public/get_instruments": self._instruments,
            "public/get_tickers": self._tickers,
            "public/get_time": lambda _: self._venue.stamp,
            INCIDENTS: self._incidents,
        }

    def answer(self, path: str, params: Params) -> tuple[int, bytes]:
        """Status and body."""
        try:
            body: Row = {"result": self._answer(path, params)}
        except _Refusal as refusal:
            body = {"error": {"code": refusal.code, "message": str(refusal)}}
        return 200, msgspec.json.encode({"id": _ID} | body)

    def _answer(self, path: str, params: Params) -> object:
        if not self._venue.is_allowed():
            raise _Refusal(-32000, "Rate limit exceeded")
        answer = self._answers.get(path)
        if answer is None:
            raise _Refusal(-32601, "Method not found")
        if self._venue.in_maintenance and path != INCIDENTS:
            raise _Refusal(-32603, "Internal error")
        return answer(params)

    def _rows(self, params: Params) -> list[Row]:
        """Instruments of a coin, or of all."""
        kind, coin = params.get("instrument_type"), params.get("currency")
        if kind not in {"erc20", "option", "perp"} or params.get("expired") not in {
            "true",
            "false",
        }:
            raise _Refusal(-32602, "Invalid params")
        if coin is not None and coin not in [f.terms.asset for f in self._venue.families]:
            raise _Refusal(12002, "Currency not found")
        if kind != "option":
            return []
        return [
            derive.instrument_row(family, book.board, int(slot))
            for family, book in zip(self._venue.families, self._venue.books, strict=True)
            if coin in {None, family.terms.asset}
            for slot in np.flatnonzero(book.board.alive)
        ]

    def _all_instruments(self, params: Params) -> Row:
        rows = self._rows(params)
        size = _integer(params.get("page_size", str(DEFAULT_ROWS)))
        if not 1 <= size <= MAX_ROWS:
            raise _Refusal(-32602, "Invalid params")
        pages = max(1, ceil(len(rows) / size))
        # Above the last page the last one is told again.
        first = (min(max(_integer(params.get("page", "1")), 1), pages) - 1) * size
        return {
            "instruments": rows[first : first + size],
            "pagination": {"count": len(rows), "num_pages": pages},
        }

    def _instruments(self, params: Params) -> list[Row]:
        if "currency" not in params:
            raise _Refusal(-32602, "Invalid params")
        return self._rows(params)

    def _tickers(self, params: Params) -> Row:
        """Options of one coin and one day of expiry, both required; or perpetuals."""
        coin, date = params.get("currency"), params.get("expiry_date")
        if params.get("instrument_type") == "perp" and date is None:
            boards = {f.terms.asset: b.board for f, b in
                      zip(self._venue.families, self._venue.books, strict=True)}  # fmt: skip
            return {
                "tickers": {
                    f"{asset}-PERP": derive.perpetual_row(board, self._venue.stamp)
                    for asset, board in boards.items()
                    if coin in {None, asset}
                }
            }
        if params.get("instrument_type") != "option" or not coin or not date:
            raise _Refusal(-32602, "Invalid params")
        found: Row = {}
        for place, family in enumerate(self._venue.families):
            if family.terms.asset == coin:
                names = self._venue.names[place]
                slots = [s for s, name in enumerate(names) if name.split("-")[1] == date]
                found |= dict(self._venue.ticker_rows(place, slots))
        return {"tickers": found}

    def _incidents(self, _: Params) -> Row:
        """A maintenance is a severe one."""
        ongoing = {
            "creation_timestamp_sec": self._venue.stamp // 1_000, "label": "matching engine",
            "message": "scheduled upgrade", "monitor_type": "manual", "severity": "high",
        }  # fmt: skip
        return {"incidents": [ongoing] if self._venue.in_maintenance else []}


def _integer(text: str) -> int:
    if not text.isdecimal():
        raise _Refusal(-32602, "Invalid params")
    return int(text)
