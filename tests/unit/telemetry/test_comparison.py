"""Our index beside the venue's own: known biases, leads and gaps come out as they went in."""

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fakes.records import index_value
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.telemetry.comparison import (
    MAX_AGE_SECONDS,
    MIN_LEAD_PAIRS,
    MIN_PAIRS,
    Compared,
    Comparisons,
    RollingRows,
    Row,
    Sampler,
    compare,
    correlation_by_lag,
)

START_S = 1_795_000_000
BTC = Asset("BTC")

F64 = NDArray[np.float64]


def path(count: int, seed: int, step: float = 0.02) -> F64:
    """A synthetic index: a random walk around 50 points."""
    changes = np.random.default_rng(seed).normal(0.0, step, count)
    walk: F64 = 50.0 + np.cumsum(changes)
    return walk


def rows_of(ours: F64, venue: F64, start_s: int = START_S) -> F64:
    """Rows in which `value` is compared and the other series are absent."""
    absent = np.full(len(ours), nan)
    seconds = np.arange(start_s, start_s + len(ours), dtype=np.float64)
    return np.column_stack([seconds, venue, ours, absent, absent, absent])


def led(seconds: int, count: int = 2_000, bias: float = 0.0, seed: int = 3) -> Compared:
    """The result for a venue that repeats ours, less `bias`, so many seconds later."""
    walk = path(count + abs(seconds), seed)
    early, late = walk[abs(seconds) :], walk[:count]
    ours, venue = (early, late) if seconds >= 0 else (late, early)
    return compare(rows_of(ours, venue - bias))[0]


@pytest.mark.parametrize("seconds", [-60, -17, -1, 0, 1, 5, 45, 60])
def test_known_lead_is_found(seconds: int) -> None:
    """Positive where the venue follows us, negative where it goes before."""
    found = led(seconds)

    assert found.lead_seconds == seconds
    assert found.lead_correlation == pytest.approx(1.0, abs=1e-12)
    assert found.lead_at_limit == (abs(seconds) == 60)


def test_lead_through_noise_is_found() -> None:
    """Half of the venue's changes are its own noise: the lead stands, the correlation says so."""
    walk = path(4_030, 5)
    venue = walk[:4_000] + np.cumsum(np.random.default_rng(6).normal(0.0, 0.02, 4_000))

    found = compare(rows_of(walk[30:], venue))[0]

    assert found.lead_seconds == 30
    assert found.lead_correlation == pytest.approx(np.sqrt(0.5), abs=0.05)
    assert found.change_correlation == pytest.approx(0.0, abs=0.07)


def test_known_bias_is_found() -> None:
    """A venue that says exactly half a point less, at once."""
    found = led(0, bias=0.5)

    assert found.bias == pytest.approx(0.5, abs=1e-12)
    assert found.rmse == pytest.approx(0.5, abs=1e-12)
    assert found.level_correlation == pytest.approx(1.0, abs=1e-9)
    assert (found.pairs, found.span_seconds) == (2_000, 2_000)


def test_figures_agree_with_numpy_where_seconds_are_missing() -> None:
    """Bias, RMSE and both correlations over the pairs there are, by numpy's own functions."""
    ours, venue = path(1_500, 7), path(1_500, 8)
    missing = np.random.default_rng(9).random(1_500) < 0.1
    has = ~missing
    rows = rows_of(ours, venue)[has]

    found = compare(rows)[0]

    both = has[1:] & has[:-1]
    changes = np.corrcoef(np.diff(ours)[both], np.diff(venue)[both])[0, 1]
    assert found.pairs == has.sum()
    assert found.bias == pytest.approx(float((ours - venue)[has].mean()), rel=1e-12)
    assert found.rmse == pytest.approx(float(((ours - venue)[has] ** 2).mean() ** 0.5), rel=1e-12)
    assert found.level_correlation == pytest.approx(np.corrcoef(ours[has], venue[has])[0, 1])
    assert found.change_correlation == pytest.approx(changes)


