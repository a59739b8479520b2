"""What history and the endpoints count, as Prometheus reads it."""

from prometheus_client import CollectorRegistry, generate_latest

from volgauge.history.keeper import HistoryStats
from volgauge.publish.dropin import DropInStats
from volgauge.publish.hub import HubStats
from volgauge.telemetry.serving import SERVING_FAMILIES, ServingMetrics


def test_every_count_is_shown_under_its_name() -> None:
    """Each field with a number of its own, in the text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=True)
    metrics = ServingMetrics(registry)
    metrics.watch_history(HistoryStats(written=1, pruned=2, failed=3, lost=4, gaps=5))
    metrics.watch_stream(
        HubStats(
            client_count=6, clients_refused=7, clients_dropped=8, delivered=9, conflated=10,
            refused=11,
        )
    )  # fmt: skip
    metrics.watch_drop_in(
        DropInStats(client_count=12, clients_refused=13, clients_dropped=14, requests=15, errors=16)
    )
    text = generate_latest(registry).decode()

    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        "volgauge_history_candles_written_total 1.0",
        "volgauge_history_candles_pruned_total 2.0",
        "volgauge_history_candles_lost_total 4.0",
        "volgauge_history_failures_total 3.0",
        "volgauge_history_gaps_total 5.0",
        'volgauge_stream_clients{endpoint="live"} 6.0',
        'volgauge_stream_clients{endpoint="dropin"} 12.0',
        'volgauge_stream_clients_refused_total{endpoint="live"} 7.0',
        'volgauge_stream_clients_refused_total{endpoint="dropin"} 13.0',
        'volgauge_stream_clients_dropped_total{endpoint="live"} 8.0',
        'volgauge_stream_clients_dropped_total{endpoint="dropin"} 14.0',
        'volgauge_stream_records_total{outcome="delivered"} 9.0',
        'volgauge_stream_records_total{outcome="conflated"} 10.0',
        'volgauge_stream_records_total{outcome="refused"} 11.0',
        "volgauge_dropin_requests_total 15.0",
        "volgauge_dropin_errors_total 16.0",
    ]


def test_what_is_not_watched_has_no_samples() -> None:
    """A service without history and without HTTP says nothing of them."""
    registry = CollectorRegistry(auto_describe=True)
    ServingMetrics(registry)

    assert [metric.samples for metric in registry.collect()] == [[]] * len(SERVING_FAMILIES)
