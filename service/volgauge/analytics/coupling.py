"""All assets of the process: every pair, and one gauge of how much they move as one.

Fed by every headline record; the work is done in `reading`, once a minute for the synchronous
changes and at most one lag scan per second that has passed, so that no single call is long.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

import numpy as np

from volgauge.analytics.hayashi import read_lags
from volgauge.analytics.pair import BETA, GRID_NS, HALF_LIVES_NS, Pair
from volgauge.analytics.path import WINDOW_NS, Path, Sample
from volgauge.analytics.response import JumpResponses
from volgauge.analytics.spillover import SLOT_NS, SpilloverJob, SpilloverState
from volgauge.domain.analytics import Lack, PairCoupling, SpilloverReading
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.kernels._jit import F64, I64
from volgauge.settings import RuleSettings

PAST_NS = 8 * HALF_LIVES_NS["7d"]
"""Older closes weigh less than 1/256 of the newest."""

SCAN_NS = 10 * NANOS_PER_SECOND
"""A pair's lag scan is at least so old before it is repeated; with 28 pairs it is 28 s."""


class CouplingReading(NamedTuple):
    """What is published of all pairs, less its envelope."""

    assets: tuple[Asset, ...]
    pairs: tuple[PairCoupling, ...]
    systemic: float | None
    missing: dict[str, Lack]
    spillover: SpilloverReading | None


