"""Encoding of records: complete, finite, one line, and as the shipped schema says."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import jsonschema
import msgspec
import pytest

from fakes.readings import alert_event, analytics_value, coupling_value
from fakes.records import (
    EXPIRY,
    fixing_value,
    index_value,
    status_event,
    surface_value,
    venue_index_value,
)
from volgauge.domain.channels import Kind
from volgauge.domain.index import (
    ExpirySurface,
    ExpiryValue,
    IndexValue,
    Status,
    SurfaceValue,
    VenueIndexValue,
)
from volgauge.domain.instrument import Venue
from volgauge.errors import PublishError
from volgauge.publish.record import (
    SCHEMA_FILES,
    Record,
    encode,
    json_schema,
    restamp,
    series_of,
    shipped_schema,
    stamp,
    topic_of,
)

EVENT = status_event(before=Status.OK, after=Status.STALE)
RECORDS: dict[str, Record] = {
    "index.json": index_value(5),
    "venue.json": venue_index_value(5),
    "surface.json": surface_value(5),
    "status.json": EVENT,
    "fixing.json": fixing_value(),
    "analytics.json": analytics_value(5),
    "coupling.json": coupling_value(5),
    "alert.json": alert_event(),
}


def float_fields(part: type[msgspec.Struct]) -> list[str]:
    """Names of the fields that may hold a float."""
    hints = get_type_hints(part)
    return [
        name for name in part.__struct_fields__ if float in (hints[name], *get_args(hints[name]))
    ]


def replaced(part: Any, **changes: Any) -> Any:  # noqa: ANN401 - any struct
    """A changed copy."""
    return msgspec.structs.replace(part, **changes)


def bad_records() -> list[Any]:
    """One record for every place where a number may stand, with NaN or infinity in it."""
    cases = []
    value, surface = index_value(5), surface_value(5)
    for bad in (math.nan, math.inf, -math.inf):
        cases += [replaced(value, **{name: bad}) for name in float_fields(IndexValue)]
        cases += [
            replaced(value, expiries=(EXPIRY, replaced(EXPIRY, **{name: bad})))
            for name in float_fields(ExpiryValue)
        ]
        venue = value.venues[Venue("deribit")]
        cases += [
            replaced(value, venues={Venue("deribit"): replaced(venue, **{name: bad})})
            for name in ("value", "weight")
        ]
        cases += [
            replaced(venue_index_value(5), **{name: bad}) for name in float_fields(VenueIndexValue)
        ]
        cases += [replaced(surface, **{name: bad}) for name in float_fields(SurfaceValue)]
        cases += [
            replaced(surface, expiries=(replaced(surface.expiries[0], **{name: bad}),))
            for name in float_fields(ExpirySurface)
        ]
        cases += [replaced(surface, term={"30d": bad}), replaced(EVENT, tenor_days=bad)]
    return cases


def spoiled(part: Any, bad: float) -> Iterator[Any]:  # noqa: ANN401 - any part of a record
    """The part once for every number inside it, that number replaced; written for no speed."""
    if isinstance(part, float):
        yield bad
    elif isinstance(part, msgspec.Struct):
        for name in part.__struct_fields__:
            for changed in spoiled(getattr(part, name), bad):
                yield replaced(part, **{name: changed})
    elif isinstance(part, tuple):
        for place, item in enumerate(part):
            for changed in spoiled(item, bad):
                yield (*part[:place], changed, *part[place + 1 :])
    elif isinstance(part, dict):
        for key, item in part.items():
            for changed in spoiled(item, bad):
                yield {**part, key: changed}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_depth_hides_a_bad_number(name: str, bad: float) -> None:
    """Every number of every record, in lists, maps and tables, one at a time."""
    cases = list(spoiled(RECORDS[name], bad))
    for record in cases:
        with pytest.raises(PublishError, match="expected a finite"):
            encode(record)

    assert len(cases) == len(re.findall(r"[:\[,]-?\d+\.\d", encode(RECORDS[name]).decode()))


def test_numbers_whose_sum_overflows_are_finite() -> None:
    """Two huge numbers are no infinity."""
    record = replaced(index_value(1), full=1.7e308, svix=1.7e308)

    assert json.loads(encode(record))["full"] == 1.7e308


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_a_record_is_one_line_of_json(record: Record) -> None:
    """No line feed inside, and every field is there."""
    line = encode(record)

    assert b"\n" not in line
    assert set(json.loads(line)) >= {"v", "seq", "prev_seq", "epoch", "source", "published_ns"}


def test_every_number_that_is_none_is_refused() -> None:
    """NaN and infinities are refused wherever they stand, never written as null."""
    cases = bad_records()
    assert len(cases) > 90
    for record in cases:
        with pytest.raises(PublishError, match="expected a finite"):
            encode(record)


def test_the_refusal_names_the_field() -> None:
    """The message tells where the bad number stands."""
    record = replaced(index_value(1), expiries=(replaced(EXPIRY, forward=math.nan),))

    with pytest.raises(PublishError, match=r"expiries\[2026-12-18T08:00:00Z\]\.forward"):
        encode(record)


@pytest.mark.parametrize("name", SCHEMA_FILES)
def test_the_shipped_schema_is_the_types(name: str) -> None:
    """The committed file says what the record types say today."""
    assert shipped_schema(name) == json_schema(SCHEMA_FILES[name])


@pytest.mark.parametrize("name", SCHEMA_FILES)
def test_what_is_encoded_is_valid_by_the_shipped_schema(name: str) -> None:
    """An independent validator accepts every kind of record, and refuses a wrong one."""
    schema = json.loads(shipped_schema(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    record = json.loads(encode(RECORDS[name]))

    assert list(validator.iter_errors(record)) == []
    assert list(validator.iter_errors({**record, "source": "guessed"})) != []


def test_a_null_value_is_written_as_null() -> None:
    """Not computable is a null with its status, and valid."""
    record = json.loads(encode(index_value(1, value=None, status=Status.HALTED)))

    assert (record["value"], record["status"]) == (None, "HALTED")


def test_stamps_leave_the_original_alone() -> None:
    """The engine's record is not changed by a sink."""
    value = index_value(7)
    stamped = stamp(value, seq=7, prev_seq=5, epoch=9, published_ns=11)

    assert (stamped.prev_seq, stamped.epoch, stamped.published_ns) == (5, 9, 11)
    assert (value.prev_seq, value.epoch, value.published_ns) == (0, 0, 0)


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
def test_restamping_changes_one_number(record: Record) -> None:
    """Only `prev_seq` differs, also when a string looks like the key."""
    if isinstance(record, IndexValue):
        record = replaced(record, flags=('"prev_seq":1,',))
    line = encode(record)

    assert json.loads(restamp(line, 41)) == {**json.loads(line), "prev_seq": 41}


