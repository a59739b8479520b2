"""The alerts of the service: its newest values in, events out."""

from collections.abc import Mapping

from volgauge.analytics.alerts import AlertBook
from volgauge.analytics.rules import (
    Collapse,
    Observation,
    Spike,
    SpilloverSurge,
    band_change,
    coverage_lost,
    decoupling,
    inversion,
    judged_value,
    premium_sign,
    stale,
    venue_out,
)
from volgauge.domain.analytics import AlertEvent, AnalyticsValue, CouplingValue
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.instrument import Asset
from volgauge.settings import AlertSettings


class Watch:
    """Every rule over every asset, and the episodes that come of them."""

    def __init__(self, settings: AlertSettings, source: Source) -> None:
        self.book = AlertBook(settings, source)
        """Active episodes and counts, for the metrics."""
        self._rules = settings.rules
        self._spikes: dict[Asset, Spike] = {}
        self._collapses: dict[Asset, Collapse] = {}
        self._surge = SpilloverSurge(settings.rules.spillover_surge.window_seconds)

    def observe(
        self,
        index: IndexValue | None,
        analytics: AnalyticsValue | None,
        coupling: CouplingValue | None,
        coverage: Mapping[str, float],
        now_ns: int,
        *,
        term: Mapping[str, float | None] | None,
    ) -> list[AlertEvent]:
        """Look at the newest values of one asset and of the market, a few times a second.

        What is None is left out of this call. `coupling` and `coverage` are the whole process's:
        they may come with every asset or with one.

        Args:
            index: Newest record of the headline tenor.
            analytics: Newest record of the asset.
            coupling: Newest record of all pairs.
            coverage: Accepted over requested subscriptions by venue.
            now_ns: UTC; never before that of the call before.
            term: `term` of the asset's newest surface record: tenor to points. Looked at only
                with an `index` of now.
        """
        seen: list[Observation] = []
        if index is not None:
            seen += self._of_index(index, term, now_ns)
        if analytics is not None:
            seen.append(band_change(analytics.asset, analytics.regime))
            seen.append(premium_sign(analytics.asset, analytics.premium))
        if coupling is not None:
            seen += decoupling(coupling.pairs)
            seen.append(self._surge.observe(coupling.spillover))
        seen += coverage_lost(coverage)
        return self.book.observe(seen, now_ns)

    def _of_index(
        self, index: IndexValue, term: Mapping[str, float | None] | None, now_ns: int
    ) -> list[Observation]:
        asset, value = index.asset, judged_value(index)
        if asset not in self._spikes:
            self._spikes[asset] = Spike(self._rules.spike.window_seconds)
            self._collapses[asset] = Collapse(self._rules.collapse.window_seconds)
        seen = [
            stale(index),
            *venue_out(index),
            self._spikes[asset].observe(asset, value, now_ns),
            self._collapses[asset].observe(asset, value, now_ns),
        ]
        if term is not None:
            # While the index is held or stale its tenors repeat the past.
            seen.append(inversion(asset, term if value is not None else dict.fromkeys(term)))
        return seen
