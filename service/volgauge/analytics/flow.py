"""Order flow of one asset's options over the last minute, and how deep the books are.

Each look at the books adds to the sums of its second; a minute of seconds is kept. METHODOLOGY,
appendix, order flow.
"""

from collections.abc import Sequence
from math import nan

import numpy as np

from volgauge.analytics.books import WeightedBook, contributing
from volgauge.domain.analytics import FlowReading, Lack
from volgauge.domain.instrument import Instrument
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_SECOND
from volgauge.kernels import flow
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64
from volgauge.surface.surface import Surface

WINDOW_SECONDS = 60
WINDOW_NS = WINDOW_SECONDS * NANOS_PER_SECOND
FEWEST_SECONDS = 30
"""Seconds with a look, of the window, below which a flow says too little."""
HALF_LIFE_NS = NANOS_PER_HOUR
"""Of the depth's slow average."""
LEAST_REFERENCE_NS = 300 * NANOS_PER_SECOND
"""Watched time below which there is no slow average."""


class _Watched:
    """One book's quotes at the last look."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self._seen: F64 = np.full((0, flow.SEEN_COLUMNS), nan)
        self._owners: dict[int, Instrument] = {}
        self._layout = -1

    def observe(self, now_ns: int, totals: F64) -> None:
        surface = self.surface
        quotes = surface.table.quotes
        if len(self._seen) < len(quotes):
            more = np.full((len(quotes) - len(self._seen), flow.SEEN_COLUMNS), nan)
            self._seen = np.concatenate([self._seen, more])
        if self._layout != surface.layout:
            self._layout = surface.layout
            # A slot may have passed to another option: its last quote is no quote of this one.
            for slot, instrument in surface.slots.items():
                if self._owners.get(slot) is not instrument:
                    self._seen[slot] = nan
            self._owners = dict(surface.slots)
        flow.observe_book(
            surface.values[col.NATIVE], surface.facts[col.NATIVE], surface.plan, surface.ladder,
            quotes, now_ns, self._seen, totals,
        )  # fmt: skip


class FlowMeter:
    """Order-flow imbalance and depth of the books of one asset.

    A book that is new, has lost its weight or was not looked at for a minute starts anew: the
    change of its quotes across the gap is nobody's order flow.
    """

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._seconds = [-1] * WINDOW_SECONDS
        """Which second each place of the ring holds, -1 none."""
        self._flows = [0.0] * WINDOW_SECONDS
        self._depths = [0.0] * WINDOW_SECONDS
        self._looks = [0] * WINDOW_SECONDS
        self._last_ns: int | None = None
        self._near_size = 0.0
        self._reference = 0.0
        self._reference_weight = 0.0
        self._watched_ns = 0

    def observe(self, books: Sequence[WeightedBook], now_ns: int) -> None:
        """Look at the books after their `evaluate`.

        Args:
            books: The option books of the asset; those without weight are not looked at.
            now_ns: The instant, never before the last one.
        """
        used = contributing(books)
        passed_ns = 0 if self._last_ns is None else now_ns - self._last_ns
        known = self._watched if passed_ns <= WINDOW_NS else {}
        self._watched = {}
        totals = np.zeros(flow.TOTAL_COLUMNS)
        for book in used:
            watched = known.get(book.label)
            if watched is None or watched.surface is not book.surface:
                watched = _Watched(book.surface)
            self._watched[book.label] = watched
            watched.observe(now_ns, totals)
        vega_flow, vega_depth, self._near_size = totals.tolist()
        if vega_depth > 0.0:
            self._note(now_ns // NANOS_PER_SECOND, vega_flow, vega_depth)
        if self._near_size > 0.0 and passed_ns <= WINDOW_NS:
            kept = 0.5 ** (passed_ns / HALF_LIFE_NS)
            self._reference = kept * self._reference + (1.0 - kept) * self._near_size
            self._reference_weight = kept * self._reference_weight + (1.0 - kept)
            self._watched_ns += passed_ns
        self._last_ns = now_ns

    def reading(self, now_ns: int) -> tuple[FlowReading, dict[str, Lack]]:
        """What the last minute up to `now_ns` says; reasons by path (`flow.imbalance`)."""
        missing: dict[str, Lack] = {}
        imbalance, vega_flow = self._flow(now_ns // NANOS_PER_SECOND, missing)
        depth = reference = None
        if self._last_ns is not None and now_ns - self._last_ns <= WINDOW_NS and self._watched:
            depth = self._near_size or None
        if self._watched_ns >= LEAST_REFERENCE_NS:
            reference = self._reference / self._reference_weight
        else:
            missing["flow.depth_reference"] = Lack.TOO_LITTLE_HISTORY
        if depth is None:
            missing["flow.depth"] = Lack.NO_DEPTH if self._watched else Lack.HALTED
        made = FlowReading(
            imbalance=imbalance, vega_flow=vega_flow, depth=depth, depth_reference=reference
        )
        return made, missing

    def _note(self, second: int, vega_flow: float, vega_depth: float) -> None:
        place = second % WINDOW_SECONDS
        if self._seconds[place] != second:
            self._seconds[place] = second
            self._flows[place] = self._depths[place] = 0.0
            self._looks[place] = 0
        self._flows[place] += vega_flow
        self._depths[place] += vega_depth
        self._looks[place] += 1

    def _flow(self, second: int, missing: dict[str, Lack]) -> tuple[float | None, float | None]:
        """Imbalance and flow of the window: the flow over the mean depth of its looks."""
        places = [
            place
            for place, known in enumerate(self._seconds)
            if second - WINDOW_SECONDS < known <= second
        ]
        if len(places) < FEWEST_SECONDS:
            lack = Lack.TOO_LITTLE_HISTORY
            if not self._watched:
                lack = Lack.HALTED
            elif not places:
                lack = Lack.NO_DEPTH
            missing["flow.imbalance"] = missing["flow.vega_flow"] = lack
            return None, None
        vega_flow = sum(self._flows[place] for place in places)
        depth = sum(self._depths[place] for place in places)
        looks = sum(self._looks[place] for place in places)
        return vega_flow * looks / depth, vega_flow
