"""Bybit as one venue: the listings, and eight websockets that share them."""

from collections import Counter
from collections.abc import Generator, Iterator, Mapping

from msgspec import Struct

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.bybit import messages, perpetuals
from volgauge.adapters.bybit.catalog import Catalog
from volgauge.adapters.bybit.endpoints import (
    CONNECTS,
    LAUNCH_DELAY_NS,
    LISTING_DELAY_NS,
    MARKET_DATA,
    ONGOING,
    OPTIONS,
    PRODUCTION,
    REST_URL,
    ROLL_NS,
    ROLL_SPACING_NS,
    VENUE,
    WS_URL,
)
from volgauge.adapters.bybit.listing import Listing, Option
from volgauge.adapters.bybit.normalize import refused_by_status
from volgauge.adapters.bybit.plan import CONNECTIONS, Plan, Planner
from volgauge.adapters.bybit.protocol import BybitProtocol
from volgauge.adapters.bybit.pushes import Hooks
from volgauge.adapters.catalog import check_not_lost
from volgauge.adapters.draft import Drafts
from volgauge.adapters.facts import Column, push_columns
from volgauge.adapters.listing import Comparison, tell_changes
from volgauge.domain.events import EventSink, MarkQuote, VenueState
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.errors import CatalogError, VenueError
from volgauge.settings import VenueSettings


class _Draft(Struct, frozen=True):
    """What a listing, of all its pages, comes to."""

    compared: Comparison
    until_ns: int
    """When the first of its options expires."""
    launches: tuple[int, ...]
    """Of options that are announced."""
    marks: Column
    implied_vols: tuple[float, ...]
    """Of the marks."""
    interest: Column
    volume: Column
    """For `OpenInterest` and `TradedVolume`."""
    refused: Counter[str]


