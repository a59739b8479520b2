"""All pairs at once: the grid, gaps, seeds, the gauge, and what is missing."""

from math import exp, log, nan, sqrt

import numpy as np
import pandas as pd
import pytest
from msgspec.structs import asdict

from volgauge.analytics.coupling import Coupling, CouplingReading, systemic_share
from volgauge.analytics.hayashi import LagReading
from volgauge.analytics.pair import Decoupling, Pair
from volgauge.analytics.spillover import compute_spillover
from volgauge.domain.analytics import Lack, PairCoupling
from volgauge.domain.instrument import Asset
from volgauge.kernels._jit import F64
from volgauge.settings import RuleSettings, RulesSettings

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_800_000_000 * SECOND
BTC, ETH, SOL = Asset("BTC"), Asset("ETH"), Asset("SOL")
READINGS = (
    "correlations.1h", "correlations.1d", "correlations.7d", "hayashi_yoshida", "lead_seconds",
    "lead_ratio", "beta", "r_squared", "spread", "spread_z", "decoupled", "jump_response",
    "reverse_jump_response",
)  # fmt: skip


def walks(seed: int, n: int, rho: float, assets: int = 2) -> F64:
    """(n, assets) ln(index), changes of one minute of 0.1 %; each correlated with the first."""
    rng = np.random.default_rng(seed)
    e = rng.standard_normal((n, assets)) * 1e-3
    e[:, 1:] = rho * e[:, :1] + np.sqrt(1.0 - rho * rho) * e[:, 1:]
    walk: F64 = 4.0 + np.cumsum(e, axis=0)
    return walk


def play(coupling: Coupling, levels: F64, *assets: Asset, start_ns: int = START) -> int:
    """Observe a level each minute, half a minute before its point of the grid; give the end."""
    for minute, row in enumerate(levels):
        at_ns = start_ns + minute * MINUTE
        for asset, level in zip(assets, row, strict=True):
            coupling.observe(asset, exp(level), at_ns + 30 * SECOND)
        coupling.reading(at_ns + MINUTE)
    return start_ns + len(levels) * MINUTE


def pair_of(reading: CouplingReading, name: str = "BTC-ETH") -> PairCoupling:
    """By name."""
    (found,) = [pair for pair in reading.pairs if f"{pair.first}-{pair.second}" == name]
    return found


def ewm_correlation(levels: F64, half_life: float) -> float:
    """By pandas, means taken as zero."""
    x, y = np.diff(levels, axis=0).T
    xx, xy, yy = (
        float(pd.Series(product).ewm(halflife=half_life).mean().iloc[-1])
        for product in (x * x, x * y, y * y)
    )
    return xy / sqrt(xx * yy)


def test_one_asset_has_no_pair() -> None:
    """Neither pairs nor a gauge, and the gauge says why."""
    coupling = Coupling(RulesSettings().decoupling)
    coupling.observe(BTC, 50.0, START)
    reading = coupling.reading(START + SECOND)

    assert reading.assets == (BTC,)
    assert reading.pairs == ()
    assert reading.systemic is None
    assert reading.missing == {
        "systemic": Lack.TOO_LITTLE_HISTORY,
        "spillover": Lack.TOO_LITTLE_HISTORY,
    }


def test_assets_and_pairs_stand_in_alphabetical_order() -> None:
    """Whatever came first."""
    coupling = Coupling(RulesSettings().decoupling)
    for asset in (SOL, BTC, ETH):
        coupling.observe(asset, 50.0, START)
    reading = coupling.reading(START)

    assert reading.assets == (BTC, ETH, SOL)
    assert [(p.first, p.second) for p in reading.pairs] == [(BTC, ETH), (BTC, SOL), (ETH, SOL)]


def test_correlations_are_those_of_the_minute_changes() -> None:
    """One tick a minute gives the changes that pandas sees."""
    levels = walks(1, 600, 0.7)
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, levels, BTC, ETH)
    pair = pair_of(coupling.reading(now))

    assert pair.correlations["1h"] == pytest.approx(ewm_correlation(levels, 60.0), rel=1e-9)
    assert pair.correlations["1d"] == pytest.approx(ewm_correlation(levels, 1440.0), rel=1e-9)
    assert pair.r_squared == pytest.approx(ewm_correlation(levels, 1440.0) ** 2, rel=1e-9)
    assert pair.n_observations == 599
    assert pair.seconds == 599 * 60.0


