"""Why venues are put together as they are: the rule against four others on the same values.

The values and error bands are those of five simulated venues, each computed alone; the other rules
are written plainly here. METHODOLOGY section 10 has the table (`-s` prints it).
"""

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from statistics import median

import numpy as np
import pytest

from golden.venue_world import NOW_NS, STYLES, World, truth
from volgauge.index.composite import cap_weights, confirmed_weights, huber_location
from volgauge.kernels._jit import F64

SEEDS = 40
NUMBERS = list(range(len(STYLES)))
LIQUIDITY = [style.size / style.step for style in STYLES]
"""Size at each strike over the distance of strikes."""
Rule = Callable[[F64, list[float], float], float]
"""(values, capped weights, k) -> composite."""


def ours(x: F64, w: list[float], k: float) -> float:
    """Liquidity times confirmation."""
    omega = confirmed_weights(x.tolist(), w, NUMBERS[: len(x)], [1.0] * len(x), k)
    return float(np.dot(omega, x))


def mean(x: F64, w: list[float], _: float) -> float:
    """The plain weighted mean."""
    return float(np.dot(w, x))


def huber(x: F64, w: list[float], k: float) -> float:
    """Huber 1964."""
    return huber_location(x.tolist(), w, k)


def weighted_median(x: F64, w: list[float], _: float) -> float:
    """The first value at which the weights pass one half."""
    order = np.argsort(x)
    passed = np.cumsum(np.array(w)[order])
    return float(x[order][np.searchsorted(passed, 0.5 * passed[-1])])


def hampel(x: F64, w: list[float], k: float) -> float:
    """One step from the median: full weight within k / 2, none beyond k."""
    scale = max(0.5 * k, median(np.abs(x - median(x))))
    omega = np.array(w) * np.clip(2.0 - np.abs(x - median(x)) / scale, 0.0, 1.0)
    return float(np.dot(omega, x) / omega.sum())


RULES: dict[str, Rule] = {
    "plain mean": mean,
    "Huber": huber,
    "weighted median": weighted_median,
    "Hampel": hampel,
    "confirmed mean": ours,
}


@cache
def samples() -> tuple[F64, F64]:
    """(seeds, venues) values and (seeds,) k."""
    values, scales = [], []
    for seed in range(SEEDS):
        alone = [
            World([style], 100 * seed + n).run(NOW_NS, 1)[-1] for n, style in enumerate(STYLES)
        ]
        values.append([record.value or 0.0 for record in alone])
        scales.append(max(0.05, median(record.u or 0.0 for record in alone)))
    return np.array(values), np.array(scales)


def weights() -> list[float]:
    """Of the five venues."""
    return cap_weights(LIQUIDITY, NUMBERS)


def rmse(rule: Rule, values: F64, scales: F64) -> float:
    """Against the truth."""
    told = [rule(x, weights(), float(k)) for x, k in zip(values, scales, strict=True)]
    return float(np.sqrt(np.mean((np.array(told) - truth()) ** 2)))


def with_noise(values: F64) -> F64:
    """Venues that disagree by more than their quotes' noise: 0.15 points each."""
    noise: F64 = values + 0.15 * np.random.default_rng(7).standard_normal(values.shape)
    return noise


def worst_move(rule: Rule, lies: F64, venue: int = 0) -> float:
    """Largest move by these lies of a venue, in points, over all seeds."""
    moves = []
    for x, k in zip(*samples(), strict=True):
        honest = rule(x, weights(), float(k))
        for lie in lies:
            told = x.copy()
            told[venue] += lie
            moves.append(abs(rule(told, weights(), float(k)) - honest))
    return max(moves)


def largest_step(rule: Rule) -> float:
    """Largest move while the largest venue's liquidity falls by 0.4 % at a time."""
    x, k = with_noise(samples()[0])[0], 0.15
    path = [
        rule(x, cap_weights([size, *LIQUIDITY[1:]], NUMBERS), k)
        for size in np.geomspace(0.02, 0.0005, 1_000)
    ]
    return max(abs(b - a) for a, b in pairwise(path))


FAR = truth() * np.array([0.05, -0.05, 0.2, -0.2])
NEAR = np.linspace(-1.0, 1.0, 81)


def test_the_choice_of_the_rule() -> None:
    """The table; each column's claim is a test of its own below."""
    values, scales = samples()
    for name, rule in RULES.items():
        numbers = (
            rmse(rule, values, scales),
            rmse(rule, with_noise(values), scales),
            worst_move(rule, FAR),
            worst_move(rule, NEAR),
            largest_step(rule),
        )
        print(f"| {name} | " + " | ".join(f"{x:.4f}" for x in numbers) + " |")  # noqa: T201 - table
        assert np.isfinite(numbers).all()


def test_it_is_as_near_to_the_truth_as_the_plain_mean() -> None:
    """Honest venues: within 6 % of its RMSE, at most 1.1 x the best venue's, below their mean."""
    values, scales = samples()
    own = np.sqrt(((values - truth()) ** 2).mean(axis=0))
    assert rmse(ours, values, scales) <= 1.06 * rmse(mean, values, scales)
    assert rmse(ours, values, scales) <= 1.1 * own.min()
    assert rmse(ours, values, scales) < np.dot(weights(), own)


def test_it_is_nearer_than_the_others_when_venues_disagree() -> None:
    """0.15 points of each venue's own: below Huber, the median, the Hampel step and the mean."""
    values, scales = with_noise(samples()[0]), samples()[1]
    others = {name: rmse(rule, values, scales) for name, rule in RULES.items() if rule is not ours}
    assert rmse(ours, values, scales) < min(others.values())


@pytest.mark.parametrize("venue", NUMBERS)
def test_no_far_lie_moves_it(venue: int) -> None:
    """5 % and 20 % of any venue: at most 0.05 points."""
    assert worst_move(ours, FAR, venue) <= 0.05


def test_a_far_lie_of_the_heaviest_moves_huber_and_the_median() -> None:
    """At 0.499 of the weight both go to the outermost of the others."""
    assert worst_move(huber, FAR) > 0.1
    assert worst_move(weighted_median, FAR) > 0.1


def test_no_lie_of_any_size_moves_it_beyond_a_tenth() -> None:
    """The worst one is as large as the honest venues' own differences: nobody can tell it."""
    assert worst_move(ours, NEAR) <= 0.1
    assert worst_move(ours, NEAR) < 0.5 * worst_move(huber, NEAR)


def test_it_does_not_step_where_the_median_does() -> None:
    """Liquidity that falls a little at a time: the median jumps from venue to venue."""
    assert largest_step(ours) <= 0.001
    assert largest_step(weighted_median) > 0.01