class BybitAdapter:
    """Implements VenueAdapter.

    No topic tells of new options, so the listings are polled: every minute, when an announced
    option is launched, and several times in the minute after an expiry. Maintenances are polled
    with them.
    """

    venue = VENUE
    connects = CONNECTS

    def __init__(self, settings: VenueSettings, sink: EventSink) -> None:
        self.rest_url = settings.rest_url or REST_URL
        self.catalog_due_ns = 0
        self._settings = settings
        self._sink = sink
        self._listing = Listing()
        self._catalog = Catalog(settings.assets)
        self._planner = Planner()
        self._hot_ns = round(settings.hot_days * NANOS_PER_DAY)
        self._planned = (-1, -1)
        """What the plans rest on: version of the listing, how many options are hot."""
        self._plans: dict[str, Plan] = {}
        self._roll_ns = -ROLL_NS
        """When options expired last."""
        self._launch_ns = NEVER_NS
        """When the next announced option is launched."""
        self._in_maintenance = False
        self._drafts = Drafts(self._draft, self._draft_stands)
        hooks = Hooks(self._expire, self._book_stalled, self._status_told)
        self._protocols = tuple(
            BybitProtocol(
                connection,
                settings.ws_url or WS_URL,
                self._listing,
                sink,
                hooks,
                with_depth=settings.depth_levels > 0,
                reconnect_after_seconds=settings.reconnect_after_seconds,
                compression=settings.compression,
            )
            for connection in CONNECTIONS
        )
        self._counts = self._protocols[-1].counts

    def catalog_requests(self) -> tuple[RestRequest, ...]:
        """The bodies that `on_catalog` needs: listings and tickers by coin, and the status.

        Of a listing in several pages only the next one, until all are there.
        """
        return self._catalog.requests(self._listing.assets)

    def catalog_error(self, status: int, body: bytes) -> VenueError:
        """What a refused catalog request means."""
        self._catalog.clear()
        return refused_by_status(status, body)

    def read_ahead(self, bodies: Mapping[str, bytes], now_ns: int) -> Iterator[None]:
        """Read the bodies of `on_catalog` ahead, a piece at each step."""
        yield from self._catalog.ahead(bodies, now_ns)
        yield from self._drafts.ahead(bodies, now_ns)

    def on_catalog(self, bodies: Mapping[str, bytes], now_ns: int) -> None:
        """Read the listings: emit what came and what went, renew every connection's plan.

        While pages are missing nothing is emitted; the next one is due at once.

        Raises:
            CatalogError: A body cannot be read; nothing has changed then but, as far as the status
                was read, whether the venue is in maintenance.
            RateLimited: The venue refused us for speed, with HTTP 200.
            VenueUnavailable: The venue cannot answer now.
        """
        catalog = self._catalog
        try:
            catalog.take(bodies, self._listing.assets, now_ns)
            if not catalog.is_complete:
                self.catalog_due_ns = now_ns
                return
            draft = self._drafts.take(bodies, now_ns)
        except VenueError:
            self._tell_maintenance(now_ns)
            catalog.clear()
            raise
        self._tell_maintenance(now_ns)
        catalog.turn()
        self._counts.update(draft.refused)
        self._counts.update(f"rejected.listing_{reason}" for reason in catalog.refusals)
        self._launch_ns = min((at for at in draft.launches if at > now_ns), default=NEVER_NS)
        self._apply(draft.compared, now_ns)
        if draft.marks.slots:
            self._sink.event(
                MarkQuote(
                    venue=VENUE,
                    received_ns=now_ns,
                    slots=draft.marks.slots,
                    prices=draft.marks.amounts,
                    implied_vols=draft.implied_vols,
                    exchange_ns=catalog.stamp * NANOS_PER_MILLI,
                )
            )
        push_columns(self._sink, VENUE, now_ns, interest=draft.interest, volume=draft.volume)
        self._tell_perpetuals(catalog.perpetuals, now_ns)
        catalog.clear()

    def connections(self) -> tuple[BybitProtocol, ...]:
        """The websockets to hold open: books of the hot expiries, then everybody's tickers."""
        return self._protocols

    def _draft(self, bodies: Mapping[str, bytes], now_ns: int) -> Generator[None, None, "_Draft"]:
        """What the bodies and the pages before them come to; nothing while pages are missing."""
        found = self._catalog.preview(bodies, now_ns)
        if found is None:
            raise CatalogError(VENUE, "pages are missing")
        yield
        rows, told = found
        listed: dict[str, Instrument] = {}
        refused: Counter[str] = Counter()
        launches = []
        for row in rows:
            if not isinstance(row, Instrument):
                reason, launch_ns = row
                refused[f"rejected.listing_{reason}"] += 1
                if launch_ns is not None:
                    launches.append(launch_ns)
            elif row.expiry_ns <= now_ns:
                # Of a page that was fetched before.
                refused["rejected.listing_expired"] += 1
            elif self._settings.assets and row.asset not in self._settings.assets:
                refused["rejected.listing_asset"] += 1
            else:
                listed[row.name] = row
        yield
        held = [option.instrument for option in self._listing.options.values()]
        check_not_lost(VENUE, held, listed.values(), now_ns, lambda option: option.asset)
        yield
        compared = self._listing.compare(listed)
        yield
        slots = compared.of
        by_slot = {slots[row.symbol]: row for row in told if row.symbol in slots}
        yield
        marked = {slot: row.mark for slot, row in by_slot.items() if row.mark is not None}
        marks = Column.of(marked)
        yield
        interest = {
            slot: row.open_interest
            for slot, row in by_slot.items()
            if row.open_interest is not None
        }
        volume = {slot: row.volume for slot, row in by_slot.items() if row.volume is not None}
        if bad := sum(row.has_bad_volume for row in by_slot.values()):
            refused["rejected.volume"] = bad
        yield
        return _Draft(
            compared=compared,
            until_ns=min((option.expiry_ns for option in listed.values()), default=NEVER_NS),
            launches=tuple(launches),
            marks=marks,
            implied_vols=tuple([by_slot[slot].implied_vol for slot in marks.slots]),
            interest=Column.of(interest),
            volume=Column.of(volume),
            refused=refused,
        )

    def _draft_stands(self, draft: "_Draft", bodies: Mapping[str, bytes], now_ns: int) -> bool:
        """Nothing is listed otherwise, and no row means something else."""
        return (
            draft.compared.version == self._listing.version
            and now_ns < draft.until_ns
            and self._catalog.stands(bodies, now_ns)
        )

    def _apply(self, compared: Comparison, now_ns: int) -> None:
        if self._listing.next_expiry_ns <= now_ns:
            self._roll_ns = now_ns
        changes = self._listing.take(compared)
        tell_changes(self._sink, changes, VENUE, now_ns)
        self._schedule(now_ns)
        self._plan(changes.renewed, now_ns)

    def _tell_perpetuals(self, bodies: Mapping[tuple[str, str], bytes | None], now_ns: int) -> None:
        """Those of coins that have options."""
        coins = self._listing.assets
        for (coin, category), body in sorted(bodies.items()):
            if coin not in coins:
                continue
            state = perpetuals.read_perpetual(coin, category, body, now_ns, self._counts)
            if state is not None:
                self._sink.event(state)

    def _plan(self, renewed: frozenset[str], now_ns: int) -> None:
        basis = (self._listing.version, self._listing.count_until(now_ns + self._hot_ns))
        if basis != self._planned:
            self._planned = basis
            self._plans = self._planner.make_plans(
                self._listing, hot_days=self._settings.hot_days, now_ns=now_ns
            )
        for protocol in self._protocols:
            protocol.set_plan(self._plans[protocol.connection], renewed, now_ns)

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
            self._plan(frozenset(), now_ns)

    def _book_stalled(self, option: Option, received_ns: int) -> None:
        for protocol in self._protocols:
            if protocol.renew_book(option, "stalled", received_ns):
                return

    def _status_told(self, rows: list[messages.StatusRow], received_ns: int) -> None:
        """What changed of some maintenances; those of other products say nothing of us."""
        if any(_concerns_us(row) for row in rows):
            self._in_maintenance_now(_is_ongoing(rows), received_ns)

    def _tell_maintenance(self, now_ns: int) -> None:
        if self._catalog.maintenances is not None:
            self._in_maintenance_now(_is_ongoing(self._catalog.maintenances), now_ns)

    def _in_maintenance_now(self, in_maintenance: bool, received_ns: int) -> None:
        if in_maintenance == self._in_maintenance:
            return
        self._in_maintenance = in_maintenance
        self._sink.event(
            VenueState(
                venue=VENUE,
                received_ns=received_ns,
                asset=None,
                locked=False,
                maintenance=in_maintenance,
            )
        )


def _is_ongoing(rows: list[messages.StatusRow]) -> bool:
    """The market data of options are off."""
    return any(row.state == ONGOING and _concerns_us(row) for row in rows)


def _concerns_us(row: messages.StatusRow) -> bool:
    return (
        MARKET_DATA in row.service_types and OPTIONS in row.product and str(row.env) == PRODUCTION
    )
