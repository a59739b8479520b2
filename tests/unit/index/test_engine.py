"""From events to records: values, statuses, emission."""

from collections.abc import Sequence
from math import log, nan

import numpy as np
import pytest
from scipy.stats import norm

from volgauge.domain.events import (
    Coverage,
    FeedDown,
    FeedUp,
    ForwardQuote,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
    VenueState,
)
from volgauge.domain.index import IndexValue, Reason, Source, Status, StatusEvent, SurfaceValue
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, NANOS_PER_SECOND, NANOS_PER_YEAR
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules
from volgauge.kernels import layout as col
from volgauge.settings import IndexSettings

VENUE = Venue("somewhere")
BTC = Asset("BTC")
NOW_NS = 1_797_580_800 * NANOS_PER_SECOND
SECOND = NANOS_PER_SECOND
FORWARD = 100_000.0
VOL = 0.6
DAYS = (16, 44, 72)
STRIKES = tuple(range(50_000, 190_000, 2_500))


def coin_price(strike: float, years: float, kind: OptionKind) -> float:
    """Black-76 in the coin, written out."""
    deviation = VOL * years**0.5
    d1 = log(FORWARD / strike) / deviation + 0.5 * deviation
    d2 = d1 - deviation
    sign = 1.0 if kind is OptionKind.CALL else -1.0
    return float(sign * (norm.cdf(sign * d1) - strike / FORWARD * norm.cdf(sign * d2)))


def instruments(days: Sequence[int] = DAYS) -> tuple[Instrument, ...]:
    """A dense chain without a tick grid."""
    return tuple(
        Instrument(
            venue=VENUE,
            name=f"{day}-{strike}-{kind.value}",
            asset=BTC,
            expiry_ns=NOW_NS + day * NANOS_PER_DAY,
            strike=float(strike),
            kind=kind,
            premium=Premium.COIN,
            quote_currency="BTC",
            tick_size=1e-6,
        )
        for day in days
        for strike in STRIKES
        for kind in OptionKind
    )


LISTED = instruments()


def make_engine(*, connections: frozenset[str] = frozenset()) -> Engine:
    """One venue, stale after 3 s."""
    engine = Engine(
        IndexSettings(),
        source=Source.SIMULATED,
        version="test",
        venues={VENUE: VenueRules(stale_after_ns=3 * SECOND)},
    )
    sink = engine.sink(VENUE)
    sink.expected = connections
    sink.event(
        InstrumentsListed(
            venue=VENUE,
            received_ns=NOW_NS,
            slots=tuple(range(len(LISTED))),
            instruments=LISTED,
        )
    )
    return engine


def quote(engine: Engine, slots: Sequence[int], now_ns: int, half: float = 0.002) -> None:
    """Quote these options at their Black price, give or take a share of it."""
    for slot in slots:
        option = LISTED[slot]
        years = (option.expiry_ns - NOW_NS) / NANOS_PER_YEAR
        price = coin_price(option.strike, years, option.kind)
        bid, ask = price * (1.0 - half), price * (1.0 + half)
        engine.sink(VENUE).quote(slot, bid, ask, 1.0, 1.0, now_ns, now_ns)


def lost(connection: str, *, feeds_forwards: bool = False) -> FeedDown:
    """The loss of a connection that fed no quote."""
    return FeedDown(
        venue=VENUE,
        received_ns=NOW_NS + 2,
        connection=connection,
        slots=(),
        reason="test",
        feeds_forwards=feeds_forwards,
    )


def headline(engine: Engine, now_ns: int) -> IndexValue:
    """The newest 30-day record."""
    found = [
        record
        for record in engine.recompute(now_ns)
        if isinstance(record, IndexValue) and record.tenor_days == 30.0
    ]
    assert len(found) == 1
    return found[0]


def beat(engine: Engine, now_ns: int) -> IndexValue:
    """The record that the timer brings."""
    engine.timer(now_ns)
    return headline(engine, now_ns)


@pytest.fixture
def engine() -> Engine:
    """Quoted and computed once."""
    made = make_engine()
    quote(made, range(len(LISTED)), NOW_NS)
    return made


