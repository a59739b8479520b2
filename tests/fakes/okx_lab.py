"""Hand-made OKX bodies and frames (synthetic, documented shapes)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fakes.deribit_lab import Sink
from volgauge.adapters.base import State
from volgauge.adapters.okx.adapter import OkxAdapter
from volgauge.adapters.okx.protocol import OkxProtocol
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, parse_instant
from volgauge.settings import VenueSettings

NOW_NS = parse_instant("2026-07-01T12:00:00Z")
NOW_MS = NOW_NS // NANOS_PER_MILLI
NEAR, FAR = "260731", "261225"
CALL, PUT = "BTC-USD-260731-60000-C", "BTC-USD-260731-60000-P"
MARGINED_CALL = "BTC-USD_UM-260731-60000-C"
STAMP = 1_782_907_200_123
COIN_BANDS = [
    {"minPx": "0", "maxPx": "0.005", "tickSz": "0.0001"},
    {"minPx": "0.005", "maxPx": "10000000", "tickSz": "0.0005"},
]
MARGINED_BANDS = [{"minPx": "0", "maxPx": "10000000", "tickSz": "5"}]
QUOTES = ("USD", "USDT")
Row = dict[str, Any]


def option_row(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of public/instruments, its terms from its name."""
    base, quote, date, strike, right = name.split("-")
    expiry = parse_instant(f"20{date[:2]}-{date[2:4]}-{date[4:]}T08:00:00Z") // NANOS_PER_MILLI
    margined = quote.endswith("_UM")
    return {
        "instType": "OPTION",
        "instId": name,
        "instFamily": f"{base}-{quote}",
        "uly": f"{base}-USD",
        "settleCcy": "USD" if margined else base,
        "ctVal": "1",
        "ctMult": "0.1" if base == "ETH" else "0.01",
        "ctValCcy": base,
        "optType": right,
        "stk": strike,
        "listTime": "1782000000000",
        "expTime": str(expiry),
        "tickSz": "5" if margined else "0.0001",
        "lotSz": "1",
        "minSz": "1",
        "state": "live",
        "groupId": "2" if margined else "1",
    } | changes


def chain(
    strikes: Iterable[float], dates: Sequence[str] = (NEAR, FAR), family: str = "BTC-USD"
) -> list[Row]:
    """Rows of calls and puts."""
    return [
        option_row(f"{family}-{date}-{strike}-{right}")
        for date in dates
        for strike in strikes
        for right in "CP"
    ]


def body(rows: Sequence[object], code: str = "0", msg: str = "") -> bytes:
    """A REST answer."""
    return json.dumps({"code": code, "msg": msg, "data": rows}).encode()


def bands(families: Iterable[str]) -> bytes:
    """The tick bands of the families."""
    return body(
        [
            {
                "instType": "OPTION",
                "instFamily": family,
                "tickBand": MARGINED_BANDS if family.endswith("_UM") else COIN_BANDS,
            }
            for family in families
        ]
    )


def bodies(
    rows: Sequence[Row], contracts: Mapping[str, str] | None = None, extra: Sequence[str] = ()
) -> dict[str, bytes]:
    """All bodies of a catalog, from rows of any family and open interest by name."""
    families = sorted({row["instFamily"] for row in rows} | set(extra))
    found = {"tick_bands": bands(families)}
    for family in families:
        found[f"{family}.option"] = body([row for row in rows if row["instFamily"] == family])
        found[f"{family}.interest"] = body(
            [
                {"instType": "OPTION", "instId": name, "oi": oi, "oiCcy": "", "ts": str(NOW_MS)}
                for name, oi in (contracts or {}).items()
                if name.startswith(f"{family}-")
            ]
        )
        found[f"{family}.tickers"] = body(
            [volume_row(row["instId"]) for row in rows if row["instFamily"] == family]
        )
    swaps = [f"{family.split('-')[0]}-{quote}-SWAP" for family in families for quote in QUOTES]
    found["swap.interest"] = body([interest_row(swap) for swap in dict.fromkeys(swaps)])
    return found | {f"{swap}.funding": body([funding_row(swap)]) for swap in swaps}


