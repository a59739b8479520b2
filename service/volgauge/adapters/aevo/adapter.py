"""Aevo as one venue: the listing, and the websocket that lives by it."""

from collections.abc import Iterator, Mapping
from math import nan

import msgspec

from volgauge.adapters.aevo import messages, perpetuals, plan
from volgauge.adapters.aevo.endpoints import (
    LISTING_DELAY_NS,
    REST_URL,
    ROLL_NS,
    ROLL_SPACING_NS,
    VENUE,
    WAKE_DELAY_NS,
    WS_URL,
)
from volgauge.adapters.aevo.listing import ExpiryKey, Listing
from volgauge.adapters.aevo.normalize import read_basis, read_name, read_row, to_error
from volgauge.adapters.aevo.protocol import AevoProtocol
from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.catalog import check_not_lost, refused_by_status, require_body
from volgauge.adapters.listing import tell_changes
from volgauge.adapters.payload import UNREADABLE
from volgauge.adapters.reader import RowReader
from volgauge.domain.events import EventSink
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import CatalogError, ProtocolViolation, VenueError
from volgauge.settings import VenueSettings

OPTIONS = RestRequest("options", "markets?instrument_type=OPTION")
"""All options in one body: an asset that the venue does not know refuses nothing."""

Row = tuple[str, Instrument | str, float]
"""Name of an option, what it is or why it is not for us, and its forward over the index."""

_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(messages.MarketRow, strict=False).decode
_decode_refusal = msgspec.json.Decoder(messages.Retry, strict=False).decode


