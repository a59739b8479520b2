"""AsyncAPI 3.0 of what is pushed: the Redis channels, the event stream and the websocket.

Payloads are the structs that are encoded. AsyncAPI's schemas are those of draft 7, which writes
tuples otherwise than the later drafts do.
"""

from typing import Any

from volgauge import __version__
from volgauge.domain.analytics import AlertEvent, AnalyticsValue, CouplingValue
from volgauge.domain.channels import Kind, channel_names
from volgauge.domain.index import (
    FixingValue,
    IndexValue,
    StatusEvent,
    SurfaceValue,
    VenueIndexValue,
)
from volgauge.publish.dropin_params import CHANNEL
from volgauge.publish.dropin_rpc import Envelope, Notification, Volatility
from volgauge.publish.schemas import Schema, components
from volgauge.publish.shapes import Clock, RpcCall

PAYLOADS: dict[str, tuple[type, ...]] = {
    Kind.INDEX.value: (IndexValue,),
    Kind.VENUE.value: (VenueIndexValue,),
    Kind.SURFACE.value: (SurfaceValue,),
    Kind.ANALYTICS.value: (AnalyticsValue,),
    Kind.COUPLING.value: (CouplingValue,),
    Kind.EVENTS.value: (StatusEvent, FixingValue, AlertEvent),
    "clock": (Clock,),
}
"""What can come under each name of the event stream; but for `clock` also a kind of channel."""

PARAMETERS: dict[str, Schema] = {
    "prefix": {"description": "`redis.prefix`.", "default": "volgauge"},
    "asset": {"description": "Upper-case ticker; `ALL` in events of the market."},
    "tenor": {"description": "As `30d`."},
    "book": {"description": "Key of the index record's `venues`, `:` written `-`."},
}


def asyncapi() -> Schema:
    """The document."""
    every = [*(one for types in PAYLOADS.values() for one in types)]
    sockets = (RpcCall, Envelope, Notification, Volatility)
    references, schemas = components([*every, *sockets])
    payload = {
        one.__name__: reference
        for one, reference in zip([*every, *sockets], references, strict=True)
    }
    messages = {
        one.__name__: _message(one.__name__, payload[one.__name__], (one.__doc__ or "").strip())
        for one in (*every, RpcCall, Envelope)
    }
    messages["Subscription"] = _message(
        "Subscription",
        _notification(
            payload["Notification"],
            "subscription",
            {"channel": {"type": "string"}, "data": payload["Volatility"]},
        ),
        f"A new value of a channel that was subscribed to, `{CHANNEL}btc_usd`.",
    )
    messages["Heartbeat"] = _message(
        "Heartbeat",
        _notification(
            payload["Notification"],
            "heartbeat",
            {"type": {"enum": ["heartbeat", "test_request"]}},
        ),
        "After `public/set_heartbeat`; a `test_request` wants `public/test` within ten seconds.",
    )
    channels = {kind.value: _topic(kind) for kind in Kind}
    channels["stream"] = _channel(
        "/v1/stream", "http", [one.__name__ for one in every], "Server-sent events; `event:` names "
        "the kind. Only the newest of a series is sent to a slow reader; events are kept for it.",
    )  # fmt: skip
    channels["deribit"] = _channel(
        "/ws/api/v2", "websocket", ["RpcCall", "Envelope", "Subscription", "Heartbeat"],
        "JSON-RPC 2.0 as Deribit speaks it, for clients of its volatility index.",
    )  # fmt: skip
    operations = {f"push_{name}": _operation("send", name) for name in channels}
    operations["push_deribit"] = _operation("send", "deribit", "Subscription", "Heartbeat")
    operations["call_deribit"] = {
        **_operation("receive", "deribit", "RpcCall"),
        "reply": {
            "channel": {"$ref": "#/channels/deribit"},
            "messages": [{"$ref": "#/channels/deribit/messages/Envelope"}],
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "volgauge",
            "version": __version__,
            "description": "What is pushed by an open, real-time implied-volatility index.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "redis": {"host": "127.0.0.1:6379", "protocol": "redis"},
            "http": {"host": "127.0.0.1:8080", "protocol": "http"},
            "websocket": {"host": "127.0.0.1:8080", "protocol": "ws"},
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": {name: _draft_7(schema) for name, schema in schemas.items()},
        },
    }


def _topic(kind: Kind) -> Schema:
    """The Redis channel of a kind."""
    names = channel_names(
        "{prefix}",
        kind,
        "{asset}",
        "{tenor}" if kind in {Kind.INDEX, Kind.VENUE} else "",
        "{book}" if kind is Kind.VENUE else "",
    )
    text = (
        f"Redis pub/sub. The last one is kept in `{names.latest}`, earlier ones in the stream "
        f"`{names.stream}`; `prev_seq` tells whether one is missing."
    )
    channel = _channel(names.channel, "redis", [one.__name__ for one in PAYLOADS[kind.value]], text)
    channel["parameters"] = {
        name: text for name, text in PARAMETERS.items() if f"{{{name}}}" in names.channel
    }
    return channel


def _channel(address: str, server: str, messages: list[str], text: str) -> Schema:
    return {
        "address": address,
        "description": text,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }


def _operation(action: str, channel: str, *messages: str) -> Schema:
    operation: Schema = {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}
    if messages:
        operation["messages"] = [
            {"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages
        ]
    return operation


def _message(name: str, payload: Schema, text: str) -> Schema:
    return {"name": name, "summary": text.partition("\n")[0], "payload": payload}


def _notification(base: Schema, method: str, params: Schema) -> Schema:
    said = {"type": "object", "required": list(params), "properties": params}
    return {"allOf": [base, {"properties": {"method": {"const": method}, "params": said}}]}


def _draft_7(schema: Any) -> Any:  # noqa: ANN401 - a part of a JSON Schema
    """The same with tuples as draft 7 writes them."""
    if isinstance(schema, dict):
        schema = {name: _draft_7(part) for name, part in schema.items()}
        if "prefixItems" in schema:
            schema["additionalItems"] = schema.pop("items", True)
            schema["items"] = schema.pop("prefixItems")
        return schema
    if isinstance(schema, list | tuple):
        return [_draft_7(part) for part in schema]
    return schema
