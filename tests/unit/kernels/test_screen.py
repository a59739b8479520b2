"""Quotes against their neighbours: METHODOLOGY rule 2a."""

from math import nan

import numpy as np
import pytest

from golden.chain_sources import coin_price, smile_vol
from volgauge.domain.instrument import OptionKind
from volgauge.kernels import screen
from volgauge.kernels._jit import F64, twin
from volgauge.kernels.replication import WORK_ROWS

MONEYNESS = np.linspace(0.70, 1.40, 29)
HALF = 2e-4
ACROSS = True
ONE_SIDE = False


def quotes() -> F64:
    """Arbitrage-free out-of-the-money quotes around the money, none at m = 1 exactly."""
    work = np.full((WORK_ROWS, len(MONEYNESS)), nan)
    work[screen.MONEYNESS] = MONEYNESS
    for i, m in enumerate(MONEYNESS.tolist()):
        kind = OptionKind.PUT if m < 1.0 else OptionKind.CALL
        price = coin_price(m, 1.0, smile_vol(m, 1.0) * 0.08**0.5, kind)
        work[screen.OTM_BID, i] = price - HALF
        work[screen.OTM_MID, i] = price
        work[screen.OTM_ASK, i] = price + HALF
    return work


def scale(work: F64, i: int, factor: float) -> None:
    """Move one quote, both sides."""
    work[screen.OTM_BID : screen.OTM_MID + 1, i] *= factor


def refused(work: F64) -> list[int]:
    """Drop the worst until none is left."""
    dropped = []
    worst = screen.worst_strike(work, len(MONEYNESS), ACROSS)
    while worst >= 0:
        dropped.append(worst)
        work[screen.OTM_MID, worst] = nan
        worst = screen.worst_strike(work, len(MONEYNESS), ACROSS)
    return dropped


def test_sound_quotes_have_no_conflict() -> None:
    """The quick pass and the count agree that nothing is wrong."""
    work = quotes()

    assert not screen.has_conflict(work, len(MONEYNESS), ACROSS)
    assert screen.worst_strike(work, len(MONEYNESS), ACROSS) == -1


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.4, 3.0])
@pytest.mark.parametrize("i", [6, 9, 11, 12, 15, 18, 22])
def test_the_shifted_quote_itself_is_dropped(i: int, factor: float) -> None:
    """Too high or too low, put or call, near the money or not: only that one goes."""
    work = quotes()
    scale(work, i, factor)

    assert screen.has_conflict(work, len(MONEYNESS), ACROSS)
    assert [i] == refused(work)


def test_price_order() -> None:
    """An outer call dearer than an inner one cannot stand, whatever lies between."""
    work = quotes()
    work[screen.OTM_MID, 16:21] = nan
    scale(work, 21, 8.0)

    assert screen.has_conflict(work, len(MONEYNESS), ACROSS)
    assert refused(work)


def test_convexity_across_the_money_waits_for_a_sound_forward() -> None:
    """Without pairs behind the forward the two sides are not held against each other."""
    work = quotes()
    nearest_put = int(np.searchsorted(MONEYNESS, 1.0)) - 1
    scale(work, nearest_put, 1.3)

    assert screen.has_conflict(work, len(MONEYNESS), ACROSS)
    assert not screen.has_conflict(work, len(MONEYNESS), ONE_SIDE)


def test_twin() -> None:
    """The compiled code and its Python twin find the same strike."""
    work = quotes()
    scale(work, 7, 2.0)
    scale(work, 20, 0.5)

    compiled = screen.worst_strike(work, len(MONEYNESS), ACROSS)
    assert compiled == twin(screen.worst_strike)(work, len(MONEYNESS), ACROSS)
    assert twin(screen.has_conflict)(work, len(MONEYNESS), ACROSS)
