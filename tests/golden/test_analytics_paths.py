"""Readings of long spans against the law that the simulated market moves by.

Spots and volatilities go straight into the states of the analytics, as the desk would pass them.
Every bound is three standard errors, from the estimator's own theory, said beside it.
"""

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
import pytest
from scipy.stats import norm

from golden.scenario_paths import (
    ASSETS,
    F64,
    MONTH,
    START_NS,
    Paths,
    effective_count,
    integrated,
    walk,
)
from volgauge.analytics.bars import Bar
from volgauge.analytics.coupling import Coupling, CouplingReading
from volgauge.analytics.level import LevelState
from volgauge.analytics.premium import PremiumState
from volgauge.analytics.realized import RealizedState
from volgauge.analytics.scaling import ScalingState
from volgauge.analytics.spillover import ROWS, SpilloverState, compute_spillover
from volgauge.analytics.watch import Watch
from volgauge.domain.analytics import (
    CouplingValue,
    Edge,
    FlowReading,
    LeverageReading,
    RealizedReading,
    Rule,
)
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset
from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_HOUR,
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    NANOS_PER_YEAR,
)
from volgauge.settings import AlertSettings, RulesSettings, ScalingSettings
from volgauge.simulator import process
from volgauge.simulator.scenario import Echo, Jumps, Scenario, Shock, Switch

BTC, ETH = (Asset(name) for name in ASSETS)
ERRORS = 3.0
"""Standard errors."""
GRID_NS = NANOS_PER_MINUTE
"""Distance of the synchronous changes."""

Tell = Callable[[str, object], None]


def couple(paths: Paths, coupling: Coupling | None = None) -> tuple[Coupling, CouplingReading]:
    """Both indices into the coupling, read every minute."""
    coupling = coupling or Coupling(RulesSettings().decoupling)
    reading = None
    for at_ns, (x, y) in zip(paths.at_ns.tolist(), paths.points.tolist(), strict=True):
        coupling.observe(BTC, x, at_ns)
        coupling.observe(ETH, y, at_ns)
        if at_ns % GRID_NS == 0:
            reading = coupling.reading(at_ns)
    assert reading is not None
    return coupling, reading


def true_correlation(paths: Paths) -> float:
    """Of the indices' logarithms, mean along the path."""
    return float(
        process.log_vol_correlation(
            paths.state[:, 0], paths.state[:, 1], paths.law, MONTH
        ).mean()
    )  # fmt: skip


def true_deviation(paths: Paths) -> F64:
    """Of the indices' logarithms per root of a year, mean along the path, (2,)."""
    made: F64 = process.log_vol_deviation(paths.state, paths.law, MONTH).mean(axis=0)
    return made


@pytest.mark.parametrize(("wanted", "seed"), [(0.0, 1), (0.6, 2), (0.95, 3)])
def test_correlation_and_beta_are_the_law_s(wanted: float, seed: int) -> None:
    """A day of indices: errors (1 - r^2) / sqrt(n) and sqrt(1 - r^2) / sqrt(n) sy / sx."""
    scenario = Scenario(vol_correlation=wanted, spot_correlation=wanted)
    paths = walk(scenario, 24 * 60 * 3, 20.0, seed)
    _, reading = couple(paths)
    (pair,) = reading.pairs
    truth, deviation = true_correlation(paths), true_deviation(paths)
    assert truth == pytest.approx(wanted, abs=0.01)

    for label, half_life_ns in (("1h", NANOS_PER_HOUR), ("1d", NANOS_PER_DAY)):
        count = effective_count(half_life_ns, NANOS_PER_DAY, GRID_NS)
        bound = ERRORS * (1.0 - truth**2) / sqrt(count) + 1e-3
        assert pair.correlations[label] == pytest.approx(truth, abs=bound)
    count = effective_count(NANOS_PER_DAY, NANOS_PER_DAY, GRID_NS)
    ratio = deviation[1] / deviation[0]
    assert pair.beta == pytest.approx(
        truth * ratio, abs=ERRORS * sqrt(1.0 - truth**2) * ratio / sqrt(count) + 1e-3
    )
    # Of two assets the first eigenvalue is 1 + |r|.
    assert reading.systemic == pytest.approx(abs(pair.correlations["1d"] or 0.0), abs=1e-9)


