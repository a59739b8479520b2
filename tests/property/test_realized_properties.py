"""What holds of realised volatility, whatever the prices were."""

from math import nan
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from volgauge.analytics import estimators
from volgauge.analytics.bars import Bar, Bars
from volgauge.analytics.har import har_forecast
from volgauge.analytics.realized import RealizedState
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MINUTE

F64 = NDArray[np.float64]
MINUTE = NANOS_PER_MINUTE
START = 20_000 * NANOS_PER_DAY
SHARES = st.floats(0.0, 1.0)
MOVES = st.floats(-0.2, 0.2)
SCALES = st.floats(1e-6, 1e6)


@st.composite
def bars(draw: st.DrawFn, least: int = 2) -> F64:
    """Bars (n, 4) that are sound, flat ones among them."""
    rows = draw(st.lists(st.tuples(MOVES, MOVES, SHARES, SHARES), min_size=least, max_size=12))
    made = []
    for opened, closed, up, down in rows:
        top, bottom = max(opened, closed) + 0.1 * up, min(opened, closed) - 0.1 * down
        made.append([opened, top, bottom, closed])
    prices: F64 = 100.0 * np.exp(np.array(made))
    return prices


def all_of(prices: F64) -> list[float]:
    """Every estimator of bars."""
    return [
        estimators.parkinson(prices),
        estimators.garman_klass(prices),
        estimators.rogers_satchell(prices),
        estimators.yang_zhang(prices[1:], prices[:-1, 3]) if len(prices) > 2 else 0.0,
        estimators.close_close(np.diff(np.log(prices[:, 3]))) if len(prices) > 2 else 0.0,
    ]


@given(bars(3), SCALES)
def test_the_currency_does_not_matter(prices: F64, scale: float) -> None:
    """All prices times a constant: the same variance, to the rounding of the logarithms."""
    assert all_of(prices * scale) == pytest.approx(all_of(prices), rel=1e-9, abs=1e-9)


@given(bars())
def test_variance_is_never_negative(prices: F64) -> None:
    """Of any sound bars, to rounding; and never NaN."""
    assert min(all_of(prices)) >= -1e-12


@given(bars(3), st.randoms(use_true_random=False))
def test_the_order_of_days_does_not_matter_to_range_estimators(prices: F64, random: Random) -> None:
    """They are means over bars."""
    order = list(range(len(prices)))
    random.shuffle(order)

    assert all_of(prices[order])[:3] == pytest.approx(all_of(prices)[:3], rel=1e-12, abs=1e-15)


@given(bars())
def test_turning_the_price_over_does_not_matter(prices: F64) -> None:
    """1 / price: high and low change places; dollars per coin or coins per dollar."""
    turned = 1.0 / prices[:, [0, 2, 1, 3]]

    assert all_of(turned) == pytest.approx(all_of(prices), rel=1e-9, abs=1e-12)


@given(st.lists(MOVES, min_size=30, max_size=80), st.integers(1, 5))
def test_turning_time_over_does_not_matter_to_realised_variance(
    moves: list[float], step: int
) -> None:
    """Squares and products of neighbours know no direction."""
    walk = np.cumsum(moves)

    for estimate in (estimators.realized_variance, estimators.bipower):
        there, back = estimate(walk, step, 365.0), estimate(walk[::-1].copy(), step, 365.0)
        assert back == pytest.approx(there, rel=1e-10, abs=1e-15)


@given(st.lists(MOVES, min_size=30, max_size=80), st.floats(0.1, 10.0))
def test_volatility_grows_with_the_moves(moves: list[float], factor: float) -> None:
    """Returns times f: variance times f^2."""
    walk = np.cumsum(moves)

    for estimate in (estimators.realized_variance, estimators.bipower):
        once, more = estimate(walk, 5, 365.0), estimate(walk * factor, 5, 365.0)
        assert more == pytest.approx(once * factor**2, rel=1e-9, abs=1e-15)


@given(st.lists(st.floats(0.01, 4.0), min_size=125, max_size=200), st.floats(1e-4, 1e4))
def test_the_forecast_has_the_unit_of_the_variances(values: list[float], scale: float) -> None:
    """HAR of daily variances or of annual ones; never beyond the means it has seen."""
    past = np.array(values)
    once, scaled = har_forecast(past), har_forecast(past * scale)

    assert once is not None
    assert scaled == pytest.approx(once * scale, rel=1e-6)
    assert min(values) * (1.0 - 1e-12) <= once <= max(values) * (1.0 + 1e-12)


PRICES = st.one_of(st.floats(1.0, 200.0), st.sampled_from([nan, 0.0, -1.0, float("inf")]))


@given(st.lists(st.tuples(PRICES, st.integers(-3, 400)), max_size=60))
def test_bars_are_what_a_dictionary_of_lists_says(ticks: list[tuple[float, int]]) -> None:
    """Any prices at any seconds, late and bad ones among them, in a ring of six minutes."""
    made = Bars(MINUTE, 6)
    model: dict[int, list[float]] = {}
    newest = -1
    for price, second in ticks:
        minute = (START + second * (MINUTE // 60)) // MINUTE
        made.add(price, START + second * (MINUTE // 60))
        if 0.0 < price < float("inf") and minute >= newest:
            newest = minute
            model.setdefault(minute, []).append(price)
    end = max(newest, START // MINUTE) + 1

    found = made.closed(end * MINUTE, 6)

    for row, minute in enumerate(range(end - 6, end)):
        told = model.get(minute)
        expected = [told[0], max(told), min(told), told[-1]] if told else [nan] * 4
        np.testing.assert_array_equal(found[row], expected)


@given(st.lists(st.tuples(PRICES, st.integers(0, 5 * 1440)), max_size=40), st.integers(0, 9000))
def test_any_prices_give_numbers_or_reasons(
    ticks: list[tuple[float, int]], minutes_later: int
) -> None:
    """Every null has its reason, every number is finite and not negative; no error."""
    state = RealizedState()
    state.seed([Bar(START - NANOS_PER_DAY, 1.0, 2.0, 1.0, 2.0)], [])
    for price, minute in ticks:
        state.price(price, START + minute * MINUTE)

    reading, lacks = state.reading(START + minutes_later * MINUTE)

    for name in reading.__struct_fields__:
        value = getattr(reading, name)
        assert (value is None) == (f"realized.{name}" in lacks)
        assert value is None or 0.0 <= value < float("inf")
