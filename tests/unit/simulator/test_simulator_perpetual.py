"""What the simulated venues tell of volumes and perpetuals, each in its own words and units."""

import json
from functools import cache
from math import exp, log
from typing import Any

import numpy as np
import pytest

from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.simulator import process
from volgauge.simulator.aevo_venue import AevoVenue
from volgauge.simulator.binance_venue import BinanceVenue
from volgauge.simulator.board import Board
from volgauge.simulator.bybit_venue import BybitVenue
from volgauge.simulator.delta_venue import DeltaVenue
from volgauge.simulator.derive_venue import DeriveVenue
from volgauge.simulator.listing import TERMS
from volgauge.simulator.market import PERPETUAL_NOTIONAL, Market, MarketOptions
from volgauge.simulator.okx_venue import OkxVenue
from volgauge.simulator.perpetual import Perpetual, perpetual_of
from volgauge.simulator.public_api import PublicApi
from volgauge.simulator.venue import Venue

START_NS = parse_instant("2026-07-01T12:00:00Z")
PLACES = ("derive", "deribit", "aevo", "delta", "okx", "bybit", "binance")
"""Venues from the lowest funding to the highest."""
Row = dict[str, Any]


def fresh(seed: int = 5, **changes: Any) -> Market:  # noqa: ANN401 - any option
    """A market of an inverse book and a linear one."""
    options: Row = {"currencies": ("BTC", "SOL_USDC"), "start_ns": START_NS} | changes
    return Market(MarketOptions(seed=seed, **options))


@cache
def still() -> Market:
    """One that nobody moves."""
    return fresh()


Host = OkxVenue | BybitVenue | BinanceVenue | DeriveVenue | AevoVenue | DeltaVenue


def get(host: Host, path: str, **query: str) -> Any:  # noqa: ANN401 - any JSON value
    """A GET that succeeds over HTTP."""
    status, body = host.answer(path, query)
    assert status == 200
    return json.loads(body)


def board(stress: float = 1.0, carry: float = 0.06) -> Board:
    """A board in a state."""
    made = Board(TERMS["BTC"], first_number=1)
    made.perpetual_coins, made.stress, made.carry = 60_000.0, stress, carry
    return made


def width(stress: float) -> float:
    """How far apart the venues' funding is."""
    rates = [perpetual_of(board(stress), venue).funding for venue in PLACES]
    return max(rates) - min(rates)


def test_funding_is_the_carry_and_the_venue_stands_beside_it() -> None:
    """6 % a year are 0.0000548 for eight hours; the venues keep their order."""
    rates = [perpetual_of(board(), venue).funding for venue in PLACES]

    assert rates == sorted(rates)
    assert rates[0] < 0.06 / (3.0 * 365.0) < rates[-1]


def test_stress_spreads_the_funding_and_drives_positions_out() -> None:
    """Twice the volatility: four times the spread, and a third less is held."""
    calm, stressed = perpetual_of(board(1.0), "okx"), perpetual_of(board(2.0), "okx")

    assert width(2.0) == pytest.approx(4.0 * width(1.0), rel=1e-3)
    assert stressed.coins == pytest.approx(calm.coins * exp(-0.4), rel=1e-6)


def test_source_without_a_market_tells_nothing() -> None:
    """A chain of a file has no perpetual."""
    assert perpetual_of(Board(TERMS["BTC"], first_number=1), "deribit") == Perpetual(0.0, 0.0)


def test_market_hands_its_state_to_the_boards() -> None:
    """Stress is the short volatility beside the usual one, times what a surge adds."""
    market = fresh(surge=2.0, surge_every_seconds=1.0, surge_seconds=0.5)
    calm = [b.stress for b in market.boards]
    for _ in range(150):
        market.advance()

    short = np.exp(0.5 * market.state[:, process.LOG_SHORT])
    for number, made in enumerate(market.boards):
        assert made.perpetual_coins == PERPETUAL_NOTIONAL / made.terms.spot
        assert made.stress == pytest.approx(3.0 * short[number] / made.terms.vol, rel=0.05)
        assert made.stress > 2.0 * calm[number]
        assert made.carry == pytest.approx(market.state[number, process.CARRY], abs=1e-3)


def test_volumes_are_a_part_of_what_is_held() -> None:
    """Most options near the money were traded, none more than some multiples of its interest."""
    made = still().boards[0]
    near = np.abs(np.log(made.strike / made.index_price)) < 0.1
    lots = made.volume * 10.0

    assert np.count_nonzero(made.volume[near]) > 0.9 * np.count_nonzero(near)
    assert 0.05 < made.volume.sum() / made.open_interest.sum() < 0.5
    assert np.array_equal(lots, np.round(lots))


