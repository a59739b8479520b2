"""Recorded chains in another currency unit: the same market, so the same record.

Prices on grids tie (two strikes with the same |c - p|, a neighbour as near on either side), and the
floor of the smile's valley is flat: what only rounding would decide may not decide anything.
"""

from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from golden.chain_sources import parquet_chains
from volgauge.domain.units import NANOS_PER_MILLI
from volgauge.offline.chain import Chain, ChainQuote
from volgauge.offline.compute import compute

EVERY = 7
NEAR = 1e-9
FEW = 1e-6
"""`extrapolated` is next to nothing in a good chain: a difference of two nearly equal numbers."""
OF_THE_UNIT = ("input_hash", "forward")

Chains = list[tuple[int, list[ChainQuote]]]


@pytest.fixture(scope="module")
def chains(test_data: Path) -> Chains:
    """Instant in ns and quotes; premiums in the coin."""
    found = parquet_chains(test_data)
    return [(ts * NANOS_PER_MILLI, found[ts, coin]) for ts, coin in sorted(found)[::EVERY]]


def paid_in_dollars(quote: ChainQuote) -> ChainQuote:
    """On a grid of ten cents, as venues have that are paid in their quote currency."""
    prices = (round(price * quote.forward, 1) for price in (quote.bid, quote.ask, quote.mark))
    bid, ask, mark = prices
    return replace(quote, bid=bid, ask=ask, mark=mark)


def times(quote: ChainQuote, factor: float, premium: str) -> ChainQuote:
    """In a currency of which one unit of the first is worth `factor`."""
    moved = replace(quote, strike=quote.strike * factor, forward=quote.forward * factor)
    if premium == "coin":
        return moved
    return replace(moved, bid=quote.bid * factor, ask=quote.ask * factor, mark=quote.mark * factor)


def leaves(tree: object, name: str = "") -> dict[str, Any]:
    """Path to value, for all that is not in the unit itself."""
    if isinstance(tree, dict):
        pairs = ((f"{name}.{key}", value) for key, value in tree.items() if key not in OF_THE_UNIT)
    elif isinstance(tree, list | tuple):
        pairs = ((f"{name}.{place}", value) for place, value in enumerate(tree))
    else:
        return {name: tree}
    return {path: leaf for key, value in pairs for path, leaf in leaves(value, key).items()}


@pytest.mark.parametrize("premium", ["coin", "quote"])
@pytest.mark.parametrize("factor", [0.37, 1000.0])
def test_another_unit_changes_nothing(chains: Chains, premium: str, factor: float) -> None:
    """Every count, flag and refusal, and every number to 1e-9 of itself."""
    far, values = [], 0
    for at, quotes in chains:
        known = quotes if premium == "coin" else [paid_in_dollars(quote) for quote in quotes]
        one, other = (
            leaves(msgspec.to_builtins(compute(Chain(tuple(chain)), at=at, premium=premium)))
            for chain in (known, [times(quote, factor, premium) for quote in known])
        )
        assert one.keys() == other.keys()
        values += one[".value"] is not None
        for path, number in one.items():
            if isinstance(number, float) and isfinite(number):
                near = FEW if path == ".extrapolated" else NEAR
                if other[path] != pytest.approx(number, rel=near, abs=0.0):
                    far.append((at, path, number, other[path]))
            elif other[path] != number:
                far.append((at, path, number, other[path]))

    assert values > 0.9 * len(chains)
    assert far == []
