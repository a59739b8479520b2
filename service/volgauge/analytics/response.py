"""Do realised jumps of one coin move another coin's index in the five minutes after?"""

from collections import deque
from collections.abc import Mapping
from math import isfinite, sqrt

import numpy as np

from volgauge.analytics.path import Path
from volgauge.domain.analytics import Lack
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MINUTE

NEXT_NS = 5 * NANOS_PER_MINUTE
"""The change of the index that follows a jump is taken over this span."""

MEMORY_NS = 90 * NANOS_PER_DAY
MIN_JUMPS = 20
MAX_JUMPS = 512
"""The newest so many of a pair count."""


class _Response:
    """Jumps of one asset and what another's index did next."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, float, float]] = deque(maxlen=MAX_JUMPS)
        self._correlation: float | Lack = Lack.TOO_LITTLE_HISTORY

    def add(self, at_ns: int, size: float, change: float) -> None:
        self._events.append((at_ns, size, change))
        self._correlation = self._compute()

    def correlation(self, now_ns: int) -> float | Lack:
        if self._events and self._events[0][0] < now_ns - MEMORY_NS:
            while self._events and self._events[0][0] < now_ns - MEMORY_NS:
                self._events.popleft()
            self._correlation = self._compute()
        return self._correlation

    def _compute(self) -> float | Lack:
        if len(self._events) < MIN_JUMPS:
            return Lack.TOO_LITTLE_HISTORY
        _, size, change = np.asarray(self._events).T
        size = size - size.mean()
        change = change - change.mean()
        scale = sqrt(float(size @ size)) * sqrt(float(change @ change))
        if scale <= 1e-20:
            return Lack.NO_VARIATION
        return min(max(float(size @ change) / scale, -1.0), 1.0)


class JumpResponses:
    """All ordered pairs: Pearson correlation of a jump's size with the next change of ln(index)."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Asset, float]] = deque(maxlen=MAX_JUMPS)
        self._newest_ns: dict[Asset, int] = {}
        self._responses: dict[tuple[Asset, Asset], _Response] = {}

    def jump(self, asset: Asset, size: float, at_ns: int) -> None:
        """Note a jump that ended at an instant; the same jump told again is ignored.

        Raises:
            ValueError: The size is no finite number.
        """
        if not isfinite(size):
            raise ValueError(f"expected a finite log return, received {size}")
        if at_ns <= self._newest_ns.get(asset, -1):
            return
        self._newest_ns[asset] = at_ns
        self._waiting.append((at_ns, asset, size))

    def settle(self, paths: Mapping[Asset, Path], now_ns: int) -> None:
        """Take the changes that are over by now; none is taken across a break of the index."""
        for _ in range(len(self._waiting)):
            at_ns, asset, size = self._waiting.popleft()
            if at_ns + NEXT_NS > now_ns:
                self._waiting.append((at_ns, asset, size))
                continue
            for other, path in paths.items():
                begin, end = path.sample(at_ns), path.sample(at_ns + NEXT_NS)
                if other != asset and begin and end and begin.run == end.run:
                    response = self._responses.setdefault((asset, other), _Response())
                    response.add(at_ns, size, end.x - begin.x)

    def correlation(self, jumping: Asset, answering: Asset, now_ns: int) -> float | Lack:
        """Of the last 90 days, at least 20 jumps; -1..1."""
        response = self._responses.get((jumping, answering))
        return Lack.TOO_LITTLE_HISTORY if response is None else response.correlation(now_ns)
