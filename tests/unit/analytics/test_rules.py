"""What each rule looks at."""

import math
import random

import pandas as pd
import pytest
from msgspec.structs import replace

from fakes.records import index_value
from volgauge.analytics import rules
from volgauge.domain.analytics import (
    PairCoupling,
    PremiumReading,
    RegimeReading,
    Rule,
    SpilloverReading,
)
from volgauge.domain.index import Status, VenueValue
from volgauge.domain.instrument import Asset, Venue

BTC, ETH = Asset("BTC"), Asset("ETH")
SECOND = 10**9


def pair(spread_z: float | None) -> PairCoupling:
    """A pair of which only the z-score matters."""
    return PairCoupling(
        first=BTC, second=ETH, correlations={}, hayashi_yoshida=None, lead_seconds=None,
        lead_ratio=None, beta=None, r_squared=None, spread=None, spread_z=spread_z, decoupled=None,
        decoupled_since_ns=None, jump_response=None, reverse_jump_response=None, n_observations=0,
        seconds=0.0,
    )  # fmt: skip


def spillover(total: float | None, at_ns: int) -> SpilloverReading:
    """A reading of which only the total matters."""
    return SpilloverReading(
        assets=(BTC, ETH), table=(), total=total, to_others={}, from_others={}, net={},
        n_observations=500, at_ns=at_ns,
    )  # fmt: skip


def premium(points: float | None) -> PremiumReading:
    """A premium of which only the ex-ante one matters."""
    return PremiumReading(
        ex_ante_variance=None, ex_ante_points=points, trailing_variance=None, trailing_points=None,
        ex_post_variance=None, ex_post_points=None,
    )  # fmt: skip


def noisy_path(seed: int, steps: int) -> list[tuple[int, float | None]]:
    """Irregular times over some windows; jumps, gaps and quiet stretches."""
    draw = random.Random(seed)  # noqa: S311 - test data
    now_ns, level = 1_795_000_000 * SECOND, 60.0
    path: list[tuple[int, float | None]] = []
    for _ in range(steps):
        now_ns += draw.choice([1, 1_000_000, 300_000_000, SECOND, 17 * SECOND])
        level *= math.exp(draw.gauss(0.0, 0.05 if draw.random() < 0.05 else 0.003))
        path.append((now_ns, None if draw.random() < 0.1 else level))
    return path


@pytest.mark.parametrize("window", [1.0, 60.0, 300.0])
@pytest.mark.parametrize("seed", range(4))
def test_spike_and_collapse_measure_against_the_windows_extremes(seed: int, window: float) -> None:
    """Against all values since the last 600th of the window at or before its begin."""
    spike, collapse = rules.Spike(window), rules.Collapse(window)
    step_ns = int(window * SECOND) // 600
    seen: list[tuple[int, float]] = []

    for now_ns, value in noisy_path(seed, 600):
        rise = spike.observe(BTC, value, now_ns).value
        drop = collapse.observe(BTC, value, now_ns).value
        if value is None:
            assert (rise, drop) == (None, None)
            continue
        seen.append((now_ns, value))
        begin_ns = (now_ns - int(window * SECOND)) // step_ns * step_ns
        inside = [v for t, v in seen if t >= begin_ns]
        assert rise == value / min(inside) - 1.0
        assert drop == max(inside) - value


