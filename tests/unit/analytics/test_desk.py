"""The desk over flat-volatility markets: what is read, when, and why something is null."""

from collections import Counter
from math import log

import msgspec
import numpy as np
import pytest

from fakes.desk_lab import NOW_NS, TICK_NS, DeskLab, alerts, couplings, readings
from fakes.nulls import unexplained
from volgauge.analytics.asset import Past
from volgauge.analytics.bars import Bar
from volgauge.analytics.desk import IDLE_NS, JOB_NS, LATE_NS, PUT_OFF_NS, SPILLOVER_SECONDS, Part
from volgauge.analytics.spillover import compute_spillover
from volgauge.domain.analytics import Edge, Lack, Rule
from volgauge.domain.index import IndexValue, SurfaceValue
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_MINUTE, NANOS_PER_SECOND
from volgauge.publish.record import encode
from volgauge.settings import AlertSettings, AnalyticsSettings

EIGHT = ("BTC", "ETH", "SOL", "XRP", "DOGE", "ADA", "BNB", "AVAX")


def test_nothing_is_due_before_the_first_record() -> None:
    """A desk that was told nothing has nothing to do."""
    lab = DeskLab({"BTC": 0.6})

    assert lab.desk.next_job(NOW_NS) is None
    assert list(lab.desk.jobs(NOW_NS)) == []


def test_flat_volatility_is_read_at_every_tenor_and_delta() -> None:
    """60 % everywhere: at the money, in the wings, forward and by interest; no skew, no slope."""
    lab = DeskLab({"BTC": 0.6})
    lab.tell("BTC", price=100_000.0, interest=10.0, volume=3.0, funding=0.0001)
    value = readings(lab.run(3.0), "BTC")[-1]

    for tenor in value.tenors:
        for name in ("atm", "put_10", "put_25", "call_25", "call_10"):
            assert getattr(tenor, name) == pytest.approx(60.0, abs=0.05), (tenor.tenor, name)
        assert tenor.risk_reversal_25 == pytest.approx(0.0, abs=0.05)
        assert tenor.butterfly_10 == pytest.approx(0.0, abs=0.05)
        assert tenor.skewness == pytest.approx(0.0, abs=0.02)
    assert [f.value for f in value.forwards] == pytest.approx([60.0] * 4, abs=0.1)
    assert value.slope == pytest.approx(0.0, abs=0.05)
    assert value.interest.value == pytest.approx(60.0, abs=0.05)
    assert value.interest.put_call_volume == pytest.approx(1.0, abs=0.5)
    assert value.regime.absolute == "dried_up"
    assert value.leverage.funding_rates == {"somewhere": 0.0001}
    assert value.value == pytest.approx(lab.index[Asset("BTC")].value, abs=1e-4)


@pytest.mark.parametrize("case", ["bare", "full", "bad_price", "halted"])
def test_every_null_has_its_reason(case: str) -> None:
    """Whatever is missing: the path of each null reading, or of what holds it, is in `missing`."""
    lab = DeskLab({"BTC": 0.6, "ETH": 0.7})
    if case != "bare":
        price = float("nan") if case == "bad_price" else 100_000.0
        lab.tell("BTC", price=price, interest=10.0, volume=3.0, funding=0.0001)
    made = lab.run(3.0)
    if case == "halted":
        lab.drop()
        made = lab.run(70.0)
    value, coupling = readings(made, "BTC")[-1], couplings(made)[-1]

    assert unexplained(value) == []
    assert unexplained(coupling) == []
    for record in (value, coupling):
        assert encode(record)


def test_a_price_that_never_came_is_told() -> None:
    """No venue tells an index price: the live realised readings say so, the surface is read."""
    value = readings(DeskLab({"BTC": 0.6}).run(3.0), "BTC")[-1]

    assert value.realized.one_second is None
    assert value.missing["realized.one_second"] is Lack.NO_INDEX_PRICE
    assert value.missing["interest.value"] is Lack.NO_OPEN_INTEREST
    assert value.tenors[2].atm is not None


