"""Explanations: the parts are what they are called, and they sum to the whole."""

from itertools import pairwise
from math import exp, log, sqrt

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from scipy.integrate import quad
from scipy.stats import norm

from fakes.evidence_lab import Lab
from golden.market_feed import VENUE
from volgauge.domain.events import InstrumentsListed
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.index.bundle import surface_of
from volgauge.index.engine import Engine
from volgauge.index.evidence import EvidenceKeeper, Missing
from volgauge.index.venue import VenueRules
from volgauge.kernels import layout as col
from volgauge.offline.contributions import contributions
from volgauge.offline.explain import explain
from volgauge.offline.explanation import Level, Move, Part
from volgauge.settings import IndexSettings
from volgauge.surface.surface import Surface

EXACT = 1e-9
NOW_NS = 1_797_580_800 * NANOS_PER_SECOND
STRIKES = tuple(range(50_000, 190_000, 2_500))


@pytest.fixture(scope="module")
def lab() -> Lab:
    """A market that ran for some seconds."""
    made = Lab()
    made.run(600)
    return made


@pytest.fixture(scope="module")
def bundles(lab: Lab) -> list[EvidenceBundle]:
    """Evidence of headline records, oldest first."""
    found = [r for r in lab.records if r.tenor_days == 30.0]
    return [lab.bundle(record) for record in (found[2], found[3], found[60], found[-1])]


def level_of(bundle: EvidenceBundle) -> Level:
    """Why the value is where it is."""
    found = explain(bundle)
    assert isinstance(found, Level)
    return found


def move_of(after: EvidenceBundle, before: EvidenceBundle) -> Move:
    """Why it moved."""
    found = explain(after, before)
    assert isinstance(found, Move)
    return found


def test_strikes_sum_to_the_value(bundles: list[EvidenceBundle]) -> None:
    """And to their expiries, and puts and calls to their expiry."""
    for bundle in bundles:
        level = level_of(bundle)

        assert level.value == bundle.record.value
        assert sum(part.points for part in level.strikes) == pytest.approx(level.value, abs=EXACT)
        for expiry in level.expiries:
            of_expiry = [p for p in level.strikes if p.expiry == expiry.expiry]
            assert expiry.puts + expiry.calls + expiry.term == pytest.approx(
                expiry.points, abs=EXACT
            )
            assert sum(p.points for p in of_expiry) == pytest.approx(expiry.points, abs=EXACT)
            assert expiry.term == pytest.approx(0.0, abs=EXACT)
            assert expiry.puts > expiry.calls > 0.0
        for part in level.strikes:
            assert part.fit + part.residual + part.extrapolation == pytest.approx(
                part.points, abs=EXACT
            )


def test_native_parts_are_the_integrals_that_they_are_called(
    bundles: list[EvidenceBundle],
) -> None:
    """Cells and hats by scipy's quadrature, from the columns of the kernel."""
    book = bundles[0].books[0]
    surface = surface_of(book, bundles[0].at_ns)
    for row in range(len(book.expiries)):
        values = surface.values[col.NATIVE, row]
        k, residual = used_strikes(surface, row)
        low, high = values[col.CORRIDOR_LOW], values[col.CORRIDOR_HIGH]
        edges = np.clip(np.r_[-10.0, 0.5 * (k[1:] + k[:-1]), 10.0], low, high)
        parts = contributions(surface, col.NATIVE, row)

        assert len(k) == len(parts)
        for j, part in enumerate(parts):
            inner = np.clip(edges[j : j + 2], k[0], k[-1])
            fit = integral(values, inner[0], inner[1])
            whole = integral(values, edges[j], edges[j + 1])
            hat = residual[j] * hat_integral(k, j, low, high)
            assert part.fit == pytest.approx(fit, rel=1e-6, abs=1e-12)
            assert part.extrapolation == pytest.approx(whole - fit, rel=1e-6, abs=1e-10)
            assert part.residual == pytest.approx(hat, rel=1e-6, abs=1e-12)


