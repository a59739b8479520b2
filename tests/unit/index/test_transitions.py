"""Through the engine: expiries come and go, quotes jump, feeds fall silent; the value does not."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import log, nan
from statistics import NormalDist

import pytest

from volgauge.domain.events import InstrumentsExpired, InstrumentsListed
from volgauge.domain.index import Fixing, FixingValue, IndexValue, Method, Reason, Source, Status
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_HOUR,
    NANOS_PER_MILLI,
    NANOS_PER_SECOND,
    NANOS_PER_YEAR,
    parse_instant,
)
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules
from volgauge.settings import IndexSettings

VENUE = Venue("somewhere")
BTC = Asset("BTC")
ROLL_NS = parse_instant("2026-11-20T08:00:00Z")
SECOND = NANOS_PER_SECOND
MILLI = NANOS_PER_MILLI
DAY = NANOS_PER_DAY
FORWARD = 100_000.0
cumulative = NormalDist().cdf
TENORS = (7.0, 14.0, 30.0, 60.0, 90.0, 180.0)
LISTED_DAYS = (1, 2, 7, 14, 21, 42, 70, 126, 217)
"""From the roll; daily, weekly, monthly, quarterly."""


def volatility(days: float) -> float:
    """An inverted term structure, steep at the short end: 90 % at two days, 55 % far out."""
    return float(0.55 + 0.35 * (2.0 / max(days, 1.0)) ** 0.5)


class Market:
    """One venue with flat smiles and a steep term structure, quoted whole whenever asked."""

    def __init__(
        self,
        now_ns: int,
        days: Iterable[float] = (0, *LISTED_DAYS),
        method: Method = Method.NATIVE,
    ) -> None:
        self.engine = Engine(
            IndexSettings(method=method),
            source=Source.SIMULATED,
            version="test",
            venues={VENUE: VenueRules(stale_after_ns=3 * SECOND)},
        )
        self.sink = self.engine.sink(VENUE)
        self.options: list[Instrument | None] = []
        self.muted: set[int] = set()
        """Expiries whose quotes are withdrawn."""
        self.level = 1.0
        for day in days:
            self.list_expiry(ROLL_NS + round(day * DAY), now_ns, listed_ns=now_ns - 30 * DAY)

    def list_expiry(self, expiry_ns: int, now_ns: int, listed_ns: int | None) -> None:
        """A new expiry, calls and puts within three deviations."""
        days = (expiry_ns - now_ns) / DAY
        reach = 3.0 * volatility(days) * max(days / 365.0, 1e-3) ** 0.5
        options = tuple(
            Instrument(
                venue=VENUE,
                name=f"{expiry_ns}-{step}-{kind.value}",
                asset=BTC,
                expiry_ns=expiry_ns,
                strike=round(FORWARD * 2.718281828 ** (reach * step / 10.0), 2),
                kind=kind,
                premium=Premium.COIN,
                quote_currency="BTC",
                tick_size=1e-7,
                listed_ns=listed_ns,
            )
            for step in range(-10, 11)
            for kind in OptionKind
        )
        slots = tuple(range(len(self.options), len(self.options) + len(options)))
        self.options.extend(options)
        self.sink.event(
            InstrumentsListed(venue=VENUE, received_ns=now_ns, slots=slots, instruments=options)
        )

    def expire(self, expiry_ns: int, now_ns: int) -> None:
        """The venue says that an expiry is gone."""
        gone = tuple(
            slot
            for slot, option in enumerate(self.options)
            if option is not None and option.expiry_ns == expiry_ns
        )
        self.sink.event(InstrumentsExpired(venue=VENUE, received_ns=now_ns, slots=gone))
        for slot in gone:
            self.options[slot] = None

    def price(self, slot: int, now_ns: int, bump: float = 0.0) -> float:
        """Black-76 in the coin."""
        option = self.options[slot]
        assert option is not None
        years = (option.expiry_ns - now_ns) / NANOS_PER_YEAR
        sigma = volatility(years * 365.0) * self.level + bump
        deviation = sigma * years**0.5
        d1 = log(FORWARD / option.strike) / deviation + 0.5 * deviation
        sign = 1.0 if option.kind is OptionKind.CALL else -1.0
        return float(
            sign
            * (
                cumulative(sign * d1)
                - option.strike / FORWARD * cumulative(sign * (d1 - deviation))
            )
        )

    def quote(self, now_ns: int, slots: Sequence[int] | None = None, bump: float = 0.0) -> None:
        """Quote options around their price; expired ones keep their last quote."""
        for slot in range(len(self.options)) if slots is None else slots:
            option = self.options[slot]
            if option is None or option.expiry_ns <= now_ns:
                continue
            price = self.price(slot, now_ns, bump)
            bid, ask = price * 0.99, price * 1.01
            if option.expiry_ns in self.muted:
                bid = ask = nan
            self.sink.quote(slot, bid, ask, 1.0, 1.0, now_ns, now_ns)

    def values(self, now_ns: int) -> dict[float, IndexValue]:
        """The records of this instant by tenor."""
        self.engine.timer(now_ns)
        return {
            record.tenor_days: record
            for record in self.engine.recompute(now_ns)
            if isinstance(record, IndexValue)
        }


def walk(
    market: Market, times_ns: Iterable[int], *, quoted: bool = True
) -> list[dict[float, IndexValue]]:
    """Records along a path of instants, the whole market quoted at each."""
    seen = []
    for now_ns in times_ns:
        if quoted:
            market.quote(now_ns)
        seen.append(market.values(now_ns))
    return seen


def breaches(path: list[dict[float, IndexValue]], seconds: float) -> list[tuple[float, float]]:
    """(tenor, step) wherever a value moved by more than the gate: max(0.02, u/4) a second."""
    found = []
    for before, after in pairwise(path):
        for tenor in TENORS:
            a, b = before.get(tenor), after.get(tenor)
            if a is None or b is None or a.value is None or b.value is None:
                continue
            assert a.u is not None
            step = abs(b.value - a.value)
            if step > max(0.02, a.u / 4.0) * max(seconds, 1.0):
                found.append((tenor, step))
    return found


def valued(path: list[dict[float, IndexValue]]) -> set[float]:
    """Tenors that had a value at the end."""
    return {tenor for tenor, record in path[-1].items() if record.value is not None}


def test_the_roll_makes_no_jump_and_no_expired_option_counts() -> None:
    """07:59:58 to 08:00:03: 42 options expire and 126 are listed at the very instant."""
    market = Market(ROLL_NS - 3600 * SECOND)
    before = walk(market, [ROLL_NS - 3600 * SECOND, ROLL_NS - 2 * SECOND, ROLL_NS - 1 * SECOND])
    last = walk(market, [ROLL_NS - MILLI])
    at = walk(market, [ROLL_NS])
    market.expire(ROLL_NS, ROLL_NS + MILLI)
    for days in (3, 28, 280):
        market.list_expiry(ROLL_NS + days * DAY, ROLL_NS + MILLI, listed_ns=ROLL_NS)
    after = walk(market, [ROLL_NS + SECOND, ROLL_NS + 2 * SECOND, ROLL_NS + 3 * SECOND])
    path = [*before[1:], *last, *at, *after]

    # At 08:00:00.000 only the headline is due: the others went out a millisecond ago.
    assert valued(path) == set(TENORS)
    assert breaches(path, 1.0) == []
    for records in path:
        for record in records.values():
            assert all(expiry.t_years > 0.0 for expiry in record.expiries)
    for record in path[-1].values():
        assert record.status is Status.SINGLE_VENUE


def test_a_new_expiry_enters_by_its_age_without_a_jump() -> None:
    """One second at a time around the first hour, a minute at a time to the fourth."""
    market = Market(ROLL_NS - 120 * SECOND)
    walk(market, [ROLL_NS - 120 * SECOND, ROLL_NS])
    market.list_expiry(ROLL_NS + 28 * DAY, ROLL_NS, listed_ns=ROLL_NS)
    hour = ROLL_NS + NANOS_PER_HOUR
    entering = walk(market, [hour + second * SECOND for second in range(-3, 6)])
    middle = walk(market, [hour + minute * 60 * SECOND for minute in range(1, 181, 15)])
    whole = walk(market, [hour + 3 * NANOS_PER_HOUR + second * SECOND for second in range(3)])

    assert breaches(entering, 1.0) == []
    assert breaches(middle, 15 * 60.0) == []
    assert breaches(whole, 1.0) == []
    new = "2026-12-18T08:00:00Z"
    assert new not in {e.expiry for e in entering[0][30.0].expiries}
    assert "blended" in middle[0][30.0].flags
    shares = {e.expiry: e.share for e in middle[6][30.0].expiries}
    assert shares[new] == pytest.approx((91 / 60) / 3.0, rel=1e-9)
    assert {e.expiry: e.share for e in whole[-1][30.0].expiries}[new] == 1.0
    assert whole[-1][30.0].flags == ()


def test_an_expiry_that_reaches_two_days_leaves_without_a_jump() -> None:
    """Seven-day index, steep and inverted term structure, nothing else on the near side."""
    start_ns = ROLL_NS + 5 * DAY - NANOS_PER_HOUR - 60 * SECOND
    market = Market(start_ns, days=(7, 14, 21))
    path = walk(market, [start_ns + second * SECOND for second in range(0, 3720, 20)])

    assert breaches(path, 20.0) == []
    assert len(path[0][7.0].expiries) == 2
    assert len(path[-1][7.0].expiries) == 1
    assert path[-1][7.0].value is not None
    assert path[-1][7.0].status is Status.DEGRADED


@pytest.mark.parametrize("day", [21, 42])
def test_a_bracket_expiry_whose_quotes_are_pulled_leaves_without_a_jump(day: int) -> None:
    """It is carried by its neighbours while its share runs down; then they stand alone."""
    start_ns = ROLL_NS + SECOND
    market = Market(start_ns, days=LISTED_DAYS)
    quiet = walk(market, [start_ns, start_ns + 61 * SECOND])
    market.muted = {ROLL_NS + day * DAY}
    pulled = walk(market, [start_ns + second * SECOND for second in range(62, 140)])
    market.muted = set()
    back = walk(market, [start_ns + second * SECOND for second in range(140, 240)])

    assert breaches([quiet[-1], *pulled, *back], 1.0) == []
    assert all(record.value is not None for records in pulled for record in records.values())
    assert {"carried", "unqualified"} <= set(pulled[0][30.0].flags)
    assert pulled[0][30.0].status is Status.DEGRADED
    assert "skipped_expiry" in pulled[-1][30.0].flags
    assert back[-1][30.0].status is Status.SINGLE_VENUE
    assert back[-1][30.0].flags == ()


def test_the_record_reproduces_a_value_that_is_blended_and_carried() -> None:
    """Weights times the variances that were used; the share says how far each is in."""
    start_ns = ROLL_NS + SECOND
    market = Market(start_ns, days=LISTED_DAYS)
    walk(market, [start_ns, start_ns + 61 * SECOND])
    market.muted = {ROLL_NS + 42 * DAY}
    record = walk(market, [start_ns + second * SECOND for second in range(62, 100)])[-1][30.0]

    assert {"blended", "carried"} <= set(record.flags)
    assert len(record.expiries) == 3
    shares = [expiry.share for expiry in record.expiries]
    assert shares == pytest.approx([1.0, 1.0 - 32.0 / 60.0, 1.0], abs=1e-9)
    used = 0.0
    for expiry in record.expiries:
        variance = expiry.pooled_variance or expiry.total_variance
        assert variance is not None
        used += expiry.weight * variance
    assert record.value == pytest.approx(100.0 * (used * 365.0 / 30.0) ** 0.5, rel=1e-13)


def test_a_jump_of_two_strikes_waits_a_second_at_most() -> None:
    """GUARD with the last value and its own time; the refused number stands beside it.

    By the exchange's rule: the native one does not let two quotes move it that far.
    """
    start_ns = ROLL_NS + SECOND
    market = Market(start_ns, days=(21, 42), method=Method.DVOL)
    fair = walk(market, [start_ns, start_ns + 61 * SECOND])[-1][30.0]
    now_ns = start_ns + 61 * SECOND + 10 * MILLI
    near = [s for day in (21, 42) for s in near_money(market, day)]
    market.quote(now_ns, near, bump=0.4)
    held = [market.values(now_ns)[30.0]]
    for tenth in range(1, 11):
        held.append(market.values(now_ns + tenth * 100 * MILLI).get(30.0) or held[-1])
    guarded = [record for record in held if record.status is Status.GUARD]

    assert fair.value is not None
    assert guarded
    assert guarded[0].value == fair.value
    assert guarded[0].event_ns == fair.event_ns
    assert guarded[0].candidate is not None
    assert abs(guarded[0].candidate / fair.value - 1.0) > 0.02
    assert guarded[-1].computed_ns - now_ns < SECOND
    assert held[-1].status is not Status.GUARD
    assert held[-1].value == pytest.approx(guarded[0].candidate, rel=1e-6)


def near_money(market: Market, day: int) -> list[int]:
    """Both legs of the strike at the money."""
    expiry_ns = ROLL_NS + day * DAY
    return [
        slot
        for slot, option in enumerate(market.options)
        if option is not None and option.expiry_ns == expiry_ns and option.strike == FORWARD
    ]


def test_a_jump_of_the_whole_market_passes_at_once() -> None:
    """+10 % volatility everywhere in one recompute."""
    start_ns = ROLL_NS + SECOND
    market = Market(start_ns, days=(21, 42))
    walk(market, [start_ns, start_ns + 61 * SECOND])
    market.level = 1.1
    record = walk(market, [start_ns + 61 * SECOND + 10 * MILLI])[-1][30.0]

    assert record.status is Status.SINGLE_VENUE
    assert record.candidate is None


def test_a_stale_record_shows_what_the_dead_quotes_would_say() -> None:
    """`candidate` is the refused number."""
    start_ns = ROLL_NS + SECOND
    market = Market(start_ns, days=(21, 42))
    walk(market, [start_ns])
    stale = walk(market, [start_ns + s * SECOND for s in range(1, 9)], quoted=False)[-1][30.0]

    assert (Status.STALE, Reason.FEED_DOWN) == (stale.status, stale.reason)
    assert stale.candidate == pytest.approx(stale.value, rel=1e-3)
    assert stale.event_ns == start_ns
    assert stale.quality == 0.0


def test_a_new_strike_does_not_interrupt_its_expiry() -> None:
    """The expiry goes on while the strike waits for its first quote."""
    start_ns = ROLL_NS + SECOND
    market = Market(start_ns, days=(21, 42))
    market.sink.expected = frozenset({"a"})
    market.sink.connections_up = {"a"}
    before = walk(market, [start_ns])[-1][30.0]
    option = market.options[0]
    assert option is not None
    market.sink.event(
        InstrumentsListed(
            venue=VENUE,
            received_ns=start_ns + SECOND,
            slots=(len(market.options),),
            instruments=(
                Instrument(
                    venue=VENUE,
                    name="new",
                    asset=BTC,
                    expiry_ns=option.expiry_ns,
                    strike=99_000.0,
                    kind=OptionKind.PUT,
                    premium=Premium.COIN,
                    quote_currency="BTC",
                    tick_size=1e-7,
                ),
            ),
        )
    )
    after = walk(market, [start_ns + SECOND])[-1][30.0]

    assert after.status is before.status is Status.SINGLE_VENUE
    assert after.value == pytest.approx(before.value, abs=0.02)


def test_the_fixing_comes_at_its_instant_as_an_event_of_every_tenor() -> None:
    """Half an hour of seconds: the medians are those of the published values."""
    market = Market(ROLL_NS - 1830 * SECOND, days=(21, 42))
    published: dict[int, float] = {}
    fixed: list[FixingValue] = []
    for second in range(-1830, 2):
        now_ns = ROLL_NS + second * SECOND
        market.level = 1.0 + 0.0001 * second
        if second % 30 == 0:
            market.quote(now_ns)
        else:
            market.quote(now_ns, [0])
        market.engine.timer(now_ns)
        for record in market.engine.recompute(now_ns):
            if isinstance(record, FixingValue):
                fixed.append(record)
            elif isinstance(record, IndexValue) and record.tenor_days == 30.0:
                assert record.value is not None
                published[second] = record.value
    by_tenor = {record.tenor_days: record for record in fixed}
    record = by_tenor[30.0]
    intervals = [
        sorted(published[s] for s in range(-1800 + 300 * i, -1500 + 300 * i)) for i in range(6)
    ]
    medians = [0.5 * (interval[149] + interval[150]) for interval in intervals]

    assert set(by_tenor) == set(TENORS)
    assert record.name is Fixing.UTC_0800
    assert record.n_values == 1800
    assert record.medians == pytest.approx(medians, rel=1e-12)
    assert record.value == pytest.approx(sum(medians) / 6.0, rel=1e-12)
    assert (record.begin_ns, record.end_ns) == (ROLL_NS - 1800 * SECOND, ROLL_NS)
    assert by_tenor[180.0].value is None
    assert by_tenor[180.0].reason is Reason.TOO_FEW_VALUES


def test_smoothed_waits_for_two_minutes_of_strips() -> None:
    """Null until 120 seconds had a value; constant quotes give the strip itself."""
    market = Market(ROLL_NS + SECOND, days=(21, 42))
    path = walk(market, [ROLL_NS + second * SECOND for second in range(1, 3)])
    for second in range(3, 124):
        market.quote(ROLL_NS + second * SECOND, [0])
        path.append(market.values(ROLL_NS + second * SECOND))
    smoothed = [records[30.0].smoothed for records in path]

    assert smoothed[:120] == [None] * 120
    assert smoothed[-1] == pytest.approx(path[-1][30.0].strip, abs=0.05)


def test_two_replays_of_the_same_instants_give_the_same_records() -> None:
    """All that has a memory moves by the instants alone."""

    def play() -> list[dict[float, IndexValue]]:
        start_ns = ROLL_NS + SECOND
        market = Market(start_ns, days=LISTED_DAYS)
        path = walk(market, [start_ns, start_ns + 61 * SECOND])
        market.muted = {ROLL_NS + 21 * DAY}
        return path + walk(market, [start_ns + second * SECOND for second in range(62, 80)])

    assert play() == play()
