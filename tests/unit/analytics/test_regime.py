"""Bands of the index, with hysteresis."""

import itertools
import random

import pytest

from volgauge.analytics.regime import ABSOLUTE, ADAPTIVE, RegimeState
from volgauge.domain.analytics import Lack
from volgauge.settings import AnalyticsSettings

SETTINGS = AnalyticsSettings()


def absolute(values: list[float]) -> list[str | None]:
    """Bands of successive values, one a nanosecond."""
    state = RegimeState(SETTINGS)
    return [state.observe(v, None, t)[0].absolute for t, v in enumerate(values)]


@pytest.mark.parametrize(
    ("value", "band"),
    [
        (0.5, "dried_up"), (59.99, "dried_up"), (60.0, "quiet"), (79.99, "quiet"),
        (80.0, "healthy"), (109.99, "healthy"), (110.0, "mania"), (149.99, "mania"),
        (150.0, "extreme"), (400.0, "extreme"),
    ],
)  # fmt: skip
def test_the_first_value_is_judged_by_the_bounds_alone(value: float, band: str) -> None:
    """The founding document's 60/80/110/150, the lower bound inside."""
    assert absolute([value]) == [band]


@pytest.mark.parametrize(
    ("percentile", "band"),
    [(0.0, "very_low"), (9.9, "very_low"), (10.0, "low"), (40.0, "normal"), (74.9, "normal"),
     (75.0, "high"), (95.0, "very_high"), (100.0, "very_high")],
)  # fmt: skip
def test_adaptive_bands_are_percentiles(percentile: float, band: str) -> None:
    """10/40/75/95 % of the past year."""
    reading, lacks = RegimeState(SETTINGS).observe(52.0, percentile, 7)

    assert (reading.adaptive, reading.adaptive_since_ns, lacks) == (band, 7, {})


def test_the_way_out_is_at_the_bound_and_the_way_back_two_points_beyond() -> None:
    """Mania and extreme from above, quiet and dried_up from below."""
    assert absolute([100, 110, 108, 107.99, 109.99, 110, 150, 148, 147.99]) == [
        "healthy", "mania", "mania", "healthy", "healthy", "mania", "extreme", "extreme", "mania",
    ]  # fmt: skip
    assert absolute([100, 79.99, 81.99, 82, 59.99, 61.99, 62, 81.99, 82]) == [
        "healthy", "quiet", "quiet", "healthy", "dried_up", "dried_up", "quiet", "quiet", "healthy",
    ]  # fmt: skip


def test_a_jump_passes_several_bands() -> None:
    """From one end to the other in one step, and back."""
    assert absolute([50, 160, 50]) == ["dried_up", "extreme", "dried_up"]


def test_noise_around_a_bound_changes_the_band_once() -> None:
    """A value within a point of 110 for long."""
    noise = random.Random(5)  # noqa: S311 - test data
    bands = absolute([100.0] + [110.0 + noise.uniform(-1.0, 1.0) for _ in range(1000)])

    assert sum(a != b for a, b in itertools.pairwise(bands)) == 1


def slow_bands(path: list[float], bounds: tuple[float, ...], hysteresis: float) -> list[int]:
    """The rule by words: step outwards at a bound, inwards only that far beyond it."""
    middle, place, places = len(bounds) / 2, 0, []
    for step, value in enumerate(path):
        if step == 0:
            place = sum(value >= bound for bound in bounds)
        while place < len(bounds):
            outwards = place + 1 > middle
            if value < bounds[place] + (0.0 if outwards else hysteresis):
                break
            place += 1
        while place > 0:
            outwards = place - 1 < middle
            if value >= bounds[place - 1] - (0.0 if outwards else hysteresis):
                break
            place -= 1
        places.append(place)
    return places


@pytest.mark.parametrize("seed", range(20))
def test_random_paths_follow_the_rule_as_told(seed: int) -> None:
    """Bands and since-times of both kinds against a walk from band to band."""
    walk = random.Random(seed)  # noqa: S311 - test data
    points = [walk.uniform(40.0, 170.0)]
    for _ in range(500):
        points.append(max(1.0, points[-1] + walk.gauss(0.0, 4.0)))
    percentiles = [min(100.0, p * 0.6) for p in points]
    state = RegimeState(SETTINGS)
    readings = [
        state.observe(v, p, t)[0] for t, (v, p) in enumerate(zip(points, percentiles, strict=True))
    ]

    for path, bounds, names, told in (
        (points, SETTINGS.absolute_bands, ABSOLUTE,
         [(r.absolute, r.absolute_since_ns) for r in readings]),
        (percentiles, SETTINGS.adaptive_bands, ADAPTIVE,
         [(r.adaptive, r.adaptive_since_ns) for r in readings]),
    ):  # fmt: skip
        places = slow_bands(path, bounds, SETTINGS.band_hysteresis)
        since = [
            next((s for s in range(t, 0, -1) if places[s - 1] != places[t]), 0)
            for t in range(len(places))
        ]
        expected = [(names[place], first) for place, first in zip(places, since, strict=True)]
        assert told == expected


def test_a_gap_neither_tells_nor_forgets() -> None:
    """Without a value there is no band, and afterwards it goes on since when it began."""
    state = RegimeState(SETTINGS)
    state.observe(111.0, 96.0, 10)
    silent, lacks = state.observe(None, None, 20)
    after, _ = state.observe(108.5, 93.5, 30)

    assert (silent.absolute, silent.absolute_since_ns, silent.adaptive) == (None, None, None)
    assert lacks == {"regime.absolute": Lack.NO_INDEX, "regime.adaptive": Lack.NO_INDEX}
    assert (after.absolute, after.absolute_since_ns) == ("mania", 10)
    assert (after.adaptive, after.adaptive_since_ns) == ("very_high", 10)


def test_without_history_only_the_adaptive_band_is_missing() -> None:
    """The fixed bounds need none."""
    reading, lacks = RegimeState(SETTINGS).observe(90.0, None, 1)

    assert (reading.absolute, reading.adaptive, reading.adaptive_since_ns) == (
        "healthy", None, None,
    )  # fmt: skip
    assert lacks == {"regime.adaptive": Lack.TOO_LITTLE_HISTORY}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -3.0])
def test_what_is_no_number_is_never_a_band(bad: float) -> None:
    """NaN, infinities and a volatility that is none."""
    reading, lacks = RegimeState(SETTINGS).observe(bad, 50.0, 1)

    assert (reading.absolute, reading.adaptive) == (None, None)
    assert set(lacks.values()) == {Lack.BAD_NUMBER}


@pytest.mark.parametrize("bad", [float("nan"), -0.1, 100.1])
def test_a_percentile_outside_its_range_is_refused(bad: float) -> None:
    """The fixed band is told all the same."""
    reading, lacks = RegimeState(SETTINGS).observe(90.0, bad, 1)

    assert (reading.absolute, reading.adaptive) == ("healthy", None)
    assert lacks == {"regime.adaptive": Lack.BAD_NUMBER}
