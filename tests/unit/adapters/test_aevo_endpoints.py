"""Which addresses make the source `live`."""

import pytest

from volgauge.adapters.aevo.endpoints import REST_URL, WS_URL, is_official


def test_aevo_defaults_are_official() -> None:
    """Empty settings mean the venue itself."""
    assert is_official("", "")
    assert is_official(WS_URL, REST_URL)


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [
        ("ws://127.0.0.1:8000/aevo/ws", ""),
        ("", "http://127.0.0.1:8000"),
        ("wss://ws-testnet.aevo.xyz", ""),
        ("", "https://api-testnet.aevo.xyz"),
        ("ws://ws.aevo.xyz", ""),
        ("wss://ws.aevo.xyz.example.org", ""),
        ("wss://ws.aevo.xyz@example.org", ""),
        ("wss://ws.aevo.xyz:8443", ""),
        ("wss://ws.aevo.xyz:x", ""),
        ("https://ws.aevo.xyz", ""),
        ("", "http://api.aevo.xyz"),
    ],
    ids=[
        "loopback-ws", "loopback-rest", "test-ws", "test-rest", "no-tls", "suffix", "user-info",
        "port", "no-port", "scheme", "rest-no-tls",
    ],
)  # fmt: skip
def test_any_aevo_override_is_not(ws_url: str, rest_url: str) -> None:
    """One foreign endpoint is enough."""
    assert not is_official(ws_url, rest_url)
