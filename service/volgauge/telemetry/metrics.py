"""Every metric of the service but those of the analytics (`analytics.py`), from its facts.

The hot path only counts: a list index and an addition, or one dictionary store. Nothing of
prometheus_client runs there. At scrape time one collector reads those facts, and the counts that
feeds and sinks keep themselves, and turns them into families. It holds no lock: a scrape in
another thread may see a histogram's sum one observation ahead of its buckets.

Values of the index are in volatility points (52.3 means 52.3 % a year); everything else is in base
units. Times are timestamps, not ages: an age that stops growing would hide a dead process.
"""

import platform
from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from volgauge.domain.index import (
    METHODOLOGY_VERSION,
    Fixing,
    FixingValue,
    IndexValue,
    Reject,
    Source,
    Status,
    SurfaceValue,
    tenor_label,
)
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.telemetry.comparison import Comparisons
from volgauge.telemetry.facts import EvidenceFacts, FeedFacts, SinkFacts, VenueFacts
from volgauge.telemetry.families import Scrape
from volgauge.telemetry.latency import LagMeter, LatencyHistogram, Stage
from volgauge.telemetry.service_families import FAMILIES

MAX_REASONS = 32
"""Different reasons kept per family; later ones are counted together as `other`."""

COMPARISON_SECONDS = 3_600
"""What the live comparison with the venue's own index looks back on."""

_STATES = ("idle", "subscribing", "live", "spare")
_FAMILY_OF_FACT = {
    "frames": "volgauge_feed_frames_total",
    "ignored": "volgauge_feed_ignored_total",
    "rejected": "volgauge_quotes_rejected_total",
    "reconnects": "volgauge_feed_reconnects_total",
    "gaps": "volgauge_book_gaps_total",
}
"""First word of a key in a feed's counts to the metric it belongs to."""
_FROM_ZERO = tuple(
    (key, 0)
    for key in ("frames", "gaps", "reconnects.closed", "reconnects.feed_stale", "reconnects.lost")
)
"""Shown from the start: a counter that comes with its first event hides it from `increase`."""
_WITH_REASON = {family.name for family in FAMILIES if "reason" in family.labels}


