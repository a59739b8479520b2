"""The simulated Aevo over GET: markets, indices, statistics. Errors are one word."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.simulator import aevo
from volgauge.simulator.aevo import Row
from volgauge.simulator.board import I64
from volgauge.simulator.quoting import Family, QuoteBook

Params = Mapping[str, str]
Answer = Row | list[Row] | list[str]


class Host(Protocol):
    """The venue, as far as its REST interface needs it."""

    families: list[Family]
    books: list[QuoteBook]
    in_maintenance: bool

    @property
    def stamp(self) -> int:
        """The venue's clock in ns."""
        ...

    @property
    def now_ns(self) -> int:
        """The market's."""
        ...

    def living(self, place: int) -> I64:
        """Slots of the options that are listed."""
        ...

    def charge(self) -> int:
        """Count a request of the client's address; nanoseconds to wait, 0 when it may."""
        ...


class _Refusal(Exception):
    """In the venue's word."""

    def __init__(self, status: int, word: str) -> None:
        super().__init__(word)
        self.status = status


class AevoRest:
    """Answers GETs from a venue's state."""

    def __init__(self, venue: Host) -> None:
        self._venue = venue
        self._answers: dict[str, Callable[[Params], Answer]] = {
            "assets": lambda _: [family.terms.asset for family in venue.families],
            "coingecko-statistics": self._statistics,
            "expiries": self._expiries,
            "index": self._index,
            "markets": self._markets,
            "time": self._time,
        }

    def answer(self, path: str, params: Params) -> tuple[int, bytes]:
        """Status and body."""
        wait_ns = self._venue.charge()
        if wait_ns:
            body = {"error": "RATE_LIMIT_EXCEEDED", "retry_after": str(wait_ns)}
            return 429, msgspec.json.encode(body)
        try:
            return 200, msgspec.json.encode(self._answer(path, params))
        except _Refusal as refusal:
            return refusal.status, msgspec.json.encode({"error": str(refusal)})

    def _answer(self, path: str, params: Params) -> Answer:
        answer = self._answers.get(path)
        if answer is None:
            raise _Refusal(404, "NOT_FOUND")
        if self._venue.in_maintenance:
            raise _Refusal(503, "MAINTENANCE_MODE_ENABLED")
        return answer(params)

    def _places(self, params: Params, *, required: bool) -> list[int]:
        """Families of the asset that is asked for; of all when none is and none need be."""
        asset = params.get("asset")
        found = [
            place
            for place, family in enumerate(self._venue.families)
            if asset in {None, family.terms.asset}
        ]
        if not found or (required and asset is None):
            raise _Refusal(400, "INVALID_ASSET")
        return found

    def _markets(self, params: Params) -> Answer:
        kind = params.get("instrument_type")
        if kind not in {None, "OPTION", "PERPETUAL", "SPOT"}:
            raise _Refusal(400, "ERR_MALFORMED_REQUEST")
        rows: list[Row] = []
        for place in self._places(params, required=False):
            family, book = self._venue.families[place], self._venue.books[place]
            if kind in {None, "PERPETUAL"}:
                rows.append(_perpetual_market(family, book))
            if kind in {None, "OPTION"}:
                rows += aevo.market_rows(
                    family, book, self._venue.living(place), self._venue.now_ns
                )
        return rows

    def _expiries(self, params: Params) -> Answer:
        (place,) = self._places(params, required=True)
        options = self._venue.books[place].board.options
        return sorted({str(options[slot].expiry.expiry_ns) for slot in self._venue.living(place)})

    def _index(self, params: Params) -> Answer:
        (place,) = self._places(params, required=True)
        price = aevo.number_text(self._venue.books[place].board.index_price)
        return {"price": price, "timestamp": str(self._venue.stamp)}

    def _statistics(self, _: Params) -> Answer:
        return [aevo.perpetual_row(book.board) for book in self._venue.books]

    def _time(self, _: Params) -> Answer:
        stamp = self._venue.stamp
        seconds, nanos = divmod(stamp, NANOS_PER_SECOND)
        moment = datetime.fromtimestamp(seconds, UTC)
        text = f"{moment:%Y-%m-%d %H:%M:%S}.{nanos:09d} +0000 UTC"
        return {
            "name": "5732cc1f14e842f393e8cdecb49f02fa", "timestamp": str(stamp), "time": text,
            "sequence": str(seconds), "block": text,
        }  # fmt: skip


def _perpetual_market(family: Family, book: QuoteBook) -> Row:
    """A perpetual among the markets: no expiry, no strike, no forward."""
    asset, index = family.terms.asset, aevo.number_text(book.board.index_price)
    return {
        "instrument_id": "1", "instrument_name": f"{asset}-PERP", "instrument_type": "PERPETUAL",
        "underlying_asset": asset, "quote_asset": aevo.QUOTE, "price_step": "0.1",
        "amount_step": "0.01", "min_order_value": "10", "max_order_value": "10000000",
        "max_notional_value": "10000000", "mark_price": index, "index_price": index,
        "is_active": True, "max_leverage": "20",
    }  # fmt: skip
