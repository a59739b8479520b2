"""The scaled position over time: one path at any call rate, and the formulas step by step."""

from math import inf, nan
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from volgauge.analytics.scaling import ScalingState
from volgauge.domain.analytics import FlowReading, Lack, LeverageReading, ScalingReading
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_MINUTE
from volgauge.errors import ConfigError
from volgauge.settings import ScalingSettings, load

START = 20_000 * NANOS_PER_DAY
NO_BOOKS = FlowReading(imbalance=None, vega_flow=None, depth=None, depth_reference=None)
NO_PERPETUALS = LeverageReading(
    funding_rates={},
    funding_mean=None,
    funding_spread=None,
    open_interest=None,
    open_interest_ratio=None,
)
BARE = ScalingSettings(damping=1.0, buffer=0.0, implied_share=1.0)
"""The target form alone."""


def books(imbalance: float, depth: float) -> FlowReading:
    """A reading against a usual depth of 10."""
    return FlowReading(imbalance=imbalance, vega_flow=0.0, depth=depth, depth_reference=10.0)


def perpetuals(spread: float, ratio: float) -> LeverageReading:
    """A reading of two venues."""
    return LeverageReading(
        funding_rates={},
        funding_mean=0.0,
        funding_spread=spread,
        open_interest=1.0,
        open_interest_ratio=ratio,
    )


def look(
    state: ScalingState, value: float | None, now_ns: int, realized: float | None = None
) -> ScalingReading:
    """Observe without books."""
    return state.observe(value, realized, NO_BOOKS, NO_PERPETUALS, now_ns)[0]


def by_hand(
    inputs: list[tuple[float, float, float, float, float, float]], rules: ScalingSettings
) -> list[float]:
    """The exposure at every full hour, one row of inputs an hour, the formulas written out.

    A row is: implied, realised, imbalance, depth, funding spread, ratio of open interest.
    """
    exposures = []
    damped = held = nan
    for hour, (implied, realized, imbalance, depth, spread, ratio) in enumerate(inputs):
        theta = rules.implied_share
        sigma = theta * (implied - rules.implied_bias_points) + (1.0 - theta) * realized
        raw = rules.target_points / sigma
        raw = min(raw, rules.max_exposure)
        throttle = depth / 10.0 if depth < 10.0 else 1.0
        if imbalance > 0.0:
            throttle = throttle * (1.0 - rules.flow_sensitivity * imbalance)
        if spread > rules.funding_limit:
            throttle = throttle * rules.funding_limit / spread
        if ratio > rules.interest_limit:
            throttle = throttle * rules.interest_limit / ratio
        if hour == 0:
            damped, held = raw, raw * throttle
        else:
            damped = damped + rules.damping * (raw - damped)
            wanted = damped * throttle
            if wanted > held + rules.buffer * held:
                held = wanted / (1.0 + rules.buffer)
            elif wanted < held - rules.buffer * held:
                held = wanted / (1.0 - rules.buffer)
        exposures.append(held)
    return exposures


