"""The grammar of Deribit's channel names."""

from msgspec import Struct

from volgauge.simulator.deribit import Contract

FAST_MS, SLOW_MS = 100, 1000
_INTERVALS = {"100ms": FAST_MS, "agg2": SLOW_MS}
_GROUPS = frozenset({"none", "1", "2", "5", "10", "25", "100", "250"})
_DEPTHS = frozenset({"1", "10", "20"})
_KINDS = frozenset({"future", "option", "spot", "future_combo", "option_combo", "combo", "any"})
_CURRENCIES = frozenset({"BTC", "ETH", "USDC", "USDT", "any"})
_INDEXED = {
    "deribit_price_index": "price_index",
    "deribit_volatility_index": "vol_index",
    "estimated_expiration_price": "expiration_price",
}


class Channel(Struct, frozen=True, kw_only=True):
    """One valid channel, taken apart."""

    name: str
    topic: str
    """`quote`, `ticker`, `incremental`, `book`, `grouped`, `marks`, `price_index`, `vol_index`,
    `expiration_price`, `state`, `creation`, `platform` or `methods`."""
    contract: Contract | None = None
    interval_ms: int = 0
    depth: int = 0
    index: str = ""
    kind: str = ""
    currency: str = ""


def is_raw(name: str) -> bool:
    """The channel asks for the interval that needs authentication."""
    return name.endswith(".raw")


def parse_channel(  # noqa: C901, PLR0911 - one branch a channel
    name: str, contracts: dict[str, Contract], indices: frozenset[str], vol_indices: frozenset[str]
) -> Channel | None:
    """Take a channel name apart; None when the venue would not know it."""
    parts = name.split(".")
    match parts:
        case ["quote", instrument] if instrument in contracts:
            return Channel(name=name, topic="quote", contract=contracts[instrument])
        case ["ticker", instrument, step] if instrument in contracts and step in _INTERVALS:
            return _timed(name, "ticker", contracts[instrument], step)
        case ["incremental_ticker", instrument] if instrument in contracts:
            return _timed(name, "incremental", contracts[instrument], "agg2")
        case ["book", instrument, step] if instrument in contracts and step in _INTERVALS:
            return _timed(name, "book", contracts[instrument], step)
        case ["book", instrument, group, depth, step] if (
            instrument in contracts and group in _GROUPS and depth in _DEPTHS and step in _INTERVALS
        ):
            return _timed(name, "grouped", contracts[instrument], step, int(depth))
        case ["markprice", "options", index] if index in indices:
            return Channel(name=name, topic="marks", index=index)
        case ["deribit_volatility_index", index] if index in vol_indices:
            return Channel(name=name, topic="vol_index", index=index)
        case [("deribit_price_index" | "estimated_expiration_price") as topic, index] if (
            index in indices
        ):
            return Channel(name=name, topic=_INDEXED[topic], index=index)
        case ["instrument", ("state" | "creation") as topic, kind, currency] if (
            kind in _KINDS and currency in _CURRENCIES
        ):
            return Channel(name=name, topic=topic, kind=kind, currency=currency)
        case ["platform_state"]:
            return Channel(name=name, topic="platform")
        case ["platform_state", "public_methods_state"]:
            return Channel(name=name, topic="methods")
        case _:
            return None


def _timed(name: str, topic: str, contract: Contract, step: str, depth: int = 0) -> Channel:
    return Channel(
        name=name, topic=topic, contract=contract, interval_ms=_INTERVALS[step], depth=depth
    )
