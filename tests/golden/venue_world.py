"""Several venues on one true smile, in front of one engine.

Each venue has its own tick, spread, size and noise; some quote in the coin, some in dollars, one
may have both. The truth is the corridor of the Black-Scholes world they all quote, in closed
quadrature.
"""

from collections.abc import Callable, Sequence
from math import exp, sqrt

import numpy as np
from msgspec import Struct
from scipy.integrate import quad
from scipy.special import ndtr

from volgauge.domain.events import InstrumentsListed
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.index.engine import Engine
from volgauge.index.evidence import EvidenceKeeper
from volgauge.index.venue import VenueRules
from volgauge.kernels._jit import F64
from volgauge.settings import IndexSettings

BTC = Asset("BTC")
NOW_NS = 1_797_580_800 * NANOS_PER_SECOND
SECOND = NANOS_PER_SECOND
FORWARD = 100_000.0
VOL = 0.6
DAYS = (16, 44)
Z = 1.6448536269514722


class Style(Struct, frozen=True, kw_only=True):
    """How a venue quotes."""

    name: str
    """Of the book: the venue, or the venue and a quote currency."""
    is_coin: bool
    step: float
    """Between strikes."""
    half: float
    """Half-spread over the price."""
    size: float
    noise: float = 0.25
    """Of each mid, in half-spreads."""

    @property
    def venue(self) -> Venue:
        """Whose book it is."""
        return venue_of(self.name)

    @property
    def quote_currency(self) -> str:
        """What strikes are in, and premia that are not in the coin."""
        return self.name.partition(":")[2] or "USD"


def venue_of(book: str) -> Venue:
    """`alpha:USDC` is a book of `alpha`."""
    return Venue(book.partition(":")[0])


STYLES = (
    Style(name="alpha", is_coin=True, step=2_500.0, half=0.010, size=30.0),
    Style(name="beta", is_coin=True, step=5_000.0, half=0.015, size=8.0),
    Style(name="gamma", is_coin=False, step=2_500.0, half=0.020, size=6.0),
    Style(name="delta", is_coin=False, step=5_000.0, half=0.020, size=3.0),
    Style(name="epsilon", is_coin=False, step=4_000.0, half=0.030, size=2.0),
)


def price(strike: F64, years: float, kind: OptionKind, vol: float) -> F64:
    """Black-76 in units of the forward, by scipy."""
    deviation = vol * sqrt(years)
    d1 = np.log(FORWARD / strike) / deviation + 0.5 * deviation
    sign = 1.0 if kind is OptionKind.CALL else -1.0
    made: F64 = sign * (ndtr(sign * d1) - strike / FORWARD * ndtr(sign * (d1 - deviation)))
    return made


def corridor(days: float) -> float:
    """Total variance between the 5-delta points of the flat world, by scipy's quadrature."""
    years = days / 365.0
    deviation = VOL * sqrt(years)
    middle = 0.5 * deviation * deviation

    def integrand(k: float) -> float:
        kind = OptionKind.PUT if k < 0.0 else OptionKind.CALL
        strike = np.array([FORWARD * exp(k)])
        return float(2.0 * price(strike, years, kind, VOL)[0] * exp(-k))

    low, high = middle - Z * deviation, middle + Z * deviation
    return float(quad(integrand, low, 0.0)[0] + quad(integrand, 0.0, high)[0])


def truth() -> float:
    """Thirty days from the two expiries, linear in total variance, in points."""
    near, far = corridor(DAYS[0]), corridor(DAYS[1])
    total = near + (far - near) * (30.0 - DAYS[0]) / (DAYS[1] - DAYS[0])
    return 100.0 * sqrt(total * 365.0 / 30.0)