@given(
    seed=st.integers(0, 10_000),
    count=st.integers(70, 120),
    share=st.floats(0.0, 0.4),
    lag=st.integers(-20, 20),
)
def test_correlation_by_lag_agrees_with_a_loop(
    seed: int, count: int, share: float, lag: int
) -> None:
    """Each lag is numpy's correlation of the shifted pairs that both sides have."""
    rng = np.random.default_rng(seed)
    ours, theirs = rng.normal(3.0, 1.0, count), rng.normal(-2.0, 5.0, count)
    ours[rng.random(count) < share] = nan
    theirs[rng.random(count) < share] = nan

    found, pairs = correlation_by_lag(ours, theirs, 20)

    x = ours[max(0, -lag) : count - max(0, lag)]
    y = theirs[max(0, lag) : count - max(0, -lag)]
    both = ~np.isnan(x) & ~np.isnan(y)
    assert pairs[lag + 20] == both.sum()
    assert found[lag + 20] == pytest.approx(np.corrcoef(x[both], y[both])[0, 1], abs=1e-9)


def test_unrelated_paths_have_no_lead() -> None:
    """The best of 121 lags of noise is noise: at most one pair in fifty seems to lead."""
    leads = [compare(rows_of(path(900, seed), path(900, seed + 500)))[0] for seed in range(100)]

    assert sum(found.lead_seconds is not None for found in leads) <= 2
    assert {found.pairs for found in leads} == {900}


def test_a_constant_has_no_correlation() -> None:
    """An index that never moves correlates with nothing, and leads nothing."""
    found = compare(rows_of(path(900, 1), np.full(900, 0.1 + 0.2)))[0]

    assert found.bias is not None
    assert found.level_correlation is None
    assert found.change_correlation is None
    assert found.lead_seconds is None


def test_too_few_pairs_give_nothing_but_their_number() -> None:
    """One short of the minimum: no number that rests on too little."""
    walk = path(MIN_PAIRS - 1, 1)

    found = compare(rows_of(walk, walk))[0]

    assert found.pairs == MIN_PAIRS - 1
    assert found.bias is found.rmse is found.level_correlation is found.lead_seconds is None


def test_lead_waits_for_ten_minutes_at_every_lag() -> None:
    """The longest lag has 60 changes fewer than the shortest, and must have enough."""
    least = MIN_LEAD_PAIRS + 61

    assert led(5, count=least - 1).lead_seconds is None
    assert led(5, count=least).lead_seconds == 5


def test_no_rows_compare_to_nothing() -> None:
    """Before the first pair there is a result that says so for each series."""
    found = compare(np.empty((0, 6)))

    assert [(one.series, one.pairs, one.span_seconds) for one in found] == [
        ("value", 0, 0),
        ("strip", 0, 0),
        ("smoothed", 0, 0),
        ("full", 0, 0),
    ]


def record_at(second: float, value: float, status: Status = Status.SINGLE_VENUE) -> IndexValue:
    """Our record of that instant; its strip is always 52.125."""
    return index_value(1, value=value, status=status, computed_ns=ns(second))


def ns(second: float) -> int:
    """An instant of the test."""
    return round(second * NANOS_PER_SECOND) + START_S * NANOS_PER_SECOND


def offsets(rows: list[Row]) -> list[tuple[float, float, float]]:
    """Second since the start, the venue's index and our value."""
    return [(row[0] - START_S, row[1], row[2]) for row in rows]


def test_a_second_holds_what_was_known_then() -> None:
    """Numbers that came after a whole second are not used for it, those before are."""
    sampler = Sampler()
    sampler.poll(50.0, ns(0.2), record_at(0.3, 51.0), ns(0.4))

    rows = sampler.poll(60.0, ns(1.05), record_at(0.9, 52.0), ns(1.1))

    assert offsets(rows) == [(1.0, 50.0, 52.0)]
    assert offsets(sampler.poll(60.0, ns(1.05), record_at(0.9, 52.0), ns(2.0))) == [
        (2.0, 60.0, 52.0)
    ]


