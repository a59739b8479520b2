"""Flat-volatility markets of a few assets, and the desk over them, driven as by the service."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import norm

from volgauge.analytics.asset import Past
from volgauge.analytics.desk import JOB_NS, Desk, Part, Reading
from volgauge.domain.analytics import AlertEvent, AnalyticsValue, CouplingValue
from volgauge.domain.events import (
    Coverage,
    FeedDown,
    FeedUp,
    IndexPrice,
    InstrumentsListed,
    OpenInterest,
    PerpetualState,
    TradedVolume,
)
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules
from volgauge.settings import AlertSettings, AnalyticsSettings, IndexSettings

NOW_NS = 1_797_580_800 * NANOS_PER_SECOND
TICK_NS = 100 * NANOS_PER_MILLI
FORWARD = 100_000.0
DAYS = (5, 12, 20, 44, 72, 110, 200)
STRIKES = tuple(range(40_000, 230_000, 5_000))
VENUE = Venue("somewhere")
CONNECTION = "all"


class DeskLab:
    """One venue, some assets, each with one volatility for all strikes and expiries."""

    def __init__(
        self,
        vols: Mapping[str, float],
        *,
        analytics: AnalyticsSettings | None = None,
        alerts: AlertSettings | None = None,
    ) -> None:
        index = IndexSettings(tenors_days=(7.0, 14.0, 30.0, 60.0, 90.0))
        self.vols = {Asset(name): vol for name, vol in vols.items()}
        self.now_ns = NOW_NS
        self.engine = Engine(
            index,
            source=Source.SIMULATED,
            version="test",
            venues={VENUE: VenueRules(stale_after_ns=3 * NANOS_PER_SECOND)},
        )
        self.sink = self.engine.sink(VENUE)
        self.sink.expected = frozenset({CONNECTION})
        self.desk = Desk(
            analytics or AnalyticsSettings(),
            alerts or AlertSettings(),
            index,
            Source.SIMULATED,
            {VENUE: self.sink},
        )
        self.jobs: list[tuple[int, Part]] = []
        """What was done so far, and when."""
        self.silent: set[Asset] = set()
        """Assets that are not quoted any more."""
        self.index: dict[Asset, IndexValue] = {}
        """Newest headline of each."""
        self._slots: dict[Asset, range] = {}
        self.sink.event(FeedUp(venue=VENUE, received_ns=NOW_NS, connection=CONNECTION))
        for asset in self.vols:
            options = listed(asset)
            first = sum(len(slots) for slots in self._slots.values())
            self._slots[asset] = range(first, first + len(options))
            self.sink.event(
                InstrumentsListed(
                    venue=VENUE,
                    received_ns=NOW_NS,
                    slots=tuple(self._slots[asset]),
                    instruments=options,
                )
            )
            self.quote(asset)

    def seed(self, pasts: Mapping[str, Past]) -> None:
        """Tell the desk of the past."""
        self.desk.seed({Asset(name): past for name, past in pasts.items()})

    def quote(self, asset: Asset, count: int | None = None) -> None:
        """Quote the first options of an asset, or all, at their Black price give or take 0.2 %."""
        prices = black(self.vols[asset])
        for slot, price in list(zip(self._slots[asset], prices, strict=True))[:count]:
            self.sink.quote(slot, 0.998 * price, 1.002 * price, 2.0, 2.0, self.now_ns, self.now_ns)

    def tell(
        self,
        asset: str,
        *,
        price: float | None = None,
        interest: float | None = None,
        volume: float | None = None,
        funding: float | None = None,
    ) -> None:
        """The rarer facts, the same for every option."""
        name, slots = Asset(asset), tuple(self._slots[Asset(asset)])
        now_ns = self.now_ns
        if price is not None:
            self.sink.event(
                IndexPrice(
                    venue=VENUE,
                    received_ns=now_ns,
                    asset=name,
                    quote_currency="USD",
                    price=price,
                    exchange_ns=now_ns,
                )
            )
        if interest is not None:
            amounts = (interest,) * len(slots)
            self.sink.event(
                OpenInterest(venue=VENUE, received_ns=now_ns, slots=slots, amounts=amounts)
            )
        if volume is not None:
            amounts = (volume,) * len(slots)
            self.sink.event(
                TradedVolume(venue=VENUE, received_ns=now_ns, slots=slots, amounts=amounts)
            )
        if funding is not None:
            self.sink.event(
                PerpetualState(
                    venue=VENUE,
                    received_ns=now_ns,
                    asset=name,
                    quote_currency="USD",
                    funding_rate=funding,
                    open_interest=1_000.0,
                    exchange_ns=now_ns,
                )
            )

    def cover(self, accepted: int, requested: int) -> None:
        """What the venue took of the subscriptions."""
        self.sink.event(
            Coverage(
                venue=VENUE,
                received_ns=self.now_ns,
                connection=CONNECTION,
                requested=requested,
                accepted=accepted,
            )
        )

    def drop(self) -> None:
        """Lose the connection: nothing is quoted any more."""
        slots = tuple(slot for of in self._slots.values() for slot in of)
        self.silent = set(self.vols)
        self.sink.event(
            FeedDown(
                venue=VENUE,
                received_ns=self.now_ns,
                connection=CONNECTION,
                slots=slots,
                reason="test",
            )
        )

    def recover(self) -> None:
        """The connection is up again, and everything quoted."""
        self.silent = set()
        self.sink.event(FeedUp(venue=VENUE, received_ns=self.now_ns, connection=CONNECTION))
        for asset in self.vols:
            self.quote(asset)

    def run(self, seconds: float) -> list[Reading]:
        """Let time pass in ticks, a quote of each asset in each; what the desk made."""
        made: list[Reading] = []
        for _ in range(round(seconds * NANOS_PER_SECOND / TICK_NS)):
            self.now_ns += TICK_NS
            self.engine.timer(self.now_ns)
            for asset in self.vols:
                if asset not in self.silent:
                    self.quote(asset, 1)
            for record in self.engine.recompute(self.now_ns):
                if isinstance(record, IndexValue | SurfaceValue):
                    self.desk.take(record)
                if isinstance(record, IndexValue) and record.tenor_days == 30.0:
                    self.index[record.asset] = record
            for at_ns in range(self.now_ns, self.now_ns + TICK_NS, JOB_NS):
                job = self.desk.next_job(at_ns)
                if job is not None:
                    self.jobs.append((at_ns, job.part))
                    made += job.run()
        return made


def listed(asset: Asset) -> tuple[Instrument, ...]:
    """A dense chain without a tick grid."""
    return tuple(
        Instrument(
            venue=VENUE,
            name=f"{asset}-{day}-{strike}-{kind.value}",
            asset=asset,
            expiry_ns=NOW_NS + day * NANOS_PER_DAY,
            strike=float(strike),
            kind=kind,
            premium=Premium.COIN,
            quote_currency="USD",
            tick_size=1e-9,
        )
        for day in DAYS
        for strike in STRIKES
        for kind in OptionKind
    )


@lru_cache
def black(vol: float) -> tuple[float, ...]:
    """Black-76 in the coin of every option of a chain, in its order."""
    options = listed(Asset("ANY"))
    strike = np.array([option.strike for option in options])
    years = np.array([(option.expiry_ns - NOW_NS) / NANOS_PER_YEAR for option in options])
    sign = np.array([1.0 if option.kind is OptionKind.CALL else -1.0 for option in options])
    deviation = vol * np.sqrt(years)
    d1 = np.log(FORWARD / strike) / deviation + 0.5 * deviation
    price = sign * (norm.cdf(sign * d1) - strike / FORWARD * norm.cdf(sign * (d1 - deviation)))
    return tuple(price.tolist())


def readings(records: Sequence[Reading], asset: str) -> list[AnalyticsValue]:
    """Those of one asset."""
    return [r for r in records if isinstance(r, AnalyticsValue) and r.asset == asset]


def couplings(records: Sequence[Reading]) -> list[CouplingValue]:
    """Those of the pairs."""
    return [record for record in records if isinstance(record, CouplingValue)]


def alerts(records: Sequence[Reading]) -> list[AlertEvent]:
    """Raises and clears."""
    return [record for record in records if isinstance(record, AlertEvent)]
