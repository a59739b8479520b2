"""The published numbers against what the simulated market knows to be true.

The strip is compared with the same rule on noise-free prices, the slow one of `slow_rules`, which
shares no code with the package; everything else with the surface itself. The engine sees what a
venue would send: quotes on ticks with noise and a spread, futures on their ticks, marks once a
second.
"""

from collections.abc import Callable, Iterator
from math import sqrt
from statistics import fmean as mean

import pytest
from msgspec import Struct

from golden.market_feed import Watched
from golden.slow_rules import dvol, points
from volgauge.domain.index import Flag, IndexValue
from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_YEAR, parse_instant
from volgauge.offline.chain import ChainQuote
from volgauge.settings import IndexSettings
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.truth import TenorTruth, Truth

STARTS = {
    7: "2026-03-02T10:00:00Z",
    8: "2026-04-24T07:20:00Z",
    9: "2026-06-25T23:59:00Z",
    10: "2026-08-14T08:00:30Z",
    11: "2026-11-21T03:54:00Z",
}
"""Seed to start: middays, just before and after the roll at 08:00, a quarter's end."""
CURRENCIES = ("BTC", "ETH")
INSTANTS = 8
STEPS_BETWEEN = 300
"""1.5 s of market time."""
MAX_RMSE = 0.15
MAX_ERROR = 0.5
MAX_BIAS, MAX_FAMILY_BIAS, MAX_VALUE_RMSE = 0.05, 0.08, 0.12
MAX_MISS = 0.05
MAX_LINE_BIAS = 0.40
"""Volatility points."""

Tell = Callable[[str, object], None]


class Measured(Struct, frozen=True, kw_only=True):
    """One instant of one asset, in volatility points."""

    seed: int
    asset: str
    family: str
    """Of the smiles."""
    record: IndexValue
    truth: TenorTruth
    rule: float
    """The exchange's rule on noise-free prices."""


@pytest.fixture(scope="module")
def measured() -> list[Measured]:
    """Several seeds, several instants."""
    return [found for seed, start in STARTS.items() for found in watch(seed, start)]


def test_noise_of_the_market_is_what_is_asked_for() -> None:
    """Half-spread of at least a tick, noise of the mid at least a quarter of it."""
    options = MarketOptions(start_ns=0)

    assert options.half_spread_ticks >= 1.0
    assert options.mid_noise >= 0.25


def test_both_families_of_smiles_are_measured(measured: list[Measured]) -> None:
    """SSVI and mixtures, each for BTC and ETH."""
    assert len(measured) == len(STARTS) * INSTANTS * len(CURRENCIES)
    assert {(found.asset, found.family) for found in measured} == {
        (asset, family) for asset in CURRENCIES for family in ("ssvi", "mixture")
    }


def test_published_strip_is_near_the_rule_on_noise_free_prices(
    measured: list[Measured], record_property: Tell
) -> None:
    """RMSE <= 0.15 and maximum <= 0.5 points, over seeds, instants and assets."""
    errors = [number(found.record.strip) - found.rule for found in measured]
    record_property("measured", said("strip - rule", errors))

    assert rms(errors) <= MAX_RMSE
    assert max(map(abs, errors)) <= MAX_ERROR


def test_no_single_seed_is_worse_than_the_bound(measured: list[Measured]) -> None:
    """A good average does not hide a bad market."""
    for seed in STARTS:
        for asset in CURRENCIES:
            errors = [
                number(found.record.strip) - found.rule
                for found in measured
                if found.seed == seed and found.asset == asset
            ]
            assert rms(errors) <= MAX_RMSE


def test_value_is_the_corridor(measured: list[Measured], record_property: Tell) -> None:
    """Against the true 5-delta variance: bias <= 0.05, per family <= 0.08, RMSE <= 0.12.

    Of the instants whose listed strikes reach 5 delta; the others carry the flag `extrapolated`.
    """
    reached = [found for found in measured if Flag.EXTRAPOLATED.value not in found.record.flags]
    record_property("measured", said("value - corridor", errors_of(reached)))
    for family in ("ssvi", "mixture"):
        mine = errors_of([found for found in reached if found.family == family])
        record_property("measured", said(f"value - corridor, {family}", mine))

        assert abs(mean(mine)) <= MAX_FAMILY_BIAS
        assert rms(mine) <= MAX_VALUE_RMSE
    assert abs(mean(errors_of(reached))) <= MAX_BIAS
    assert len(reached) >= 0.75 * len(measured)


def test_value_beyond_the_listed_strikes_is_within_its_band(
    measured: list[Measured], record_property: Tell
) -> None:
    """Where the corridor was extrapolated nobody can know: the error is at most 2u."""
    guessed = [found for found in measured if Flag.EXTRAPOLATED.value in found.record.flags]
    assert guessed
    record_property("measured", said("value - corridor, extrapolated", errors_of(guessed)))

    for found, error in zip(guessed, errors_of(guessed), strict=True):
        assert abs(error) <= 2.0 * number(found.record.u)


