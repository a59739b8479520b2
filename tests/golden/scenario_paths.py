"""Long spans of the simulated market's law without quotes: spots and volatilities, step by step."""

from math import log, tanh
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.simulator import process
from volgauge.simulator.scenario import Player, Scenario

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
START_NS = parse_instant("2026-03-02T00:00:00Z")
ASSETS = ("BTC", "ETH")
VOLS = (0.5, 0.7)
MONTH = 30.0 / 365.0
"""Years of the headline tenor."""


class Paths(NamedTuple):
    """Two assets at equal steps; arrays are (steps + 1, 2) unless said."""

    at_ns: I64
    """(steps + 1,)"""
    spot: F64
    variance: F64
    """Of the spot, a year, in the step that begins there."""
    points: F64
    """Volatility at the money at 30 days, points."""
    state: F64
    """(steps + 1, 2, N_FACTORS)"""
    law: process.Law
    """In force at the end."""


def walk(
    scenario: Scenario, steps: int, step_seconds: float, seed: int, *, agitation: float = 1.0,
    start_ns: int = START_NS,
) -> Paths:  # fmt: skip
    """Two assets under a scenario, from their usual levels."""
    step_ns = round(step_seconds * NANOS_PER_SECOND)
    player = Player(scenario, ASSETS, list(VOLS), seed=seed, start_ns=start_ns, step_ns=step_ns)
    random = np.random.default_rng(seed)
    state = player.law.mean.copy()
    state[:, process.LOG_SPOT] = np.log([80_000.0, 2_000.0])
    states = np.empty((steps + 1, *state.shape))
    states[0] = state
    for number in range(1, steps + 1):
        state = player.step(state, start_ns + number * step_ns, step_ns, random, agitation)
        states[number] = state
    theta = process.level_at(states, np.array(MONTH))
    return Paths(
        start_ns + step_ns * np.arange(steps + 1),
        np.exp(states[:, :, process.LOG_SPOT]),
        agitation**2 * np.exp(states[:, :, process.LOG_SHORT]),
        100.0 * np.sqrt(theta / MONTH),
        states,
        player.law,
    )


def integrated(paths: Paths, begin_ns: int, end_ns: int) -> F64:
    """Mean variance a year of both spots over a span, (2,): the path's own, without jumps."""
    inside = (paths.at_ns >= begin_ns) & (paths.at_ns < end_ns)
    made: F64 = paths.variance[inside].mean(axis=0)
    return made


def effective_count(half_life_ns: int, span_ns: int, every_ns: int) -> float:
    """Observations of equal weight behind an exponential average: (Sum w)^2 / Sum w^2."""
    tau = half_life_ns / log(2.0)
    return 2.0 * tau * tanh(span_ns / (2.0 * tau)) / every_ns
