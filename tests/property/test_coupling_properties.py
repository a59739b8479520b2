"""Coupling: what holds for any ticks, any units and any rate of reading."""

from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volgauge.analytics.coupling import Coupling, systemic_share
from volgauge.analytics.spillover import decompose
from volgauge.domain.analytics import PairCoupling
from volgauge.domain.instrument import Asset
from volgauge.kernels.hayashi import scan_lags
from volgauge.settings import RulesSettings

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND
BTC, ETH = Asset("BTC"), Asset("ETH")

SEEDS = st.integers(0, 2**32 - 1)

Observation = tuple[int, Asset, float | None]


@st.composite
def ticks(draw: st.DrawFn) -> tuple[list[int], list[float]]:
    """Up to 25 ticks at whole instants, so that many coincide."""
    at = sorted(draw(st.lists(st.integers(0, 60), min_size=1, max_size=25, unique=True)))
    steps = st.floats(-1.0, 1.0, allow_subnormal=False)
    return at, draw(st.lists(steps, min_size=len(at), max_size=len(at)))


@given(ticks(), ticks(), st.integers(1, 9))
def test_every_lag_is_the_double_sum(
    first: tuple[list[int], list[float]], second: tuple[list[int], list[float]], step: int
) -> None:
    """Hayashi-Yoshida at any instants, equal ones among them, at lags beyond the ends."""
    covariance = np.empty(2 * 10 + 1)
    scan_lags(
        np.array(first[0]), np.array(first[1]), np.array(second[0]), np.array(second[1]), step,
        covariance,
    )  # fmt: skip

    (s, x), (t, y) = first, second
    for lag in range(-10, 11):
        expected = sum(
            (x[i] - x[i - 1]) * (y[j] - y[j - 1])
            for i in range(1, len(s))
            for j in range(1, len(t))
            if max(s[i - 1], t[j - 1] - lag * step) < min(s[i], t[j] - lag * step)
        )
        assert isclose(covariance[lag + 10], expected, rel_tol=1e-12, abs_tol=1e-12)


def market_of(seed: int) -> list[Observation]:
    """Forty minutes of two correlated indices with halts, at irregular seconds."""
    rng = np.random.default_rng(seed)
    made: list[Observation] = []
    common = np.cumsum(rng.standard_normal(2400)) * 2e-4
    for asset in (BTC, ETH):
        level = 4.0 + common + np.cumsum(rng.standard_normal(2400)) * 2e-4
        for second in range(2400):
            if rng.random() < 0.5:
                value = None if rng.random() < 0.001 else float(np.exp(level[second]))
                made.append((START + second * SECOND + int(rng.integers(SECOND)), asset, value))
    return sorted(made, key=lambda observation: observation[0])


def run(market: list[Observation], every_seconds: int, factor: float = 1.0) -> PairCoupling:
    """Feed it and read every so many seconds; the last reading is at the end."""
    coupling = Coupling(RulesSettings().decoupling)
    due = START
    for at_ns, asset, value in market:
        while at_ns >= due:
            coupling.reading(due)
            due += every_seconds * SECOND
        coupling.observe(asset, None if value is None else value * factor, at_ns)
    (pair,) = coupling.reading(START + 2400 * SECOND).pairs
    return pair


def are_close(left: float | None, right: float | None) -> bool:
    """Equal up to rounding, or both null."""
    if left is None or right is None:
        return left is right
    return isclose(left, right, rel_tol=1e-6, abs_tol=1e-9)


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.integers(2, 300))
def test_synchronous_readings_do_not_depend_on_the_rate_of_reading(
    seed: int, every_seconds: int
) -> None:
    """Once a second or once in five minutes: the same changes, bit for bit."""
    market = market_of(seed)
    often, seldom = run(market, 1), run(market, every_seconds)

    assert often.correlations == seldom.correlations
    assert often.n_observations == seldom.n_observations


@settings(deadline=None, max_examples=10)
@given(SEEDS, st.floats(0.1, 10.0))
def test_the_unit_of_the_index_does_not_matter(seed: int, factor: float) -> None:
    """Points or decimals: every reading but the level is the same up to rounding."""
    market = market_of(seed)
    points, scaled = run(market, 60), run(market, 60, factor)

    for name in ("hayashi_yoshida", "lead_seconds", "lead_ratio", "spread"):
        assert are_close(getattr(points, name), getattr(scaled, name))
    assert are_close(points.correlations["1h"], scaled.correlations["1h"])


@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_the_gauge_lies_between_zero_and_one(seed: int, n: int) -> None:
    """For any correlation matrix, and it does not depend on the order of the assets."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n + 1))
    covariance = root @ root.T
    scale = np.sqrt(np.diag(covariance))
    matrix = covariance / np.outer(scale, scale)
    order = rng.permutation(n)

    share = systemic_share(matrix)
    assert 0.0 <= share <= 1.0
    assert isclose(share, systemic_share(matrix[np.ix_(order, order)]), abs_tol=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_the_decomposition_knows_neither_units_nor_order(seed: int, n: int) -> None:
    """Scaling the series changes nothing, and reordering them reorders the table."""
    rng = np.random.default_rng(seed)
    coefficients = rng.uniform(-0.2, 0.2, (2, n, n))
    root = rng.standard_normal((n, n + 2))
    covariance = root @ root.T
    table = decompose(coefficients, covariance)
    scale = rng.uniform(0.5, 2.0, n)
    scaled = decompose(
        coefficients * scale[:, None] / scale[None, :], covariance * np.outer(scale, scale)
    )
    order = rng.permutation(n)
    grid = np.ix_(order, order)
    reordered = decompose(coefficients[:, order][:, :, order], covariance[grid])

    assert scaled == pytest.approx(table, rel=1e-9)
    assert reordered == pytest.approx(table[grid], rel=1e-9)
    assert table.sum(axis=1) == pytest.approx(np.full(n, 100.0))
