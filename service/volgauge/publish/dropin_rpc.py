"""JSON-RPC 2.0 as Deribit speaks it: frames to requests, results and errors to envelopes.

No I/O and no clock. Every frame gives a Request or an RpcError; error codes are those that
Deribit documents (https://docs.deribit.com, "JSON-RPC" and "RPC error codes").
"""

from math import isfinite
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET, Struct, UnsetType

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
TOO_MANY_REQUESTS: Final = 10028
BAD_REQUEST: Final = 11050
NOT_FOUND: Final = 13020
UNAVAILABLE: Final = 13028

MAX_FRAME_BYTES = 32_768
"""Deribit's own limit of an inbound message."""

MAX_ID = 2**63
"""A whole number beyond it could not be sent back."""

RpcId: TypeAlias = int | float | str | UnsetType | None
"""As the client sent it; UNSET is left out of the answer, as Deribit does."""


class RpcError(Exception):
    """A request that is answered with an error object."""

    def __init__(
        self,
        code: int,
        message: str,
        data: dict[str, str] | None = None,
        *,
        request_id: RpcId = UNSET,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.request_id = request_id


class Request(Struct, frozen=True):
    """One call."""

    id: RpcId
    method: str
    params: dict[str, Any]


class ErrorBody(Struct, frozen=True, omit_defaults=True):
    """The `error` object."""

    code: int
    message: str
    data: dict[str, str] | None = None
    """`param` and `reason` of a refused parameter, `reason` alone otherwise."""


class Envelope(Struct, frozen=True, kw_only=True, rename={
    "us_in": "usIn", "us_out": "usOut", "us_diff": "usDiff",
}):  # fmt: skip
    """One answer: `result` or `error`."""

    jsonrpc: str = "2.0"
    id: RpcId = UNSET
    result: Any = UNSET
    error: ErrorBody | UnsetType = UNSET
    us_in: int
    """Microseconds since 1970-01-01 UTC."""
    us_out: int
    us_diff: int
    testnet: bool
    """True for whatever is not computed from live markets."""


class Params(Struct, frozen=True, omit_defaults=True):
    """What a notification says."""

    type: str | None = None
    channel: str | None = None
    data: Any = None


class Notification(Struct, frozen=True, kw_only=True):
    """A message that answers nothing."""

    jsonrpc: str = "2.0"
    method: str
    params: Params


class Volatility(Struct, frozen=True):
    """What `deribit_volatility_index.{index_name}` says."""

    volatility: float
    """Volatility points."""
    timestamp: int
    """When it was computed, milliseconds since 1970-01-01 UTC."""
    index_name: str


def parse(frame: bytes) -> Request:
    """Read one frame.

    Raises:
        RpcError: It is no request; `request_id` is that of the frame as far as it has one.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise RpcError(INVALID_REQUEST, "request entity too large")
    try:
        tree = msgspec.json.decode(frame)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RpcError(PARSE_ERROR, "Parse error", {"reason": "invalid json"}) from error
    if not isinstance(tree, dict):
        raise _refused("expected one object, no batch")
    request_id = tree.get("id", UNSET)
    if not _is_id(request_id):
        raise _refused("id: expected a number or a string")
    if tree.get("jsonrpc") != "2.0":
        raise _refused('jsonrpc: expected "2.0"', request_id)
    method = tree.get("method")
    if not isinstance(method, str):
        raise _refused("method: expected a string", request_id)
    params = tree.get("params")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise invalid("params", "must be an object", request_id)
    return Request(request_id, method, params)


def invalid(param: str, reason: str, request_id: RpcId = UNSET) -> RpcError:
    """The error of a parameter."""
    data = {"reason": reason, "param": param}
    return RpcError(INVALID_PARAMS, "Invalid params", data, request_id=request_id)


def success(request_id: RpcId, result: object, us_in: int, us_out: int, *, testnet: bool) -> bytes:
    """The envelope of a result."""
    return msgspec.json.encode(
        Envelope(
            id=request_id,
            result=result,
            us_in=us_in,
            us_out=us_out,
            us_diff=us_out - us_in,
            testnet=testnet,
        )
    )


def failure(error: RpcError, us_in: int, us_out: int, *, testnet: bool) -> bytes:
    """The envelope of an error."""
    return msgspec.json.encode(
        Envelope(
            id=error.request_id,
            error=ErrorBody(error.code, error.message, error.data),
            us_in=us_in,
            us_out=us_out,
            us_diff=us_out - us_in,
            testnet=testnet,
        )
    )


def notify(method: str, params: Params) -> bytes:
    """A message that answers nothing."""
    return msgspec.json.encode(Notification(method=method, params=params))


def _refused(reason: str, request_id: RpcId = UNSET) -> RpcError:
    return RpcError(INVALID_REQUEST, "Invalid Request", {"reason": reason}, request_id=request_id)


def _is_id(value: object) -> bool:
    if value is UNSET or value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < MAX_ID
    return isinstance(value, float) and isfinite(value)
