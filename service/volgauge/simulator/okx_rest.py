"""The simulated OKX over GET: listings, quotes, marks. Refusals carry a code in the body."""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import numpy as np

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator import okx
from volgauge.simulator.market import Market
from volgauge.simulator.okx import Family, Row
from volgauge.simulator.quoting import QuoteBook
from volgauge.simulator.window import Window

Params = Mapping[str, str]
WINDOW_NS = 2 * NANOS_PER_SECOND
REQUESTS = 20
"""Of one kind in the window, of one address; the tick bands fewer."""
FEW_REQUESTS = 5
_BANDS = "public/instrument-tick-bands"


class Host(Protocol):
    """The venue, as far as its REST interface needs it."""

    market: Market
    families: list[Family]
    books: list[QuoteBook]
    names: list[list[str]]
    contracts: dict[str, tuple[int, int]]
    in_maintenance: bool

    @property
    def stamp(self) -> str:
        """The venue's clock."""
        ...

    def summaries(self, place: int, slots: list[int]) -> list[Row]:
        """Rows of opt-summary."""
        ...

    def index_row(self, index: str) -> Row:
        """A row of index-tickers."""
        ...

    def status_row(self) -> Row:
        """A row of status."""
        ...


class _Refusal(Exception):
    """In the venue's words."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class OkxRest:
    """Answers GETs from a venue's state."""

    def __init__(self, venue: Host) -> None:
        self._venue = venue
        self._asked: dict[str, Window] = {}
        self._answers: dict[str, Callable[[Params], list[object]]] = {
            "public/instruments": self._instruments,
            _BANDS: self._bands,
            "public/underlying": self._underlying,
            "public/open-interest": self._open_interest,
            "public/funding-rate": self._funding,
            "public/opt-summary": self._summaries,
            "public/mark-price": self._marks,
            "public/time": lambda _: [{"ts": self._venue.stamp}],
            "market/tickers": self._tickers,
            "market/ticker": self._ticker,
            "market/books": self._books,
            "market/index-tickers": self._index_tickers,
            "system/status": lambda _: [self._venue.status_row()],
        }

    def answer(self, path: str, params: Params) -> tuple[int, bytes]:
        """Status and body."""
        try:
            self._charge(path)
            answer = self._answers.get(path, _unknown)
            body = {"code": "0", "data": answer(params), "msg": ""}
        except _Refusal as refusal:
            body = {"code": refusal.code, "data": [], "msg": str(refusal)}
            return refusal.status, msgspec.json.encode(body)
        return 200, msgspec.json.encode(body)

    def _charge(self, path: str) -> None:
        if self._venue.in_maintenance:
            raise _Refusal(503, "50001", "Service temporarily unavailable. Try again later")
        limit = FEW_REQUESTS if path == _BANDS else REQUESTS
        asked = self._asked.setdefault(path, Window(limit, WINDOW_NS))
        if not asked.take(self._venue.market.now_ns):
            raise _Refusal(429, "50011", "Too Many Requests")

    def _places(self, params: Params) -> list[int]:
        """Families asked for by `instFamily` or `uly`; none where the type is not ours."""
        if "instType" not in params:
            raise _Refusal(400, "50014", "Parameter instType can not be empty")
        if params["instType"] != "OPTION":
            return []
        family, underlying = params.get("instFamily"), params.get("uly")
        if family is None and underlying is None:
            raise _Refusal(400, "50015", "Either parameter uly or instFamily is required")
        found = [
            place
            for place, known in enumerate(self._venue.families)
            if known.name == family or (family is None and known.index == underlying)
        ]
        if not found:
            raise _Refusal(200, "51014", "Index does not exist.")
        return found

    def _listed(self, params: Params) -> list[tuple[int, int]]:
        """Families and slots of the options asked for."""
        name = params.get("instId")
        if name is not None:
            return [self._contract(params)]
        return [
            (place, int(slot))
            for place in self._places(params)
            for slot in np.flatnonzero(self._venue.books[place].board.alive)
        ]

    def _contract(self, params: Params) -> tuple[int, int]:
        found = self._venue.contracts.get(params.get("instId", ""))
        if found is None:
            text = "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
            raise _Refusal(200, "51001", text)
        return found

    def _instruments(self, params: Params) -> list[object]:
        wanted = params.get("instId")
        return [
            okx.instrument_row(self._venue.families[place], self._venue.books[place].board, slot)
            for place, slot in self._listed({k: v for k, v in params.items() if k != "instId"})
            if wanted in (None, self._venue.names[place][slot])
        ]

    def _bands(self, params: Params) -> list[object]:
        if params.get("instType") != "OPTION":
            raise _Refusal(400, "51000", "Parameter instType error")
        wanted = params.get("instFamily")
        return [
            okx.band_row(family) for family in self._venue.families if wanted in (None, family.name)
        ]

    def _underlying(self, params: Params) -> list[object]:
        if params.get("instType") != "OPTION":
            return [[]]
        return [list(dict.fromkeys(family.index for family in self._venue.families))]

    def _swaps(self) -> dict[str, tuple[Row, Row]]:
        """Interest and funding of every swap, by name."""
        boards = {f.terms.asset: self._venue.market.boards[f.number] for f in self._venue.families}
        found: dict[str, tuple[Row, Row]] = {}
        for board in boards.values():
            found |= okx.swap_rows(board, self._venue.stamp)
        return found

    def _funding(self, params: Params) -> list[object]:
        found = self._swaps().get(params.get("instId", ""))
        if found is None:
            text = "Instrument ID, Instrument ID code, or Spread ID doesn't exist."
            raise _Refusal(200, "51001", text)
        return [found[1]]

    def _open_interest(self, params: Params) -> list[object]:
        rows: list[object] = []
        if params.get("instType") == "SWAP":
            wanted = params.get("instId")
            return [
                interest for name, (interest, _) in self._swaps().items() if wanted in (None, name)
            ]
        for place, slot in self._listed(params):
            family, board = self._venue.families[place], self._venue.books[place].board
            # The market's interest, shared out between a coin's two families.
            amount = 0.5 * float(board.open_interest[slot])
            contracts = round(amount / family.terms.contract_size)
            rows.append({
                "instId": self._venue.names[place][slot], "instType": "OPTION",
                "oi": str(contracts),
                "oiCcy": okx.number_text(round(contracts * family.terms.contract_size, 8)),
                "oiUsd": "", "ts": self._venue.stamp,
            })  # fmt: skip
        return rows

    def _summaries(self, params: Params) -> list[object]:
        rows: list[object] = []
        for place in self._places({**params, "instType": "OPTION"}):
            alive = np.flatnonzero(self._venue.books[place].board.alive).tolist()
            rows += self._venue.summaries(place, alive)
        return rows

    def _marks(self, params: Params) -> list[object]:
        rows: list[object] = []
        for place, slot in self._listed(params):
            fair = float(self._venue.books[place].fair(np.array([slot], np.int64))[0])
            rows.append({
                "instId": self._venue.names[place][slot], "instType": "OPTION",
                "markPx": okx.number_text(round(fair, 12)), "ts": self._venue.stamp,
            })  # fmt: skip
        return rows

    def _tickers(self, params: Params) -> list[object]:
        return [self._ticker_row(*found) for found in self._listed(params)]

    def _ticker(self, params: Params) -> list[object]:
        return [self._ticker_row(*self._contract(params))]

    def _ticker_row(self, place: int, slot: int) -> Row:
        name, book = self._venue.names[place][slot], self._venue.books[place]
        return okx.ticker_row(name, book, slot, self._venue.stamp)

    def _books(self, params: Params) -> list[object]:
        place, slot = self._contract(params)
        wanted = params.get("sz", "1")
        size = int(wanted) if wanted.isdigit() else 1
        sides = [
            [[price, amount, "0", "1"] for price, amount in list(side.items())[:size]]
            for side in okx.deep_levels(self._venue.books[place], slot)
        ]
        return [{"bids": sides[0], "asks": sides[1], "ts": self._venue.stamp}]

    def _index_tickers(self, params: Params) -> list[object]:
        wanted, quote = params.get("instId"), params.get("quoteCcy")
        indices = dict.fromkeys(family.index for family in self._venue.families)
        chosen = [
            index
            for index in indices
            if wanted == index or (wanted is None and quote == index.rpartition("-")[2])
        ]
        if not chosen:
            raise _Refusal(200, "51001", "Instrument ID does not exist.")
        return [self._venue.index_row(index) for index in chosen]


def _unknown(params: Params) -> list[object]:
    raise _Refusal(404, "404", f"Not Found, {len(params)} parameters")
