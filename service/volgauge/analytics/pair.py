"""Two assets: how their indices move together, and whether they have parted."""

from collections.abc import Callable

import numpy as np

from volgauge.analytics.ewm import Comovement, Dispersion
from volgauge.analytics.hayashi import LagReading
from volgauge.analytics.path import Sample
from volgauge.domain.analytics import Lack, PairCoupling
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_MINUTE, NANOS_PER_SECOND
from volgauge.kernels._jit import F64, I64
from volgauge.settings import RuleSettings

GRID_NS = NANOS_PER_MINUTE
"""Distance of synchronous changes. Shorter, and a lead of seconds and the noise of single quotes
pull every correlation to zero (Epps 1979); longer, and the 1 h reading rests on too few."""

HALF_LIVES_NS = {"1h": NANOS_PER_HOUR, "1d": NANOS_PER_DAY, "7d": 7 * NANOS_PER_DAY}
BETA = "1d"
SPREAD = "7d"

NOT_SCANNED = LagReading(*3 * (Lack.TOO_LITTLE_HISTORY,))


class Decoupling:
    """Whether a score has gone above one bound and not come back below another."""

    def __init__(self, above: float, below: float) -> None:
        self._above = above
        self._below = below
        self.since_ns: int | None = None

    def observe(self, score: float, now_ns: int) -> bool:
        """Take the newest z and tell the state; a time without z leaves the state as it is."""
        if self.since_ns is None:
            if abs(score) > self._above:
                self.since_ns = now_ns
        elif abs(score) < self._below:
            self.since_ns = None
        return self.since_ns is not None


class Pair:
    """Everything that is kept of two assets; `first` is x, `second` is y."""

    def __init__(self, first: Asset, second: Asset, decoupling: RuleSettings) -> None:
        self.first = first
        self.second = second
        self.name = f"{first}-{second}"
        self.lags = NOT_SCANNED
        self.scanned_ns = -1
        self._moves = {label: Comovement(half) for label, half in HALF_LIVES_NS.items()}
        self._spread = Dispersion(HALF_LIVES_NS[SPREAD])
        self._decoupling = Decoupling(decoupling.raise_at, decoupling.clear_at)
        self._oldest_ns: int | None = None
        self._count = 0
        self._covered_ns = 0

    def seed(self, at_ns: I64, x: F64, y: F64) -> None:
        """Take (n,) common past levels, ln points, ascending; of them what is older than all known.

        Their distance is the smallest that occurs. A larger one is a gap, over which no change is
        taken.
        """
        if self._oldest_ns is not None:
            older = int(np.searchsorted(at_ns, self._oldest_ns))
            at_ns, x, y = at_ns[:older], x[:older], y[:older]
        if len(at_ns) < 2:
            return
        self._oldest_ns = int(at_ns[0])
        distance = np.diff(at_ns)
        step_ns = int(distance.min())
        linked = distance == step_ns
        spans = np.full(len(at_ns), step_ns)
        self._spread.seed(x - y, spans, at_ns)
        for move in self._moves.values():
            move.seed(np.diff(x)[linked], np.diff(y)[linked], spans[1:][linked], at_ns[1:][linked])
        count = int(np.count_nonzero(linked))
        self._count += count
        self._covered_ns += step_ns * count

    def close(
        self, at_ns: int, now: tuple[Sample, Sample], before: tuple[Sample, Sample] | None
    ) -> None:
        """Take both levels at a point of the grid, and at the point before if both were there."""
        x, y = now
        if self._oldest_ns is None:
            self._oldest_ns = at_ns
        self._spread.add(x.x - y.x, GRID_NS, at_ns)
        if before is None or before[0].run != x.run or before[1].run != y.run:
            return
        for move in self._moves.values():
            move.add(x.x - before[0].x, y.x - before[1].x, GRID_NS, at_ns)
        self._count += 1
        self._covered_ns += GRID_NS

    def correlation(self, label: str, now_ns: int) -> float | Lack:
        """EWMA correlation at a half-life, whether or not the assets have a value now."""
        return self._moves[label].correlation(now_ns)

    def reading(
        self,
        x: float | Lack,
        y: float | Lack,
        responses: tuple[float | Lack, float | Lack],
        now_ns: int,
        missing: dict[str, Lack],
    ) -> PairCoupling:
        """Read the pair.

        Args:
            x: ln of the first's index now, or why there is none: then every reading is None.
            y: Of the second.
            responses: Of the second to jumps of the first, and the reverse.
            now_ns: Instant.
            missing: Takes the path of every None.
        """
        halted = next((value for value in (x, y) if isinstance(value, Lack)), None)
        if halted is not None:
            self.lags = NOT_SCANNED
        given = _giver(f"pairs.{self.name}.", halted, missing)
        spread: float | Lack = Lack.HALTED
        score: float | Lack = Lack.HALTED
        if not isinstance(x, Lack) and not isinstance(y, Lack):
            spread = x - y
            score = self._spread.score(spread, now_ns)
        correlation = self.correlation(BETA, now_ns)
        squared = correlation if isinstance(correlation, Lack) else correlation * correlation
        z = given("spread_z", score)
        if z is None:
            missing[f"pairs.{self.name}.decoupled"] = missing[f"pairs.{self.name}.spread_z"]
        decoupled = None if z is None else self._decoupling.observe(z, now_ns)
        return PairCoupling(
            first=self.first,
            second=self.second,
            correlations={
                label: given(f"correlations.{label}", self.correlation(label, now_ns))
                for label in HALF_LIVES_NS
            },
            hayashi_yoshida=given("hayashi_yoshida", self.lags.correlation),
            lead_seconds=given("lead_seconds", self.lags.lead_seconds),
            lead_ratio=given("lead_ratio", self.lags.lead_ratio),
            beta=given("beta", self._moves[BETA].beta(now_ns)),
            r_squared=given("r_squared", squared),
            spread=given("spread", spread),
            spread_z=z,
            decoupled=decoupled,
            decoupled_since_ns=None if decoupled is None else self._decoupling.since_ns,
            jump_response=given("jump_response", responses[0]),
            reverse_jump_response=given("reverse_jump_response", responses[1]),
            n_observations=self._count,
            seconds=self._covered_ns / NANOS_PER_SECOND,
        )


def _giver(
    prefix: str, halted: Lack | None, missing: dict[str, Lack]
) -> Callable[[str, float | Lack], float | None]:
    """What turns a result into a number, or into None and its reason."""

    def give(name: str, result: float | Lack) -> float | None:
        if halted is not None:
            result = halted
        if isinstance(result, Lack):
            missing[prefix + name] = result
            return None
        return result

    return give
