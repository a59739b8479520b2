"""How a metric is declared, and how one answer to Prometheus is filled."""

import enum
from collections.abc import Iterable
from typing import assert_never

from msgspec import Struct
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.telemetry.latency import LatencyHistogram

INFO_LABELS = ("version", "methodology", "python")


class Kind(enum.Enum):
    """Prometheus type of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"


class Family(Struct, frozen=True):
    """Name, type, help sentence and labels of one metric."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def sample_labels(self) -> tuple[str, ...]:
        """Labels of a sample; an info metric has its facts for labels."""
        return INFO_LABELS if self.kind is Kind.INFO else self.labels

    def build(self) -> Metric:
        """The family without samples."""
        match self.kind:
            case Kind.GAUGE:
                return GaugeMetricFamily(self.name, self.help, labels=self.labels)
            case Kind.COUNTER:
                return CounterMetricFamily(self.name, self.help, labels=self.labels)
            case Kind.HISTOGRAM:
                return HistogramMetricFamily(self.name, self.help, labels=self.labels)
            case Kind.INFO:
                name = self.name.removesuffix("_info")
                return InfoMetricFamily(name, self.help, labels=self.labels)
        assert_never(self.kind)


class Scrape:
    """Families being filled for one answer."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = {family.name: family for family in families}
        self._metrics = {name: family.build() for name, family in self._families.items()}

    def add(self, name: str, value: float, *labels: str) -> None:
        """Add one sample."""
        self._metrics[name].add_sample(
            name, dict(zip(self._labels(name), labels, strict=True)), float(value)
        )

    def add_instant(self, name: str, instant_ns: int, *labels: str) -> None:
        """Add one timestamp; an instant that has not come yet is left out."""
        if instant_ns:
            self.add(name, instant_ns / NANOS_PER_SECOND, *labels)

    def add_histogram(self, name: str, histogram: LatencyHistogram, *labels: str) -> None:
        """Add the buckets, the count and the sum."""
        given = dict(zip(self._labels(name), labels, strict=True))
        metric = self._metrics[name]
        total = 0.0
        for bound, total in histogram.buckets():
            metric.add_sample(f"{name}_bucket", {**given, "le": bound}, total)
        metric.add_sample(f"{name}_count", given, total)
        metric.add_sample(f"{name}_sum", given, histogram.sum_ns / NANOS_PER_SECOND)

    def metrics(self) -> list[Metric]:
        """What was filled."""
        return list(self._metrics.values())

    def _labels(self, name: str) -> tuple[str, ...]:
        return self._families[name].sample_labels
