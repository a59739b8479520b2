"""Records to bytes: one JSON line each, no NaN or infinity, and the JSON Schema of it all.

What a record means is said in `domain/index.py`; this file only stamps, checks and encodes.
"""

from collections.abc import Callable
from functools import cache
from importlib import resources
from operator import attrgetter
from typing import Any, TypeAlias, assert_never, get_args, get_type_hints

import msgspec

from volgauge.domain.channels import Kind
from volgauge.domain.index import (
    FixingValue,
    IndexValue,
    StatusEvent,
    SurfaceValue,
    VenueIndexValue,
    tenor_label,
)
from volgauge.errors import PublishError

Record: TypeAlias = IndexValue | VenueIndexValue | SurfaceValue | StatusEvent | FixingValue

EVENT_TYPES = (StatusEvent, FixingValue)
"""What shares the one events channel of an asset, in order."""

SCHEMA_FILES: dict[str, type[msgspec.Struct]] = {
    "index.json": IndexValue,
    "venue.json": VenueIndexValue,
    "surface.json": SurfaceValue,
    "status.json": StatusEvent,
    "fixing.json": FixingValue,
}
"""Shipped file (folder `schema`) of each record type."""

_PREV_SEQ = b'"prev_seq":'
_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """Encode one record as a single JSON line without a line feed.

    The encoder itself would write NaN and infinities as null, a silent "not computable";
    so every number is looked at first.

    Raises:
        PublishError: A number is NaN or infinite; the message names the field.
    """
    _refuse_non_finite(record)
    return _encoder.encode(record)


def stamp(record: Record, *, seq: int, prev_seq: int, epoch: int, published_ns: int) -> Record:
    """Set what only the sink knows.

    Args:
        record: As the engine made it; left alone.
        seq: Its own number, or for events the sink's.
        prev_seq: Number of the record handed to this sink before.
        epoch: Of this publisher.
        published_ns: Now, UTC.
    """
    return msgspec.structs.replace(
        record, seq=seq, prev_seq=prev_seq, epoch=epoch, published_ns=published_ns
    )


def restamp(line: bytes, prev_seq: int) -> bytes:
    """Replace `prev_seq` in an encoded record, for a client that was skipped some.

    No string value can hold the searched bytes: a quote inside a JSON string is escaped.
    """
    head, key, tail = line.partition(_PREV_SEQ)
    _, comma, rest = tail.partition(b",")
    return b"%b%b%d%b%b" % (head, key, prev_seq, comma, rest)


def series_of(record: Record) -> tuple[object, ...]:
    """What tells one series of records from another; cheaper than `topic_of`."""
    if type(record) is VenueIndexValue:
        return VenueIndexValue, record.asset, record.tenor_days, record.label
    return type(record), record.asset, getattr(record, "tenor_days", None)


def topic_of(record: Record) -> tuple[Kind, str, str, str]:
    """Kind, asset, tenor label and book (empty where there is none): what names a channel."""
    match record:
        case IndexValue():
            return Kind.INDEX, record.asset, tenor_label(record.tenor_days), ""
        case VenueIndexValue():
            return Kind.VENUE, record.asset, tenor_label(record.tenor_days), record.label
        case SurfaceValue():
            return Kind.SURFACE, record.asset, "", ""
        case StatusEvent() | FixingValue():
            return Kind.EVENTS, record.asset, "", ""
        case _:
            assert_never(record)


def json_schema(record_type: type[msgspec.Struct]) -> bytes:
    """Generate the JSON Schema (2020-12) of a record type, indented, ending in a line feed."""
    schema = msgspec.json.schema(record_type)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n"


def shipped_schema(name: str) -> bytes:
    """Read a schema file of the package; `name` is a key of SCHEMA_FILES."""
    return resources.files("volgauge.publish").joinpath("schema", name).read_bytes()


def _refuse_non_finite(record: Record) -> None:
    _check(record, "")
    match record:
        case IndexValue():
            for expiry in record.expiries:
                _check(expiry, f"expiries[{expiry.expiry}].")
            for name, venue in record.venues.items():
                _check(venue, f"venues[{name}].")
        case SurfaceValue():
            for row in record.expiries:
                _check(row, f"expiries[{row.expiry}].")
            for tenor, points in record.term.items():
                _refuse(points, f"term[{tenor}]")
        case FixingValue():
            for place, median in enumerate(record.medians):
                _refuse(median, f"medians[{place}]")
        case VenueIndexValue() | StatusEvent():
            pass
        case _:
            assert_never(record)


def _check(part: msgspec.Struct, where: str) -> None:
    names, read = _float_fields(type(part))
    for name, number in zip(names, read(part), strict=True):
        # Written out, not called: this runs for every number of every record.
        if number is not None and number - number != 0.0:
            _refuse(number, f"{where}{name}")


def _refuse(number: float | None, name: str) -> None:
    # x - x is 0 for every finite x and NaN otherwise: one test for NaN and both infinities.
    if number is not None and number - number != 0.0:
        raise PublishError(f"expected a finite {name}, received {number}")


@cache
def _float_fields(part: type[msgspec.Struct]) -> tuple[tuple[str, ...], Callable[[Any], Any]]:
    """Names of the float fields and one getter for all of them."""
    hints = get_type_hints(part)
    names = tuple(n for n in part.__struct_fields__ if float in (hints[n], *get_args(hints[n])))
    if len(names) == 1:
        only = attrgetter(names[0])
        return names, lambda value: (only(value),)
    return names, attrgetter(*names)
