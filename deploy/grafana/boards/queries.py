"""PromQL, written once: every query reads the chosen job and instance and says what it keeps."""

TARGET = 'job=~"$job",instance=~"$instance"'
"""What every selector holds, so that one Prometheus can scrape many services."""
ASSET = 'asset=~"$asset"'
TENOR = 'tenor="$tenor"'
PAIR = 'pair=~".*$asset.*"'
"""Pairs in which a chosen asset stands on either side."""


def select(metric: str, *matchers: str) -> str:
    """A selector of the chosen job and instance.

    Args:
        metric: Name of a sample.
        matchers: More label matchers, `asset=~"$asset"`.
    """
    return f"{metric}{{{','.join((TARGET, *matchers))}}}"


def newest(labels: str, metric: str, *matchers: str, by: str = "max") -> str:
    """A gauge by these labels; two instances of a service show one series, not two."""
    return f"{by} by ({labels}) ({select(metric, *matchers)})"


def rate(labels: str, counter: str, *matchers: str) -> str:
    """Events a second of a counter."""
    return f"sum by ({labels}) (rate({select(counter, *matchers)}[$__rate_interval]))"


def increase(labels: str, counter: str, *matchers: str) -> str:
    """Events of a counter between two points of the picture."""
    return f"sum by ({labels}) (increase({select(counter, *matchers)}[$__rate_interval]))"


def quantile(share: float, labels: str, histogram: str) -> str:
    """A quantile of the durations in the last interval."""
    grouped = ", ".join(filter(None, (labels, "le")))
    buckets = rate(grouped, f"{histogram}_bucket")
    return f"histogram_quantile({share}, {buckets})"


def age(labels: str, metric: str, *matchers: str) -> str:
    """Seconds since a timestamp."""
    return f"time() - {newest(labels, metric, *matchers)}"


def coded(labels: str, metric: str, label: str, names: tuple[str, ...], *matchers: str) -> str:
    """Number of the member of an enumeration whose sample is 1; of several the largest.

    Args:
        labels: What the result is grouped by.
        metric: A gauge that is 1 for the member that holds.
        label: Its label with the members' names.
        names: The members, in the order of their numbers 0, 1, ...
        matchers: More label matchers.
    """
    terms = []
    for code, name in enumerate(names):
        holds = newest(labels, metric, *matchers, f'{label}="{name}"')
        terms.append(f"{holds} == 1) * 0 + {code}".replace("max by", "(max by", 1))
    # From the last to the first: `or` keeps the left side where both have a sample.
    return " or ".join(f"({term})" for term in reversed(terms))
