"""Which addresses make the source `live`, and what the limits leave room for."""

import pytest

from volgauge.adapters.derive.endpoints import (
    REQUEST_BURST,
    REQUEST_REFILL_NS,
    REQUESTS_PER_WINDOW,
    REST_URL,
    WINDOW_NS,
    WS_URL,
    is_official,
)


def test_derive_defaults_are_official() -> None:
    """Empty settings mean the venue itself."""
    assert is_official("", "")
    assert is_official(WS_URL, REST_URL)


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [
        ("ws://127.0.0.1:8000/ws", ""),
        ("", "http://127.0.0.1:8000"),
        ("wss://api-demo.lyra.finance/ws", ""),
        ("", "https://api-demo.lyra.finance"),
        ("ws://api.lyra.finance/ws", ""),
        ("wss://api.lyra.finance.example.org/ws", ""),
        ("wss://api.lyra.finance@example.org/ws", ""),
        ("wss://api.lyra.finance:8443/ws", ""),
        ("wss://api.lyra.finance:x/ws", ""),
        ("https://api.lyra.finance/ws", ""),
        ("", "http://api.lyra.finance"),
    ],
    ids=[
        "loopback-ws", "loopback-rest", "test-ws", "test-rest", "no-tls", "suffix", "user-info",
        "port", "no-port", "scheme", "rest-no-tls",
    ],
)  # fmt: skip
def test_any_derive_override_is_not(ws_url: str, rest_url: str) -> None:
    """One foreign endpoint is enough."""
    assert not is_official(ws_url, rest_url)


def test_derive_budget_leaves_room_for_the_catalog() -> None:
    """50 requests in five seconds, for websockets and REST together."""
    assert REQUEST_BURST + WINDOW_NS // REQUEST_REFILL_NS <= REQUESTS_PER_WINDOW - 10
