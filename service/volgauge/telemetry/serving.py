"""Metrics of what is beside the index: the history's file, and the clients that stay connected."""

from collections.abc import Iterable
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from volgauge.telemetry.families import Family, Kind, Scrape

SERVING_FAMILIES = (
    Family(
        "volgauge_history_candles_written_total",
        Kind.COUNTER,
        "Candles written into the file of history.",
    ),
    Family(
        "volgauge_history_candles_pruned_total",
        Kind.COUNTER,
        "Candles deleted from the file of history because of their age.",
    ),
    Family(
        "volgauge_history_candles_lost_total",
        Kind.COUNTER,
        "Candles given up because the file of history refused them for too long.",
    ),
    Family(
        "volgauge_history_failures_total",
        Kind.COUNTER,
        "Writes and deletions that the file of history refused; they are tried again.",
    ),
    Family(
        "volgauge_history_gaps_total",
        Kind.COUNTER,
        "Times that a series of candles went on after spans without a value, which have none.",
    ),
    Family(
        "volgauge_stream_clients",
        Kind.GAUGE,
        "Clients that are connected: live (/v1/stream) or dropin (/ws/api/v2).",
        ("endpoint",),
    ),
    Family(
        "volgauge_stream_clients_refused_total",
        Kind.COUNTER,
        "Clients turned away because there were too many, or at the end of the service.",
        ("endpoint",),
    ),
    Family(
        "volgauge_stream_clients_dropped_total",
        Kind.COUNTER,
        "Clients cut off because they did not read for too long.",
        ("endpoint",),
    ),
    Family(
        "volgauge_stream_records_total",
        Kind.COUNTER,
        "Records for clients of /v1/stream: delivered, conflated (a newer one came before a slow "
        "client took it), refused (not encodable).",
        ("outcome",),
    ),
    Family(
        "volgauge_dropin_requests_total",
        Kind.COUNTER,
        "JSON-RPC requests to the drop-in endpoint.",
    ),
    Family(
        "volgauge_dropin_errors_total",
        Kind.COUNTER,
        "JSON-RPC requests to the drop-in endpoint that were answered with an error.",
    ),
)
"""Of history and of the drop-in endpoint only where there is one."""


class HistoryFacts(Protocol):
    """What the keeper of history counts; plain numbers."""

    @property
    def written(self) -> int:
        """Candles handed to the file."""
        ...

    @property
    def pruned(self) -> int:
        """Candles forgotten by age."""
        ...

    @property
    def failed(self) -> int:
        """Writes and deletions that the file refused."""
        ...

    @property
    def lost(self) -> int:
        """Candles given up."""
        ...

    @property
    def gaps(self) -> int:
        """Times that a series went on after spans without a candle."""
        ...


class ClientFacts(Protocol):
    """What an endpoint with lasting connections counts of its clients."""

    @property
    def client_count(self) -> int:
        """Connected now."""
        ...

    @property
    def clients_refused(self) -> int:
        """Turned away."""
        ...

    @property
    def clients_dropped(self) -> int:
        """Cut off for not reading."""
        ...


class StreamFacts(ClientFacts, Protocol):
    """What the hub counts besides."""

    @property
    def delivered(self) -> int:
        """Records that a client took."""
        ...

    @property
    def conflated(self) -> int:
        """Records that a newer one replaced before."""
        ...

    @property
    def refused(self) -> int:
        """Records that could not be encoded."""
        ...


class DropInFacts(ClientFacts, Protocol):
    """What the drop-in endpoint counts besides."""

    @property
    def requests(self) -> int:
        """JSON-RPC requests, by socket or by HTTP."""
        ...

    @property
    def errors(self) -> int:
        """Of them those answered with an error."""
        ...


class ServingMetrics(Collector):
    """The facts of what is watched, readable by Prometheus."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._history: HistoryFacts | None = None
        self._stream: StreamFacts | None = None
        self._drop_in: DropInFacts | None = None
        registry.register(self)

    def watch_history(self, stats: HistoryFacts) -> None:
        """Show what the keeper of history counts."""
        self._history = stats

    def watch_stream(self, stats: StreamFacts) -> None:
        """Show what the hub counts."""
        self._stream = stats

    def watch_drop_in(self, stats: DropInFacts) -> None:
        """Show what the drop-in endpoint counts."""
        self._drop_in = stats

    def describe(self) -> Iterable[Metric]:
        """The families without samples: registering reads no facts."""
        return [family.build() for family in SERVING_FAMILIES]

    def collect(self) -> Iterable[Metric]:  # type: ignore[explicit-override]  # 3.11 has no override
        """All families with the facts of this moment."""
        scrape = Scrape(SERVING_FAMILIES)
        if self._history is not None:
            history = self._history
            scrape.add("volgauge_history_candles_written_total", history.written)
            scrape.add("volgauge_history_candles_pruned_total", history.pruned)
            scrape.add("volgauge_history_candles_lost_total", history.lost)
            scrape.add("volgauge_history_failures_total", history.failed)
            scrape.add("volgauge_history_gaps_total", history.gaps)
        if self._stream is not None:
            stream = self._stream
            _collect_clients(scrape, "live", stream)
            for outcome, count in (
                ("delivered", stream.delivered),
                ("conflated", stream.conflated),
                ("refused", stream.refused),
            ):
                scrape.add("volgauge_stream_records_total", count, outcome)
        if self._drop_in is not None:
            _collect_clients(scrape, "dropin", self._drop_in)
            scrape.add("volgauge_dropin_requests_total", self._drop_in.requests)
            scrape.add("volgauge_dropin_errors_total", self._drop_in.errors)
        return scrape.metrics()


def _collect_clients(scrape: Scrape, endpoint: str, clients: ClientFacts) -> None:
    scrape.add("volgauge_stream_clients", clients.client_count, endpoint)
    scrape.add("volgauge_stream_clients_refused_total", clients.clients_refused, endpoint)
    scrape.add("volgauge_stream_clients_dropped_total", clients.clients_dropped, endpoint)
