"""What /metrics says of the analytics is what the records said; null is absent, with its reason."""

import shutil
import subprocess
from collections import Counter
from itertools import pairwise

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest

from fakes.readings import (
    NOW_NS,
    PAIR,
    TENOR,
    alert_event,
    analytics_value,
    coupling_value,
)
from fakes.records import EXPIRY, index_value
from volgauge.domain.analytics import (
    Edge,
    ForwardVol,
    Lack,
    PairCoupling,
    RealizedReading,
    Rule,
)
from volgauge.domain.index import VenueValue
from volgauge.domain.instrument import Asset, Venue
from volgauge.telemetry.analytics import MAX_SUBJECTS, AnalyticsMetrics
from volgauge.telemetry.analytics_families import ANALYTICS_FAMILIES
from volgauge.telemetry.service_families import FAMILIES

PARTS = ("surface", "spillover")
ASSETS = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "BNB", "AVAX")
TENORS = ("7d", "14d", "30d", "60d", "90d", "180d")


class Webhook:
    """A hand-written webhook's counts."""

    delivered = 7
    retried = 3
    refused = 2
    lost = 1


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry(auto_describe=True)


@pytest.fixture
def metrics(registry: CollectorRegistry) -> AnalyticsMetrics:
    """Metrics on that registry."""
    return AnalyticsMetrics(registry, PARTS)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("tenor_iv_points", {"tenor": "30d", "bucket": "atm"}, 52.0),
        ("tenor_iv_points", {"tenor": "30d", "bucket": "10p"}, 58.5),
        ("tenor_iv_points", {"tenor": "30d", "bucket": "25c"}, 52.5),
        ("risk_reversal_points", {"tenor": "30d", "delta": "25"}, -2.0),
        ("risk_reversal_points", {"tenor": "30d", "delta": "10"}, -3.5),
        ("butterfly_points", {"tenor": "30d", "delta": "10"}, 4.75),
        ("skewness_ratio", {"tenor": "30d"}, -0.4),
        ("kurtosis_ratio", {"tenor": "30d"}, 4.5),
        ("coin_skew_points", {"tenor": "30d"}, -0.7),
        ("term_slope_points", {}, 3.5),
        ("forward_vol_points", {"leg": "30d-60d"}, 55.5),
        ("term_inverted", {}, 0.0),
        ("vol_of_vol_points", {}, 85.0),
        ("iv_rank_ratio", {}, 0.4),
        ("iv_percentile_ratio", {}, 0.375),
        ("interest_iv_points", {"weighting": "open_interest"}, 53.5),
        ("interest_iv_points", {"weighting": "vega"}, 53.0),
        ("interest_iv_points", {"weighting": "volume"}, 52.5),
        ("open_interest_coins", {}, 25_000.0),
        ("put_call_ratio", {"by": "open_interest"}, 0.65),
        ("put_call_ratio", {"by": "volume"}, 0.8),
        ("realized_points", {"estimator": "yang_zhang"}, 47.75),
        ("realized_points", {"estimator": "har"}, 49.0),
        ("realized_jump_ratio", {}, 0.05),
        ("variance_premium_points", {"form": "ex_ante"}, 3.25),
        ("variance_premium_points", {"form": "trailing"}, 5.75),
        ("scaling_exposure_ratio", {"form": "target"}, 0.75),
        ("scaling_exposure_ratio", {"form": "variance"}, 0.64),
        ("scaling_exposure_ratio", {"form": "budget"}, 0.33),
        ("scaling_throttle_ratio", {"kind": "depth"}, 0.8),
        ("scaling_throttle_ratio", {"kind": "leverage"}, 0.95),
        ("margin_multiplier_ratio", {}, 1.1),
        ("flow_imbalance_ratio", {}, 0.125),
        ("funding_spread_ratio", {}, 0.0001),
        ("regime", {"scheme": "absolute", "band": "dried_up"}, 1.0),
        ("regime", {"scheme": "adaptive", "band": "low"}, 1.0),
    ],
    ids=lambda value: "-".join(value.values()) if isinstance(value, dict) else None,
)
def test_a_reading_stands_in_its_gauge(
    registry: CollectorRegistry,
    metrics: AnalyticsMetrics,
    name: str,
    labels: dict[str, str],
    expected: float,
) -> None:
    """In the record's own unit; what is a percentage there is a ratio here."""
    metrics.record(analytics_value(1))

    found = registry.get_sample_value(f"volgauge_{name}", {"asset": "BTC", **labels})
    assert found == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("coupling_correlation_ratio", {"pair": "BTC-ETH", "half_life": "1h"}, 0.8),
        ("coupling_lead_seconds", {"pair": "BTC-ETH"}, 7.0),
        ("coupling_beta_ratio", {"pair": "BTC-ETH"}, 1.1),
        ("coupling_spread_z_ratio", {"pair": "BTC-ETH"}, 1.25),
        ("decoupled", {"pair": "BTC-ETH"}, 0.0),
        ("spillover_total_ratio", {}, 0.275),
        ("spillover_net_ratio", {"asset": "ETH"}, -0.15),
        ("systemic_coupling_ratio", {}, 0.75),
    ],
)
def test_coupling_stands_in_its_gauges(
    registry: CollectorRegistry,
    metrics: AnalyticsMetrics,
    name: str,
    labels: dict[str, str],
    expected: float,
) -> None:
    """By pair, by asset, or one for all."""
    metrics.record(coupling_value(1))

    found = registry.get_sample_value(f"volgauge_{name}", labels)
    assert found == pytest.approx(expected, rel=1e-15)


