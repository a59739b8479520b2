"""Parameters of the Deribit-compatible methods: both forms of a number, and what is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volgauge.domain.history import Candle, CandleSeries
from volgauge.domain.index import Source
from volgauge.publish.dropin_params import (
    MAX_CHANNELS,
    MAX_POINTS,
    VolatilityQuery,
    as_volatility_data,
    asset_of,
    read_channels,
    read_interval,
    read_volatility_query,
)
from volgauge.publish.dropin_rpc import RpcError

GOOD: dict[str, Any] = {
    "currency": "BTC",
    "start_timestamp": 1_600_000_000_000,
    "end_timestamp": 1_600_000_060_000,
    "resolution": "60",
}


def series(opened: list[int]) -> CandleSeries:
    """Minute candles that open then."""
    return CandleSeries(
        asset="BTC",
        series="30d",
        source=Source.LIVE,
        resolution_seconds=60,
        candles=tuple(Candle(at, 1.0, 3.0, 0.5, 2.0) for at in opened),
    )


@pytest.mark.parametrize("currency", ["BTC", "btc"])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"resolution": 60},
        {"start_timestamp": "1600000000000", "end_timestamp": "1600000060000"},
        {"start_timestamp": 1.6e12},
        {"unheard_of": True},
    ],
    ids=["as json", "whole resolution", "as text", "as float", "unknown parameter"],
)
def test_every_form_of_a_query_is_the_same(currency: str, change: dict[str, Any]) -> None:
    """Over HTTP all is text, JavaScript writes floats; both ends belong to the range."""
    params = GOOD | {"currency": currency} | change

    assert read_volatility_query(params, {"BTC"}) == VolatilityQuery(
        "BTC", 1_600_000_000, 1_600_000_061, 60
    )


@pytest.mark.parametrize(
    ("change", "param", "reason"),
    [
        ({"currency": "DOGE"}, "currency", "invalid currency"),
        ({"currency": None}, "currency", "invalid currency"),
        ({"currency": ["BTC"]}, "currency", "invalid currency"),
        ({"start_timestamp": None}, "start_timestamp", "must be an integer"),
        ({"start_timestamp": True}, "start_timestamp", "must be an integer"),
        ({"end_timestamp": "soon"}, "end_timestamp", "must be an integer"),
        ({"end_timestamp": "1" * 16}, "end_timestamp", "must be an integer"),
        ({"end_timestamp": 1.5}, "end_timestamp", "must be an integer"),
        ({"end_timestamp": -1}, "end_timestamp", "wrong format"),
        ({"end_timestamp": 10**30}, "end_timestamp", "wrong format"),
        ({"resolution": "61"}, "resolution", "must be one of 1, 60, 3600, 43200, 1D"),
        ({"resolution": True}, "resolution", "must be one of 1, 60, 3600, 43200, 1D"),
        ({"resolution": None}, "resolution", "must be one of 1, 60, 3600, 43200, 1D"),
    ],
    ids=str,
)
def test_a_strange_parameter_is_named(change: dict[str, Any], param: str, reason: str) -> None:
    """-32602 with the parameter and the reason, as the venue answers."""
    with pytest.raises(RpcError) as caught:
        read_volatility_query(GOOD | change, {"BTC"})

    assert caught.value.code == -32602
    assert caught.value.message == "Invalid params"
    assert caught.value.data == {"param": param, "reason": reason}


@given(
    st.dictionaries(
        st.sampled_from([*GOOD, "interval", "channels"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=20)
        | st.lists(st.text(max_size=4) | st.integers(), max_size=3),
    )
)
def test_any_parameters_are_read_or_refused(params: dict[str, Any]) -> None:
    """Nothing but RpcError comes out, whatever stands in a request."""
    for read in (read_channels, read_interval, lambda given: read_volatility_query(given, {"BTC"})):
        with suppress(RpcError):
            read(params)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("deribit_volatility_index.btc_usd", "BTC"),
        ("deribit_volatility_index.sol_usdc", "SOL"),
        ("deribit_volatility_index.doge_usd", None),
        ("deribit_volatility_index.BTC_USD", None),
        ("deribit_volatility_index.btc_usd.raw", None),
        ("deribit_price_index.btc_usd", None),
        ("", None),
    ],
)
def test_a_channel_belongs_to_a_known_asset(channel: str, expected: str | None) -> None:
    """Names of the venue's price indices, in dollars or USDC."""
    assert asset_of(channel, {"BTC", "SOL"}) == expected


def test_a_channel_named_twice_is_one() -> None:
    """In the order of the request; at most as many as the venue takes."""
    assert read_channels({"channels": ["b", "a", "b"]}) == ["b", "a"]
    with pytest.raises(RpcError, match="Invalid params"):
        read_channels({"channels": ["a"] * (MAX_CHANNELS + 1)})


def test_the_shortest_heartbeat_is_ten_seconds() -> None:
    """As at the venue."""
    assert read_interval({"interval": 10}) == 10
    with pytest.raises(RpcError):
        read_interval({"interval": 9})


@pytest.mark.parametrize("count", [0, 1, MAX_POINTS, MAX_POINTS + 1])
def test_a_page_holds_the_newest_and_says_where_the_older_are(count: int) -> None:
    """The continuation is the newest candle that is missing: nothing twice, nothing left out."""
    opened = [60 * index for index in range(count)]
    data = as_volatility_data(series(opened))

    assert [row[0] for row in data.data] == [1000 * at for at in opened[-MAX_POINTS:]]
    assert all(row[1:] == (1.0, 3.0, 0.5, 2.0) for row in data.data)
    assert data.continuation == (0 if count > MAX_POINTS else None)
