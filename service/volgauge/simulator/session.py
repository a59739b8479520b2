"""One client's JSON-RPC session with the simulated venue; no socket and no clock inside."""

import random
from typing import Any

import msgspec
from msgspec import Struct

from volgauge.simulator.channels import Channel, is_raw
from volgauge.simulator.public_api import Params, PublicApi, WireError

MAX_REQUEST_BYTES = 32_768
MAX_CHANNELS = 500
HEARTBEAT_CLOSE = (4000, "heartbeat close")
ABNORMAL = (1006, "")
"""The connection is cut, no close frame."""
RATE_LIMITED = 10028
RATE_CLOSE = (1008, "too_many_requests")
TEST_REQUEST = b'{"params":{"type":"test_request"},"method":"heartbeat","jsonrpc":"2.0"}'
HEARTBEAT = b'{"params":{"type":"heartbeat"},"method":"heartbeat","jsonrpc":"2.0"}'
# Method -> (cost, pool, refill a second).
_COSTS = {
    "public/subscribe": (3_000.0, 30_000.0, 10_000.0),
    "public/unsubscribe": (3_000.0, 30_000.0, 10_000.0),
    "public/get_instruments": (10_000.0, 500_000.0, 10_000.0),
}
_SOCKET_COSTS = {**_COSTS, "public/get_instruments": (10_000.0, 50_000.0, 1_000.0)}
"""Over the websocket a listing may be asked for once in 10 s, burst 5; over REST 1/s, burst 50."""
_DEFAULT_COST = (500.0, 50_000.0, 10_000.0)
_DATA_PREFIX = b'{"jsonrpc":"2.0","method":"subscription"'
_LINKED_PREFIX = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.'
_SHARED_POOL = {"public/unsubscribe": "public/subscribe"}


class Timing(Struct, frozen=True, kw_only=True):
    """The venue's time limits, in seconds; tests shorten them."""

    idle: float = 60.5
    """Without subscription and heartbeat the connection is cut after this."""
    grace: float = 10.0
    """To answer a test_request."""
    least_interval: float = 10.0
    """Smallest heartbeat interval."""


class Credits:
    """The venue's leaky pools, one a method family."""

    def __init__(self, *, over_socket: bool = False) -> None:
        self._costs = _SOCKET_COSTS if over_socket else _COSTS
        self._pools: dict[str, tuple[float, float]] = {}

    def charge(self, method: str, now_seconds: float) -> None:
        """Pay for a call.

        Raises:
            WireError: The pool is empty.
        """
        cost, size, refill = self._costs.get(method, _DEFAULT_COST)
        name = _SHARED_POOL.get(method, method) if method in _COSTS else ""
        left, since = self._pools.get(name, (size, now_seconds))
        left = min(size, left + (now_seconds - since) * refill)
        if left < cost:
            raise WireError(RATE_LIMITED, "too_many_requests")
        self._pools[name] = (left - cost, now_seconds)


