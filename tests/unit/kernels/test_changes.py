"""Changed quotes are found by their bits, of the expiries that were computed."""

from collections.abc import Callable

import numpy as np
import pytest

from volgauge.kernels._jit import I64, twin
from volgauge.kernels.changes import collect_changes
from volgauge.kernels.layout import (
    BID,
    FIRST,
    LAST,
    MARK,
    PLAN_COLUMNS,
    QUOTE_COLUMNS,
    RECEIVED_NS,
    REVISION,
)

Collect = Callable[[I64, I64, I64, I64, I64, I64], int]
SLOTS = np.array([[4, 2], [0, -1], [3, 5]], np.int64)
"""Two strikes of the first expiry, one of the second."""


class Book:
    """Two expiries, five options, and what was last seen of them."""

    def __init__(self, collect: Collect) -> None:
        self.quotes = np.full((6, QUOTE_COLUMNS), np.nan)
        self.stamps: I64 = self.quotes.view(np.int64)
        self.stamps[:, RECEIVED_NS] = 0
        self.plan = np.zeros((2, PLAN_COLUMNS), np.int64)
        self.plan[0, (FIRST, LAST)] = 0, 2
        self.plan[1, (FIRST, LAST)] = 2, 3
        self._collect = collect
        self._revisions = np.full(2, -1, np.int64)
        self._seen = np.full((6, QUOTE_COLUMNS), -1, np.int64)
        self._changed = np.zeros((6, 1 + QUOTE_COLUMNS), np.int64)

    def look(self, *computed: int) -> list[int]:
        """Numbers of the rows that changed, after these expiries were computed."""
        for expiry in computed:
            self.plan[expiry, REVISION] += 1
        count = self._collect(
            self.stamps, self.plan, SLOTS, self._revisions, self._seen, self._changed
        )
        for number, *row in self._changed[:count].tolist():
            slot = SLOTS.ravel()[number]
            assert self.stamps[slot].tolist() == row
        return [int(number) for number in self._changed[:count, 0]]


@pytest.fixture(params=["compiled", "twin"])
def book(request: pytest.FixtureRequest) -> Book:
    """By the compiled kernel and by its Python twin."""
    return Book(collect_changes if request.param == "compiled" else twin(collect_changes))


def test_every_listed_row_is_new_at_first(book: Book) -> None:
    """Call before put; an option that is not listed has no row."""
    assert [0, 1, 2, 4, 5] == book.look(0, 1)
    assert [] == book.look(0, 1)


def test_any_column_counts_and_absent_prices_equal_themselves(book: Book) -> None:
    """A price, a mark, a time; NaN again is no change."""
    book.look(0, 1)
    book.quotes[4, BID] = 0.01
    book.quotes[2, MARK] = 0.02
    book.stamps[3, RECEIVED_NS] = 7
    book.quotes[0, BID] = np.nan

    assert [0, 1, 4] == book.look(0, 1)


def test_only_computed_expiries_are_looked_at(book: Book) -> None:
    """What changed of the others waits for their computation."""
    book.look(0, 1)
    book.quotes[4, BID] = 0.01
    book.quotes[5, BID] = 0.01

    assert [5] == book.look(1)
    assert [0] == book.look(0)
    assert [] == book.look()