class Coupling:
    """The states of all pairs. Assets appear as they are observed, in alphabetical order."""

    def __init__(self, decoupling: RuleSettings) -> None:
        """Begin without a past.

        Args:
            decoupling: Its thresholds part and rejoin a pair, whether the rule is enabled or not.
        """
        self._decoupling = decoupling
        self._paths: dict[Asset, Path] = {}
        self._pairs: dict[tuple[Asset, Asset], Pair] = {}
        self._past: dict[Asset, tuple[I64, F64]] = {}
        self._spillover = SpilloverState()
        self._responses = JumpResponses()
        self._step: int | None = None
        self._samples: dict[Asset, Sample] = {}
        self._read_ns: int | None = None

    def observe(self, asset: Asset, value: float | None, at_ns: int) -> None:
        """Take a headline record.

        Args:
            asset: Of the record.
            value: Points; None when halted, held or stale. None, NaN, an infinity or a number
                not above zero breaks the series.
            at_ns: When it was computed; an earlier instant than the last one is ignored.
        """
        path = self._paths.get(asset)
        if path is None:
            path = self._admit(asset)
        if value is not None and path.at_ns <= at_ns < path.due_ns and 0.0 < value < inf:
            path.value = value
            path.at_ns = at_ns
        else:
            path.take(value, at_ns)

    def jump(self, asset: Asset, size: float, at_ns: int) -> None:
        """Take a realised jump of the underlying that ended at an instant, as a log return.

        Raises:
            ValueError: The size is no finite number.
        """
        self._responses.jump(asset, size, at_ns)

    def seed(self, series: Mapping[Asset, Sequence[tuple[int, float]]]) -> None:
        """Take past closes, (instant of the close in ns, points), at any time and in any order.

        Of a pair only what is older than all that it knows is taken, so that nothing counts twice.
        Closes of one resolution; what is no positive number or not on a whole minute is left out,
        a missing close is a gap, and the last 56 days are kept.
        """
        for asset, closes in series.items():
            points = {
                at_ns // GRID_NS: value
                for at_ns, value in closes
                if 0.0 < value < inf and at_ns % GRID_NS == 0
            }
            if points:
                self._remember(asset, points)
        for (first, second), pair in self._pairs.items():
            if first in series or second in series:
                self._seed_pair(pair)

    def reading(self, now_ns: int) -> CouplingReading:
        """Bring everything up to date and read it. Call about once a second, `now_ns` ascending."""
        self._advance(now_ns)
        self._scan(now_ns)
        missing: dict[str, Lack] = {}
        current = {asset: path.current(now_ns) for asset, path in self._paths.items()}
        pairs = tuple(
            pair.reading(
                current[first],
                current[second],
                (
                    self._responses.correlation(first, second, now_ns),
                    self._responses.correlation(second, first, now_ns),
                ),
                now_ns,
                missing,
            )
            for (first, second), pair in self._pairs.items()
        )
        spillover = self._spillover.reading(now_ns)
        if isinstance(spillover, Lack):
            missing["spillover"] = spillover
        systemic = self._systemic(current, now_ns)
        if isinstance(systemic, Lack):
            missing["systemic"] = systemic
        return CouplingReading(
            assets=tuple(self._paths),
            pairs=pairs,
            systemic=None if isinstance(systemic, Lack) else systemic,
            missing=missing,
            spillover=None if isinstance(spillover, Lack) else spillover,
        )

    def spillover_job(self, now_ns: int) -> SpilloverJob | None:
        """Freeze the last 7 days for `compute_spillover`; None when too little for it."""
        self._advance(now_ns)
        return self._spillover.job(now_ns)

    def take_spillover(self, reading: SpilloverReading) -> None:
        """Accept the decomposition of an earlier job."""
        self._spillover.take(reading)

    def _admit(self, asset: Asset) -> Path:
        path = Path()
        for other in self._paths:
            first, second = sorted((asset, other))
            pair = Pair(first, second, self._decoupling)
            self._seed_pair(pair)
            self._pairs[first, second] = pair
        self._paths[asset] = path
        self._paths = dict(sorted(self._paths.items()))
        self._pairs = dict(sorted(self._pairs.items()))
        return path

    def _remember(self, asset: Asset, points: Mapping[int, float]) -> None:
        steps = np.asarray(sorted(points), np.int64)
        levels = np.log([points[step] for step in steps.tolist()])
        if asset in self._past:
            known, known_levels = self._past[asset]
            older = int(np.searchsorted(steps, known[0]))
            steps = np.concatenate((steps[:older], known))
            levels = np.concatenate((levels[:older], known_levels))
        kept = steps > steps[-1] - PAST_NS // GRID_NS
        steps, levels = steps[kept], levels[kept]
        self._past[asset] = steps, levels
        in_slot = steps * GRID_NS % SLOT_NS == 0
        self._spillover.seed(asset, steps[in_slot] * GRID_NS // SLOT_NS, levels[in_slot])

    def _seed_pair(self, pair: Pair) -> None:
        if pair.first in self._past and pair.second in self._past:
            pair.seed(*_common(self._past[pair.first], self._past[pair.second]))

    def _advance(self, now_ns: int) -> None:
        """Close every point of the grid that is over, as far as the paths reach back."""
        for path in self._paths.values():
            path.settle(now_ns)
        newest = now_ns // GRID_NS
        if self._step is None:
            self._step = newest - 1
        if newest <= self._step:
            return
        first = self._step + 1
        oldest = newest - WINDOW_NS // GRID_NS + 1
        if first < oldest:
            first = oldest
            self._samples = {}
        for step in range(first, newest + 1):
            self._close(step)
        self._step = newest
        self._responses.settle(self._paths, now_ns)

    def _close(self, step: int) -> None:
        at_ns = step * GRID_NS
        before, self._samples = self._samples, {}
        for asset, path in self._paths.items():
            sample = path.sample(at_ns)
            if sample is not None:
                self._samples[asset] = sample
        for (first, second), pair in self._pairs.items():
            now = _both(self._samples, first, second)
            if now is not None:
                pair.close(at_ns, now, _both(before, first, second))
        if at_ns % SLOT_NS == 0:
            levels = {asset: sample.x for asset, sample in self._samples.items()}
            self._spillover.add(at_ns // SLOT_NS, levels)

    def _scan(self, now_ns: int) -> None:
        """Repeat the oldest lag scans, one per second since the last call, all at the first."""
        due = sorted(
            (pair for pair in self._pairs.values() if now_ns - pair.scanned_ns >= SCAN_NS),
            key=lambda pair: pair.scanned_ns,
        )
        if self._read_ns is not None:
            due = due[: max(1, (now_ns - self._read_ns) // NANOS_PER_SECOND)]
        self._read_ns = now_ns
        for pair in due:
            first, second = (
                self._paths[asset].ticks(now_ns) for asset in (pair.first, pair.second)
            )
            pair.lags = read_lags(first, second)
            pair.scanned_ns = now_ns

    def _systemic(self, current: Mapping[Asset, float | Lack], now_ns: int) -> float | Lack:
        """(lambda_1 - 1) / (n - 1) of the 1 d correlations of the assets that have a value."""
        assets = [asset for asset, value in current.items() if not isinstance(value, Lack)]
        if len(assets) < 2:
            return Lack.HALTED if len(current) > 1 else Lack.TOO_LITTLE_HISTORY
        matrix = np.eye(len(assets))
        lack = Lack.TOO_LITTLE_HISTORY
        for i, first in enumerate(assets):
            for j in range(i):
                value = self._pairs[assets[j], first].correlation(BETA, now_ns)
                if isinstance(value, Lack):
                    lack = value
                    value = np.nan
                matrix[i, j] = matrix[j, i] = value
        whole = _whole(matrix)
        return lack if len(whole) < 2 else systemic_share(whole)


def systemic_share(correlations: F64) -> float:
    """Rescale the first eigenvalue: 0 when no pair moves together, 1 when all move as one.

    Args:
        correlations: (n, n) correlation matrix, n >= 2.
    """
    n = len(correlations)
    first = float(np.linalg.eigvalsh(correlations)[-1])
    return min(max((first - 1.0) / (n - 1.0), 0.0), 1.0)


def _whole(matrix: F64) -> F64:
    """Leave out the asset with the most unknown correlations until none is unknown."""
    while np.isnan(matrix).any():
        worst = int(np.isnan(matrix).sum(axis=0).argmax())
        kept = np.delete(np.arange(len(matrix)), worst)
        matrix = matrix[np.ix_(kept, kept)]
    return matrix


def _both(
    samples: Mapping[Asset, Sample], first: Asset, second: Asset
) -> tuple[Sample, Sample] | None:
    x, y = samples.get(first), samples.get(second)
    return None if x is None or y is None else (x, y)


def _common(first: tuple[I64, F64], second: tuple[I64, F64]) -> tuple[I64, F64, F64]:
    """Instants (ns) at which both have a close, and both levels there."""
    steps, left, right = np.intersect1d(first[0], second[0], return_indices=True)
    return steps * GRID_NS, first[1][left], second[1][right]