def test_the_last_tick_of_a_minute_counts() -> None:
    """Ticks in between do not."""
    levels = walks(2, 100, 0.5)
    coupling, noisy = Coupling(RulesSettings().decoupling), Coupling(RulesSettings().decoupling)
    for minute, row in enumerate(levels):
        for asset, level in zip((BTC, ETH), row, strict=True):
            for second in range(5, 50, 5):
                noisy.observe(asset, exp(level + 0.01 * second), START + minute * MINUTE + second)
            for each in (coupling, noisy):
                each.observe(asset, exp(level), START + minute * MINUTE + 55 * SECOND)
        for each in (coupling, noisy):
            each.reading(START + (minute + 1) * MINUTE)
    now = START + 100 * MINUTE

    assert pair_of(noisy.reading(now)).correlations == pair_of(coupling.reading(now)).correlations


def test_no_change_is_computed_over_a_gap() -> None:
    """A jump of the level while one asset is halted leaves the correlation as it is without."""
    levels = walks(3, 300, 0.7)
    jumped = levels.copy()
    jumped[150:, 1] += 0.5
    coupling = Coupling(RulesSettings().decoupling)
    for minute, row in enumerate(jumped):
        at_ns = START + minute * MINUTE
        coupling.observe(BTC, exp(row[0]), at_ns + 30 * SECOND)
        if minute == 150:
            coupling.observe(ETH, None, at_ns)
        coupling.observe(ETH, exp(row[1]), at_ns + 30 * SECOND)
        coupling.reading(at_ns + MINUTE)
    pair = pair_of(coupling.reading(START + 300 * MINUTE))
    x, y = np.diff(np.vstack([levels]), axis=0).T
    weight = 0.5 ** (np.arange(298, -1, -1) / 60.0)
    weight[149] = 0.0

    expected = (weight * x * y).sum() / np.sqrt((weight * x * x).sum() * (weight * y * y).sum())
    assert pair.n_observations == 298
    assert pair.correlations["1h"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("bad", "lack"),
    [pytest.param(None, Lack.HALTED, id="halted"), pytest.param(nan, Lack.BAD_NUMBER, id="nan")],
)
def test_every_reading_of_a_halted_pair_is_null_with_its_reason(
    bad: float | None, lack: Lack
) -> None:
    """The other pairs go on; the gauge is of the assets that have a value."""
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, walks(4, 600, 0.7, 3), BTC, ETH, SOL)
    before = coupling.reading(now)
    coupling.observe(ETH, bad, now)
    reading = coupling.reading(now)

    for name in ("BTC-ETH", "ETH-SOL"):
        for path in READINGS:
            assert reading.missing[f"pairs.{name}.{path}"] is lack
        numbers = asdict(pair_of(reading, name))
        assert set(numbers.pop("correlations").values()) == {None}
        kept = ("first", "second", "n_observations", "seconds")
        assert {key for key, value in numbers.items() if value is not None} == set(kept)
    assert pair_of(reading, "BTC-SOL").correlations == pair_of(before, "BTC-SOL").correlations
    assert reading.systemic == pytest.approx(
        abs(pair_of(reading, "BTC-SOL").correlations["1d"] or nan), rel=1e-9
    )


def test_all_assets_halted_leave_no_gauge() -> None:
    """One asset alone has nothing to move with."""
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, walks(4, 600, 0.7), BTC, ETH)
    coupling.observe(ETH, None, now)
    reading = coupling.reading(now)

    assert reading.systemic is None
    assert reading.missing["systemic"] is Lack.HALTED


def test_a_null_has_a_reason_and_a_number_has_none() -> None:
    """At every stage `missing` holds exactly the paths of what is None."""
    coupling = Coupling(RulesSettings().decoupling)
    levels = walks(5, 400, 0.6, 3)
    for minute, row in enumerate(levels):
        at_ns = START + minute * MINUTE
        for asset, level in zip((BTC, ETH, SOL), row, strict=True):
            coupling.observe(asset, exp(level) if minute % 97 else None, at_ns + 30 * SECOND)
        reading = coupling.reading(at_ns + MINUTE)
        nulls = {
            f"pairs.{pair.first}-{pair.second}.{path}"
            for pair in reading.pairs
            for path in READINGS
            if (
                pair.correlations[path[-2:]]
                if path.startswith("correlations")
                else getattr(pair, path)
            )
            is None
        }
        nulls |= {n for n in ("systemic", "spillover") if getattr(reading, n) is None}
        assert set(reading.missing) == nulls


