"""Spans without a candle: found as by a look at every span, one by one."""

from hypothesis import given
from hypothesis import strategies as st

from volgauge.history.candles import find_gaps


def absent(opened: set[int], step: int, first: int, until: int) -> set[int]:
    """The slow way: every expected span that has no candle."""
    return {at for at in range(first, until, step) if at not in opened}


@given(
    step=st.sampled_from([1, 60, 3600]),
    places=st.sets(st.integers(0, 40)),
    first=st.integers(0, 40),
    until=st.integers(0, 45),
)
def test_gaps_are_exactly_the_absent_spans(
    step: int, places: set[int], first: int, until: int
) -> None:
    """No span too many, none too few; gaps are apart, ascending and not empty."""
    opened = {step * place for place in places}
    gaps = find_gaps(sorted(opened), step, step * first, step * until)

    found = {at for start, end in gaps for at in range(start, end, step)}
    assert found == absent(opened, step, step * first, step * until)
    borders = [border for gap in gaps for border in gap]
    assert borders == sorted(set(borders))


def test_neighbouring_spans_are_one_gap() -> None:
    """Three missing minutes are one statement."""
    assert find_gaps([0, 240], 60, 0, 300) == ((60, 240),)


def test_candles_outside_the_expected_range_say_nothing() -> None:
    """Neither an older nor a later one."""
    assert find_gaps([0, 600], 60, 120, 240) == ((120, 240),)
