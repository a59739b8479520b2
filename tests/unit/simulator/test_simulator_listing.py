"""Listed contracts follow the venue's real listings."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from volgauge.simulator import listing
from volgauge.simulator.listing import TERMS


def instant(*parts: int) -> int:
    """Nanoseconds of a UTC moment."""
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc, arg-type]


def codes(now_ns: int) -> list[str]:
    """Expiry codes alive at an instant."""
    return [listing.expiry_code(expiry.expiry_ns) for expiry in listing.list_expiries(now_ns)]


def test_expiries_equal_the_recorded_chain_of_may() -> None:
    """The 11 expiries of the chain recorded on 2026-05-26T19:27:44Z."""
    assert codes(instant(2026, 5, 26, 19, 27, 44)) == [
        "27MAY26", "28MAY26", "29MAY26", "30MAY26", "5JUN26", "12JUN26", "26JUN26", "31JUL26",
        "25SEP26", "25DEC26", "26MAR27",
    ]  # fmt: skip


def test_expiries_equal_the_recorded_listing_of_july() -> None:
    """The 11 expiries listed on 2026-07-15 before 08:00."""
    assert codes(instant(2026, 7, 15, 7)) == [
        "15JUL26", "16JUL26", "17JUL26", "18JUL26", "24JUL26", "31JUL26", "28AUG26", "25SEP26",
        "25DEC26", "26MAR27", "25JUN27",
    ]  # fmt: skip


def test_an_expiry_is_gone_at_eight_sharp() -> None:
    """At 08:00:00 UTC the day's expiry is no longer alive, a nanosecond before it is."""
    eight = instant(2026, 7, 15, 8)

    assert codes(eight - 1)[0] == "15JUL26"
    assert codes(eight)[0] == "16JUL26"


def test_another_time_of_day_moves_every_expiry() -> None:
    """With the roll at 14:23:40.5 the same days expire at that time, and roll then."""
    roll = ((14 * 60 + 23) * 60 + 40) * 10**9 + 500_000_000
    noon = instant(2026, 7, 15, 12)
    usual = [expiry.expiry_ns for expiry in listing.list_expiries(instant(2026, 7, 15, 7))]
    moved = [expiry.expiry_ns for expiry in listing.list_expiries(noon, roll)]

    assert [ns - roll for ns in moved] == [ns - 8 * 3600 * 10**9 for ns in usual]
    assert listing.next_roll_ns(noon, roll) == moved[0]
    assert listing.list_expiries(moved[0], roll)[0].expiry_ns == moved[0] + 86_400 * 10**9


@pytest.mark.parametrize("moment", [(2026, 12, 31, 12), (2028, 2, 29, 7), (2027, 1, 29, 8)])
def test_expiries_bracket_every_tenor_up_to_half_a_year(moment: tuple[int, ...]) -> None:
    """There are expiries before and after 7, 14, 30, 60, 90 and 180 days at any time of year."""
    now_ns = instant(*moment)
    days = [(expiry.expiry_ns - now_ns) / 86_400e9 for expiry in listing.list_expiries(now_ns)]

    for tenor in (7, 14, 30, 60, 90, 180):
        assert days[0] <= tenor < days[-1]
    assert all((expiry.expiry_ns // 10**9) % 86_400 == 8 * 3600
               for expiry in listing.list_expiries(now_ns))  # fmt: skip


def test_bitcoin_chain_has_the_size_of_the_real_one() -> None:
    """About 880 options (848 to 1,038 were counted in 2026)."""
    terms = TERMS["BTC"]
    expiries = listing.list_expiries(instant(2026, 5, 26, 19))

    count = sum(2 * len(listing.strike_grid(e.kind, terms.spot, terms.vol)) for e in expiries)

    assert 830 <= count <= 1_040


def test_strikes_are_denser_near_the_money() -> None:
    """Gaps at the money are smaller than in the wings."""
    strikes = sorted(listing.strike_grid("quarter", 86_000.0, 0.5))
    gaps = [high - low for low, high in pairwise(strikes)]
    at_money = min(range(len(gaps)), key=lambda place: abs(strikes[place] - 86_000.0))

    assert gaps[at_money] * 4 <= max(gaps[:2] + gaps[-2:])


@pytest.mark.parametrize(
    ("strike", "expected"),
    [
        (67_000.0, "BTC-28AUG26-67000-C"),
        (0.95, "BTC-28AUG26-0d95-C"),
        (6.1, "BTC-28AUG26-6d1-C"),
        (1.02, "BTC-28AUG26-1d02-C"),
    ],
)
def test_names_follow_the_venue(strike: float, expected: str) -> None:
    """Decimal strikes use `d`, whole ones have no point."""
    expiry_ns = instant(2026, 8, 28, 8)

    assert listing.option_name("BTC", expiry_ns, strike, is_call=True) == expected


def test_single_digit_days_have_no_leading_zero() -> None:
    """`8NOV24`, as the venue writes it."""
    assert listing.expiry_code(instant(2024, 11, 8, 8)) == "8NOV24"
