"""Deribit's two books of one coin, paid in the coin and in USDC, from the wire to one value."""

from collections.abc import Iterator

import msgspec
import pytest

from golden.venue_wires import Wires
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import Venue
from volgauge.simulator.listing import TERMS
from volgauge.simulator.server import SimulatorOptions

COIN, LINEAR = Venue("deribit"), Venue("deribit:USDC")
SECONDS = 8.0


@pytest.fixture
def wires() -> Iterator[Wires]:
    """Deribit lists bitcoin twice; each book is a market of its own, at the same volatility."""
    prefix = "BTC_USDC"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(
            TERMS,
            prefix,
            msgspec.structs.replace(
                TERMS["SOL_USDC"],
                asset="BTC",
                spot=TERMS["BTC"].spot,
                vol=TERMS["BTC"].vol,
                tick=(5, 1),
                future_tick=(5, 2),
                contract_size=0.01,
                min_amount=(1, 100),
            ),
        )
        options = SimulatorOptions(
            currencies=("BTC", prefix), seed=5, rate=400.0, start_ns=1_798_000_000_000_000_000
        )
        yield Wires(options, ("BTC",))


def test_each_book_is_computed_alone_and_both_make_the_value(wires: Wires) -> None:
    """Two rows in `venues`, weights by their own liquidity; one venue, so SINGLE_VENUE."""
    records: list[IndexValue] = [r for r in wires.run(SECONDS) if r.tenor_days == 30.0]
    record = records[-1]
    assert wires.troubles == []
    books = wires.engine.sink(COIN).books
    assert {(key.quote_currency, book.is_coin) for key, book in books.items()} == {
        ("USD", True),
        ("USDC", False),
    }
    told = record.venues
    assert set(told) == {COIN, LINEAR}
    assert {book.state for book in told.values()} == {"in"}
    total = sum(book.weight * (book.value or 0.0) for book in told.values())
    assert record.value == pytest.approx(total, rel=1e-12)
    assert sum(book.weight for book in told.values()) == pytest.approx(1.0)
    assert min(book.weight for book in told.values()) > 0.0
    assert record.status in {Status.SINGLE_VENUE, Status.DEGRADED}
    assert {expiry.book for expiry in record.expiries} == {COIN, LINEAR}
