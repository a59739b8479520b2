"""Each form of volatility scaling against its formula."""

from math import inf, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.analytics import scaling
from volgauge.domain.analytics import FlowReading, LeverageReading

SIGMAS = st.floats(1.0, 500.0)


def flow(
    imbalance: float | None = None, depth: float | None = None, reference: float | None = None
) -> FlowReading:
    """A reading of the books."""
    return FlowReading(
        imbalance=imbalance, vega_flow=None, depth=depth, depth_reference=reference
    )  # fmt: skip


def leverage(spread: float | None = None, ratio: float | None = None) -> LeverageReading:
    """A reading of the perpetuals."""
    return LeverageReading(
        funding_rates={},
        funding_mean=None,
        funding_spread=spread,
        open_interest=None,
        open_interest_ratio=ratio,
    )


def test_blend() -> None:
    """0.7 (60 - 4) + 0.3 * 50."""
    assert scaling.blend_volatility(60.0, 50.0, 0.7, 4.0) == pytest.approx(54.2, rel=1e-15)


def test_blend_of_one() -> None:
    """The other alone, when both count; what has no weight is no substitute."""
    assert scaling.blend_volatility(60.0, None, 0.7, 4.0) == pytest.approx(56.0, rel=1e-15)
    assert scaling.blend_volatility(None, 50.0, 0.7, 4.0) == pytest.approx(50.0, rel=1e-15)
    assert scaling.blend_volatility(None, 50.0, 1.0, 0.0) is None
    assert scaling.blend_volatility(60.0, None, 0.0, 0.0) is None
    assert scaling.blend_volatility(None, None, 0.5, 0.0) is None


@given(SIGMAS)
def test_target_form(sigma: float) -> None:
    """The exposed volatility is the target, unless the cap holds."""
    exposure = scaling.target_exposure(sigma, 40.0, 3.0)

    if sigma >= 40.0 / 3.0:
        assert exposure * sigma == pytest.approx(40.0, rel=1e-12)
    else:
        assert exposure == 3.0


@given(SIGMAS)
def test_variance_form(sigma: float) -> None:
    """Of c / sigma^2: it is the square of the target form where c is the target's square."""
    form = scaling.variance_exposure(sigma, 0.16, inf)

    assert form == pytest.approx(scaling.target_exposure(sigma, 40.0, inf) ** 2, rel=1e-12)
    assert scaling.variance_exposure(sigma, 0.16, 3.0) <= 3.0


def test_variance_form_is_one_at_the_root_of_its_constant() -> None:
    """At 40 points it is c = 0.16."""
    assert scaling.variance_exposure(40.0, 0.16, 3.0) == pytest.approx(1.0, rel=1e-14)


@given(SIGMAS)
def test_budget_form(sigma: float) -> None:
    """A day of z deviations loses the budget."""
    size = scaling.budget_size(sigma, 0.02, 2.33)

    assert size * 2.33 * sigma / 100.0 / sqrt(365.0) == pytest.approx(0.02, rel=1e-12)


@given(st.floats(0.0, 5.0), st.floats(0.0, 5.0), st.floats(0.0, 1.0))
def test_the_no_trade_rule(held: float, wanted: float, buffer: float) -> None:
    """Inside the band nothing moves; outside, the position lands on the edge, the nearer one."""
    after = scaling.trade_to_edge(held, wanted, buffer)

    if abs(wanted - held) <= buffer * held * (1.0 - 1e-12):
        assert after == held
    elif abs(wanted - held) > buffer * held * (1.0 + 1e-12):
        assert abs(wanted - after) == pytest.approx(buffer * after, rel=1e-9, abs=1e-12)
        assert min(held, wanted) <= after * (1.0 + 1e-12)
        assert after <= max(held, wanted) * (1.0 + 1e-12)


@pytest.mark.parametrize(
    ("depth", "reference", "expected"),
    [
        (5.0, 10.0, 0.5),
        (20.0, 10.0, 1.0),
        (0.0, 10.0, 0.0),
        (None, 10.0, None),
        (5.0, None, None),
        (5.0, 0.0, None),
        (nan, 10.0, None),
        (5.0, inf, None),
    ],
)
def test_depth_throttle(
    depth: float | None, reference: float | None, expected: float | None
) -> None:
    """min(1, depth / reference)."""
    assert scaling.depth_throttle(flow(None, depth, reference)) == expected


@pytest.mark.parametrize(
    ("imbalance", "sensitivity", "expected"),
    [
        (0.0, 0.5, 1.0),
        (0.4, 0.5, 0.8),
        (1.0, 0.5, 0.5),
        (7.0, 0.5, 0.5),
        (-0.9, 0.5, 1.0),
        (1.0, 4.0, 0.0),
        (None, 0.5, None),
        (nan, 0.5, None),
    ],
)
def test_flow_throttle(imbalance: float | None, sensitivity: float, expected: float | None) -> None:
    """Only bids for volatility take exposure away, at most `sensitivity` of it."""
    assert scaling.flow_throttle(flow(imbalance), sensitivity) == expected


@pytest.mark.parametrize(
    ("spread", "ratio", "expected"),
    [
        (0.0005, 1.0, 1.0),
        (0.002, 1.0, 0.5),
        (0.0005, 3.0, 0.5),
        (0.002, 3.0, 0.25),
        (0.002, None, 0.5),
        (None, 3.0, 0.5),
        (None, None, None),
        (nan, inf, None),
    ],
)
def test_leverage_throttle(
    spread: float | None, ratio: float | None, expected: float | None
) -> None:
    """Both factors bite beyond their limits, and multiply."""
    assert scaling.leverage_throttle(leverage(spread, ratio), 0.001, 1.5) == expected


@pytest.mark.parametrize(
    ("sigma", "expected"), [(50.0, 1.0), (20.0, 1.0), (100.0, 2.0), (900.0, 4.0)]
)
def test_margin_multiplier(sigma: float, expected: float) -> None:
    """Volatility over the usual 50, within 1..4."""
    assert scaling.margin_multiplier(sigma, 50.0, 1.0, 4.0) == expected