class World:
    """Venues in front of one engine."""

    def __init__(
        self, styles: Sequence[Style], seed: int, evidence: EvidenceKeeper | None = None
    ) -> None:
        self.styles = tuple(styles)
        self.generator = np.random.default_rng(seed)
        self.engine = Engine(
            IndexSettings(strip_venue="alpha"),
            source=Source.SIMULATED,
            version="test",
            venues={s.venue: VenueRules(stale_after_ns=3 * SECOND) for s in styles},
            evidence=evidence,
        )
        self._first: dict[str, int] = {}
        """Slot of each book's first option in its venue's table."""
        self.listed: dict[str, tuple[Instrument, ...]] = {}
        for style in styles:
            self.listed[style.name] = self._list(style)
        self.errors = {
            style.name: self.generator.standard_normal(len(self.listed[style.name]))
            for style in styles
        }

    def _list(self, style: Style) -> tuple[Instrument, ...]:
        venue = style.venue
        listed = tuple(
            Instrument(
                venue=venue,
                name=f"{style.quote_currency}-{day}-{strike:g}-{kind.value}",
                asset=BTC,
                expiry_ns=NOW_NS + day * NANOS_PER_DAY,
                strike=float(strike),
                kind=kind,
                premium=Premium.COIN if style.is_coin else Premium.QUOTE,
                quote_currency=style.quote_currency,
                tick_size=1e-4 if style.is_coin else 5.0,
            )
            for day in DAYS
            for strike in np.arange(40_000.0, 240_000.0, style.step)
            for kind in OptionKind
        )
        first = sum(len(self.listed[other]) for other in self._first if venue_of(other) == venue)
        self._first[style.name] = first
        self.engine.sink(venue).event(
            InstrumentsListed(
                venue=venue,
                received_ns=NOW_NS,
                slots=tuple(range(first, first + len(listed))),
                instruments=listed,
            )
        )
        return listed

    def quote(
        self,
        now_ns: int,
        vols: dict[str, float] | None = None,
        silent: Sequence[str] = (),
        crossed: Sequence[str] = (),
    ) -> None:
        """Every book that is not silent quotes its whole chain, at its own idea of volatility."""
        for style in self.styles:
            if style.name in silent:
                continue
            vol = VOL * (vols or {}).get(style.name, 1.0)
            sink = self.engine.sink(style.venue)
            first = self._first[style.name]
            bids, asks = self._prices(style, vol)
            if style.name in crossed:
                bids, asks = asks, bids
            for slot, (bid, ask) in enumerate(zip(bids, asks, strict=True), first):
                sink.quote(slot, bid, ask, style.size, style.size, now_ns, now_ns)

    def _prices(self, style: Style, vol: float) -> tuple[list[float], list[float]]:
        """Bids, NaN where there is none, and asks of a book's chain in its own unit."""
        listed = self.listed[style.name]
        fair = np.zeros(len(listed))
        for day in DAYS:
            for kind in OptionKind:
                ends_ns = NOW_NS + day * NANOS_PER_DAY
                rows = [
                    row
                    for row, option in enumerate(listed)
                    if option.kind is kind and option.expiry_ns == ends_ns
                ]
                strikes = np.array([listed[row].strike for row in rows])
                fair[rows] = price(strikes, day * NANOS_PER_DAY / NANOS_PER_YEAR, kind, vol)
        tick = 1e-4
        half = np.maximum(tick, style.half * fair)
        mid = fair + style.noise * half * self.errors[style.name]
        unit = 1.0 if style.is_coin else FORWARD
        bids = np.floor((mid - half) / tick) * tick * unit
        asks = np.ceil((mid + half) / tick) * tick * unit
        return np.where(bids > 0.0, bids, np.nan).tolist(), asks.tolist()

    def headline(self, now_ns: int) -> IndexValue:
        """The newest 30-day record."""
        self.engine.timer(now_ns)
        return next(
            record
            for record in self.engine.recompute(now_ns)
            if isinstance(record, IndexValue) and record.tenor_days == 30.0
        )

    def run(
        self,
        begin_ns: int,
        seconds: int,
        vols: Callable[[int], dict[str, float]] = lambda _: {},
        silent: Sequence[str] = (),
        crossed: Sequence[str] = (),
    ) -> list[IndexValue]:
        """Quote and compute once a second."""
        records = []
        for second in range(seconds):
            now_ns = begin_ns + second * SECOND
            self.quote(now_ns, vols(second), silent, crossed)
            records.append(self.headline(now_ns))
        return records