def test_null_is_absent_and_counted_with_its_reason(
    registry: CollectorRegistry, metrics: AnalyticsMetrics
) -> None:
    """Three readings are null for one reason and one for another; none has a sample."""
    value = analytics_value(1)
    metrics.record(
        replace(
            value,
            slope=None,
            missing={
                "slope": Lack.NO_SURFACE,
                "premium.ex_post_points": Lack.TOO_LITTLE_HISTORY,
                "premium.ex_post_variance": Lack.TOO_LITTLE_HISTORY,
                "premium.ex_ante_points": Lack.NO_INDEX,
            },
        )
    )

    def missing(reading: str, lack: Lack) -> float | None:
        labels = {"asset": "BTC", "reading": reading, "reason": lack.value}
        return registry.get_sample_value("volgauge_analytics_missing", labels)

    assert registry.get_sample_value("volgauge_term_slope_points", {"asset": "BTC"}) is None
    labels = {"asset": "BTC", "form": "ex_post"}
    assert registry.get_sample_value("volgauge_variance_premium_points", labels) is None
    assert missing("premium", Lack.TOO_LITTLE_HISTORY) == 2.0
    assert missing("premium", Lack.NO_INDEX) == 1.0
    assert missing("slope", Lack.NO_SURFACE) == 1.0


def test_legs_are_weighed_over_the_books(
    registry: CollectorRegistry, metrics: AnalyticsMetrics
) -> None:
    """Two books, two expiries each: the weights of a leg add up to its share of the index."""
    near, far = replace(EXPIRY, t_years=0.05), replace(EXPIRY, t_years=0.1)
    books = {"deribit": (0.75, 0.6), "okx": (0.25, 0.2)}
    record = replace(
        index_value(1),
        venues={
            Venue(name): VenueValue(value=52.0, weight=weight, state="in")
            for name, (weight, _) in books.items()
        },
        expiries=tuple(
            replace(leg, book=name, weight=share if leg is near else 1.0 - share)
            for name, (_, share) in books.items()
            for leg in (near, far)
        ),
    )
    metrics.headline(record)

    def shown(name: str, leg: str) -> float | None:
        return registry.get_sample_value(name, {"asset": "BTC", "leg": leg})

    assert shown("volgauge_leg_weight_ratio", "near") == pytest.approx(0.75 * 0.6 + 0.25 * 0.2)
    assert shown("volgauge_leg_weight_ratio", "next") == pytest.approx(0.75 * 0.4 + 0.25 * 0.8)
    assert shown("volgauge_leg_seconds", "near") == pytest.approx(0.05 * 365 * 86_400)
    assert shown("volgauge_leg_seconds", "next") == pytest.approx(0.1 * 365 * 86_400)


