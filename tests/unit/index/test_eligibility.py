"""Who is in, who is out, and how fast that changes."""

from collections.abc import Iterator

import pytest

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_HOUR, NANOS_PER_SECOND
from volgauge.index.eligibility import Eligibility, Presence, age_share, exit_share

SECOND = NANOS_PER_SECOND
NOW_NS = 1_797_580_800 * SECOND
EXPIRIES = (NOW_NS + 10 * NANOS_PER_DAY, NOW_NS + 40 * NANOS_PER_DAY)
UNKNOWN = (0, 0)


@pytest.fixture
def book() -> Eligibility:
    """Two expiries, in for two minutes."""
    made = Eligibility()
    for second in range(121):
        see(made, second)
    return made


def see(
    book: Eligibility,
    second: float,
    qualifies: tuple[bool, bool] = (True, True),
    held: tuple[int, ...] = (),
) -> list[float]:
    """Shares at a second."""
    now_ns = NOW_NS + round(second * SECOND)
    return book.observe(EXPIRIES, UNKNOWN, list(qualifies), held, now_ns)


def steps(first: float, last: float, by: float) -> Iterator[float]:
    """From one second to another, both included."""
    count = round((last - first) / by)
    return (first + index * by for index in range(count + 1))


def test_at_start_what_qualifies_is_taken_at_once() -> None:
    """A first look gives whole shares, and nothing to what does not qualify."""
    assert see(Eligibility(), 0, (True, False)) == [1.0, 0.0]


def test_what_fails_for_less_than_five_seconds_stays_whole(book: Eligibility) -> None:
    """4.9 s without qualifying leave no trace."""
    for second in steps(121, 125.8, 0.1):
        assert see(book, second, (False, True)) == [1.0, 1.0]
    assert see(book, 125.9) == [1.0, 1.0]
    assert see(book, 300) == [1.0, 1.0]


def test_what_fails_for_five_seconds_leaves_over_sixty(book: Eligibility) -> None:
    """Linear from the fifth second on."""
    for second in steps(121, 126, 0.5):
        see(book, second, (False, True))

    assert see(book, 156, (False, True))[0] == pytest.approx(0.5, abs=1e-12)
    assert see(book, 186, (False, True))[0] == 0.0


def test_what_is_lost_returns_after_thirty_seconds_over_sixty(book: Eligibility) -> None:
    """Wholly lost, then sound again: 30 s nothing, then linear."""
    for second in steps(121, 200, 0.5):
        see(book, second, (False, True))
    for second in steps(200.5, 230, 0.5):
        assert see(book, second)[0] == 0.0

    assert see(book, 230.5)[0] == pytest.approx(0.0, abs=1e-12)
    assert see(book, 260.5)[0] == pytest.approx(0.5, abs=1e-12)
    assert see(book, 290.5)[0] == 1.0


def test_a_flicker_starts_the_thirty_seconds_anew(book: Eligibility) -> None:
    """29 s of quality, one moment without, 29 s more: still out."""
    for second in steps(121, 200, 0.5):
        see(book, second, (False, True))
    for second in steps(200.5, 229, 0.5):
        see(book, second)
    see(book, 229.5, (False, True))
    for second in steps(230, 259, 0.5):
        assert see(book, second)[0] == 0.0


def test_one_that_turns_back_goes_on_from_where_it_is(book: Eligibility) -> None:
    """Lost for 20 s of its way out, it needs 30 s of quality; the share never jumps."""
    before = 1.0
    for second in steps(121, 300, 0.25):
        share = see(book, second, (not 121 <= second < 146, True))[0]

        assert abs(share - before) <= 0.25 / 60 + 1e-12
        before = share
    assert before == 1.0


@pytest.mark.parametrize("by", [0.01, 0.1, 1.0])
def test_how_often_it_is_looked_at_does_not_matter(by: float) -> None:
    """The same history observed more often gives the same share."""
    book = Eligibility()
    for second in steps(0, 100, by):
        see(book, second)
    for second in steps(100 + by, 140, by):
        see(book, second, (second < 110, True))

    assert see(book, 140, (False, True))[0] == pytest.approx(1 - 25 / 60, abs=1e-9)


