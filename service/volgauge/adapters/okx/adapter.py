"""OKX as one venue: the listings, and three websockets, each with a spare, that share them."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping

import msgspec
from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.catalog import check_not_lost, refused_by_status, require_body
from volgauge.adapters.draft import Drafts
from volgauge.adapters.facts import Column, push_columns
from volgauge.adapters.listing import Comparison, tell_changes
from volgauge.adapters.okx import messages, perpetuals, plan
from volgauge.adapters.okx.endpoints import (
    CATALOG_TYPE,
    COALESCE_NS,
    CONNECTS,
    LISTING_DELAY_NS,
    MIN_REFRESH_NS,
    OK,
    REST_URL,
    VENUE,
    WS_URL,
)
from volgauge.adapters.okx.listing import Listing
from volgauge.adapters.okx.normalize import (
    Ticks,
    family_of,
    read_family,
    read_number,
    read_row,
    read_ticks,
    to_error,
)
from volgauge.adapters.okx.notifications import Maintenance
from volgauge.adapters.okx.protocol import Hooks, OkxProtocol
from volgauge.adapters.payload import UNREADABLE
from volgauge.adapters.reader import RowReader
from volgauge.adapters.role import Role
from volgauge.domain.events import EventSink
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.errors import (
    CatalogError,
    ProtocolViolation,
    VenueError,
)
from volgauge.settings import VenueSettings

BANDS = "tick_bands"
"""Catalog body that names the families; the others are named after them."""
SPARE = "-2"
"""Ends the name of a connection's spare."""

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_bands = msgspec.json.Decoder(messages.TickBandRow).decode
_decode_row = msgspec.json.Decoder(messages.InstrumentRow).decode
_decode_interest = msgspec.json.Decoder(messages.InterestRow, strict=False).decode


class _Draft(Struct, frozen=True):
    """What a catalog comes to."""

    compared: Comparison
    interest: Column
    volume: Column
    refused: Counter[str]


