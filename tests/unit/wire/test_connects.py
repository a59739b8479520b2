"""When a venue may be connected to again."""

from bisect import bisect_left

import pytest

from fakes.deribit_lab import Sink
from volgauge.adapters.base import ConnectBudget, State
from volgauge.domain.instrument import Venue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.pipeline import VENUES
from volgauge.settings import VenueSettings
from volgauge.wire.connects import ConnectPacer

BUDGET = ConnectBudget(count=3, seconds=2.0)


def test_turns_come_at_once_until_the_budget_is_used_up() -> None:
    """Three now, three in two seconds, three in four."""
    pacer = ConnectPacer(BUDGET)

    waits = [pacer.reserve(7) for _ in range(9)]

    assert waits == [0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0]


def test_turn_comes_when_the_window_has_left_the_oldest_behind() -> None:
    """The fourth waits for what is left of two seconds since the first."""
    pacer = ConnectPacer(BUDGET)
    for at_ns in (0, NANOS_PER_SECOND, NANOS_PER_SECOND):
        assert pacer.reserve(at_ns) == 0.0

    assert pacer.reserve(NANOS_PER_SECOND + NANOS_PER_SECOND // 4) == 0.75


def test_budget_comes_back_with_time() -> None:
    """After a quiet window nobody waits."""
    pacer = ConnectPacer(BUDGET)
    for _ in range(3):
        pacer.reserve(0)

    assert [pacer.reserve(2 * NANOS_PER_SECOND) for _ in range(3)] == [0.0] * 3


def test_no_window_has_more_turns_than_the_budget() -> None:
    """Attempts at uneven times for a minute; in their order, and none later than it must be."""
    pacer = ConnectPacer(BUDGET)
    asked = sorted(number**3 * 37 % 60_000 * NANOS_PER_MILLI for number in range(80))

    turns = [at_ns + round(pacer.reserve(at_ns) * NANOS_PER_SECOND) for at_ns in asked]

    assert turns == sorted(turns)
    window_ns = 2 * NANOS_PER_SECOND
    for number, turn_ns in enumerate(turns):
        assert number - bisect_left(turns, turn_ns - window_ns + 1) < BUDGET.count
        if turn_ns > asked[number]:
            assert turn_ns == turns[number - BUDGET.count] + window_ns


@pytest.mark.parametrize(
    ("venue", "limit", "seconds"),
    [("okx", 3, 1.0), ("bybit", 500, 300.0), ("binance", 300, 300.0)],
)
def test_venue_is_never_connected_to_more_often_than_it_allows(
    venue: str, limit: int, seconds: float
) -> None:
    """OKX "Connect", Bybit "Rate Limit", Binance "Connection limits"; all start at once."""
    adapter = VENUES[Venue(venue)].build(VenueSettings(), Sink())
    first = [protocol for protocol in adapter.connections() if protocol.state is not State.SPARE]
    assert adapter.connects is not None
    pacer = ConnectPacer(adapter.connects)

    turns = [pacer.reserve(0) for _ in range(2 * limit)]

    assert turns[: len(first)] == [0.0] * len(first)
    for number, turn in enumerate(turns):
        assert number + 1 - bisect_left(turns, turn - seconds) <= limit
