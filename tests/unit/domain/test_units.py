"""Instants in and out."""

import pytest

from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_SECOND,
    format_instant,
    parse_instant,
    years_between,
)

EXPIRY_NS = 1_797_580_800 * NANOS_PER_SECOND  # 2026-12-18T08:00:00Z, from `date -u -d @1797580800`


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-18T08:00:00Z",
        "2026-12-18T08:00:00",
        "2026-12-18 08:00:00+00:00",
        "2026-12-18T09:00:00+01:00",
        "1797580800",
        "1797580800000",
        "1797580800000000",
        "1797580800000000000",
        "1797580800.0",
    ],
)
def test_every_spelling_of_an_instant_is_the_same_instant(text: str) -> None:
    """ISO-8601 and epoch numbers of s, ms, us and ns agree."""
    assert parse_instant(text) == EXPIRY_NS


@pytest.mark.parametrize("nanos", [0, 100, 123_456_700, 999_999_999])
def test_formatting_keeps_every_nanosecond(nanos: int) -> None:
    """What is formatted reads back to the bit."""
    assert parse_instant(format_instant(EXPIRY_NS + nanos)) == EXPIRY_NS + nanos


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-13-01", "nan", "inf", "1e30", "2026-01-01T00:00:00.Z"]
)
def test_nonsense_is_refused(text: str) -> None:
    """Nothing is guessed from a text that is no instant."""
    with pytest.raises(ValueError, match="expected an"):
        parse_instant(text)


def test_a_year_has_365_days() -> None:
    """ACT/365 fixed, the venues' own convention."""
    assert years_between(EXPIRY_NS - 73 * NANOS_PER_DAY, EXPIRY_NS) == 0.2
