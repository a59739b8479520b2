"""Records to bytes: one JSON line each, no NaN or infinity, and the JSON Schema of it all.

What a record means is said in `domain/index.py` and `domain/analytics.py`; this file only stamps,
checks and encodes.
"""

from importlib import resources
from typing import TypeAlias, assert_never

import msgspec

from volgauge.domain.analytics import MARKET, AlertEvent, AnalyticsValue, CouplingValue
from volgauge.domain.channels import Kind
from volgauge.domain.index import (
    FixingValue,
    IndexValue,
    StatusEvent,
    SurfaceValue,
    VenueIndexValue,
    tenor_label,
)
from volgauge.publish.finite import refuse_non_finite

Record: TypeAlias = (
    IndexValue
    | VenueIndexValue
    | SurfaceValue
    | AnalyticsValue
    | CouplingValue
    | StatusEvent
    | FixingValue
    | AlertEvent
)

Event: TypeAlias = StatusEvent | FixingValue | AlertEvent
EVENT_TYPES = (StatusEvent, FixingValue, AlertEvent)
"""What shares the one events channel of an asset, in order."""

SCHEMA_FILES: dict[str, type[msgspec.Struct]] = {
    "index.json": IndexValue,
    "venue.json": VenueIndexValue,
    "surface.json": SurfaceValue,
    "status.json": StatusEvent,
    "fixing.json": FixingValue,
    "analytics.json": AnalyticsValue,
    "coupling.json": CouplingValue,
    "alert.json": AlertEvent,
}
"""Shipped file (folder `schema`) of each record type."""

_PREV_SEQ = b'"prev_seq":'
_encoder = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """Encode one record as a single JSON line without a line feed.

    Raises:
        PublishError: A number is NaN or infinite; the message names the field.
    """
    refuse_non_finite(record)
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
    return type(record), getattr(record, "asset", None), getattr(record, "tenor_days", None)


def topic_of(record: Record) -> tuple[Kind, str, str, str]:
    """Kind, asset, tenor label and book (empty where there is none): what names a channel."""
    match record:
        case IndexValue():
            return Kind.INDEX, record.asset, tenor_label(record.tenor_days), ""
        case VenueIndexValue():
            return Kind.VENUE, record.asset, tenor_label(record.tenor_days), record.label
        case SurfaceValue():
            return Kind.SURFACE, record.asset, "", ""
        case AnalyticsValue():
            return Kind.ANALYTICS, record.asset, "", ""
        case CouplingValue():
            return Kind.COUPLING, MARKET, "", ""
        case StatusEvent() | FixingValue() | AlertEvent():
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