def test_native_parts_need_no_correction_worth_naming(bundles: list[EvidenceBundle]) -> None:
    """The kernel's 16 nodes a side and the cells' own quadrature agree within 1e-8."""
    book = bundles[0].books[0]
    surface = surface_of(book, bundles[0].at_ns)
    for row in range(len(book.expiries)):
        values = surface.values[col.NATIVE, row]
        whole = integral(values, values[col.CORRIDOR_LOW], values[col.CORRIDOR_HIGH])
        residual = sum(part.residual for part in contributions(surface, col.NATIVE, row))

        assert whole + residual == pytest.approx(values[col.TOTAL_VARIANCE], rel=1e-8)


def test_strip_parts_are_the_terms_of_the_sum(bundles: list[EvidenceBundle]) -> None:
    """2 F dK/K^2 Q with the mid of the quote; at K0 less the square; together the kernel's sum."""
    book = bundles[0].books[0]
    surface = surface_of(book, bundles[0].at_ns)
    for row in range(len(book.expiries)):
        values = surface.values[col.DVOL, row]
        forward, k_zero = values[col.FORWARD], values[col.K_ZERO]
        parts = contributions(surface, col.DVOL, row)
        strikes = [part.strike for part in parts]
        inner = [i for i in range(1, len(parts) - 1) if strikes[i] != k_zero]

        assert sum(part.total for part in parts) == pytest.approx(
            values[col.TOTAL_VARIANCE], rel=1e-13
        )
        for i in inner:
            width = 0.5 * (strikes[i + 1] - strikes[i - 1])
            mid = 0.5 * (parts[i].bid + parts[i].ask)
            assert parts[i].kind is (OptionKind.PUT if strikes[i] < k_zero else OptionKind.CALL)
            assert parts[i].total == pytest.approx(
                2.0 * forward * width / strikes[i] ** 2 * mid, rel=1e-12
            )


def test_move_is_split_without_a_rest(bundles: list[EvidenceBundle]) -> None:
    """By place, by strike and by cause, over one record and over seconds, forth and back."""
    for before, after in ((0, 1), (0, 2), (0, 3), (3, 0)):
        move = move_of(bundles[after], bundles[before])

        assert move.before is not None
        assert move.after is not None
        assert move.difference == move.after - move.before
        assert sum(part.points for part in move.places) == pytest.approx(move.difference, abs=EXACT)
        assert sum(part.points for part in move.strikes) == pytest.approx(
            move.difference, abs=EXACT
        )
        assert sum(part.points for part in move.causes) == pytest.approx(move.difference, abs=EXACT)
        assert sum(move.totals.values()) == pytest.approx(move.difference, abs=EXACT)


def test_time_alone_is_all_that_moves_a_silent_market() -> None:
    """No quote, no forward: the weights of the expiries."""
    lab = Lab(tenors_days=(30.0,))
    before = lab.bundle(lab.run(10)[-1])
    after = lab.bundle(lab.compute(lab.market.now_ns + 2 * NANOS_PER_SECOND)[-1])
    move = move_of(after, before)

    assert move.difference
    assert move.totals["time"] == pytest.approx(move.difference, abs=EXACT)
    assert {cause for cause, points in move.totals.items() if points} == {"time"}


def test_one_changed_quote_is_named() -> None:
    """Its strike, its sides before and after; nothing else has a part."""
    lab = Lab(tenors_days=(30.0,))
    before = lab.bundle(lab.run(10)[-1])
    sink = lab.engine.sink(VENUE)
    parts = [p for p in level_of(before).strikes if p.kind is OptionKind.PUT]
    chosen = max(parts, key=lambda part: part.points * (part.strike < 80_000.0))
    slot = slot_of(lab, before, chosen, chosen.kind)
    bid, ask, bid_size, ask_size, exchange_ns, _ = sink.table.read(slot)
    now_ns = lab.market.now_ns + 1
    sink.quote(slot, bid + 0.0005, ask + 0.0005, bid_size, ask_size, exchange_ns, now_ns)
    move = move_of(lab.bundle(lab.compute(now_ns)[-1]), before)
    quotes = [cause for cause in move.causes if cause.cause == "quote"]

    assert [(chosen.strike, chosen.kind)] == [(quote.strike, quote.option) for quote in quotes]
    assert [((bid, ask), (bid + 0.0005, ask + 0.0005))] == [(q.before, q.after) for q in quotes]
    assert quotes[0].points > 0.0
    assert move.difference == pytest.approx(quotes[0].points, rel=0.02)