def volume_row(name: str = CALL, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of market/tickers, as far as it tells a volume."""
    return {"instType": "OPTION", "instId": name, "volCcy24h": "2.5", "vol24h": "250"} | changes


def interest_row(swap: str, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of public/open-interest of a swap."""
    return {
        "instType": "SWAP", "instId": swap, "oi": "9000", "oiCcy": "1234.5", "oiUsd": "75304500",
        "ts": str(NOW_MS - 500),
    } | changes  # fmt: skip


def funding_row(swap: str, **changes: Any) -> Row:  # noqa: ANN401 - any JSON value
    """A row of public/funding-rate, of an interval of 8 hours."""
    return {
        "formulaType": "noRate", "fundingRate": "0.0001", "fundingTime": str(NOW_MS + 14_400_000),
        "instId": swap, "instType": "SWAP", "method": "current_period",
        "nextFundingTime": str(NOW_MS + 43_200_000), "settState": "settled", "ts": str(NOW_MS),
    } | changes  # fmt: skip


def make(sink: Sink, **settings: Any) -> OkxAdapter:  # noqa: ANN401 - any setting
    """An adapter without a catalog."""
    settings.setdefault("assets", ("BTC", "ETH", "SOL"))
    return OkxAdapter(VenueSettings(**settings), sink)


def listed(
    sink: Sink,
    rows: Sequence[Row],
    **settings: Any,  # noqa: ANN401 - any setting
) -> OkxAdapter:
    """An adapter that has read a catalog."""
    adapter = make(sink, **settings)
    adapter.on_catalog(bodies(rows), NOW_NS)
    return adapter


def push(arg: Mapping[str, str], rows: Sequence[object], action: str = "") -> bytes:
    """A push frame."""
    return json.dumps(
        {"arg": arg} | ({"action": action} if action else {}) | {"data": rows}
    ).encode()


def level(price: str, size: str) -> list[str]:
    """A level of a book."""
    return [price, size, "0", "3"]


def bbo(
    name: str = CALL,
    bid: tuple[str, str] | None = ("0.05", "300"),
    ask: tuple[str, str] | None = ("0.0505", "450"),
    number: int = 7,
) -> bytes:
    """A `bbo-tbt` frame."""
    row = {
        "asks": [] if ask is None else [level(*ask)],
        "bids": [] if bid is None else [level(*bid)],
        "ts": str(STAMP),
        "seqId": number,
    }
    return push({"channel": "bbo-tbt", "instId": name}, [row])


def ticker(name: str = CALL, **changes: str) -> bytes:
    """A `tickers` frame."""
    row = {
        "instType": "OPTION", "instId": name, "last": "0.05", "lastSz": "1", "askPx": "0.0505",
        "askSz": "450", "bidPx": "0.05", "bidSz": "300", "open24h": "0.0335", "vol24h": "1613",
        "ts": str(STAMP),
    } | changes  # fmt: skip
    return push({"channel": "tickers", "instId": name}, [row])


def summary(name: str = CALL, **changes: str) -> Row:
    """A row of `opt-summary`."""
    return {
        "instType": "OPTION", "instId": name, "uly": "BTC-USD", "delta": "0.43", "gamma": "9.26",
        "vega": "0.0003", "theta": "-0.0027", "deltaBS": "0.41", "lever": "68.9",
        "markVol": "0.4876708033", "bidVol": "0.4736418652", "askVol": "0.5004972802",
        "realVol": "", "fwdPx": "61234.5", "ts": str(STAMP),
    } | changes  # fmt: skip


def summaries(rows: Sequence[Row], family: str = "BTC-USD") -> bytes:
    """An `opt-summary` frame."""
    return push({"channel": "opt-summary", "instFamily": family}, rows)


def index(name: str = "BTC-USD", price: str = "61000.5") -> bytes:
    """The index price that every connection carries."""
    row = {"instId": name, "idxPx": price, "high24h": "62000", "ts": str(STAMP)}
    return push({"channel": "index-tickers", "instId": name}, [row])


def acknowledge(arg: Mapping[str, str], event: str = "subscribe") -> bytes:
    """The answer for one argument."""
    return json.dumps({"event": event, "arg": arg, "connId": "a4d3ae55"}).encode()


def refusal(code: str, message: str) -> bytes:
    """An error."""
    return json.dumps({"event": "error", "code": code, "msg": message, "connId": "a4"}).encode()


def missing(arg: Mapping[str, str]) -> bytes:
    """The refusal of one argument, in the venue's words."""
    named = ",".join(f"{key}:{value}" for key, value in arg.items())
    text = f"Wrong URL or {named} doesn't exist. Please use the correct URL, channel and parameters"
    return refusal("60018", f"{text} referring to API document.")


UPGRADE = json.dumps(
    {
        "event": "notice",
        "code": "64008",
        "msg": "The connection will soon be closed for a service upgrade. Please reconnect.",
        "connId": "a4d3ae55",
    }
).encode()


def sent(protocol: OkxProtocol) -> list[Row]:
    """The requests that wait to be sent; pings left out."""
    return [json.loads(frame) for frame in protocol.frames_to_send() if frame != b"ping"]


def settle(protocol: OkxProtocol, now_ns: int, *, steps: int = 60) -> int:
    """Answer everything as a willing venue would, until nothing is left; the time then."""
    for _ in range(steps):
        for frame in protocol.frames_to_send():
            if frame == b"ping":
                protocol.receive(b"pong", now_ns)
                continue
            request = json.loads(frame)
            for arg in request["args"]:
                protocol.receive(acknowledge(arg, request["op"]), now_ns)
        due = protocol.next_timeout_ns
        if due is None or due > now_ns + NANOS_PER_SECOND:
            return now_ns
        now_ns = max(now_ns, due)
        protocol.on_timeout(now_ns)
    raise AssertionError("the session does not come to rest")


def running(protocol: OkxProtocol, now_ns: int = NOW_NS) -> OkxProtocol:
    """Started, everything accepted, first data received."""
    protocol.start(now_ns)
    settle(protocol, now_ns)
    protocol.receive(index(), now_ns)
    assert protocol.state is State.LIVE
    return protocol