@pytest.mark.parametrize(
    "rules",
    [
        ScalingSettings(),
        ScalingSettings(damping=0.9, buffer=0.02, implied_bias_points=3.0, implied_share=0.8),
        ScalingSettings(target_points=90.0, max_exposure=1.2, flow_sensitivity=0.9),
        ScalingSettings(damping=1.0, buffer=0.0),
        ScalingSettings(buffer=1.0),
    ],
    ids=["default", "other", "capped", "at_once", "widest_buffer"],
)
def test_the_formulas_written_out(rules: ScalingSettings) -> None:
    """Damping, throttles and buffer hour by hour, against a plain loop."""
    rng = np.random.default_rng(5)
    count = 600
    inputs = list(
        zip(
            (40.0 * np.exp(np.cumsum(0.03 * rng.standard_normal(count)))).tolist(),
            rng.uniform(20.0, 120.0, count).tolist(),
            rng.uniform(-1.0, 1.0, count).tolist(),
            rng.uniform(5.0, 20.0, count).tolist(),
            rng.uniform(0.0, 0.002, count).tolist(),
            rng.uniform(0.8, 2.0, count).tolist(),
            strict=True,
        )
    )
    state = ScalingState(rules)
    received = []
    for hour, (implied, realized, imbalance, depth, spread, ratio) in enumerate(inputs):
        reading, _ = state.observe(
            implied, realized, books(imbalance, depth), perpetuals(spread, ratio),
            START + hour * NANOS_PER_HOUR,
        )  # fmt: skip
        received.append(reading.exposure)

    assert received == pytest.approx(by_hand(inputs, rules), rel=1e-12)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.integers(1, 40 * 60),
            st.one_of(st.none(), st.floats(10.0, 300.0)),
            st.one_of(st.none(), st.floats(10.0, 300.0)),
            st.floats(-1.0, 1.0),
            st.floats(0.0, 20.0),
        ),
        min_size=1,
        max_size=12,
    ),
    extra=st.lists(st.floats(0.0, 1.0), max_size=20),
    step_minutes=st.sampled_from([7, 60, 1440]),
)
def test_the_path_does_not_depend_on_the_call_rate(
    changes: list[tuple[int, float | None, float | None, float, float]],
    extra: list[float],
    step_minutes: int,
) -> None:
    """Looks between the changes of the inputs leave every later reading the same, to the bit."""
    rules = ScalingSettings(step_seconds=60.0 * step_minutes, margin_window_days=0.5)
    seldom, often = ScalingState(rules), ScalingState(rules)
    now_ns = START
    for minutes, value, realized, imbalance, depth in changes:
        flow, crowd = books(imbalance, depth), perpetuals(0.0015, 1.0)
        span_ns = minutes * NANOS_PER_MINUTE
        first = seldom.observe(value, realized, flow, crowd, now_ns)

        assert first == often.observe(value, realized, flow, crowd, now_ns)
        for share in sorted(extra):
            often.observe(value, realized, flow, crowd, now_ns + int(share * (span_ns - 1)))
        now_ns += span_ns
    assert look(seldom, 50.0, now_ns) == look(often, 50.0, now_ns)


def test_a_step_sees_what_was_known_then() -> None:
    """News of ten past are not in the step of the full hour before them."""
    state = ScalingState(BARE)
    look(state, 40.0, START + 10 * NANOS_PER_MINUTE)
    late = look(state, 80.0, START + 70 * NANOS_PER_MINUTE)

    assert late.raw_exposure == 0.5
    assert late.exposure == 1.0
    assert look(state, 80.0, START + 2 * NANOS_PER_HOUR).exposure == 0.5


def test_damping_goes_a_quarter_of_the_way() -> None:
    """After n steps the distance is 0.75^n."""
    state = ScalingState(ScalingSettings(buffer=0.0, implied_share=1.0))
    look(state, 40.0, START)
    for hour in range(1, 30):
        exposure = look(state, 80.0, START + hour * NANOS_PER_HOUR).exposure

        assert exposure == pytest.approx(0.5 + 0.5 * 0.75**hour, rel=1e-13)


def test_inside_the_buffer_nothing_is_traded() -> None:
    """9 % away nothing moves; 25 % away the position goes to the edge."""
    state = ScalingState(ScalingSettings(damping=1.0, implied_share=1.0))
    look(state, 40.0, START)

    assert look(state, 40.0 / 1.09, START + NANOS_PER_HOUR).exposure == 1.0
    moved = look(state, 32.0, START + 2 * NANOS_PER_HOUR).exposure
    assert moved == pytest.approx(1.25 / 1.1, rel=1e-14)


def test_one_of_two_volatilities_is_said_to_be_missing() -> None:
    """The other alone is sigma."""
    state = ScalingState(ScalingSettings())

    reading, missing = state.observe(None, 50.0, NO_BOOKS, NO_PERPETUALS, START)
    assert reading.sigma == 50.0
    assert Lack.NO_INDEX is missing["scaling.sigma.implied"]
    reading, missing = state.observe(60.0, None, NO_BOOKS, NO_PERPETUALS, START)
    assert reading.sigma == 60.0
    assert Lack.TOO_LITTLE_HISTORY is missing["scaling.sigma.realized"]
    reading, missing = state.observe(60.0, 50.0, NO_BOOKS, NO_PERPETUALS, START)
    assert reading.sigma == 55.0
    assert not [name for name in missing if name.startswith("scaling.sigma")]