def test_a_long_window_of_fast_values_keeps_little() -> None:
    """A day of ten rising, then falling values a second would be most; 602 are kept at most."""
    spike, collapse = rules.Spike(600.0), rules.Collapse(600.0)
    for step in range(100_000):
        value = 50.0 + min(step, 100_000 - step) * 1e-4
        spike.observe(BTC, value, step * SECOND // 100)
        collapse.observe(BTC, value, step * SECOND // 100)
        assert len(spike._window._kept) <= rules.WINDOW_STEPS + 2
        assert len(collapse._window._kept) <= rules.WINDOW_STEPS + 2


@pytest.mark.parametrize(
    ("status", "value", "judged"),
    [
        (Status.OK, 52.0, 52.0), (Status.SINGLE_VENUE, 52.0, 52.0), (Status.DEGRADED, 52.0, 52.0),
        (Status.GUARD, 52.0, None), (Status.STALE, 52.0, None), (Status.HALTED, None, None),
        (Status.WARMING, None, None), (Status.OK, math.nan, None), (Status.OK, 0.0, None),
    ],
)  # fmt: skip
def test_only_an_index_of_now_is_judged(
    status: Status, value: float | None, judged: float | None
) -> None:
    """A held or stale value repeats the past."""
    assert rules.judged_value(index_value(1, value=value, status=status)) == judged


@pytest.mark.parametrize(
    ("band", "value"),
    [("very_low", 1.0), ("low", 0.0), ("normal", 0.0), ("high", 0.0), ("very_high", 1.0),
     (None, None)],
)  # fmt: skip
def test_an_outermost_adaptive_band_counts(band: str | None, value: float | None) -> None:
    """The absolute band does not."""
    regime = RegimeReading(
        absolute="extreme", absolute_since_ns=1, adaptive=band, adaptive_since_ns=1
    )

    assert rules.band_change(BTC, regime).value == value


@pytest.mark.parametrize(
    ("term", "value"),
    [
        ({"30d": 60.0, "7d": 64.5, "180d": 62.0}, 2.5),
        ({"7d": 60.0, "180d": 62.0}, -2.0),
        ({"7d": None, "30d": 60.0, "180d": 62.0}, None),
        ({"7d": 60.0, "180d": None}, None),
        ({"30d": 60.0}, None),
        ({}, None),
        ({"0.5d": 61.0, "7d": 80.0, "30d": 60.0}, 1.0),
    ],
)
def test_inversion_is_the_shortest_tenor_less_the_longest(
    term: dict[str, float | None], value: float | None
) -> None:
    """Tenors are ordered by their days, not as they come."""
    assert rules.inversion(BTC, term).value == value


@pytest.mark.parametrize(("z", "value"), [(2.6, 2.6), (-2.6, 2.6), (None, None)])
def test_decoupling_looks_at_the_size_of_z(z: float | None, value: float | None) -> None:
    """Told on the first asset's channel, named by the pair."""
    [seen] = rules.decoupling([pair(z)])

    assert (seen.rule, seen.subject, seen.asset, seen.value) == (
        Rule.DECOUPLING, "BTC-ETH", BTC, value,
    )  # fmt: skip


def test_the_surge_is_the_total_less_its_slow_average() -> None:
    """Against pandas' time-weighted EWM of the readings before; None in the first 24th."""
    draw = random.Random(3)  # noqa: S311 - test data
    half_life = 7200.0
    times = [1_795_000_000]
    totals = [draw.uniform(20.0, 40.0)]
    for _ in range(80):
        times.append(times[-1] + draw.choice([60, 300, 301, 4000]))
        totals.append(draw.uniform(20.0, 60.0))
    series = pd.Series(totals)
    averages = series.ewm(
        halflife=pd.Timedelta(seconds=half_life), times=pd.to_datetime(times, unit="s")
    ).mean()
    rule = rules.SpilloverSurge(half_life)

    for place, (at, total) in enumerate(zip(times, totals, strict=True)):
        told = [rule.observe(spillover(total, at * SECOND)).value for _ in range(3)]
        assert len(set(told)) == 1
        if at - times[0] < half_life / 24:
            assert told[0] is None
        else:
            assert told[0] == pytest.approx(total - averages[place - 1], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("reading", [None, spillover(None, 5), spillover(math.nan, 5)])
def test_unknown_spillovers_are_not_judged(reading: SpilloverReading | None) -> None:
    """Nor do they move the average."""
    rule = rules.SpilloverSurge(24.0)
    rule.observe(spillover(30.0, SECOND))
    assert rule.observe(reading).value is None

    assert rule.observe(spillover(40.0, 3 * SECOND)).value == pytest.approx(10.0)


@pytest.mark.parametrize("points", [-1.5, 0.0, 2.0, None])
def test_the_premium_is_the_ex_ante_one(points: float | None) -> None:
    """In points."""
    assert rules.premium_sign(BTC, premium(points)).value == points


@pytest.mark.parametrize(
    ("status", "value"),
    [(Status.OK, 0.0), (Status.SINGLE_VENUE, 0.0), (Status.DEGRADED, 0.0), (Status.GUARD, 0.0),
     (Status.STALE, 1.0), (Status.HALTED, 1.0), (Status.WARMING, None)],
)  # fmt: skip
def test_stale_and_halted_are_stale(status: Status, value: float | None) -> None:
    """Warming is not judged."""
    assert rules.stale(index_value(1, status=status)).value == value


def test_each_book_is_a_subject() -> None:
    """By asset and label; only `in` is in."""
    states = {"deribit": "in", "okx:USD_UM": "out", "okx": "warming", "bybit": "down"}
    index = replace(
        index_value(1, asset="ETH", status=Status.OK),
        venues={Venue(n): VenueValue(value=None, weight=0.0, state=s) for n, s in states.items()},
    )
    seen = rules.venue_out(index)

    assert {(o.subject, o.asset, o.value) for o in seen} == {
        ("ETH:deribit", ETH, 0.0), ("ETH:okx:USD_UM", ETH, 1.0), ("ETH:okx", ETH, 1.0),
        ("ETH:bybit", ETH, 1.0),
    }  # fmt: skip
    warming = rules.venue_out(replace(index, status=Status.WARMING))
    assert {o.value for o in warming} == {None}


def test_coverage_is_of_the_market() -> None:
    """One subject a venue."""
    [seen] = rules.coverage_lost({"okx": 0.98})

    assert (seen.subject, seen.asset, seen.value) == ("okx", "ALL", 0.98)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.4, "0 s"), (45, "45 s"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"),
     (3601, "1 h"), (86_400, "24 h"), (200_000, "2 d 7 h"), (172_800, "48 h")],
)  # fmt: skip
def test_spans_are_told_in_two_units(seconds: float, words: str) -> None:
    """As a person says them."""
    assert rules.in_words(seconds) == words