def test_a_halted_asset_is_null_and_the_other_goes_on() -> None:
    """BTC is quoted no more: its readings and its pair are null for that; ETH keeps its numbers."""
    lab = DeskLab({"BTC": 0.6, "ETH": 0.7})
    lab.run(3.0)
    lab.sink.rules = msgspec.structs.replace(lab.sink.rules, stale_after_ns=None)
    lab.sink.table.clear(lab._slots[Asset("BTC")])
    lab.silent = {Asset("BTC")}
    made = lab.run(70.0)
    bitcoin, ether = readings(made, "BTC")[-1], readings(made, "ETH")[-1]
    coupling = couplings(made)[-1]

    assert bitcoin.value is None
    assert bitcoin.missing["value"] is Lack.HALTED
    assert {tenor.atm for tenor in bitcoin.tenors} == {None}
    assert bitcoin.scaling.exposure is None
    assert ether.tenors[2].atm == pytest.approx(70.0, abs=0.05)
    assert coupling.pairs[0].spread is None
    assert coupling.missing["pairs.BTC-ETH.spread"] is Lack.HALTED
    assert coupling.systemic is None


def test_every_surface_of_eight_assets_is_read_and_nobody_waits() -> None:
    """Ten surfaces a second each, told of within 50 ms; every other part comes round too."""
    lab = DeskLab(dict.fromkeys(EIGHT, 0.6))
    made = lab.run(6.0)
    last_ns = lab.now_ns - 4 * NANOS_PER_SECOND
    counts = Counter(part for at_ns, part in lab.jobs if at_ns > last_ns)

    assert counts[Part.PRICE] == pytest.approx(40, abs=5)
    for part in (Part.INTEREST, Part.REALIZED):
        assert counts[part] == pytest.approx(4 * 8, abs=8)
    assert counts[Part.ALERTS] == pytest.approx(4 * 9, abs=9)
    assert counts[Part.COUPLING] == pytest.approx(4, abs=1)
    for asset in EIGHT:
        told = np.array([v.computed_ns for v in readings(made, asset) if v.computed_ns > last_ns])
        assert len(told) == pytest.approx(40, abs=1)
        # Surfaces are published when the lab's ticks are.
        assert max((told - NOW_NS) % TICK_NS) <= 80 * NANOS_PER_MILLI


def test_a_late_look_leaves_the_ticks_their_turn_but_not_for_ever() -> None:
    """A loop that is behind for 15 ms finds nothing to do; after that, or far behind, it does."""
    lab = DeskLab({"BTC": 0.6})
    for record in lab.engine.recompute(NOW_NS + 1):
        if isinstance(record, IndexValue | SurfaceValue):
            lab.desk.take(record)
    looks = [
        lab.desk.next_job(NOW_NS + 1 + look * NANOS_PER_MILLI, late_ns=late_ns)
        for look, late_ns in (
            (0, LATE_NS + 1), (14, LATE_NS + 1), (15, LATE_NS + 1), (16, LATE_NS + 1),
            (17, LATE_NS), (18, PUT_OFF_NS),
        )
    ]  # fmt: skip

    assert [job is not None for job in looks] == [False, False, True, False, True, True]


def test_the_next_look_is_when_something_is_due() -> None:
    """Rules alone, once a second: idle looks before, then just when they are due, or at once."""
    lab = DeskLab({"BTC": 0.6}, analytics=AnalyticsSettings(enabled=False))

    assert lab.desk.pause_ns(NOW_NS) == IDLE_NS
    lab.run(2.0)
    for job in lab.desk.jobs(lab.now_ns + NANOS_PER_SECOND):
        job.run()
    due_ns = lab.now_ns + 2 * NANOS_PER_SECOND
    assert lab.desk.pause_ns(due_ns - NANOS_PER_SECOND) == IDLE_NS
    assert lab.desk.pause_ns(due_ns - 7 * NANOS_PER_MILLI) == 7 * NANOS_PER_MILLI
    assert lab.desk.pause_ns(due_ns - NANOS_PER_MILLI) == JOB_NS
    assert lab.desk.pause_ns(due_ns + NANOS_PER_SECOND) == JOB_NS


def test_two_assets_are_read_with_every_surface() -> None:
    """Ten times a second each, as the surface is published."""
    lab = DeskLab({"BTC": 0.6, "ETH": 0.7})
    lab.run(2.0)
    made = lab.run(2.0)

    for asset in ("BTC", "ETH"):
        assert len(readings(made, asset)) == pytest.approx(20, abs=2)