@pytest.mark.parametrize("family", ["ssvi", "mixture"])
def test_tails_bracket_the_whole_line(
    measured: list[Measured], family: str, record_property: Tell
) -> None:
    """On the mean the truth lies in [tail_lo, tail_hi], or misses it by at most 0.05."""
    mine = [found for found in measured if found.family == family]
    low = mean([number(found.record.tail_lo) - found.truth.line for found in mine])
    high = mean([number(found.record.tail_hi) - found.truth.line for found in mine])
    record_property(
        "measured",
        said(f"full - line, {family}", [number(f.record.full) - f.truth.line for f in mine]),
    )
    record_property("measured", f"tails - line, {family}: {low:+.3f} to {high:+.3f} points")

    assert low <= MAX_MISS
    assert high >= -MAX_MISS


@pytest.mark.parametrize("measure", ["full", "coin", "svix"])
@pytest.mark.parametrize("family", ["ssvi", "mixture"])
def test_whole_line_in_every_measure(
    measured: list[Measured], family: str, measure: str, record_property: Tell
) -> None:
    """`full`, `coin` and `svix` against W(1), W(0) and W(-1): bias <= 0.40 points."""
    part = "line" if measure == "full" else measure
    errors = [
        number(getattr(found.record, measure)) - getattr(found.truth, part)
        for found in measured
        if found.family == family
    ]
    record_property("measured", said(f"{measure} - truth, {family}", errors))

    assert abs(mean(errors)) <= MAX_LINE_BIAS


def watch(seed: int, start: str) -> Iterator[Measured]:
    """Run one market and an engine beside it."""
    watched = Watched(
        MarketOptions(seed=seed, start_ns=parse_instant(start), currencies=CURRENCIES),
        IndexSettings(tenors_days=(30.0,)),
        ages_known=False,
    )
    market = watched.market
    for _ in range(INSTANTS):
        watched.run(STEPS_BETWEEN)
        for record in watched.engine.recompute(market.now_ns):
            if isinstance(record, IndexValue):
                assert record.strip is not None
                assert record.value is not None
                yield Measured(
                    seed=seed,
                    asset=record.asset,
                    family=market.families[CURRENCIES.index(record.asset)],
                    record=record,
                    truth=market.constant_tenor(record.asset),
                    rule=rule_on_truth(market, market.truth(record.asset), record.asset),
                )


def rule_on_truth(market: Market, truth: Truth, asset: str) -> float:
    """The exchange's 30-day index of prices without noise, spread or ticks."""
    board = next(board for board in market.boards if board.terms.asset == asset)
    options = {option.name: option for option in board.options}
    forward = dict(zip(truth.expiry_ns, truth.forward.tolist(), strict=True))
    chains: dict[int, list[ChainQuote]] = {expiry: [] for expiry in truth.expiry_ns}
    for name, price in zip(truth.names, truth.prices.tolist(), strict=True):
        option = options[name]
        chains[option.expiry.expiry_ns].append(
            ChainQuote(
                expiry_ns=option.expiry.expiry_ns,
                strike=option.strike,
                kind=OptionKind.CALL if option.is_call else OptionKind.PUT,
                bid=price,
                ask=price,
                mark=price,
            )
        )
    tenor_ns = 30 * NANOS_PER_DAY
    near = max(e for e in truth.expiry_ns if e - truth.now_ns <= tenor_ns)
    far = min(e for e in truth.expiry_ns if e - truth.now_ns > tenor_ns)
    w_near, w_far = (dvol(chains[expiry], forward[expiry])[0] for expiry in (near, far))
    t_near, t_far = ((expiry - truth.now_ns) / NANOS_PER_YEAR for expiry in (near, far))
    return points(w_near, w_far, t_near, t_far, tenor_ns / NANOS_PER_YEAR)


def errors_of(measured: list[Measured]) -> list[float]:
    """Error of `value` against the corridor, points."""
    return [number(found.record.value) - found.truth.corridor for found in measured]


def said(name: str, errors: list[float]) -> str:
    """One line of the report."""
    return (
        f"{name}: {len(errors)} instants, bias {mean(errors):+.4f}, RMSE {rms(errors):.4f}, "
        f"max {max(map(abs, errors)):.4f} points"
    )


def number(value: float | None) -> float:
    """A field of a record that must hold a number."""
    assert value is not None
    return value


def rms(numbers: list[float]) -> float:
    """Root of the mean square."""
    return sqrt(sum(number * number for number in numbers) / len(numbers))
