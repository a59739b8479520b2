"""Which addresses make the source `live`, and what the limits leave room for."""

import pytest

from volgauge.adapters.delta.endpoints import CONNECTS, REST_URL, WS_URL, is_official

INDIA = "wss://socket.india.delta.exchange"


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [("", ""), (WS_URL, REST_URL), (INDIA, "https://api.india.delta.exchange")],
    ids=["defaults", "global", "india"],
)
def test_delta_hosts_are_official(ws_url: str, rest_url: str) -> None:
    """Empty settings mean the venue itself; India is a platform of its own."""
    assert is_official(ws_url, rest_url)


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [
        ("ws://127.0.0.1:8000/ws", ""),
        ("", "http://127.0.0.1:8000"),
        ("wss://testnet-socket.delta.exchange", ""),
        ("", "https://cdn-ind.testnet.deltaex.org"),
        # The compact format, which is not spoken here.
        ("wss://public-socket.delta.exchange", ""),
        ("ws://socket.delta.exchange", ""),
        ("wss://socket.delta.exchange.example.org", ""),
        ("wss://socket.delta.exchange@example.org", ""),
        ("wss://socket.delta.exchange:8443", ""),
        ("", "http://api.delta.exchange"),
    ],
)
def test_any_delta_override_is_not(ws_url: str, rest_url: str) -> None:
    """One foreign endpoint is enough."""
    assert not is_official(ws_url, rest_url)


def test_delta_connects_leave_room_for_others() -> None:
    """150 in five minutes of one address, whoever else is behind it."""
    assert CONNECTS.count * 300.0 / CONNECTS.seconds <= 100
