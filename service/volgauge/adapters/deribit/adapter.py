"""Deribit as one venue: the listings, and three websockets that share them."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.catalog import check_not_lost, refused_by_status, require_body
from volgauge.adapters.deribit import messages, perpetuals, plan
from volgauge.adapters.deribit.endpoints import (
    CATALOG_CURRENCIES,
    COALESCE_NS,
    LINEAR_CURRENCY,
    LISTING_DELAY_NS,
    MIN_REFRESH_NS,
    REQUEST_BURST,
    REQUEST_SPACING_NS,
    REST_URL,
    VENUE,
    WS_URL,
)
from volgauge.adapters.deribit.listing import Listing
from volgauge.adapters.deribit.normalize import Contract, Future, read_row, to_error
from volgauge.adapters.deribit.protocol import DeribitProtocol, Hooks
from volgauge.adapters.draft import Drafts
from volgauge.adapters.facts import Column, is_amount, push_columns
from volgauge.adapters.listing import Comparison, tell_changes
from volgauge.adapters.pacing import Pacer
from volgauge.adapters.payload import UNREADABLE
from volgauge.adapters.reader import RowReader
from volgauge.domain.events import EventSink
from volgauge.domain.instrument import Asset, Instrument
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.errors import CatalogError, RateLimited, VenueError, VenueUnavailable
from volgauge.settings import VenueSettings

CONTRACTS = ("option", "future")
"""Kinds that are listed, one body each."""

_decode_list = msgspec.json.Decoder(messages.ListBody).decode
_decode_row = msgspec.json.Decoder(messages.InstrumentRow).decode
_decode_summary = msgspec.json.Decoder(messages.SummaryRow).decode

Summary = tuple[str, float | None, float | None, bool]
"""Name of an option, its open interest, its volume, and whether that was told but cannot be."""


class _Draft(Struct, frozen=True):
    """What a catalog comes to."""

    compared: Comparison
    futures: dict[str, Future]
    """Those of expiries that have options."""
    indices: dict[str, tuple[Asset, str]]
    interest: Column
    volume: Column
    refused: Counter[str]


class DeribitAdapter:
    """Implements VenueAdapter.

    The catalog is, for each currency, public/get_instruments of options and of futures, and
    public/get_book_summary_by_currency of both: open interest and volume of the options, and the
    perpetual. One request a minute instead of a ticker channel for each of a thousand options.
    """

    venue = VENUE
    connects = None

    def __init__(self, settings: VenueSettings, sink: EventSink) -> None:
        self.rest_url = settings.rest_url or REST_URL
        self.catalog_due_ns = 0
        self._settings = settings
        self._sink = sink
        self._listing = Listing()
        self._contracts = RowReader(_split, _read_contract, remembers=True)
        self._summaries = RowReader(_split, _read_summary, remembers=False)
        self._catalog_ns = 0
        self._hot_ns = round(settings.hot_days * NANOS_PER_DAY)
        self._planned = (-1, -1)
        """What the plans rest on: version of the listing, how many options are hot."""
        self._plans: dict[str, plan.Plan] = {}
        self._drafts = Drafts(self._draft, self._draft_stands)
        pacer = Pacer(REQUEST_BURST, REQUEST_SPACING_NS)
        hooks = Hooks(self._listing_changed, self._expire)
        self._protocols = tuple(
            DeribitProtocol(
                connection,
                settings.ws_url or WS_URL,
                self._listing,
                sink,
                pacer,
                hooks,
                reconnect_after_seconds=settings.reconnect_after_seconds,
                compression=settings.compression,
            )
            for connection in plan.CONNECTIONS
        )
        self._counts = self._protocols[-1].counts

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """The bodies: `{currency}.option`, `.future`, `.summary`, and if possible `.perpetual`."""
        requests = []
        for currency in self._currencies():
            for kind in ("option", "future"):
                query = f"currency={currency}&kind={kind}&expired=false"
                path = f"public/get_instruments?{query}"
                requests.append(RestRequest(f"{currency}.{kind}", path))
            path = f"public/get_book_summary_by_currency?currency={currency}&kind=option"
            requests.append(RestRequest(f"{currency}.summary", path))
        for currency in self._currencies():
            path = f"public/get_book_summary_by_currency?currency={currency}&kind=future"
            requests.append(RestRequest(f"{currency}.perpetual", path, is_optional=True))
        return tuple(requests)

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What a refused catalog request means."""
        try:
            error = _decode_list(body).error
        except UNREADABLE:
            error = None
        if error is not None:
            mapped = to_error(error)
            if isinstance(mapped, RateLimited | VenueUnavailable):
                return mapped
            return CatalogError(VENUE, f"HTTP {status}: {error.code} {error.message}")
        return refused_by_status(VENUE, status)

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `on_catalog` ahead, a piece at each step."""
        for name, body in bodies.items():
            kind = name.partition(".")[2]
            if kind in CONTRACTS:
                yield from self._contracts.ahead(name, body, now_ns)
            elif kind == "summary":
                yield from self._summaries.ahead(name, body, now_ns)
        yield from self._drafts.ahead(bodies, now_ns)

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listings: emit what came and what went, renew every connection's plan.

        Raises:
            CatalogError: A body cannot be read; nothing has changed then.
        """
        draft = self._drafts.take(bodies, now_ns)
        self._contracts.turn()
        self._summaries.turn()
        self._counts.update(draft.refused)
        changes = self._listing.update(draft.compared, draft.futures, draft.indices)
        tell_changes(self._sink, changes, VENUE, now_ns)
        self._schedule(now_ns)
        self._plan(changes.renewed, now_ns)
        push_columns(self._sink, VENUE, now_ns, interest=draft.interest, volume=draft.volume)
        assets = {asset for asset, _ in self._listing.indices.values()}
        for currency in self._currencies():
            body = bodies.get(f"{currency}.perpetual")
            for state in perpetuals.read_summaries(body, assets, now_ns, self._counts):
                self._sink.event(state)

    def connections(self) -> tuple[DeribitProtocol, ...]:
        """The websockets to hold open: hot, wings, market."""
        return self._protocols

    def _currencies(self) -> list[str]:
        """Of `CATALOG_CURRENCIES`, those that can list an asset that is asked for."""
        assets = self._settings.assets
        return [
            currency
            for currency in CATALOG_CURRENCIES
            if not assets or currency in assets or currency == LINEAR_CURRENCY
        ]

    def _draft(self, bodies: Mapping[str, bytes], now_ns: int) -> Generator[None, None, "_Draft"]:
        """What the bodies come to."""
        options: dict[str, Instrument] = {}
        indices: dict[str, tuple[Asset, str]] = {}
        futures: dict[str, Future] = {}
        refused: Counter[str] = Counter()
        for currency in self._currencies():
            for kind in CONTRACTS:
                name = f"{currency}.{kind}"
                for row in self._contracts.look(name, _body(bodies, name), now_ns):
                    self._sort_in(row, options, indices, futures, refused)
                yield
        held = list(self._listing.instruments.values())
        check_not_lost(VENUE, held, options.values(), now_ns, lambda option: option.asset)
        yield
        expiries = {(o.asset, o.quote_currency, o.expiry_ns) for o in options.values()}
        wanted = {
            name: future
            for name, future in futures.items()
            if (future.asset, future.quote_currency, future.expiry_ns) in expiries
        }
        yield
        compared = self._listing.compare(options)
        yield
        interest: dict[int, float] = {}
        volume: dict[int, float] = {}
        for currency in self._currencies():
            name = f"{currency}.summary"
            rows = self._summaries.look(name, _body(bodies, name), now_ns)
            _sort_amounts(rows, compared.of, interest, volume, refused)
            yield
        return _Draft(compared, wanted, indices, Column.of(interest), Column.of(volume), refused)

    def _draft_stands(self, draft: "_Draft", bodies: Mapping[str, bytes], now_ns: int) -> bool:
        """Nothing is listed otherwise, and no contract means something else."""
        return draft.compared.version == self._listing.slots_version and all(
            self._contracts.stands(name, bodies[name], now_ns)
            for currency in self._currencies()
            for name in (f"{currency}.{kind}" for kind in CONTRACTS)
        )

    def _sort_in(
        self,
        contract: Contract | str,
        options: dict[str, Instrument],
        indices: dict[str, tuple[Asset, str]],
        futures: dict[str, Future],
        refused: Counter[str],
    ) -> None:
        """Take one row in, or the reason why it is not for us."""
        if isinstance(contract, str):
            refused[f"rejected.listing_{contract}"] += 1
            return
        terms = contract.terms
        if self._settings.assets and terms.asset not in self._settings.assets:
            refused["rejected.listing_asset"] += 1
        elif isinstance(terms, Future):
            futures[contract.name] = terms
        else:
            options[contract.name] = terms
            indices[contract.index_name] = (terms.asset, terms.quote_currency)

    def _plan(self, renewed: frozenset[str], now_ns: int) -> None:
        basis = (self._listing.version, self._listing.count_until(now_ns + self._hot_ns))
        if basis != self._planned:
            self._planned = basis
            self._plans = plan.make_plans(
                self._listing,
                hot_days=self._settings.hot_days,
                with_depth=self._settings.depth_levels > 0,
                now_ns=now_ns,
            )
        for protocol in self._protocols:
            protocol.set_plan(self._plans[protocol.connection], renewed, now_ns)

    def _schedule(self, now_ns: int) -> None:
        """Fetch again after a minute, or when the next expiry has gone and its successors came."""
        self._catalog_ns = now_ns
        periodic_ns = now_ns + round(self._settings.catalog_refresh_seconds * NANOS_PER_SECOND)
        self.catalog_due_ns = min(periodic_ns, self._listing.next_expiry_ns + LISTING_DELAY_NS)

    def _listing_changed(self, received_ns: int) -> None:
        """Gather the burst for a second; and never fetch more often than the venue refills."""
        earliest_ns = max(received_ns + COALESCE_NS, self._catalog_ns + MIN_REFRESH_NS)
        self.catalog_due_ns = min(self.catalog_due_ns, earliest_ns)

    def _expire(self, now_ns: int) -> None:
        """What has expired is gone at that instant, whatever the REST interface does."""
        changes = self._listing.expire_all(now_ns)
        if changes.expired:
            tell_changes(self._sink, changes, VENUE, now_ns)
            if self._listing.is_loaded:
                self._plan(frozenset(), now_ns)


