"""All rules together over the service's records."""

from msgspec.structs import replace

from fakes.readings import NOW_NS, analytics_value, coupling_value
from fakes.records import index_value
from volgauge.analytics.watch import Watch
from volgauge.domain.analytics import Rule
from volgauge.domain.index import Source, Status
from volgauge.settings import AlertSettings

FLAT: dict[str, float | None] = {"7d": 50.0, "30d": 51.0, "180d": 52.0}
SECOND = 10**9


def test_nothing_in_nothing_out() -> None:
    """Before the first records of all kinds."""
    watch = Watch(AlertSettings(), Source.SIMULATED)

    assert watch.observe(None, None, None, {}, NOW_NS, term=None) == []
    assert watch.book.active == ()


def test_a_calm_market_raises_nothing() -> None:
    """An hour of ordinary records of every kind."""
    watch = Watch(AlertSettings(), Source.SIMULATED)
    told = [
        watch.observe(
            index_value(1), analytics_value(1), coupling_value(1), {"deribit": 1.0},
            NOW_NS + second * SECOND, term=FLAT,
        )
        for second in range(3600)
    ]  # fmt: skip

    assert told == [[]] * 3600


def test_one_bad_hour_raises_every_rule_it_concerns() -> None:
    """A spike with an inverted term, a band at the edge, a premium below nought, refusals."""
    watch = Watch(AlertSettings(), Source.LIVE)
    calm, wild = index_value(1, value=50.0), index_value(1, value=65.0)
    analytics, coupling = analytics_value(1), coupling_value(1)
    stressed = replace(
        analytics,
        regime=replace(analytics.regime, adaptive="very_high"),
        premium=replace(analytics.premium, ex_ante_points=-4.0),
    )
    apart = replace(coupling, pairs=(replace(coupling.pairs[0], spread_z=-3.1),))
    watch.observe(calm, analytics, coupling, {"okx": 1.0}, NOW_NS, term=FLAT)
    raised = [
        event
        for second in range(1, 40)
        for event in watch.observe(
            wild, stressed, apart, {"okx": 0.5}, NOW_NS + second * SECOND, term={**FLAT, "7d": 70.0}
        )
    ]

    assert {(event.rule, event.subject) for event in raised} == {
        (Rule.SPIKE, "BTC"), (Rule.INVERSION, "BTC"), (Rule.BAND_CHANGE, "BTC"),
        (Rule.PREMIUM_SIGN, "BTC"), (Rule.DECOUPLING, "BTC-ETH"), (Rule.COVERAGE_LOST, "okx"),
    }  # fmt: skip
    assert {event.message for event in raised} == {
        "BTC: the index at 65.00 is 30.0 % above its low of 5 min",
        "BTC: the index at 7d stands +18.00 points against that at 180d",
        "BTC: the index is very high against its past year",
        "BTC: the ex-ante volatility premium is -4.00 points",
        "BTC-ETH: the z-score of the spread is -3.10",
        "okx: the venue accepted 50.0 % of the subscriptions",
    }
    assert {event.source for event in raised} == {Source.LIVE}


def test_a_stale_index_is_told_and_its_repeated_value_is_not_judged() -> None:
    """STALE repeats the last value: no collapse, no inversion, one critical alert."""
    watch = Watch(AlertSettings(), Source.SIMULATED)
    watch.observe(index_value(1, value=95.0), None, None, {}, NOW_NS, term=FLAT)
    stale = index_value(2, value=20.0, status=Status.STALE)
    events = [
        event
        for second in range(1, 60)
        for event in watch.observe(
            stale, None, None, {}, NOW_NS + second * SECOND, term={**FLAT, "7d": 99.0}
        )
    ]

    assert [(event.rule, event.severity.value) for event in events] == [(Rule.STALE, "critical")]