def test_who_is_told_the_time_rarely_gets_everything_at_once() -> None:
    """A foreign recording: once a second, all that is due."""
    lab = DeskLab({"BTC": 0.6, "ETH": 0.7})
    lab.run(2.0)
    lab.now_ns += NANOS_PER_SECOND
    lab.engine.timer(lab.now_ns)
    for record in lab.engine.recompute(lab.now_ns):
        if isinstance(record, IndexValue | SurfaceValue):
            lab.desk.take(record)
    parts: Counter[Part] = Counter()
    for job in lab.desk.jobs(lab.now_ns):
        parts[job.part] += 1
        job.run()

    assert parts == {
        Part.PRICE: 1,
        Part.COUPLING: 1,
        Part.INTEREST: 2,
        Part.REALIZED: 2,
        Part.SURFACE: 2,
        Part.ALERTS: 3,
    }


def test_numbers_rise_by_one() -> None:
    """Of each asset and of the pairs."""
    made = DeskLab({"BTC": 0.6, "ETH": 0.7}).run(3.0)

    for told in (readings(made, "BTC"), readings(made, "ETH"), couplings(made)):
        assert [record.seq for record in told] == list(range(1, len(told) + 1))
    assert len(readings(made, "BTC")) >= 20


def test_same_input_gives_same_bytes() -> None:
    """Two desks over the same events, to the byte."""

    def lines() -> list[bytes]:
        lab = DeskLab({"BTC": 0.6, "ETH": 0.7})
        lab.tell("BTC", price=100_000.0, interest=10.0)
        made = lab.run(2.0)
        lab.drop()
        return [encode(record) for record in made + lab.run(8.0)]

    first = lines()
    assert len(first) > 60
    assert first == lines()


def test_history_gives_rank_and_forecast_at_once() -> None:
    """A year of closes: rank and percentile by their definition, realised readings not null."""
    rng = np.random.default_rng(5)
    closes = 50.0 + 20.0 * rng.random(365)
    today = NOW_NS // NANOS_PER_DAY
    prices = 100_000.0 * np.exp(np.cumsum(0.02 * rng.standard_normal(366)))
    lab = DeskLab({"BTC": 0.6})
    lab.tell("BTC", price=100_000.0)
    lab.seed(
        {
            "BTC": Past(
                price_days=[
                    bar((today - 365 + day) * NANOS_PER_DAY, prices[day], prices[day + 1])
                    for day in range(365)
                ],
                index_days=[
                    ((today - 365 + day) * NANOS_PER_DAY, close) for day, close in enumerate(closes)
                ],
            )
        }
    )
    value = readings(lab.run(2.0), "BTC")[-1]
    now = value.value
    assert now is not None

    low, high = min(closes.min(), now), max(closes.max(), now)
    assert value.level.rank == pytest.approx(100.0 * (now - low) / (high - low), abs=0.01)
    assert value.level.percentile == pytest.approx(100.0 * np.mean(closes < now))
    assert value.regime.adaptive is not None
    returns = np.diff(np.log(prices))[-30:]
    deviation = 100.0 * np.sqrt(365.0) * np.std(returns, ddof=1)
    assert value.realized.close_close == pytest.approx(deviation, rel=0.03)
    assert value.realized.har is not None
    assert value.premium.ex_ante_points == pytest.approx(now - value.realized.har, abs=1e-3)
    assert value.scaling.margin_multiplier is not None


def test_history_that_comes_later_starts_the_states_anew() -> None:
    """A demo fills its past while it serves; numbers go on, and rank is there from then on."""
    lab = DeskLab({"BTC": 0.6})
    before = readings(lab.run(2.0), "BTC")[-1]
    today = NOW_NS // NANOS_PER_DAY
    days = [((today - day) * NANOS_PER_DAY, 40.0 + day) for day in range(100, 0, -1)]
    lab.seed({"BTC": Past(index_days=days)})
    after = readings(lab.run(2.0), "BTC")

    assert before.level.rank is None
    assert after[-1].level.days == 100.0
    assert after[-1].value is not None
    assert after[-1].level.rank == pytest.approx((after[-1].value - 41.0) / 0.99, abs=0.01)
    assert after[0].seq == before.seq + 1


