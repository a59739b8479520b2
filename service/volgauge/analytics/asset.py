"""Everything that is read off one asset, and the record that carries it.

The parts have their own pace (`desk.py`): the price is looked at with every tick of the timer,
interest and realised volatility once in their seconds, the surface with every record. A record
carries the newest result of each part.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from volgauge.analytics.bars import Bar
from volgauge.analytics.books import WeightedBook, contributing
from volgauge.analytics.flow import FlowMeter
from volgauge.analytics.interest import InterestResult, read_interest
from volgauge.analytics.level import LevelState
from volgauge.analytics.leverage import LeverageState
from volgauge.analytics.markers import markers
from volgauge.analytics.premium import PremiumState
from volgauge.analytics.price import composite_price
from volgauge.analytics.realized import Jump, RealizedState
from volgauge.analytics.regime import RegimeState
from volgauge.analytics.rules import judged_value
from volgauge.analytics.scaling import ScalingState
from volgauge.analytics.skew import SurfaceReading, read_surface
from volgauge.analytics.term import TermWatch
from volgauge.domain.analytics import (
    AnalyticsValue,
    Lack,
    LevelReading,
    LeverageReading,
    PremiumReading,
    RealizedReading,
    RegimeReading,
)
from volgauge.domain.events import Coverage, PerpetualState
from volgauge.domain.index import IndexValue, Source, Status, SurfaceValue, tenor_label
from volgauge.domain.instrument import Asset, BookKey, Venue
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.settings import AnalyticsSettings
from volgauge.surface.label import book_label
from volgauge.surface.surface import Surface

LOOK_NS = 150 * NANOS_PER_MILLI
"""Between two looks at single expiries and at the order flow, at least: every second surface."""

_WEIGHED = frozenset({Status.OK, Status.SINGLE_VENUE, Status.DEGRADED, Status.GUARD})
"""With any other status the weights of the record are of another time than the books."""


class VenueFacts(Protocol):
    """What the analytics read of one venue, as the engine's sink offers it."""

    @property
    def venue(self) -> Venue:
        """Lower-case name."""
        ...

    @property
    def books(self) -> Mapping[BookKey, Surface]:
        """Its option books."""
        ...

    @property
    def index_price(self) -> Mapping[Asset, float]:
        """Spot index by asset."""
        ...

    @property
    def index_price_ns(self) -> Mapping[Asset, int]:
        """Our receipt of each."""
        ...

    @property
    def perpetuals(self) -> Mapping[tuple[Asset, str], PerpetualState]:
        """Newest state of each perpetual, by asset and quote currency."""
        ...

    @property
    def coverage(self) -> Mapping[str, Coverage]:
        """What was accepted of the subscriptions, by connection."""
        ...


class Past(NamedTuple):
    """What history tells of one asset before the first tick."""

    price_days: Sequence[Bar] = ()
    """Of the underlying, UTC days that are over."""
    price_minutes: Sequence[Bar] = ()
    index_days: Sequence[tuple[int, float]] = ()
    """(an instant of the day in ns, close in points) of the headline, days that are over."""
    index_closes: Sequence[tuple[int, float]] = ()
    """(instant of the close in ns, points) of the headline, some days of 5 minutes each."""


class _OfPast(NamedTuple):
    """What price and index of the past tell, as of one instant."""

    realized: RealizedReading
    premium: PremiumReading
    level: LevelReading
    regime: RegimeReading
    missing: dict[str, Lack]


