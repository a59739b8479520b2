"""What /metrics says is what was told, in Prometheus' own conventions."""

import enum
import shutil
import subprocess
from collections import Counter

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from fakes.records import fixing_value
from volgauge.book.quotes import QuoteTable
from volgauge.domain.events import Coverage
from volgauge.domain.index import (
    ExpirySurface,
    IndexValue,
    Method,
    Reject,
    Source,
    Status,
    SurfaceValue,
    VenueValue,
)
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.index.evidence import EvidenceStats
from volgauge.telemetry.families import Kind
from volgauge.telemetry.latency import LagMeter, Stage
from volgauge.telemetry.metrics import MAX_REASONS, Metrics
from volgauge.telemetry.service_families import FAMILIES

BTC = Asset("BTC")
DERIBIT = Venue("deribit")


class State(enum.Enum):
    """States of a session, by the adapters' words."""

    IDLE = "idle"
    LIVE = "live"


class Feed:
    """A hand-written session."""

    def __init__(self, connection: str, state: State, counts: dict[str, int]) -> None:
        self.venue = DERIBIT
        self.connection = connection
        self.state = state
        self.counts: Counter[str] = Counter(counts)


class Sink:
    """A hand-written publisher."""

    published = 41
    conflated = 5
    failed = 2
    fenced = 1
    refused = 4
    dropped_events = 6
    reconnects = 3
    round_trip_ns = 250_000
    receivers = 9
    connected = True
    last_published_ns = 1_790_000_000_500_000_000


class VenueState:
    """A hand-written venue of the engine."""

    def __init__(self) -> None:
        self.venue = DERIBIT
        self.last_data_ns = 1_790_000_000_250_000_000
        self.counts: Counter[str] = Counter({"ForwardQuote": 7})
        self.coverage: dict[str, Coverage] = {}
        self.vol_index = {BTC: 51.75}
        self.vol_index_ns = {BTC: self.last_data_ns}


def index_value(
    value: float | None = 52.25,
    *,
    asset: Asset = BTC,
    tenor_days: float = 30.0,
    status: Status = Status.SINGLE_VENUE,
    event_ns: int = 1_790_000_000_000_000_000,
    ticks_merged: int = 0,
) -> IndexValue:
    """A record as the engine would hand it on."""
    return IndexValue(
        code="VG-BTC-30D",
        asset=asset,
        tenor_days=tenor_days,
        value=value,
        bid=51.5,
        ask=53.0,
        status=status,
        event_ns=event_ns,
        computed_ns=event_ns + 1_000_000,
        n_strikes=58,
        ticks_merged=ticks_merged,
        source=Source.SIMULATED,
        mode=Method.NATIVE,
    )


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of the test's own."""
    return CollectorRegistry(auto_describe=True)


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """Metrics on that registry."""
    return Metrics(registry, version="1.2.3")


