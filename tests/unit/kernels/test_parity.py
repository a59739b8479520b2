"""The forward from put-call pairs: METHODOLOGY section 4."""

from collections.abc import Callable
from math import inf, isnan, nan

import numpy as np
import pytest

from golden.chain_sources import coin_price, smile_vol
from volgauge.domain.instrument import OptionKind
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, twin
from volgauge.kernels.parity import CALL_HALF, CALL_MID, PUT_HALF, PUT_MID, parity_forward
from volgauge.kernels.replication import WORK_ROWS

FORWARD = 61_234.5
STRIKES = np.arange(50_000.0, 75_000.0, 1_000.0)
YEARS = 0.08
COIN = True

Run = Callable[[F64, F64, bool], tuple[float, int, float]]


@pytest.fixture(params=[parity_forward, twin(parity_forward)], ids=["compiled", "twin"])
def find(request: pytest.FixtureRequest) -> Run:
    """The kernel and its twin, given the pairs as `load_expiry` would give them."""

    def run(ladder: F64, work: F64, coin: bool) -> tuple[float, int, float]:
        gaps = np.abs(work[CALL_MID] - work[PUT_MID])
        rows = [int(row) for row in np.argsort(gaps) if np.isfinite(gaps[row])]
        forward, gap = request.param(ladder, work, coin, len(rows), *(*rows, 0, 0, 0)[:3])
        return forward, len(rows), gap

    return run


def arrays(*, coin: bool = True, half: float = 1e-4) -> tuple[F64, F64]:
    """A ladder and the mids and half-spreads of exact prices."""
    ladder = np.full((len(STRIKES), col.LADDER_COLUMNS), nan)
    ladder[:, col.STRIKE] = STRIKES
    work = np.full((WORK_ROWS, len(STRIKES)), nan)
    unit = 1.0 if coin else FORWARD
    for i, strike in enumerate(STRIKES.tolist()):
        deviation = smile_vol(strike, FORWARD) * YEARS**0.5
        work[CALL_MID, i] = unit * coin_price(strike, FORWARD, deviation, OptionKind.CALL)
        work[PUT_MID, i] = unit * coin_price(strike, FORWARD, deviation, OptionKind.PUT)
    work[CALL_HALF] = work[PUT_HALF] = unit * half
    return ladder, work


@pytest.mark.parametrize("coin", [True, False])
def test_exact_prices_give_the_exact_forward(find: Run, *, coin: bool) -> None:
    """Inverse and linear premiums, no interval is violated."""
    ladder, work = arrays(coin=coin)

    forward, pairs, gap = find(ladder, work, coin)

    assert forward == pytest.approx(FORWARD, rel=1e-12)
    assert len(STRIKES) == pairs
    assert gap == 0.0


@pytest.mark.parametrize("factor", [0.5, 3.0])
@pytest.mark.parametrize("strike", [58_000.0, 61_000.0, 62_000.0])
def test_one_bad_pair_does_not_move_it(find: Run, strike: float, factor: float) -> None:
    """The median ignores a call that is off; the interval reports it."""
    ladder, work = arrays()
    work[CALL_MID, STRIKES.tolist().index(strike)] *= factor

    forward, _, gap = find(ladder, work, COIN)

    assert forward == pytest.approx(FORWARD, rel=1e-12)
    assert gap != 0.0


def test_fewer_than_three_pairs_give_nothing(find: Run) -> None:
    """NaN and the count; the caller looks elsewhere."""
    ladder, work = arrays()
    work[PUT_MID, 2:] = nan

    forward, pairs, _ = find(ladder, work, COIN)

    assert isnan(forward)
    assert pairs == 2


def test_three_far_pairs_are_enough(find: Run) -> None:
    """With no pair near the money the three nearest serve."""
    ladder, work = arrays()
    work[PUT_MID, 3:] = nan

    forward, pairs, _ = find(ladder, work, COIN)

    assert forward == pytest.approx(FORWARD, rel=1e-12)
    assert pairs == 3


def test_weights_are_the_inverse_squares_of_the_spreads(find: Run) -> None:
    """One pair that is tighter than all others together decides."""
    ladder, work = arrays(half=2e-3)
    rng = np.random.default_rng(1)
    work[CALL_MID] += rng.normal(0.0, 4e-4, len(STRIKES))
    tight = STRIKES.tolist().index(61_000.0)
    work[CALL_HALF, tight] = work[PUT_HALF, tight] = 1e-6
    difference = work[CALL_MID, tight] - work[PUT_MID, tight]

    forward, _, _ = find(ladder, work, COIN)

    assert forward == pytest.approx(61_000.0 / (1.0 - difference), rel=1e-15)


def test_who_narrows_a_quote_in_the_money_does_not_make_the_forward(find: Run) -> None:
    """Of three pairs with one spread out of the money the middle one stays the median."""
    ladder, work = arrays(half=2e-4)
    places = [STRIKES.tolist().index(strike) for strike in (61_000.0, 62_000.0, 63_000.0)]
    work[:, [i for i in range(len(STRIKES)) if i not in places]] = nan
    work[CALL_MID, places] += (-1e-4, 0.0, 1e-4)
    work[CALL_HALF, places[0]] = 1e-6

    forward, pairs, _ = find(ladder, work, COIN)

    assert pairs == 3
    assert forward == pytest.approx(FORWARD, rel=1e-12)


@pytest.mark.parametrize("bad", [nan, inf])
def test_bad_mids_are_no_pairs(find: Run, bad: float) -> None:
    """A NaN or infinite mid is as if the pair were not there."""
    ladder, work = arrays()
    work[CALL_MID, ::2] = bad

    forward, pairs, _ = find(ladder, work, COIN)

    assert forward == pytest.approx(FORWARD, rel=1e-12)
    assert pairs == len(STRIKES) // 2
