"""Several venues on one true smile: the composite against the truth, against liars and outages.

Each venue has its own tick, spread, size and noise; some quote in the coin, some in dollars. The
truth is the corridor of the Black-Scholes world they all quote, in closed quadrature.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from math import exp, sqrt

import numpy as np
import pytest
from msgspec import Struct
from scipy.integrate import quad
from scipy.special import ndtr

from volgauge.domain.events import InstrumentsListed
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import Flag, IndexValue, Source, Status
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.index.bundle import build_facts
from volgauge.index.engine import Engine
from volgauge.index.evidence import EvidenceKeeper, Excerpt
from volgauge.index.venue import VenueRules
from volgauge.kernels._jit import F64
from volgauge.offline.explain import explain
from volgauge.offline.explanation import Level, Move
from volgauge.offline.verify import verify
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
    is_coin: bool
    step: float
    """Between strikes."""
    half: float
    """Half-spread over the price."""
    size: float
    noise: float = 0.25
    """Of each mid, in half-spreads."""


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
            venues={Venue(s.name): VenueRules(stale_after_ns=3 * SECOND) for s in styles},
            evidence=evidence,
        )
        self.listed = {style.name: self._list(style) for style in styles}
        self.errors = {
            style.name: self.generator.standard_normal(len(self.listed[style.name]))
            for style in styles
        }

    def _list(self, style: Style) -> tuple[Instrument, ...]:
        listed = tuple(
            Instrument(
                venue=Venue(style.name),
                name=f"{day}-{strike:g}-{kind.value}",
                asset=BTC,
                expiry_ns=NOW_NS + day * NANOS_PER_DAY,
                strike=float(strike),
                kind=kind,
                premium=Premium.COIN if style.is_coin else Premium.QUOTE,
                quote_currency="USD",
                tick_size=1e-4 if style.is_coin else 5.0,
            )
            for day in DAYS
            for strike in np.arange(40_000.0, 240_000.0, style.step)
            for kind in OptionKind
        )
        self.engine.sink(Venue(style.name)).event(
            InstrumentsListed(
                venue=Venue(style.name),
                received_ns=NOW_NS,
                slots=tuple(range(len(listed))),
                instruments=listed,
            )
        )
        return listed

    def quote(
        self, now_ns: int, vols: dict[str, float] | None = None, silent: Sequence[str] = ()
    ) -> None:
        """Every venue that is not silent quotes its whole chain, at its own idea of volatility."""
        for style in self.styles:
            if style.name in silent:
                continue
            vol = VOL * (vols or {}).get(style.name, 1.0)
            sink = self.engine.sink(Venue(style.name))
            for slot, option in enumerate(self.listed[style.name]):
                years = (option.expiry_ns - NOW_NS) / NANOS_PER_YEAR
                fair = float(price(np.array([option.strike]), years, option.kind, vol)[0])
                tick = 1e-4
                half = max(tick, style.half * fair)
                mid = fair + style.noise * half * float(self.errors[style.name][slot])
                bid = np.floor((mid - half) / tick) * tick
                ask = np.ceil((mid + half) / tick) * tick
                unit = 1.0 if style.is_coin else FORWARD
                sink.quote(
                    slot, bid * unit if bid > 0.0 else float("nan"), ask * unit,
                    style.size, style.size, now_ns, now_ns,
                )  # fmt: skip

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
    ) -> list[IndexValue]:
        """Quote and compute once a second."""
        records = []
        for second in range(seconds):
            now_ns = begin_ns + second * SECOND
            self.quote(now_ns, vols(second), silent)
            records.append(self.headline(now_ns))
        return records


def test_the_composite_is_nearer_to_the_truth_than_its_parts() -> None:
    """Over 20 seeds: RMSE at most 1.1 x the best venue's, and below the plain mean of theirs."""
    exact = truth()
    errors: dict[str, list[float]] = {}
    for seed in range(20):
        record = World(STYLES, seed).run(NOW_NS, 2)[-1]
        assert record.value is not None
        errors.setdefault("composite", []).append(record.value - exact)
        for venue, told in record.venues.items():
            assert told.value is not None
            errors.setdefault(venue, []).append(told.value - exact)
    rmse = {name: float(np.sqrt(np.mean(np.square(e)))) for name, e in errors.items()}
    own = [rmse[style.name] for style in STYLES]
    assert rmse["composite"] <= 1.1 * min(own)
    assert rmse["composite"] < float(np.mean(own))


def test_the_record_says_how_the_value_is_made() -> None:
    """Value = sum of weight x value over `venues`; weights sum to 1, none has most of it."""
    record = World(STYLES, 1).run(NOW_NS, 2)[-1]
    assert record.status is Status.OK
    weights = [told.weight for told in record.venues.values()]
    assert sum(weights) == pytest.approx(1.0)
    assert max(weights) <= 0.6
    total = sum(told.weight * (told.value or 0.0) for told in record.venues.values())
    assert record.value == pytest.approx(total, rel=1e-12)
    assert {told.state for told in record.venues.values()} == {"in"}
    assert {expiry.book for expiry in record.expiries} == {style.name for style in STYLES}
    assert record.strip is not None


def lies(liar: str, factor: float, second: int) -> dict[str, float]:
    """One venue's volatility from the third second on."""
    return {liar: factor if second > 2 else 1.0}


@pytest.mark.parametrize("factor", [1.05, 1.2, 0.8])
def test_one_lying_venue_moves_the_value_little(factor: float) -> None:
    """A light liar moves it by at most 0.05 points, the heaviest inside 2u; then it is out."""
    honest = World(STYLES, 3).run(NOW_NS, 45)[-1]
    assert honest.value is not None
    for liar, limit in (("delta", 0.05), ("alpha", 2.0 * (honest.u or 0.0))):
        records = World(STYLES, 3).run(NOW_NS, 45, partial(lies, liar, factor))
        shifts = [abs((r.value or 0.0) - honest.value) for r in records[3:]]
        assert max(shifts) <= limit
        if factor != 1.05:
            assert records[-1].venues[Venue(liar)].state == "out"
            assert records[-1].venues[Venue(liar)].weight == 0.0