def test_flat_volatility_gives_its_corridor_at_every_tenor(engine: Engine) -> None:
    """60 % flat: the 5-delta strip lies a little below 60 and bid < value < ask."""
    values = [r for r in engine.recompute(NOW_NS) if isinstance(r, IndexValue)]

    by_tenor = {record.tenor_days: record for record in values}
    record = by_tenor[30.0]
    assert record.value is not None
    assert record.bid is not None
    assert record.ask is not None
    assert 57.5 < record.value < 60.5
    assert record.bid < record.value < record.ask
    assert record.strip == pytest.approx(record.value, abs=0.2)
    assert (Status.SINGLE_VENUE, ()) == (record.status, record.flags)
    assert [16, 44] == [round(e.t_years * 365) for e in record.expiries]
    assert sum(e.weight for e in record.expiries) == pytest.approx(1.0, rel=1e-12)
    assert by_tenor[180.0].reason is Reason.NO_BRACKET
    assert by_tenor[180.0].status is Status.HALTED


def test_every_recompute_of_a_touched_asset_gives_one_record(engine: Engine) -> None:
    """Ten inputs before one recompute are nine merged ticks."""
    first = headline(engine, NOW_NS)
    quote(engine, range(10), NOW_NS + NANOS_PER_MILLI)
    second = headline(engine, NOW_NS + NANOS_PER_MILLI)

    assert (1, 2) == (first.seq, second.seq)
    assert second.ticks_merged == 9
    assert second.event_ns == NOW_NS + NANOS_PER_MILLI
    assert [] == engine.recompute(NOW_NS + 2 * NANOS_PER_MILLI)


def test_other_tenors_and_the_surface_wait_for_their_turn(engine: Engine) -> None:
    """At most every 100 ms, and then only what changed."""
    engine.recompute(NOW_NS)
    quote(engine, range(10), NOW_NS + 1)
    soon = engine.recompute(NOW_NS + 50 * NANOS_PER_MILLI)
    engine.timer(NOW_NS + 120 * NANOS_PER_MILLI)
    later = engine.recompute(NOW_NS + 120 * NANOS_PER_MILLI)

    assert [30.0] == [r.tenor_days for r in soon if isinstance(r, IndexValue)]
    assert any(isinstance(record, SurfaceValue) for record in later)


def test_a_silent_market_still_beats(engine: Engine) -> None:
    """A record a heartbeat, with the event time of the last input."""
    headline(engine, NOW_NS)
    engine.timer(NOW_NS + 500 * NANOS_PER_MILLI)
    assert [] == engine.recompute(NOW_NS + 500 * NANOS_PER_MILLI)

    record = beat(engine, NOW_NS + SECOND)

    assert (NOW_NS, NOW_NS + SECOND) == (record.event_ns, record.computed_ns)


def test_a_dead_feed_walks_down_the_ladder_and_never_dates_an_old_number_anew(
    engine: Engine,
) -> None:
    """DEGRADED with the old value, STALE after 5 s, null after 60 s; then it recovers."""
    fresh = headline(engine, NOW_NS)
    held = beat(engine, NOW_NS + 4 * SECOND)
    stale = beat(engine, NOW_NS + 10 * SECOND)
    halted = beat(engine, NOW_NS + 61 * SECOND)
    quote(engine, range(len(LISTED)), NOW_NS + 62 * SECOND)
    again = headline(engine, NOW_NS + 62 * SECOND)

    assert (Status.DEGRADED, Reason.FEED_DOWN) == (held.status, held.reason)
    assert "feed_stale" in held.flags
    assert (Status.STALE, fresh.value) == (stale.status, stale.value)
    assert {fresh.event_ns} == {held.event_ns, stale.event_ns}
    assert (Status.HALTED, None) == (halted.status, halted.value)
    assert (Status.SINGLE_VENUE, NOW_NS + 62 * SECOND) == (again.status, again.event_ns)
    assert [1, 2, 3, 4, 5] == [r.seq for r in (fresh, held, stale, halted, again)]


