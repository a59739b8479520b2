"""Reads the bodies of a listing, which comes in pages, and of the incidents."""

from collections.abc import Iterable, Mapping

import msgspec

from volgauge.adapters.base import RestRequest
from volgauge.adapters.catalog import refused_by_status, require_body
from volgauge.adapters.derive import messages
from volgauge.adapters.derive.endpoints import MAX_PAGES, PAGE_ROWS, SEVERE, VENUE
from volgauge.adapters.derive.messages import UNREADABLE
from volgauge.adapters.derive.normalize import to_error
from volgauge.adapters.derive.perpetuals import PERPETUALS
from volgauge.errors import (
    CatalogError,
    ProtocolViolation,
    VenueError,
)

INCIDENTS = "incidents"
ALL = "all"
"""Stands for the coins where none is named."""

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_page = msgspec.json.Decoder(messages.Page).decode
_decode_row = msgspec.json.Decoder(messages.InstrumentRow, strict=False).decode
_decode_incidents = msgspec.json.Decoder(messages.Incidents).decode


class Catalog:
    """What the venue says it lists: `{coin}.options.{page}`, `incidents`, and `perpetuals`.

    How many pages a coin has is known only after the first; a coin that turns out to have more
    than were asked for is asked for again as a whole.
    """

    def __init__(self, coins: Iterable[str]) -> None:
        self._pages = dict.fromkeys(tuple(coins) or (ALL,), 1)
        """Coin to its pages, as far as known."""
        self.rows: list[messages.InstrumentRow] = []
        self.refusals: list[str] = []
        """Why rows and bodies were left out."""
        self.is_severe: bool | None = None
        """An incident stops us from using the venue; None while that is not known."""

    def requests(self) -> tuple[RestRequest, ...]:
        """What to fetch."""
        requests = [RestRequest(INCIDENTS, "public/get_live_incidents")]
        for coin, pages in self._pages.items():
            only = "" if coin == ALL else f"currency={coin}&"
            path = f"public/get_all_instruments?{only}expired=false&instrument_type=option"
            requests += [
                RestRequest(_name(coin, page), f"{path}&page={page}&page_size={PAGE_ROWS}")
                for page in range(1, pages + 1)
            ]
        return (*requests, PERPETUALS)

    def take(self, bodies: Mapping[str, bytes], held: frozenset[str]) -> bool:
        """Read what was fetched; False when pages are missing, which are asked for next.

        Args:
            bodies: By the names of `requests`.
            held: Coins whose options we hold; the venue must know them.

        Raises:
            CatalogError: A listing cannot be read or is not whole, or a body is missing.
            RateLimited: The venue refused us for speed.
            VenueUnavailable: The venue cannot answer now.
        """
        self.rows, self.refusals, self.is_severe = [], [], None
        self._take_incidents(bodies)
        is_whole = True
        for coin, pages in list(self._pages.items()):
            try:
                is_whole &= self._take_coin(bodies, coin, pages)
            except CatalogError:
                # One that does not exist (yet); the others do.
                if len(self._pages) == 1 or coin in held or _refusal_of(bodies, coin) is None:
                    raise
                self.refusals.append("currency")
        return is_whole

    def _take_coin(self, bodies: Mapping[str, bytes], coin: str, asked: int) -> bool:
        names: set[bytes] = set()
        count = 0
        rows: list[messages.InstrumentRow] = []
        for page in range(1, asked + 1):
            part = _read_page(bodies, _name(coin, page))
            count, pages = part.pagination.count, max(1, part.pagination.num_pages)
            if pages > MAX_PAGES:
                raise CatalogError(VENUE, f"{coin}: {pages} pages, more than {MAX_PAGES}")
            self._pages[coin] = pages
            if pages > asked:
                return False
            # Above the last page the venue repeats the last one.
            for raw in part.instruments if page <= pages else ():
                names.add(bytes(raw))
                try:
                    rows.append(_decode_row(raw))
                except UNREADABLE:
                    self.refusals.append("schema")
        if len(names) != count:
            # Something came or went between two pages.
            raise CatalogError(VENUE, f"{coin}: expected {count} rows, received {len(names)}")
        self.rows += rows
        return True

    def _take_incidents(self, bodies: Mapping[str, bytes]) -> None:
        """Without them we live."""
        try:
            body = _decode_body(bodies.get(INCIDENTS, b""))
            found = _decode_incidents(body.result).incidents
        except UNREADABLE:
            self.refusals.append(INCIDENTS)
            return
        self.is_severe = any(incident.severity == SEVERE for incident in found)


def refused(status: int, body: bytes) -> VenueError:
    """What a refused REST request means for us, by its body if it has one of the venue's."""
    try:
        error = _decode_body(body).error
    except UNREADABLE:
        error = None
    if error is not None:
        return _to_catalog_error(error, f"HTTP {status}")
    return refused_by_status(VENUE, status)


def _name(coin: str, page: int) -> str:
    return f"{coin}.options.{page}"


def _read_body(bodies: Mapping[str, bytes], name: str) -> messages.Body:
    return _decode_body(require_body(VENUE, bodies, name))


def _read_page(bodies: Mapping[str, bytes], name: str) -> messages.Page:
    try:
        body = _read_body(bodies, name)
        if body.error is not None:
            raise _to_catalog_error(body.error, name)
        return _decode_page(body.result)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error


def _refusal_of(bodies: Mapping[str, bytes], coin: str) -> messages.Error | None:
    """The venue's own refusal of a coin; None when the body is something else."""
    try:
        return _read_body(bodies, _name(coin, 1)).error
    except UNREADABLE:
        return None


def _to_catalog_error(error: messages.Error, where: str) -> VenueError:
    mapped = to_error(error)
    if isinstance(mapped, ProtocolViolation):
        return CatalogError(VENUE, f"{where}: {error.code} {error.message}"[:300])
    return mapped
