"""Listings read ahead have the effect of those that are not, for every venue that does it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec import Struct

from fakes import binance_lab, bybit_lab, deribit_lab, derive_lab, okx_lab
from fakes.deribit_lab import Sink
from volgauge.adapters.base import ReadsAhead, VenueAdapter
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_SECOND

NOW_NS = deribit_lab.NOW_NS
ROLLED_NS = NOW_NS + 30 * NANOS_PER_DAY
"""After the near expiry."""


class Lab(Struct, frozen=True):
    """How to make a venue's adapter and its bodies."""

    make: Callable[..., Any]
    bodies: Callable[[Any, list[dict[str, Any]]], dict[str, bytes]]
    chain: Callable[[Sequence[int]], list[dict[str, Any]]]


LABS = {
    "deribit": Lab(deribit_lab.make, deribit_lab.bodies, deribit_lab.chain),
    "okx": Lab(okx_lab.make, lambda _, rows: okx_lab.bodies(rows), okx_lab.chain),
    "bybit": Lab(bybit_lab.make, bybit_lab.bodies, bybit_lab.chain),
    "binance": Lab(binance_lab.make, lambda _, rows: binance_lab.bodies(rows), binance_lab.chain),
    "derive": Lab(derive_lab.make, derive_lab.bodies, derive_lab.chain),
}


@pytest.fixture(params=LABS)
def lab(request: pytest.FixtureRequest) -> Lab:
    """Of each venue."""
    return LABS[request.param]


def drive(
    lab: Lab, listings: Sequence[tuple[list[dict[str, Any]], int, int]], *, ahead: bool
) -> tuple[list[str], dict[str, int], list[bytes]]:
    """Events, counts and requests after some listings: rows, when read ahead, when they count."""
    sink = Sink()
    adapter: VenueAdapter = lab.make(sink)
    sent: list[bytes] = []
    for rows, early_ns, now_ns in listings:
        bodies = lab.bodies(adapter, rows)
        if ahead:
            assert isinstance(adapter, ReadsAhead)
            for _ in adapter.read_ahead(bodies, early_ns):
                pass
        adapter.on_catalog(bodies, now_ns)
        for protocol in adapter.connections():
            protocol.start(now_ns)
            sent += protocol.frames_to_send()
    counts = {
        f"{protocol.connection} {name}": count
        for protocol in adapter.connections()
        for name, count in protocol.counts.items()
    }
    return [repr(event) for event in sink.events], counts, sent


def test_listing_read_ahead_says_the_same(lab: Lab) -> None:
    """Events, counts and requests; of what came, went and stayed."""
    listings = [
        (lab.chain([50_000, 60_000]), NOW_NS - 1, NOW_NS),
        (lab.chain([50_000, 60_000]), NOW_NS, NOW_NS + NANOS_PER_SECOND),
        (lab.chain([60_000, 70_000]), NOW_NS + NANOS_PER_SECOND, NOW_NS + 2 * NANOS_PER_SECOND),
    ]
    plain = drive(lab, listings, ahead=False)

    assert plain[0]
    assert drive(lab, listings, ahead=True) == plain


def test_option_that_expires_meanwhile_is_not_listed(lab: Lab) -> None:
    """Read ahead before 08:00, taken after it."""
    listings = [(lab.chain([50_000, 60_000]), NOW_NS, ROLLED_NS)]

    assert drive(lab, listings, ahead=True) == drive(lab, listings, ahead=False)


def test_listing_that_repeats_the_last_one_lists_nothing(lab: Lab) -> None:
    """No option comes or goes."""
    sink = Sink()
    adapter = lab.make(sink)
    adapter.on_catalog(lab.bodies(adapter, lab.chain([50_000, 60_000])), NOW_NS)
    sink.events.clear()

    adapter.on_catalog(lab.bodies(adapter, lab.chain([50_000, 60_000])), NOW_NS + NANOS_PER_SECOND)

    told = {type(event).__name__ for event in sink.events}
    assert told.isdisjoint({"InstrumentsListed", "InstrumentsExpired"})