def test_constant_indices_do_not_vary() -> None:
    """Standing still is no correlation of any size, and no lead."""
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, np.full((400, 2), 4.0), BTC, ETH)
    reading = coupling.reading(now)

    assert reading.missing["pairs.BTC-ETH.correlations.1h"] is Lack.NO_VARIATION
    assert reading.missing["pairs.BTC-ETH.beta"] is Lack.NO_VARIATION
    assert reading.missing["systemic"] is Lack.NO_VARIATION


def test_spread_and_score_use_the_newest_values() -> None:
    """The spread is ln first - ln second now, the score against the minutes until now."""
    levels = walks(6, 3000, 0.5)
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, levels, BTC, ETH)
    coupling.observe(BTC, 60.0, now)
    coupling.observe(ETH, 55.0, now)
    pair = pair_of(coupling.reading(now))
    weighted = pd.Series(levels[:, 0] - levels[:, 1]).ewm(halflife=7 * 1440)
    mean, deviation = weighted.mean().iloc[-1], weighted.std(bias=True).iloc[-1]

    assert pair.spread == pytest.approx(log(60.0 / 55.0), rel=1e-12)
    assert pair.spread_z == pytest.approx((log(60.0 / 55.0) - mean) / deviation, rel=1e-9)


def test_decoupling_follows_its_two_bounds() -> None:
    """Above 2.5 it parts, between the bounds it stays, below 1.5 it is back; both signs."""
    watch = Decoupling(2.5, 1.5)
    scores = [0.0, 2.5, 2.51, 2.0, 1.5, 1.49, 2.4, -2.6, -1.6, 3.0, 1.0, -2.5]

    seen = [(watch.observe(score, now), watch.since_ns) for now, score in enumerate(scores)]
    assert seen == [
        (False, None), (False, None), (True, 2), (True, 2), (True, 2), (False, None),
        (False, None), (True, 7), (True, 7), (True, 7), (False, None), (False, None),
    ]  # fmt: skip


def test_a_halt_neither_ends_nor_restarts_a_decoupling() -> None:
    """While halted it is null; afterwards the same episode goes on, with its first instant."""
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, walks(7, 3000, 0.5), BTC, ETH)
    coupling.observe(BTC, 200.0, now)
    parted = pair_of(coupling.reading(now))
    coupling.observe(BTC, None, now + SECOND)
    halted = pair_of(coupling.reading(now + SECOND))
    coupling.observe(BTC, 200.0, now + 2 * SECOND)
    back = pair_of(coupling.reading(now + 2 * SECOND))

    assert (parted.decoupled, parted.decoupled_since_ns) == (True, now)
    assert (halted.decoupled, halted.decoupled_since_ns) == (None, None)
    assert (back.decoupled, back.decoupled_since_ns) == (True, now)


def closes(levels: F64, column: int, step: int = MINUTE) -> list[tuple[int, float]]:
    """What history tells: instant of the close and points."""
    return [
        (START + row * step, exp(level)) for row, level in enumerate(levels[:, column].tolist())
    ]


@pytest.mark.parametrize("minutes", [1, 5, 60])
def test_a_seeded_past_is_there_at_once(minutes: int) -> None:
    """At the first reading the correlations, beta and score are those of the past."""
    levels = walks(8, 1300, 0.7)
    coupling = Coupling(RulesSettings().decoupling)
    coupling.seed({a: closes(levels, i, minutes * MINUTE) for i, a in enumerate((BTC, ETH))})
    now = START + 1299 * minutes * MINUTE
    coupling.observe(BTC, 50.0, now + 1)
    coupling.observe(ETH, 40.0, now + 1)
    pair = pair_of(coupling.reading(now + 2))
    weighted = pd.Series(levels[:, 0] - levels[:, 1]).ewm(halflife=7 * 1440 / minutes)
    mean, deviation = weighted.mean().iloc[-1], weighted.std(bias=True).iloc[-1]

    expected = ewm_correlation(levels, 1440 / minutes)
    assert pair.correlations["1d"] == pytest.approx(expected, rel=1e-8)
    if minutes == 1:
        assert pair.spread_z is None  # 1,300 minutes are less than a quarter of 7 days
    else:
        assert pair.spread_z == pytest.approx((log(50 / 40) - mean) / deviation, rel=1e-8)
    assert pair.n_observations == 1299


