"""Metrics of the analytics: the newest record of each asset and of the pairs, alerts, cost.

Read off the records at scrape time. A reading that is null has no sample; how many are null, and
why, is `volgauge_analytics_missing`. Volatilities are in points, ratios are plain numbers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from volgauge.domain.analytics import (
    MARKET,
    AlertEvent,
    AnalyticsValue,
    CouplingValue,
    Edge,
    Lack,
    Rule,
)
from volgauge.domain.index import IndexValue
from volgauge.domain.units import NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.telemetry.analytics_families import ANALYTICS_FAMILIES
from volgauge.telemetry.families import Scrape
from volgauge.telemetry.latency import LatencyHistogram

MAX_SUBJECTS = 128
"""Alert subjects shown; beyond it the oldest that are not active go."""
_PERCENT = 100.0
_SECONDS_PER_YEAR = NANOS_PER_YEAR / NANOS_PER_SECOND

_BUCKETS = (
    ("10p", "put_10"),
    ("25p", "put_25"),
    ("atm", "atm"),
    ("25c", "call_25"),
    ("10c", "call_10"),
)
_WEIGHTINGS = (("open_interest", "value"), ("vega", "vega_iv"), ("volume", "volume_iv"))
_NOT_ESTIMATORS = frozenset({"jump_share", "days"})


class WebhookFacts(Protocol):
    """What the webhook counts about itself."""

    @property
    def delivered(self) -> int:
        """Answered with success."""
        ...

    @property
    def retried(self) -> int:
        """Tries that were repeated."""
        ...

    @property
    def refused(self) -> int:
        """Answered with an error that no retry cures."""
        ...

    @property
    def lost(self) -> int:
        """Given up, or pushed out of a full queue."""
        ...


class AnalyticsMetrics(Collector):
    """The analytics' facts, readable by Prometheus; fed by the composition root."""

    def __init__(self, registry: CollectorRegistry, parts: Iterable[str]) -> None:
        self.failures: Counter[str] = Counter()
        """Jobs that ended with an error, by part."""
        self._durations = {part: LatencyHistogram() for part in parts}
        self._values: dict[str, AnalyticsValue] = {}
        self._headlines: dict[str, IndexValue] = {}
        self._coupling: CouplingValue | None = None
        self._records: Counter[str] = Counter(analytics=0, coupling=0, alert=0)
        self._alerts: dict[tuple[str, str], bool] = {}
        self._alert_counts: Counter[tuple[str, str]] = Counter(
            {(rule.value, edge.value): 0 for rule in Rule for edge in Edge}
        )
        self._webhook: WebhookFacts | None = None
        registry.register(self)

    def histogram(self, part: str) -> LatencyHistogram:
        """Where the durations of one part are counted."""
        return self._durations[part]

    def headline(self, value: IndexValue) -> None:
        """Take a record of the headline tenor: its two legs are shown."""
        self._headlines[value.asset] = value

    def record(self, record: AnalyticsValue | CouplingValue | AlertEvent) -> None:
        """Take one record on its way to the sinks."""
        if isinstance(record, AnalyticsValue):
            self._values[record.asset] = record
            self._records["analytics"] += 1
        elif isinstance(record, CouplingValue):
            self._coupling = record
            self._records["coupling"] += 1
        else:
            self._alert(record)
            self._records["alert"] += 1

    def watch_webhook(self, stats: WebhookFacts) -> None:
        """Show what the webhook counts."""
        self._webhook = stats

    def describe(self) -> Iterable[Metric]:
        """The families without samples: registering reads no facts."""
        return [family.build() for family in ANALYTICS_FAMILIES]

    def collect(self) -> Iterable[Metric]:  # type: ignore[explicit-override]  # 3.11 has no override
        """All families with the facts of this moment."""
        scrape = _Filling()
        for asset, value in list(self._values.items()):
            _collect_tenors(scrape, asset, value)
            _collect_asset(scrape, asset, value)
            _collect_missing(scrape, asset, value.missing)
        for asset, headline in list(self._headlines.items()):
            _collect_legs(scrape, asset, headline)
        if self._coupling is not None:
            _collect_coupling(scrape, self._coupling)
            _collect_missing(scrape, MARKET, self._coupling.missing)
        self._collect_alerts(scrape)
        for kind, count in self._records.items():
            scrape.add("volgauge_analytics_records_total", count, kind)
        for part, histogram in self._durations.items():
            scrape.add_histogram("volgauge_analytics_duration_seconds", histogram, part)
            scrape.add("volgauge_analytics_failures_total", self.failures[part], part)
        return scrape.metrics()

    def _alert(self, event: AlertEvent) -> None:
        key = (event.rule.value, event.subject)
        self._alerts.pop(key, None)
        self._alerts[key] = event.edge is Edge.RAISED
        self._alert_counts[event.rule.value, event.edge.value] += 1
        for known in list(self._alerts):
            if len(self._alerts) <= MAX_SUBJECTS:
                break
            if not self._alerts[known]:
                del self._alerts[known]

    def _collect_alerts(self, scrape: "_Filling") -> None:
        for (rule, subject), is_active in list(self._alerts.items()):
            scrape.add("volgauge_alert_active", is_active, rule, subject)
        for (rule, edge), count in list(self._alert_counts.items()):
            scrape.add("volgauge_alerts_total", count, rule, edge)
        stats = self._webhook
        if stats is not None:
            for outcome, count in (
                ("delivered", stats.delivered),
                ("retried", stats.retried),
                ("refused", stats.refused),
                ("lost", stats.lost),
            ):
                scrape.add("volgauge_webhook_deliveries_total", count, outcome)