def test_a_changed_quote_in_the_money_is_named() -> None:
    """It moves the price of its strike (rule 8), by less than what would move the forward."""
    lab = Lab(tenors_days=(30.0,))
    before = lab.bundle(lab.run(10)[-1])
    sink = lab.engine.sink(VENUE)
    level = level_of(before)
    puts = sorted((p for p in level.strikes if p.kind is OptionKind.PUT), key=lambda p: p.strike)
    part = puts[-4]
    slot = slot_of(lab, before, part, OptionKind.CALL)
    bid, ask, bid_size, ask_size, exchange_ns, _ = sink.table.read(slot)
    now_ns = lab.market.now_ns + 1
    sink.quote(slot, bid + 1e-6, ask + 1e-6, bid_size, ask_size, exchange_ns, now_ns)
    move = move_of(lab.bundle(lab.compute(now_ns)[-1]), before)
    quotes = [cause for cause in move.causes if cause.cause == "quote"]

    assert [(part.strike, OptionKind.CALL)] == [(q.strike, q.option) for q in quotes]
    assert sum(move.totals.values()) == pytest.approx(move.difference, abs=EXACT)
    assert quotes[0].points > 0.0


def test_forward_that_moves_along_a_standing_smile_is_the_cause() -> None:
    """Volatility a function of the strike alone: quotes have next to no part of the move."""
    world = World()
    before = world.bundle(100_000.0, 0)
    after = world.bundle(102_000.0, NANOS_PER_SECOND)
    move = move_of(after, before)
    quotes = sum(abs(cause.points) for cause in move.causes if cause.cause == "quote")

    assert move.difference is not None
    assert abs(move.difference) > 0.2
    assert move.totals["forward"] == pytest.approx(move.difference, rel=0.02)
    assert quotes < 0.05 * abs(move.difference)


def test_expiry_that_comes_and_goes_is_a_matter_of_weights(
    bundles: list[EvidenceBundle],
) -> None:
    """Another bracket: what an expiry that only one of the two uses adds is `time`."""
    after = bundles[1]
    first, second = after.record.expiries
    alone = replace(
        after,
        record=replace(
            after.record,
            expiries=(replace(first, weight=first.weight + second.weight),),
        ),
    )
    move = move_of(after, alone)
    of_second = [c for c in move.causes if c.expiry == second.expiry]

    assert ["time"] == [cause.cause for cause in of_second]
    assert of_second[0].points > 0.0


def test_nothing_is_explained_without_a_value(bundles: list[EvidenceBundle]) -> None:
    """The reason, and no parts."""
    record = replace(bundles[0].record, value=None)
    without = replace(bundles[0], record=record)
    level, move = level_of(without), move_of(bundles[1], without)

    assert (None, (), ()) == (level.value, level.strikes, level.expiries)
    assert (None, (), ()) == (move.difference, move.places, move.causes)


def test_two_indices_have_no_difference(bundles: list[EvidenceBundle], lab: Lab) -> None:
    """A 7-day and a 30-day record are not compared."""
    other = lab.bundle(next(r for r in lab.records if r.tenor_days == 7.0))

    with pytest.raises(ValueError, match="VG-BTC-30D"):
        explain(bundles[0], other)


def test_explanations_are_json(bundles: list[EvidenceBundle]) -> None:
    """No NaN, no infinity: msgspec would write null, so every number is looked at."""
    for found in (explain(bundles[3]), explain(bundles[3], bundles[0])):
        tree = msgspec.json.decode(msgspec.json.encode(found))
        for part in tree.get("strikes", []):
            assert isinstance(part["points"], float)


def used_strikes(surface: Surface, row: int) -> tuple[np.ndarray, np.ndarray]:
    """K = ln(K/F) and residual of the strikes in the fit."""
    first, last = surface.plan[row, col.FIRST], surface.plan[row, col.LAST]
    ladder = surface.ladder[first:last]
    used = ladder[~np.isnan(ladder[:, col.RESIDUAL])]
    forward = surface.values[col.NATIVE, row, col.FORWARD]
    return np.log(used[:, col.STRIKE] / forward), used[:, col.RESIDUAL]


def hat_integral(k: np.ndarray, j: int, low: float, high: float) -> float:
    """2 Int hat e^{-k} dk of the function that is 1 at strike j and 0 at all others, by scipy."""
    one = np.eye(len(k))[j]
    knots = np.clip(k[max(j - 1, 0) : j + 2], low, high)
    total: float = sum(
        quad(lambda x: np.interp(x, k, one) * exp(-x), start, stop)[0]
        for start, stop in pairwise(knots)
        if start < stop
    )
    return 2.0 * total


