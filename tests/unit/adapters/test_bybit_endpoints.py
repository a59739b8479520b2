"""Which addresses of Bybit make the source `live`."""

import pytest

from volgauge.adapters.bybit.endpoints import REST_URL, WS_URL, is_official


def test_defaults_are_official() -> None:
    """Empty settings mean the venue itself."""
    assert is_official("", "")
    assert is_official(WS_URL, REST_URL)
    assert is_official("wss://stream.bybit.kz/v5/public/option", "https://api.bybit.kz")


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [
        ("ws://127.0.0.1:8000/v5/public/option", ""),
        ("", "http://127.0.0.1:8000"),
        ("wss://stream-testnet.bybit.com/v5/public/option", ""),
        ("", "https://api-testnet.bybit.com"),
        ("ws://stream.bybit.com/v5/public/option", ""),
        ("wss://stream.bybit.com.example.org/v5/public/option", ""),
        ("wss://stream.bybit.com@example.org/v5/public/option", ""),
        ("wss://stream.bybit.com:8443/v5/public/option", ""),
        ("wss://stream.bybit.com:x/v5/public/option", ""),
        ("wss://api.bybit.com/v5/public/option", ""),
        ("", "https://stream.bybit.com"),
    ],
    ids=[
        "loopback-ws", "loopback-rest", "testnet-ws", "testnet-rest", "no-tls", "suffix",
        "user-info", "port", "no-port", "rest-host-as-ws", "ws-host-as-rest",
    ],
)  # fmt: skip
def test_any_override_is_not(ws_url: str, rest_url: str) -> None:
    """One foreign endpoint is enough."""
    assert not is_official(ws_url, rest_url)
