"""Episodes: one raise and one clear each."""

import math
from typing import Any

import msgspec
import pytest

from volgauge.analytics.alerts import (
    FLAP_CLEAR_SECONDS,
    FLAP_RAISES,
    FLAP_WINDOW_SECONDS,
    GONE_SECONDS,
    AlertBook,
)
from volgauge.analytics.rules import Observation
from volgauge.domain.analytics import RAISED_BELOW, AlertEvent, Edge, Rule, Severity
from volgauge.domain.index import Source
from volgauge.domain.instrument import Asset
from volgauge.settings import AlertSettings, RuleSettings, RulesSettings

SECOND = 10**9
BEGIN = 1_795_000_000 * SECOND


def book(**rules: Any) -> AlertBook:  # noqa: ANN401 - keys of RulesSettings
    """A book whose rules are the defaults but for those given."""
    return AlertBook(AlertSettings(rules=RulesSettings(**rules)), Source.SIMULATED)


def spike(value: float | None, subject: str = "BTC") -> Observation:
    """One look at the spike rule."""
    return Observation(Rule.SPIKE, subject, Asset(subject), value, "in words")


def feed(target: AlertBook, values: dict[float, float | None]) -> list[tuple[float, Edge]]:
    """Edges of spike at the given seconds."""
    return [
        (second, event.edge)
        for second, value in values.items()
        for event in target.observe([spike(value)], BEGIN + round(second * SECOND))
    ]


def test_an_episode_has_one_raise_and_one_clear() -> None:
    """However long the value stays above, and however it moves between the thresholds."""
    edges = feed(book(), dict(enumerate([0.0, 0.14, 0.15, 0.3, 0.1, 0.2, 0.051, 0.05, 0.0, 0.14])))

    assert edges == [(2, Edge.RAISED), (7, Edge.CLEARED)]


def test_both_events_tell_the_whole_episode() -> None:
    """Every field, by hand."""
    target = book()
    [raised] = target.observe([spike(0.2, "ETH")], BEGIN)
    [cleared] = target.observe([spike(0.01, "ETH")], BEGIN + 200 * SECOND)

    assert raised == AlertEvent(
        asset=Asset("ETH"), rule=Rule.SPIKE, subject="ETH", episode=f"spike:ETH:{BEGIN}",
        edge=Edge.RAISED, severity=Severity.WARNING, value=0.2, threshold=0.15,
        message="ETH: in words", raised_ns=BEGIN, computed_ns=BEGIN, source=Source.SIMULATED,
    )  # fmt: skip
    assert cleared == msgspec.structs.replace(
        raised, edge=Edge.CLEARED, value=0.01, threshold=0.05,
        message="ETH: in words; over after 3 min 20 s",
        cleared_ns=BEGIN + 200 * SECOND, computed_ns=BEGIN + 200 * SECOND,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "before", "at_raise", "at_clear"),
    [
        (Rule.PREMIUM_SIGN, [5.0, 0.0], -0.01, [0.99, 1.0]),
        (Rule.COVERAGE_LOST, [1.0, 0.99], 0.989, [0.999, 1.0]),
    ],
)
def test_rules_raised_below_are_cleared_above(
    rule: Rule, before: list[float], at_raise: float, at_clear: list[float]
) -> None:
    """Strictly below `raise_at`, and back at `clear_at`; coverage both after ten seconds."""
    target = book(
        coverage_lost=RuleSettings(raise_at=0.99, clear_at=1.0),
    )
    path = [*before, at_raise, *at_clear]
    edges = [
        [event.edge for event in target.observe(
            [Observation(rule, "x", Asset("ALL"), value, "")], BEGIN + step)]
        for step, value in enumerate(path)
    ]  # fmt: skip

    assert rule in RAISED_BELOW
    assert edges == [[], [], [Edge.RAISED], [], [Edge.CLEARED]]


def test_a_condition_must_hold_without_interruption() -> None:
    """For 10 s: a dip to the middle or a gap begins the count anew, on the way out as well."""
    target = book(spike=RuleSettings(raise_at=0.15, clear_at=0.05, for_seconds=10.0))
    path: dict[float, float | None] = {
        0: 0.2, 9.999: 0.2, 9.9995: 0.1, 10: 0.2, 19: 0.2, 19.5: None, 20: 0.2, 29.999: 0.2,
        30: 0.2, 31: 0.0, 40: 0.0, 40.5: 0.06, 41: 0.0, 50: 0.0, 50.5: None, 50.7: 0.0,
        60.699: 0.0, 60.7: 0.0, 61: 0.0,
    }  # fmt: skip

    assert feed(target, path) == [(30, Edge.RAISED), (60.7, Edge.CLEARED)]


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, -math.inf])
def test_what_cannot_be_judged_neither_raises_nor_clears(unknown: float | None) -> None:
    """Whatever stood there before."""
    target = book()
    path: dict[float, float | None] = {0: unknown, 1: 0.2, 2: unknown, 3: unknown, 4: 0.0}

    assert feed(target, path) == [(1, Edge.RAISED), (4, Edge.CLEARED)]