def test_each_second_is_sampled_once_however_often_one_polls() -> None:
    """Ten polls a second give one row a second."""
    sampler = Sampler()
    rows = [
        row
        for tenth in range(35)
        for row in sampler.poll(50.0, ns(0.0), record_at(0.0, 51.0), ns(tenth / 10))
    ]

    assert [row[0] - START_S for row in rows] == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("silent", ["venue", "ours"])
def test_a_silent_side_is_no_pair(silent: str) -> None:
    """A number that nobody renews is not held for ever."""
    sampler = Sampler()
    rows: list[Row] = []
    for second in range(20):
        venue_ns = ns(0.0) if silent == "venue" else ns(second)
        record = record_at(0.0 if silent == "ours" else second, 51.0)
        rows += sampler.poll(50.0, venue_ns, record, ns(second))

    assert [row[0] - START_S for row in rows] == list(range(MAX_AGE_SECONDS + 1))


@pytest.mark.parametrize("status", [Status.STALE, Status.GUARD, Status.HALTED, Status.WARMING])
def test_a_repeated_value_is_no_sample(status: Status) -> None:
    """Where the record repeats an old value there is nothing of ours to compare."""
    rows = Sampler().poll(50.0, ns(0.0), record_at(0.0, 51.0, status), ns(0.0))

    assert [row[2:] for row in rows] == [pytest.approx((nan,) * 4, nan_ok=True)]


def test_a_hole_in_the_recording_is_not_filled() -> None:
    """Nobody polled for an hour: only the seconds for which a value was fresh are rows."""
    sampler = Sampler()
    sampler.poll(50.0, ns(0.0), record_at(0.0, 51.0), ns(0.0))

    rows = sampler.poll(55.0, ns(3600.0), record_at(3600.0, 56.0), ns(3600.5))

    assert offsets(rows) == [(3600.0, 55.0, 56.0)]


def test_rolling_rows_keep_the_newest_in_order() -> None:
    """The ring holds its window and nothing else, across gaps and wraps."""
    kept = RollingRows(5)
    for second in (1.0, 2.0, 3.0, 6.0, 7.0, 8.0):
        kept.add((second, second, 0.0, 0.0, 0.0, 0.0))

    assert kept.rows()[:, 0].tolist() == [6.0, 7.0, 8.0]
    kept.add((9.0, 9.0, 0.0, 0.0, 0.0, 0.0))
    assert kept.rows()[:, 0].tolist() == [6.0, 7.0, 8.0, 9.0]


class Deribit:
    """A hand-written venue with an index of its own."""

    venue = "deribit"

    def __init__(self) -> None:
        self.vol_index: dict[Asset, float] = {}
        self.vol_index_ns: dict[Asset, int] = {}


def test_comparisons_follow_every_venue_and_asset_that_has_an_index() -> None:
    """A venue without an index is nowhere; the others by name, from the polls alone."""
    venue, comparisons = Deribit(), Comparisons(3_600)
    comparisons.sample([venue], {}, ns(0.0))
    assert comparisons.results() == {}

    walk = path(200, 4)
    for second, points in enumerate(walk.tolist()):
        venue.vol_index = {BTC: points - 1.5}
        venue.vol_index_ns = {BTC: ns(second)}
        comparisons.sample([venue], {"BTC": record_at(second, points)}, ns(second))

    ((key, results),) = comparisons.results().items()
    assert key == ("deribit", "BTC")
    by_series = {result.series: result for result in results}
    assert by_series["value"].bias == pytest.approx(1.5, abs=1e-12)
    assert by_series["value"].pairs == 200
    assert by_series["strip"].bias == pytest.approx(float(np.mean(52.125 - walk + 1.5)))
    assert by_series["smoothed"].pairs == by_series["full"].pairs == 0
