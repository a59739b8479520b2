"""The venues' own records: read off the headline, once a second or when a state changes."""

from msgspec.structs import replace

from fakes.records import index_value
from volgauge.domain.index import IndexValue, Status, VenueIndexValue, VenueValue
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.publish.venues import VenueReporter, VenueSide

OKX = Venue("okx")
NOW_NS = 1_795_000_000 * NANOS_PER_SECOND
TENTH_NS = NANOS_PER_SECOND // 10


class Data:
    """A hand-written feed."""

    last_data_ns = 77


class Lag:
    """A hand-written lag, 12.5 ms behind a clock that is ahead."""

    median_ns: int | None = -12_500_000


def reporter() -> VenueReporter:
    """For the 30-day index; of okx more is known."""
    return VenueReporter(30.0, {OKX: VenueSide(Data(), Lag())})


def headline(seq: int, asset: str = "BTC", **states: str) -> IndexValue:
    """A composite of books with these states; a double underscore stands for the colon."""
    venues = {
        Venue(label.replace("__", ":")): VenueValue(
            value=None if state == "down" else 52.5,
            weight=0.5 if state == "in" else 0.0,
            state=state,
        )
        for label, state in states.items()
    }
    return replace(index_value(seq, asset=asset, status=Status.OK), venues=venues)


def named(values: list[VenueIndexValue]) -> list[tuple[str, int, str]]:
    """What went out, in short."""
    return [(value.label, value.seq, value.state) for value in values]


def test_a_book_says_what_the_index_record_says_of_it() -> None:
    """Value, weight, state, number and time of the record; lag and receipt of the venue."""
    told = reporter()
    told.take(headline(5, deribit="in", okx__USD_UM="in"))
    deribit, okx = told.due(NOW_NS)

    assert okx == VenueIndexValue(
        asset=index_value(5).asset,
        tenor_days=30.0,
        venue=OKX,
        label="okx:USD_UM",
        seq=5,
        value=52.5,
        weight=0.5,
        state="in",
        composite=52.25,
        status=Status.OK,
        lag_ms=-12.5,
        data_ns=77,
        computed_ns=1_795_000_000_000_000_000,
        source=index_value(5).source,
    )
    assert (deribit.label, deribit.lag_ms, deribit.data_ns) == ("deribit", None, 0)


def test_a_book_is_told_of_once_a_second() -> None:
    """Records come at every tick; a second after the last, the newest is told."""
    told = reporter()
    told.take(headline(1, okx="in"))
    seqs = []
    for tick in range(25):
        seqs += [(tick, value.seq) for value in told.due(NOW_NS + tick * TENTH_NS)]
        told.take(headline(tick + 2, okx="in"))

    assert seqs == [(0, 1), (10, 11), (20, 21)]


def test_a_change_of_state_is_told_at_once() -> None:
    """All books of the asset: their weights have moved with it."""
    told = reporter()
    told.take(headline(1, deribit="in", okx="in"))
    told.due(NOW_NS)
    told.take(headline(2, deribit="in", okx="down"))

    changed = told.due(NOW_NS + TENTH_NS)
    assert named(changed) == [("deribit", 2, "in"), ("okx", 2, "down")]
    assert told.due(NOW_NS + 2 * TENTH_NS) == []


def test_the_same_record_is_never_told_twice() -> None:
    """Its number names a record on the channel, so there is one."""
    told = reporter()
    told.take(headline(1, okx="in"))

    assert len(told.due(NOW_NS)) == 1
    assert told.due(NOW_NS + 5 * NANOS_PER_SECOND) == []


def test_other_tenors_are_not_told() -> None:
    """The headline only."""
    told = reporter()
    told.take(replace(headline(1, okx="in"), tenor_days=7.0))

    assert told.due(NOW_NS) == []


def test_assets_take_turns() -> None:
    """Due together, they go out one a call, the one that waits longest first."""
    told = reporter()
    for asset in ("BTC", "ETH"):
        told.take(headline(1, asset, okx="in"))
    told.due(NOW_NS)
    for asset in ("BTC", "ETH"):
        told.take(headline(2, asset, okx="in"))
    turns = [[v.asset for v in told.due(NOW_NS + n * TENTH_NS)] for n in (10, 11, 12)]

    assert turns == [["BTC"], ["ETH"], []]


def test_a_book_that_is_gone_is_told_as_down() -> None:
    """Once; the channel's last word must not be `in`."""
    told = reporter()
    told.take(headline(1, deribit="in", okx="in"))
    told.due(NOW_NS)
    told.take(headline(2, deribit="in"))

    assert named(told.due(NOW_NS + TENTH_NS)) == [("deribit", 2, "in"), ("okx", 2, "down")]
    told.take(headline(3, deribit="in"))
    assert named(told.due(NOW_NS + 11 * TENTH_NS)) == [("deribit", 3, "in")]