class Session:
    """Requests in, replies and notifications out (`out`), and when to hang up (`closing`)."""

    def __init__(self, api: PublicApi, timing: Timing, now_seconds: float, seed: int) -> None:
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.subscriptions: dict[str, Channel] = {}
        self.heartbeat_seconds = 0.0
        self._api = api
        self._venue = api.venue
        self._timing = timing
        self._credits = Credits(over_socket=True)
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._heard_seconds = now_seconds
        self._test_due_seconds = 0.0
        self._answer_due_seconds: float | None = None

    def receive(self, frame: bytes, now_seconds: float) -> None:
        """Handle one text frame from the client."""
        self._heard_seconds = now_seconds
        if len(frame) > MAX_REQUEST_BYTES:
            # This answer and the next carry no id: the venue has not read the request.
            error = WireError(-32600, "request entity too large")
            self.out.append(self._api.refusal(None, error))
            return
        try:
            request = msgspec.json.decode(frame)
        except msgspec.DecodeError:
            request = None
        if not isinstance(request, dict):
            body = {"code": 11050, "data": "invalid json", "message": "bad_request"}
            self.out.append(
                msgspec.json.encode({"jsonrpc": "2.0", "error": body, "testnet": False})
            )
            return
        self._answer(request, now_seconds)

    def tick(self, now_seconds: float) -> None:
        """Heartbeats and time limits."""
        if self._answer_due_seconds is not None and now_seconds >= self._answer_due_seconds:
            self.closing = HEARTBEAT_CLOSE
        elif self.heartbeat_seconds and now_seconds >= self._test_due_seconds:
            self._test_due_seconds = now_seconds + self.heartbeat_seconds
            if not self.subscriptions:
                # A busy socket gets test requests only.
                self.out.append(HEARTBEAT)
            self.out.append(TEST_REQUEST)
            if self._answer_due_seconds is None:
                self._answer_due_seconds = now_seconds + self._timing.grace
        elif (
            not self.heartbeat_seconds
            and not self.subscriptions
            and now_seconds - self._heard_seconds >= self._timing.idle
        ):
            self.closing = ABNORMAL

    def is_data(self, frame: bytes) -> bool:
        """Notifications; answers, errors and heartbeats are none."""
        return frame.startswith(_DATA_PREFIX)

    def conflation_key(self, frame: bytes) -> bytes:
        """Frames of one key replace each other; those that link to one another never do."""
        if frame.startswith(_DATA_PREFIX) and not frame.startswith(_LINKED_PREFIX):
            return frame.partition(b'"data":')[0]
        return frame

    def close(self) -> None:
        """Forget all subscriptions."""
        for channel in self.subscriptions.values():
            self._venue.unsubscribe(self, channel)
        self.subscriptions.clear()

    def _answer(self, request: dict[str, Any], now_seconds: float) -> None:
        request_id, method = request.get("id"), request.get("method")
        params = request.get("params")
        try:
            self._dispatch(
                request_id, str(method), params if isinstance(params, dict) else {}, now_seconds
            )
        except WireError as error:
            self.out.append(self._api.refusal(request_id, error))
            if error.code == RATE_LIMITED:
                self.closing = RATE_CLOSE

    def _dispatch(self, request_id: object, method: str, params: Params, now: float) -> None:
        self._credits.charge(method, now)
        match method:
            case "public/subscribe":
                self._subscribe(request_id, _channels(params))
            case "public/unsubscribe":
                self._unsubscribe(request_id, _channels(params))
            case "public/unsubscribe_all":
                self.close()
                self._reply(request_id, "ok")
            case "public/set_heartbeat":
                self._set_heartbeat(request_id, params, now)
            case "public/disable_heartbeat":
                self.heartbeat_seconds = 0.0
                self._answer_due_seconds = None
                self._reply(request_id, "ok")
            case _:
                result = self._api.call(method, params)
                if method == "public/test":
                    self._answer_due_seconds = None
                self._reply(request_id, result)

    def _reply(self, request_id: object, result: object) -> None:
        self.out.append(self._api.envelope(request_id, result))

    def _set_heartbeat(self, request_id: object, params: Params, now: float) -> None:
        interval = params.get("interval")
        if not isinstance(interval, int | float) or interval < self._timing.least_interval:
            reason = f"must be at least {self._timing.least_interval:g}"
            data = {"param": "interval", "reason": reason}
            raise WireError(-32602, "Invalid params", data)
        self.heartbeat_seconds = float(interval)
        self._test_due_seconds = now + self.heartbeat_seconds
        self._answer_due_seconds = None
        self._reply(request_id, "ok")

    def _subscribe(self, request_id: object, names: list[str]) -> None:
        if self._api.in_maintenance:
            raise WireError(11051, "system_maintenance")
        if any(is_raw(name) for name in names):
            raise WireError(13778, "raw_subscriptions_not_available_for_unauthorized")
        faults = self._venue.faults
        found = [
            channel
            for name in dict.fromkeys(names)
            if (channel := self._venue.find(name)) is not None and not faults.refuses(name)
        ]
        accepted = [channel.name for channel in found]
        self._random.shuffle(accepted)
        self._reply(request_id, accepted)
        for channel in found:
            # A channel that is subscribed already is acknowledged, without a first frame.
            if channel.name not in self.subscriptions:
                self.subscriptions[channel.name] = channel
                self._venue.subscribe(self, channel)

    def _unsubscribe(self, request_id: object, names: list[str]) -> None:
        gone = [name for name in dict.fromkeys(names) if name in self.subscriptions]
        for name in gone:
            self._venue.unsubscribe(self, self.subscriptions.pop(name))
        self._reply(request_id, gone)


def _channels(params: Params) -> list[str]:
    names = params.get("channels")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise WireError(-32602, "Invalid params", {"param": "channels", "reason": "wrong format"})
    if len(names) > MAX_CHANNELS:
        data = {"param": "channels", "reason": f"at most {MAX_CHANNELS} channels"}
        raise WireError(-32602, "Invalid params", data)
    return names
