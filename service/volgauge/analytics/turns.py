"""Assets take turns: who is due, the longest waiting first, a few at a time."""

from collections.abc import Sequence
from math import ceil

from volgauge.domain.instrument import Asset


class Turns:
    """One kind of work that is due for each asset again and again."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._done: dict[Asset, int] = {}

    def next(self, assets: Sequence[Asset], now_ns: int, most: int) -> list[Asset]:
        """Whose turn it is now; they count as done.

        Args:
            assets: Who takes part.
            now_ns: The instant.
            most: Longest list that is wanted.

        Returns:
            Assets whose last turn is an interval or more ago, longest first.
        """
        due = [
            (self._done.get(asset, 0), asset)
            for asset in assets
            if now_ns - self._done.get(asset, 0) >= self._interval_ns
        ]
        chosen = [asset for _, asset in sorted(due)[:most]]
        for asset in chosen:
            self._done[asset] = now_ns
        return chosen

    def spread(self, assets: Sequence[Asset], now_ns: int, elapsed_ns: int) -> list[Asset]:
        """Whose turn it is, so many that all come by in an interval when ticks are elapsed apart.

        With eight assets, a second and ten ticks in it, one at a time.
        """
        share = min(elapsed_ns / self._interval_ns, 1.0)
        return self.next(assets, now_ns, max(1, ceil(len(assets) * share)))

    def forget(self) -> None:
        """Everybody is due."""
        self._done.clear()
