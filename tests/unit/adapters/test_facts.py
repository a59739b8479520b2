"""Volumes and perpetuals in our units: what counts, what is refused, and what it is called."""

from collections import Counter
from math import inf, isnan, nan

import pytest

from volgauge.adapters.facts import is_amount, read_number, tell_perpetual, tell_volume
from volgauge.domain.events import PerpetualState, TradedVolume
from volgauge.domain.instrument import Asset, Venue
from volgauge.index.venue import VenueRules, VenueSink

VENUE = Venue("okx")


def told(counts: Counter[str], **changes: float | None) -> PerpetualState | None:
    """A perpetual of which some is another."""
    given: dict[str, float | None] = {"rate": 0.0001, "hours": 8.0, "coins": 5.0}
    given |= changes
    return tell_perpetual(
        VENUE, Asset("BTC"), "USD", rate=given["rate"], hours=given["hours"],
        coins=given["coins"], exchange_ns=7, received_ns=9, counts=counts,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hours", "expected"), [(8.0, 0.0001), (4.0, 0.0002), (1.0, 0.0008), (24.0, 0.0001 / 3.0)]
)
def test_rates_of_any_interval_become_those_of_eight_hours(hours: float, expected: float) -> None:
    """In proportion; nothing is compounded."""
    event = told(Counter(), hours=hours)

    assert event is not None
    assert event.funding_rate == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": nan}, {"rate": inf}, {"rate": 1.5}, {"rate": -1.5}, {"hours": None},
        {"hours": 0.0}, {"hours": -8.0}, {"hours": 25.0}, {"hours": nan},
    ],
)  # fmt: skip
def test_senseless_rates_are_counted_and_not_told(changes: dict[str, float | None]) -> None:
    """The interest beside them is."""
    counts: Counter[str] = Counter()
    event = told(counts, **changes)

    assert event is not None
    assert isnan(event.funding_rate)
    assert event.open_interest == 5.0
    assert counts == {"rejected.funding": 1}


@pytest.mark.parametrize("coins", [nan, inf, -1.0, 2e15])
def test_senseless_interest_is_counted_and_not_told(coins: float) -> None:
    """The rate beside it is."""
    counts: Counter[str] = Counter()
    event = told(counts, coins=coins)

    assert event is not None
    assert isnan(event.open_interest)
    assert event.funding_rate == 0.0001
    assert counts == {"rejected.perpetual_interest": 1}


def test_what_is_not_told_is_no_error() -> None:
    """It is NaN; without anything at all there is no event."""
    counts: Counter[str] = Counter()
    rate_only, interest_only = told(counts, coins=None), told(counts, rate=None, hours=None)

    assert rate_only is not None
    assert isnan(rate_only.open_interest)
    assert interest_only is not None
    assert isnan(interest_only.funding_rate)
    assert told(counts, rate=None, coins=None) is None
    assert counts == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.0001", 0.0001), ("-5", -5.0), ("1e-8", 1e-8), ("0", 0.0), (7, 7.0), (0.5, 0.5)],
)
def test_numbers_are_read_from_text(text: str | float, value: float) -> None:
    """And from numbers."""
    assert read_number(text) == value


@pytest.mark.parametrize(
    "text", ["NaN", "inf", "1_000", " 1", ".5", "0x1", "∞", "\u0661", "--1", "1e"]
)
def test_other_spellings_are_no_numbers(text: str) -> None:
    """Whatever Python makes of them."""
    value = read_number(text)

    assert value is not None
    assert isnan(value)


@pytest.mark.parametrize("text", [None, ""])
def test_absent_number_is_none(text: str | None) -> None:
    """Not 0, and no error."""
    assert read_number(text) is None
    assert not is_amount(None)


def test_volumes_are_told_in_slot_order() -> None:
    """As every event of slots."""
    assert tell_volume(VENUE, {7: 1.5, 2: 0.0}, 9) == TradedVolume(
        venue=VENUE, received_ns=9, slots=(2, 7), amounts=(0.0, 1.5)
    )


def test_facts_do_not_keep_a_venue_alive() -> None:
    """No tick of the index, no liveness: only data that prices rest on count."""
    sink = VenueSink(VENUE, VenueRules(stale_after_ns=10), {})
    event = told(Counter())
    assert event is not None
    sink.event(event)
    sink.event(tell_volume(VENUE, {0: 1.0}, 9))

    assert sink.last_data_ns == 0
    assert not sink.is_alive(11)