class _Filling(Scrape):
    """An answer in which null is absent."""

    def __init__(self) -> None:
        super().__init__(ANALYTICS_FAMILIES)

    def tell(self, name: str, value: float | None, *labels: str) -> None:
        """Add one sample, if there is a number."""
        if value is not None:
            self.add(name, value, *labels)


def _collect_tenors(scrape: _Filling, asset: str, value: AnalyticsValue) -> None:
    for tenor in value.tenors:
        labels = (asset, tenor.tenor)
        for bucket, field in _BUCKETS:
            scrape.tell("volgauge_tenor_iv_points", getattr(tenor, field), *labels, bucket)
        for name, at_25, at_10 in (
            ("volgauge_risk_reversal_points", tenor.risk_reversal_25, tenor.risk_reversal_10),
            ("volgauge_butterfly_points", tenor.butterfly_25, tenor.butterfly_10),
        ):
            scrape.tell(name, at_25, *labels, "25")
            scrape.tell(name, at_10, *labels, "10")
        scrape.tell("volgauge_skewness_ratio", tenor.skewness, *labels)
        scrape.tell("volgauge_kurtosis_ratio", tenor.kurtosis, *labels)
        scrape.tell("volgauge_coin_skew_points", tenor.coin_less_value, *labels)
    for forward in value.forwards:
        leg = f"{forward.begin}-{forward.end}"
        scrape.tell("volgauge_forward_vol_points", forward.value, asset, leg)