class OkxAdapter:
    """Implements VenueAdapter.

    The catalog is public/instrument-tick-bands, which names every option family, and for each
    family public/instruments and public/open-interest; if possible market/tickers for the volumes
    and what `perpetuals` asks for. Which families there are is known only after the first body, so
    the first catalog is that body alone and the second follows at once.
    """

    venue = VENUE
    connects = CONNECTS

    def __init__(self, settings: VenueSettings, sink: EventSink) -> None:
        self.rest_url = settings.rest_url or REST_URL
        self.catalog_due_ns = 0
        self._settings = settings
        self._sink = sink
        self._listing = Listing()
        self._catalog_ns = 0
        self._hot_ns = round(settings.hot_days * NANOS_PER_DAY)
        self._planned = (-1, -1)
        """What the plans rest on: version of the listing, how many options are hot."""
        self._plans: dict[str, plan.Plan] = {}
        self._families: tuple[str, ...] = ()
        self._readers: dict[str, tuple[Ticks | None, RowReader[Instrument | str]]] = {}
        """By family, for as long as it has these price steps."""
        self._interests = RowReader(_split, _read_interest, remembers=False)
        self._volumes = RowReader(perpetuals.split_volumes, perpetuals.read_volume, remembers=False)
        self._drafts = Drafts(self._draft, self._draft_stands)
        hooks = Hooks(self._listing_changed, self._expire)
        ongoing: set[Maintenance] = set()
        roles = [Role[OkxProtocol](name) for name in plan.CONNECTIONS]
        self._protocols = tuple(
            OkxProtocol(
                role.name + place,
                role,
                settings.ws_url or WS_URL,
                self._listing,
                sink,
                hooks,
                ongoing=ongoing,
                reconnect_after_seconds=settings.reconnect_after_seconds,
                compression=settings.compression,
            )
            for place in ("", SPARE)
            for role in roles
        )
        self._counts = self._protocols[-1].counts

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """The bodies: `tick_bands`, `{family}.option`, `.interest`, and those of `perpetuals`."""
        path = f"public/instrument-tick-bands?instType={CATALOG_TYPE}"
        requests = [RestRequest(BANDS, path)]
        for family in self._families:
            query = f"instType={CATALOG_TYPE}&instFamily={family}"
            requests.append(RestRequest(f"{family}.option", f"public/instruments?{query}"))
            requests.append(RestRequest(f"{family}.interest", f"public/open-interest?{query}"))
        known = [read_family(family) for family in self._families]
        assets = {pair[0] for pair in known if pair is not None}
        return (*requests, *perpetuals.requests(self._families, assets))

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What a refused catalog request means."""
        try:
            answer = _decode_body(body)
        except UNREADABLE:
            return refused_by_status(VENUE, status)
        return _refusal(answer, f"HTTP {status}")

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `on_catalog` ahead, a piece at each step."""
        try:
            ticks = self._read_bands(bodies)
        except VenueError:
            return
        for name, body in bodies.items():
            family, _, kind = name.partition(".")
            if kind == "option" and family in ticks:
                yield from self._reader(family, ticks[family]).ahead(name, body, now_ns)
            elif kind == "interest":
                yield from self._interests.ahead(name, body, now_ns)
            elif kind == "tickers":
                yield from self._volumes.ahead(name, body, now_ns)
        yield from self._drafts.ahead(bodies, now_ns)

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listings: emit what came and what went, renew every connection's plan.

        Raises:
            CatalogError: A body cannot be read; nothing has changed then.
            RateLimited: A body is a refusal for speed.
            VenueUnavailable: A body says that the venue cannot serve.
        """
        ticks = self._read_bands(bodies)
        families = _families_of(ticks, bodies)
        if len(families) < len(ticks):
            # A family that we have not asked for: the first catalog, or a new one.
            self._families = tuple(sorted(ticks))
            self.catalog_due_ns = now_ns
            return
        draft = self._drafts.take(bodies, now_ns)
        self._families = families
        self._readers = {f: known for f, known in self._readers.items() if f in families}
        for _, reader in self._readers.values():
            reader.turn()
        self._interests.turn()
        self._volumes.turn()
        self._counts.update(draft.refused)
        changes = self._listing.take(draft.compared)
        tell_changes(self._sink, changes, VENUE, now_ns)
        push_columns(self._sink, VENUE, now_ns, interest=draft.interest)
        self._schedule(now_ns)
        self._plan(changes.renewed, now_ns)
        push_columns(self._sink, VENUE, now_ns, volume=draft.volume)
        assets = {asset for asset, _ in self._listing.families.values()}
        for state in perpetuals.read_perpetuals(bodies, assets, now_ns, self._counts):
            self._sink.event(state)

    def connections(self) -> tuple[OkxProtocol, ...]:
        """The websockets to hold open: hot, wings, market; then their spares."""
        return self._protocols

    def _draft(self, bodies: Mapping[str, bytes], now_ns: int) -> Generator[None, None, "_Draft"]:
        """What the bodies come to."""
        ticks = self._read_bands(bodies)
        families = _families_of(ticks, bodies)
        options: dict[str, Instrument] = {}
        interests: dict[str, float] = {}
        refused: Counter[str] = Counter()
        for family in families:
            if self._is_refused(bodies, family, families):
                refused["rejected.listing_family"] += 1
                continue
            name = f"{family}.option"
            reader = self._reader(family, ticks[family])
            for instrument in reader.look(name, require_body(VENUE, bodies, name), now_ns):
                self._sort_in(instrument, options, refused)
            yield
            name = f"{family}.interest"
            body = require_body(VENUE, bodies, name)
            for interest in self._interests.look(name, body, now_ns):
                if interest is None:
                    refused["rejected.listing_interest"] += 1
                else:
                    interests[interest[0]] = interest[1]
            yield
        held = list(self._listing.instruments.values())
        check_not_lost(VENUE, held, options.values(), now_ns, family_of)
        yield
        compared = self._listing.compare(options)
        yield
        sizes = {name: (compared.of[name], o.contract_size) for name, o in options.items()}
        yield
        amounts: dict[int, float] = {}
        for name, amount in interests.items():
            if name in sizes:
                slot, size = sizes[name]
                amounts[slot] = amount * size
        interest_column = Column.of(amounts)
        yield
        listed = {(i.asset, i.quote_currency): i for i in options.values()}
        of_listed = [family_of(instrument) for instrument in listed.values()]
        yield
        volumes = yield from perpetuals.read_volumes(
            bodies, self._volumes, of_listed, sizes, now_ns, refused
        )
        return _Draft(compared, interest_column, Column.of(volumes), refused)

    def _draft_stands(self, draft: "_Draft", bodies: Mapping[str, bytes], now_ns: int) -> bool:
        """Nothing is listed otherwise, and no row means something else.

        Of what is told beside the options no row depends on the time.
        """
        if draft.compared.version != self._listing.slots_version:
            return False
        ticks = self._read_bands(bodies)
        families = tuple(sorted(ticks))
        return all(
            self._reader(family, ticks[family]).stands(name, bodies[name], now_ns)
            or self._is_refused(bodies, family, families)
            for family in families
            for name in (f"{family}.option",)
        )

    def _read_bands(self, bodies: Mapping[str, bytes]) -> dict[str, Ticks | None]:
        """The families that can list an asset that is asked for, with their price steps."""
        assets = self._settings.assets
        found: dict[str, Ticks | None] = {}
        rows = _rows(bodies, BANDS)
        for row in rows:
            try:
                bands = _decode_bands(row)
            except UNREADABLE as error:
                raise CatalogError(VENUE, f"{BANDS}: {error}") from error
            known = read_family(bands.inst_family)
            if known is not None and (not assets or known[0] in assets):
                found[bands.inst_family] = read_ticks(bands)
        if not rows:
            raise CatalogError(VENUE, "expected option families, found none")
        return found

    def _is_refused(
        self, bodies: Mapping[str, bytes], family: str, families: tuple[str, ...]
    ) -> bool:
        """The venue names a family and then knows no instruments of it.

        One that we hold, or the only one, must be answered; so must be anything that the venue
        only cannot answer now.
        """
        if len(families) == 1 or family in self._listing.families:
            return False
        answer = _read_body(bodies, f"{family}.option")
        return answer.code != OK and isinstance(_refusal(answer, family), CatalogError)

    def _reader(self, family: str, ticks: Ticks | None) -> RowReader[Instrument | str]:
        """What a row means depends on the price steps of its family too."""
        known = self._readers.get(family)
        if known is None or known[0] != ticks:
            known = self._readers[family] = (ticks, _instrument_reader(ticks))
        return known[1]

    def _sort_in(
        self, instrument: Instrument | str, options: dict[str, Instrument], refused: Counter[str]
    ) -> None:
        """Take one option in, or say why not."""
        if isinstance(instrument, str):
            refused[f"rejected.listing_{instrument}"] += 1
        elif self._settings.assets and instrument.asset not in self._settings.assets:
            refused["rejected.listing_asset"] += 1
        else:
            options[instrument.name] = instrument

    def _plan(self, renewed: frozenset[str], now_ns: int) -> None:
        self._listing.sort_by_delta()
        basis = (self._listing.version, self._listing.count_until(now_ns + self._hot_ns))
        if basis != self._planned:
            self._planned = basis
            self._plans = plan.make_plans(
                self._listing,
                hot_days=self._settings.hot_days,
                depth_levels=self._settings.depth_levels,
                now_ns=now_ns,
            )
        for protocol in self._protocols:
            protocol.set_plan(self._plans[protocol.role_name], renewed, now_ns)

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
        changes = self._listing.expire(now_ns)
        if changes.expired:
            tell_changes(self._sink, changes, VENUE, now_ns)
            if self._listing.is_loaded:
                self._plan(frozenset(), now_ns)


def _families_of(ticks: Mapping[str, Ticks | None], bodies: Mapping[str, bytes]) -> tuple[str, ...]:
    """Those that we have the options of."""
    return tuple(family for family in sorted(ticks) if f"{family}.option" in bodies)


def _read_body(bodies: Mapping[str, bytes], name: str) -> messages.Body:
    return _decode(name, require_body(VENUE, bodies, name))


def _decode(name: str, body: bytes) -> messages.Body:
    try:
        return _decode_body(body)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error


def _rows(bodies: Mapping[str, bytes], name: str) -> list[msgspec.Raw]:
    return _split(name, require_body(VENUE, bodies, name))


def _split(name: str, body: bytes) -> list[msgspec.Raw]:
    answer = _decode(name, body)
    if answer.code != OK:
        raise _refusal(answer, name)
    return answer.data


def _refusal(answer: messages.Body, where: str) -> VenueError:
    """The venue refuses with HTTP 200 as well as with others; the code in the body says why."""
    mapped = to_error(answer.code, answer.msg)
    if isinstance(mapped, ProtocolViolation):
        return CatalogError(VENUE, f"{where}: {answer.code} {answer.msg}"[:300])
    return mapped


def _instrument_reader(ticks: Ticks | None) -> RowReader[Instrument | str]:
    def read(row: msgspec.Raw, now_ns: int) -> tuple[Instrument | str, int]:
        """An option is what it is until it expires; one refused now may be taken later."""
        try:
            instrument = read_row(_decode_row(row), ticks, now_ns)
        except UNREADABLE:
            return "schema", 0
        if isinstance(instrument, str):
            return instrument, 0
        return instrument, instrument.expiry_ns

    return RowReader(_split, read, remembers=True)


def _read_interest(row: msgspec.Raw, _now_ns: int) -> tuple[tuple[str, float] | None, int]:
    """Contracts outstanding of one option; None where that cannot be read."""
    try:
        interest = _decode_interest(row)
    except UNREADABLE:
        return None, NEVER_NS
    contracts = read_number(interest.oi)
    return (interest.inst_id, contracts) if contracts >= 0.0 else None, NEVER_NS
