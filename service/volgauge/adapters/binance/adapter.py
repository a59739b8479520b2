"""Binance as one venue: the listings, and websockets of two routes that share them."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from math import isnan

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest, State
from volgauge.adapters.binance import messages, perpetuals
from volgauge.adapters.binance.endpoints import (
    COALESCE_NS,
    CONNECTS,
    HANDOVER_NS,
    HANDOVER_SPREAD_NS,
    LISTING_DELAY_NS,
    MIN_REFRESH_NS,
    REST_URL,
    VENUE,
    WS_URL,
)
from volgauge.adapters.binance.listing import Listing, Option
from volgauge.adapters.binance.normalize import (
    QUOTE,
    is_rate,
    read_implied_vol,
    read_row,
    refused,
    underlying_of,
)
from volgauge.adapters.binance.plan import CONNECTIONS, Plan, Planner
from volgauge.adapters.binance.protocol import BinanceProtocol
from volgauge.adapters.binance.pushes import Hooks, read_mark
from volgauge.adapters.catalog import check_not_lost, require_body
from volgauge.adapters.draft import Drafts
from volgauge.adapters.facts import Column, push_columns
from volgauge.adapters.listing import Comparison, tell_changes
from volgauge.adapters.payload import UNREADABLE
from volgauge.adapters.reader import RowReader
from volgauge.adapters.role import Role
from volgauge.domain.events import EventSink, MarkQuote
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import CatalogError, VenueError
from volgauge.settings import VenueSettings

INFO, MARKS = "exchange_info", "mark"
"""Bodies of the catalog."""
SPARE = "-spare"
"""Ends the name of a connection's spare."""

_decode_info = msgspec.json.Decoder(messages.ExchangeInfo).decode
_decode_time = msgspec.json.Decoder(messages.ServerTime).decode
_decode_instrument = msgspec.json.Decoder(messages.InstrumentRow, strict=False).decode
_decode_mark = msgspec.json.Decoder(messages.MarkRow, strict=False).decode


class _Draft(Struct, frozen=True):
    """What a catalog comes to."""

    compared: Comparison
    told_ns: dict[str, int]
    """Announced creations when it was made."""
    listed_ns: dict[str, int]
    """Of them, those that are listed."""
    marks: dict[str, messages.MarkRow]
    deltas: dict[str, float]
    stamp_ns: int
    """The venue's time."""
    volume: Column
    refused: Counter[str]