def test_spillovers_are_told_a_fixed_time_after_their_inputs() -> None:
    """However fast the thread was: a replay, which has none, tells them at the same instant."""
    rng = np.random.default_rng(11)
    base = NOW_NS - NOW_NS % (5 * NANOS_PER_MINUTE)
    walks = 60.0 * np.exp(np.cumsum(0.003 * rng.standard_normal((2, 600)), axis=1))
    at = [base - (599 - step) * 5 * NANOS_PER_MINUTE for step in range(600)]
    lab = DeskLab({"BTC": 0.6, "ETH": 0.7})
    lab.seed(
        {
            name: Past(index_closes=list(zip(at, walk.tolist(), strict=True)))
            for name, walk in zip(("BTC", "ETH"), walks, strict=True)
        }
    )
    made = lab.run(1.0)
    frozen = lab.desk.take_frozen()
    assert frozen is not None
    lab.desk.spilled(compute_spillover(frozen))
    made += lab.run(8.0)
    told = [record for record in couplings(made) if record.spillover is not None]

    assert lab.desk.take_frozen() is None
    assert told
    age_ns = told[0].computed_ns - frozen.at_ns
    assert SPILLOVER_SECONDS <= age_ns / NANOS_PER_SECOND <= SPILLOVER_SECONDS + 1.2
    assert told[0].spillover == compute_spillover(frozen)


def test_a_lost_feed_is_one_alert_with_its_clear() -> None:
    """The connection goes, the index is stale; it comes back, and the episode is over."""
    lab = DeskLab({"BTC": 0.6})
    lab.run(3.0)
    lab.drop()
    down = alerts(lab.run(15.0))
    lab.recover()
    up = alerts(lab.run(15.0))

    raised = [alert for alert in down if alert.rule is Rule.STALE]
    cleared = [alert for alert in up if alert.rule is Rule.STALE]
    assert [alert.edge for alert in raised] == [Edge.RAISED]
    assert [alert.edge for alert in cleared] == [Edge.CLEARED]
    assert raised[0].episode == cleared[0].episode


def test_lost_coverage_is_the_market_s_alert() -> None:
    """98 of 100 subscriptions for more than ten seconds."""
    lab = DeskLab({"BTC": 0.6})
    lab.cover(98, 100)
    told = alerts(lab.run(13.0))

    assert [(a.rule, a.subject, a.asset) for a in told] == [
        (Rule.COVERAGE_LOST, "somewhere", "ALL")
    ]
    assert told[0].value == pytest.approx(0.98)


def test_alerts_live_without_analytics() -> None:
    """Disabled analytics make no record; the rules on the index still do their work."""
    lab = DeskLab({"BTC": 0.6}, analytics=AnalyticsSettings(enabled=False))
    lab.run(3.0)
    lab.drop()
    made = lab.run(15.0)

    assert {type(record).__name__ for record in made} == {"AlertEvent"}
    assert Rule.STALE in {alert.rule for alert in alerts(made)}


def test_disabled_alerts_are_silent() -> None:
    """The readings come, no event."""
    lab = DeskLab({"BTC": 0.6}, alerts=AlertSettings(enabled=False))
    lab.run(3.0)
    lab.drop()
    made = lab.run(10.0)

    assert alerts(made) == []
    assert readings(made, "BTC")


def test_coupling_sees_the_levels() -> None:
    """The spread of two flat markets is the logarithm of their ratio."""
    made = DeskLab({"BTC": 0.6, "ETH": 0.75}).run(3.0)
    pair = couplings(made)[-1].pairs[0]
    values = {name: readings(made, name)[-1].value for name in ("BTC", "ETH")}

    assert values["BTC"] is not None
    assert values["ETH"] is not None
    assert pair.spread == pytest.approx(log(values["BTC"] / values["ETH"]), abs=1e-6)


def bar(open_ns: int, opened: float, close: float) -> Bar:
    """A day that went straight."""
    return Bar(open_ns, opened, max(opened, close), min(opened, close), close)