def test_same_seed_tells_the_same_and_another_does_not() -> None:
    """To the last digit, volumes and states."""
    first, second, other = fresh(7), fresh(7), fresh(8)
    for made, again, different in zip(first.boards, second.boards, other.boards, strict=True):
        assert np.array_equal(made.volume, again.volume)
        assert perpetual_of(made, "okx") == perpetual_of(again, "okx")
        assert perpetual_of(made, "okx") != perpetual_of(different, "okx")


def test_deribit_tells_usd_of_the_inverse_and_coins_of_the_linear_one() -> None:
    """Funding for eight hours, open interest in lots of USD 10, volumes in coins."""
    api = PublicApi(Venue(still()), lambda *_: [])
    path = "public/get_book_summary_by_currency"
    for number, (currency, name) in enumerate(
        (("BTC", "BTC-PERPETUAL"), ("USDC", "SOL_USDC-PERPETUAL"))
    ):
        made = still().boards[number]
        rows: Any = api.call(path, {"currency": currency, "kind": "future"})
        (row,) = (row for row in rows if row["instrument_name"] == name)
        expected = perpetual_of(made, "deribit")
        assert row["funding_8h"] == expected.funding
        coins = row["open_interest"] / (row["estimated_delivery_price"] if number == 0 else 1.0)
        assert coins == pytest.approx(expected.coins, abs=10.0 / made.index_price)
        options: Any = api.call(path, {"currency": currency, "kind": "option"})
        assert sum(row["volume"] for row in options) == pytest.approx(made.volume.sum())
        ticker: Any = api.call("public/ticker", {"instrument_name": name})
        assert ticker["open_interest"] == row["open_interest"]


def test_okx_tells_contracts_and_coins() -> None:
    """A fifth in the swap paid in the coin; two settlements eight hours apart."""
    host, made = OkxVenue(still(), 5), still().boards[0]
    expected = perpetual_of(made, "okx")
    rows = {r["instId"]: r for r in get(host, "public/open-interest", instType="SWAP")["data"]}
    (funding,) = get(host, "public/funding-rate", instId="BTC-USDT-SWAP")["data"]
    unknown = get(host, "public/funding-rate", instId="DOGE-USD-SWAP")

    held = [float(rows[f"BTC-{quote}-SWAP"]["oiCcy"]) for quote in ("USD", "USDT")]
    assert sum(held) == pytest.approx(expected.coins)
    assert held[0] == pytest.approx(0.2 * expected.coins)
    assert int(rows["BTC-USDT-SWAP"]["oi"]) == round(held[1] / 0.01)
    assert float(funding["fundingRate"]) == expected.funding
    assert int(funding["nextFundingTime"]) - int(funding["fundingTime"]) == 8 * 3_600_000
    assert int(funding["fundingTime"]) > int(funding["ts"])
    assert unknown["code"] == "51001"


def test_okx_shares_volumes_between_two_families() -> None:
    """Half of the market's in each, in contracts."""
    host, made = OkxVenue(still(), 5), still().boards[0]
    for family, size in (("BTC-USD", 0.01), ("BTC-USD_UM", 0.01)):
        answer = get(host, "market/tickers", instType="OPTION", instFamily=family)
        told = sum(int(row["vol24h"]) for row in answer["data"]) * size
        assert told == pytest.approx(0.5 * made.volume.sum(), rel=1e-6)
        for row in answer["data"]:
            assert float(row["volCcy24h"]) == pytest.approx(int(row["vol24h"]) * size)


def test_bybit_tells_coins_of_the_linear_and_usd_of_the_inverse_one() -> None:
    """Nine tenths and one."""
    host, made = BybitVenue(still(), 5), still().boards[0]
    expected = perpetual_of(made, "bybit")
    path = "v5/market/tickers"
    linear = get(host, path, category="linear", symbol="BTCUSDT")["result"]["list"][0]
    inverse = get(host, path, category="inverse", symbol="BTCUSD")["result"]["list"][0]
    options = get(host, path, category="option", baseCoin="BTC")["result"]["list"]

    assert float(linear["openInterest"]) == pytest.approx(0.9 * expected.coins, abs=1e-3)
    coins = float(inverse["openInterest"]) / float(inverse["indexPrice"])
    assert coins == pytest.approx(0.1 * expected.coins, rel=1e-6)
    for row in (linear, inverse):
        assert float(row["fundingRate"]) == expected.funding
        assert row["fundingIntervalHour"] == "8"
    assert sum(float(row["volume24h"]) for row in options) == pytest.approx(made.volume.sum())


