"""Our headline index beside the venue's own: bias, correlation, and which of them leads.

Both are step functions of time. They are sampled at whole seconds of our receipt time, the value
that held at that instant; a second without a fresh value on both sides is no pair. Nothing here
runs on the path of a tick: whoever keeps the time polls the newest values.

The venue's index never enters ours; this is the check from outside (METHODOLOGY §11).
"""

import enum
from collections.abc import Iterable, Mapping
from math import isnan, nan, sqrt
from typing import Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND

F64: TypeAlias = NDArray[np.float64]
Row: TypeAlias = tuple[float, float, float, float, float, float]
"""Whole second of the epoch, the venue's index, then ours in the order of `Series`; NaN: none."""

MAX_AGE_SECONDS = 10
"""A side that has not spoken for longer is silent, not constant."""
MAX_LEAD_SECONDS = 60
MIN_PAIRS = 60
"""Fewer give no bias, no RMSE and no correlation."""
MIN_LEAD_PAIRS = 600
"""Fewer changes at any of the lags give no lead: the best of 121 noisy numbers says nothing."""
MIN_LEAD_SIGMA = 4.0
"""A peak counts above this over sqrt(pairs), the standard error of a correlation of noise; among
121 lags of pure noise the largest stays below it 99 times in 100."""

_FRESH = frozenset({Status.OK, Status.SINGLE_VENUE, Status.DEGRADED})
"""In GUARD and STALE the record repeats an old value."""


class Series(enum.Enum):
    """Which number of our record is compared."""

    VALUE = "value"
    STRIP = "strip"
    SMOOTHED = "smoothed"
    FULL = "full"


class Compared(Struct, frozen=True, kw_only=True, gc=False):
    """One number of ours against the venue's index; `None` before there is enough data."""

    series: str
    pairs: int
    """Seconds at which both were fresh."""
    span_seconds: int
    """From the first to the last of them, both counted."""
    bias: float | None
    """Mean of ours less the venue's, in points."""
    rmse: float | None
    """Root of the mean squared difference, in points."""
    level_correlation: float | None
    """Of the two levels; None also where one of them never changed."""
    change_correlation: float | None
    """Of their changes within the same second."""
    lead_seconds: int | None
    """Lag at which the changes correlate best; positive: ours leads, the venue follows."""
    lead_correlation: float | None
    """The correlation there."""
    lead_at_limit: bool
    """The best lag is the largest that was tried: the true one may be beyond."""


class VenueIndexFacts(Protocol):
    """A venue of the engine, as far as its own volatility index goes."""

    @property
    def venue(self) -> str:
        """Lower-case name of the venue."""
        ...

    @property
    def vol_index(self) -> Mapping[Asset, float]:
        """Newest volatility index by asset, in points."""
        ...

    @property
    def vol_index_ns(self) -> Mapping[Asset, int]:
        """Our receipt of it."""
        ...


class Sampler:
    """Turns what one venue and we said about one asset into one row a second."""

    def __init__(self) -> None:
        self._second = 0
        """The first second that is not sampled yet; 0 before the first poll."""
        self._venue = nan
        self._venue_ns = 0
        self._ours = (nan, nan, nan, nan)
        self._ours_ns = 0

    def poll(
        self, venue: float, venue_ns: int, record: IndexValue | None, now_ns: int
    ) -> list[Row]:
        """Rows of the seconds that have passed since the poll before.

        A number that came after the second is not used for it: the one before it is, while it is
        fresh. Seconds at which nobody polled for longer than a value stays fresh are left out.

        Args:
            venue: The venue's newest index, in points.
            venue_ns: Our receipt of it.
            record: Our newest record of the headline; None before the first.
            now_ns: Now; never falls.
        """
        ours, ours_ns = self._ours, self._ours_ns
        if record is not None and record.computed_ns != ours_ns:
            ours, ours_ns = _numbers(record), record.computed_ns
        last = now_ns // NANOS_PER_SECOND
        first = max(self._second, last - MAX_AGE_SECONDS) if self._second else last
        rows = []
        for second in range(first, last + 1):
            at_ns = second * NANOS_PER_SECOND
            theirs = (
                _held(venue, venue_ns, at_ns)
                if venue_ns <= at_ns
                else _held(self._venue, self._venue_ns, at_ns)
            )
            mine, mine_ns = (ours, ours_ns) if ours_ns <= at_ns else (self._ours, self._ours_ns)
            if not isnan(theirs) and not isnan(_held(0.0, mine_ns, at_ns)):
                rows.append((float(second), theirs, *mine))
        self._second = last + 1
        self._venue, self._venue_ns = venue, venue_ns
        self._ours, self._ours_ns = ours, ours_ns
        return rows