def test_topics_follow_the_kind() -> None:
    """An index value is named by asset and tenor, a book's by the book too, others by asset."""
    assert topic_of(index_value(1, tenor_days=7.0)) == (Kind.INDEX, "BTC", "7d", "")
    assert topic_of(venue_index_value(1)) == (Kind.VENUE, "BTC", "30d", "okx:USD_UM")
    assert topic_of(surface_value(1, asset="ETH")) == (Kind.SURFACE, "ETH", "", "")
    assert topic_of(EVENT) == (Kind.EVENTS, "BTC", "", "")
    assert topic_of(analytics_value(1, asset="ETH")) == (Kind.ANALYTICS, "ETH", "", "")
    assert topic_of(coupling_value(1)) == (Kind.COUPLING, "ALL", "", "")
    assert topic_of(alert_event(asset="ALL")) == (Kind.EVENTS, "ALL", "", "")


def test_series_differ_where_topics_do() -> None:
    """The cheap key tells apart what the names tell apart."""
    records: list[Record] = [
        *(
            index_value(1, asset=asset, tenor_days=d)
            for asset in ("BTC", "ETH")
            for d in (7.0, 30.0)
        ),
        *(venue_index_value(1, asset=a, label=b) for a in ("BTC", "ETH") for b in ("okx", "bybit")),
        surface_value(1),
        surface_value(1, asset="ETH"),
        analytics_value(1),
        analytics_value(1, asset="ETH"),
        coupling_value(1),
    ]

    assert len({series_of(record) for record in records}) == len(records)
    assert len({topic_of(record) for record in records}) == len(records)
    assert series_of(records[4]) == series_of(replaced(records[4], seq=2, value=None))
