"""Recorded and documented volumes and perpetuals of every venue, to the last field.

The expected numbers are the frames' own digits, with the unit spelled out beside them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from fakes import binance_lab, bybit_lab, deribit_lab, derive_lab, okx_lab
from fakes.deribit_lab import Sink
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.domain.events import InstrumentsListed, OpenInterest, PerpetualState, TradedVolume
from volgauge.domain.instrument import Asset, Venue
from volgauge.domain.units import NANOS_PER_MILLI, parse_instant

Row = dict[str, Any]


@pytest.fixture(scope="module")
def wire(test_data: Path) -> Path:
    """Where the messages are."""
    return test_data / "wire"


def samples(path: Path, word: str) -> list[Any]:
    """Payloads of the lines of a file that hold a word."""
    return [json.loads(line)["sample"] for line in path.read_text().splitlines() if word in line]


def by_name(sink: Sink, kind: type) -> dict[str, float]:
    """Amounts of all events of a kind, by option."""
    names = {
        slot: instrument.name
        for event in sink.of(InstrumentsListed)
        for slot, instrument in zip(event.slots, event.instruments, strict=True)
    }
    return {
        names[slot]: amount
        for event in sink.of(kind)
        for slot, amount in zip(event.slots, event.amounts, strict=True)
    }


def state(
    venue: str,
    coin: str,
    quote: str,
    *,
    funding: float,
    coins: float,
    millis: int,
    received_ns: int,
) -> PerpetualState:
    """The event of a perpetual."""
    return PerpetualState(
        venue=Venue(venue), received_ns=received_ns, asset=Asset(coin), quote_currency=quote,
        funding_rate=funding, open_interest=coins, exchange_ns=millis * NANOS_PER_MILLI,
    )  # fmt: skip


def test_deribit_summary_of_futures_tells_the_inverse_perpetual(wire: Path) -> None:
    """Recorded 2026-05-22: USD 1,012,315,080 at the index 76,736.38 are 13,192 coins."""
    whole = (wire / "deribit" / "maks_deribit_book_summary_btc_future.json").read_bytes()
    sink = Sink()
    adapter = deribit_lab.make(sink)
    given = deribit_lab.bodies(adapter, [deribit_lab.option_row()])
    adapter.on_catalog(given | {"BTC.perpetual": whole}, deribit_lab.NOW_NS)

    assert sink.of(PerpetualState) == [
        state(
            "deribit", "BTC", "USD", funding=5.06e-06, coins=1_012_315_080 / 76_736.38,
            millis=1_779_460_434_086, received_ns=deribit_lab.NOW_NS,
        )
    ]  # fmt: skip
    assert sink.of(PerpetualState)[0].open_interest == pytest.approx(13_192.114, abs=0.001)
    assert adapter.connections()[2].counts == {}


@pytest.mark.parametrize(
    ("name", "options"),
    [("maks_deribit_book_summary_btc_option.json", 5), ("book_summary_3rows_2025-01-17.jsonl", 3)],
)
def test_deribit_summary_of_options_tells_volumes(wire: Path, name: str, options: int) -> None:
    """In the coin, as the open interest beside them."""
    text = (wire / "deribit" / name).read_text()
    rows: list[Row]
    if name.endswith("jsonl"):
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        rows = json.loads(text)["result"]
    listed = [_deribit_option(row["instrument_name"]) for row in rows]
    sink = Sink()
    adapter = deribit_lab.make(sink)
    now_ns = min(row["creation_timestamp"] for row in rows) * NANOS_PER_MILLI
    adapter.on_catalog(deribit_lab.bodies(adapter, listed, rows), now_ns)

    assert by_name(sink, TradedVolume) == {r["instrument_name"]: r["volume"] for r in rows}
    assert len(by_name(sink, TradedVolume)) == options


def _deribit_option(name: str) -> Row:
    coin, code, strike, _ = name.split("-")
    months = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
    month = months.index(code[-5:-2]) // 3 + 1
    expiry = f"20{code[-2:]}-{month:02d}-{int(code[:-5]):02d}T08:00:00Z"
    return deribit_lab.option_row(name, expiry, float(strike), coin)


@pytest.mark.parametrize(
    ("file", "word", "name", "contracts", "size"),
    [
        ("oggregator_frames_2026-03.jsonl", "WS_TICKER_MSG", "BTC-USD-260321-70000-C", 1613, 0.01),
        ("oggregator_frames_2026-03.jsonl", "REST_TICKER", "BTC-USD-260321-70000-C", 1613, 0.01),
        ("tardis_v5_option_messages.jsonl", '"tickers"', "ETH-USD-211231-9600-C", 0, 0.1),
    ],
)
def test_okx_tickers_tell_volumes(
    wire: Path, file: str, word: str, name: str, contracts: int, size: float
) -> None:
    """1,613 contracts of 0.01 BTC are the 16.13 of `volCcy24h`."""
    text = (wire / "okx" / file).read_text()
    (line,) = (line for line in text.splitlines() if word in line)
    message = json.loads(line)
    message = message.get("sample", message)
    (row,) = message.get("data", [message])
    sink = Sink()
    given = okx_lab.bodies([okx_lab.option_row(name)])
    family = name.rsplit("-", 3)[0]
    now_ns = parse_instant(f"20{name.split('-')[2][:2]}-01-01T00:00:00Z")
    okx_lab.make(sink).on_catalog(given | {f"{family}.tickers": okx_lab.body([row])}, now_ns)

    assert by_name(sink, TradedVolume) == {name: contracts * size}
    assert by_name(sink, TradedVolume)[name] == pytest.approx(float(row["volCcy24h"]))


def test_okx_open_interest_of_swaps_is_told_in_coins(wire: Path) -> None:
    """Recorded 2026-08-08 on its demo: every swap in one body; two of our coins are in it."""
    recorded = json.loads((wire / "okx" / "zenhive_open_interests_2026-08-08.json").read_text())
    whole = json.dumps(recorded["body"]).encode()
    names = ("BTC-USD-260918-60000-C", "SOL-USD_UM-260918-100.5-P")
    now_ns = 1_786_185_324_000 * NANOS_PER_MILLI
    sink = Sink()
    adapter = okx_lab.make(sink)
    given = okx_lab.bodies([okx_lab.option_row(name) for name in names])
    fundings = [name for name in given if name.endswith(".funding")]
    given |= {"swap.interest": whole} | dict.fromkeys(fundings, okx_lab.body([]))
    adapter.on_catalog(given, now_ns)

    found = {(e.asset, e.quote_currency): e for e in sink.of(PerpetualState)}
    assert {key: event.open_interest for key, event in found.items()} == {
        ("BTC", "USD"): 14162732.6250150061118618, ("SOL", "USD"): 1121412.0367276566739284,
    }  # fmt: skip
    assert {event.exchange_ns for event in found.values()} == {1_786_185_323_564_000_000}
    assert all(event.funding_rate != event.funding_rate for event in found.values())


def test_okx_documented_funding_is_for_eight_hours() -> None:
    """The sample of "Get funding rate": two settlements eight hours apart."""
    row = {
        "formulaType": "noRate", "fundingRate": "0.0000182221218054",
        "fundingTime": "1743609600000", "impactValue": "", "instId": "BTC-USD-SWAP",
        "instType": "SWAP", "interestRate": "", "maxFundingRate": "0.00375",
        "method": "current_period", "minFundingRate": "-0.00375", "nextFundingRate": "",
        "nextFundingTime": "1743638400000", "premium": "0.0000910113652644",
        "settFundingRate": "0.0000145824401745", "settState": "settled", "ts": "1743588686291",
    }  # fmt: skip
    sink = Sink()
    given = okx_lab.bodies([okx_lab.option_row()])
    given |= {"BTC-USD-SWAP.funding": okx_lab.body([row]), "swap.interest": okx_lab.body([])}
    okx_lab.make(sink).on_catalog(given, okx_lab.NOW_NS)

    event = next(e for e in sink.of(PerpetualState) if e.quote_currency == "USD")
    assert event.funding_rate == 0.0000182221218054
    assert event.exchange_ns == 1_743_588_686_291_000_000


def _bybit(sink: Sink, given: dict[str, bytes], name: str) -> BybitAdapter:
    """An adapter that lists one option, and reads these bodies."""
    adapter = bybit_lab.make(sink, assets=(name.split("-", maxsplit=1)[0],))
    row = bybit_lab.option_row(name, _bybit_expiry(name))
    now_ns = parse_instant(_bybit_expiry(name)) - 10**12
    adapter.on_catalog(bybit_lab.bodies(adapter, [row]) | given, now_ns)
    return adapter


def _bybit_expiry(name: str) -> str:
    months = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC"
    code = name.split("-")[1]
    month = months.index(code[-5:-2]) // 3 + 1
    return f"20{code[-2:]}-{month:02d}-{int(code[:-5]):02d}T08:00:00Z"


def _bybit_volumes(wire: Path) -> list[tuple[str, float]]:
    """Every recorded and documented option ticker's name and volume."""
    found = []
    for path in sorted((wire / "bybit").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            message = json.loads(line)
            message = message.get("sample", message)
            data = message.get("data", message.get("result", message))
            rows = data.get("list", [data]) if isinstance(data, dict) else []
            found += [
                (row["symbol"], float(row["volume24h"]))
                for row in rows
                if "volume24h" in row and "markIv" in row | {"markIv": row.get("markPriceIv")}
                and row["symbol"].count("-") >= 3
            ]  # fmt: skip
    return found


def test_bybit_tickers_tell_volumes(wire: Path) -> None:
    """`volume24h` is in coins; the names of the REST rows and of the pushes are the same."""
    told = _bybit_volumes(wire)
    assert {(name, volume) for name, volume in told} == {
        ("SOL-28APR23-24-C", 10.0), ("ETH-30JUN23-200-P", 0.0), ("BTC-6JAN23-17500-C", 26.55),
        ("BTC-21MAR26-70000-C-USDT", 50.26), ("BTC-30DEC22-18000-C", 0.15),
    }  # fmt: skip
    for name, volume in told:
        sink = Sink()
        row = {"symbol": name, "volume24h": str(volume), "openInterest": "1"}
        _bybit(sink, {f"{name.split('-')[0]}.tickers": bybit_lab.body([row])}, name)
        assert by_name(sink, TradedVolume) == {name: volume}


def test_bybit_documented_inverse_perpetual_is_worth_its_usd_in_coins(wire: Path) -> None:
    """USD 240,113,967 at the index 114,890.92; the page says 2,089.79 coins at the mark."""
    (whole,) = samples(
        wire / "bybit" / "docs_samples_2026-07.jsonl", '"openInterestValue": "2089.79"'
    )
    sink = Sink()
    name = "BTC-25DEC26-67000-C-USDT"
    adapter = _bybit(
        sink, {"BTC.inverse": json.dumps(whole).encode(), "BTC.linear": bybit_lab.body([])}, name
    )

    (event,) = sink.of(PerpetualState)
    assert event == state(
        "bybit", "BTC", "USD", funding=0.0001, coins=240_113_967 / 114_890.92,
        millis=1_760_352_369_814, received_ns=event.received_ns,
    )  # fmt: skip
    assert event.open_interest == pytest.approx(2_089.79, rel=1e-4)
    assert adapter.connections()[-1].counts == {"rejected.perpetual_body": 1}


def test_bybit_documented_linear_perpetual_counts_coins(wire: Path) -> None:
    """The push of the linear socket has the fields of the REST row; shorts are paid here."""
    frame = json.loads((wire / "bybit" / "nautilus" / "ws_ticker_linear.json").read_text())
    sink = Sink()
    name = "BTC-25DEC26-67000-C-USDT"
    _bybit(sink, {"BTC.linear": bybit_lab.body([frame["data"]])}, name)

    event = next(e for e in sink.of(PerpetualState) if e.quote_currency == "USDT")
    assert (event.funding_rate, event.open_interest) == (-0.000212, 68_744.761)


@pytest.mark.parametrize(
    ("file", "word", "names", "contracts"),
    [
        ("tardis_eapi_v2_messages_2025-12-17.jsonl", "optionTicker", ("s", "v"), 44.43),
        ("docs_samples_2026-03.jsonl", "24-hour-TICKER", ("s", "v"), 9.0),
        ("docs_samples_2026-03.jsonl", "24hr-Ticker", ("symbol", "volume"), 5.0),
    ],
)
def test_binance_tickers_tell_volumes(
    wire: Path, file: str, word: str, names: tuple[str, str], contracts: float
) -> None:
    """Contracts, each one coin of BTC and ETH; a stream's row in the names of the REST rows."""
    text = (wire / "binance" / file).read_text()
    (line,) = (line for line in text.splitlines() if word in line)
    message = json.loads(line)
    payload = message.get("sample", message.get("data"))
    row = payload[0] if isinstance(payload, list) else payload
    rest = {"symbol": row[names[0]], "volume": row[names[1]]}
    option = binance_lab.option_row(rest["symbol"])
    sink = Sink()
    given = binance_lab.bodies([option]) | {"ticker": json.dumps([rest]).encode()}
    binance_lab.make(sink).on_catalog(given, option["expiryDate"] * NANOS_PER_MILLI - 10**12)

    assert by_name(sink, TradedVolume) == {rest["symbol"]: contracts}


def test_binance_recorded_volume_is_in_contracts(wire: Path) -> None:
    """44.43 at the weighted mean price are the turnover beside it."""
    path = wire / "binance" / "tardis_eapi_v2_messages_2025-12-17.jsonl"
    (line,) = (line for line in path.read_text().splitlines() if "optionTicker" in line)
    row = json.loads(line)["data"]

    assert float(row["v"]) * float(row["w"]) == pytest.approx(float(row["q"]), rel=1e-5)


def test_binance_documented_perpetual() -> None:
    """The samples of "Mark Price" and "Open Interest" of the USDT futures; 8 hours unless told."""
    given = binance_lab.bodies([binance_lab.option_row()])
    premium = {
        "symbol": "BTCUSDT", "markPrice": "11793.63104562", "indexPrice": "11781.80495970",
        "estimatedSettlePrice": "11781.16138815", "lastFundingRate": "0.00038246",
        "interestRate": "0.00010000", "nextFundingTime": 1597392000000, "time": 1597370495002,
    }  # fmt: skip
    interest = {"openInterest": "10659.509", "symbol": "BTCUSDT", "time": 1589437530011}
    given |= {
        "BTCUSDT.funding": json.dumps(premium).encode(),
        "BTCUSDT.interest": json.dumps(interest).encode(),
    }
    sink = Sink()
    binance_lab.make(sink).on_catalog(given, binance_lab.NOW_NS)

    assert sink.of(PerpetualState) == [
        state(
            "binance", "BTC", "USDT", funding=0.00038246, coins=10_659.509,
            millis=1_597_370_495_002, received_ns=binance_lab.NOW_NS,
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("options_ws_ticker_slim_eth_put.json", "ETH-20260612-1900-P"),
        ("options_ws_ticker_slim_eth_call.json", "ETH-20260612-1600-C"),
    ],
)
def test_derive_recorded_tickers_tell_volumes(wire: Path, name: str, option: str) -> None:
    """`c` of 2026-05-28, in coins; nothing was traded, which is told too."""
    data = json.loads((wire / "derive" / "nautilus" / name).read_text())
    sink = Sink()
    protocol = derive_lab.make(sink, assets=()).connections()[0]
    protocol.start(derive_lab.NOW_NS)
    protocol.receive(derive_lab.push(f"ticker_slim.{option}.100", data), derive_lab.NOW_NS)

    assert by_name(sink, TradedVolume) == {option: float(data["instrument_ticker"]["stats"]["c"])}
    assert by_name(sink, OpenInterest) == {option: float(data["instrument_ticker"]["stats"]["oi"])}


def test_derive_recorded_perpetual_is_paid_by_the_hour(wire: Path) -> None:
    """2026-05-28: 0.0000125 an hour are 0.0001 for eight; 4,248.342 ETH are held."""
    folder = wire / "derive" / "nautilus"
    ticker = json.loads((folder / "perps_ws_ticker_slim_eth.json").read_text())
    sink = Sink()
    adapter = derive_lab.make(sink)
    given = derive_lab.bodies(adapter, [derive_lab.option_row("ETH-20260731-3000-C")])
    given["perpetuals"] = derive_lab.perpetuals({"ETH-PERP": ticker["instrument_ticker"]})
    adapter.on_catalog(given, derive_lab.NOW_NS)

    assert sink.of(PerpetualState) == [
        state(
            "derive", "ETH", "USDC", funding=0.0001, coins=4_248.342,
            millis=1_779_953_796_714, received_ns=derive_lab.NOW_NS,
        )
    ]  # fmt: skip