class RollingRows:
    """The rows of the newest `window_seconds`, in a ring that never grows."""

    def __init__(self, window_seconds: int) -> None:
        self._ring: F64 = np.full((window_seconds, 2 + len(Series)), nan)
        self._newest = -1.0

    def add(self, row: Row) -> None:
        """Keep a row; its second is later than those before."""
        self._ring[int(row[0]) % len(self._ring)] = row
        self._newest = row[0]

    def rows(self) -> F64:
        """What is kept, oldest first; a copy, so that another thread may read it."""
        held = self._ring.copy()
        # A comparison with NaN is false: places that were never written fall out.
        held = held[held[:, 0] > self._newest - len(held)]
        ordered: F64 = held[np.argsort(held[:, 0], kind="stable")]
        return ordered


class Comparisons:
    """All venues that publish an index of their own, and all their assets, live.

    `sample` is for a timer: it costs a few dictionary look-ups. `results` does the arithmetic,
    a millisecond a series, and may be called from another thread.
    """

    def __init__(self, window_seconds: int) -> None:
        self._window_seconds = window_seconds
        self._kept: dict[tuple[str, str], tuple[Sampler, RollingRows]] = {}

    def sample(
        self,
        venues: Iterable[VenueIndexFacts],
        headlines: Mapping[str, IndexValue],
        now_ns: int,
    ) -> None:
        """Take what is newest.

        Args:
            venues: Those whose index is compared.
            headlines: Our newest record of the headline tenor, by asset.
            now_ns: Now.
        """
        for facts in venues:
            for asset, points in facts.vol_index.items():
                key = (facts.venue, asset)
                kept = self._kept.get(key)
                if kept is None:
                    kept = self._kept[key] = (Sampler(), RollingRows(self._window_seconds))
                sampler, rows = kept
                instant_ns = facts.vol_index_ns[asset]
                for row in sampler.poll(points, instant_ns, headlines.get(asset), now_ns):
                    rows.add(row)

    def results(self) -> dict[tuple[str, str], tuple[Compared, ...]]:
        """By venue and asset, in the order in which they were first seen."""
        return {key: compare(rows.rows()) for key, (_, rows) in list(self._kept.items())}


def compare(rows: F64) -> tuple[Compared, ...]:
    """Compare every number of ours with the venue's index.

    Args:
        rows: (n, 6) float64, as `Row`, seconds strictly ascending.

    Returns:
        One result for each `Series`, in its order.
    """
    return tuple(
        _compare(series, rows[:, 0], rows[:, 2 + column], rows[:, 1])
        for column, series in enumerate(Series)
    )


def correlation_by_lag(ours: F64, theirs: F64, max_lag: int) -> tuple[F64, F64]:
    """Pearson's correlation of `ours[i]` with `theirs[i + lag]` over the pairs that both have.

    Args:
        ours: (n,) float64, NaN where there is none.
        theirs: (n,) float64, NaN where there is none.
        max_lag: Lags from -max_lag to max_lag are tried.

    Returns:
        Correlations (2 max_lag + 1,) and the number of pairs behind each; the correlation is NaN
        where one side has fewer than two pairs or does not vary.
    """
    x, x_has = _centred(ours)
    y, y_has = (np.pad(part, max_lag) for part in _centred(theirs))

    def lagged(theirs_part: F64, ours_part: F64) -> F64:
        return np.correlate(theirs_part, ours_part, mode="valid")

    n = lagged(y_has, x_has)
    sx, sxx = lagged(y_has, x), lagged(y_has, x * x)
    sy, syy = lagged(y, x_has), lagged(y * y, x_has)
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = n * lagged(y, x) - sx * sy
        x_spread, y_spread = n * sxx - sx * sx, n * syy - sy * sy
        found = covariance / np.sqrt(x_spread * y_spread)
    # What is left of a constant after rounding is no variance.
    varies = (x_spread > 1e-12 * n * sxx) & (y_spread > 1e-12 * n * syy)
    found[~varies | (n < 2.0)] = nan
    return found, n