class Metrics(Collector):
    """The service's facts, readable by Prometheus.

    Everything is a method call from the composition root; nothing here calls back into the
    engine. Facts are read when Prometheus asks, so watching costs nothing; recording an index
    value is one dictionary look-up.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        version: str,
        headline_tenor_days: float = 30.0,
    ) -> None:
        self.tick_to_publish = LatencyHistogram()
        self._stages = {stage: LatencyHistogram() for stage in Stage}
        self._version = version
        self._headline = headline_tenor_days
        self._index: dict[tuple[str, float], _Latest] = {}
        self._surfaces: dict[str, SurfaceValue] = {}
        self._fixings: dict[tuple[str, float, Fixing], FixingValue] = {}
        self._comparisons = Comparisons(COMPARISON_SECONDS)
        self._feeds: list[FeedFacts] = []
        self._venues: list[VenueFacts] = []
        self._lags: dict[str, LagMeter] = {}
        self._sinks: dict[str, SinkFacts] = {}
        self._evidence: EvidenceFacts | None = None
        self._log_lines: Mapping[str, int] = {}
        self._reasons: dict[str, set[str]] = {}
        self._ready = False
        registry.register(self)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)

    def histogram(self, stage: Stage) -> LatencyHistogram:
        """Where the durations of one stage are counted."""
        return self._stages[stage]

    def record(self, value: IndexValue) -> None:
        """Take one record on its way to the sinks; the newest of each tenor is shown."""
        key = (value.asset, value.tenor_days)
        latest = self._index.get(key)
        if latest is None:
            latest = self._index[key] = _Latest(value)
        latest.holds += value.status is Status.GUARD and latest.value.status is not Status.GUARD
        latest.value = value
        latest.records += 1
        latest.merged += value.ticks_merged
        if value.value is not None:
            latest.event_ns = value.event_ns

    def surface(self, value: SurfaceValue) -> None:
        """Take one surface; the newest of each asset is shown."""
        self._surfaces[value.asset] = value

    def timer(self, now_ns: int) -> None:
        """Time passed: sample our headline and the venues' own indices."""
        headlines = {
            asset: latest.value
            for (asset, tenor_days), latest in self._index.items()
            if tenor_days == self._headline
        }
        self._comparisons.sample(self._venues, headlines, now_ns)

    def fixing(self, value: FixingValue) -> None:
        """Take one fixing; the newest of each name is shown, a failed one as absent."""
        self._fixings[value.asset, value.tenor_days, value.name] = value

    def set_ready(self, ready: bool) -> None:
        """Say what /readyz says."""
        self._ready = ready

    def watch_connection(self, feed: FeedFacts) -> None:
        """Show the state and the counts of one websocket session."""
        self._feeds.append(feed)

    def watch_venue(self, venue: VenueFacts) -> None:
        """Show what the engine knows of one venue."""
        self._venues.append(venue)

    def watch_lag(self, venue: str, lag: LagMeter) -> None:
        """Show how long one venue's quotes are under way."""
        self._lags[venue] = lag

    def watch_publisher(self, stats: SinkFacts, sink: str = "redis") -> None:
        """Show what one sink counts."""
        self._sinks[sink] = stats

    def watch_evidence(self, stats: EvidenceFacts) -> None:
        """Show what the keeper of evidence counts."""
        self._evidence = stats

    def watch_logs(self, lines: Mapping[str, int]) -> None:
        """Show the log lines by level, as `logs.configure` counts them."""
        self._log_lines = lines

    def describe(self) -> Iterable[Metric]:
        """The families without samples: registering reads no facts."""
        return [family.build() for family in FAMILIES]

    def collect(self) -> Iterable[Metric]:  # type: ignore[explicit-override]  # 3.11 has no override
        """All families with the facts of this moment."""
        scrape = Scrape(FAMILIES)
        self._collect_index(scrape)
        self._collect_fixings(scrape)
        self._collect_evidence(scrape)
        self._collect_surfaces(scrape)
        self._collect_comparisons(scrape)
        self._collect_feeds(scrape)
        self._collect_lags(scrape)
        self._collect_sinks(scrape)
        for stage, histogram in self._stages.items():
            scrape.add_histogram("volgauge_stage_duration_seconds", histogram, stage.value)
        scrape.add_histogram("volgauge_tick_to_publish_seconds", self.tick_to_publish)
        scrape.add("volgauge_ready", self._ready)
        for level, count in list(self._log_lines.items()):
            scrape.add("volgauge_log_lines_total", count, level)
        scrape.add(
            "volgauge_build_info", 1, self._version, METHODOLOGY_VERSION, platform.python_version()
        )
        return scrape.metrics()

    def _collect_index(self, scrape: Scrape) -> None:
        for (asset, tenor_days), latest in list(self._index.items()):
            value = latest.value
            tenor = tenor_label(tenor_days)
            for name, points in (
                ("volgauge_index_points", value.value),
                ("volgauge_index_bid_points", value.bid),
                ("volgauge_index_ask_points", value.ask),
                ("volgauge_index_uncertainty_points", value.u),
                ("volgauge_index_strip_points", value.strip),
                ("volgauge_index_quality_ratio", value.quality),
            ):
                if points is not None:
                    scrape.add(name, points, asset, tenor)
            scrape.add("volgauge_index_records_total", latest.records, asset, tenor)
            scrape.add("volgauge_index_guard_holds_total", latest.holds, asset, tenor)
            if tenor_days != self._headline:
                continue
            for status in Status:
                scrape.add("volgauge_index_status", status is value.status, asset, status.value)
            for source in (Source.LIVE, Source.SIMULATED, Source.REPLAY):
                scrape.add(
                    "volgauge_index_source_info", source is value.source, asset, source.value
                )
            for label, book in value.venues.items():
                if book.value is not None:
                    scrape.add("volgauge_venue_index_points", book.value, label, asset)
                scrape.add("volgauge_venue_weight_ratio", book.weight, label, asset)
                scrape.add("volgauge_venue_in", book.state == "in", label, asset)
            scrape.add("volgauge_index_strikes", value.n_strikes, asset)
            scrape.add("volgauge_ticks_merged_total", latest.merged, asset)
            scrape.add_instant(
                "volgauge_index_last_update_timestamp_seconds", latest.event_ns, asset
            )
            scrape.add_instant(
                "volgauge_index_last_record_timestamp_seconds", value.computed_ns, asset
            )

    def _collect_fixings(self, scrape: Scrape) -> None:
        for (asset, tenor_days, name), fixing in list(self._fixings.items()):
            labels = (asset, tenor_label(tenor_days), name.value)
            scrape.add("volgauge_fixing_values", fixing.n_values, *labels)
            if fixing.value is not None:
                scrape.add("volgauge_fixing_points", fixing.value, *labels)

    def _collect_evidence(self, scrape: Scrape) -> None:
        stats = self._evidence
        if stats is None:
            return
        scrape.add("volgauge_evidence_bytes", stats.kept_bytes)
        scrape.add("volgauge_evidence_dropped_total", stats.dropped_segments)
        if stats.oldest_ns:
            oldest_s = stats.oldest_ns / NANOS_PER_SECOND
            scrape.add("volgauge_evidence_oldest_timestamp_seconds", oldest_s)

    def _collect_surfaces(self, scrape: Scrape) -> None:
        for asset, surface in list(self._surfaces.items()):
            if surface.venue_index is not None:
                scrape.add("volgauge_venue_own_index_points", surface.venue_index, asset)
            refused: dict[str, Counter[str]] = {}
            for expiry in surface.expiries:
                refused.setdefault(expiry.venue, Counter()).update(expiry.rejected)
            for venue, reasons in refused.items():
                for reason in Reject:
                    scrape.add(
                        "volgauge_quotes_refused",
                        reasons[reason.value],
                        venue,
                        asset,
                        reason.value,
                    )

    def _collect_comparisons(self, scrape: Scrape) -> None:
        for (venue, asset), results in self._comparisons.results().items():
            for result in results:
                labels = (venue, asset, result.series)
                scrape.add("volgauge_comparison_pairs", result.pairs, *labels)
                for name, number in (
                    ("volgauge_comparison_bias_points", result.bias),
                    ("volgauge_comparison_rmse_points", result.rmse),
                    ("volgauge_comparison_level_correlation_ratio", result.level_correlation),
                    ("volgauge_comparison_change_correlation_ratio", result.change_correlation),
                    ("volgauge_comparison_lead_seconds", result.lead_seconds),
                    ("volgauge_comparison_lead_correlation_ratio", result.lead_correlation),
                ):
                    if number is not None:
                        scrape.add(name, number, *labels)

    def _collect_feeds(self, scrape: Scrape) -> None:
        states: dict[str, Counter[str]] = {}
        facts: Counter[tuple[str, ...]] = Counter()
        for feed in self._feeds:
            states.setdefault(feed.venue, Counter())[feed.state.value] += 1
            for key, count in [*_FROM_ZERO, *feed.counts.items()]:
                facts[self._classify(feed.venue, key)] += count
        for (name, *labels), count in facts.items():
            scrape.add(name, count, *labels)
        for venue, counts in states.items():
            connected = counts["live"] == counts.total() - counts["spare"]
            scrape.add("volgauge_feed_connected", connected, venue)
            for state in _STATES:
                scrape.add("volgauge_feed_connections", counts[state], venue, state)
        for sink in self._venues:
            scrape.add_instant(
                "volgauge_feed_last_frame_timestamp_seconds", sink.last_data_ns, sink.venue
            )
            for event, count in list(sink.counts.items()):
                scrape.add("volgauge_events_total", count, sink.venue, event)
            plans = list(sink.coverage.values())
            requested = sum(plan.requested for plan in plans)
            if requested:
                share = sum(plan.accepted for plan in plans) / requested
                scrape.add("volgauge_feed_coverage_ratio", share, sink.venue)

    def _collect_lags(self, scrape: Scrape) -> None:
        for venue, lag in self._lags.items():
            for name, lag_ns in (
                ("volgauge_feed_lag_seconds", lag.median_ns),
                ("volgauge_feed_late_lag_seconds", lag.late_ns),
                ("volgauge_feed_least_lag_seconds", lag.least_ns),
            ):
                if lag_ns is not None:
                    scrape.add(name, lag_ns / NANOS_PER_SECOND, venue)

    def _classify(self, venue: str, key: str) -> tuple[str, ...]:
        """Family and label values of one count; `ignored.heartbeat` is kind and reason."""
        kind, _, reason = key.partition(".")
        name = _FAMILY_OF_FACT.get(kind)
        if name is None:
            name, reason = "volgauge_feed_notices_total", key
        if name not in _WITH_REASON:
            return name, venue
        # A reason can carry a word of the venue's: what the venue says must not make series.
        known = self._reasons.setdefault(name, set())
        if reason not in known:
            if len(known) >= MAX_REASONS:
                reason = "other"
            known.add(reason)
        return name, venue, reason or "unknown"

    def _collect_sinks(self, scrape: Scrape) -> None:
        for name, sink in self._sinks.items():
            scrape.add("volgauge_publish_records_total", sink.published, name)
            scrape.add("volgauge_publish_conflated_total", sink.conflated, name)
            for reason, count in (
                ("failed", sink.failed),
                ("fenced", sink.fenced),
                ("refused", sink.refused),
                ("dropped", sink.dropped_events),
            ):
                scrape.add("volgauge_publish_failures_total", count, name, reason)
            scrape.add("volgauge_publish_receivers", sink.receivers, name)
            scrape.add(
                "volgauge_publish_round_trip_seconds", sink.round_trip_ns / NANOS_PER_SECOND, name
            )
            scrape.add("volgauge_publish_reconnects_total", sink.reconnects, name)
            scrape.add("volgauge_publish_connected", sink.connected, name)
            scrape.add_instant(
                "volgauge_publish_last_record_timestamp_seconds", sink.last_published_ns, name
            )


class _Latest:
    """What is kept of one asset and tenor between scrapes."""

    __slots__ = ("event_ns", "holds", "merged", "records", "value")

    def __init__(self, value: IndexValue) -> None:
        self.value = value
        self.records = 0
        self.merged = 0
        self.holds = 0
        self.event_ns = 0
