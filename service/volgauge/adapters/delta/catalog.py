"""Reads the bodies of a listing, which may come in several pages, over several fetches."""

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from volgauge.adapters.base import RestRequest
from volgauge.adapters.catalog import require_body
from volgauge.adapters.delta import messages, perpetuals
from volgauge.adapters.delta.endpoints import (
    CALLS,
    LIVE,
    MAX_CURSOR,
    MAX_PAGES,
    PAGE_ROWS,
    PERPETUALS,
    PUTS,
    UPCOMING,
    VENUE,
)
from volgauge.adapters.delta.messages import UNREADABLE
from volgauge.adapters.delta.normalize import refused
from volgauge.errors import CatalogError

PRODUCTS = "products"
STATE = RestRequest("settings", "v2/settings", is_optional=True)
"""Whether the venue is in maintenance; a session that begins later is not told."""
_PATH = (
    f"v2/products?contract_types={CALLS},{PUTS},{PERPETUALS}"
    f"&states={UPCOMING},{LIVE}&page_size={PAGE_ROWS}"
)

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_state = msgspec.json.Decoder(messages.State).decode
_decode_row = msgspec.json.Decoder(messages.ProductRow, strict=False).decode


class Catalog:
    """What the venue says it lists: `products`; beside it `settings` and `perpetuals`.

    Those two are there if they can be had. A page names the cursor of the next one; while one is
    open, only it is asked for.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.rows: list[messages.ProductRow] = []
        self.perpetuals: bytes | None = None
        """The body; None could not be had."""
        self.is_maintained: bool | None = None
        """The venue is in maintenance; None while that is not known."""
        self.refusals: list[str] = []
        """Why rows and bodies were left out."""
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

    def take(self, bodies: Mapping[str, bytes]) -> None:
        """Read what was fetched.

        Raises:
            CatalogError: The listing cannot be read, is refused, or is missing.
        """
        try:
            body = _decode_body(require_body(VENUE, bodies, PRODUCTS))
        except UNREADABLE as error:
            raise CatalogError(VENUE, f"{PRODUCTS}: {error}") from error
        if not body.success or body.result is None:
            raise refused(body.error, PRODUCTS)
        if not self._cursor:
            self.perpetuals = bodies.get(perpetuals.REQUEST.name)
            self._take_state(bodies.get(STATE.name))
        for raw in body.result:
            try:
                self.rows.append(_decode_row(raw))
            except UNREADABLE:
                self.refusals.append("schema")
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
