"""The composite of venues: confirmation, bounded influence, continuity, weights, hysteresis."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from volgauge.index.composite import (
    BACK_NS,
    FAST_NS,
    LARGEST_WEIGHT,
    SLOWLY_NS,
    Membership,
    cap_weights,
    confirmed_weights,
    disagreement,
    final_weights,
    huber_location,
    judgement,
    votes_of,
)

SECOND = 1_000_000_000
VENUES = st.lists(st.tuples(st.floats(20.0, 150.0), st.floats(0.01, 1.0)), min_size=1, max_size=7)
SCALES = st.floats(0.05, 3.0)


@given(VENUES, SCALES)
def test_the_location_minimises_hubers_loss(venues: list[tuple[float, float]], k: float) -> None:
    """No point has a smaller loss, by scipy's search."""
    x, w = np.array(venues).T

    def loss(mu: float) -> float:
        e = np.abs(x - mu)
        return float(np.sum(w * np.where(e <= k, 0.5 * e * e, k * e - 0.5 * k * k)))

    mu = huber_location(x.tolist(), w.tolist(), k)
    best = minimize_scalar(loss, bounds=(x.min() - 1e-9, x.max() + 1e-9), method="bounded")
    assert loss(mu) <= best.fun * (1.0 + 1e-9) + 1e-9


@given(VENUES, SCALES)
def test_the_published_weights_reproduce_the_location(
    venues: list[tuple[float, float]], k: float
) -> None:
    """Value = sum of weight x value, and the weights sum to 1."""
    x, w = [v for v, _ in venues], [v for _, v in venues]
    mu = huber_location(x, w, k)
    omega = final_weights(x, w, k, mu)
    assert sum(omega) == pytest.approx(1.0, rel=1e-12)
    assert sum(o * v for o, v in zip(omega, x, strict=True)) == pytest.approx(mu, rel=1e-9)


@given(VENUES, SCALES)
def test_the_order_of_the_venues_does_not_matter(
    venues: list[tuple[float, float]], k: float
) -> None:
    """The same location for the venues in reverse, to rounding."""
    x, w = [v for v, _ in venues], [v for _, v in venues]
    assert huber_location(x[::-1], w[::-1], k) == pytest.approx(huber_location(x, w, k), rel=1e-12)


def test_venues_that_agree_give_the_weighted_mean() -> None:
    """Within k of each other nothing is cut."""
    assert huber_location([50.0, 50.2, 50.1], [0.4, 0.4, 0.2], 0.3) == pytest.approx(50.1)


@pytest.mark.parametrize("lie", [60.0, 100.0, 1e6])
def test_a_lying_venue_moves_the_value_by_a_bounded_amount(lie: float) -> None:
    """At its cap of weight, any lie moves the value by less than k w / (1 - w) from the others."""
    k, weight = 0.1, LARGEST_WEIGHT
    mu = huber_location([lie, 50.0, 50.0], [weight, 0.25, 1.0 - weight - 0.25], k)
    assert abs(mu - 50.0) <= k * weight / (1.0 - weight) + 1e-12


def test_the_value_is_continuous_in_each_venue() -> None:
    """A step of 0.001 points of one venue moves the value by no more than that."""
    w = [0.45, 0.3, 0.25]
    path = [huber_location([x, 50.0, 50.4], w, 0.1) for x in np.arange(48.0, 53.0, 0.001)]
    assert max(abs(b - a) for a, b in itertools.pairwise(path)) <= 0.001 + 1e-12


THREE_UP = st.lists(st.tuples(st.floats(20.0, 150.0), st.floats(0.01, 1.0)), min_size=3, max_size=7)


def mean_of(values: list[float], weights: list[float], scale: float) -> float:
    """The composite of single books of as many venues; the weights sum to 1."""
    numbers, votes = list(range(len(values))), [1.0] * len(values)
    omega = confirmed_weights(values, weights, numbers, votes, scale)
    return sum(w * x for w, x in zip(omega, values, strict=True))


@given(THREE_UP, SCALES)
def test_weights_are_liquidity_times_confirmation(
    venues: list[tuple[float, float]], scale: float
) -> None:
    """The formula of the methodology with whole matrices."""
    x, w = np.array(venues).T
    w /= w.sum()
    far = np.abs(x[:, None] - x[None, :]) / ((1.0 - w) * scale)[:, None]
    near = 1.0 / (1.0 + far**3)
    np.fill_diagonal(near, 0.0)
    expected = w * near.sum(axis=1)
    omega = confirmed_weights(x.tolist(), w.tolist(), list(range(len(x))), [1.0] * len(x), scale)

    np.testing.assert_allclose(omega, expected / expected.sum(), rtol=1e-10)


def test_venues_that_agree_keep_their_weights() -> None:
    """A hundredth of a point apart at a k of a tenth: to half a per cent."""
    weights = [0.499, 0.301, 0.2]
    omega = confirmed_weights([50.0, 50.01, 50.005], weights, [0, 1, 2], [1.0] * 3, 0.1)
    assert omega == pytest.approx(weights, rel=5e-3)


@pytest.mark.parametrize("lie", [-45.0, -3.0, 3.0, 12.0, 1e6])
def test_a_heavy_liar_has_no_weight(lie: float) -> None:
    """At its cap and far from three who agree, it moves their mean by under a thousandth."""
    others = [50.0, 50.0, 50.0]
    assert mean_of([50.0 + lie, *others], [0.499, 0.251, 0.15, 0.1], 0.1) == pytest.approx(
        50.0, abs=1e-3
    )


