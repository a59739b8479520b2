"""The error band and the quality."""

from math import exp, log, sqrt

import pytest

from volgauge.index.band import error_band, pooling_error, quality, term_error


def test_the_band_is_the_root_of_the_sum_of_squares() -> None:
    """((ask - bid) / 8)^2 + ext^2 + others^2 + 0.02^2; METHODOLOGY rule 17."""
    assert error_band(50.0, 50.8, 0.3, 0.4) == pytest.approx(
        sqrt(0.01 + 0.09 + 0.16 + 0.0004), rel=1e-14
    )


def test_a_perfect_market_leaves_the_least_error() -> None:
    """0.02 points."""
    assert error_band(50.0, 50.0, 0.0, 0.0) == pytest.approx(0.02, rel=1e-14)


@pytest.mark.parametrize("ratio", [2.0 / 3.0, 1.5])
def test_a_lone_expiry_widens_by_the_slope_of_the_term_structure(ratio: float) -> None:
    """5 % of the value for a factor e of time; the same on both sides."""
    assert term_error(50.0, ratio) == pytest.approx(50.0 * 0.05 * log(1.5), rel=1e-12)


def test_expiries_that_were_moved_to_meet_widen_the_band() -> None:
    """0.8 of 0.003 and 0.2 of -0.001 in variance, 600 points each: hypot(1.44, 0.12)."""
    found = pooling_error((0.8, 0.2), (0.003, -0.001), 600.0)

    assert found == pytest.approx(sqrt(1.44**2 + 0.12**2), rel=1e-12)


def test_quality_is_a_product() -> None:
    """Health, strikes of 12, e^-u, venues of 3; METHODOLOGY rule 18."""
    found = quality(health=0.5, n_strikes=6, u=0.25, venue_count=1)

    assert found == pytest.approx(0.5 * 0.5 * exp(-0.25) / 3.0, rel=1e-14)


def test_more_than_enough_is_not_better() -> None:
    """30 strikes and five venues are as good as 12 and three."""
    assert quality(health=1.0, n_strikes=30, u=0.0, venue_count=5) == 1.0
