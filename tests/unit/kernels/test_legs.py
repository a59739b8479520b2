"""METHODOLOGY section 3, rule 2: one quote on its own."""

from math import inf, nan

import pytest

from volgauge.domain.index import Reject
from volgauge.kernels._jit import twin
from volgauge.kernels.layout import REJECTS, USED
from volgauge.kernels.legs import leg_code

CASES = [
    ("sound", 0.010, 0.011, None),
    ("three times the bid", 0.0010, 0.0030, Reject.WIDE),
    ("three ticks against one", 0.0001, 0.0003, Reject.TINY),
    ("six ticks wide", 0.0010, 0.0016, None),
    ("seven ticks, two thirds of the mid", 0.0007, 0.0014, Reject.WIDE),
    ("half of the mid wide", 0.030, 0.050, None),
    ("more than half of the mid", 0.029, 0.051, Reject.WIDE),
    ("hundredfold ask", 0.010, 1.1, Reject.WIDE),
    ("mid of five ticks", 0.0004, 0.0006, None),
    ("mid below five ticks", 0.0004, 0.0005, Reject.TINY),
    ("locked", 0.010, 0.010, Reject.CROSSED),
    ("crossed", 0.011, 0.010, Reject.CROSSED),
    ("no bid", nan, 0.010, Reject.NO_BID),
    ("zero bid", 0.0, 0.010, Reject.NO_BID),
    ("no ask", 0.010, nan, Reject.NO_ASK),
    ("zero ask", 0.010, 0.0, Reject.NO_ASK),
    ("nothing", nan, nan, Reject.ABSENT),
    ("zeros", 0.0, 0.0, Reject.ABSENT),
    ("negative bid", -0.010, 0.011, Reject.BAD_NUMBER),
    ("negative ask", 0.010, -0.011, Reject.BAD_NUMBER),
    ("infinite ask", 0.010, inf, Reject.BAD_NUMBER),
    ("not a number, given", -inf, 0.010, Reject.BAD_NUMBER),
]


@pytest.mark.parametrize(
    ("bid", "ask", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_verdict(bid: float, ask: float, expected: Reject | None) -> None:
    """Each rule refuses for its own reason; a tick is 0.0001 up to 0.05."""
    code = leg_code(bid, ask, 0.0001, 0.05, 0.0005)

    assert (USED if expected is None else REJECTS.index(expected)) == code
    assert code == twin(leg_code)(bid, ask, 0.0001, 0.05, 0.0005)


def test_the_coarser_tick_holds_above_its_price() -> None:
    """5 ticks of 0.01 above 0.02: a mid of 0.03 is too small, below the limit it is not."""
    assert REJECTS.index(Reject.TINY) == leg_code(0.029, 0.031, 0.0001, 0.02, 0.01)
    assert USED == leg_code(0.029, 0.031, 0.0001, 0.04, 0.01)


def test_an_unknown_tick_binds_nothing() -> None:
    """Without a tick only the relative limits are left."""
    assert USED == leg_code(0.00021, 0.00029, nan, inf, nan)
    assert REJECTS.index(Reject.WIDE) == leg_code(0.0002, 0.0004, nan, inf, nan)