def test_seeding_after_the_first_observations_counts_nothing_twice() -> None:
    """The past may arrive late, overlap what was seen, and arrive again."""
    levels = walks(9, 900, 0.6)
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, levels[600:], BTC, ETH, start_ns=START + 600 * MINUTE)
    for _ in range(2):
        coupling.seed(
            {
                asset: [(at_ns + MINUTE, value) for at_ns, value in closes(levels[:800], column)]
                for column, asset in enumerate((BTC, ETH))
            }
        )
    coupling.reading(now)
    pair = pair_of(coupling.reading(now))
    weight = 0.5 ** (np.arange(898, -1, -1) / 1440.0)
    weight[599] = 0.0  # from the last past close to the first minute seen
    x, y = np.diff(levels, axis=0).T

    expected = (weight * x * y).sum() / np.sqrt((weight * x * x).sum() * (weight * y * y).sum())
    assert pair.n_observations == 898
    assert pair.correlations["1d"] == pytest.approx(expected, rel=1e-9)


def test_a_missing_close_is_a_gap_and_a_bad_one_is_missing() -> None:
    """Over a close that is absent, zero or NaN no change is taken."""
    levels = walks(10, 500, 0.6)
    first = closes(levels, 0)
    second = closes(levels, 1)
    first[100] = (first[100][0], nan)
    second[200] = (second[200][0], 0.0)
    del second[300]
    coupling = Coupling(RulesSettings().decoupling)
    coupling.seed({BTC: first, ETH: second})
    coupling.observe(BTC, 50.0, START + 499 * MINUTE)
    coupling.observe(ETH, 50.0, START + 499 * MINUTE)

    assert pair_of(coupling.reading(START + 499 * MINUTE)).n_observations == 499 - 6


def test_the_gauge_is_the_mean_correlation_when_all_are_equal() -> None:
    """With equal correlations r of n assets the first eigenvalue is 1 + (n - 1) r."""
    for n in (2, 3, 8):
        matrix = np.full((n, n), 0.4) + 0.6 * np.eye(n)
        assert systemic_share(matrix) == pytest.approx(0.4, rel=1e-12)
    assert systemic_share(np.eye(5)) == 0.0
    assert systemic_share(np.ones((5, 5))) == pytest.approx(1.0, rel=1e-12)


def test_an_asset_without_history_stays_out_of_the_gauge() -> None:
    """The others' gauge stands while a newcomer's correlations are unknown."""
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, walks(11, 600, 0.7), BTC, ETH)
    before = coupling.reading(now)
    coupling.observe(SOL, 90.0, now)
    after = coupling.reading(now)

    assert before.systemic is not None
    assert after.systemic == before.systemic
    assert after.missing["pairs.BTC-SOL.correlations.1d"] is Lack.TOO_LITTLE_HISTORY


def test_lag_readings_take_turns() -> None:
    """With six pairs one scan a second: after six seconds all have been scanned, and by turns."""
    coupling = Coupling(RulesSettings().decoupling)
    assets = [Asset(name) for name in "ABCD"]
    rng = np.random.default_rng(1)
    walk = 4.0 + np.cumsum(rng.standard_normal((1300, 4)) * 2e-4, axis=0)
    known = []
    for second, row in enumerate(walk):
        for asset, level in zip(assets, row, strict=True):
            coupling.observe(asset, exp(level), START + second * SECOND + 7)
        reading = coupling.reading(START + (second + 1) * SECOND)
        known.append(sum(pair.hayashi_yoshida is not None for pair in reading.pairs))
    first = next(second for second, count in enumerate(known) if count)

    assert max(np.diff(known)) == 1
    assert known[first + 10 :] == [6] * (1300 - first - 10)