def _sort_amounts(
    rows: Iterable[Summary | None],
    slots: Mapping[str, int],
    interest: dict[int, float],
    volume: dict[int, float],
    refused: Counter[str],
) -> None:
    """For `OpenInterest` and `TradedVolume` of the options that are listed."""
    for row in rows:
        if row is None:
            refused["rejected.listing_summary"] += 1
            continue
        name, held, traded, is_senseless = row
        slot = slots.get(name)
        if slot is None:
            continue
        if held is not None:
            interest[slot] = held
        if traded is not None:
            volume[slot] = traded
        elif is_senseless:
            refused["rejected.volume"] += 1


def _body(bodies: Mapping[str, bytes], name: str) -> bytes:
    return require_body(VENUE, bodies, name)


def _split(name: str, body: bytes) -> list[msgspec.Raw]:
    try:
        answer = _decode_list(body)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error
    if answer.result is None:
        raise CatalogError(VENUE, f"{name}: {answer.error}")
    return answer.result


def _read_contract(row: msgspec.Raw, now_ns: int) -> tuple[Contract | str, int]:
    """A contract is what it is until it expires; what is refused now may be taken later."""
    try:
        contract = read_row(_decode_row(row), now_ns)
    except UNREADABLE:
        return "schema", 0
    return (contract, 0) if isinstance(contract, str) else (contract, contract.terms.expiry_ns)


def _read_summary(row: msgspec.Raw, _now_ns: int) -> tuple[Summary | None, int]:
    try:
        told = _decode_summary(row)
    except UNREADABLE:
        return None, NEVER_NS
    interest = told.open_interest if is_amount(told.open_interest) else None
    volume = told.volume if is_amount(told.volume) else None
    is_senseless = volume is None and told.volume is not None
    return (told.instrument_name, interest, volume, is_senseless), NEVER_NS