def test_a_subject_that_is_gone_is_cleared_after_five_minutes() -> None:
    """Other observations go on; the event says so and has neither value nor threshold."""
    target = book()
    target.observe([spike(0.2, "SOL"), spike(0.0)], BEGIN)
    limit_ns = BEGIN + GONE_SECONDS * SECOND

    assert target.observe([spike(0.0)], limit_ns - 1) == []
    [gone] = target.observe([spike(0.0)], limit_ns)
    assert (gone.subject, gone.edge, gone.episode, gone.cleared_ns) == (
        "SOL", Edge.CLEARED, f"spike:SOL:{BEGIN}", limit_ns,
    )  # fmt: skip
    assert (gone.value, gone.threshold) == (None, None)
    assert gone.message == "SOL: nothing was observed of it for 5 min; over after 5 min"
    assert target.active == ()


def test_an_unknown_value_keeps_a_subject_from_being_gone() -> None:
    """It is there, only not judged."""
    target = book()
    target.observe([spike(0.2)], BEGIN)
    for step in range(1, 20):
        assert target.observe([spike(None)], BEGIN + step * 200 * SECOND) == []

    assert [event.subject for event in target.active] == ["BTC"]


def test_a_pause_of_everything_ends_no_episode() -> None:
    """A process that slept for an hour goes on where it was, and begins counts anew."""
    slow = RuleSettings(raise_at=0.15, clear_at=0.05, for_seconds=10.0)
    target = book(spike=slow)
    feed(target, {0: 0.2, 10: 0.2})
    assert [event.subject for event in target.active] == ["BTC"]
    assert feed(target, {12: 0.0, 3612: 0.0, 3621: 0.0, 3622: 0.0}) == [(3622, Edge.CLEARED)]


def test_what_flaps_across_both_thresholds_does_not_storm() -> None:
    """An hour of a change every second: at most eight raises in any ten minutes."""
    target = book()
    edges = feed(target, {second: float(second % 2) for second in range(3600)})
    raises = [second for second, edge in edges if edge is Edge.RAISED]

    assert [edge for _, edge in edges] == [
        (Edge.RAISED, Edge.CLEARED)[place % 2] for place in range(len(edges))
    ]
    assert raises[: FLAP_RAISES + 1] == [1, 3, 5, 7]
    for first in raises:
        assert sum(first <= second < first + FLAP_WINDOW_SECONDS for second in raises) <= 8


def test_a_flapping_alert_is_cleared_after_two_minutes_of_calm() -> None:
    """The fourth raise says so; once the ten minutes are over, clears are prompt again."""
    target = book()
    quick: dict[float, float | None] = {s: 0.2 if s % 2 == 0 else 0.0 for s in range(6)}
    feed(target, quick)
    [fourth] = target.observe([spike(0.2)], BEGIN + 6 * SECOND)
    assert fourth.message == "BTC: in words; it flaps, so the end must hold for 2 min"

    calm: dict[float, float | None] = {7: 0.0, 126.9: 0.0, 127: 0.0}
    assert feed(target, calm) == [(7 + FLAP_CLEAR_SECONDS, Edge.CLEARED)]
    assert feed(target, {700: 0.2, 701: 0.0}) == [(700, Edge.RAISED), (701, Edge.CLEARED)]


def test_disabled_rules_and_disabled_alerts_are_silent() -> None:
    """One rule, or all."""
    one = book(spike=RuleSettings(enabled=False, raise_at=0.15, clear_at=0.05))
    everything = AlertBook(AlertSettings(enabled=False), Source.LIVE)
    surge = Observation(Rule.SPILLOVER_SURGE, "ALL", Asset("ALL"), 99.0, "")

    assert [event.rule for event in one.observe([spike(9.0), surge], BEGIN)] == [
        Rule.SPILLOVER_SURGE
    ]
    assert everything.observe([spike(9.0), surge], BEGIN) == []


def test_subjects_and_rules_are_apart() -> None:
    """The same subject under two rules, two subjects under one; counts and active tell."""
    target = book()
    drop = Observation(Rule.COLLAPSE, "BTC", Asset("BTC"), 40.0, "")
    target.observe([spike(0.2), spike(0.2, "ETH"), drop], BEGIN)
    target.observe([spike(0.0), spike(0.2, "ETH"), drop], BEGIN + 1)

    assert [(event.rule, event.subject) for event in target.active] == [
        (Rule.SPIKE, "ETH"), (Rule.COLLAPSE, "BTC"),
    ]  # fmt: skip
    assert {key: n for key, n in target.counts.items() if n} == {
        (Rule.SPIKE, Edge.RAISED): 2,
        (Rule.SPIKE, Edge.CLEARED): 1,
        (Rule.COLLAPSE, Edge.RAISED): 1,
    }
    assert len(target.counts) == 2 * len(Rule)


def test_a_new_process_raises_anew() -> None:
    """The episode is another: the old one ended with its process."""
    [before] = book().observe([spike(0.2)], BEGIN)
    [after] = book().observe([spike(0.2)], BEGIN + SECOND)

    assert before.episode != after.episode


def test_subjects_of_the_past_take_no_memory() -> None:
    """Ten thousand names, each seen once."""
    target = book()
    for step in range(10_000):
        target.observe([spike(0.2, f"S{step}")], BEGIN + step * 10 * SECOND)

    assert len(target._subjects) < 200
    assert len(target.active) == GONE_SECONDS // 10