def test_a_change_of_status_is_an_event_before_its_record(engine: Engine) -> None:
    """Both carry the same sequence number."""
    records = [r for r in engine.recompute(NOW_NS) if not isinstance(r, SurfaceValue)]

    event, record = records[0], records[1]
    assert isinstance(event, StatusEvent)
    assert (Status.WARMING, Status.SINGLE_VENUE) == (event.before, event.after)
    assert event.seq == record.seq


def test_half_a_snapshot_is_not_published() -> None:
    """WARMING until the connections are up and nearly all options were quoted."""
    engine = make_engine(connections=frozenset({"a"}))
    sink = engine.sink(VENUE)
    half = range(0, len(LISTED), 2)
    quote(engine, half, NOW_NS)
    sink.event(FeedUp(venue=VENUE, received_ns=NOW_NS, connection="a"))
    warming = headline(engine, NOW_NS)
    quote(engine, range(1, len(LISTED), 2), NOW_NS + 1)
    whole = headline(engine, NOW_NS + 1)

    assert (Status.WARMING, None) == (warming.status, warming.value)
    assert warming.reason is Reason.WARMING
    assert whole.value is not None


def test_a_lost_connection_holds_only_what_it_fed() -> None:
    """The wings' socket may fall; the headline rests on others and goes on."""
    engine = make_engine(connections=frozenset({"hot", "wings"}))
    sink = engine.sink(VENUE)
    quote(engine, range(len(LISTED)), NOW_NS)
    for name in ("hot", "wings"):
        sink.event(FeedUp(venue=VENUE, received_ns=NOW_NS, connection=name))
    before = headline(engine, NOW_NS)
    far = tuple(s for s, i in enumerate(LISTED) if i.expiry_ns == NOW_NS + 72 * NANOS_PER_DAY)
    sink.event(
        FeedDown(venue=VENUE, received_ns=NOW_NS + 1, connection="wings", slots=far, reason="test")
    )
    after = headline(engine, NOW_NS + 1)
    near = tuple(s for s in range(len(LISTED)) if s not in far)
    sink.event(
        FeedDown(venue=VENUE, received_ns=NOW_NS + 2, connection="hot", slots=near, reason="test")
    )
    down = headline(engine, NOW_NS + 2)
    sink.event(FeedUp(venue=VENUE, received_ns=NOW_NS + 3, connection="hot"))
    quote(engine, near[: len(near) // 2], NOW_NS + 3)
    half = headline(engine, NOW_NS + 3)
    quote(engine, near, NOW_NS + 4)
    back = headline(engine, NOW_NS + 4)

    assert after.value == pytest.approx(before.value, rel=1e-12)
    assert after.status is Status.SINGLE_VENUE
    assert (Status.DEGRADED, Reason.FEED_DOWN) == (down.status, down.reason)
    assert (Status.DEGRADED, Reason.FEED_DOWN) == (half.status, half.reason)
    assert back.status is Status.SINGLE_VENUE
    assert back.value == pytest.approx(before.value, rel=1e-12)


def test_options_that_are_never_quoted_are_not_waited_for_for_ever() -> None:
    """After the patience the expiry counts with what it has."""
    engine = make_engine(connections=frozenset({"a"}))
    engine.sink(VENUE).event(FeedUp(venue=VENUE, received_ns=NOW_NS, connection="a"))
    late_ns = NOW_NS + 11 * SECOND
    inner = [s for s, i in enumerate(LISTED) if 60_000 < i.strike < 170_000]
    quote(engine, inner, late_ns)

    assert headline(engine, late_ns).value is not None


def test_the_futures_forward_is_forgotten_with_its_connection(engine: Engine) -> None:
    """A forward that nobody renews must not steer the exchange's strip."""
    sink = engine.sink(VENUE)
    expiry_ns = NOW_NS + 16 * NANOS_PER_DAY
    true = headline(engine, NOW_NS)
    off = ForwardQuote(
        venue=VENUE,
        received_ns=NOW_NS + 1,
        asset=BTC,
        quote_currency="BTC",
        expiry_ns=expiry_ns,
        bid=FORWARD * 1.01,
        ask=FORWARD * 1.01,
        exchange_ns=NOW_NS,
    )
    sink.event(off)
    steered = headline(engine, NOW_NS + 1)
    sink.event(lost("idle"))
    quote(engine, [0], NOW_NS + 2)
    still = headline(engine, NOW_NS + 2)
    sink.event(lost("market", feeds_forwards=True))
    quote(engine, [0], NOW_NS + 3)
    freed = headline(engine, NOW_NS + 3)

    assert steered.expiries[0].forward == pytest.approx(FORWARD, rel=1e-3)
    assert "future_gap" in steered.flags
    assert steered.strip != true.strip
    assert still.strip == pytest.approx(steered.strip, rel=1e-9)
    assert freed.strip == pytest.approx(true.strip, rel=1e-9)


@pytest.mark.parametrize("feeds_forwards", [False, True], ids=["with quotes", "apart"])
def test_marks_are_forgotten_only_with_the_connection_of_marks(
    engine: Engine, *, feeds_forwards: bool
) -> None:
    """A connection that feeds no option and no forward takes nothing along."""
    sink = engine.sink(VENUE)
    sink.event(
        MarkQuote(
            venue=VENUE,
            received_ns=NOW_NS,
            slots=(0, 1),
            prices=(0.05, 0.06),
            implied_vols=(nan, nan),
            exchange_ns=NOW_NS,
        )
    )
    sink.event(lost("other", feeds_forwards=feeds_forwards))

    marks = sink.table.quotes[:2, col.MARK]
    np.testing.assert_array_equal(marks, [nan, nan] if feeds_forwards else [0.05, 0.06])


def test_a_locked_index_and_a_refused_subscription_degrade(engine: Engine) -> None:
    """The doubt has a name."""
    sink = engine.sink(VENUE)
    sink.event(
        VenueState(venue=VENUE, received_ns=NOW_NS, asset=BTC, locked=True, maintenance=False)
    )
    sink.event(Coverage(venue=VENUE, received_ns=NOW_NS, connection="a", requested=10, accepted=9))
    record = headline(engine, NOW_NS)

    assert record.status is Status.DEGRADED
    assert {"index_locked", "coverage"} <= set(record.flags)


def test_an_expired_option_never_contributes(engine: Engine) -> None:
    """At the very instant of expiry the expiry is gone, even before the venue says so."""
    expiry_ns = LISTED[0].expiry_ns
    engine.recompute(NOW_NS)
    quote(engine, range(len(LISTED)), expiry_ns - 1)
    before = headline(engine, expiry_ns - 1)
    quote(engine, range(len(LISTED)), expiry_ns)
    at = headline(engine, expiry_ns)
    gone = tuple(s for s, i in enumerate(LISTED) if i.expiry_ns == expiry_ns)
    engine.sink(VENUE).event(InstrumentsExpired(venue=VENUE, received_ns=expiry_ns, slots=gone))
    after = headline(engine, expiry_ns + 1)

    assert all(e.t_years > 0.0 for e in (*before.expiries, *at.expiries, *after.expiries))
    assert at.value == pytest.approx(after.value, rel=1e-12)


def test_an_absent_quote_is_not_zero(engine: Engine) -> None:
    """Withdrawn bids are counted by reason, and the number of strikes falls."""
    before = headline(engine, NOW_NS)
    slot = next(s for s, i in enumerate(LISTED) if i.strike == 90_000 and i.kind is OptionKind.PUT)
    engine.sink(VENUE).quote(slot, nan, 0.05, nan, 1.0, NOW_NS + 1, NOW_NS + 1)
    after = headline(engine, NOW_NS + 1)

    assert after.n_strikes == before.n_strikes - 1
    assert after.expiries[0].rejected["no_bid"] == 1


def test_the_input_hash_changes_with_the_input_and_only_with_it(engine: Engine) -> None:
    """The same book gives the same hash."""
    first = headline(engine, NOW_NS)
    quote(engine, [10], NOW_NS + 1, half=0.003)
    changed = headline(engine, NOW_NS + 1)
    quiet = beat(engine, NOW_NS + 2 * SECOND)

    assert len(first.input_hash) == 64
    assert first.input_hash != changed.input_hash
    assert changed.input_hash == quiet.input_hash
