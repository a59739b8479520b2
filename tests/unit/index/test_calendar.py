"""Total variance that falls with time."""

from itertools import pairwise
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.index.calendar import CONTRADICTION, pool, trust

WHOLE = [1.0, 1.0, 1.0]


def banded(variance: list[float], half: list[float]) -> tuple[list[float], list[float]]:
    """Bids and asks around variances."""
    return (
        [w - h for w, h in zip(variance, half, strict=True)],
        [w + h for w, h in zip(variance, half, strict=True)],
    )


def test_rising_variance_is_left_alone() -> None:
    """The usual case."""
    variance = [0.01, 0.02, 0.03]

    assert pool(variance, *banded(variance, [0.001] * 3), WHOLE) is None


def test_a_fall_that_the_bands_allow_is_left_alone() -> None:
    """0.020 -> 0.019 with half bands of 0.001 each."""
    variance = [0.02, 0.019, 0.03]

    assert pool(variance, *banded(variance, [0.001] * 3), WHOLE) is None


def test_a_deep_fall_is_pooled_by_the_inverse_squares_of_the_bands() -> None:
    """(0.03 / 1^2 + 0.02 / 2^2) / (1 + 1/4) = 0.028."""
    variance = [0.03, 0.02, 0.04]

    pooled = pool(variance, *banded(variance, [0.001, 0.002, 0.001]), WHOLE)

    assert pooled == pytest.approx([0.028, 0.028, 0.04], rel=1e-12)


def test_three_violators_become_one_block() -> None:
    """0.04, 0.03, 0.02 with equal bands: the mean of all."""
    variance = [0.04, 0.03, 0.02]

    pooled = pool(variance, *banded(variance, [0.001] * 3), WHOLE)

    assert pooled == pytest.approx([0.03] * 3, rel=1e-12)


def test_the_edge_of_the_bands_is_no_cliff() -> None:
    """A hair beyond moves hardly anything."""
    variance = [0.022 + 1e-9, 0.02, 0.04]

    pooled = pool(variance, *banded(variance, [0.001] * 3), WHOLE)

    assert pooled == pytest.approx(variance, abs=1e-8)


def test_an_expiry_that_is_hardly_in_moves_hardly_anyone() -> None:
    """It weighs by its share; at 0 it takes no part."""
    variance = [0.03, 0.02, 0.04]
    bands = banded(variance, [0.001] * 3)

    little = pool(variance, *bands, [1.0, 1e-9, 1.0])

    assert little is not None
    assert little[0] == pytest.approx(0.03, rel=1e-8)
    assert pool(variance, *bands, [1.0, 0.0, 1.0]) is None


def test_an_expiry_without_a_band_takes_no_part() -> None:
    """NaN compares with nothing."""
    variance = [0.03, 0.02, 0.04]
    bid, ask = banded(variance, [0.001] * 3)

    assert pool(variance, [nan, *bid[1:]], [nan, *ask[1:]], WHOLE) is None


@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.1), st.floats(1e-5, 0.01), st.floats(0.01, 1.0)),
        min_size=2,
        max_size=8,
    ),
    st.integers(0, 7),
    st.floats(-1e-7, 1e-7),
)
def test_pooling_is_continuous(
    rows: list[tuple[float, float, float]], which: int, change: float
) -> None:
    """A small change of one variance changes no result by much more than a band's worth of it."""
    variance, half, shares = (list(column) for column in zip(*rows, strict=True))
    moved = list(variance)
    moved[which % len(rows)] += change
    before = pool(variance, *banded(variance, half), shares) or variance
    after = pool(moved, *banded(moved, half), shares) or moved
    # d strength / d w <= 1 / (h_i + h_j), times a distance of at most 0.09.
    slope = 2.0 + 0.09 / min(max(h, 1e-3 * w) for w, h in zip(variance, half, strict=True))

    for a, b in zip(before, after, strict=True):
        assert abs(a - b) <= slope * abs(change) + 1e-14


@given(st.lists(st.floats(0.01, 0.1), min_size=2, max_size=8))
def test_deep_falls_end_up_ascending(variance: list[float]) -> None:
    """With hardly any band everything is pooled until nothing falls by more than the bands."""
    pooled = pool(variance, *banded(variance, [1e-9] * len(variance)), [1.0] * len(variance))

    for a, b in pairwise(pooled or variance):
        assert b >= a - 4e-3 * a


WILD = [0.002, 0.420, 0.004, 0.010, 0.018, 0.026]
HALVES = [0.0001, 0.0002, 0.0002, 0.0004, 0.0006, 0.0008]
"""As on one venue when all volatilities rose by 9 % a second: the second has lost its wings."""


