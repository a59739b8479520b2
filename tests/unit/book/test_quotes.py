"""The quote table: what is written is read, and only the touched expiry is flagged."""

from math import isnan, nan

import numpy as np

from volgauge.book.quotes import INITIAL_CELLS, INITIAL_SLOTS, Activity, QuoteTable
from volgauge.kernels import layout as col


def test_write_and_read() -> None:
    """All six fields come back; the forward reference starts unknown."""
    table = QuoteTable()
    table.attach(7, table.open_cell())

    table.write(7, 0.01, 0.02, 3.0, 4.0, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002)

    expected = (0.01, 0.02, 3.0, 4.0, 1_700_000_000_000_000_001, 1_700_000_000_000_000_002)
    assert expected == table.read(7)
    assert isnan(table.quotes[7, col.FORWARD_REF])
    assert table.quotes[7, [col.BID, col.ASK]].tolist() == [0.01, 0.02]


def test_a_write_raises_the_flag_of_its_expiry_only() -> None:
    """Cells are independent."""
    table = QuoteTable()
    first, second = table.open_cell(), table.open_cell()
    table.attach(0, first)
    table.attach(1, second)
    table.dirty[:] = 0

    table.write(1, 0.01, 0.02, 1.0, 1.0, 0, 0)
    table.settle()

    assert (table.dirty[first], table.dirty[second]) == (0, 1)


def test_clear_leaves_nothing() -> None:
    """After a gap the sides are absent, the time is unknown and the expiry is due."""
    table = QuoteTable()
    cell = table.open_cell()
    table.attach(3, cell)
    table.write(3, 0.01, 0.02, 1.0, 1.0, 5, 5)
    table.dirty[:] = 0

    table.clear([3, 10 * INITIAL_SLOTS])

    assert np.isnan(table.quotes[3, : col.BID_SIZE]).all()
    assert table.read(3)[4:] == (0, 0)
    assert table.dirty[cell] == 1


def test_growth_keeps_everything() -> None:
    """Beyond its capacity the table moves, and says so by its generation."""
    table = QuoteTable()
    cell = table.open_cell()
    table.attach(0, cell)
    table.write(0, 0.01, 0.02, 1.0, 1.0, 5, 6)
    table.write_open_interest((0,), (12.5,))
    before = table.generation

    table.attach(5 * INITIAL_SLOTS, cell)
    table.write(5 * INITIAL_SLOTS, 0.03, 0.04, 1.0, 1.0, 7, 8)

    assert table.generation > before
    assert table.read(0) == (0.01, 0.02, 1.0, 1.0, 5, 6)
    assert table.read(5 * INITIAL_SLOTS) == (0.03, 0.04, 1.0, 1.0, 7, 8)
    assert table.open_interest[0] == 12.5
    assert np.isnan(table.quotes[INITIAL_SLOTS : 5 * INITIAL_SLOTS, col.BID]).all()
    assert np.shares_memory(table.stamps, table.quotes)


def test_cells_grow_and_are_used_again() -> None:
    """More expiries than at first, and the number of a closed one is given out anew."""
    table = QuoteTable()
    cells = [table.open_cell() for _ in range(3 * INITIAL_CELLS)]

    table.close_cell(cells[5])

    assert len(set(cells)) == len(cells)
    assert cells[5] == table.open_cell()
    assert table.dirty[cells[5]] == 1


def test_a_detached_slot_flags_nobody() -> None:
    """A late quote of an expired option changes no expiry."""
    table = QuoteTable()
    cell = table.open_cell()
    table.attach(2, cell)
    table.detach(2)
    table.dirty[:] = 0

    table.write(2, 0.01, 0.02, 1.0, 1.0, 1, 1)

    assert table.dirty[cell] == 0


def test_a_reused_slot_starts_empty() -> None:
    """Nothing of the former option is left, mark and open interest neither."""
    table = QuoteTable()
    table.attach(2, table.open_cell())
    table.write(2, 0.01, 0.02, 1.0, 1.0, 1, 1)
    table.write_marks((2,), (0.015,))
    table.write_open_interest((2,), (4.0,))

    table.attach(2, table.open_cell())

    assert np.isnan(table.quotes[2, [col.BID, col.ASK, col.MARK]]).all()
    assert isnan(table.open_interest[2])


def test_marks_flag_their_expiry() -> None:
    """The exchange's strip may fall back to them; unknown slots are passed over."""
    table = QuoteTable()
    cell = table.open_cell()
    table.attach(0, cell)
    table.dirty[:] = 0

    table.write_marks((0, 9 * INITIAL_SLOTS), (0.015, nan))

    assert table.quotes[0, col.MARK] == 0.015
    assert table.dirty[cell] == 1


def test_the_newest_quote_of_a_slot_is_settled_and_a_cleared_one_never() -> None:
    """Of a burst the last one counts; what was cleared or detached meanwhile does not come back."""
    table = QuoteTable()
    cell = table.open_cell()
    for slot in range(3):
        table.attach(slot, cell)
        table.write(slot, 0.01, 0.02, 1.0, 1.0, 1, 1)
        table.write(slot, 0.03, 0.04, 2.0, 2.0, 2, 2)
    table.clear([1])
    table.detach(2)
    table.settle()

    assert table.read(0) == (0.03, 0.04, 2.0, 2.0, 2, 2)
    assert isnan(table.read(1)[0])
    assert isnan(table.read(2)[0])


def test_activity_counts_every_quote_and_remembers_the_oldest_and_the_newest() -> None:
    """Merged ticks are counted although only the newest is packed."""
    table = QuoteTable()
    table.attach(0, table.open_cell())
    activity = Activity()
    table.watch(0, activity)
    for received_ns in (5, 6, 7):
        table.write(0, 0.01, 0.02, 1.0, 1.0, 0, received_ns)

    assert (activity.ticks, activity.first_ns, activity.event_ns) == (3, 5, 7)
    assert table.last_received_ns == 7
