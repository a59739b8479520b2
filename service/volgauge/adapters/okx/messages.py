"""OKX's frames, as far as we read them; the venue's own names.

A best bid and offer, the hot frame:
    {"arg":{"channel":"bbo-tbt","instId":"BTC-USD-260321-70000-C"},"data":[{"asks":[["0.0135",
     "2058","0","4"]],"bids":[],"ts":"1773966184462","seqId":123456}]}
An answer, one for each argument, and a refusal:
    {"event":"subscribe","arg":{"channel":"opt-summary","instFamily":"BTC-USD"},"connId":"a4d3ae55"}
    {"event":"error","code":"60018","msg":"Wrong URL or channel:tickers,instFamily:BTC-USD doesn't
     exist. Please use the correct URL, channel and parameters referring to API document.",...}

Every number but a sequence number is a string; "" is an absent one. Levels and time stamps are
read straight into numbers (msgspec's lax mode), what may be "" stays text for `normalize`. Fields
are the venue's in snake case.
"""

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from volgauge.adapters.okx.endpoints import MAX_STAMP

Stamp = Annotated[int, Meta(ge=0, le=MAX_STAMP)]
"""Milliseconds, sent as text."""


class Arg(Struct, frozen=True, order=True, omit_defaults=True, rename="camel", cache_hash=True):
    """A channel and what it is about; the key of a subscription."""

    channel: str = ""
    inst_id: str = ""
    inst_family: str = ""
    inst_type: str = ""
    uly: str = ""
    """What `instFamily` was called before 2022."""


class HotArg(Struct, frozen=True, gc=False, rename="camel"):
    """Of a push about one instrument."""

    channel: str
    inst_id: str


class TopRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of `bbo-tbt` (levels) or of `tickers` (fields): both are a top of book.

    {"instType":"OPTION","instId":"BTC-USD-260321-70000-C","last":"0.013","lastSz":"1",
     "askPx":"0.0135","askSz":"2058","bidPx":"","bidSz":"",...,"ts":"1773966184462"}
    """

    asks: list[list[float]] = []
    """[price, size in contracts, "0", orders]."""
    bids: list[list[float]] = []
    ask_px: str = ""
    ask_sz: str = ""
    bid_px: str = ""
    bid_sz: str = ""
    ts: Stamp = 0


class TopFrame(Struct, frozen=True, gc=False, rename="camel"):
    """What the hot path decodes: once, and nothing it does not need."""

    arg: HotArg
    data: list[TopRow]


class Frame(Struct, frozen=True, gc=False, rename="camel"):
    """Any frame, payload undecoded."""

    event: str = ""
    arg: Arg | None = None
    action: str = ""
    data: Raw = Raw(b"")
    code: str = ""
    msg: str = ""


class BookRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of `books`, `books5` and the like; numbered since 2022.

    {"asks":[["8476.98","415","0","13"]],"bids":[],"ts":"1597026383085","checksum":0,
     "prevSeqId":123456,"seqId":123457}
    """

    asks: list[list[float]]
    bids: list[list[float]]
    ts: Stamp = 0
    seq_id: int | None = None
    prev_seq_id: int | None = None


class SummaryRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of `opt-summary`; bidVol is "" without a bid, askVol "5" without an ask.

    {"instId":"BTC-USD-260323-69500-P","deltaBS":"-0.4177692831","markVol":"0.4876708033",
     "bidVol":"0.4736418652","askVol":"0.5004972802","fwdPx":"70097.9783321022",
     "ts":"1773966134835",...}
    """

    inst_id: str
    mark_vol: str = ""
    delta_bs: str = field(name="deltaBS", default="")
    fwd_px: str = ""
    ts: Stamp = 0


class MarkRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of `mark-price`: {"instId":"ETH-USD-211231-9600-C","markPx":"0.0005","ts":...}."""

    inst_id: str
    mark_px: str = ""
    ts: Stamp = 0


class IndexRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of `index-tickers`: {"instId":"ETH-USD","idxPx":"3814.05","ts":"1640001659508"}."""

    inst_id: str
    idx_px: str = ""
    ts: Stamp = 0


class StatusRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of `status`, planned maintenance.

    {"title":"Spot System Upgrade","state":"scheduled","begin":"1610019546","end":"1610019546",
     "serviceType":"1","system":"classic","scheDesc":"","env":"1","ts":"1597026383085"}
    """

    title: str = ""
    state: str = ""
    begin: str = ""
    service_type: str = ""
    env: str = ""


class InstrumentRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of public/instruments; those of 2022 have no `instFamily`."""

    inst_type: str
    inst_id: str
    state: str
    tick_sz: str
    ct_val: str
    ct_mult: str
    ct_val_ccy: str = ""
    settle_ccy: str = ""
    inst_family: str = ""
    uly: str = ""
    opt_type: str = ""
    stk: str = ""
    exp_time: str = ""
    list_time: str = ""


class TickBand(Struct, frozen=True, gc=False, rename="camel"):
    """Prices from `minPx` step by `tickSz`."""

    min_px: str
    tick_sz: str


class TickBandRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of public/instrument-tick-bands: the families that exist, and their price steps.

    {"instType":"OPTION","instFamily":"ETH-USD","tickBand":[{"minPx":"0","maxPx":"0.005",
     "tickSz":"0.0001"},{"minPx":"0.005","maxPx":"10000000","tickSz":"0.0005"}]}
    """

    inst_family: str
    tick_band: list[TickBand] = []


class InterestRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of open-interest: {"instId":"ETH-USD-211231-9600-C","oi":"36","oiCcy":"3.6"}."""

    inst_id: str
    oi: str = ""
    oi_ccy: str = ""
    """The same in coins."""
    ts: Stamp = 0


class VolumeRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of market/tickers, for what `tickers` tells beside its quote.

    {"instId":"BTC-USD-260321-70000-C","volCcy24h":"16.13","vol24h":"1613",...}
    """

    inst_id: str
    vol_24h: str = field(name="vol24h", default="")
    """Contracts."""


class FundingRow(Struct, frozen=True, gc=False, rename="camel"):
    """A row of public/funding-rate: the rate that is paid at `fundingTime`.

    {"formulaType":"noRate","fundingRate":"0.0000182221218054","fundingTime":"1743609600000",
     "instId":"BTC-USD-SWAP","instType":"SWAP","method":"current_period",
     "nextFundingTime":"1743638400000","settState":"settled","ts":"1743588686291",...}
    """

    inst_id: str
    funding_rate: str = ""
    """Of the interval between the two instants, decimal."""
    funding_time: str = ""
    next_funding_time: str = ""
    ts: Stamp = 0


class Body(Struct, frozen=True, gc=False, rename="camel"):
    """A REST answer, rows undecoded so that one bad row is one bad row."""

    code: str
    msg: str = ""
    data: list[Raw] = []


class Request(Struct, frozen=True):
    """What we send."""

    op: str
    args: tuple[Arg, ...]
