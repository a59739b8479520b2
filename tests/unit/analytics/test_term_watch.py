"""The flag of an inverted term structure."""

from math import nan

import pytest

from volgauge.analytics.term import TermWatch


def index(short: float | None, long: float | None) -> dict[str, tuple[float | None, float | None]]:
    """The index at 180, 30 and 7 days, each with a band of half a point."""
    return {"180d": (long, 0.5), "30d": (90.0, 0.5), "7d": (short, 0.5)}


def test_it_is_raised_above_both_bands_and_cleared_when_nothing_is_left() -> None:
    """Between the two it stays what it was, and so does its instant."""
    watch = TermWatch()
    path = ((60.5, 1), (61.0, 2), (61.1, 3), (60.4, 4), (62.0, 5), (60.0, 6), (60.9, 7), (61.5, 8))

    told = [watch.observe(index(short, 60.0), at) for short, at in path]

    assert told == [
        (False, None), (False, None), (True, 3), (True, 3), (True, 3), (False, None),
        (False, None), (True, 8),
    ]  # fmt: skip


def test_tenors_are_ordered_by_length_not_by_name() -> None:
    """`180d` sorts before `7d` as text; the longest is still the longest."""
    assert TermWatch().observe({"180d": (70.0, 0.1), "7d": (60.0, 0.1)}, 1) == (False, None)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"7d": (60.0, 0.1)},
        {"7d": (None, 0.1), "30d": (50.0, 0.1)},
        {"7d": (60.0, None), "30d": (50.0, 0.1)},
        {"7d": (60.0, 0.1), "30d": (nan, 0.1)},
    ],
    ids=["nothing", "one", "no value", "no band", "nan"],
)
def test_a_missing_end_is_no_answer(values: dict[str, tuple[float | None, float | None]]) -> None:
    """Neither inverted nor not."""
    assert TermWatch().observe(values, 1) == (None, None)


def test_what_was_known_survives_a_missing_value() -> None:
    """The flag comes back with its own instant, inside the band too."""
    watch = TermWatch()
    watch.observe(index(65.0, 60.0), 10)

    assert watch.observe(index(None, 60.0), 20) == (None, None)
    assert watch.observe(index(60.5, 60.0), 30) == (True, 10)