def test_the_clocks_stand_while_the_feed_is_down(book: Eligibility) -> None:
    """An hour of silence is no loss of quality, and three seconds of doubt begin anew after it."""
    for second in steps(121, 124, 0.5):
        see(book, second, (False, True))
    for second in steps(125, 3725, 25):
        assert see(book, second, (False, True), held=(0, 1)) == [1.0, 1.0]

    assert see(book, 3726, (False, True)) == [1.0, 1.0]
    assert see(book, 3729, (False, True)) == [1.0, 1.0]
    assert see(book, 3735, (False, True))[0] < 1.0


def test_a_leaving_expiry_stops_on_its_way_while_it_waits_for_a_snapshot(
    book: Eligibility,
) -> None:
    """Held at half way, it goes on from there."""
    for second in steps(121, 156, 0.5):
        see(book, second, (False, True))
    for second in steps(156.5, 500, 0.5):
        see(book, second, (False, True), held=(0,))

    assert see(book, 500.5, (False, True))[0] == pytest.approx(0.49, abs=0.01)


def test_a_book_that_lost_all_starts_anew(book: Eligibility) -> None:
    """There is no value that could jump: whatever qualifies is in at once."""
    for second in steps(121, 200, 0.5):
        see(book, second, (False, False))

    assert see(book, 200.5, (True, False)) == [1.0, 0.0]


def test_an_expiry_of_unknown_age_that_appears_later_must_prove_itself(book: Eligibility) -> None:
    """30 s of quality, then 60 s to enter: its listing makes no jump."""
    expiries = (*EXPIRIES, NOW_NS + 70 * NANOS_PER_DAY)
    shares = [
        book.observe(expiries, (0, 0, 0), [True] * 3, (), NOW_NS + second * SECOND)[2]
        for second in range(121, 220)
    ]

    assert shares[:30] == [0.0] * 30
    assert shares[60] == pytest.approx(0.5, abs=1e-12)
    assert shares[-1] == 1.0


def test_what_still_waits_for_the_first_snapshot_counts_as_in() -> None:
    """So a tenor that needs it waits, too."""
    assert see(Eligibility(), 0, (True, False), held=(1,)) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("hours", "share"), [(-1.0, 0.0), (0.5, 0.0), (1.0, 0.0), (2.5, 0.5), (4.0, 1.0), (99.0, 1.0)]
)
def test_a_new_listing_enters_by_its_age(hours: float, share: float) -> None:
    """clip((age - 1 h) / 3 h, 0, 1); METHODOLOGY rule 9."""
    listed_ns = NOW_NS - round(hours * NANOS_PER_HOUR)

    assert age_share(listed_ns, NOW_NS) == pytest.approx(share, abs=1e-12)


def test_an_unknown_age_is_a_whole_share() -> None:
    """Not every venue tells when it listed an option."""
    assert age_share(0, NOW_NS) == 1.0


@pytest.mark.parametrize(
    ("left_hours", "share"), [(47.9, 0.0), (48.0, 0.0), (48.5, 0.5), (49.0, 1.0), (480.0, 1.0)]
)
def test_an_expiry_is_gone_when_two_days_are_left(left_hours: float, share: float) -> None:
    """It gives up its share in the hour before."""
    expiry_ns = NOW_NS + round(left_hours * NANOS_PER_HOUR)

    assert exit_share(expiry_ns, NOW_NS) == pytest.approx(share, abs=1e-12)


def test_a_quiet_book_answers_the_same_as_one_that_is_looked_through(book: Eligibility) -> None:
    """What is remembered while nothing moves ends when an age or an exit begins to count."""
    expiries = (EXPIRIES[0], EXPIRIES[1])
    listed = (NOW_NS + 121 * SECOND - 3 * NANOS_PER_HOUR, 0)
    for hour in (0.0, 0.25, 0.5, 1.0, 2.0, 191.0 - 0.1, 191.6, 192.5):
        now_ns = NOW_NS + 122 * SECOND + round(hour * NANOS_PER_HOUR)
        first = book.observe(expiries, listed, [True, True], (), now_ns)[0]

        assert first == age_share(listed[0], now_ns) * exit_share(EXPIRIES[0], now_ns)


def test_a_presence_at_rest_says_so() -> None:
    """Settled: nothing moves, nothing is counted."""
    presence = Presence(NOW_NS, is_in=True)
    presence.observe(NOW_NS + SECOND, qualifies=True)
    assert presence.is_settled

    presence.observe(NOW_NS + 2 * SECOND, qualifies=False)

    assert not presence.is_settled
