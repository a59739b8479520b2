"""Tick rules of the simulated venue."""

import numpy as np
import pytest

from volgauge.simulator.board import round_to_ticks, tick_at
from volgauge.simulator.listing import TERMS


@pytest.mark.parametrize(
    ("price", "bid", "ask"),
    [
        (0.00123, 0.0012, 0.0013),
        (0.0049, 0.0049, 0.0049),
        (0.005, 0.005, 0.005),
        (0.00501, 0.005, 0.0055),
        (0.0523, 0.052, 0.0525),
        (0.00004, 0.0, 0.0001),
    ],
)
def test_coin_prices_follow_the_two_step_grid(price: float, bid: float, ask: float) -> None:
    """0.0001 up to 0.005, then 0.0005; bids go down, asks go up, decimals are exact."""
    terms = TERMS["BTC"]

    assert round_to_ticks(terms, np.array([price]), up=False)[0] == bid
    assert round_to_ticks(terms, np.array([price]), up=True)[0] == ask


@pytest.mark.parametrize(
    ("name", "price", "bid", "ask"),
    [("XRP_USDC", 0.0312, 0.031, 0.0315), ("SOL_USDC", 14.02, 14.0, 14.05)],
)
def test_linear_prices_follow_one_grid(name: str, price: float, bid: float, ask: float) -> None:
    """USDC books have one tick size."""
    assert round_to_ticks(TERMS[name], np.array([price]), up=False)[0] == bid
    assert round_to_ticks(TERMS[name], np.array([price]), up=True)[0] == ask


def test_tick_changes_above_the_threshold_only() -> None:
    """At 0.005 itself the small tick still applies."""
    assert tick_at(TERMS["ETH"], np.array([0.0049, 0.005, 0.0055])).tolist() == pytest.approx(
        [0.0001, 0.0001, 0.0005]
    )
