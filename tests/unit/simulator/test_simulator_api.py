"""REST bodies of the simulated venue."""

from typing import Any

import msgspec
import pytest

from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.public_api import PublicApi, WireError, candles_of
from volgauge.simulator.venue import Venue

START = 1_784_116_800_000_000_000


@pytest.fixture(scope="module")
def api() -> PublicApi:
    """A venue with an inverse and a linear book."""
    market = Market(MarketOptions(start_ns=START, currencies=("BTC", "XRP_USDC")))
    return PublicApi(Venue(market), lambda *_: [[float(row), 1, 2, 0, 1] for row in range(1_500)])


def call(api: PublicApi, method: str, **params: object) -> Any:  # noqa: ANN401 - any JSON
    """The decoded result of one method."""
    return msgspec.json.decode(api.envelope(1, api.call(f"public/{method}", params)))["result"]


def test_inverse_rows_have_the_recorded_fields(api: PublicApi) -> None:
    """A BTC option row carries every field of the recorded one that describes the contract."""
    rows = call(api, "get_instruments", currency="BTC", kind="option")
    row = rows[0]

    assert {row["kind"] for row in rows} == {"option"}
    assert row["instrument_type"] == "reversed"
    assert row["tick_size"] == 0.0001
    assert row["tick_size_steps"] == [{"above_price": 0.005, "tick_size": 0.0005}]
    assert (row["quote_currency"], row["settlement_currency"], row["counter_currency"]) == (
        "BTC", "BTC", "USD",
    )  # fmt: skip
    assert row["expiration_timestamp"] % 86_400_000 == 8 * 3_600_000
    assert row["creation_timestamp"] <= START // 10**6
    assert (row["is_active"], row["state"], row["price_index"]) == (True, "open", "btc_usd")


def test_linear_rows_are_listed_under_usdc(api: PublicApi) -> None:
    """XRP_USDC: contract size 1000, decimal strikes with `d`, one tick size."""
    rows = call(api, "get_instruments", currency="USDC", kind="option")

    assert all(row["instrument_name"].startswith("XRP_USDC-") for row in rows)
    assert all(row["contract_size"] == 1_000 for row in rows)
    assert rows[0]["instrument_type"] == "linear"
    assert rows[0]["tick_size_steps"] == []
    decimal = next(row for row in rows if "d" in row["instrument_name"])
    assert float(decimal["instrument_name"].split("-")[2].replace("d", ".")) == decimal["strike"]


def test_every_expiry_has_a_future(api: PublicApi) -> None:
    """Futures and the perpetual are of kind `future`."""
    options = call(api, "get_instruments", currency="BTC", kind="option")
    futures = call(api, "get_instruments", currency="BTC", kind="future")

    ends = {row["expiration_timestamp"] for row in futures} - {32_503_708_800_000}
    assert ends == {row["expiration_timestamp"] for row in options}
    assert "BTC-PERPETUAL" in {row["instrument_name"] for row in futures}


def test_instrument_ids_are_unique(api: PublicApi) -> None:
    """No two contracts share an id."""
    rows = call(api, "get_instruments", currency="any")

    assert len({row["instrument_id"] for row in rows}) == len(rows)


def test_summary_covers_the_chain(api: PublicApi) -> None:
    """One row an option; absent is null; no sizes."""
    rows = call(api, "get_book_summary_by_currency", currency="BTC", kind="option")

    assert len(rows) == len(call(api, "get_instruments", currency="BTC", kind="option"))
    assert any(row["bid_price"] is None for row in rows)
    assert not any("best_bid_amount" in row for row in rows)
    assert all(row["underlying_price"] > 0 for row in rows)


def test_order_book_holds_ticker_and_levels(api: PublicApi) -> None:
    """get_order_book is the ticker with levels, best first."""
    name = call(api, "get_instruments", currency="BTC", kind="option")[300]["instrument_name"]
    book = call(api, "get_order_book", instrument_name=name, depth="3")

    assert book["asks"][0] == [book["best_ask_price"], book["best_ask_amount"]]
    assert [level[0] for level in book["asks"]] == sorted(level[0] for level in book["asks"])
    assert len(book["asks"]) == 3
    assert {"mark_iv", "greeks", "change_id", "underlying_price"} <= set(book)


def test_expirations_have_the_recorded_shape(api: PublicApi) -> None:
    """`{"btc":{"option":[...]}}`."""
    found = call(api, "get_expirations", currency="btc", kind="option")

    assert list(found) == ["btc"]
    assert len(found["btc"]["option"]) == 11


def test_volatility_index_pages_from_the_newest(api: PublicApi) -> None:
    """At most 1000 rows, and where the next page ends."""
    found = call(
        api, "get_volatility_index_data", currency="BTC", start_timestamp="0",
        end_timestamp="9999999999999", resolution="60",
    )  # fmt: skip

    assert len(found["data"]) == 1_000
    assert found["data"][-1][0] == 1_499
    assert found["continuation"] == 499


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("public/ticker", {"instrument_name": "BTC-NOTAREAL"}, -32602),
        ("public/ticker", {"instrument_name": "BTC-1JAN20-1000-C"}, 13020),
        ("public/get_instruments", {"currency": "DOGE"}, -32602),
        ("public/get_instruments", {"currency": "BTC", "kind": "swaption"}, -32602),
        ("public/get_volatility_index_data", {"currency": "XRP"}, -32602),
        ("public/get_index_price", {"index_name": "nope"}, -32602),
        ("public/nope", {}, -32601),
        ("private/buy", {}, 13009),
    ],
)
def test_refusals_have_the_venues_codes(
    api: PublicApi, method: str, params: dict[str, Any], code: int
) -> None:
    """Each bad call has its own code."""
    with pytest.raises(WireError) as refused:
        api.call(method, params)

    assert refused.value.code == code


def test_bad_symbol_is_refused_as_recorded(api: PublicApi) -> None:
    """The error body of 2026-07-26 for BTC-NOTAREAL."""
    with pytest.raises(WireError) as refused:
        api.call("public/ticker", {"instrument_name": "BTC-NOTAREAL"})

    assert refused.value.body() == {
        "code": -32602,
        "data": {"param": "instrument_name", "reason": "wrong format"},
        "message": "Invalid params",
    }


def test_candles_are_cut_at_their_open_times() -> None:
    """Open, high, low, close by minute."""
    times = [0, 20_000, 40_000, 60_000, 90_000]

    assert candles_of(times, [5.0, 7.0, 6.0, 4.0, 9.0], 60) == [
        [0, 5.0, 7.0, 5.0, 6.0],
        [60_000, 4.0, 9.0, 4.0, 9.0],
    ]