@pytest.mark.parametrize("bad", [None, nan, inf, -5.0, 0.0])
def test_without_a_volatility_there_is_no_number(bad: float | None) -> None:
    """Every form is None with the reason; the position is held on for when it comes back."""
    state = ScalingState(BARE)
    look(state, 80.0, START)

    reading, missing = state.observe(bad, 50.0, NO_BOOKS, NO_PERPETUALS, START + NANOS_PER_HOUR)

    lack = Lack.NO_INDEX if bad is None else Lack.BAD_NUMBER
    for name in (
        "sigma", "raw_exposure", "exposure", "variance_exposure", "budget_size",
        "margin_multiplier",
    ):  # fmt: skip
        assert getattr(reading, name) is None
        assert lack is missing[f"scaling.{name}"]
    back = look(state, 80.0, START + NANOS_PER_HOUR + 1)
    assert back.exposure == 0.5


def test_missing_books_do_not_throttle_and_are_named() -> None:
    """The exposure is the unthrottled one."""
    reading, missing = ScalingState(BARE).observe(40.0, None, NO_BOOKS, NO_PERPETUALS, START)

    assert reading.exposure == 1.0
    assert missing == {
        "scaling.depth_throttle": Lack.NO_DEPTH,
        "scaling.flow_throttle": Lack.NO_DEPTH,
        "scaling.leverage_throttle": Lack.NO_FUNDING,
        "scaling.margin_multiplier": Lack.TOO_LITTLE_HISTORY,
    }


def test_an_implied_volatility_below_its_bias_is_bad() -> None:
    """The realised one alone is left."""
    state = ScalingState(ScalingSettings(implied_bias_points=10.0))

    reading, missing = state.observe(9.0, 50.0, NO_BOOKS, NO_PERPETUALS, START)

    assert reading.sigma == 50.0
    assert Lack.BAD_NUMBER is missing["scaling.sigma.implied"]


def test_the_margin_multiplier_is_over_the_rolling_median() -> None:
    """Hourly samples of the window; from a quarter of it on."""
    rules = ScalingSettings(implied_share=1.0, margin_window_days=2.0, margin_floor=0.01)
    state = ScalingState(rules)
    rng = np.random.default_rng(8)
    sigmas = rng.uniform(20.0, 90.0, 200).tolist()
    for hour, sigma in enumerate(sigmas):
        reading = look(state, sigma, START + hour * NANOS_PER_HOUR)
        if hour + 1 < 12:
            assert reading.margin_multiplier is None
        else:
            typical = median(sigmas[max(0, hour - 47) : hour + 1])
            assert reading.margin_multiplier == pytest.approx(sigma / typical, rel=1e-14)


def test_the_past_can_be_given() -> None:
    """Daily values of the window's length make a median at once."""
    state = ScalingState(ScalingSettings(implied_share=1.0))
    state.seed([(START + (day - 30) * NANOS_PER_DAY, 40.0) for day in range(31)])

    assert look(state, 80.0, START).margin_multiplier == 2.0


def test_time_that_goes_back_moves_nothing() -> None:
    """The position and its inputs stay those of the newest instant."""
    state = ScalingState(BARE)
    look(state, 40.0, START + 5 * NANOS_PER_HOUR)

    assert look(state, 80.0, START).exposure == 1.0
    assert look(state, 40.0, START + 6 * NANOS_PER_HOUR).exposure == 1.0


def test_a_margin_floor_above_its_cap_is_refused() -> None:
    """The key is named before anything starts."""
    with pytest.raises(ConfigError, match=r"analytics\.scaling\.margin_floor"):
        load(overrides={"analytics.scaling.margin_floor": 5.0}, environment={})