def test_spillovers_come_from_the_five_minute_levels() -> None:
    """The job holds what was seeded and what was observed, and its result is read back."""
    levels = walks(12, 700, 0.6)
    coupling = Coupling(RulesSettings().decoupling)
    start_ns = START // (5 * MINUTE) * 5 * MINUTE
    coupling.seed(
        {
            asset: [(start_ns + row * 5 * MINUTE, exp(levels[row, column])) for row in range(600)]
            for column, asset in enumerate((BTC, ETH))
        }
    )
    now = start_ns + 599 * 5 * MINUTE
    for row in levels[600:]:
        for asset, level in zip((BTC, ETH), row, strict=True):
            for minute in range(5):
                coupling.observe(asset, exp(level), now + minute * MINUTE + 30 * SECOND)
        now += 5 * MINUTE
        coupling.reading(now)
    job = coupling.spillover_job(now)

    assert job is not None
    assert job.assets == (BTC, ETH)
    assert job.levels[-700:] == pytest.approx(levels, rel=1e-12)
    assert np.isnan(job.levels[:-700]).all()
    coupling.take_spillover(compute_spillover(job))
    reading = coupling.reading(now)
    assert reading.spillover is not None
    assert reading.spillover.n_observations == 698
    assert "spillover" not in reading.missing


def test_a_result_of_long_ago_is_told_no_more() -> None:
    """An hour after the last decomposition the reading is null again."""
    levels = walks(13, 400, 0.6)
    coupling = Coupling(RulesSettings().decoupling)
    start_ns = START // (5 * MINUTE) * 5 * MINUTE
    coupling.seed(
        {
            asset: [(start_ns + row * 5 * MINUTE, exp(levels[row, column])) for row in range(400)]
            for column, asset in enumerate((BTC, ETH))
        }
    )
    now = start_ns + 399 * 5 * MINUTE
    job = coupling.spillover_job(now)
    assert job is not None
    coupling.take_spillover(compute_spillover(job))

    assert coupling.reading(now + 60 * MINUTE).spillover is not None
    late = coupling.reading(now + 60 * MINUTE + 1)
    assert late.spillover is None
    assert late.missing["spillover"] is Lack.TOO_LITTLE_HISTORY


def test_a_pair_parts_and_rejoins_where_the_rule_says() -> None:
    """Thresholds of its own: |z| of 1 is more than 0.9 and, in it, not less than 0.2."""
    pair = Pair(BTC, ETH, RuleSettings(raise_at=0.9, clear_at=0.2))
    at = START + 5 * MINUTE * np.arange(4000)
    steps = np.where(np.arange(4000) % 2 == 0, 1.0, -1.0)
    pair.seed(at, 4.0 + 0.01 * steps, np.full(4000, 4.0))
    none = (Lack.TOO_LITTLE_HISTORY, Lack.TOO_LITTLE_HISTORY)
    apart, wide, near = (
        pair.reading(4.0 + spread, 4.0, none, int(at[-1]) + MINUTE, {})
        for spread in (0.01, 0.005, 0.001)
    )

    assert apart.spread_z == pytest.approx(1.0, abs=0.05)
    assert [reading.decoupled for reading in (apart, wide, near)] == [True, True, False]


def test_lag_readings_of_before_a_halt_are_not_told_after_it() -> None:
    """They are null until the pair is scanned again."""
    pair = Pair(BTC, ETH, RulesSettings().decoupling)
    pair.lags = LagReading(0.5, 7.0, 2.0)
    none = (Lack.TOO_LITTLE_HISTORY, Lack.TOO_LITTLE_HISTORY)
    before = pair.reading(4.0, 4.1, none, START, {})
    pair.reading(4.0, Lack.HALTED, none, START, {})
    missing: dict[str, Lack] = {}
    after = pair.reading(4.0, 4.1, none, START, missing)

    assert (before.hayashi_yoshida, before.lead_seconds, before.lead_ratio) == (0.5, 7.0, 2.0)
    assert after.hayashi_yoshida is None
    assert missing["pairs.BTC-ETH.lead_seconds"] is Lack.TOO_LITTLE_HISTORY


def test_a_pause_in_the_readings_is_bridged_by_no_change() -> None:
    """After two hours without a reading the last hour is made up for, and nothing before it."""
    levels = walks(14, 220, 0.5)
    coupling = Coupling(RulesSettings().decoupling)
    now = play(coupling, levels[:100], BTC, ETH)
    for row in levels[100:]:
        for asset, level in zip((BTC, ETH), row, strict=True):
            coupling.observe(asset, exp(level), now + 30 * SECOND)
        now += MINUTE

    assert pair_of(coupling.reading(now)).n_observations == 99 + 59