def _collect_asset(scrape: _Filling, asset: str, value: AnalyticsValue) -> None:
    level, interest, scaling = value.level, value.interest, value.scaling
    for name, number in (
        ("volgauge_term_slope_points", value.slope),
        ("volgauge_term_inverted", value.inverted),
        ("volgauge_vol_of_vol_points", level.vol_of_vol),
        ("volgauge_iv_rank_ratio", _ratio(level.rank)),
        ("volgauge_iv_percentile_ratio", _ratio(level.percentile)),
        ("volgauge_open_interest_coins", interest.open_interest),
        ("volgauge_realized_jump_ratio", value.realized.jump_share),
        ("volgauge_margin_multiplier_ratio", scaling.margin_multiplier),
        ("volgauge_flow_imbalance_ratio", value.flow.imbalance),
        ("volgauge_funding_spread_ratio", value.leverage.funding_spread),
    ):
        scrape.tell(name, number, asset)
    for weighting, field in _WEIGHTINGS:
        scrape.tell("volgauge_interest_iv_points", getattr(interest, field), asset, weighting)
    scrape.tell("volgauge_put_call_ratio", interest.put_call_interest, asset, "open_interest")
    scrape.tell("volgauge_put_call_ratio", interest.put_call_volume, asset, "volume")
    for estimator in value.realized.__struct_fields__:
        if estimator not in _NOT_ESTIMATORS:
            points = getattr(value.realized, estimator)
            scrape.tell("volgauge_realized_points", points, asset, estimator)
    for form in ("ex_ante", "trailing", "ex_post"):
        points = getattr(value.premium, f"{form}_points")
        scrape.tell("volgauge_variance_premium_points", points, asset, form)
    for form, exposure in (
        ("target", scaling.exposure),
        ("variance", scaling.variance_exposure),
        ("budget", scaling.budget_size),
    ):
        scrape.tell("volgauge_scaling_exposure_ratio", exposure, asset, form)
    for kind in ("depth", "flow", "leverage"):
        throttle = getattr(scaling, f"{kind}_throttle")
        scrape.tell("volgauge_scaling_throttle_ratio", throttle, asset, kind)
    for scheme, band in (("absolute", value.regime.absolute), ("adaptive", value.regime.adaptive)):
        if band is not None:
            scrape.add("volgauge_regime", 1, asset, scheme, band)


def _collect_legs(scrape: _Filling, asset: str, headline: IndexValue) -> None:
    """The nearer and the farther expiries of all books, with their weights in the index."""
    weighed: dict[str, list[tuple[float, float]]] = {"near": [], "next": []}
    first: dict[str, float] = {}
    for expiry in headline.expiries:
        nearest = first.setdefault(expiry.book, expiry.t_years)
        book = headline.venues.get(expiry.book)  # type: ignore[call-overload]  # a Venue is a str
        weight = expiry.weight * (book.weight if book is not None else 0.0)
        leg = "near" if expiry.t_years == nearest else "next"
        weighed[leg].append((weight, expiry.t_years * _SECONDS_PER_YEAR))
    for leg, rows in weighed.items():
        total = sum(weight for weight, _ in rows)
        if total > 0.0:
            scrape.add("volgauge_leg_weight_ratio", total, asset, leg)
            seconds = sum(weight * seconds for weight, seconds in rows) / total
            scrape.add("volgauge_leg_seconds", seconds, asset, leg)


def _collect_coupling(scrape: _Filling, value: CouplingValue) -> None:
    for pair in value.pairs:
        name = f"{pair.first}-{pair.second}"
        for half_life, correlation in pair.correlations.items():
            scrape.tell("volgauge_coupling_correlation_ratio", correlation, name, half_life)
        scrape.tell("volgauge_coupling_lead_seconds", pair.lead_seconds, name)
        scrape.tell("volgauge_coupling_beta_ratio", pair.beta, name)
        scrape.tell("volgauge_coupling_spread_z_ratio", pair.spread_z, name)
        scrape.tell("volgauge_decoupled", pair.decoupled, name)
    scrape.tell("volgauge_systemic_coupling_ratio", value.systemic)
    spillover = value.spillover
    if spillover is not None:
        scrape.tell("volgauge_spillover_total_ratio", _ratio(spillover.total))
        for asset, net in spillover.net.items():
            scrape.tell("volgauge_spillover_net_ratio", _ratio(net), asset)


def _collect_missing(scrape: _Filling, asset: str, missing: Mapping[str, Lack]) -> None:
    """Counted by the first word of the path: every single path would be hundreds of series."""
    counts = Counter((path.partition(".")[0], lack.value) for path, lack in missing.items())
    for (reading, reason), count in counts.items():
        scrape.add("volgauge_analytics_missing", count, asset, reading, reason)


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / _PERCENT
