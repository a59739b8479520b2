"""Volumes of Binance's options, funding and open interest of its USDT perpetuals, over REST.

An option's volume has a stream for each option, 200 of which fill a connection; the perpetuals are
of another product on another host. Once a minute is enough for what no index rests on.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.binance import messages
from volgauge.adapters.binance.endpoints import (
    FUNDING_HOURS,
    FUTURES_REST_URL,
    REST_URL,
    VENUE,
)
from volgauge.adapters.facts import is_amount, read_number, tell_perpetual
from volgauge.adapters.payload import UNREADABLE, read_rows
from volgauge.adapters.reader import RowReader
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Asset, Instrument
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.errors import CatalogError, VenueError

VOLUMES, FUNDING_INFO = "ticker", "funding_info"
"""Bodies of the catalog; further ones are `{symbol}.funding` and `{symbol}.interest`."""

Volume = tuple[str, float | None] | None
"""Name of an option and its contracts; None: the row cannot be read."""
T = TypeVar("T")

_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_volume = msgspec.json.Decoder(messages.VolumeRow).decode
_decode_info = msgspec.json.Decoder(messages.FundingInfo).decode
_decode_premium = msgspec.json.Decoder(messages.PremiumIndex).decode
_decode_interest = msgspec.json.Decoder(messages.FuturesInterest).decode


def requests(rest_url: str, symbols: Iterable[str]) -> tuple[RestRequest, ...]:
    """What to fetch beside the listing, which needs none of it.

    ticker weighs 5 of 2,400 a minute; the futures' host counts for itself, 1 for each request.

    Args:
        rest_url: Of the options.
        symbols: Perpetuals: `BTCUSDT`.
    """
    wanted = [RestRequest(VOLUMES, "eapi/v1/ticker", is_optional=True)]
    known = sorted(symbols)
    if known:
        root = futures_root(rest_url)
        paths = [(FUNDING_INFO, "fundingInfo")]
        for symbol in known:
            paths.append((f"{symbol}.funding", f"premiumIndex?symbol={symbol}"))
            paths.append((f"{symbol}.interest", f"openInterest?symbol={symbol}"))
        wanted += [
            RestRequest(name, f"fapi/v1/{path}", root=root, is_optional=True)
            for name, path in paths
        ]
    return tuple(wanted)


def futures_root(rest_url: str) -> str:
    """Where the perpetuals are: on a host of their own in production, else on the options' own."""
    is_production = urlsplit(rest_url).hostname == urlsplit(REST_URL).hostname
    return FUTURES_REST_URL if is_production else rest_url


def read_volumes(
    body: bytes | None,
    reader: RowReader[Volume],
    options: Mapping[str, Instrument],
    slots: Mapping[str, int],
    received_ns: int,
    counts: Counter[str],
) -> dict[int, float]:
    """For `TradedVolume` of the options that are listed: contracts times their coins, by slot.

    What makes no sense is counted as `rejected.volume`, a row as `rejected.volume_row`, a body as
    `rejected.volume_body` or `missing.volume`.
    """
    amounts: dict[int, float] = {}
    if body is None:
        counts["missing.volume"] += 1
        return amounts
    try:
        rows = reader.look(VOLUMES, body, received_ns)
    except VenueError:
        counts["rejected.volume_body"] += 1
        return amounts
    for row in rows:
        if row is None:
            counts["rejected.volume_row"] += 1
            continue
        option, contracts = options.get(row[0]), row[1]
        if option is None or contracts is None:
            continue
        coins = contracts * option.contract_size
        if is_amount(coins):
            amounts[slots[row[0]]] = coins
        else:
            counts["rejected.volume"] += 1
    return amounts


def split_rows(name: str, body: bytes) -> list[msgspec.Raw]:
    """The rows of a body that is nothing else.

    Raises:
        CatalogError: It is something else.
    """
    try:
        return _decode_rows(body)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error


def read_volume(row: msgspec.Raw, _now_ns: int) -> tuple[Volume, int]:
    """One row of `ticker`, for a RowReader."""
    try:
        volume = _decode_volume(row)
    except UNREADABLE:
        return None, NEVER_NS
    return (volume.symbol, read_number(volume.volume)), NEVER_NS


def read_perpetuals(
    bodies: Mapping[str, bytes],
    underlyings: Mapping[str, tuple[Asset, str]],
    received_ns: int,
    counts: Counter[str],
) -> list[PerpetualState]:
    """The perpetuals of some underlyings.

    Without fundingInfo no interval is known, so no rate is told. A body that cannot be read is
    counted as `rejected.perpetual_body`, one that could not be had as `missing.perpetual`.
    """
    is_known = FUNDING_INFO in bodies
    hours = {
        row.symbol: read_number(row.funding_interval_hours)
        for row in _rows(bodies.get(FUNDING_INFO), _decode_info, "perpetual", counts)
    }
    found = []
    for symbol in sorted(underlyings):
        asset, quote = underlyings[symbol]
        premium = _one(bodies.get(f"{symbol}.funding"), _decode_premium, counts)
        interest = _one(bodies.get(f"{symbol}.interest"), _decode_interest, counts)
        rate = None
        if is_known and premium is not None and premium.symbol == symbol:
            rate = read_number(premium.last_funding_rate)
        coins = None
        if interest is not None and interest.symbol == symbol:
            coins = read_number(interest.open_interest)
        state = tell_perpetual(
            VENUE,
            asset,
            quote,
            rate=rate,
            hours=hours.get(symbol, FUNDING_HOURS),
            coins=coins,
            exchange_ns=0 if premium is None else premium.time * NANOS_PER_MILLI,
            received_ns=received_ns,
            counts=counts,
        )
        if state is not None:
            found.append(state)
    return found


def _one(body: bytes | None, decode: Callable[[bytes], T], counts: Counter[str]) -> T | None:
    if body is None:
        counts["missing.perpetual"] += 1
        return None
    try:
        return decode(body)
    except UNREADABLE:
        counts["rejected.perpetual_body"] += 1
        return None


def _rows(
    body: bytes | None, decode: Callable[[msgspec.Raw], T], what: str, counts: Counter[str]
) -> list[T]:
    """The rows of a body that can be read; the others, and a body that cannot, are counted."""
    if body is None:
        counts[f"missing.{what}"] += 1
        return []
    try:
        rows = _decode_rows(body)
    except UNREADABLE:
        counts[f"rejected.{what}_body"] += 1
        return []
    return list(read_rows(rows, decode, f"rejected.{what}_row", counts))
