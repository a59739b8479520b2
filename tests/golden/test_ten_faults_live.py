"""The ten injected faults while the service runs: they strike a book that was sound a second ago.

The engine is fed by events as by an adapter; every record of the five seconds after the fault is
held against the last one before it: near the truth, or openly doubtful, or null with a reason.
"""

from collections.abc import Callable
from math import nan

import pytest

from golden.book_builder import instrument
from golden.chain_sources import recorded_chain, synthetic_chain
from volgauge.domain.events import (
    ForwardMark,
    InstrumentsExpired,
    InstrumentsListed,
    MarkQuote,
)
from volgauge.domain.index import IndexValue, Source, Status
from volgauge.domain.instrument import Asset, OptionKind, Venue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules
from volgauge.offline.chain import ChainQuote
from volgauge.settings import IndexSettings

SECOND = NANOS_PER_SECOND
SYNTHETIC_AT = parse_instant("2026-03-02T08:00:00Z")
TOLERANCE = 0.05
"""Volatility points."""
MONTH_NS = 30 * 86_400 * SECOND
VENUE = Venue("test")
SOUND = {Status.OK, Status.SINGLE_VENUE}


class Live:
    """One venue's chain in a running engine."""

    def __init__(self, quotes: list[ChainQuote], at_ns: int) -> None:
        self.quotes = quotes
        self.now_ns = at_ns
        self.engine = Engine(
            IndexSettings(), source=Source.SIMULATED, version="test", venues={VENUE: VenueRules()}
        )
        self.sink = self.engine.sink(VENUE)
        slots = tuple(range(len(quotes)))
        self.sink.event(
            InstrumentsListed(
                venue=VENUE,
                received_ns=at_ns,
                slots=slots,
                instruments=tuple(instrument(q) for q in quotes),
            )
        )
        for slot in slots:
            self.quote(slot, quotes[slot].bid, quotes[slot].ask)
        self.mark(dict(enumerate(q.mark for q in quotes)))
        self.forward({q.expiry_ns: q.forward for q in quotes})
        self.clean = self.headline()
        assert self.clean.value is not None
        assert self.clean.status in SOUND

    def quote(self, slot: int, bid: float, ask: float) -> None:
        """One quote, now."""
        self.sink.quote(slot, bid, ask, 1.0, 1.0, self.now_ns, self.now_ns)

    def mark(self, prices: dict[int, float]) -> None:
        """The venue's own marks."""
        self.sink.event(
            MarkQuote(
                venue=VENUE,
                received_ns=self.now_ns,
                slots=tuple(prices),
                prices=tuple(prices.values()),
                implied_vols=(nan,) * len(prices),
                exchange_ns=self.now_ns,
            )
        )

    def pull(self, slots: list[int], *, both: bool = True) -> None:
        """Options lose their bids, or both sides."""
        for slot in slots:
            self.quote(slot, nan, nan if both else self.quotes[slot].ask)

    def forward(self, prices: dict[int, float]) -> None:
        """The venue's own forwards, by expiry."""
        for expiry_ns, price in prices.items():
            self.sink.event(
                ForwardMark(
                    venue=VENUE,
                    received_ns=self.now_ns,
                    asset=Asset("BTC"),
                    quote_currency="USD",
                    expiry_ns=expiry_ns,
                    price=price,
                    exchange_ns=self.now_ns,
                )
            )

    def expire(self, slots: list[int]) -> None:
        """These options are gone."""
        self.sink.event(
            InstrumentsExpired(venue=VENUE, received_ns=self.now_ns, slots=tuple(slots))
        )

    def headline(self) -> IndexValue:
        """The 30-day record of now."""
        self.engine.timer(self.now_ns)
        return next(
            record
            for record in self.engine.recompute(self.now_ns)
            if isinstance(record, IndexValue) and record.tenor_days == 30.0
        )

    def strike_by(self, fault: Callable[["Live"], None]) -> list[IndexValue]:
        """Let a fault happen; the records of the ten seconds after it."""
        records = []
        for step in range(11):
            self.now_ns += SECOND
            if step == 0:
                fault(self)
            records.append(self.headline())
        return records

    def near(self) -> list[int]:
        """Slots of the expiry just below 30 days."""
        last = self.now_ns + MONTH_NS
        expiry = max(q.expiry_ns for q in self.quotes if q.expiry_ns <= last)
        return [i for i, q in enumerate(self.quotes) if q.expiry_ns == expiry]

    def put(self, deviations: float) -> int:
        """A two-sided put of the near expiry, so many 40 % deviations down."""
        rows = [
            i
            for i in self.near()
            if self.quotes[i].kind is OptionKind.PUT and self.quotes[i].bid > 0.0
        ]
        first = self.quotes[rows[0]]
        years = (first.expiry_ns - self.now_ns) / (365 * 86_400e9)
        target = first.forward * (1.0 - deviations * 0.4 * years**0.5)
        return min(rows, key=lambda i: abs(self.quotes[i].strike - target))