def test_an_alert_is_up_until_its_clear(
    registry: CollectorRegistry, metrics: AnalyticsMetrics
) -> None:
    """1, then 0; both ends are counted, and every rule is there from the start."""
    labels = {"rule": "spike", "subject": "BTC"}
    metrics.record(alert_event())
    up = registry.get_sample_value("volgauge_alert_active", labels)
    metrics.record(alert_event(edge=Edge.CLEARED))
    down = registry.get_sample_value("volgauge_alert_active", labels)
    counts = [
        registry.get_sample_value("volgauge_alerts_total", {"rule": rule, "edge": edge})
        for rule, edge in (("spike", "raised"), ("spike", "cleared"), ("stale", "raised"))
    ]

    assert (up, down) == (1.0, 0.0)
    assert counts == [1.0, 1.0, 0.0]


def test_subjects_of_alerts_are_bounded(
    registry: CollectorRegistry, metrics: AnalyticsMetrics
) -> None:
    """Old ones that are over go; what is up stays, however old."""
    metrics.record(alert_event(rule=Rule.STALE))
    for number in range(2 * MAX_SUBJECTS):
        for edge in Edge:
            metrics.record(alert_event(subject=f"S{number}", edge=edge))
    text = generate_latest(registry).decode()
    shown = [line for line in text.splitlines() if line.startswith("volgauge_alert_active{")]

    assert len(shown) == MAX_SUBJECTS
    assert 'volgauge_alert_active{rule="stale",subject="BTC"} 1.0' in shown


def test_webhook_and_cost_are_shown(registry: CollectorRegistry, metrics: AnalyticsMetrics) -> None:
    """Counts by outcome; a histogram and an error count by part."""
    metrics.watch_webhook(Webhook())
    metrics.histogram("surface").observe_ns(300_000)
    metrics.failures["spillover"] += 1

    deliveries = {
        outcome: registry.get_sample_value(
            "volgauge_webhook_deliveries_total", {"outcome": outcome}
        )
        for outcome in ("delivered", "retried", "refused", "lost")
    }
    assert deliveries == {"delivered": 7.0, "retried": 3.0, "refused": 2.0, "lost": 1.0}
    name = "volgauge_analytics_duration_seconds"
    assert registry.get_sample_value(f"{name}_count", {"part": "surface"}) == 1.0
    assert registry.get_sample_value(f"{name}_sum", {"part": "surface"}) == 0.0003
    failures = registry.get_sample_value("volgauge_analytics_failures_total", {"part": "spillover"})
    assert failures == 1.0


def test_no_family_has_too_many_series(
    registry: CollectorRegistry, metrics: AnalyticsMetrics
) -> None:
    """Eight assets with all readings: below 400 samples each."""
    fill(metrics)
    counts: Counter[str] = Counter()
    for family in registry.collect():
        counts[family.name] += len(family.samples)

    assert max(counts.values()) < 400, counts.most_common(3)


def test_families_are_declared_once() -> None:
    """With a sentence each, and none is a metric of the index."""
    names = [family.name for family in (*ANALYTICS_FAMILIES, *FAMILIES)]

    assert len(names) == len(set(names))
    assert all(family.help.endswith(".") for family in ANALYTICS_FAMILIES)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing(registry: CollectorRegistry, metrics: AnalyticsMetrics) -> None:
    """Names, units and help sentences by Prometheus' own linter."""
    fill(metrics)
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=generate_latest(registry),
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def fill(metrics: AnalyticsMetrics) -> None:
    """All readings of eight assets and of their pairs."""
    for asset in ASSETS:
        value = analytics_value(1, asset=asset)
        missing = {
            f"realized.{name}": list(Lack)[place % len(Lack)]
            for place, name in enumerate(RealizedReading.__struct_fields__)
        }
        metrics.record(
            replace(
                value,
                tenors=tuple(replace(TENOR, tenor=tenor) for tenor in TENORS),
                forwards=tuple(
                    ForwardVol(begin=begin, end=end, value=50.0) for begin, end in pairwise(TENORS)
                ),
                missing=missing,
            )
        )
        metrics.headline(index_value(1, asset=asset))
        for rule in Rule:
            metrics.record(alert_event(rule=rule, subject=asset, raised_ns=NOW_NS))
    pairs = [(a, b) for i, a in enumerate(ASSETS) for b in ASSETS[i + 1 :]]
    metrics.record(replace(coupling_value(1), pairs=tuple(pair_of(a, b) for a, b in pairs)))


def pair_of(first: str, second: str) -> PairCoupling:
    """A full reading of these two."""
    return replace(
        PAIR,
        first=Asset(first),
        second=Asset(second),
        correlations={"1h": 0.8, "1d": 0.75, "7d": 0.5},
    )