def test_index_is_shown_in_points_by_asset_and_tenor(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """The published number stands in the gauge unchanged."""
    metrics.record(index_value(52.25))

    labels = {"asset": "BTC", "tenor": "30d"}
    assert registry.get_sample_value("volgauge_index_points", labels) == 52.25
    assert registry.get_sample_value("volgauge_index_bid_points", labels) == 51.5
    assert registry.get_sample_value("volgauge_index_ask_points", labels) == 53.0


def test_a_null_value_removes_the_gauge(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A value that cannot be computed is absent, never the last good one."""
    metrics.record(index_value(52.25))
    metrics.record(index_value(None, status=Status.HALTED))

    labels = {"asset": "BTC", "tenor": "30d"}
    assert registry.get_sample_value("volgauge_index_points", labels) is None


def test_last_update_does_not_move_with_a_null_value(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """The timestamp by which alerts judge staleness belongs to a real value."""
    metrics.record(index_value(52.25, event_ns=1_790_000_000_000_000_000))
    metrics.record(index_value(None, status=Status.HALTED, event_ns=1_790_000_100_000_000_000))

    shown = registry.get_sample_value(
        "volgauge_index_last_update_timestamp_seconds", {"asset": "BTC"}
    )
    assert shown == 1_790_000_000.0


def test_exactly_one_status_is_set(registry: CollectorRegistry, metrics: Metrics) -> None:
    """The status is one-hot over the closed list, in the records' own spelling."""
    metrics.record(index_value(status=Status.DEGRADED))

    shown = {
        status.value: registry.get_sample_value(
            "volgauge_index_status", {"asset": "BTC", "status": status.value}
        )
        for status in Status
    }
    assert shown == {status.value: float(status is Status.DEGRADED) for status in Status}


def test_merged_ticks_count_for_the_headline_only(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """Six tenors of one recompute must not count its ticks six times."""
    metrics.record(index_value(ticks_merged=4))
    metrics.record(index_value(ticks_merged=3))
    metrics.record(index_value(tenor_days=60.0, ticks_merged=4))

    assert registry.get_sample_value("volgauge_ticks_merged_total", {"asset": "BTC"}) == 7
    labels = {"asset": "BTC", "tenor": "30d"}
    assert registry.get_sample_value("volgauge_index_records_total", labels) == 2


def test_every_book_of_the_headline_is_shown(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Its own index, its weight and whether it counts; a book without a value has no points."""
    books = {
        DERIBIT: VenueValue(value=52.5, weight=0.75, state="in"),
        Venue("okx:USD_UM"): VenueValue(value=60.0, weight=0.0, state="out"),
        Venue("derive"): VenueValue(value=None, weight=0.0, state="down"),
    }
    metrics.record(replace(index_value(), venues=books))
    metrics.record(replace(index_value(tenor_days=60.0), venues={}))

    def shown(name: str) -> list[float | None]:
        return [
            registry.get_sample_value(f"volgauge_venue_{name}", {"venue": book, "asset": "BTC"})
            for book in books
        ]

    assert shown("index_points") == [52.5, 60.0, None]
    assert shown("weight_ratio") == [0.75, 0.0, 0.0]
    assert shown("in") == [1.0, 0.0, 0.0]


def test_a_lag_is_shown_in_seconds_with_its_sign(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """Absent before the first quote; negative where the venue's clock is ahead."""
    table = QuoteTable()
    meter = LagMeter(table)
    metrics.watch_lag(DERIBIT, meter)

    def shown() -> list[float | None]:
        return [
            registry.get_sample_value(f"volgauge_feed_{name}_seconds", {"venue": "deribit"})
            for name in ("lag", "late_lag", "least_lag")
        ]

    assert shown() == [None, None, None]
    for slot, lag_ns in enumerate((-250_000_000, 500_000_000, 750_000_000)):
        table.write(slot, 1.0, 2.0, 3.0, 4.0, NANOS_PER_SECOND - lag_ns, NANOS_PER_SECOND)
    table.settle()
    meter.timer(2 * NANOS_PER_SECOND)
    assert shown() == [0.5, 0.75, -0.25]


def test_a_fixing_is_shown_until_one_fails(registry: CollectorRegistry, metrics: Metrics) -> None:
    """A failed fixing removes the gauge; it does not leave yesterday's number."""
    labels = {"asset": "BTC", "tenor": "30d", "fixing": "utc_0800"}
    metrics.fixing(fixing_value(value=52.25))
    assert registry.get_sample_value("volgauge_fixing_points", labels) == 52.25

    metrics.fixing(fixing_value(value=None))

    assert registry.get_sample_value("volgauge_fixing_points", labels) is None


def test_a_hold_of_the_guard_counts_once(registry: CollectorRegistry, metrics: Metrics) -> None:
    """However many records it lasts."""
    for status in (Status.OK, Status.GUARD, Status.GUARD, Status.OK, Status.GUARD):
        metrics.record(index_value(52.25, status=status))

    labels = {"asset": "BTC", "tenor": "30d"}
    assert registry.get_sample_value("volgauge_index_guard_holds_total", labels) == 2.0


def test_refused_quotes_are_summed_over_expiries(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """Expiry is no label, so the counts of all expiries are one number a reason."""
    expiries = tuple(
        ExpirySurface(
            venue=DERIBIT,
            expiry=expiry,
            t_years=0.1,
            forward=1e5,
            total_variance=0.02,
            implied_vol=50.0,
            strip=50.0,
            n_strikes=30,
            n_rejected=count,
            rejected={"crossed": count},
        )
        for expiry, count in (("2026-12-18T08:00:00Z", 2), ("2026-12-25T08:00:00Z", 3))
    )
    metrics.surface(
        SurfaceValue(
            asset=BTC,
            event_ns=1,
            computed_ns=1,
            source=Source.LIVE,
            expiries=expiries,
            term={},
            venue_index=51.75,
        )
    )

    shown = {
        reason: registry.get_sample_value(
            "volgauge_quotes_refused",
            {"venue": "deribit", "asset": "BTC", "reason": reason.value},
        )
        for reason in Reject
    }
    assert shown == {reason: 5.0 if reason is Reject.CROSSED else 0.0 for reason in Reject}
    assert registry.get_sample_value("volgauge_venue_own_index_points", {"asset": "BTC"}) == 51.75


def test_a_venue_is_connected_when_all_its_sessions_are_live(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """One lost socket of several is a venue that is not whole."""
    hot = Feed("hot", State.LIVE, {})
    wings = Feed("wings", State.IDLE, {})
    metrics.watch_connection(hot)
    metrics.watch_connection(wings)

    labels = {"venue": "deribit"}
    assert registry.get_sample_value("volgauge_feed_connected", labels) == 0
    wings.state = State.LIVE
    assert registry.get_sample_value("volgauge_feed_connected", labels) == 1
    both = {"venue": "deribit", "state": "live"}
    assert registry.get_sample_value("volgauge_feed_connections", both) == 2


def test_counts_of_a_feed_go_to_the_family_of_their_first_word(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """`kind.reason` becomes metric and label; sessions of a venue are summed."""
    metrics.watch_connection(
        Feed("hot", State.LIVE, {"frames.quote": 10, "reconnects.closed": 1, "acks": 2})
    )
    metrics.watch_connection(
        Feed("wings", State.LIVE, {"frames.quote": 5, "frames.book": 1, "rejected.negative": 3})
    )

    venue = {"venue": "deribit"}
    assert registry.get_sample_value("volgauge_feed_frames_total", venue) == 16
    assert registry.get_sample_value("volgauge_book_gaps_total", venue) == 0
    for name, reason, count in (
        ("volgauge_feed_reconnects_total", "closed", 1),
        ("volgauge_quotes_rejected_total", "negative", 3),
        ("volgauge_feed_notices_total", "acks", 2),
    ):
        assert registry.get_sample_value(name, {**venue, "reason": reason}) == count


def test_reasons_of_a_venue_cannot_grow_without_bound(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """A thousand different words of a venue make 33 series, and no count is lost."""
    metrics.watch_connection(Feed("hot", State.LIVE, {f"ignored.word{n}": 1 for n in range(1000)}))

    (family,) = (f for f in registry.collect() if f.name == "volgauge_feed_ignored")
    assert len(family.samples) == MAX_REASONS + 1
    assert sum(sample.value for sample in family.samples) == 1000


def test_a_sink_is_shown_by_its_own_counts(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Published, conflated, lost: each by name."""
    metrics.watch_publisher(Sink())

    sink = {"sink": "redis"}
    assert registry.get_sample_value("volgauge_publish_records_total", sink) == 41
    assert registry.get_sample_value("volgauge_publish_conflated_total", sink) == 5
    failures = "volgauge_publish_failures_total"
    for reason, count in (("failed", 2), ("fenced", 1), ("refused", 4), ("dropped", 6)):
        assert registry.get_sample_value(failures, {**sink, "reason": reason}) == count
    assert registry.get_sample_value("volgauge_publish_receivers", sink) == 9
    assert registry.get_sample_value("volgauge_publish_round_trip_seconds", sink) == 0.00025
    assert registry.get_sample_value("volgauge_publish_connected", sink) == 1
    newest = "volgauge_publish_last_record_timestamp_seconds"
    assert registry.get_sample_value(newest, sink) == 1_790_000_000.5


def test_a_venue_of_the_engine_shows_its_newest_data(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """Timestamps are exported, not ages."""
    metrics.watch_venue(VenueState())

    name = "volgauge_feed_last_frame_timestamp_seconds"
    assert registry.get_sample_value(name, {"venue": "deribit"}) == 1_790_000_000.25
    rare = {"venue": "deribit", "event": "ForwardQuote"}
    assert registry.get_sample_value("volgauge_events_total", rare) == 7


def test_coverage_is_the_share_of_all_connections(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    """Connections count by what they asked for; before the first answer there is no share."""
    venue = VenueState()
    metrics.watch_venue(venue)
    labels = {"venue": "deribit"}
    before = registry.get_sample_value("volgauge_feed_coverage_ratio", labels)
    for name, requested, accepted in (("hot", 300, 300), ("cold", 100, 50)):
        venue.coverage[name] = Coverage(
            venue=DERIBIT, received_ns=1, connection=name, requested=requested, accepted=accepted
        )

    assert before is None
    assert registry.get_sample_value("volgauge_feed_coverage_ratio", labels) == 350 / 400


def compare_for(metrics: Metrics, seconds: int) -> None:
    """So many seconds with ours half a point above the venue's own index, both moving."""
    venue = VenueState()
    metrics.watch_venue(venue)
    for second in range(seconds):
        at_ns = 1_790_000_000_000_000_000 + second * 1_000_000_000
        points = 52.0 + (second * second % 17) / 16
        for asset in (BTC, Asset("ETH")):
            venue.vol_index[asset] = points - 0.5
            venue.vol_index_ns[asset] = at_ns + 1_000_000
            metrics.record(index_value(points, asset=asset, event_ns=at_ns))
            metrics.record(index_value(points + 9.0, asset=asset, tenor_days=60.0, event_ns=at_ns))
        metrics.timer(at_ns + 100_000_000)


def test_comparison_is_of_the_headline_with_the_venues_own_index(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """Sampled by the timer alone; the 60-day record is another index."""
    compare_for(metrics, 100)

    labels = {"venue": "deribit", "asset": "BTC", "series": "value"}
    prefix = "volgauge_comparison"
    assert registry.get_sample_value(f"{prefix}_pairs", labels) == 99
    shown = registry.get_sample_value(f"{prefix}_bias_points", labels)
    assert shown == pytest.approx(0.5, abs=1e-12)
    shown = registry.get_sample_value(f"{prefix}_level_correlation_ratio", labels)
    assert shown == pytest.approx(1.0, abs=1e-9)
    assert registry.get_sample_value(f"{prefix}_lead_seconds", labels) is None


def test_comparison_without_enough_seconds_is_a_count_only(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """No figure that rests on half a minute."""
    compare_for(metrics, 30)

    labels = {"venue": "deribit", "asset": "BTC", "series": "value"}
    assert registry.get_sample_value("volgauge_comparison_pairs", labels) == 29
    assert registry.get_sample_value("volgauge_comparison_bias_points", labels) is None


def test_durations_are_exported_in_seconds(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Nanoseconds inside, base units outside."""
    metrics.histogram(Stage.RECOMPUTE).observe_ns(150_000)
    metrics.tick_to_publish.observe_ns(300_000)

    stage = {"stage": "recompute"}
    name = "volgauge_stage_duration_seconds"
    assert registry.get_sample_value(f"{name}_sum", stage) == 0.00015
    assert registry.get_sample_value(f"{name}_bucket", {**stage, "le": "0.0001"}) == 0
    assert registry.get_sample_value(f"{name}_bucket", {**stage, "le": "0.0002"}) == 1
    assert registry.get_sample_value("volgauge_tick_to_publish_seconds_count") == 1


def test_readiness_and_build_are_shown(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Both stand there from the first scrape."""
    assert registry.get_sample_value("volgauge_ready") == 0
    metrics.set_ready(ready=True)
    assert registry.get_sample_value("volgauge_ready") == 1
    assert b'version="1.2.3"' in generate_latest(registry)


def test_log_lines_are_counted_by_level(registry: CollectorRegistry, metrics: Metrics) -> None:
    """No log line without a counter."""
    metrics.watch_logs({"info": 3, "error": 0})

    assert registry.get_sample_value("volgauge_log_lines_total", {"level": "info"}) == 3
    assert registry.get_sample_value("volgauge_log_lines_total", {"level": "error"}) == 0


def test_process_metrics_are_on_and_created_series_off(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """CPU and memory of the process are there; `_created` would double the counters."""
    metrics.record(index_value())
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]  # no types there

    assert "process_cpu_seconds_total" in text
    assert "_created" not in text


def test_help_is_a_sentence_and_names_keep_the_conventions() -> None:
    """Prefix, `_total` on counters and only there, base units, allowed labels."""
    allowed = {"venue", "asset", "tenor", "stage", "sink", "reason", "status", "state", "level"}
    allowed |= {"event", "source", "series", "fixing"}
    for family in FAMILIES:
        assert family.name.startswith("volgauge_")
        assert family.help[0].isupper() or family.help[0].isdigit()
        assert family.help.endswith(".")
        assert (family.kind is Kind.COUNTER) == family.name.endswith("_total")
        assert allowed >= set(family.labels)
    assert len(FAMILIES) == len({family.name for family in FAMILIES})


def fill(metrics: Metrics) -> None:
    """Put a sample into every family."""
    metrics.record(index_value())
    metrics.watch_connection(Feed("hot", State.LIVE, {"ignored.x": 1, "rejected.y": 1, "z": 1}))
    metrics.watch_publisher(Sink())
    metrics.watch_venue(VenueState())
    metrics.watch_logs({"info": 1})


def test_openmetrics_parser_reads_what_is_served(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """The strict parser of the OpenMetrics format accepts every line."""
    fill(metrics)
    text = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]  # no types there

    families = list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # no types there

    assert {family.name for family in FAMILIES if family.kind is Kind.GAUGE} <= {
        family.name for family in families
    }


def test_promtool_has_nothing_to_say(registry: CollectorRegistry, metrics: Metrics) -> None:
    """Prometheus' own linter finds no fault in names, types or help."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    fill(metrics)

    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(registry),
        capture_output=True,
        check=False,
        timeout=60,
    )

    assert (b"", 0) == (done.stderr + done.stdout, done.returncode)


def test_the_default_service_shows_fewer_than_three_hundred_series(
    registry: CollectorRegistry, metrics: Metrics
) -> None:
    """Two assets, six tenors, three sessions: a scrape must cost the feeds no time."""
    for asset in (BTC, Asset("ETH")):
        for tenor_days in (7.0, 14.0, 30.0, 60.0, 90.0, 180.0):
            metrics.record(index_value(asset=asset, tenor_days=tenor_days))
        metrics.surface(
            SurfaceValue(
                asset=asset,
                event_ns=1,
                computed_ns=1,
                source=Source.LIVE,
                expiries=(
                    ExpirySurface(
                        venue=DERIBIT,
                        expiry="2026-12-18T08:00:00Z",
                        t_years=0.1,
                        forward=1e5,
                        total_variance=0.02,
                        implied_vol=50.0,
                        strip=50.0,
                        n_strikes=30,
                        n_rejected=2,
                        rejected={"crossed": 2},
                    ),
                ),
                term={},
            )
        )
    for connection in ("hot", "wings", "market"):
        metrics.watch_connection(Feed(connection, State.LIVE, {f"notice{n}": 1 for n in range(10)}))
    metrics.watch_publisher(Sink())
    compare_for(metrics, 100)

    assert sum(len(family.samples) for family in registry.collect()) < 300


def test_evidence_shows_how_much_it_takes_and_how_far_it_goes_back() -> None:
    """Absent before the first second is kept, and when no evidence is kept at all."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, version="1")
    names = ("bytes", "oldest_timestamp_seconds", "dropped_total")

    def shown() -> list[float | None]:
        return [registry.get_sample_value(f"volgauge_evidence_{name}") for name in names]

    assert [None, None, None] == shown()
    stats = EvidenceStats()
    metrics.watch_evidence(stats)
    assert [0.0, None, 0.0] == shown()
    stats.kept_bytes, stats.oldest_ns, stats.dropped_segments = 7, 3 * NANOS_PER_SECOND, 2
    assert [7.0, 3.0, 2.0] == shown()
