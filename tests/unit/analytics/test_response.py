"""Jumps of a coin and the next change of another coin's index, on constructed data."""

from math import exp, nan

import numpy as np
import pytest

from volgauge.analytics.path import Path
from volgauge.analytics.response import JumpResponses
from volgauge.domain.analytics import Lack
from volgauge.domain.instrument import Asset
from volgauge.kernels._jit import F64

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_800_000_000 * SECOND
BTC, ETH = Asset("BTC"), Asset("ETH")


def respond(
    sizes: F64, changes: F64, *, halted: int | None = None, told_twice: bool = False
) -> tuple[JumpResponses, int]:
    """Jumps of BTC every ten minutes; ETH's ln(index) moves by `changes` 100 s after each."""
    responses = JumpResponses()
    paths = {BTC: Path(), ETH: Path()}
    level = 4.0
    now = START
    for row, (size, change) in enumerate(zip(sizes.tolist(), changes.tolist(), strict=True)):
        jumped_ns = now
        responses.jump(BTC, size, jumped_ns)
        if told_twice:
            responses.jump(BTC, size, jumped_ns)
        for second in range(-20, 580, 20):
            now = jumped_ns + second * SECOND
            if second == 100:
                level += change
            if second == 320:
                level += 0.05 * (row % 3 - 1)  # after the five minutes: no part of the answer
            if row == halted and second == 200:
                paths[ETH].take(None, now)
            paths[ETH].take(exp(level), now)
            paths[BTC].take(50.0, now)
            for path in paths.values():
                path.settle(now)
            responses.settle(paths, now)
        now = jumped_ns + 600 * SECOND
    return responses, now


def test_the_reading_is_the_correlation_of_jump_and_next_change() -> None:
    """As numpy's Pearson coefficient of the constructed pairs."""
    rng = np.random.default_rng(1)
    sizes = rng.standard_normal(40) * 0.02
    changes = -0.4 * sizes + rng.standard_normal(40) * 0.005
    responses, now = respond(sizes, changes)

    expected = float(np.corrcoef(sizes, changes)[0, 1])
    assert responses.correlation(BTC, ETH, now) == pytest.approx(expected, rel=1e-8)


def test_the_other_direction_is_another_reading() -> None:
    """Without a jump of ETH nothing is known of BTC's answer."""
    rng = np.random.default_rng(2)
    responses, now = respond(rng.standard_normal(30) * 0.02, rng.standard_normal(30) * 0.01)

    assert responses.correlation(ETH, BTC, now) is Lack.TOO_LITTLE_HISTORY


def test_a_perfect_answer_gives_one() -> None:
    """The index moves by a fixed multiple of each jump."""
    sizes = np.random.default_rng(3).standard_normal(25) * 0.02
    responses, now = respond(sizes, 0.5 * sizes)

    assert responses.correlation(BTC, ETH, now) == pytest.approx(1.0, abs=1e-9)


def test_nineteen_jumps_are_too_few() -> None:
    """The twentieth makes it a reading."""
    sizes = np.random.default_rng(4).standard_normal(20) * 0.02
    few, now = respond(sizes[:19], sizes[:19])
    enough, later = respond(sizes, sizes)

    assert few.correlation(BTC, ETH, now) is Lack.TOO_LITTLE_HISTORY
    assert isinstance(enough.correlation(BTC, ETH, later), float)


def test_a_jump_answered_across_a_halt_does_not_count() -> None:
    """Twenty jumps, one of them with ETH halted in its five minutes: nineteen."""
    sizes = np.random.default_rng(5).standard_normal(20) * 0.02
    responses, now = respond(sizes, sizes, halted=7)

    assert responses.correlation(BTC, ETH, now) is Lack.TOO_LITTLE_HISTORY


def test_an_index_that_never_answers_does_not_vary() -> None:
    """All changes zero: no correlation of any size."""
    sizes = np.random.default_rng(8).standard_normal(25) * 0.02
    responses, now = respond(sizes, np.zeros(25))

    assert responses.correlation(BTC, ETH, now) is Lack.NO_VARIATION


def test_a_jump_told_twice_counts_once() -> None:
    """The same end again is the same jump."""
    sizes = np.random.default_rng(6).standard_normal(19) * 0.02
    responses, now = respond(sizes, sizes, told_twice=True)

    assert responses.correlation(BTC, ETH, now) is Lack.TOO_LITTLE_HISTORY


def test_jumps_of_long_ago_are_forgotten() -> None:
    """Ninety days after them nothing is left."""
    sizes = np.random.default_rng(7).standard_normal(25) * 0.02
    responses, now = respond(sizes, sizes)

    assert isinstance(responses.correlation(BTC, ETH, now), float)
    later = now + 90 * 86_400 * SECOND
    assert responses.correlation(BTC, ETH, later) is Lack.TOO_LITTLE_HISTORY


def test_a_jump_that_is_no_number_is_refused() -> None:
    """The caller's mistake is told to the caller."""
    with pytest.raises(ValueError, match="expected a finite log return, received nan"):
        JumpResponses().jump(BTC, nan, START)
