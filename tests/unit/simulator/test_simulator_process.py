"""The moving surface never admits arbitrage."""

import numpy as np
import pytest

from volgauge.simulator import pricing, process
from volgauge.simulator.pricing import Smile

YEARS = np.array([0.5, 1, 2, 4, 7, 14, 30, 60, 90, 180, 365]) / 365.0


def states(count: int) -> list[process.F64]:
    """States scattered over months of market life."""
    random = np.random.default_rng(3)
    law = process.law_of([0.5, 0.9])
    state = process.start_state(law, [86_000.0, 2.0], random)
    found = []
    for _ in range(count):
        state = process.evolve(state, law, 20.0 / 365.0, random)
        found += list(state)
    return found


@pytest.mark.parametrize("number", range(0, 40, 4))
def test_calls_are_convex_and_falling_in_strike(number: int) -> None:
    """No butterfly arbitrage: call prices on a fine strike grid are convex and fall."""
    smile = process.smile_at(states(20)[number], YEARS)
    for place in range(len(YEARS)):
        one = Smile(smile.theta[place], smile.rho[place], smile.phi[place])
        deviation = float(np.sqrt(smile.theta[place]))
        strikes = np.linspace(np.exp(-4.0 * deviation), np.exp(4.0 * deviation), 401)
        k = np.log(strikes)
        w = pricing.total_variance(k, one)

        calls = pricing.normalised_price(k, w, np.ones(401, np.bool_))

        assert np.diff(calls).max() <= 1e-14
        assert np.diff(calls, 2).min() >= -1e-14


@pytest.mark.parametrize("number", range(0, 40, 4))
def test_total_variance_rises_in_time_at_every_moneyness(number: int) -> None:
    """No calendar arbitrage: w(k, T) does not fall in T."""
    smile = process.smile_at(states(20)[number], YEARS)

    w = np.stack([pricing.total_variance(np.array(k), smile) for k in np.linspace(-2, 2, 81)])

    assert np.diff(w, axis=1).min() > 0.0


def test_spot_shocks_have_the_variance_of_the_state() -> None:
    """Realised variance of many small steps equals the short variance level."""
    random = np.random.default_rng(5)
    law = process.law_of([0.6])
    state = process.start_state(law, [100.0], random)
    years = 1e-6
    steps = [process.evolve(state, law, years, random)[0, process.LOG_SPOT] for _ in range(20_000)]

    variance = float(np.var(steps)) / years

    assert variance == pytest.approx(np.exp(state[0, process.LOG_SHORT]), rel=0.03)


def test_assets_move_together() -> None:
    """Shocks of two assets have the documented correlation."""
    shocks = process.draw_shocks(np.random.default_rng(1), 50_000, 2)[:, :, process.LOG_SPOT]

    found = np.mean(shocks[:, 0] * shocks[:, 1]) / shocks.std() ** 2

    assert found == pytest.approx(0.75, abs=0.02)
