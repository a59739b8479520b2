"""The daily fixings."""

import pytest

from volgauge.domain.index import Fixing, Reason
from volgauge.domain.units import NANOS_PER_MINUTE, NANOS_PER_SECOND, parse_instant
from volgauge.index.fixing import FixingWindow, Result, next_fixing

FIX_NS = parse_instant("2026-11-20T08:00:00Z")


@pytest.mark.parametrize(
    ("after", "instant", "name"),
    [
        ("2026-01-10T00:00:00Z", "2026-01-10T08:00:00Z", Fixing.UTC_0800),
        ("2026-01-10T08:00:00Z", "2026-01-10T16:00:00Z", Fixing.LONDON_1600),
        ("2026-01-10T16:00:00Z", "2026-01-11T08:00:00Z", Fixing.UTC_0800),
        # Summer time of 2026: 29 March 01:00 UTC to 25 October 01:00 UTC.
        ("2026-03-28T12:00:00Z", "2026-03-28T16:00:00Z", Fixing.LONDON_1600),
        ("2026-03-29T12:00:00Z", "2026-03-29T15:00:00Z", Fixing.LONDON_1600),
        ("2026-07-01T14:59:59Z", "2026-07-01T15:00:00Z", Fixing.LONDON_1600),
        ("2026-10-24T12:00:00Z", "2026-10-24T15:00:00Z", Fixing.LONDON_1600),
        ("2026-10-25T12:00:00Z", "2026-10-25T16:00:00Z", Fixing.LONDON_1600),
        ("2026-07-01T23:30:00Z", "2026-07-02T08:00:00Z", Fixing.UTC_0800),
    ],
)
def test_the_next_fixing(after: str, instant: str, name: Fixing) -> None:
    """08:00 UTC all year; 16:00 London is 15:00 UTC in summer."""
    assert next_fixing(parse_instant(after)) == (parse_instant(instant), name)


def fill(values: dict[int, float], *, skip: frozenset[int] = frozenset()) -> Result:
    """A window whose second n before the fixing (0 the last) holds values[interval]."""
    window = FixingWindow(FIX_NS - 40 * NANOS_PER_MINUTE)
    for before in range(2399, -1, -1):
        if before not in skip:
            interval = 5 - before // 300
            window.add(FIX_NS - before * NANOS_PER_SECOND, values.get(interval, 999.0))
    assert window.close(FIX_NS - 1) is None
    result = window.close(FIX_NS)
    assert result is not None
    return result


def test_it_is_the_mean_of_six_medians() -> None:
    """Seconds before the window do not count."""
    result = fill({0: 50.0, 1: 51.0, 2: 52.0, 3: 53.0, 4: 54.0, 5: 61.0})

    assert result.value == pytest.approx(53.5, rel=1e-14)
    assert result.medians == (50.0, 51.0, 52.0, 53.0, 54.0, 61.0)
    assert (1800, None, Fixing.UTC_0800) == (result.n_values, result.reason, result.name)


def test_a_spike_of_two_minutes_leaves_no_trace() -> None:
    """That is what the medians are for."""
    window = FixingWindow(FIX_NS - 40 * NANOS_PER_MINUTE)
    for before in range(1799, -1, -1):
        spike = 300 <= before < 420
        window.add(FIX_NS - before * NANOS_PER_SECOND, 90.0 if spike else 50.0)

    result = window.close(FIX_NS)

    assert result is not None
    assert result.value == 50.0


@pytest.mark.parametrize(("missing", "is_fixed"), [(150, True), (151, False)])
def test_half_of_the_seconds_of_each_interval_are_needed(missing: int, *, is_fixed: bool) -> None:
    """One interval too thin and there is no fixing; the reason says so."""
    result = fill(dict.fromkeys(range(6), 50.0), skip=frozenset(range(600, 600 + missing)))

    assert (result.value is not None) is is_fixed
    assert result.reason is (None if is_fixed else Reason.TOO_FEW_VALUES)
    assert (result.medians[3] is None) is not is_fixed
    assert result.n_values == 1800 - missing


def test_the_next_window_is_empty_and_open() -> None:
    """After 08:00 UTC comes London."""
    window = FixingWindow(FIX_NS - NANOS_PER_MINUTE)
    window.add(FIX_NS, 50.0)
    window.close(FIX_NS + 1)

    assert window.name is Fixing.LONDON_1600
    later = window.close(parse_instant("2026-11-20T16:00:00.1Z"))
    assert later is not None
    assert (0, None) == (later.n_values, later.value)
