"""Every metric that is named anywhere exists, and every one that exists keeps the conventions."""

import re
from math import prod
from pathlib import Path

import pytest

from deployed import (
    ALL_FAMILIES,
    DEPLOY,
    ROOT,
    TARGET_LABELS,
    expand,
    panel_expressions,
    rules,
    samples,
)
from volgauge.domain.analytics import Edge, Rule
from volgauge.domain.index import Fixing, Reject, Source, Status
from volgauge.telemetry.analytics import MAX_SUBJECTS
from volgauge.telemetry.families import Family, Kind
from volgauge.telemetry.latency import Stage
from volgauge.telemetry.metrics import MAX_REASONS

ASSETS, VENUES, TENORS = 8, 5, 12
"""More than any venue lists; those that are implemented; the most that settings allow."""
BOUNDS = {
    "asset": ASSETS,
    "venue": VENUES,
    "tenor": TENORS,
    "pair": ASSETS * (ASSETS - 1) // 2,
    "status": len(Status),
    "source": len(Source),
    "fixing": len(Fixing),
    "rule": len(Rule),
    "edge": len(Edge),
    "stage": len(Stage),
    "subject": MAX_SUBJECTS // len(Rule),
    "event": MAX_REASONS,
    "part": 7,
    "state": 4,
    "series": 4,
    "sink": 2,
    "level": 5,
    "bucket": 5,
    "delta": 2,
    "leg": 5,
    "weighting": 3,
    "by": 2,
    "estimator": 10,
    "form": 3,
    "kind": 3,
    "scheme": 2,
    "band": 1,
    "half_life": 2,
    "outcome": 4,
    "endpoint": 2,
    "reading": 7,
}
"""How many values a label takes; of `subject` together with `rule`, of `band` at a time."""
MOST_SERIES = 600
"""Of one family: five venues, eight assets, each reason of the filters."""
UNITS = ("_points", "_ratio", "_seconds", "_bytes", "_coins", "_total", "_info")
COUNTS = {
    "volgauge_analytics_missing",
    "volgauge_comparison_pairs",
    "volgauge_feed_connections",
    "volgauge_fixing_values",
    "volgauge_index_strikes",
    "volgauge_publish_receivers",
    "volgauge_quotes_refused",
    "volgauge_stream_clients",
}
"""Plain numbers of things, named for the things."""
FLAGS = {
    "volgauge_alert_active",
    "volgauge_decoupled",
    "volgauge_feed_connected",
    "volgauge_index_status",
    "volgauge_publish_connected",
    "volgauge_ready",
    "volgauge_regime",
    "volgauge_term_inverted",
    "volgauge_venue_in",
}
"""0 or 1."""
FAMILY_CASES = [pytest.param(family, id=family.name) for family in ALL_FAMILIES]
DOCUMENTS = [ROOT / "README.md", *sorted((DEPLOY / "runbooks").glob("*.md"))]


def reasons_of(family: Family) -> int:
    """How many values `reason` takes in a family."""
    if family.name == "volgauge_quotes_refused":
        return len(Reject)
    # Readings are counted by their group: few groups can lack for any but two or three reasons.
    return 3 if family.name == "volgauge_analytics_missing" else MAX_REASONS


def test_every_metric_of_a_query_exists_with_the_labels_asked_for() -> None:
    """No panel, mark or rule can be empty for a name that nobody exports."""
    known = samples()
    recorded = [rule["record"] for rule in rules() if "record" in rule]
    unknown = []
    for expression in [*panel_expressions(), *(rule["expr"] for rule in rules())]:
        bare = expression
        for name in recorded:
            bare = bare.replace(name, "")
        for name, matchers in re.findall(
            r"\b((?:volgauge|process|python)_\w+)(?:\{([^}]*)\})?", bare
        ):
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers))
            if name not in known or not labels <= known[name] | TARGET_LABELS:
                unknown.append(f"{name}{{{matchers}}}")

    assert unknown == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_metric_of_a_document_exists(path: Path) -> None:
    """A name in a text or in a command is one, or the beginning of several."""
    known = [*samples(), *(family.name for family in ALL_FAMILIES)]
    text = path.read_text()
    named = re.findall(r"\b((?:volgauge|process)_(?:[a-z0-9_]+|\([a-z0-9_|]*\))+)", text)
    names = {name for found in named for name in expand(found)}

    unknown = [name for name in names if not any(each.startswith(name) for each in known)]

    assert unknown == []


@pytest.mark.parametrize("family", FAMILY_CASES)
def test_a_metric_has_help_and_a_legal_unit(family: Family) -> None:
    """HELP is a sentence; the name ends in a base unit, or says that it is a count or a flag."""
    assert re.fullmatch(r"(of |[A-Z0-9]).+\.", family.help.replace("\n", " "))
    assert family.name.startswith("volgauge_")
    assert (family.kind is Kind.COUNTER) == family.name.endswith("_total")
    if family.name.endswith("_ratio") or family.kind is Kind.HISTOGRAM:
        assert family.name.endswith(("_ratio", "_seconds"))
    assert family.name.endswith(UNITS) or family.name in COUNTS | FLAGS


@pytest.mark.parametrize("family", FAMILY_CASES)
def test_a_metric_has_bounded_labels(family: Family) -> None:
    """Enumerations only: never a strike, an expiry, an instrument or a text."""
    bounds = {**BOUNDS, "reason": reasons_of(family)}

    assert set(family.labels) <= bounds.keys()
    assert prod(bounds[label] for label in family.labels) <= MOST_SERIES