class BinanceAdapter:
    """Implements VenueAdapter.

    The catalog is exchangeInfo, with every option, and mark, with the rate of every expiry: premia
    are discounted, so without a rate there is no quote. Beside them, if they can be had, what
    `perpetuals` asks for.
    """

    venue = VENUE
    connects = CONNECTS

    def __init__(self, settings: VenueSettings, sink: EventSink) -> None:
        self.rest_url = settings.rest_url or REST_URL
        self.catalog_due_ns = 0
        self._settings = settings
        self._sink = sink
        self._listing = Listing()
        self._rows = RowReader(_split_info, _read_instrument, remembers=True)
        self._marks = RowReader(perpetuals.split_rows, _read_mark, remembers=False)
        self._volumes = RowReader(perpetuals.split_rows, perpetuals.read_volume, remembers=False)
        self._drafts = Drafts(self._draft, self._draft_stands)
        self._planner = Planner(settings.depth_levels)
        self._hot_ns = round(settings.hot_days * NANOS_PER_DAY)
        self._planned = (-1, -1)
        """What the plans rest on: version of the listing, how many options are hot."""
        self._plans: dict[str, Plan] = {}
        self._catalog_ns = 0
        self._listed_ns: dict[str, int] = {}
        """Creation of options, told once, when they were new."""
        hooks = Hooks(self._symbol_told, self._expire, self._missed, self._is_chain_live)
        self._protocols = tuple(
            BinanceProtocol(
                name + place,
                role,
                settings.ws_url or WS_URL,
                self._listing,
                sink,
                hooks,
                handover_ns=HANDOVER_NS - number * HANDOVER_SPREAD_NS,
                reconnect_after_seconds=settings.reconnect_after_seconds,
                compression=settings.compression,
            )
            for number, name in enumerate(CONNECTIONS)
            for role in (Role[BinanceProtocol](name),)
            for place in ("", SPARE)
        )
        self._counts = self._protocols[-1].counts

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """The bodies: `exchange_info` and `mark`, and those of `perpetuals`.

        Whose perpetuals there are to ask for is known only after a listing, unless we are told.
        """
        symbols = {f"{asset}{QUOTE}" for asset in self._settings.assets}
        return (
            RestRequest(INFO, "eapi/v1/exchangeInfo"),
            RestRequest(MARKS, "eapi/v1/mark"),
            *perpetuals.requests(self.rest_url, symbols | set(self._listing.underlyings)),
        )

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What a refused catalog request means."""
        return refused(status, body)

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `on_catalog` ahead, a piece at each step."""
        readers: dict[str, Callable[[str, bytes, int], Iterator[None]]] = {
            INFO: self._rows.ahead,
            MARKS: self._marks.ahead,
            perpetuals.VOLUMES: self._volumes.ahead,
        }
        for name, body in bodies.items():
            if name in readers:
                yield from readers[name](name, body, now_ns)
        yield from self._drafts.ahead(bodies, now_ns)

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listings: emit what came and what went, renew every connection's plan.

        Raises:
            CatalogError: A body cannot be read; nothing has changed then.
        """
        draft = self._drafts.take(bodies, now_ns)
        for reader in (self._rows, self._marks, self._volumes):
            reader.turn()
        self._counts.update(draft.refused)
        self._listed_ns = dict(draft.listed_ns)
        tell_changes(self._sink, self._listing.take(draft.compared), VENUE, now_ns)
        self._listing.deltas = draft.deltas
        self._tell_marks(draft.marks, draft.stamp_ns, now_ns)
        push_columns(self._sink, VENUE, now_ns, volume=draft.volume)
        listing, counts = self._listing, self._counts
        for state in perpetuals.read_perpetuals(bodies, listing.underlyings, now_ns, counts):
            self._sink.event(state)
        self._schedule(now_ns)
        self._plan(now_ns)

    def connections(self) -> tuple[BinanceProtocol, ...]:
        """The websockets to hold open: market and its spare, then those of the hot options."""
        return self._protocols

    def _draft(self, bodies: Mapping[str, bytes], now_ns: int) -> Generator[None, None, "_Draft"]:
        """What the bodies come to."""
        listed_ns = dict(self._listed_ns)
        known = frozenset(self._listing.options)
        info = require_body(VENUE, bodies, INFO)
        rows = self._rows.look(INFO, info, now_ns)
        yield
        refused: Counter[str] = Counter()
        told = self._marks.look(MARKS, require_body(VENUE, bodies, MARKS), now_ns)
        marks = {row.symbol: row for row in told if row is not None}
        if unread := told.count(None):
            refused["rejected.listing_mark"] = unread
        yield
        listed: dict[str, Instrument] = {}
        for row in rows:
            instrument = self._admit(row, listed_ns)
            if isinstance(instrument, str):
                refused[f"rejected.listing_{instrument}"] += 1
            elif instrument.name not in marks and instrument.name not in known:
                # Its rate is not known; it is listed by the next catalog, or the one after.
                refused["rejected.listing_no_rate"] += 1
            else:
                listed[instrument.name] = instrument
        yield
        held = [option.instrument for option in self._listing.options.values()]
        check_not_lost(VENUE, held, listed.values(), now_ns, underlying_of)
        yield
        compared = self._listing.compare(listed)
        yield
        deltas = {n: delta for n, delta in self._listing.deltas.items() if n in listed}
        deltas |= {name: row.delta for name, row in marks.items() if name in listed}
        yield
        body = bodies.get(perpetuals.VOLUMES)
        volume = perpetuals.read_volumes(body, self._volumes, listed, compared.of, now_ns, refused)
        return _Draft(
            compared=compared,
            listed_ns={name: at_ns for name, at_ns in listed_ns.items() if name in listed},
            told_ns=listed_ns,
            marks=marks,
            deltas=deltas,
            stamp_ns=_server_time(info) * NANOS_PER_MILLI,
            volume=Column.of(volume),
            refused=refused,
        )

    def _draft_stands(self, draft: "_Draft", bodies: Mapping[str, bytes], now_ns: int) -> bool:
        """Nothing is listed or announced otherwise, and no row means something else."""
        return (
            draft.compared.version == self._listing.version
            and draft.told_ns == self._listed_ns
            and self._rows.stands(INFO, bodies[INFO], now_ns)
        )

    def _admit(
        self, instrument: Instrument | str, listed_ns: Mapping[str, int]
    ) -> Instrument | str:
        """With what we know of it beside the listing; or why it is not for us."""
        if isinstance(instrument, str):
            return instrument
        if self._settings.assets and instrument.asset not in self._settings.assets:
            return "asset"
        at_ns = listed_ns.get(instrument.name)
        if at_ns is not None:
            return msgspec.structs.replace(instrument, listed_ns=at_ns)
        return instrument

    def _tell_marks(
        self, marks: Mapping[str, messages.MarkRow], exchange_ns: int, now_ns: int
    ) -> None:
        """Rates of the expiries, and the marks from before the first chain."""
        listing = self._listing
        if any(isnan(expiry.rate) for expiry in listing.expiries.values()):
            for name, row in marks.items():
                option = listing.options.get(name)
                # The chain's own is newer; it comes with every second.
                if option is not None and isnan(option.expiry.rate):
                    option.expiry.take_rate(row.risk_free_interest, now_ns)
        fresh = sorted(
            (option.slot, option, marks[name])
            for name, option in listing.options.items()
            if option.chain_ms < 0 and name in marks
        )
        if fresh:
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=now_ns,
                    slots=tuple(slot for slot, _, _ in fresh),
                    prices=tuple(read_mark(option, row.mark_price) for _, option, row in fresh),
                    implied_vols=tuple(read_implied_vol(row.mark_vol) for _, _, row in fresh),
                    exchange_ns=exchange_ns,
                )
            )

    def _plan(self, now_ns: int) -> None:
        basis = (self._listing.version, self._listing.count_until(now_ns + self._hot_ns))
        if basis != self._planned:
            self._planned = basis
            self._plans = self._planner.make_plans(
                self._listing, hot_days=self._settings.hot_days, now_ns=now_ns
            )
        for protocol in self._protocols:
            protocol.set_plan(self._plans[protocol.role_name], now_ns)

    def _schedule(self, now_ns: int) -> None:
        """Fetch again after a minute, or when the next expiry has gone and its successors came."""
        self._catalog_ns = now_ns
        periodic_ns = now_ns + round(self._settings.catalog_refresh_seconds * NANOS_PER_SECOND)
        self.catalog_due_ns = min(periodic_ns, self._listing.next_expiry_ns + LISTING_DELAY_NS)

    def _symbol_told(self, event: messages.SymbolEvent, received_ns: int) -> None:
        """Gather the burst for a second."""
        if event.listed and event.symbol not in self._listing.options:
            self._listed_ns[event.symbol] = event.listed * NANOS_PER_MILLI
        earliest_ns = max(received_ns + COALESCE_NS, self._catalog_ns + MIN_REFRESH_NS)
        self.catalog_due_ns = min(self.catalog_due_ns, earliest_ns)

    def _expire(self, now_ns: int) -> None:
        """What has expired is gone at that instant, whatever the REST interface does."""
        changes = self._listing.expire(now_ns)
        if changes.expired:
            tell_changes(self._sink, changes, VENUE, now_ns)
            if self._listing.is_loaded:
                self._plan(now_ns)

    def _missed(self, option: Option, received_ns: int) -> None:
        name = option.instrument.name
        home = self._planner.home_of(name)
        if home is None:
            return
        for protocol in self._protocols:
            if protocol.role_name == home and protocol.is_lead:
                protocol.note_missed(self._planner.stream_of(name), received_ns)

    def _is_chain_live(self) -> bool:
        return any(p.is_market and p.is_lead and p.state is State.LIVE for p in self._protocols)


def _split_info(name: str, body: bytes) -> list[msgspec.Raw]:
    try:
        return _decode_info(body).option_symbols
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error


def _server_time(body: bytes) -> int:
    """Milliseconds by the venue, of a body that has been read."""
    return _decode_time(body).server_time


def _read_instrument(row: msgspec.Raw, now_ns: int) -> tuple[Instrument | str, int]:
    """An option is what it is until it expires; one refused now may be taken later."""
    try:
        instrument = read_row(_decode_instrument(row), now_ns)
    except UNREADABLE:
        return "schema", 0
    return (instrument, 0) if isinstance(instrument, str) else (instrument, instrument.expiry_ns)


def _read_mark(row: msgspec.Raw, _now_ns: int) -> tuple[messages.MarkRow | None, int]:
    """A mark that has a rate; None for any other."""
    try:
        mark = _decode_mark(row)
    except UNREADABLE:
        return None, NEVER_NS
    return mark if is_rate(mark.risk_free_interest) else None, NEVER_NS