def _compare(series: Series, seconds: F64, ours: F64, theirs: F64) -> Compared:
    paired = ~np.isnan(ours) & ~np.isnan(theirs)
    seconds, ours, theirs = seconds[paired], ours[paired], theirs[paired]
    pairs = len(seconds)
    span = int(seconds[-1] - seconds[0]) + 1 if pairs else 0
    if pairs < MIN_PAIRS:
        return Compared(
            series=series.value,
            pairs=pairs,
            span_seconds=span,
            bias=None,
            rmse=None,
            level_correlation=None,
            change_correlation=None,
            lead_seconds=None,
            lead_correlation=None,
            lead_at_limit=False,
        )
    difference = ours - theirs
    level, _ = correlation_by_lag(ours, theirs, 0)
    changes, n = correlation_by_lag(
        _changes(seconds, ours), _changes(seconds, theirs), MAX_LEAD_SECONDS
    )
    same_second = changes[MAX_LEAD_SECONDS] if n[MAX_LEAD_SECONDS] >= MIN_PAIRS else nan
    lead = _peak(changes, n)
    return Compared(
        series=series.value,
        pairs=pairs,
        span_seconds=span,
        bias=float(np.mean(difference)),
        rmse=sqrt(float(np.mean(difference * difference))),
        level_correlation=_number(level[0]),
        change_correlation=_number(same_second),
        lead_seconds=lead,
        lead_correlation=None if lead is None else float(changes[lead + MAX_LEAD_SECONDS]),
        lead_at_limit=lead is not None and abs(lead) == MAX_LEAD_SECONDS,
    )


def _peak(correlations: F64, n: F64) -> int | None:
    """The lag of the largest correlation; None where it may be noise. A tie: the shorter lag."""
    if n.min() < MIN_LEAD_PAIRS or np.isnan(correlations).any():
        return None
    best = correlations.max()
    lags = np.flatnonzero(correlations == best) - MAX_LEAD_SECONDS
    lag = int(lags[np.argmin(np.abs(lags))])
    return lag if best > MIN_LEAD_SIGMA / sqrt(n[lag + MAX_LEAD_SECONDS]) else None


def _changes(seconds: F64, values: F64) -> F64:
    """One-second changes on the grid of all seconds; NaN where one of the two is missing."""
    grid = np.full(int(seconds[-1] - seconds[0]) + 1, nan)
    grid[(seconds - seconds[0]).astype(np.int64)] = values
    changes: F64 = np.diff(grid)
    return changes


def _centred(values: F64) -> tuple[F64, F64]:
    """Values less their mean with 0 for those missing, and 1 or 0 for whether there is one."""
    has = ~np.isnan(values)
    mean = float(np.mean(values[has])) if has.any() else 0.0
    return np.where(has, values - mean, 0.0), has.astype(np.float64)


def _numbers(record: IndexValue) -> tuple[float, float, float, float]:
    if record.status not in _FRESH:
        return nan, nan, nan, nan
    value, strip, smoothed, full = (
        nan if points is None else points
        for points in (record.value, record.strip, record.smoothed, record.full)
    )
    return value, strip, smoothed, full


def _held(value: float, since_ns: int, at_ns: int) -> float:
    """The value while it is fresh, else NaN."""
    return value if at_ns - since_ns <= MAX_AGE_SECONDS * NANOS_PER_SECOND else nan


def _number(value: float) -> float | None:
    return None if isnan(value) else float(value)
