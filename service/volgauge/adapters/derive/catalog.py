"""Reads the bodies of a listing, which comes in pages, and of the incidents."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.catalog import refused_by_status, require_body
from volgauge.adapters.derive import messages
from volgauge.adapters.derive.endpoints import MAX_PAGES, PAGE_ROWS, SEVERE, VENUE
from volgauge.adapters.derive.normalize import read_row, read_seconds, to_error
from volgauge.adapters.derive.perpetuals import PERPETUALS
from volgauge.adapters.payload import UNREADABLE
from volgauge.adapters.reader import RowReader
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import (
    CatalogError,
    ProtocolViolation,
    VenueError,
)

INCIDENTS = "incidents"
ALL = "all"
"""Stands for the coins where none is named."""


class Refused(Struct, frozen=True, gc=False):
    """An option that is not for us."""

    reason: str
    launch_ns: int | None = None
    """When it is launched, if that is to come."""
    end_ns: int | None = None
    """When it expires, if it is not traded any more until then."""


class _Part(Struct, frozen=True):
    """One page that was read."""

    body: bytes
    page: messages.Page
    keys: frozenset[bytes]
    """What its rows are, as sent."""


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
        self.rows: list[Instrument | Refused] = []
        self.refusals: list[str] = []
        """Why bodies were left out."""
        self._reader = RowReader(_split, _read_instrument, remembers=True)
        self._parts: dict[str, _Part] = {}
        """Pages by name."""
        self._taken: Mapping[str, bytes] | None = None
        """The bodies that were taken last, if the listing was whole."""
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

    def ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `take` ahead, a piece at each step."""
        for name, body in bodies.items():
            if ".options." in name:
                with suppress(VenueError):
                    self._part(name, body)
                yield
                yield from self._reader.ahead(name, body, now_ns)

    def turn(self) -> None:
        """A whole listing was taken: what it does not say any more is forgotten."""
        self._reader.turn()
        self._parts.clear()
        self._taken = None

    def preview(
        self, bodies: Mapping[str, bytes], now_ns: int
    ) -> list[Instrument | Refused] | None:
        """The rows of the listing, once `take` has these bodies, or has had them.

        None: pages are missing then, or a coin is refused.

        Raises:
            VenueError: A listing cannot be read.
        """
        if bodies is self._taken:
            return self.rows
        found: list[Instrument | Refused] = []
        for coin, asked in self._pages.items():
            for page in range(1, asked + 1):
                name = _name(coin, page)
                body = require_body(VENUE, bodies, name)
                pages = max(1, self._part(name, body).page.pagination.num_pages)
                if pages > asked:
                    return None
                if page <= pages:
                    found += self._reader.look(name, body, now_ns)
        return found

    def stands(self, bodies: Mapping[str, bytes], now_ns: int) -> bool:
        """What was read ahead of the listings in these bodies holds."""
        return all(
            self._reader.stands(name, body, now_ns)
            for name, body in bodies.items()
            if ".options." in name
        )

    def take(self, bodies: Mapping[str, bytes], held: frozenset[str], now_ns: int) -> bool:
        """Read what was fetched; False when pages are missing, which are asked for next.

        Args:
            bodies: By the names of `requests`.
            held: Coins whose options we hold; the venue must know them.
            now_ns: The instant.

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
                is_whole &= self._take_coin(bodies, coin, pages, now_ns)
            except CatalogError:
                # One that does not exist (yet); the others do.
                if len(self._pages) == 1 or coin in held or _refusal_of(bodies, coin) is None:
                    raise
                self.refusals.append("currency")
        self._taken = bodies if is_whole else None
        return is_whole

    def _take_coin(self, bodies: Mapping[str, bytes], coin: str, asked: int, now_ns: int) -> bool:
        seen: frozenset[bytes] = frozenset()
        count = 0
        rows: list[Instrument | Refused] = []
        for page in range(1, asked + 1):
            name = _name(coin, page)
            part = self._part(name, require_body(VENUE, bodies, name))
            told = part.page.pagination
            count, pages = told.count, max(1, told.num_pages)
            if pages > MAX_PAGES:
                raise CatalogError(VENUE, f"{coin}: {pages} pages, more than {MAX_PAGES}")
            self._pages[coin] = pages
            if pages > asked:
                return False
            # Above the last page the venue repeats the last one.
            if page <= pages:
                seen |= part.keys
                rows += self._reader.look(name, bodies[name], now_ns)
        if len(seen) != count:
            # Something came or went between two pages.
            raise CatalogError(VENUE, f"{coin}: expected {count} rows, received {len(seen)}")
        self.rows += rows
        return True

    def _part(self, name: str, body: bytes) -> _Part:
        known = self._parts.get(name)
        if known is None or known.body is not body:
            page = _read_page(name, body)
            known = _Part(body, page, frozenset(map(bytes, page.instruments)))
            self._parts[name] = known
        return known

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


def _read_page(name: str, body: bytes) -> messages.Page:
    try:
        answer = _decode_body(body)
        if answer.error is not None:
            raise _to_catalog_error(answer.error, name)
        return _decode_page(answer.result)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error


def _split(name: str, body: bytes) -> list[msgspec.Raw]:
    return _read_page(name, body).instruments


def _read_instrument(raw: msgspec.Raw, now_ns: int) -> tuple[Instrument | Refused, int]:
    """An option is what it is until it ends; one refused now may be taken later."""
    try:
        row = _decode_row(raw)
    except UNREADABLE:
        return Refused("schema"), 0
    found = read_row(row, now_ns)
    if isinstance(found, Instrument):
        ends_ns = read_seconds(row.scheduled_deactivation)
        return found, min(found.expiry_ns, NEVER_NS if ends_ns is None else ends_ns)
    if found == "coming":
        return Refused(found, launch_ns=read_seconds(row.scheduled_activation)), 0
    if found == "inactive" and row.option_details is not None:
        return Refused(found, end_ns=row.option_details.expiry * NANOS_PER_SECOND), 0
    return Refused(found), 0


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
