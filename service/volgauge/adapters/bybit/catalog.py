"""Reads the bodies of a listing, which may come in several pages, over several fetches."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote

import msgspec

from volgauge.adapters.base import RestRequest
from volgauge.adapters.bybit import messages, perpetuals
from volgauge.adapters.bybit.endpoints import (
    ALL_COINS,
    MAX_CURSOR,
    MAX_PAGES,
    PAGE_ROWS,
    VENUE,
)
from volgauge.adapters.bybit.messages import UNREADABLE
from volgauge.adapters.bybit.normalize import refused
from volgauge.adapters.catalog import require_body
from volgauge.errors import CatalogError

STATUS = "status"

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_page = msgspec.json.Decoder(messages.Page).decode
_decode_instrument = msgspec.json.Decoder(messages.InstrumentRow, strict=False).decode
_decode_ticker = msgspec.json.Decoder(messages.TickerRow, strict=False).decode
_decode_maintenance = msgspec.json.Decoder(messages.StatusRow).decode


class Catalog:
    """What the venue says it lists: `{coin}.options`, `{coin}.tickers` and `status`.

    Beside it, if they can be had, `{coin}.linear` and `{coin}.inverse`: perpetuals.

    A page names the cursor of the next one; while one is open, only it is asked for.
    """

    def __init__(self, coins: Iterable[str]) -> None:
        self._coins = tuple(coins) or (ALL_COINS,)
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.instruments: list[messages.InstrumentRow] = []
        self.tickers: list[messages.TickerRow] = []
        self.stamp = 0
        """Milliseconds by the venue, of the newest body of tickers."""
        self.maintenances: list[messages.StatusRow] | None = None
        """None while the status has not been read."""
        self.perpetuals: dict[tuple[str, str], bytes | None] = {}
        """Bodies by coin and category; None could not be had."""
        self.refusals: list[str] = []
        """Why rows and bodies were left out."""
        self._cursors: dict[str, str] = {}
        self._pages = 0

    @property
    def is_complete(self) -> bool:
        """No page is open."""
        return not self._cursors

    def requests(self, known_coins: Iterable[str]) -> tuple[RestRequest, ...]:
        """What to fetch next.

        Args:
            known_coins: Whose tickers to ask for where all coins are taken: they have no list of
                all, the first listing names them.
        """
        if self._cursors:
            return tuple(_options(coin, cursor) for coin, cursor in self._cursors.items())
        tickers = sorted(known_coins) if self._coins == (ALL_COINS,) else self._coins
        return (
            # First: in a maintenance the others are refused.
            RestRequest(STATUS, "v5/system/status"),
            *(_options(coin, "") for coin in self._coins),
            *(
                RestRequest(f"{coin}.tickers", f"v5/market/tickers?category=option&baseCoin={coin}")
                for coin in tickers
            ),
            *perpetuals.requests(tickers),
        )

    def take(self, bodies: Mapping[str, bytes], known_coins: Iterable[str]) -> None:
        """Read what was fetched.

        Raises:
            CatalogError: A listing cannot be read, or a body is missing.
            RateLimited: The venue refused us for speed.
            VenueUnavailable: The venue cannot answer now.
        """
        expected = self.requests(known_coins)
        self._pages += 1
        if self._pages > MAX_PAGES:
            raise CatalogError(VENUE, f"more than {MAX_PAGES} pages")
        self._cursors = {}
        for request in expected:
            owner, _, kind = request.name.partition(".")
            if request.is_optional:
                self.perpetuals[owner, kind] = bodies.get(request.name)
                continue
            body = require_body(VENUE, bodies, request.name)
            if kind == "options":
                self._take_options(owner, body)
            elif kind == "tickers":
                self._take_tickers(body)
            else:
                self._take_status(body)

    def _take_options(self, coin: str, body: bytes) -> None:
        try:
            answer = _decode_body(body)
        except UNREADABLE as error:
            raise CatalogError(VENUE, f"{coin}.options: {error}") from error
        if answer.ret_code:
            raise refused(answer.ret_code, answer.ret_msg)
        try:
            page = _decode_page(answer.result)
        except UNREADABLE as error:
            raise CatalogError(VENUE, f"{coin}.options: {error}") from error
        for row in page.list:
            try:
                self.instruments.append(_decode_instrument(row))
            except UNREADABLE:
                self.refusals.append("schema")
        cursor = page.next_page_cursor
        if cursor and page.list:
            if len(cursor) > MAX_CURSOR:
                raise CatalogError(VENUE, f"{coin}.options: cursor of {len(cursor)} characters")
            self._cursors[coin] = cursor

    def _take_tickers(self, body: bytes) -> None:
        """Marks and open interest, which the websocket brings too: without them we live."""
        try:
            answer = _decode_body(body)
            rows = _decode_page(answer.result).list if not answer.ret_code else []
        except UNREADABLE:
            self.refusals.append("tickers")
            return
        if answer.ret_code:
            self.refusals.append("tickers")
        self.stamp = max(self.stamp, answer.time)
        for row in rows:
            try:
                self.tickers.append(_decode_ticker(row))
            except UNREADABLE:
                self.refusals.append("ticker")

    def _take_status(self, body: bytes) -> None:
        try:
            answer = _decode_body(body)
            rows = _decode_page(answer.result).list if not answer.ret_code else []
        except UNREADABLE:
            self.refusals.append(STATUS)
            return
        if answer.ret_code:
            self.refusals.append(STATUS)
            return
        found = []
        for row in rows:
            try:
                found.append(_decode_maintenance(row))
            except UNREADABLE:
                self.refusals.append(STATUS)
                return
        self.maintenances = found


def _options(coin: str, cursor: str) -> RestRequest:
    path = f"v5/market/instruments-info?category=option&baseCoin={coin}&limit={PAGE_ROWS}"
    if cursor:
        # The venue's cursors come percent-encoded already.
        path += f"&cursor={quote(cursor, safe='%')}"
    return RestRequest(f"{coin}.options", path)