class AevoAdapter:
    """Implements VenueAdapter.

    No channel tells of new options, so the listing is polled: every minute, several times in the
    minute after an expiry, and when an option is quoted that it does not have.
    """

    venue = VENUE
    connects = None

    def __init__(self, settings: VenueSettings, sink: EventSink) -> None:
        self.rest_url = settings.rest_url or REST_URL
        self.catalog_due_ns = 0
        self._settings = settings
        self._sink = sink
        self._listing = Listing()
        self._roll_ns = -ROLL_NS
        """When options expired last."""
        self._catalog_ns = -ROLL_SPACING_NS
        """When the listing was read last."""
        # Marks stand in the rows, so none comes again as it was.
        self._rows = RowReader(_split, _read, remembers=False)
        self._refused: frozenset[str] = frozenset()
        """Options that the venue lists and that are not for us."""
        self._protocol = AevoProtocol(
            plan.CHAIN,
            settings.ws_url or WS_URL,
            self._listing,
            sink,
            self._expire,
            self._unlisted,
            reconnect_after_seconds=settings.reconnect_after_seconds,
            compression=settings.compression,
        )
        self._counts = self._protocol.counts

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """The bodies: `options`, and if possible `perpetuals`."""
        return (OPTIONS, perpetuals.PERPETUALS)

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What a refused catalog request means, by its body if that has the venue's words."""
        try:
            refusal = _decode_refusal(body)
        except UNREADABLE:
            return refused_by_status(VENUE, status)
        mapped = to_error(refusal.error, refusal.retry_after)
        if isinstance(mapped, ProtocolViolation):
            return refused_by_status(VENUE, status)
        return mapped

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the listing ahead, piece by piece; nothing changes."""
        body = bodies.get(OPTIONS.name)
        if body is not None:
            yield from self._rows.ahead(OPTIONS.name, body, now_ns)

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listing: emit what came and what went, follow it with the connection's plan.

        Raises:
            CatalogError: The body cannot be read; nothing has changed then.
        """
        body = require_body(VENUE, bodies, OPTIONS.name)
        listed: dict[str, Instrument] = {}
        bases: dict[ExpiryKey, float] = {}
        refusals: list[tuple[str, str]] = []
        for name, instrument, basis in self._rows.take(OPTIONS.name, body, now_ns):
            if isinstance(instrument, str):
                refusals.append((name, instrument))
            elif self._settings.assets and instrument.asset not in self._settings.assets:
                refusals.append((name, "asset"))
            else:
                listed[name] = instrument
                # Every row of an expiry repeats its forward; the first that tells one counts.
                if basis > 0.0:
                    key = (instrument.asset, instrument.quote_currency, instrument.expiry_ns)
                    bases.setdefault(key, basis)
        held = [option.instrument for option in self._listing.options.values()]
        check_not_lost(VENUE, held, listed.values(), now_ns, lambda option: option.asset)
        self._rows.turn()
        for _, reason in refusals:
            self._counts[f"rejected.listing_{reason}"] += 1
        self._refused = frozenset(name for name, _ in refusals)
        self._catalog_ns = now_ns
        self._apply(listed, bases, now_ns)
        told, coins = bodies.get(perpetuals.PERPETUALS.name), self._listing.coins
        for state in perpetuals.read_perpetuals(told, coins, now_ns, self._counts):
            self._sink.event(state)

    def connections(self) -> tuple[AevoProtocol, ...]:
        """The one websocket."""
        return (self._protocol,)

    def _apply(
        self, listed: Mapping[str, Instrument], bases: Mapping[ExpiryKey, float], now_ns: int
    ) -> None:
        if self._listing.next_expiry_ns <= now_ns:
            self._roll_ns = now_ns
        changes = self._listing.update(listed, bases, now_ns)
        tell_changes(self._sink, changes, VENUE, now_ns)
        self._schedule(now_ns)
        self._protocol.set_plan(plan.make_plan(self._listing), now_ns)
        renewed = {i.asset for i in changes.instruments if i.name in changes.renewed}
        self._protocol.renew_books(frozenset(renewed), now_ns)

    def _schedule(self, now_ns: int) -> None:
        """Fetch again after a minute, or sooner where options come or go."""
        refresh_ns = round(self._settings.catalog_refresh_seconds * NANOS_PER_SECOND)
        due = [now_ns + refresh_ns, self._listing.next_expiry_ns + LISTING_DELAY_NS]
        if now_ns - self._roll_ns < ROLL_NS:
            due.append(now_ns + ROLL_SPACING_NS)
        self.catalog_due_ns = min(due)

    def _expire(self, now_ns: int) -> None:
        """What has expired is gone at that instant, whatever the REST interface does."""
        changes = self._listing.expire(now_ns)
        if not changes.expired:
            return
        self._roll_ns = now_ns
        self.catalog_due_ns = min(self.catalog_due_ns, now_ns + LISTING_DELAY_NS)
        tell_changes(self._sink, changes, VENUE, now_ns)
        if self._listing.is_loaded:
            self._protocol.set_plan(plan.make_plan(self._listing), now_ns)

    def _unlisted(self, name: str, now_ns: int) -> None:
        """An option is quoted that the listing does not have: fetch it, unless it is known why."""
        if not self._listing.is_loaded or name in self._refused:
            return
        instrument = read_name(name)
        if instrument is None or instrument.expiry_ns <= now_ns:
            return
        wake_ns = max(now_ns + WAKE_DELAY_NS, self._catalog_ns + ROLL_SPACING_NS)
        self.catalog_due_ns = min(self.catalog_due_ns, wake_ns)


def _split(name: str, body: bytes) -> list[msgspec.Raw]:
    """The rows of the listing.

    Raises:
        CatalogError: The body is none.
    """
    try:
        return _decode_rows(body)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error


def _read(raw: msgspec.Raw, now_ns: int) -> tuple[Row, int]:
    """What a row says, and until when."""
    try:
        row = _decode_row(raw)
    except UNREADABLE:
        return ("", "schema", nan), NEVER_NS
    instrument = read_row(row, now_ns)
    until_ns = 0 if isinstance(instrument, str) else instrument.expiry_ns
    return (row.instrument_name, instrument, read_basis(row)), until_ns
