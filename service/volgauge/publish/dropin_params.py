"""The parameters of the Deribit-compatible methods, read and refused as Deribit does.

Over HTTP every parameter is text; numbers are taken in both forms. Unknown parameters are
ignored: a client may send those of Deribit that mean nothing here.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import Struct

from volgauge.domain.history import CandleSeries
from volgauge.publish.dropin_rpc import invalid

MAX_CHANNELS = 500
"""In one request, as at Deribit."""
MIN_HEARTBEAT_SECONDS = 10
MAX_HEARTBEAT_SECONDS = 86_400
MAX_POINTS = 1_000
"""Candles in one answer, as at Deribit; `continuation` leads to the older ones."""
CHANNEL = "deribit_volatility_index."
RESOLUTIONS = {"1": 1, "60": 60, "3600": 3_600, "43200": 43_200, "1D": 86_400}
MAX_MILLIS = 10**15

_INDEX_NAME = re.compile(r"([a-z0-9]{1,16})_usdc?")
_WHOLE = re.compile(r"[0-9]{1,15}")


class VolatilityQuery(Struct, frozen=True):
    """What `get_volatility_index_data` was asked for."""

    asset: str
    start_s: int
    end_s: int
    """Excluded."""
    resolution_seconds: int


class VolatilityData(Struct, frozen=True):
    """What it answers."""

    data: list[tuple[int, float, float, float, float]]
    """Milliseconds of the opening, open, high, low, close in points; ascending."""
    continuation: int | None
    """`end_timestamp` that gives the older candles; None: there is none in the range."""


def read_channels(params: Mapping[str, Any]) -> list[str]:
    """Names of channels, known or not; each once, in their order.

    Raises:
        RpcError: No list of text, or too many.
    """
    channels = params.get("channels")
    if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
        raise invalid("channels", "must be a list of strings")
    if len(channels) > MAX_CHANNELS:
        raise invalid("channels", f"must be at most {MAX_CHANNELS}")
    return list(dict.fromkeys(channels))


def asset_of(channel: str, assets: Collection[str]) -> str | None:
    """The asset of `deribit_volatility_index.btc_usd` (or `_usdc`); None when there is none."""
    if not channel.startswith(CHANNEL):
        return None
    found = _INDEX_NAME.fullmatch(channel.removeprefix(CHANNEL))
    if found is None:
        return None
    asset = found[1].upper()
    return asset if asset in assets else None


def read_interval(params: Mapping[str, Any]) -> int:
    """Seconds between heartbeats.

    Raises:
        RpcError: No number from MIN_HEARTBEAT_SECONDS to MAX_HEARTBEAT_SECONDS.
    """
    seconds = _whole(params, "interval")
    if not MIN_HEARTBEAT_SECONDS <= seconds <= MAX_HEARTBEAT_SECONDS:
        reason = f"must be from {MIN_HEARTBEAT_SECONDS} to {MAX_HEARTBEAT_SECONDS}"
        raise invalid("interval", reason)
    return seconds


def read_volatility_query(params: Mapping[str, Any], assets: Collection[str]) -> VolatilityQuery:
    """What candles are asked for; both ends of the range are included, as at Deribit.

    Raises:
        RpcError: A parameter is missing or has another form.
    """
    currency = params.get("currency")
    if not isinstance(currency, str) or currency.upper() not in assets:
        raise invalid("currency", "invalid currency")
    start_ms, end_ms = _whole(params, "start_timestamp"), _whole(params, "end_timestamp")
    given = params.get("resolution")
    is_text = isinstance(given, int | str) and not isinstance(given, bool)
    resolution = RESOLUTIONS.get(str(given)) if is_text else None
    if resolution is None:
        raise invalid("resolution", f"must be one of {', '.join(RESOLUTIONS)}")
    return VolatilityQuery(currency.upper(), -(-start_ms // 1000), end_ms // 1000 + 1, resolution)


def as_volatility_data(found: CandleSeries) -> VolatilityData:
    """The newest MAX_POINTS of the candles, and where the older ones are."""
    candles = found.candles
    continuation = None
    if len(candles) > MAX_POINTS:
        continuation = candles[-MAX_POINTS - 1].opened_s * 1000
        candles = candles[-MAX_POINTS:]
    rows = [(c.opened_s * 1000, c.open, c.high, c.low, c.close) for c in candles]
    return VolatilityData(rows, continuation)


def _whole(params: Mapping[str, Any], name: str) -> int:
    value = params.get(name)
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid(name, "must be an integer")
    if not 0 <= value < MAX_MILLIS:
        raise invalid(name, "wrong format")
    return value
