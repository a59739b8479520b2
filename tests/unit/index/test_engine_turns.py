"""Assets take turns: whose oldest input waits longest, one at a time."""

from volgauge.domain.events import InstrumentsListed
from volgauge.domain.index import IndexValue, Source
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules
from volgauge.settings import IndexSettings

NOW_NS = parse_instant("2026-07-01T12:00:00Z")
VENUE = Venue("deribit")
BTC, ETH = Asset("BTC"), Asset("ETH")


def make_engine() -> Engine:
    """One call of each of two assets, listed and computed."""
    engine = Engine(
        IndexSettings(), source=Source.SIMULATED, version="0", venues={VENUE: VenueRules()}
    )
    instruments = tuple(
        Instrument(
            venue=VENUE,
            name=f"{asset}-CALL",
            asset=asset,
            expiry_ns=parse_instant("2026-07-31T08:00:00Z"),
            strike=60_000.0,
            kind=OptionKind.CALL,
            premium=Premium.QUOTE,
            quote_currency="USD",
            tick_size=0.5,
        )
        for asset in (BTC, ETH)
    )
    listed = InstrumentsListed(
        venue=VENUE, received_ns=NOW_NS, slots=(0, 1), instruments=instruments
    )
    engine.sink(VENUE).event(listed)
    engine.recompute(NOW_NS)
    return engine


def write(engine: Engine, slot: int, at_ns: int) -> None:
    """A quote of one of the calls."""
    engine.sink(VENUE).quote(slot, 900.0, 1_000.0, 1.0, 1.0, at_ns, at_ns)


def test_nobody_waits_when_nothing_came() -> None:
    """There is nothing to compute."""
    assert make_engine().longest_waiting() is None


def test_oldest_input_is_computed_first() -> None:
    """Not the order of the assets, nor the newest input, nor their number."""
    engine = make_engine()
    write(engine, 1, NOW_NS + 1)
    for later in (2, 3, 4):
        write(engine, 0, NOW_NS + later)
    turns = []
    while (asset := engine.longest_waiting()) is not None:
        turns.append(asset)
        engine.recompute(NOW_NS + 5, asset)

    assert turns == [ETH, BTC]


def test_one_asset_alone_is_computed() -> None:
    """The other's inputs stay where they are, uncounted."""
    engine = make_engine()
    write(engine, 0, NOW_NS + 1)
    write(engine, 1, NOW_NS + 2)

    records = engine.recompute(NOW_NS + 3, ETH)

    assert {record.asset for record in records} == {ETH}
    assert engine.first_pending_ns == NOW_NS + 1


def test_due_asset_comes_after_those_with_inputs() -> None:
    """A heartbeat can wait for a tick."""
    engine = make_engine()
    write(engine, 1, NOW_NS + 2 * NANOS_PER_SECOND)
    engine.timer(NOW_NS + 2 * NANOS_PER_SECOND)

    assert engine.longest_waiting() == ETH
    engine.recompute(NOW_NS + 2 * NANOS_PER_SECOND, ETH)
    assert engine.longest_waiting() == BTC


def test_turns_give_the_records_of_one_recompute() -> None:
    """At one instant, asset by asset."""
    whole, turns = make_engine(), make_engine()
    at_ns = NOW_NS + 3
    for engine in (whole, turns):
        write(engine, 0, NOW_NS + 1)
        write(engine, 1, NOW_NS + 2)
    expected = whole.recompute(at_ns)
    found = []
    while (asset := turns.longest_waiting()) is not None:
        found += turns.recompute(at_ns, asset)

    assert any(isinstance(record, IndexValue) for record in expected)
    assert [repr(record) for record in found] == [repr(record) for record in expected]
