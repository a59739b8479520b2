"""One look at a service's /metrics, for benchmarks that watch it."""

import math
import re
import time
import urllib.request
from collections import defaultdict

from msgspec import Struct

from . import measure
from .processes import Child

LINE = re.compile(
    r"^(volgauge_\w+|process_resident_memory_bytes)(?:\{(.*)\})? (\S+)$", re.MULTILINE
)
LABEL = re.compile(r'(\w+)="([^"]*)"')


class Seen(Struct, frozen=True):
    """One look at /metrics."""

    at: float
    cpu_ns: int
    """Of the service's process."""
    samples: dict[str, list[tuple[dict[str, str], float]]]

    def total(self, name: str, **labels: str) -> float:
        """Sum over the series that bear these labels."""
        return sum(
            value
            for found, value in self.samples.get(name, ())
            if all(found.get(label) == word for label, word in labels.items())
        )

    def by(self, label: str, name: str) -> dict[str, float]:
        """Sums by the values of a label."""
        sums: defaultdict[str, float] = defaultdict(float)
        for found, value in self.samples.get(name, ()):
            sums[found[label]] += value
        return dict(sums)


def look_at(base: str, service: Child) -> Seen:
    """Ask the service, which listens at `base`."""
    with urllib.request.urlopen(f"{base}/metrics", timeout=10.0) as answer:  # noqa: S310 - ours
        text = answer.read().decode()
    samples: defaultdict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for name, labels, number in LINE.findall(text):
        samples[name].append((dict(LABEL.findall(labels)), float(number)))
    return Seen(time.monotonic(), measure.cpu_ns(service.pid), dict(samples))


def latencies_ms(first: Seen, last: Seen, *shares: float) -> list[float]:
    """Upper bounds, in ms, of the buckets in which these shares of all recomputes are."""
    name = "volgauge_tick_to_publish_seconds_bucket"
    before, after = first.by("le", name), last.by("le", name)
    counts = {
        math.inf if bound == "+Inf" else float(bound): count - before.get(bound, 0.0)
        for bound, count in after.items()
    }
    total = counts[math.inf]
    return [
        1e3 * min(bound for bound, count in counts.items() if count >= share * total)
        for share in shares
    ]
