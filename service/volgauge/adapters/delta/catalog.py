"""Reads the bodies of a listing, which may come in several pages, over several fetches."""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.catalog import require_body
from volgauge.adapters.delta import messages, perpetuals
from volgauge.adapters.delta.endpoints import (
    CALLS,
    DISRUPTED,
    LIVE,
    MAX_CURSOR,
    MAX_PAGES,
    PAGE_ROWS,
    PERPETUALS,
    PUTS,
    UPCOMING,
    VENUE,
)
from volgauge.adapters.delta.normalize import (
    Perpetual,
    read_instant,
    read_perpetual,
    read_row,
    refused,
)
from volgauge.adapters.payload import UNREADABLE
from volgauge.adapters.reader import RowReader
from volgauge.domain.instrument import Instrument
from volgauge.errors import CatalogError

PRODUCTS = "products"
STATE = RestRequest("settings", "v2/settings", is_optional=True)
"""Whether the venue is in maintenance; a session that begins later is not told."""
_PATH = (
    f"v2/products?contract_types={CALLS},{PUTS},{PERPETUALS}"
    f"&states={UPCOMING},{LIVE}&page_size={PAGE_ROWS}"
)


class Row(Struct, frozen=True, gc=False):
    """What a row of the listing means: an option, a perpetual, or the reason why it is neither."""

    option: Instrument | None = None
    perpetual: Perpetual | None = None
    name: str = ""
    """Of a perpetual."""
    reason: str = ""
    launch_ns: int | None = None
    """Of an option that is coming."""
    is_disrupted: bool = False
    index: str = ""
    """On which an option is settled."""


_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_state = msgspec.json.Decoder(messages.State).decode
_decode_row = msgspec.json.Decoder(messages.ProductRow, strict=False).decode


class Catalog:
    """What the venue says it lists: `products`; beside it `settings` and `perpetuals`.

    Those two are there if they can be had. A page names the cursor of the next one; while one is
    open, only it is asked for.
    """

    def __init__(self) -> None:
        self._reader = RowReader(_split, _read, remembers=True)
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.rows: list[Row] = []
        self.perpetuals: bytes | None = None
        """The body; None could not be had."""
        self.is_maintained: bool | None = None
        """The venue is in maintenance; None while that is not known."""
        self.refusals: list[str] = []
        """Why bodies were left out."""
        self._cursor = ""
        self._pages = 0

    @property
    def is_complete(self) -> bool:
        """No page is open."""
        return not self._cursor

    def requests(self) -> tuple[RestRequest, ...]:
        """What to fetch next."""
        if self._cursor:
            return (RestRequest(PRODUCTS, f"{_PATH}&after={quote(self._cursor, safe='')}"),)
        return (RestRequest(PRODUCTS, _PATH), STATE, perpetuals.REQUEST)

    def ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the listing ahead, a piece at each step."""
        if PRODUCTS in bodies:
            yield from self._reader.ahead(PRODUCTS, bodies[PRODUCTS], now_ns)

    def turn(self) -> None:
        """A whole listing was taken: what it does not say any more is forgotten."""
        self._reader.turn()

    def take(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read what was fetched.

        Raises:
            CatalogError: The listing cannot be read, is refused, or is missing.
        """
        text = require_body(VENUE, bodies, PRODUCTS)
        body = _read_body(PRODUCTS, text)
        if not self._cursor:
            self.perpetuals = bodies.get(perpetuals.REQUEST.name)
            self._take_state(bodies.get(STATE.name))
        self.rows += self._reader.take(PRODUCTS, text, now_ns)
        self._pages += 1
        self._cursor = (body.meta.after or "") if body.meta is not None and body.result else ""
        if self._pages == MAX_PAGES and self._cursor:
            raise CatalogError(VENUE, f"more than {MAX_PAGES} pages")
        if len(self._cursor) > MAX_CURSOR:
            raise CatalogError(VENUE, f"cursor of {len(self._cursor)} characters")

    def _take_state(self, body: bytes | None) -> None:
        """Without it we live."""
        if body is None:
            return
        try:
            word = _decode_state(body).result.under_maintenance
        except UNREADABLE:
            self.refusals.append(STATE.name)
            return
        self.is_maintained = word in {True, "true"}


def _read_body(name: str, text: bytes) -> messages.Body:
    """A body with rows.

    Raises:
        CatalogError: It cannot be read, or is a refusal.
    """
    try:
        body = _decode_body(text)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error
    if not body.success or body.result is None:
        raise refused(body.error, name)
    return body


def _split(name: str, text: bytes) -> list[msgspec.Raw]:
    return _read_body(name, text).result or []


def _read(raw: msgspec.Raw, now_ns: int) -> tuple[Row, int]:
    """An option is what it is until it ends; one refused now may be taken later."""
    try:
        row = _decode_row(raw)
    except UNREADABLE:
        return Row(reason="schema"), NEVER_NS
    if row.contract_type == PERPETUALS:
        perpetual = read_perpetual(row)
        if isinstance(perpetual, str):
            return Row(reason=perpetual), NEVER_NS
        return Row(perpetual=perpetual, name=row.symbol), NEVER_NS
    option = read_row(row, now_ns)
    if isinstance(option, str):
        launch_ns = read_instant(row.launch_time) if option == "coming" else None
        return Row(reason=option, launch_ns=launch_ns), 0
    index = "" if row.spot_index is None else row.spot_index.symbol
    is_disrupted = row.trading_status in DISRUPTED
    return Row(option=option, is_disrupted=is_disrupted, index=index), option.expiry_ns
