"""Levels, and the volume-weighted price of METHODOLOGY §3, rule 1."""

from math import isnan

import pytest

from volgauge.book.depth import MAX_LEVELS, DepthBook
from volgauge.domain.events import BookDelta, BookSnapshot
from volgauge.domain.instrument import Venue

Levels = tuple[tuple[float, float], ...]


def snapshot(bids: Levels, asks: Levels, slot: int = 0) -> BookSnapshot:
    """A whole book."""
    return BookSnapshot(
        venue=Venue("v"), received_ns=1, slot=slot, bids=bids, asks=asks, exchange_ns=1
    )


def delta(bids: Levels, asks: Levels = (), slot: int = 0) -> BookDelta:
    """Changed levels."""
    return BookDelta(
        venue=Venue("v"), received_ns=2, slot=slot, bids=bids, asks=asks, exchange_ns=2
    )


def test_without_a_target_the_best_levels_are_the_price() -> None:
    """No amount to fill: best bid and offer."""
    book = DepthBook()

    top = book.apply(snapshot(((0.05, 2.0), (0.049, 9.0)), ((0.052, 1.0), (0.053, 4.0))))

    assert top == (0.05, 2.0, 0.052, 1.0)


def test_target_beyond_the_best_level_is_volume_weighted() -> None:
    """1 BTC of bids: 0.4 at 0.050 and 0.6 at 0.048, (0.02 + 0.0288) / 1."""
    book = DepthBook()
    book.set_target(0, 1.0)

    bid, bid_size, ask, ask_size = book.apply(
        snapshot(((0.05, 0.4), (0.048, 3.0)), ((0.052, 0.5), (0.054, 0.5), (0.06, 9.0)))
    )

    assert bid == pytest.approx(0.0488, abs=1e-15)
    assert bid_size == pytest.approx(1.0)
    assert ask == pytest.approx(0.053, abs=1e-15)
    assert ask_size == pytest.approx(1.0)


def test_side_thinner_than_the_target_is_priced_over_what_it_holds() -> None:
    """0.2 at 0.05 and 0.2 at 0.04: 0.045 for 0.4, not for 1."""
    book = DepthBook()
    book.set_target(0, 1.0)

    bid, bid_size, ask, ask_size = book.apply(snapshot(((0.05, 0.2), (0.04, 0.2)), ()))

    assert bid == pytest.approx(0.045)
    assert bid_size == pytest.approx(0.4)
    assert isnan(ask)
    assert isnan(ask_size)


def test_changes_set_add_and_delete_levels() -> None:
    """Size 0 deletes; the order of arrival does not matter."""
    book = DepthBook()
    book.apply(snapshot(((0.05, 2.0), (0.049, 1.0)), ((0.052, 1.0),)))

    top = book.apply(delta(((0.05, 0.0), (0.051, 7.0)), ((0.052, 3.0),)))

    assert top == (0.051, 7.0, 0.052, 3.0)
    assert book.levels(0) == (((0.051, 7.0), (0.049, 1.0)), ((0.052, 3.0),))


def test_deleting_an_unknown_level_changes_nothing() -> None:
    """The venue may delete what a snapshot never showed."""
    book = DepthBook()
    before = book.apply(snapshot(((0.05, 2.0),), ((0.052, 1.0),)))

    assert book.apply(delta(((0.01, 0.0),))) == before


def test_forgotten_book_is_empty_and_others_stay() -> None:
    """A gap concerns one instrument."""
    book = DepthBook()
    book.apply(snapshot(((0.05, 2.0),), (), slot=1))
    book.apply(snapshot(((0.07, 2.0),), (), slot=2))

    book.forget(1)

    assert book.levels(1) == ((), ())
    assert book.levels(2) == (((0.07, 2.0),), ())


def test_levels_far_behind_do_not_count() -> None:
    """A target that the first levels cannot fill is not filled from the bottom of the book."""
    book = DepthBook()
    book.set_target(0, 1_000.0)
    bids = tuple((1.0 - 0.01 * place, 1.0) for place in range(MAX_LEVELS + 10))

    _, bid_size, _, _ = book.apply(snapshot(bids, ()))

    assert bid_size == pytest.approx(MAX_LEVELS)