@pytest.fixture(params=["synthetic", "recorded"])
def live(request: pytest.FixtureRequest) -> Live:
    """A whole chain, quoted and sound."""
    if request.param == "synthetic":
        return Live(synthetic_chain(SYNTHETIC_AT), SYNTHETIC_AT)
    return Live(*recorded_chain(request.getfixturevalue("test_data")))


def assert_safe(live: Live, records: list[IndexValue]) -> None:
    """Never a silent wrong number."""
    before = live.clean.value or 0.0
    for record in records:
        if record.value is None:
            assert record.reason is not None
        elif abs(record.value - before) > TOLERANCE:
            assert record.status not in SOUND
            assert record.flags or record.reason is not None


def spoil(
    deviations: float, change: Callable[[float, float], tuple[float, float]]
) -> Callable[[Live], None]:
    """A fault of one put's quote."""

    def fault(live: Live) -> None:
        slot = live.put(deviations)
        live.quote(slot, *change(live.quotes[slot].bid, live.quotes[slot].ask))

    return fault


@pytest.mark.parametrize("deviations", [0.1, 0.8, 1.6])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda _, ask: (nan, ask), id="nan"),
        pytest.param(lambda bid, ask: (ask, bid), id="crossed"),
        pytest.param(lambda bid, ask: (bid, 100.0 * ask), id="hundredfold"),
        pytest.param(lambda bid, ask: (-bid, ask), id="negative"),
    ],
)
def test_one_bad_quote_does_not_move_the_value(
    live: Live, change: Callable[[float, float], tuple[float, float]], deviations: float
) -> None:
    """Faults 1-4, a second after a sound quote of the same option."""
    for record in live.strike_by(spoil(deviations, change)):
        assert record.value is not None
        assert abs(record.value - (live.clean.value or 0.0)) <= TOLERANCE


def test_a_wild_mark_does_not_matter(live: Live) -> None:
    """Fault 5: marks never enter `value`, to the last bit."""
    slot = live.put(0.8)
    calm = Live(live.quotes, live.now_ns)
    wild = live.strike_by(lambda it: it.mark({slot: 50.0 * it.quotes[slot].mark}))
    assert [r.value for r in wild] == [r.value for r in calm.strike_by(lambda _: None)]


def test_puts_at_the_money_vanish(live: Live) -> None:
    """Fault 6: near the money every put loses its quote."""
    low, high = (live.quotes[live.put(d)].strike for d in (0.5, -0.5))
    hit = [
        i
        for i in live.near()
        if live.quotes[i].kind is OptionKind.PUT and low <= live.quotes[i].strike <= high
    ]
    assert_safe(live, live.strike_by(lambda it: it.pull(hit)))


def test_bids_of_five_puts_vanish(live: Live) -> None:
    """Fault 7."""
    rows = [i for i in live.near() if live.quotes[i].kind is OptionKind.PUT]
    place = rows.index(live.put(1.0))
    hit = rows[place - 2 : place + 3]
    assert_safe(live, live.strike_by(lambda it: it.pull(hit, both=False)))


@pytest.mark.parametrize("price", [0.0, -1.0, float("inf"), nan])
def test_a_forward_that_is_none(live: Live, price: float) -> None:
    """Fault 8: the venue states 0; the pairs carry the forward, or nothing does."""
    expiry_ns = live.quotes[live.near()[0]].expiry_ns
    assert_safe(live, live.strike_by(lambda it: it.forward({expiry_ns: price})))


def test_only_five_strikes_are_left(live: Live) -> None:
    """Fault 9: the rest of the near expiry loses its quotes."""
    near = live.near()
    middle = live.quotes[near[0]].forward
    strikes = sorted({live.quotes[i].strike for i in near}, key=lambda k: abs(k - middle))
    hit = [i for i in near if live.quotes[i].strike not in set(strikes[:10:2])]
    records = live.strike_by(lambda it: it.pull(hit))
    assert_safe(live, records)
    assert records[-1].status not in SOUND


def test_every_later_expiry_is_gone(live: Live) -> None:
    """Fault 10: nothing beyond 30 days."""
    last = live.now_ns + MONTH_NS
    hit = [i for i, q in enumerate(live.quotes) if q.expiry_ns > last]
    records = live.strike_by(lambda it: it.expire(hit))
    assert_safe(live, records)
    assert records[-1].value is None or "one_sided_term" in records[-1].flags
