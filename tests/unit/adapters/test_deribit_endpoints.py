"""Which addresses make the source `live`."""

import pytest

from volgauge.adapters.deribit.endpoints import REST_URL, WS_URL, is_official


def test_defaults_are_official() -> None:
    """Empty settings mean the venue itself."""
    assert is_official("", "")
    assert is_official(WS_URL, REST_URL)


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [
        ("ws://127.0.0.1:8000/ws/api/v2", ""),
        ("", "http://127.0.0.1:8000/api/v2"),
        ("wss://test.deribit.com/ws/api/v2", ""),
        ("ws://www.deribit.com/ws/api/v2", ""),
        ("wss://www.deribit.com.example.org/ws/api/v2", ""),
        ("wss://www.deribit.com@example.org/ws/api/v2", ""),
        ("wss://www.deribit.com:8443/ws/api/v2", ""),
        ("wss://www.deribit.com:x/ws/api/v2", ""),
        ("https://www.deribit.com/ws/api/v2", ""),
        ("", "http://www.deribit.com/api/v2"),
    ],
    ids=[
        "loopback-ws", "loopback-rest", "test-network", "no-tls", "suffix", "user-info", "port",
        "no-port", "scheme", "rest-no-tls",
    ],
)  # fmt: skip
def test_any_override_is_not(ws_url: str, rest_url: str) -> None:
    """One foreign endpoint is enough."""
    assert not is_official(ws_url, rest_url)
