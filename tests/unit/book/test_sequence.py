"""The numbered rule that links the changes of a Deribit book."""

import pytest

from volgauge.book.sequence import BookSequence, Step


def test_snapshot_then_linked_changes() -> None:
    """Steps 1 to 3: the numbers jump, only the link to the change before matters."""
    sequence = BookSequence()

    steps = [
        sequence.advance("snapshot", 193_809_616_666, None),
        sequence.advance("change", 193_809_650_259, 193_809_616_666),
        sequence.advance("change", 193_809_999_999, 193_809_650_259),
    ]

    assert steps == [Step.SNAPSHOT, Step.DELTA, Step.DELTA]


@pytest.mark.parametrize(
    ("kind", "previous_id"),
    [("snapshot", None), ("snapshot", 20), ("change", 0), ("", None), ("change", None)],
    ids=["2021-on", "snapshot-with-link-2022", "change-after-0-2021", "no-type-2019", "null-link"],
)
def test_every_recorded_spelling_of_a_snapshot(kind: str, previous_id: int | None) -> None:
    """Step 4: a frame is a snapshot if it says so or names nothing before it."""
    sequence = BookSequence()
    sequence.advance("snapshot", 1_000, None)

    assert sequence.advance(kind, 5, previous_id) is Step.SNAPSHOT
    assert sequence.advance("change", 6, 5) is Step.DELTA


def test_mismatch_is_a_gap_and_changes_wait_for_the_snapshot() -> None:
    """Step 5: one gap, then silence, then the snapshot heals."""
    sequence = BookSequence()
    sequence.advance("snapshot", 10, None)

    steps = [
        sequence.advance("change", 14, 13),
        sequence.advance("change", 15, 14),
        sequence.advance("snapshot", 20, None),
        sequence.advance("change", 21, 20),
    ]

    assert steps == [Step.GAP, Step.WAITING, Step.SNAPSHOT, Step.DELTA]


def test_change_before_any_snapshot_is_a_gap() -> None:
    """A book cannot begin in its middle."""
    assert BookSequence().advance("change", 5, 4) is Step.GAP


def test_frame_sent_again_is_dropped() -> None:
    """The counter only rises: a frame of yesterday breaks nothing."""
    sequence = BookSequence()
    sequence.advance("snapshot", 10, None)
    sequence.advance("change", 12, 10)

    assert sequence.advance("change", 12, 10) is Step.DUPLICATE
    assert sequence.advance("change", 13, 12) is Step.DELTA


def test_failed_book_waits_like_a_gapped_one() -> None:
    """A level that makes no sense leaves nothing to build on."""
    sequence = BookSequence()
    sequence.advance("snapshot", 10, None)
    sequence.fail()

    assert sequence.advance("change", 11, 10) is Step.WAITING
