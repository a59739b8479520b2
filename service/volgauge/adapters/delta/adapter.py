"""Delta Exchange as one venue: the listings, and three websockets that share them."""

from collections.abc import Iterator, Mapping

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.catalog import check_not_lost
from volgauge.adapters.delta import perpetuals, plan
from volgauge.adapters.delta.catalog import Catalog
from volgauge.adapters.delta.endpoints import (
    CONNECTS,
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
from volgauge.adapters.delta.listing import Listing
from volgauge.adapters.delta.normalize import (
    Perpetual,
    refused_status,
)
from volgauge.adapters.delta.protocol import DeltaProtocol
from volgauge.adapters.delta.pushes import Hooks
from volgauge.adapters.listing import tell_changes
from volgauge.adapters.pacing import Pacer
from volgauge.domain.events import EventSink, VenueState
from volgauge.domain.instrument import Asset, Instrument
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.errors import VenueError
from volgauge.settings import VenueSettings


class Listed:
    """What a whole listing said."""

    def __init__(self) -> None:
        self.options: dict[str, Instrument] = {}
        self.known: list[Instrument] = []
        """Those, and what is listed but not traded at the moment."""
        self.indices: dict[Asset, str] = {}
        self.perpetuals: dict[str, Perpetual] = {}
        self.refusals: list[str] = []
        self.launch_ns = NEVER_NS
        """When the next announced option is launched."""


class DeltaAdapter:
    """Implements VenueAdapter.

    No channel tells of new options, so the listings are polled: every minute, when an announced
    option is launched, several times in the minute after an expiry, and when a market is disrupted
    or resumes.
    """

    venue = VENUE
    connects = CONNECTS

    def __init__(self, settings: VenueSettings, sink: EventSink) -> None:
        self.rest_url = settings.rest_url or REST_URL
        self.catalog_due_ns = 0
        self._settings = settings
        self._sink = sink
        self._listing = Listing()
        self._catalog = Catalog()
        self._roll_ns = -ROLL_NS
        """When options expired last."""
        self._launch_ns = NEVER_NS
        self._in_maintenance = False
        pacer = Pacer(REQUEST_BURST, REQUEST_REFILL_NS)
        hooks = Hooks(expire=self._expire, wake=self._wake, maintain=self._maintain)
        self._protocols = tuple(
            DeltaProtocol(
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
        """The bodies: `products`, if possible `settings` and `perpetuals`; or the next page."""
        return self._catalog.requests()

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What a refused catalog request means; the body has no more than a word for it."""
        del body
        self._catalog.clear()
        return refused_status(status)

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `on_catalog` ahead, a piece at each step."""
        return self._catalog.ahead(bodies, now_ns)

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listings: emit what came and what went, renew every connection's plan.

        While a page is open nothing is emitted; it is due at once.

        Raises:
            CatalogError: A body cannot be read; nothing has changed then.
        """
        catalog = self._catalog
        try:
            catalog.take(bodies, now_ns)
            if not catalog.is_complete:
                self.catalog_due_ns = now_ns
                return
            listed = self._read(now_ns)
            held = [option.instrument for option in self._listing.options.values()]
            check_not_lost(VENUE, held, listed.known, now_ns, lambda option: option.asset)
        except VenueError:
            catalog.clear()
            raise
        body, is_maintained = catalog.perpetuals, catalog.is_maintained
        catalog.turn()
        catalog.clear()
        if is_maintained is not None:
            self._maintain(is_maintained, now_ns)
        for reason in listed.refusals:
            self._counts[f"rejected.listing_{reason}"] += 1
        self._apply(listed, now_ns)
        coins = self._listing.coins
        mine = {name: p for name, p in listed.perpetuals.items() if p.asset in coins}
        for state in perpetuals.read_perpetuals(body, mine, now_ns, self._counts):
            self._sink.event(state)

    def connections(self) -> tuple[DeltaProtocol, ...]:
        """The websockets to hold open: hot, wings, market."""
        return self._protocols

    def _read(self, now_ns: int) -> Listed:
        """The options that are for us, and why the others are not."""
        listed = Listed()
        listed.refusals += self._catalog.refusals
        for row in self._catalog.rows:
            option = row.option
            if row.perpetual is not None:
                listed.perpetuals[row.name] = row.perpetual
            elif option is None:
                listed.refusals.append(row.reason)
                if row.launch_ns is not None and row.launch_ns > now_ns:
                    listed.launch_ns = min(listed.launch_ns, row.launch_ns)
            elif self._settings.assets and option.asset not in self._settings.assets:
                listed.refusals.append("asset")
            else:
                listed.known.append(option)
                if row.is_disrupted:
                    listed.refusals.append("disrupted")
                    continue
                listed.options[option.name] = option
                if row.index:
                    listed.indices[option.asset] = row.index
        return listed

    def _apply(self, listed: Listed, now_ns: int) -> None:
        if self._listing.next_expiry_ns <= now_ns:
            self._roll_ns = now_ns
        self._launch_ns = listed.launch_ns
        changes = self._listing.update(listed.options, listed.indices)
        tell_changes(self._sink, changes, VENUE, now_ns)
        self._schedule(now_ns)
        self._plan(now_ns)

    def _plan(self, now_ns: int) -> None:
        plans = plan.make_plans(self._listing, hot_days=self._settings.hot_days, now_ns=now_ns)
        for protocol in self._protocols:
            protocol.set_plan(plans[protocol.connection], now_ns)

    def _schedule(self, now_ns: int) -> None:
        """Fetch again after a minute, or sooner where options come or go."""
        refresh_ns = round(self._settings.catalog_refresh_seconds * NANOS_PER_SECOND)
        due = [
            now_ns + refresh_ns,
            self._listing.next_expiry_ns + LISTING_DELAY_NS,
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
            self._plan(now_ns)

    def _wake(self, now_ns: int) -> None:
        """A market is disrupted or resumes."""
        self.catalog_due_ns = min(self.catalog_due_ns, now_ns)

    def _maintain(self, is_maintained: bool, now_ns: int) -> None:
        """A change of whether the venue is in maintenance."""
        if is_maintained == self._in_maintenance:
            return
        self._in_maintenance = is_maintained
        self._sink.event(
            VenueState(
                venue=VENUE,
                received_ns=now_ns,
                asset=None,
                locked=False,
                maintenance=is_maintained,
            )
        )