def test_binance_tells_contracts_and_has_its_perpetuals_under_another_path() -> None:
    """Coins of open interest; no interval was adjusted."""
    host, made = BinanceVenue(still(), 5), still().boards[0]
    expected = perpetual_of(made, "binance")
    premium = get(host, "fapi/v1/premiumIndex", symbol="BTCUSDT")
    interest = get(host, "fapi/v1/openInterest", symbol="BTCUSDT")
    volumes = [r for r in get(host, "eapi/v1/ticker") if r["symbol"].startswith("BTC-")]
    unknown, _ = host.answer("fapi/v1/premiumIndex", {"symbol": "NOPEUSDT"})

    assert float(premium["lastFundingRate"]) == expected.funding
    assert premium["time"] == START_NS // 1_000_000
    assert float(interest["openInterest"]) == expected.coins
    assert get(host, "fapi/v1/fundingInfo") == []
    assert sum(float(r["volume"]) for r in volumes) == pytest.approx(made.volume.sum())
    assert unknown == 400


def test_derive_tells_the_funding_of_an_hour() -> None:
    """In the slim ticker of the perpetual; volumes in those of the options."""
    host, made = DeriveVenue(still(), 5), still().boards[0]
    expected = perpetual_of(made, "derive")
    tickers = get(host, "public/get_tickers", instrument_type="perp")["result"]["tickers"]
    only = get(host, "public/get_tickers", instrument_type="perp", currency="SOL")["result"]
    alive = np.flatnonzero(made.alive).tolist()
    rows = [row for _, row in host.ticker_rows(0, alive)]

    assert sorted(tickers) == ["BTC-PERP", "SOL-PERP"]
    assert sorted(only["tickers"]) == ["SOL-PERP"]
    assert float(tickers["BTC-PERP"]["f"]) * 8.0 == pytest.approx(expected.funding, abs=1e-9)
    assert float(tickers["BTC-PERP"]["stats"]["oi"]) == expected.coins
    assert tickers["BTC-PERP"]["option_pricing"] is None
    assert sum(float(row["stats"]["c"]) for row in rows) == pytest.approx(made.volume.sum())


def test_aevo_tells_the_funding_of_an_hour() -> None:
    """Open interest in USDC; volumes it does not tell."""
    host = AevoVenue(still(), 5)
    made = still().boards[0]
    expected = perpetual_of(made, "aevo")
    (row,) = get(host, "coingecko-statistics")

    assert row["ticker_id"] == "BTC-PERP"
    assert float(row["funding_rate"]) * 8.0 == pytest.approx(expected.funding, abs=1e-11)
    coins = float(row["open_interest"]) / float(row["index_price"])
    assert coins == pytest.approx(expected.coins, rel=1e-9)


def test_delta_tells_funding_in_per_cent_and_interest_in_contracts() -> None:
    """Of eight hours, as its listing says; volumes of options in coins and in contracts."""
    host = DeltaVenue(still(), 5)
    made = still().boards[0]
    expected = perpetual_of(made, "delta")
    (row,) = get(host, "v2/tickers", contract_types="perpetual_futures")["result"]
    (terms,) = get(host, "v2/products", contract_types="perpetual_futures")["result"]

    assert row["symbol"] == terms["symbol"] == "BTCUSDT"
    assert terms["product_specs"]["rate_exchange_interval"] == 28_800
    assert float(row["funding_rate"]) / 100.0 == pytest.approx(expected.funding, abs=1e-11)
    coins = float(row["oi_contracts"]) * float(terms["contract_value"])
    assert coins == pytest.approx(expected.coins, abs=5e-4)
    rows = get(host, "v2/tickers", contract_types="call_options,put_options")["result"]
    (book,) = host.books
    assert sum(row["volume"] for row in rows) == pytest.approx(book.board.volume.sum())
    assert sum(row["size"] for row in rows) == round(book.board.volume.sum() * 1_000)


def test_options_listed_later_have_volumes_too() -> None:
    """From the roll on, thirteen seconds after it."""
    start_ns = parse_instant("2026-07-02T07:59:59Z")
    market = fresh(start_ns=start_ns, currencies=("SOL_USDC",), rate=10.0)
    known = len(market.boards[0].options)
    for _ in range(16 * NANOS_PER_SECOND // market.step_ns):
        market.advance()

    made = market.boards[0]
    assert len(made.volume) == len(made.options) > known
    assert made.volume[known:].sum() > 0.0
    assert log(made.open_interest[known:].sum() / made.volume[known:].sum()) > 0.0
