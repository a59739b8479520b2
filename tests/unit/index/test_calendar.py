"""Total variance that falls with time."""

from itertools import pairwise
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.index.calendar import pool

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
