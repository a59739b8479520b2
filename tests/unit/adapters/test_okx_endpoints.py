"""Which addresses make the source `live`, and what the limits leave room for."""

import pytest

from volgauge.adapters.okx.endpoints import (
    REQUEST_BURST,
    REQUEST_BYTES,
    REQUEST_REFILL_NS,
    REST_URL,
    WS_URL,
    is_official,
)
from volgauge.domain.units import NANOS_PER_HOUR


def test_okx_defaults_are_official() -> None:
    """Empty settings mean the venue itself; so do its regional hosts."""
    assert is_official("", "")
    assert is_official(WS_URL, REST_URL)
    assert is_official("wss://wseea.okx.com:8443/ws/v5/public", "")
    assert is_official("wss://wsus.okx.com:8443/ws/v5/public", "")


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [
        ("ws://127.0.0.1:8000/ws/v5/public", ""),
        ("", "http://127.0.0.1:8000/api/v5"),
        ("wss://wspap.okx.com:8443/ws/v5/public", ""),
        ("ws://ws.okx.com:8443/ws/v5/public", ""),
        ("wss://ws.okx.com.example.org:8443/ws/v5/public", ""),
        ("wss://ws.okx.com@example.org/ws/v5/public", ""),
        ("wss://ws.okx.com:9000/ws/v5/public", ""),
        ("wss://ws.okx.com:x/ws/v5/public", ""),
        ("https://ws.okx.com/ws/v5/public", ""),
        ("", "http://www.okx.com/api/v5"),
        ("", "https://www.okx.com:8443/api/v5"),
    ],
    ids=[
        "loopback-ws", "loopback-rest", "demo-trading", "no-tls", "suffix", "user-info", "port",
        "no-port", "scheme", "rest-no-tls", "rest-port",
    ],
)  # fmt: skip
def test_any_okx_override_is_not(ws_url: str, rest_url: str) -> None:
    """One foreign endpoint is enough."""
    assert not is_official(ws_url, rest_url)


def test_okx_budgets_keep_the_documented_limits() -> None:
    """480 requests in any hour of one connection, 64 KB of arguments in one request."""
    assert REQUEST_BURST + NANOS_PER_HOUR // REQUEST_REFILL_NS <= 480
    assert REQUEST_BYTES < 64 * 1024
