"""Which addresses make the source `live`, and what the limits leave room for."""

import pytest

from volgauge.adapters.binance.endpoints import (
    HANDOVER_NS,
    HANDOVER_SPREAD_NS,
    MIN_REFRESH_NS,
    REQUEST_SPACING_NS,
    REST_URL,
    WS_URL,
    is_official,
)
from volgauge.adapters.binance.plan import CONNECTIONS
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_MINUTE, NANOS_PER_SECOND


def test_binance_defaults_are_official() -> None:
    """Empty settings mean the venue itself."""
    assert is_official("", "")
    assert is_official(WS_URL, REST_URL)


@pytest.mark.parametrize(
    ("ws_url", "rest_url"),
    [
        ("ws://127.0.0.1:8000/binance", ""),
        ("", "http://127.0.0.1:8000/binance"),
        ("wss://fstream.binancefuture.com", ""),
        ("wss://nbstream.binance.com/eoptions", ""),
        ("ws://fstream.binance.com", ""),
        ("wss://fstream.binance.com.example.org", ""),
        ("wss://fstream.binance.com@example.org", ""),
        ("wss://fstream.binance.com:9443", ""),
        ("wss://fstream.binance.com:x", ""),
        ("https://fstream.binance.com", ""),
        ("", "http://eapi.binance.com"),
        ("", "https://testnet.binancefuture.com"),
    ],
    ids=[
        "loopback-ws", "loopback-rest", "testnet", "retired", "no-tls", "suffix", "user-info",
        "port", "no-port", "scheme", "rest-no-tls", "rest-testnet",
    ],
)  # fmt: skip
def test_any_binance_override_is_not(ws_url: str, rest_url: str) -> None:
    """One foreign endpoint is enough."""
    assert not is_official(ws_url, rest_url)


def test_binance_budgets_keep_the_documented_limits() -> None:
    """Ten messages a second, 24 hours, a weight of 2,400 a minute."""
    assert NANOS_PER_SECOND // REQUEST_SPACING_NS < 10
    earliest_ns = HANDOVER_NS - len(CONNECTIONS) * HANDOVER_SPREAD_NS
    assert 23 * NANOS_PER_HOUR < earliest_ns < HANDOVER_NS < 24 * NANOS_PER_HOUR
    assert NANOS_PER_MINUTE // MIN_REFRESH_NS * (1 + 5) < 2_400
