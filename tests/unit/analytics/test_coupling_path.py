"""The path of one asset: what is kept, and where it breaks."""

from math import inf, log, nan

import pytest

from volgauge.analytics.path import Path
from volgauge.domain.analytics import Lack

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND


def path_of(*ticks: tuple[float, float | None]) -> Path:
    """A path that took (seconds, value) one after the other and was settled a second later."""
    path = Path()
    for seconds, value in ticks:
        path.take(value, START + round(seconds * SECOND))
    path.settle(START + round((ticks[-1][0] + 1.0) * SECOND))
    return path


def at(seconds: float) -> int:
    """Instant."""
    return START + round(seconds * SECOND)


def test_the_last_tick_of_each_second_is_kept_at_its_own_instant() -> None:
    """Two of these five ticks share a second with a later one."""
    path = path_of((0.1, 50.0), (0.9, 51.0), (1.2, 52.0), (1.3, 53.0), (3.0, 54.0))

    ticks = path.ticks(at(4.0))
    assert ticks.at_ns.tolist() == [at(0.9), at(1.3), at(3.0)]
    assert ticks.level.tolist() == pytest.approx([0.0, log(53 / 51), log(54 / 51)])


def test_a_sample_is_the_tick_before_the_instant() -> None:
    """A tick at the very instant is not before it."""
    path = path_of((0.5, 50.0), (60.0, 60.0))

    sample = path.sample(at(60.0))
    assert sample is not None
    assert sample.x == log(50.0)


@pytest.mark.parametrize(
    ("bad", "lack"),
    [
        pytest.param(None, Lack.HALTED, id="none"),
        pytest.param(nan, Lack.BAD_NUMBER, id="nan"),
        pytest.param(inf, Lack.BAD_NUMBER, id="infinity"),
        pytest.param(0.0, Lack.BAD_NUMBER, id="zero"),
        pytest.param(-3.0, Lack.BAD_NUMBER, id="negative"),
    ],
)
def test_a_value_that_is_none_breaks_the_path(bad: float | None, lack: Lack) -> None:
    """There is no sample until the next value, no change across, and a reason meanwhile."""
    path = path_of((0.0, 50.0), (1.0, 50.5), (2.0, bad))
    assert path.current(at(2.5)) is lack
    assert path.sample(at(3.0)) is None
    path.take(99.0, at(5.0))
    path.settle(at(6.0))

    before, after = path.sample(at(2.0)), path.sample(at(6.0))
    assert before is not None
    assert after is not None
    assert before.run != after.run
    assert path.current(at(6.0)) == log(99.0)
    assert path.ticks(at(6.0)).level.tolist()[-1] == pytest.approx(log(50.5 / 50.0))


def test_a_break_within_a_second_is_a_break() -> None:
    """Value, none and value inside one second belong to two runs."""
    path = path_of((0.1, 50.0), (0.2, None), (0.3, 60.0))

    assert path.ticks(at(2.0)).level.tolist() == [0.0, 0.0, 0.0]
    first, second = path.sample(at(0.15)), path.sample(at(1.0))
    assert first is not None
    assert second is not None
    assert first.run != second.run


def test_a_silence_of_more_than_a_minute_is_a_break() -> None:
    """After 60 s without a record the value is unknown; the next one starts a run."""
    path = path_of((0.0, 50.0), (60.0, 51.0), (121.0, 60.0))

    assert path.ticks(at(122.0)).level.tolist()[-1] == pytest.approx(log(51 / 50))
    assert path.sample(at(120.9)) is None
    assert path.current(at(181.0)) == log(60.0)
    assert path.current(at(181.1)) is Lack.HALTED


def test_before_the_first_value_there_is_no_index() -> None:
    """Nothing seen is said as such."""
    path = Path()

    assert path.current(at(0.0)) is Lack.NO_INDEX
    assert path.sample(at(0.0)) is None


def test_a_late_tick_changes_nothing() -> None:
    """An instant before the newest one is ignored."""
    path = path_of((5.0, 50.0), (4.0, 70.0))
    path.settle(at(6.0))

    assert path.current(at(5.5)) == log(50.0)
    assert path.ticks(at(6.0)).at_ns.tolist() == [at(5.0)]


def test_the_path_holds_one_hour_however_long_it_runs() -> None:
    """After three hours of flapping values the memory is what it was, and the hour is there."""
    path = Path()
    size = path._ns.nbytes
    for second in range(3 * 3600):
        path.take(50.0 + second % 7, at(second))
        if second % 2:
            path.take(None, at(second + 0.5))
    end = 3 * 3600

    assert path._ns.nbytes == size
    ticks = path.ticks(at(end))
    assert int(ticks.at_ns[0]) == at(end - 3600)
    assert len(ticks.at_ns) == 3600 + 1800


def test_a_value_that_flaps_all_the_time_does_not_outgrow_the_path() -> None:
    """Twelve thousand breaks within the hour: the newest part is kept, the rest forgotten."""
    path = Path()
    for step in range(12_000):
        path.take(50.0, at(step * 0.2))
        path.take(None, at(step * 0.2 + 0.1))

    ticks = path.ticks(at(2400.0))
    assert int(ticks.at_ns[-1]) == at(2399.9)
    assert 4096 <= len(ticks.at_ns) <= 8192