def test_coupling_rises_with_the_regime_and_falls_after_it() -> None:
    """Correlation 0.1, 0.9 for four hours, 0.1 again; the 1 h reading is the weighted mean.

    After a span t in a regime of r the mean is r (1 - 2^-t/H) + what was before 2^-t/H.
    """
    low, high, hours = 0.1, 0.9, 4.0
    switches = tuple(
        Switch(at_seconds=begin * 3600.0, vol_correlation=value, spot_correlation=value)
        for begin, value in ((hours, high), (2.0 * hours, low))
    )
    paths = walk(
        Scenario(vol_correlation=low, spot_correlation=low, switches=switches), 12 * 180, 20.0, 4
    )
    coupling = Coupling(RulesSettings().decoupling)
    told = {}
    for hour in range(1, 13):
        inside = (paths.at_ns > START_NS + (hour - 1) * NANOS_PER_HOUR) & (
            paths.at_ns <= START_NS + hour * NANOS_PER_HOUR
        )
        part = paths._replace(at_ns=paths.at_ns[inside], points=paths.points[inside])
        _, reading = couple(part, coupling)
        told[hour] = reading.pairs[0].correlations["1h"]
    count = effective_count(NANOS_PER_HOUR, 4 * NANOS_PER_HOUR, GRID_NS)
    expected = low
    for hour in range(2, 13):
        now = high if hours < hour <= 2.0 * hours else low
        expected = now + (expected - now) / 2.0
        # Each minute in a regime of r adds (1 + r^2) / n at most to the variance of the mean.
        bound = ERRORS * (1.0 - min(expected, 0.9) ** 2) / sqrt(count) + 0.02
        assert told[hour] == pytest.approx(expected, abs=bound), hour
    assert (told[8] or 0.0) > (told[4] or 0.0) + 0.5
    assert (told[12] or 0.0) < (told[8] or 0.0) - 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_a_lead_of_seven_seconds_is_found(seed: int) -> None:
    """What both have in common reaches ETH 7 s later; minutes see 1 - 7/60 of it (Epps)."""
    truth = 0.9
    scenario = Scenario(vol_correlation=truth, spot_correlation=truth, lead_seconds=7.0)
    paths = walk(scenario, 5400, 1.0, seed)
    _, reading = couple(paths)
    (pair,) = reading.pairs
    seen = truth * (1.0 - 7.0 / 60.0)
    count = effective_count(NANOS_PER_HOUR, 3 * NANOS_PER_HOUR // 2, GRID_NS)

    assert pair.lead_seconds == pytest.approx(7.0, abs=1.0)
    assert pair.lead_ratio is not None
    assert pair.lead_ratio > 10.0
    # At no lag there is nothing in common: 3,600 changes.
    assert pair.hayashi_yoshida == pytest.approx(0.0, abs=ERRORS / 60.0)
    assert pair.correlations["1h"] == pytest.approx(
        seen, abs=ERRORS * (1.0 - seen**2) / sqrt(count)
    )


def test_a_shock_parts_a_pair_until_it_arrives() -> None:
    """20 % in BTC, in ETH ten minutes later: decoupled between, by an alert with its end.

    After ten days whose spread scattered by 5 %: 4 deviations, and none.
    """
    begin = 1200.0
    echo = Echo(asset="ETH", after_seconds=600.0)
    shock = Shock(at_seconds=begin, asset="BTC", size=0.2, echoes=(echo,))
    paths = walk(Scenario(shocks=(shock,)), 150, 20.0, 6)
    settings = AlertSettings()
    coupling = Coupling(settings.rules.decoupling)
    watch = Watch(settings, Source.SIMULATED)
    spread = 0.05 * np.random.default_rng(6).standard_normal(2880)
    at = [START_NS - (2880 - place) * 5 * NANOS_PER_MINUTE for place in range(2880)]
    x, y = paths.points[0].tolist()
    coupling.seed(
        {
            BTC: [(at_ns, x * float(np.exp(z))) for at_ns, z in zip(at, spread, strict=True)],
            ETH: [(at_ns, y) for at_ns in at],
        }
    )
    events, parted = [], []
    for at_ns, (x, y) in zip(paths.at_ns.tolist(), paths.points.tolist(), strict=True):
        coupling.observe(BTC, x, at_ns)
        coupling.observe(ETH, y, at_ns)
        reading = coupling.reading(at_ns)
        value = CouplingValue(
            computed_ns=at_ns, source=Source.SIMULATED, assets=reading.assets,
            pairs=reading.pairs, spillover=None, systemic=reading.systemic,
        )  # fmt: skip
        events += watch.observe(None, None, value, {}, at_ns, term=None)
        seconds = (at_ns - START_NS) / NANOS_PER_SECOND
        if reading.pairs and reading.pairs[0].decoupled:
            parted.append(seconds)
    told = [(event.edge, (event.computed_ns - START_NS) / NANOS_PER_SECOND) for event in events]

    assert told == [(Edge.RAISED, begin), (Edge.CLEARED, begin + 600.0)]
    assert {(event.rule, event.subject) for event in events} == {(Rule.DECOUPLING, "BTC-ETH")}
    assert parted == [begin + 20.0 * place for place in range(30)]


SLOT_SECONDS = 300.0


def spill(scenario: Scenario, days: float, seed: int) -> tuple[dict[Asset, float], float, int]:
    """Net spillovers, total and rows of a decomposition of 5-minute indices."""
    paths = walk(scenario, round(days * 288), SLOT_SECONDS, seed)
    coupling = Coupling(RulesSettings().decoupling)
    columns = ((BTC, paths.points[:, 0]), (ETH, paths.points[:, 1]))
    at_ns = paths.at_ns.tolist()
    coupling.seed(
        {asset: list(zip(at_ns, column.tolist(), strict=True)) for asset, column in columns}
    )
    coupling.observe(BTC, float(paths.points[-1, 0]), at_ns[-1])
    coupling.observe(ETH, float(paths.points[-1, 1]), at_ns[-1])
    job = coupling.spillover_job(at_ns[-1])
    assert job is not None
    coupling.take_spillover(compute_spillover(job))
    spillover = coupling.reading(at_ns[-1]).spillover
    assert spillover is not None
    assert spillover.total is not None
    return spillover.net, spillover.total, spillover.n_observations


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_spillovers_of_walks_that_share_shocks(seed: int) -> None:
    """Random walks correlated by r: each gets r^2 / (1 + r^2) of its variance from the other.

    d(share)/dr = 2 r / (1 + r^2)^2 and r has the error (1 - r^2) / sqrt(n); the coefficients of
    the VAR, of error 1 / sqrt(n) each, add as much again over the steps.
    """
    r = 0.8
    net, total, rows = spill(Scenario(vol_correlation=r, spot_correlation=r), 6.5, seed)
    error = 100.0 * 2.0 * r / (1.0 + r * r) ** 2 * (1.0 - r * r) / sqrt(rows)
    bound = ERRORS * (error + 100.0 * 0.5 * sqrt(1.0 - r * r) / sqrt(rows))

    assert total == pytest.approx(100.0 * r * r / (1.0 + r * r), abs=bound)
    assert net[BTC] == pytest.approx(0.0, abs=2.0 * bound)
    assert net[BTC] + net[ETH] == pytest.approx(0.0, abs=1e-9)


CALM_DAYS, STORM_DAYS = 3.0, 6.0
CALM_COUPLING, STORM_COUPLING = 0.1, 0.98
LOOK_SLOTS = 6
"""Half an hour: between two decompositions."""


def storm_totals(scenario: Scenario, paths: Paths, begin: int) -> tuple[F64, F64]:
    """Total spillover of the window that ends at each slot, by the law, and its error; percent.

    r of the window is that of the sums of the law's variances and covariances in it, the total
    100 r^2 / (1 + r^2). Its error is that of r with as many changes as have the weight, and that of
    the VAR's coefficients, 1 / sqrt(n) each.
    """
    calm = walk(scenario, 1, SLOT_SECONDS, 0).law
    laws = [(calm, paths.state[:begin]), (paths.law, paths.state[begin:])]
    deviation = np.concatenate([process.log_vol_deviation(s, law, MONTH) for law, s in laws])
    shared = np.concatenate(
        [process.log_vol_correlation(s[:, 0], s[:, 1], law, MONTH) for law, s in laws]
    )
    variance, covariance = deviation**2, shared * deviation.prod(axis=1)

    def summed(changes: F64) -> F64:
        sums = np.concatenate((np.zeros((1, *changes.shape[1:])), np.cumsum(changes, axis=0)))
        ends = np.arange(len(changes))
        made: F64 = sums[ends] - sums[np.maximum(0, ends - ROWS)]
        return made

    with np.errstate(invalid="ignore"):
        sums = summed(variance)
        r = summed(covariance) / np.sqrt(sums.prod(axis=1))
        count = sums[:, 0] ** 2 / summed(variance[:, 0] ** 2)
    rest = 1.0 - r * r
    error = 100.0 * (2.0 * r / (1.0 + r * r) ** 2 * rest + 0.5 * np.sqrt(rest)) / np.sqrt(count)
    return 100.0 * r * r / (1.0 + r * r), error


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_that_both_share_is_a_surge_of_spillovers(seed: int, record_property: Tell) -> None:
    """Correlation 0.1, then 0.98 at four times the vol of vol: an alert, and its end, once each.

    Raised when the true total less its average, of a half-life of a day, passes 15 and cleared when
    it passes 5, give or take the total's error.
    """
    storm = Switch(
        at_seconds=CALM_DAYS * 86_400.0, vol_of_vol=2.8,
        vol_correlation=STORM_COUPLING, spot_correlation=STORM_COUPLING,
    )  # fmt: skip
    scenario = Scenario(
        vol_of_vol=0.7, vol_correlation=CALM_COUPLING, spot_correlation=CALM_COUPLING,
        switches=(storm,),
    )  # fmt: skip
    begin = round(CALM_DAYS * 288)
    paths = walk(scenario, begin + round(STORM_DAYS * 288), SLOT_SECONDS, seed)
    state, watch = SpilloverState(), Watch(AlertSettings(), Source.SIMULATED)
    events, looks = [], []
    levels = np.log(paths.points).tolist()
    for place, (at_ns, (x, y)) in enumerate(zip(paths.at_ns.tolist(), levels, strict=True)):
        state.add(at_ns // round(SLOT_SECONDS * NANOS_PER_SECOND), {BTC: x, ETH: y})
        job = state.job(at_ns) if place % LOOK_SLOTS == 0 else None
        if job is None:
            continue
        value = CouplingValue(
            computed_ns=at_ns, source=Source.SIMULATED, assets=(BTC, ETH), pairs=(),
            spillover=compute_spillover(job), systemic=None,
        )  # fmt: skip
        events += watch.observe(None, None, value, {}, at_ns, term=None)
        looks.append(place)
    days = (paths.at_ns[looks] - START_NS) / NANOS_PER_DAY
    total, error = (made[looks] for made in storm_totals(scenario, paths, begin))
    surge = np.array(
        [
            total[n] - np.average(total[:n], weights=0.5 ** (days[n] - days[:n])) if n else 0.0
            for n in range(len(looks))
        ]
    )
    low, high = surge - ERRORS * error, surge + ERRORS * error
    told = [(event.computed_ns - START_NS) / NANOS_PER_DAY for event in events]
    surely = int(np.argmax(low >= 15.0))
    record_property("measured", f"surge of {surge.max():.0f} points; days {told}")

    assert low.max() > 15.0
    assert [(event.rule, event.edge) for event in events] == [
        (Rule.SPILLOVER_SURGE, Edge.RAISED), (Rule.SPILLOVER_SURGE, Edge.CLEARED)
    ]  # fmt: skip
    assert max(CALM_DAYS, days[np.argmax(high >= 15.0)]) <= told[0] <= days[surely]
    assert days[surely:][low[surely:] <= 5.0][0] <= told[1]
    assert told[1] <= days[surely:][high[surely:] <= 5.0][0]


@pytest.mark.parametrize("seed", [1, 2])
def test_the_leader_gives_and_the_follower_takes(seed: int) -> None:
    """ETH hears one slot later: it gets 11 c^2 / (11 c^2 + 12 (1 - c^2)) from BTC, BTC nothing.

    The innovation of ETH is what BTC's last one leaves open, of variance 1 - c^2; in eleven of the
    twelve steps c times BTC's shock is in ETH. Error of the share as of a correlation c.
    """
    c = 0.8
    net, total, rows = spill(
        Scenario(vol_correlation=c, spot_correlation=c, lead_seconds=SLOT_SECONDS), 6.5, seed
    )
    share = 11.0 * c * c / (11.0 * c * c + 12.0 * (1.0 - c * c))
    bound = 100.0 * ERRORS * 2.0 * c / sqrt(rows)

    assert net[BTC] == pytest.approx(100.0 * share, abs=bound)
    assert net[ETH] == pytest.approx(-100.0 * share, abs=bound)
    assert total == pytest.approx(50.0 * share, abs=bound)


@pytest.mark.parametrize(("wanted", "seed"), [(1.0, 1), (3.0, 2)])
def test_vol_of_vol_is_the_law_s(wanted: float, seed: int, record_property: Tell) -> None:
    """A day and a half of the index once a second, with the noise of quotes on it.

    The noise is 0.1 % and forgotten after 3 s. Per unit of variance the squared overlapping changes
    of 300 and 60 s have a long-run variance of 2 (2/3 300^3 + 2/3 60^3 - 2 (60^2 240 + 2/3 60^3))
    / 240^2 = 560 s, so the root's relative error is sqrt(560 / T) / 2, with T the time of equal
    weight behind the average.
    """
    seconds = 129_600
    paths = walk(Scenario(vol_of_vol=wanted), seconds // 10, 10.0, seed)
    random = np.random.default_rng(seed)
    noise = 0.0
    keep = np.exp(-1.0 / 3.0)
    state = LevelState()
    shocks = 1e-3 * sqrt(1.0 - keep * keep) * random.standard_normal(seconds)
    index = np.log(paths.points[:, 0])
    # Brownian bridges of the law's own deviation fill the seconds between the steps.
    fine = bridged(index, true_deviation(paths)[0], 10, random)
    for second in range(seconds):
        noise = keep * noise + shocks[second]
        state.observe(
            100.0 * 0.5 * np.exp(fine[second] + noise), START_NS + second * NANOS_PER_SECOND
        )
    reading, _ = state.reading(START_NS + (seconds - 1) * NANOS_PER_SECOND)
    truth = 100.0 * true_deviation(paths)[0]
    span = effective_count(NANOS_PER_DAY, seconds * NANOS_PER_SECOND, NANOS_PER_SECOND)
    bound = ERRORS * sqrt(560.0 / span) / 2.0
    record_property("measured", f"vol of vol {reading.vol_of_vol:.1f}, true {truth:.1f} points")

    assert reading.vol_of_vol == pytest.approx(truth, rel=bound)


def bridged(level: F64, deviation: float, parts: int, random: np.random.Generator) -> F64:
    """A path through given levels at each `parts`-th second."""
    steps = len(level) - 1
    root = deviation / sqrt(NANOS_PER_YEAR / NANOS_PER_SECOND)
    walks = np.cumsum(root * random.standard_normal((steps, parts)), axis=1)
    shares = np.arange(1, parts + 1) / parts
    tied = walks - shares * walks[:, -1:]
    inner = level[:-1, None] + shares * np.diff(level)[:, None] + tied
    return np.concatenate((level[:1], inner.ravel()))[: steps * parts]


@pytest.fixture(scope="module", params=[1, 2])
def realized(
    request: pytest.FixtureRequest,
) -> tuple[RealizedReading, RealizedReading, Paths, Paths]:
    """33 days in minutes; and one more day, in its last hour by the second."""
    minutes = walk(Scenario(), 33 * 1440, 60.0, request.param)
    state = RealizedState()
    feed(state, minutes)
    of_days, _ = state.reading(int(minutes.at_ns[-1]))
    end_ns = int(minutes.at_ns[-1])
    seconds = walk(Scenario(), 3_700, 1.0, request.param + 10, start_ns=end_ns)
    hour = RealizedState()
    feed(hour, seconds)
    of_hour, _ = hour.reading(int(seconds.at_ns[-1]))
    return of_days, of_hour, minutes, seconds


def feed(state: RealizedState, paths: Paths, number: int = 0) -> None:
    """One asset's prices."""
    for at_ns, price in zip(paths.at_ns.tolist(), paths.spot[:, number].tolist(), strict=True):
        state.price(price, at_ns)


OF_DAYS = {
    "close_close": 2.0 * 30 / 29, "parkinson": 0.407, "garman_klass": 0.27,
    "rogers_satchell": 0.33, "yang_zhang": 0.27, "trailing_30d": 1.36 / 288.0,
}  # fmt: skip
"""n Var / sigma^4 of each; of 5-minute returns on five grids 2 (2/3 + 1/75) a return."""


@pytest.mark.parametrize("name", OF_DAYS)
def test_realized_of_thirty_days_is_the_path_s_variance(
    realized: tuple[RealizedReading, RealizedReading, Paths, Paths], name: str
) -> None:
    """Root of the mean of the true variance; the spread of a day's variance over the days adds.

    A range seen once a minute is a little too small: 0.9 sigma / sqrt(1440) each side, 2 %.
    """
    reading, _, paths, _ = realized
    end_ns = int(paths.at_ns[-1])
    truth = float(integrated(paths, end_ns - 30 * NANOS_PER_DAY, end_ns)[0])
    bias = 0.0 if name in {"close_close", "trailing_30d"} else 0.025
    bound = ERRORS * 0.5 * sqrt(OF_DAYS[name] / 30.0) + bias

    assert getattr(reading, name) == pytest.approx(100.0 * sqrt(truth), rel=bound)


def test_realized_of_a_day_and_of_an_hour_is_the_path_s_variance(
    realized: tuple[RealizedReading, RealizedReading, Paths, Paths],
) -> None:
    """288 five-minute returns on five grids (bipower: 2.61 of 2 as much), 3,600 of a second."""
    reading, of_hour, minutes, seconds = realized
    end_ns = int(minutes.at_ns[-1])
    truth = 100.0 * sqrt(float(integrated(minutes, end_ns - NANOS_PER_DAY, end_ns)[0]))
    error = 0.5 * sqrt(1.36 / 288.0)

    assert reading.five_minute == pytest.approx(truth, rel=ERRORS * error)
    assert reading.bipower == pytest.approx(truth, rel=ERRORS * error * sqrt(2.61 / 2.0))
    # BV / RV of no jumps: its error is sqrt(0.61 / n).
    assert reading.jump_share == pytest.approx(0.0, abs=ERRORS * sqrt(0.61 / 288.0))
    end_ns = int(seconds.at_ns[-1])
    truth = 100.0 * sqrt(float(integrated(seconds, end_ns - NANOS_PER_HOUR, end_ns)[0]))
    assert of_hour.one_second == pytest.approx(truth, rel=ERRORS * 0.5 * sqrt(2.0 / 3600.0))


def test_ewma_is_the_weighted_variance_of_the_path(
    realized: tuple[RealizedReading, RealizedReading, Paths, Paths],
) -> None:
    """0.94 a day over 33 days of true variances, of (1 + l) / (1 - l) = 32 days of equal weight."""
    reading, _, paths, _ = realized
    end_ns = int(paths.at_ns[-1])
    ages = np.arange(33)
    days = [
        float(integrated(paths, end_ns - (a + 1) * NANOS_PER_DAY, end_ns - a * NANOS_PER_DAY)[0])
        for a in range(33)
    ]
    truth = 100.0 * sqrt(float(np.average(days, weights=0.94**ages)))

    assert reading.ewma == pytest.approx(truth, rel=ERRORS * 0.5 * sqrt(1.36 / 288.0 / 27.0))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_jump_share_is_that_of_the_jumps(seed: int) -> None:
    """Twelve jumps of 1.5 % a day: their squares over all of the variance, two days.

    Both parts of the share have errors: sqrt(0.61 / 288) of the continuous variance, and what
    bipower takes of each jump between two returns of mean size s: pi/2 2 |J| s; and of two jumps
    less than ten minutes apart pi/2 |J J'|.
    """
    jumps = Jumps(per_day=12.0, deviation=0.015)
    paths = walk(Scenario(jumps=jumps), 2 * 1440, 60.0, seed)
    calm = walk(Scenario(), 2 * 1440, 60.0, seed)
    state = RealizedState()
    feed(state, paths)
    reading, _ = state.reading(int(paths.at_ns[-1]))
    sizes = (np.diff(np.log(paths.spot[:, 0])) - np.diff(np.log(calm.spot[:, 0])))[-1440:]
    continuous = float(integrated(paths, int(paths.at_ns[-1]) - NANOS_PER_DAY,
                                  int(paths.at_ns[-1]))[0]) / 365.0  # fmt: skip
    jumped = float(np.sum(sizes**2))
    total = continuous + jumped
    mean_return = sqrt(2.0 / pi) * sqrt(continuous / 288.0)
    leak = pi / 2.0 * 2.0 * float(np.abs(sizes[np.abs(sizes) > 1e-4]).sum()) * mean_return
    at = np.flatnonzero(np.abs(sizes) > 1e-4)
    leak += (
        pi / 2.0 * sum(abs(float(sizes[a] * sizes[b])) for a in at for b in at if a < b < a + 10)
    )
    bound = (ERRORS * sqrt(2.61 / 288.0) * continuous + leak) / total

    assert reading.jump_share == pytest.approx(jumped / total, abs=bound)


@pytest.mark.parametrize(("response", "seed"), [(-0.15, 1), (0.0, 2)])
def test_jump_response_is_the_scenario_s(response: float, seed: int, record_property: Tell) -> None:
    """Jumps of 2 % in BTC, ETH's volatility answers by `response` of it 300 s later.

    Against the noise of five minutes of ETH's index the correlation is
    response sd / sqrt(response^2 sd^2 + noise^2), sd that of jumps beyond the threshold.
    """
    jumps = Jumps(per_day=10.0, deviation=0.02, response=response)
    paths = walk(Scenario(jumps=jumps), 8 * 24 * 180, 20.0, seed)
    coupling, realized = Coupling(RulesSettings().decoupling), RealizedState()
    found, reading = 0, None
    for at_ns, price, (x, y) in zip(
        paths.at_ns.tolist(), paths.spot[:, 0].tolist(), paths.points.tolist(), strict=True
    ):
        realized.price(price, at_ns)
        coupling.observe(BTC, x, at_ns)
        coupling.observe(ETH, y, at_ns)
        if at_ns % (5 * GRID_NS) == 0:
            jump = realized.latest_jump(at_ns)
            if jump is not None:
                found += jump.ended_ns == at_ns
                coupling.jump(BTC, jump.size, jump.ended_ns)
            reading = coupling.reading(at_ns)
    assert reading is not None
    deviation = true_deviation(paths)[1] * sqrt(300e9 / NANOS_PER_YEAR)
    limit = 4.0 * sqrt(float(paths.variance[:, 0].mean()) / 105_120.0) / jumps.deviation
    beyond = 1.0 + limit * norm.pdf(limit) / norm.sf(limit)
    signal = response * jumps.deviation * sqrt(beyond)
    truth = signal / sqrt(signal**2 + deviation**2)
    bound = ERRORS * (1.0 - truth**2) / sqrt(found) + 0.05
    told = reading.pairs[0].jump_response
    record_property("measured", f"{found} jumps: response {told}, expected {truth:.2f}")

    assert found >= 40
    assert told == pytest.approx(truth, abs=bound)


@pytest.mark.parametrize(("agitation", "sign"), [(0.7, 1.0), (1.4, -1.0)])
def test_premium_has_the_sign_of_implied_less_realised(agitation: float, sign: float) -> None:
    """Spots that move 0.7 or 1.4 times as much as their options say, for 160 days."""
    paths = walk(Scenario(vol_of_vol=0.5), 160 * 48, 1800.0, 5, agitation=agitation)
    bars, closes = daily(paths)
    realized, premium = RealizedState(), PremiumState()
    realized.seed(bars, [])
    premium.seed(closes)
    now_ns = int(paths.at_ns[-1])
    value = float(paths.points[-1, 0])
    premium.observe(value, now_ns)
    known, _ = realized.reading(now_ns)
    reading, lacks = premium.reading(known, now_ns)
    month = 100.0 * sqrt(float(integrated(paths, now_ns - 30 * NANOS_PER_DAY, now_ns)[0]))
    # Garman-Klass of half-hours: 0.27 / 30, and ranges of 48 looks 0.9 / sqrt(48) = 13 % too small.
    error = ERRORS * 0.5 * sqrt(0.27 / 30.0) + 0.13

    assert lacks == {}
    for form in ("ex_ante", "trailing", "ex_post"):
        assert sign * getattr(reading, f"{form}_points") > 0.0
        assert sign * getattr(reading, f"{form}_variance") > 0.0
    assert reading.trailing_points == pytest.approx(value - month, abs=error * month)


def daily(paths: Paths) -> tuple[list[Bar], list[tuple[int, float]]]:
    """Bars of BTC's UTC days, and the index at their ends."""
    per_day = int(NANOS_PER_DAY // (paths.at_ns[1] - paths.at_ns[0]))
    bars, closes = [], []
    for first in range(0, len(paths.at_ns) - per_day, per_day):
        prices = paths.spot[first : first + per_day + 1, 0]
        ends = (prices[0], prices.max(), prices.min(), prices[-1])
        bars.append(Bar(int(paths.at_ns[first]), *map(float, ends)))
        closes.append((int(paths.at_ns[first]), float(paths.points[first + per_day, 0])))
    return bars, closes


NO_FLOW = FlowReading(imbalance=None, vega_flow=None, depth=None, depth_reference=None)
NO_LEVERAGE = LeverageReading(
    funding_rates={}, funding_mean=None, funding_spread=None, open_interest=None,
    open_interest_ratio=None,
)  # fmt: skip
WARM_DAYS = 20


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_scaled_position_has_the_target_s_volatility(seed: int, record_property: Tell) -> None:
    """A hundred days at 35 points and as many at 87: within 10 % of 40 points.

    The same mean exposure held constant is not. The error of the realised volatility itself is
    0.5 sqrt(2 / 51,840) = 0.3 %; the rest is the delay of the blend after the switch, whose half
    (realised, 0.94 a day) forgets in 16 days.
    """
    days = 100
    switches = (
        Switch(at_seconds=0.0, level=0.7),
        Switch(at_seconds=days * 86_400.0, level=2.5),
    )
    paths = walk(Scenario(switches=switches), 2 * days * 288, 300.0, seed)
    scaling, realized = ScalingState(ScalingSettings()), RealizedState()
    held = np.full(len(paths.at_ns), np.nan)
    known = None
    for place, (at_ns, price, points) in enumerate(
        zip(paths.at_ns.tolist(), paths.spot[:, 0].tolist(), paths.points[:, 0].tolist(),
            strict=True)
    ):  # fmt: skip
        realized.price(price, at_ns)
        if at_ns % NANOS_PER_DAY == 0:
            known, _ = realized.reading(at_ns)
        ewma = None if known is None else known.ewma
        reading, _ = scaling.observe(points, ewma, NO_FLOW, NO_LEVERAGE, at_ns)
        held[place] = np.nan if reading.exposure is None else reading.exposure
    returns = np.diff(paths.spot[:, 0]) / paths.spot[:-1, 0]
    late = slice(WARM_DAYS * 288, None)
    exposure, returns = held[:-1][late], returns[late]

    def points_of(gains: F64) -> float:
        return 100.0 * sqrt(float(np.mean(gains**2)) * 105_120.0)

    scaled, constant = points_of(exposure * returns), points_of(exposure.mean() * returns)
    record_property("measured", f"seed {seed}: scaled {scaled:.1f}, constant {constant:.1f}")

    assert scaled == pytest.approx(40.0, rel=0.1)
    assert abs(constant - 40.0) > 4.0
