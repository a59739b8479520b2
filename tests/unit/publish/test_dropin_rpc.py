"""Frames of JSON-RPC: every one gives a request or a typed error, and a well-formed answer."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from volgauge.publish.dropin_rpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_FRAME_BYTES,
    PARSE_ERROR,
    Params,
    Request,
    RpcError,
    failure,
    notify,
    parse,
    success,
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=12,
)
ALMOST = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "id": JSON,
        "method": st.sampled_from(["public/test", "public/subscribe"]) | JSON,
        "params": JSON,
    },
)


def answer_to(frame: bytes) -> dict[str, Any]:
    """What a client reads."""
    try:
        call = parse(frame)
    except RpcError as error:
        body = failure(error, 10, 12, testnet=True)
    else:
        body = success(call.id, "ok", 10, 12, testnet=True)
    decoded: dict[str, Any] = msgspec.json.decode(body)
    return decoded


def require_well_formed(answer: dict[str, Any]) -> None:
    """JSON-RPC 2.0: exactly one of result and error; an error has a whole code and a message."""
    assert answer["jsonrpc"] == "2.0"
    assert ("result" in answer) != ("error" in answer)
    assert answer["usDiff"] == answer["usOut"] - answer["usIn"]
    if "error" in answer:
        assert isinstance(answer["error"]["code"], int)
        assert isinstance(answer["error"]["message"], str)


@given(st.binary(max_size=200))
@example(b"")
@example(b"[" * 20_000)
@example(b'{"a":' * 6_000)
@example(b'{"jsonrpc":"2.0","id":1e999,"method":"x"}')
@example(b'{"jsonrpc":"2.0","id":' + b"9" * 400 + b',"method":"x"}')
@example(b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"x"}')
@example(b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"x":' + b"9" * 5000 + b"}}")
@example(b'{"jsonrpc":"2.0","id":"\\ud800","method":"x"}')
@example(b"\xff\xfe")
@example(b"1" * (MAX_FRAME_BYTES + 1))
def test_any_bytes_get_a_typed_answer(frame: bytes) -> None:
    """Nothing that a client sends is an unhandled error."""
    require_well_formed(answer_to(frame))


@given(ALMOST)
def test_almost_requests_get_a_typed_answer(tree: dict[str, Any]) -> None:
    """The right keys with any values, too; a result only for what is a request."""
    answer = answer_to(msgspec.json.encode(tree))

    require_well_formed(answer)
    is_request = (
        tree.get("jsonrpc") == "2.0"
        and isinstance(tree.get("method"), str)
        and isinstance(tree.get("params"), dict | None)
        and not isinstance(tree.get("id"), bool | list | dict)
        and not (isinstance(tree.get("id"), int) and abs(tree["id"]) >= 2**63)
    )
    assert is_request == ("result" in answer)


@given(st.integers(-(2**53), 2**53) | st.text(max_size=40) | st.none())
def test_the_id_comes_back_as_it_was_sent(request_id: int | str | None) -> None:
    """Of whatever kind; also with an error."""
    tree = {"jsonrpc": "2.0", "id": request_id, "method": "public/test"}

    assert answer_to(msgspec.json.encode(tree))["id"] == request_id
    assert answer_to(msgspec.json.encode(tree | {"params": []}))["id"] == request_id


@pytest.mark.parametrize(
    ("frame", "code", "data"),
    [
        (b"{", PARSE_ERROR, {"reason": "invalid json"}),
        (b"[]", INVALID_REQUEST, {"reason": "expected one object, no batch"}),
        (b'{"id":1,"method":"a"}', INVALID_REQUEST, {"reason": 'jsonrpc: expected "2.0"'}),
        (b'{"jsonrpc":"2.0","id":1}', INVALID_REQUEST, {"reason": "method: expected a string"}),
        (
            b'{"jsonrpc":"2.0","id":{},"method":"a"}',
            INVALID_REQUEST,
            {"reason": "id: expected a number or a string"},
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"a","params":[1]}',
            INVALID_PARAMS,
            {"reason": "must be an object", "param": "params"},
        ),
    ],
    ids=["no json", "batch", "no version", "no method", "strange id", "positional"],
)
def test_what_is_wrong_is_named(frame: bytes, code: int, data: dict[str, str]) -> None:
    """The code of JSON-RPC and the reason."""
    error = answer_to(frame)["error"]

    assert (error["code"], error["data"]) == (code, data)


def test_a_frame_that_is_too_long_is_refused_as_at_deribit() -> None:
    """The recorded frame of the venue: without id, this code, this message."""
    frame = (
        b'{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":"' + b"y" * MAX_FRAME_BYTES + b'"}}'
    )
    answer = answer_to(frame)

    assert answer["error"] == {"code": -32600, "message": "request entity too large"}
    assert "id" not in answer


def test_a_request_without_params_has_none() -> None:
    """Absent and null are an empty object."""
    for params in (b"", b',"params":null'):
        frame = b'{"jsonrpc":"2.0","id":1,"method":"public/test"' + params + b"}"

        assert parse(frame) == Request(1, "public/test", {})


def test_a_notification_answers_nothing() -> None:
    """As recorded: no id, the kind inside the parameters."""
    decoded = msgspec.json.decode(notify("heartbeat", Params(type="test_request")))

    assert decoded == {
        "jsonrpc": "2.0",
        "method": "heartbeat",
        "params": {"type": "test_request"},
    }
