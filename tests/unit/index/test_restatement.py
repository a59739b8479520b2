"""When a published value is restated."""

import pytest
from msgspec.structs import replace

from fakes.records import index_value
from volgauge.domain.index import IndexValue
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR
from volgauge.index.restatement import restate

RECORD = index_value(17, value=52.0)
DAY_NS = RECORD.computed_ns // NANOS_PER_DAY * NANOS_PER_DAY


def corrected(value: float | None) -> IndexValue:
    """The same instant computed anew."""
    return index_value(17, value=value)


@pytest.mark.parametrize(("value", "is_restated"), [(52.19, False), (52.21, True), (51.7, True)])
def test_more_than_a_fifth_of_a_point_is_restated(value: float, *, is_restated: bool) -> None:
    """METHODOLOGY rule 21."""
    found = restate(RECORD, corrected(value))

    assert (found is not None) is is_restated
    if found is not None:
        assert (found.corrects, found.value, found.event_ns) == (17, value, RECORD.event_ns)


@pytest.mark.parametrize(("hours", "is_restated"), [(23.9, True), (24.0, False), (-0.1, False)])
def test_only_on_the_same_day(hours: float, *, is_restated: bool) -> None:
    """UTC."""
    now_ns = DAY_NS + round(hours * NANOS_PER_HOUR)

    found = restate(RECORD, corrected(60.0), now_ns)

    assert (found is not None) is is_restated
    if found is not None:
        assert found.computed_ns == now_ns


def test_a_number_that_should_not_have_been_is_withdrawn() -> None:
    """The restated record is null."""
    found = restate(RECORD, corrected(None))

    assert found is not None
    assert found.value is None


def test_a_published_null_stands() -> None:
    """Nobody relied on a number."""
    assert restate(replace(RECORD, value=None), corrected(52.0)) is None


def test_another_index_is_no_correction() -> None:
    """The caller's mistake."""
    with pytest.raises(ValueError, match="VG-BTC-30D"):
        restate(RECORD, index_value(17, tenor_days=60.0))