def integral(values: np.ndarray, low: float, high: float) -> float:
    """2 Int p e^{-k} dk of the raw SVI curve, by scipy."""
    a, b, rho, m, s = values[col.SVI_A : col.SVI_S + 1]

    def integrand(k: float) -> float:
        root = sqrt(a + b * (rho * (k - m) + sqrt((k - m) ** 2 + s * s)))
        d1 = -k / root + 0.5 * root
        call = norm.cdf(d1) - exp(k) * norm.cdf(d1 - root)
        return float((call if k >= 0.0 else call - 1.0 + exp(k)) * exp(-k))

    pieces = [(low, min(high, 0.0)), (max(low, 0.0), high)]
    total: float = sum(
        quad(integrand, start, stop, epsabs=1e-14, epsrel=1e-11)[0]
        for start, stop in pieces
        if start < stop
    )
    return 2.0 * total


def slot_of(lab: Lab, bundle: EvidenceBundle, part: Part, kind: OptionKind) -> int:
    """Slot of the call or put at a strike that has a part in the value."""
    return next(
        slot
        for book in lab.engine.sink(VENUE).books.values()
        for slot, option in book.slots.items()
        if (option.strike, option.kind) == (part.strike, kind)
        and option.expiry_ns == expiry_of(bundle, part.expiry)
    )


def expiry_of(bundle: EvidenceBundle, expiry: str) -> int:
    """Its instant."""
    return next(e.expiry_ns for b in bundle.books for e in b.expiries if e.expiry == expiry)


class World:
    """Two dense expiries, quoted at a volatility that depends on the strike alone."""

    def __init__(self) -> None:
        self.listed = tuple(
            Instrument(
                venue=VENUE,
                name=f"{days}-{strike}-{kind.value}",
                asset=Asset("BTC"),
                expiry_ns=NOW_NS + days * NANOS_PER_DAY,
                strike=float(strike),
                kind=kind,
                premium=Premium.COIN,
                quote_currency="USD",
                tick_size=1e-7,
            )
            for days in (16, 44)
            for strike in STRIKES
            for kind in OptionKind
        )
        self.keeper = EvidenceKeeper(
            max_bytes=10_000_000, keep_ns=60 * NANOS_PER_SECOND, engine="world"
        )
        self.engine = Engine(
            IndexSettings(tenors_days=(30.0,)),
            source=Source.SIMULATED,
            version="world",
            venues={VENUE: VenueRules()},
            evidence=self.keeper,
        )
        slots = tuple(range(len(self.listed)))
        self.engine.sink(VENUE).event(
            InstrumentsListed(venue=VENUE, received_ns=NOW_NS, slots=slots, instruments=self.listed)
        )

    def bundle(self, forward: float, after_ns: int) -> EvidenceBundle:
        """Evidence with everything quoted at this forward."""
        now_ns = NOW_NS + after_ns
        for slot, option in enumerate(self.listed):
            price = self.price(option, forward)
            self.engine.sink(VENUE).quote(
                slot, price * 0.998, price * 1.002, 1.0, 1.0, now_ns, now_ns
            )
        record = next(r for r in self.engine.recompute(now_ns) if isinstance(r, IndexValue))
        excerpt = self.keeper.find("BTC", 30.0, record.seq)
        assert not isinstance(excerpt, Missing)
        bundle = excerpt.bundle()
        assert isinstance(bundle, EvidenceBundle)
        return bundle

    @staticmethod
    def price(option: Instrument, forward: float) -> float:
        """Black-76 in the coin, written out."""
        years = (option.expiry_ns - NOW_NS) / NANOS_PER_YEAR
        k = log(option.strike / 100_000.0)
        deviation = (0.6 - 0.25 * np.tanh(2.0 * k)) * sqrt(years)
        d1 = log(forward / option.strike) / deviation + 0.5 * deviation
        sign = 1.0 if option.kind is OptionKind.CALL else -1.0
        held = norm.cdf(sign * d1)
        return float(sign * (held - option.strike / forward * norm.cdf(sign * (d1 - deviation))))