class AssetReader:
    """One asset: the newest records of its index, and the states behind its readings."""

    def __init__(
        self,
        asset: Asset,
        settings: AnalyticsSettings,
        tenors_days: Sequence[float],
        headline_days: float,
        venues: Mapping[Venue, VenueFacts],
        past: Past = Past(),  # noqa: B008 - an immutable nothing
    ) -> None:
        self.asset = asset
        self.headline: IndexValue | None = None
        """Newest record of the headline tenor."""
        self.term: Mapping[str, float | None] | None = None
        """`term` of the newest surface record."""
        self.value: AnalyticsValue | None = None
        """The newest record that was made."""
        self._settings = settings
        self._tenors_days = tenors_days
        self._headline_days = headline_days
        self._venues = venues
        self._records: dict[float, IndexValue] = {}
        self._seq = 0
        self._interest: InterestResult | None = None
        self._leveraged: tuple[LeverageReading, dict[str, Lack]] | None = None
        self._of_past: _OfPast | None = None
        self.start(past)

    @property
    def is_ready(self) -> bool:
        """Interest and realised volatility were read, so that a record can be made."""
        return self._interest is not None and self._of_past is not None

    def start(self, past: Past) -> None:
        """Begin all states anew from what history tells."""
        self._term_watch = TermWatch()
        self._flow = FlowMeter()
        self._looked_ns = 0
        self._surface: SurfaceReading | None = None
        self._realized = RealizedState()
        self._premium = PremiumState()
        self._level = LevelState()
        self._regime = RegimeState(self._settings)
        self._leverage = LeverageState()
        self._scaling = ScalingState(self._settings.scaling)
        self._realized.seed(past.price_days, past.price_minutes)
        self._premium.seed(past.index_days)
        self._level.seed(past.index_days)
        self._scaling.seed(past.index_days)

    def take(self, record: IndexValue) -> None:
        """Note a record of any tenor."""
        self._records[record.tenor_days] = record
        if record.tenor_days == self._headline_days:
            self.headline = record

    def take_surface(self, record: SurfaceValue) -> None:
        """Note a record of the surface."""
        self.term = record.term

    def tick(self, now_ns: int) -> None:
        """Look at the price and the index; a few times a second."""
        price = composite_price(
            [
                (venue.index_price[self.asset], venue.index_price_ns[self.asset])
                for venue in self._venues.values()
                if self.asset in venue.index_price
            ],
            now_ns,
        )
        if price is not None:
            self._realized.price(price, now_ns)
        value = None if self.headline is None else judged_value(self.headline)
        self._level.observe(value, now_ns)
        self._premium.observe(value, now_ns)

    def read_interest(self, now_ns: int) -> None:
        """Renew open interest, volume and perpetuals."""
        self._interest = read_interest(self._books(), self._settings, now_ns)
        states = [
            state
            for venue in self._venues.values()
            for (asset, _), state in venue.perpetuals.items()
            if asset == self.asset
        ]
        self._leverage.observe(states, now_ns)
        self._leveraged = self._leverage.reading(now_ns)

    def read_realized(self, now_ns: int) -> Jump | None:
        """Renew what the past of price and index tells; a jump of the price when there was one."""
        value = None if self.headline is None else judged_value(self.headline)
        realized, missing = self._realized.reading(now_ns)
        premium, premium_missing = self._premium.reading(realized, now_ns)
        level, level_missing = self._level.reading(now_ns)
        regime, regime_missing = self._regime.observe(value, level.percentile, now_ns)
        missing = {**missing, **premium_missing, **level_missing, **regime_missing}
        self._of_past = _OfPast(realized, premium, level, regime, missing)
        return self._realized.latest_jump(now_ns)

    def read(self, headline: IndexValue, source: Source, now_ns: int) -> AnalyticsValue:
        """Read the surface, and make the record.

        Args:
            headline: Newest record of the headline tenor.
            source: Of the record.
            now_ns: The instant.

        Raises:
            RuntimeError: Interest or realised volatility was never read.
        """
        interest, past, leveraged = self._interest, self._of_past, self._leveraged
        if interest is None or past is None or leveraged is None:
            raise RuntimeError("expected interest and realised volatility to be read first")
        leverage, leverage_missing = leveraged
        books = self._books()
        before = self._surface
        if now_ns - self._looked_ns >= LOOK_NS:
            self._looked_ns, before = now_ns, None
            self._flow.observe(books, now_ns)
        flow, flow_missing = self._flow.reading(now_ns)
        value = judged_value(headline)
        scaling, scaling_missing = self._scaling.observe(
            value, past.realized.ewma, flow, leverage, now_ns
        )
        values = {tenor_label(days): self._tenor(days) for days in self._tenors_days}
        surface = self._surface = read_surface(
            books,
            self._tenors_days,
            {label: _coin_less_value(record) for label, record in values.items()},
            interest.by_expiry,
            now_ns,
            before,
        )
        inverted, inverted_since_ns = self._term_watch.observe(
            {
                label: (None, None) if record is None else (record.value, record.u)
                for label, record in values.items()
            },
            now_ns,
        )
        missing = {
            **surface.missing,
            **interest.missing,
            **past.missing,
            **flow_missing,
            **leverage_missing,
            **scaling_missing,
        }
        lack = Lack.HALTED if headline.status is Status.HALTED else Lack.NO_INDEX
        if value is None:
            missing["value"] = lack
        if inverted is None:
            missing["inverted"] = lack
        self._seq += 1
        self.value = AnalyticsValue(
            asset=self.asset,
            seq=self._seq,
            event_ns=headline.event_ns,
            computed_ns=now_ns,
            source=source,
            value=value,
            tenors=surface.tenors,
            expiries=surface.expiries,
            slope=surface.slope,
            forwards=surface.forwards,
            inverted=inverted,
            inverted_since_ns=inverted_since_ns,
            interest=interest.reading,
            realized=past.realized,
            premium=past.premium,
            level=past.level,
            regime=past.regime,
            flow=flow,
            leverage=leverage,
            scaling=scaling,
            markers=markers(now_ns, _expiries_of(books)),
            missing=missing,
        )
        return self.value

    def _tenor(self, days: float) -> IndexValue | None:
        """The newest record of a tenor, if its value is of now."""
        record = self._records.get(days)
        return record if record is not None and judged_value(record) is not None else None

    def _books(self) -> list[WeightedBook]:
        """The option books and their weights in the headline."""
        headline = self.headline
        weights = (
            {label: venue.weight for label, venue in headline.venues.items()}
            if headline is not None and headline.status in _WEIGHED
            else {}
        )
        return [
            WeightedBook(label, surface, weights.get(Venue(label), 0.0))
            for venue in self._venues.values()
            for key, surface in venue.books.items()
            if key.asset == self.asset
            for label in (book_label(venue.venue, surface, venue.books),)
        ]


def _expiries_of(books: Sequence[WeightedBook]) -> set[int]:
    """Instants at which options of the index expire."""
    return {ns for book in contributing(books) for ns in book.surface.expiries}


def _coin_less_value(record: IndexValue | None) -> float | None:
    if record is None or record.coin is None or record.value is None:
        return None
    return record.coin - record.value
