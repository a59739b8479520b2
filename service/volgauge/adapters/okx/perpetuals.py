"""Volumes of OKX's options, funding and open interest of its perpetual swaps, over REST.

The socket tells them too, on a channel for each instrument; once a minute is enough for what no
index rests on.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TypeVar

import msgspec

from volgauge.adapters.base import NEVER_NS, RestRequest
from volgauge.adapters.facts import is_amount, read_number, tell_perpetual
from volgauge.adapters.okx import messages
from volgauge.adapters.okx.endpoints import OK, SWAP_CURRENCIES, VENUE
from volgauge.adapters.okx.normalize import read_millis
from volgauge.adapters.payload import UNREADABLE, read_rows
from volgauge.adapters.reader import RowReader
from volgauge.domain.events import PerpetualState
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_HOUR, NANOS_PER_MILLI
from volgauge.errors import CatalogError, VenueError

INTEREST = "swap.interest"
Volume = tuple[str, float | None] | None
"""Name of an option and its contracts of 24 hours; None: the row cannot be read."""

T = TypeVar("T")

_decode_body = msgspec.json.Decoder(messages.Body).decode
_decode_volume = msgspec.json.Decoder(messages.VolumeRow, strict=False).decode
_decode_interest = msgspec.json.Decoder(messages.InterestRow, strict=False).decode
_decode_funding = msgspec.json.Decoder(messages.FundingRow, strict=False).decode


def requests(families: Iterable[str], assets: Iterable[Asset]) -> tuple[RestRequest, ...]:
    """`{family}.tickers`, `{swap}.funding` and the interest of all swaps; the listing needs none.

    market/tickers and public/open-interest take 20 requests in 2 s of an address, funding-rate 10
    of each instrument.
    """
    wanted = [
        (f"{family}.tickers", f"market/tickers?instType=OPTION&instFamily={family}")
        for family in sorted(families)
    ]
    swaps = sorted(_swaps(assets))
    if swaps:
        wanted.append((INTEREST, "public/open-interest?instType=SWAP"))
    wanted += [(f"{swap}.funding", f"public/funding-rate?instId={swap}") for swap in swaps]
    return tuple(RestRequest(name, path, is_optional=True) for name, path in wanted)


def read_volumes(
    bodies: Mapping[str, bytes],
    reader: RowReader[Volume],
    families: Iterable[str],
    sizes: Mapping[str, tuple[int, float]],
    received_ns: int,
    counts: Counter[str],
) -> Generator[None, None, dict[int, float]]:
    """For `TradedVolume` of what is listed: contracts of 24 hours times the contract size.

    What makes no sense is counted as `rejected.volume`, a row as `rejected.volume_row`, a body as
    `rejected.volume_body` or `missing.volume`.

    Args:
        bodies: Of the catalog.
        reader: Of their rows.
        families: Whose.
        sizes: Name to slot and contract size.
        received_ns: The instant.
        counts: Takes what was refused.

    Returns:
        Coins by slot; a pause after every body.
    """
    amounts: dict[int, float] = {}
    for family in families:
        name = f"{family}.tickers"
        body = bodies.get(name)
        if body is None:
            counts["missing.volume"] += 1
            continue
        try:
            rows = reader.look(name, body, received_ns)
        except VenueError:
            counts["rejected.volume_body"] += 1
            continue
        for row in rows:
            if row is None:
                counts["rejected.volume_row"] += 1
                continue
            known, contracts = sizes.get(row[0]), row[1]
            if known is None or contracts is None:
                continue
            slot, size = known
            if is_amount(contracts * size):
                amounts[slot] = contracts * size
            else:
                counts["rejected.volume"] += 1
        yield
    return amounts


def split_volumes(name: str, body: bytes) -> list[msgspec.Raw]:
    """The rows of `{family}.tickers`.

    Raises:
        CatalogError: There are none: the body cannot be read, or is a refusal.
    """
    try:
        answer = _decode_body(body)
    except UNREADABLE as error:
        raise CatalogError(VENUE, f"{name}: {error}") from error
    if answer.code != OK:
        raise CatalogError(VENUE, f"{name}: {answer.code}")
    return answer.data


def read_volume(row: msgspec.Raw, _now_ns: int) -> tuple[Volume, int]:
    """One row of `{family}.tickers`, for a RowReader."""
    try:
        volume = _decode_volume(row)
    except UNREADABLE:
        return None, NEVER_NS
    return (volume.inst_id, read_number(volume.vol_24h)), NEVER_NS


def read_perpetuals(
    bodies: Mapping[str, bytes], assets: Iterable[Asset], received_ns: int, counts: Counter[str]
) -> list[PerpetualState]:
    """The swaps of some assets, of those that the venue tells something of.

    `oiCcy` is in coins already, of coin-margined swaps too ("Get open interest").
    """
    swaps = _swaps(assets)
    if not swaps:
        return []
    interests = {
        row.inst_id: row
        for row in _rows(bodies.get(INTEREST), _decode_interest, "perpetual", counts)
    }
    found = []
    for swap, (asset, quote) in sorted(swaps.items()):
        fundings = _rows(bodies.get(f"{swap}.funding"), _decode_funding, "perpetual", counts)
        funding = next((row for row in fundings if row.inst_id == swap), None)
        interest = interests.get(swap)
        stamps = [row.ts for row in (funding, interest) if row is not None]
        state = tell_perpetual(
            VENUE,
            asset,
            quote,
            rate=None if funding is None else read_number(funding.funding_rate),
            hours=None if funding is None else _hours(funding),
            coins=None if interest is None else read_number(interest.oi_ccy),
            exchange_ns=max(stamps, default=0) * NANOS_PER_MILLI,
            received_ns=received_ns,
            counts=counts,
        )
        if state is not None:
            found.append(state)
    return found


def _swaps(assets: Iterable[Asset]) -> dict[str, tuple[Asset, str]]:
    """`BTC-USD-SWAP` to (BTC, USD)."""
    return {f"{a}-{quote}-SWAP": (a, quote) for a in assets for quote in SWAP_CURRENCIES}


def _hours(row: messages.FundingRow) -> float | None:
    """The interval that the rate is for: two settlements apart."""
    first_ns, next_ns = read_millis(row.funding_time), read_millis(row.next_funding_time)
    if first_ns is None or next_ns is None:
        return None
    return (next_ns - first_ns) / NANOS_PER_HOUR


def _rows(
    body: bytes | None,
    decode: Callable[[msgspec.Raw], T],
    what: str,
    counts: Counter[str],
) -> list[T]:
    """The rows of a body that can be read; the others, and a body that cannot, are counted."""
    if body is None:
        counts[f"missing.{what}"] += 1
        return []
    try:
        answer = _decode_body(body)
    except UNREADABLE:
        answer = messages.Body("")
    if answer.code != OK:
        counts[f"rejected.{what}_body"] += 1
        return []
    return list(read_rows(answer.data, decode, f"rejected.{what}_row", counts))
