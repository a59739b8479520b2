"""How worlds are quoted: ticks, spreads, noise, seeds."""

import numpy as np
import pytest

from volgauge.offline.accuracy.boards import (
    COIN_TICKS,
    DENSE,
    EXACT,
    FINE,
    SOUND,
    SPARSE,
    Quoting,
    exact_prices,
    make_board,
    quote,
)
from volgauge.offline.accuracy.worlds import FORWARD, WORLDS

CALM = WORLDS[0]


def test_the_grids() -> None:
    """61 strikes from 40k to 240k, 15 from 60k to 160k."""
    assert (len(DENSE), DENSE[0], DENSE[-1]) == (61, 40_000.0, 240_000.0)
    assert (len(SPARSE), SPARSE[0], SPARSE[-1]) == (15, 60_000.0, 160_000.0)


def test_quotes_without_noise_are_rounded_outwards() -> None:
    """Half-spread max(1 tick, 2 %); a price on the grid stays; no bid below one tick."""
    strike = np.array([90_000.0, 100_000.0, 110_000.0])
    price = np.array([[0.0201, 0.00423, 0.00008], [0.01, 0.0004, 0.00012]])

    board = quote(price, strike, Quoting(noise=0.0))

    expected_bid = [[0.0195, 0.0041, np.nan], [0.0095, 0.0003, np.nan]]
    expected_ask = [[0.021, 0.0044, 0.0002], [0.0105, 0.0005, 0.0003]]
    np.testing.assert_allclose(board.bid, expected_bid, atol=1e-12)
    np.testing.assert_allclose(board.ask, expected_ask, atol=1e-12)
    np.testing.assert_array_equal(board.mark, price)


@pytest.mark.parametrize("quoting", [SOUND, FINE, Quoting(common=0.15)])
def test_quotes_lie_on_the_grid(quoting: Quoting) -> None:
    """Multiples of the tick of their own price, bid below ask."""
    board = make_board(CALM, "dense", quoting, seed=3)
    ticks = quoting.ticks or COIN_TICKS

    for side in (board.bid, board.ask):
        known = side[~np.isnan(side)]
        steps = known / ticks.at(known)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    assert np.nanmin(board.ask - board.bid) > 0.0


def test_a_seed_is_the_whole_randomness() -> None:
    """The same seed the same board, another seed another."""
    first, again, other = (make_board(CALM, "sparse", seed=seed) for seed in (5, 5, 6))

    np.testing.assert_array_equal(first.bid, again.bid)
    assert not np.array_equal(first.bid, other.bid, equal_nan=True)


def test_exact_quotes_surround_the_price() -> None:
    """Neither rounded nor disturbed: the mid is the world's price."""
    board = make_board(CALM, "dense", EXACT)
    price = exact_prices(CALM, DENSE, FORWARD)

    known = ~np.isnan(board.mid)
    np.testing.assert_allclose(board.mid[known], price[known], rtol=1e-12)


def test_noise_has_the_stated_size() -> None:
    """Over many boards: own noise 0.25, common 0.15 half-spreads."""
    strike = np.array([100_000.0])
    price = np.full((2, 1), 0.05)
    wanted = Quoting(ticks=None, noise=0.25, common=0.15)
    generator = np.random.default_rng(11)
    errors = np.array(
        [(quote(price, strike, wanted, generator).mid - price)[:, 0] for _ in range(4_000)]
    ) / (0.02 * 0.05)

    assert errors.std() == pytest.approx(np.hypot(0.25, 0.15), rel=0.05)
    assert np.cov(errors.T)[0, 1] == pytest.approx(0.15**2, rel=0.3)


def test_noise_without_a_generator_is_refused() -> None:
    """Nothing here draws from a hidden source."""
    with pytest.raises(ValueError, match="generator"):
        quote(np.full((2, 1), 0.05), np.array([100_000.0]), SOUND)


def test_a_strike_comes_and_goes() -> None:
    """`without` what `with_strike` added is the board again."""
    board = make_board(CALM, "sparse", seed=1)

    more = board.with_strike(97_500.0, np.array([0.06, 0.03]), np.array([0.061, 0.031]))
    place = int(np.flatnonzero(more.strike == 97_500.0)[0])
    back = more.without([place])

    assert len(more.strike) == 16
    assert more.bid[:, place].tolist() == [0.06, 0.03]
    for name in ("strike", "bid", "ask", "mark"):
        np.testing.assert_array_equal(getattr(back, name), getattr(board, name))
