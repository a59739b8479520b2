"""Reads the bodies of a listing, which may come in several pages, over several fetches."""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.bybit import messages, perpetuals
from volgauge.adapters.bybit.endpoints import (
    ALL_COINS,
    MAX_CURSOR,
    MAX_PAGES,
    PAGE_ROWS,
    VENUE,
)
from volgauge.adapters.bybit.normalize import read_implied_vol, read_row, refused
from volgauge.adapters.catalog import require_body
from volgauge.adapters.facts import is_amount, read_number
from volgauge.adapters.payload import UNREADABLE
from volgauge.adapters.reader import RowReader
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import CatalogError, VenueError

STATUS = "status"
Launch = tuple[str, int | None]
"""Why an option is not for us, and when it is launched if that is to come, ns."""


class Told(Struct, frozen=True, gc=False):
    """What a ticker says of an option; None is not told."""

    symbol: str
    mark: float | None
    implied_vol: float
    """NaN not told."""
    open_interest: float | None
    volume: float | None
    """Coins of 24 hours."""
    has_bad_volume: bool
    """A volume was told that cannot be."""


_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_cursor = msgspec.json.Decoder(messages.Cursor).decode
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
        self._rows = RowReader(_split, _read_instrument, remembers=True)
        self._ticker_rows = RowReader(_split, _read_ticker, remembers=False)
        self.clear()

    def turn(self) -> None:
        """A whole listing was taken: what it does not say any more is forgotten."""
        self._rows.turn()
        self._ticker_rows.turn()

    def clear(self) -> None:
        """Begin anew."""
        self.instruments: list[Instrument | Launch] = []
        self.tickers: list[Told] = []
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
        self._taken: Mapping[str, bytes] | None = None
        """The bodies that were taken last."""

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

    def ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `take` ahead, a piece at each step."""
        for name, body in bodies.items():
            kind = name.partition(".")[2]
            if kind == "options":
                yield from self._rows.ahead(name, body, now_ns)
            elif kind == "tickers":
                yield from self._ticker_rows.ahead(name, body, now_ns)

    def take(self, bodies: Mapping[str, bytes], known_coins: Iterable[str], now_ns: int) -> None:
        """Read what was fetched.

        Raises:
            CatalogError: A listing cannot be read, or a body is missing.
            RateLimited: The venue refused us for speed.
            VenueUnavailable: The venue cannot answer now.
        """
        expected = self.requests(known_coins)
        self._taken = bodies
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
                self._take_options(owner, body, now_ns)
            elif kind == "tickers":
                self._take_tickers(request.name, body, now_ns)
            else:
                self._take_status(body)

    def preview(
        self, bodies: Mapping[str, bytes], now_ns: int
    ) -> tuple[list[Instrument | Launch], list[Told]] | None:
        """Rows and tickers of the listing, once `take` has these bodies, or has had them.

        None: pages are missing then.

        Raises:
            VenueError: A listing cannot be read.
        """
        if bodies is self._taken:
            return (self.instruments, self.tickers) if self.is_complete else None
        instruments, tickers = list(self.instruments), list(self.tickers)
        for name, body in bodies.items():
            kind = name.partition(".")[2]
            if kind == "options":
                rows = self._rows.look(name, body, now_ns)
                if rows and _cursor_of(body):
                    return None
                instruments += rows
            elif kind == "tickers":
                try:
                    told = self._ticker_rows.look(name, body, now_ns)
                except VenueError:
                    continue
                tickers += [row for row in told if row is not None]
        return instruments, tickers

    def stands(self, bodies: Mapping[str, bytes], now_ns: int) -> bool:
        """What was read ahead of the listings in these bodies holds."""
        return all(
            self._rows.stands(name, body, now_ns)
            for name, body in bodies.items()
            if name.endswith(".options")
        )

    def _take_options(self, coin: str, body: bytes, now_ns: int) -> None:
        name = f"{coin}.options"
        rows = self._rows.look(name, body, now_ns)
        self.instruments += rows
        cursor = _cursor_of(body)
        if cursor and rows:
            if len(cursor) > MAX_CURSOR:
                raise CatalogError(VENUE, f"{name}: cursor of {len(cursor)} characters")
            self._cursors[coin] = cursor

    def _take_tickers(self, name: str, body: bytes, now_ns: int) -> None:
        """Marks and open interest, which the websocket brings too: without them we live."""
        try:
            rows = self._ticker_rows.look(name, body, now_ns)
        except VenueError:
            self.refusals.append("tickers")
            return
        self.stamp = max(self.stamp, _decode_body(body).time)
        for row in rows:
            if row is None:
                self.refusals.append("ticker")
            else:
                self.tickers.append(row)

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


def _cursor_of(body: bytes) -> str:
    """Of the next page of a listing that was read; "" for the last."""
    return _decode_cursor(_decode_body(body).result).next_page_cursor or ""


def _split(name: str, body: bytes) -> list[msgspec.Raw]:
    try:
        answer = _decode_body(body)
        if not answer.ret_code:
            return _decode_page(answer.result).list
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error
    raise refused(answer.ret_code, answer.ret_msg)


def _read_instrument(raw: msgspec.Raw, now_ns: int) -> tuple[Instrument | Launch, int]:
    """An option is what it is until it expires; one refused now may be taken later."""
    try:
        row = _decode_instrument(raw)
    except UNREADABLE:
        return ("schema", None), 0
    instrument = read_row(row, now_ns)
    if isinstance(instrument, Instrument):
        return instrument, instrument.expiry_ns
    launch = row.launch_time if instrument == "coming" else None
    return (instrument, None if launch is None else launch * NANOS_PER_MILLI), 0


def _read_ticker(raw: msgspec.Raw, _now_ns: int) -> tuple[Told | None, int]:
    try:
        row = _decode_ticker(raw)
    except UNREADABLE:
        return None, NEVER_NS
    volume = read_number(row.volume_24h)
    told = Told(
        row.symbol,
        row.mark_price or None,
        read_implied_vol(row.mark_iv),
        row.open_interest,
        volume if is_amount(volume) else None,
        has_bad_volume=volume is not None and not is_amount(volume),
    )
    return told, NEVER_NS
