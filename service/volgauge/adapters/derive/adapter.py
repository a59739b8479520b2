"""Derive as one venue: the listings, and two websockets that share them."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping

from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.catalog import check_not_lost
from volgauge.adapters.derive import perpetuals, plan
from volgauge.adapters.derive.catalog import Catalog, refused
from volgauge.adapters.derive.endpoints import (
    LAUNCH_DELAY_NS,
    LISTING_DELAY_NS,
    REQUEST_BURST,
    REQUEST_REFILL_NS,
    REST_URL,
    ROLL_NS,
    ROLL_SPACING_NS,
    VENUE,
    WS_URL,
)
from volgauge.adapters.derive.listing import Listing
from volgauge.adapters.derive.protocol import DeriveProtocol
from volgauge.adapters.draft import Drafts
from volgauge.adapters.listing import Comparison, tell_changes
from volgauge.adapters.pacing import Pacer
from volgauge.domain.events import EventSink, VenueState
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND
from volgauge.errors import CatalogError, VenueError
from volgauge.settings import VenueSettings


class _Draft(Struct, frozen=True):
    """What a listing comes to."""

    compared: Comparison
    launch_ns: int
    """When the next announced option is launched."""
    end_ns: int
    """When the next option ends."""
    refused: Counter[str]


class DeriveAdapter:
    """Implements VenueAdapter.

    No channel tells of new options, so the listings are polled: every minute, when an announced
    option is launched, and several times in the minute after an expiry. Incidents are polled with
    them.
    """

    venue = VENUE
    connects = None

    def __init__(self, settings: VenueSettings, sink: EventSink) -> None:
        self.rest_url = settings.rest_url or REST_URL
        self.catalog_due_ns = 0
        self._settings = settings
        self._sink = sink
        self._listing = Listing()
        self._catalog = Catalog(settings.assets)
        self._roll_ns = -ROLL_NS
        """When options expired last."""
        self._launch_ns = NEVER_NS
        """When the next announced option is launched."""
        self._end_ns = NEVER_NS
        """The next expiry, also of options that are not traded any more in their last minute."""
        self._in_maintenance = False
        self._hot_ns = round(settings.hot_days * NANOS_PER_DAY)
        self._planned = (-1, -1)
        """What the plans rest on: version of the listing, how many options are hot."""
        self._plans: dict[str, plan.Plan] = {}
        self._drafts = Drafts(self._draft, self._draft_stands)
        pacer = Pacer(REQUEST_BURST, REQUEST_REFILL_NS)
        self._protocols = tuple(
            DeriveProtocol(
                connection,
                settings.ws_url or WS_URL,
                self._listing,
                sink,
                pacer,
                self._expire,
                reconnect_after_seconds=settings.reconnect_after_seconds,
                compression=settings.compression,
            )
            for connection in plan.CONNECTIONS
        )
        self._counts = self._protocols[-1].counts

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """The bodies: `incidents`, `{coin}.options.{page}`, and if possible `perpetuals`."""
        return self._catalog.requests()

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What a refused catalog request means."""
        return refused(status, body)

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `on_catalog` ahead, a piece at each step."""
        yield from self._catalog.ahead(bodies, now_ns)
        yield from self._drafts.ahead(bodies, now_ns)

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listings: emit what came and what went, renew every connection's plan.

        While pages are missing no option is emitted; the whole listing is due again at once.

        Raises:
            CatalogError: A body cannot be read; nothing has changed then but, as far as it was
                read, whether the venue is in maintenance.
            RateLimited: The venue refused us for speed, with HTTP 200.
            VenueUnavailable: The venue cannot answer now.
        """
        catalog = self._catalog
        held = frozenset(self._listing.coins)
        try:
            is_whole = catalog.take(bodies, held, now_ns)
        finally:
            self._tell_maintenance(now_ns)
        if not is_whole:
            self.catalog_due_ns = now_ns
            return
        draft = self._drafts.take(bodies, now_ns)
        self._counts.update(draft.refused)
        self._counts.update(f"rejected.listing_{reason}" for reason in catalog.refusals)
        catalog.turn()
        if self._end_ns <= now_ns:
            self._roll_ns = now_ns
        self._launch_ns, self._end_ns = draft.launch_ns, draft.end_ns
        self._apply(draft.compared, now_ns)
        body, coins = bodies.get(perpetuals.PERPETUALS.name), self._listing.coins
        for state in perpetuals.read_perpetuals(body, coins, now_ns, self._counts):
            self._sink.event(state)

    def connections(self) -> tuple[DeriveProtocol, ...]:
        """The websockets to hold open: hot, wings."""
        return self._protocols

    def _draft(self, bodies: Mapping[str, bytes], now_ns: int) -> Generator[None, None, "_Draft"]:
        """What the bodies come to; nothing while pages are missing."""
        rows = self._catalog.preview(bodies, now_ns)
        if rows is None:
            raise CatalogError(VENUE, "pages are missing")
        yield
        listed: dict[str, Instrument] = {}
        refused: Counter[str] = Counter()
        launches, ends = [NEVER_NS], [NEVER_NS]
        for row in rows:
            if not isinstance(row, Instrument):
                refused[f"rejected.listing_{row.reason}"] += 1
                if row.launch_ns is not None:
                    launches.append(row.launch_ns)
                if row.end_ns is not None:
                    ends.append(row.end_ns)
            elif self._settings.assets and row.asset not in self._settings.assets:
                refused["rejected.listing_asset"] += 1
            else:
                listed[row.name] = row
                ends.append(row.expiry_ns)
        yield
        held = [option.instrument for option in self._listing.options.values()]
        check_not_lost(VENUE, held, listed.values(), now_ns, lambda option: option.asset)
        yield
        compared = self._listing.compare(listed)
        yield
        return _Draft(compared, min(launches), min(ends), refused)

    def _draft_stands(self, draft: "_Draft", bodies: Mapping[str, bytes], now_ns: int) -> bool:
        """Nothing is listed otherwise, and no row means something else."""
        return draft.compared.version == self._listing.version and self._catalog.stands(
            bodies, now_ns
        )

    def _apply(self, compared: Comparison, now_ns: int) -> None:
        changes = self._listing.take(compared)
        tell_changes(self._sink, changes, VENUE, now_ns)
        self._schedule(now_ns)
        self._plan(changes.renewed, now_ns)

    def _plan(self, renewed: frozenset[str], now_ns: int) -> None:
        basis = (self._listing.version, self._listing.count_until(now_ns + self._hot_ns))
        if basis != self._planned:
            self._planned = basis
            self._plans = plan.make_plans(
                self._listing, hot_days=self._settings.hot_days, now_ns=now_ns
            )
        for protocol in self._protocols:
            protocol.set_plan(self._plans[protocol.connection], renewed, now_ns)

    def _schedule(self, now_ns: int) -> None:
        """Fetch again after a minute, or sooner where options come or go."""
        refresh_ns = round(self._settings.catalog_refresh_seconds * NANOS_PER_SECOND)
        due = [
            now_ns + refresh_ns,
            self._end_ns + LISTING_DELAY_NS,
            self._launch_ns + LAUNCH_DELAY_NS,
        ]
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
            self._plan(frozenset(), now_ns)

    def _tell_maintenance(self, now_ns: int) -> None:
        """A change of whether an incident stops us; an unknown state changes nothing."""
        is_severe = self._catalog.is_severe
        if is_severe is None or is_severe == self._in_maintenance:
            return
        self._in_maintenance = is_severe
        self._sink.event(
            VenueState(
                venue=VENUE,
                received_ns=now_ns,
                asset=None,
                locked=False,
                maintenance=is_severe,
            )
        )