def test_one_wild_expiry_loses_its_vote_however_narrow_its_band() -> None:
    """It contradicts four others, and each of them only it."""
    bands = banded(WILD, HALVES)

    votes = trust(WILD, *bands, [1.0] * 6)

    assert votes == [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    assert pool(WILD, *bands, votes) is None


def test_two_wild_expiries_lose_their_votes() -> None:
    """Though they do not contradict each other."""
    variance = [0.002, 0.400, 0.420, 0.010, 0.018, 0.026]

    assert trust(variance, *banded(variance, HALVES), [1.0] * 6) == [1.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_a_wild_expiry_that_is_too_low_loses_its_vote() -> None:
    """The fourth contradicts those before it."""
    variance = [0.005, 0.006, 0.007, 0.0001, 0.018, 0.026]

    votes = trust(variance, *banded(variance, HALVES), [1.0] * 6)

    assert votes == [1.0, 1.0, 1.0, 0.0, 1.0, 1.0]


def test_a_wild_expiry_that_is_hardly_in_has_no_vote_either() -> None:
    """A share that runs down does not make it less contradicted."""
    shares = [1.0, 0.1, 1.0, 1.0, 1.0, 1.0]

    votes = trust(WILD, *banded(WILD, HALVES), shares)

    assert votes is not None
    assert votes[1] == 0.0


def test_two_that_only_contradict_each_other_keep_their_votes() -> None:
    """Nobody can tell which one is wrong."""
    variance = [0.002, 0.015, 0.004, 0.030]

    assert trust(variance, *banded(variance, HALVES[:4]), [1.0] * 4) is None


@pytest.mark.parametrize("fall", [1.0, 2.0, CONTRADICTION])
def test_a_fall_that_noise_can_make_takes_no_vote(fall: float) -> None:
    """Up to three sums of half bands; it is pooled as ever."""
    variance = [0.020, 0.020 - 0.002 * fall, 0.020 - 0.002 * fall, 0.040]

    assert trust(variance, *banded(variance, [0.001] * 4), [1.0] * 4) is None


def test_a_curve_beyond_its_quotes_weighs_little() -> None:
    """(0.04 / (1 + 30^2) + 0.017 / 1) / (1 / (1 + 30^2) + 1), in units of the bands."""
    variance = [0.040, 0.017, 0.060]
    bands = banded(variance, [0.001] * 3)

    pooled = pool(variance, *bands, WHOLE, [0.030, 0.0, nan])

    weight = 1.0 / (1.0 + 30.0**2)
    level = (0.040 * weight + 0.017) / (weight + 1.0)
    assert pooled == pytest.approx([level, level, 0.060], rel=1e-12)


@given(
    st.lists(st.tuples(st.floats(1.0, 1.6), st.floats(0.005, 0.08)), min_size=5, max_size=10),
    st.integers(0, 9),
    st.floats(-8.0, 8.0),
    st.floats(1e-6, 0.05),
)
def test_one_wild_expiry_moves_no_other_far(
    steps: list[tuple[float, float]], which: int, error: float, half: float
) -> None:
    """Whatever one expiry says, with a band as narrow as it likes: the others stay near.

    It is heard where it contradicts a single other one, or by no more than twice the fall at which
    contradictions begin: so none leaves the true variances two expiries on by more than that fall.
    At an end of the term there is no second one: of the two outermost nobody knows which is wrong.
    """
    variance, level = [], 0.002
    for step, _ in steps:
        level *= step
        variance.append(level)
    halves = [w * share for w, (_, share) in zip(variance, steps, strict=True)]
    row = which % len(variance)
    said = list(variance)
    said[row] *= 2.0**error
    halves[row] = said[row] * half
    bands = banded(said, halves)
    whole = [1.0] * len(said)
    votes = trust(said, *bands, whole) or whole
    pooled = pool(said, *bands, votes) or said

    for other in range(len(variance)):
        is_pair = {row, other} in ({0, 1}, {len(variance) - 2, len(variance) - 1})
        if other != row and votes[other] > 0.0 and not is_pair:
            low, high = max(0, other - 2), min(len(variance) - 1, other + 2)
            room = 2.0 * CONTRADICTION * (max(halves[low : high + 1]) + halves[other])
            assert variance[low] - room <= pooled[other] <= variance[high] + room


@given(
    st.lists(
        st.tuples(st.floats(0.01, 0.1), st.floats(1e-5, 0.01), st.floats(0.01, 1.0)),
        min_size=3,
        max_size=8,
    ),
    st.integers(0, 7),
    st.floats(-1e-7, 1e-7),
)
def test_votes_are_continuous(
    rows: list[tuple[float, float, float]], which: int, change: float
) -> None:
    """A small change of one variance changes no vote by more than its worth of bands."""
    variance, half, shares = (list(column) for column in zip(*rows, strict=True))
    moved = list(variance)
    moved[which % len(rows)] += change
    whole = [1.0] * len(rows)
    before = trust(variance, *banded(variance, half), shares) or whole
    after = trust(moved, *banded(moved, half), shares) or whole
    # d c / d w <= 1 / (3 (h_i + h_j)) + the band's own share of w; a vote has n factors, each of
    # one c and of a difference of two sums of n.
    narrowest = min(max(h, 1e-3 * w) for w, h in zip(variance, half, strict=True))
    slope = 3.0 * len(rows) ** 2 / narrowest

    for a, b in zip(before, after, strict=True):
        assert abs(a - b) <= slope * abs(change) + 1e-12