def test_no_lie_of_the_heaviest_moves_the_value_beyond_half_the_scale() -> None:
    """Whatever its size: the worst is near 0.7 scales, at less than half the weight."""
    moves = [
        abs(mean_of([50.0 + lie, 50.0, 50.0, 50.0], [0.499, 0.251, 0.15, 0.1], 0.1) - 50.0)
        for lie in np.arange(-2.0, 2.0, 0.001)
    ]
    assert max(moves) <= 0.05


def test_a_step_of_a_venue_is_no_larger_step_of_the_value() -> None:
    """From far below to far above, in thousandths of a point: never steeper than four to one."""
    w = [0.499, 0.3, 0.201]
    path = [mean_of([float(x), 50.0, 50.4], w, 0.1) for x in np.arange(48.0, 53.0, 0.001)]
    assert max(abs(b - a) for a, b in itertools.pairwise(path)) <= 0.004


def test_books_of_one_venue_do_not_confirm_one_another() -> None:
    """Two books of a liar agree with each other, and count for nothing."""
    omega = confirmed_weights(
        [60.0, 60.0, 50.0, 50.0], [0.25, 0.249, 0.3, 0.201], [0, 0, 1, 2], [0.5, 0.5, 1.0, 1.0], 0.1
    )
    assert omega[0] + omega[1] < 1e-5


def test_a_venue_has_one_vote() -> None:
    """Two books divide it; a book that just joined has the part it has gained, and so has both."""
    assert votes_of([1.0, 1.0, 1.0, 0.25], [0, 0, 1, 2]) == [0.5, 0.5, 1.0, 0.25]
    assert votes_of([1.0, 0.25], [0, 0]) == [0.8, 0.2]


@pytest.mark.parametrize(
    ("votes", "expected"),
    [([1.0], 0.0), ([1.0, 1.0], 0.0), ([1.0, 1.0, 0.25], 0.25), ([1.0] * 5, 1.0)],
)
def test_two_venues_judge_nobody(votes: list[float], expected: float) -> None:
    """The third one's vote counts as it grows."""
    assert judgement(votes) == expected


def test_the_cap_comes_with_the_third_venue() -> None:
    """With the cap at 1 a newcomer changes nothing, at 0.499 the large one is cut."""
    assert cap_weights([0.75, 0.25, 0.0], [0, 1, 2], 1.0) == [0.75, 0.25, 0.0]
    assert cap_weights([0.75, 0.25, 0.0], [0, 1, 2], 0.6) == pytest.approx([0.6, 0.4, 0.0])


def test_a_weight_above_the_cap_is_shared_by_the_others() -> None:
    """0.499 for the large one, the rest in proportion."""
    assert cap_weights([0.9, 0.06, 0.04], [0, 1, 2]) == pytest.approx([0.499, 0.3006, 0.2004])


def test_two_venues_keep_their_weights() -> None:
    """The cap needs three."""
    assert cap_weights([3.0, 1.0], [0, 1]) == [0.75, 0.25]


def test_books_of_one_venue_share_a_cap() -> None:
    """Two books of one venue together stay below one half."""
    made = cap_weights([5.0, 3.0, 1.0, 1.0], [0, 0, 1, 2])
    assert made[0] + made[1] == pytest.approx(LARGEST_WEIGHT)
    assert made[0] / made[1] == pytest.approx(5.0 / 3.0)


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=6))
def test_capped_weights_are_weights(weights: list[float]) -> None:
    """They sum to 1, none is negative, and from three on none is above the cap."""
    made = cap_weights(weights, list(range(len(weights))))
    assert sum(made) == pytest.approx(1.0)
    assert min(made) >= 0.0
    if len(made) >= 3:
        assert max(made) <= LARGEST_WEIGHT + 1e-12


def test_disagreement_is_the_median_distance() -> None:
    """One venue does not disagree with itself."""
    assert disagreement([50.0], 50.0) == 0.0
    assert disagreement([49.0, 50.0, 53.0], 50.0) == 1.0


def run(
    membership: Membership, values: dict[str, float], begin: int, seconds: int
) -> frozenset[str]:
    """Observe the same values every second."""
    out: frozenset[str] = frozenset()
    for second in range(begin, begin + seconds + 1):
        out = membership.observe(values, second * SECOND)
    return out


@pytest.mark.parametrize(
    ("factor", "seconds", "is_out"),
    [
        (1.06, SLOWLY_NS // SECOND - 1, False),
        (1.06, SLOWLY_NS // SECOND, True),
        (0.94, SLOWLY_NS // SECOND, True),
        (1.04, 600, False),
        (1.2, FAST_NS // SECOND - 1, False),
        (1.2, FAST_NS // SECOND, True),
    ],
)
def test_a_venue_far_off_is_out_after_its_time(factor: float, seconds: int, is_out: bool) -> None:
    """More than 5 % for 30 s or more than 10 % for 2 s."""
    values = {"a": 50.0, "b": 50.1, "c": 49.9, "d": 50.0 * factor}
    assert ("d" in run(Membership(), values, 0, seconds)) is is_out


def test_a_venue_comes_back_below_half_of_the_limit() -> None:
    """Not at 3 %, but after 30 s at 2 %."""
    membership = Membership()
    others = {"a": 50.0, "b": 50.0, "c": 50.0}
    assert run(membership, {**others, "d": 60.0}, 0, 5) == {"d"}
    assert run(membership, {**others, "d": 51.5}, 6, 300) == {"d"}
    back = BACK_NS // SECOND
    assert run(membership, {**others, "d": 51.0}, 400, back - 1) == {"d"}
    assert run(membership, {**others, "d": 51.0}, 400 + back, 0) == frozenset()


def test_of_two_venues_none_is_out() -> None:
    """Nobody can say which one is wrong."""
    assert run(Membership(), {"a": 50.0, "b": 80.0}, 0, 100) == frozenset()