def test_a_venue_that_was_out_comes_back_once() -> None:
    """Out after 2 s at +20 %, back 30 s after it agrees again, without flapping."""
    world = World(STYLES, 5)
    records = world.run(NOW_NS, 80, lambda s: {"beta": 1.2 if 3 < s < 20 else 1.0})
    states = [record.venues[Venue("beta")].state for record in records]
    changes = [b for a, b in itertools.pairwise(states) if a != b]
    assert changes == ["out", "in"]


def test_a_silent_venue_leaves_and_the_others_go_on() -> None:
    """Heartbeats or not: without data for 3 s a venue does not count, and the count says so."""
    world = World(STYLES, 7)
    before = world.run(NOW_NS, 3)[-1]
    after = world.run(NOW_NS + 3 * SECOND, 8, silent=("alpha",))[-1]
    assert before.value is not None
    assert after.value is not None
    assert after.venues[Venue("alpha")].state == "down"
    assert after.venues[Venue("alpha")].weight == 0.0
    assert abs(after.value - before.value) <= 2.0 * (before.u or 0.0)


def test_two_of_five_wrong_together_are_told() -> None:
    """Two venues 8 % off: DEGRADED with `venues_differ`, and the band covers the error."""
    exact = truth()
    covered = 0
    for seed in range(8):
        record = World(STYLES, 20 + seed).run(NOW_NS, 6, lambda _: {"beta": 1.08, "gamma": 1.08})[
            -1
        ]
        assert record.status is Status.DEGRADED
        assert Flag.VENUES_DIFFER.value in record.flags
        assert record.value is not None
        covered += abs(record.value - exact) <= 2.0 * (record.u or 0.0)
    assert covered >= 7


def test_two_venues_that_differ_are_degraded_and_one_is_told() -> None:
    """Nobody can say which of two is wrong; of one nobody needs to."""
    two = World(STYLES[:2], 2).run(NOW_NS, 4, lambda _: {"beta": 1.08})[-1]
    assert two.status is Status.DEGRADED
    assert Flag.VENUES_DIFFER.value in two.flags
    assert World(STYLES[:2], 2).run(NOW_NS, 3)[-1].status is Status.OK
    assert World(STYLES[:1], 2).run(NOW_NS, 3)[-1].status is Status.SINGLE_VENUE


def test_the_largest_venue_may_be_away_for_hours() -> None:
    """Values go on; of two venues the one that is left says so, and the return is a ramp."""
    world = World(STYLES[:2], 11)
    world.run(NOW_NS, 120)
    away_ns = NOW_NS + 120 * SECOND
    away = world.run(away_ns, 20, silent=("alpha",))
    assert away[-1].status is Status.SINGLE_VENUE
    assert all(record.value is not None for record in away)
    back = world.run(away_ns + 4 * 3600 * SECOND, 90)
    weights = [record.venues[Venue("alpha")].weight for record in back]
    assert weights[2] < 0.2
    assert weights[-1] > 0.5
    steps = np.abs(np.diff([record.value or 0.0 for record in back[1:]]))
    assert steps.max() <= 0.05


def test_a_composite_verifies_and_explains_itself() -> None:
    """Evidence of several books: every bit again, and contributions that sum to the value."""
    keeper = EvidenceKeeper(max_bytes=1 << 26, keep_ns=300 * SECOND, engine="test")
    world = World(STYLES, 13, keeper)
    record = world.run(NOW_NS, 3)[-1]
    found = keeper.find(BTC, 30.0, record.seq)
    assert isinstance(found, Excerpt)
    bundle = found.bundle(record.epoch)
    assert isinstance(bundle, EvidenceBundle)
    verdict = verify(bundle, build_facts("test"))
    assert [check for check in verdict.checks if not check.ok] == []
    assert {book.venue for book in bundle.books} == {style.name for style in STYLES}
    level = explain(bundle)
    assert isinstance(level, Level)
    assert sum(part.points for part in level.expiries) == pytest.approx(record.value, rel=1e-9)
    assert {part.weight for part in level.expiries} == {e.weight for e in record.expiries}


def test_a_move_of_the_composite_is_split_by_venue_and_cause() -> None:
    """One venue's volatility rises and another falls silent: parts sum to the difference."""
    keeper = EvidenceKeeper(max_bytes=1 << 26, keep_ns=300 * SECOND, engine="test")
    world = World(STYLES, 17, keeper)
    first = world.run(NOW_NS, 3)[-1]
    later = NOW_NS + 3 * SECOND
    last = world.run(later, 6, lambda _: {"beta": 1.02}, silent=("epsilon",))[-1]
    bundles = []
    for record in (first, last):
        found = keeper.find(BTC, 30.0, record.seq)
        assert isinstance(found, Excerpt)
        bundle = found.bundle(record.epoch)
        assert isinstance(bundle, EvidenceBundle)
        bundles.append(bundle)
    move = explain(bundles[1], bundles[0])
    assert isinstance(move, Move)
    assert move.difference is not None
    assert sum(place.points for place in move.places) == pytest.approx(move.difference, abs=1e-9)
    assert sum(cause.points for cause in move.causes) == pytest.approx(move.difference, abs=1e-9)
    gone = [c.points for c in move.causes if c.venue == "epsilon"]
    assert len(gone) == 1
    risen = sum(c.points for c in move.causes if c.venue == "beta" and c.cause == "quote")
    assert risen > 0.0
