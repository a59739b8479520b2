"""Rows read ahead, once, and again when their time is over."""

import msgspec
import pytest

from volgauge.adapters.base import NEVER_NS
from volgauge.adapters.reader import PIECE_ROWS, RowReader
from volgauge.domain.instrument import Venue
from volgauge.errors import CatalogError

NAME = "BTC.options"
ENDS_NS = 100
"""When the rows of these tests mean something else."""


class Reading:
    """A reader of numbers that go by their sign after `ENDS_NS`; tells what it was asked."""

    def __init__(self, *, remembers: bool = True) -> None:
        self.asked: list[int] = []
        self.rows = RowReader(self.split, self.read, remembers=remembers)

    def split(self, name: str, body: bytes) -> list[msgspec.Raw]:
        """An array of numbers."""
        try:
            return msgspec.json.decode(body, type=list[msgspec.Raw])
        except msgspec.DecodeError as error:
            raise CatalogError(Venue("nowhere"), name) from error

    def read(self, row: msgspec.Raw, now_ns: int) -> tuple[str, int]:
        """A number is taken until `ENDS_NS`; what is refused may be taken later."""
        number = msgspec.json.decode(row, type=int)
        self.asked.append(number)
        if number < 0:
            return "refused", 0
        return ("over", NEVER_NS) if now_ns >= ENDS_NS else (f"row {number}", ENDS_NS)


def body_of(*numbers: int) -> bytes:
    """A body."""
    return msgspec.json.encode(numbers)


def test_rows_are_taken_in_their_order() -> None:
    """Refused ones too."""
    reading = Reading()

    assert reading.rows.take(NAME, body_of(3, -1, 2), 0) == ["row 3", "refused", "row 2"]


def test_what_was_read_ahead_is_not_read_again() -> None:
    """But for what was refused, which may be taken by now."""
    reading, body = Reading(), body_of(3, -1, 2)
    for _ in reading.rows.ahead(NAME, body, 0):
        pass
    reading.asked.clear()

    assert reading.rows.take(NAME, body, 1) == ["row 3", "refused", "row 2"]
    assert reading.asked == [-1]


def test_reading_ahead_pauses_after_every_piece() -> None:
    """The loop gets its turn: no step reads more rows than a piece."""
    reading = Reading()
    steps = []
    for _ in reading.rows.ahead(NAME, body_of(*range(3 * PIECE_ROWS)), 0):
        steps.append(len(reading.asked))
        reading.asked.clear()

    assert steps == [0, PIECE_ROWS, PIECE_ROWS, PIECE_ROWS]


def test_half_a_body_read_ahead_counts_for_nothing() -> None:
    """The result is that of the whole body."""
    reading = Reading(remembers=False)
    body = body_of(*range(2 * PIECE_ROWS))
    pieces = reading.rows.ahead(NAME, body, 0)
    next(pieces)
    next(pieces)

    assert reading.rows.take(NAME, body, 0) == [f"row {n}" for n in range(2 * PIECE_ROWS)]


def test_other_body_of_the_same_name_is_read() -> None:
    """What was read ahead of one body says nothing of the next."""
    reading, old = Reading(), body_of(1)
    for _ in reading.rows.ahead(NAME, old, 0):
        pass

    assert reading.rows.take(NAME, body_of(2), 0) == ["row 2"]


def test_row_whose_time_is_over_is_read_again() -> None:
    """An option may expire between reading ahead and the instant of the listing."""
    reading, body = Reading(), body_of(1)
    for _ in reading.rows.ahead(NAME, body, ENDS_NS - 1):
        pass

    assert reading.rows.take(NAME, body, ENDS_NS) == ["over"]


def test_same_bytes_are_read_once() -> None:
    """In the listing after the next, too."""
    reading = Reading()
    for _ in range(3):
        reading.rows.take(NAME, body_of(1, 2), 0)
        reading.rows.turn()

    assert reading.asked == [1, 2]


def test_what_no_listing_says_any_more_is_forgotten() -> None:
    """It is read anew when it comes back."""
    reading = Reading()
    for numbers in ((1, 2), (2,), (1, 2)):
        reading.rows.take(NAME, body_of(*numbers), 0)
        reading.rows.turn()

    assert reading.asked == [1, 2, 1]


def test_body_that_cannot_be_split_is_left_to_take() -> None:
    """Reading ahead raises nothing: the listing's instant says what is wrong."""
    reading = Reading()

    assert list(reading.rows.ahead(NAME, b"no listing", 0)) == []
    with pytest.raises(CatalogError, match=NAME):
        reading.rows.take(NAME, b"no listing", 0)


def test_body_read_ahead_stands_until_a_row_means_something_else() -> None:
    """Not one that was not read, and none beyond the time of its rows."""
    reading, body = Reading(), body_of(3, -1)
    before = reading.rows.stands(NAME, body, 0)
    for _ in reading.rows.ahead(NAME, body, 0):
        pass

    assert not before
    assert reading.rows.stands(NAME, body, ENDS_NS - 1)
    assert not reading.rows.stands(NAME, body, ENDS_NS)
    assert not reading.rows.stands(NAME, body_of(3), 0)


def test_looking_at_a_body_leaves_it_read() -> None:
    """It may be asked for again, until it is taken."""
    reading, body = Reading(remembers=False), body_of(1, 2)
    for _ in reading.rows.ahead(NAME, body, 0):
        pass
    looked = reading.rows.look(NAME, body, 0)

    assert reading.rows.stands(NAME, body, 0)
    assert reading.rows.take(NAME, body, 0) == looked == ["row 1", "row 2"]
    assert not reading.rows.stands(NAME, body, 0)
