"""Stream surgery."""

from collections import Counter

import pytest

from volgauge.errors import ConfigError
from volgauge.simulator.faults import Faults, Mangled, Mangler, parse_faults

FRAMES = [b'{"n":%d}' % number for number in range(2_000)]


def payloads(mangled: list[Mangled]) -> list[bytes]:
    """What went out."""
    return [frame.payload for frame in mangled]


def test_no_fault_changes_nothing() -> None:
    """The stream passes as it is."""
    assert payloads(Mangler(1).apply(FRAMES, Faults(), 0.0)) == FRAMES


def test_drop_loses_its_share() -> None:
    """A tenth is gone, the rest in order."""
    out = payloads(Mangler(1).apply(FRAMES, Faults(drop=0.1), 0.0))

    assert 0.07 < 1.0 - len(out) / len(FRAMES) < 0.13
    assert out == [frame for frame in FRAMES if frame in set(out)]


def test_duplicates_follow_their_original() -> None:
    """A twice-sent frame stands beside itself."""
    counts = Counter(payloads(Mangler(1).apply(FRAMES, Faults(duplicate=0.1), 0.0)))

    assert set(counts) == set(FRAMES)
    assert 140 < sum(count == 2 for count in counts.values()) < 260


def test_reorder_loses_nothing() -> None:
    """Neighbours change places."""
    mangler = Mangler(1)
    out = payloads(mangler.apply(FRAMES, Faults(reorder=0.2), 0.0))
    out += payloads(mangler.apply([], Faults(), 1.0))

    assert out != FRAMES
    assert sorted(out) == sorted(FRAMES)


def test_delay_sends_later() -> None:
    """Delayed frames come when their time has come."""
    mangler = Mangler(1)
    faults = Faults(delay=0.5, delay_ms=200.0)
    now = payloads(mangler.apply(FRAMES, faults, 0.0))
    early = payloads(mangler.apply([], faults, 0.19))
    late = payloads(mangler.apply([], faults, 0.21))

    assert early == []
    assert sorted(now + late) == sorted(FRAMES)
    assert 800 < len(late) < 1_200


def test_truncated_frames_are_prefixes() -> None:
    """Cut short, never empty."""
    out = payloads(Mangler(1).apply(FRAMES, Faults(truncate=1.0), 0.0))

    assert all(frame and whole.startswith(frame) for frame, whole in zip(out, FRAMES, strict=True))


def test_garbled_frames_differ_in_a_byte() -> None:
    """One byte at most is another."""
    out = payloads(Mangler(1).apply(FRAMES, Faults(garble=1.0), 0.0))

    wrong = [
        sum(a != b for a, b in zip(x, y, strict=True)) for x, y in zip(out, FRAMES, strict=True)
    ]
    assert max(wrong) == 1


def test_same_seed_makes_the_same_faults() -> None:
    """Faults are repeatable."""
    faults = Faults(drop=0.1, duplicate=0.1, garble=0.1)

    assert Mangler(5).apply(FRAMES, faults, 0.0) == Mangler(5).apply(FRAMES, faults, 0.0)


def test_flags_are_parsed() -> None:
    """`name=value`, units may be left out."""
    assert parse_faults(
        ("drop=0.001", "disconnect_every=30", "delay=1", "lock_after_seconds=2")
    ) == (Faults(drop=0.001, disconnect_every_seconds=30.0, delay=1.0, lock_after_seconds=2.0))


@pytest.mark.parametrize("flag", ["nonsense=1", "drop=2", "drop=x", "drop"])
def test_bad_flags_are_refused(flag: str) -> None:
    """The message names the fault."""
    with pytest.raises(ConfigError, match=r"nonsense|drop"):
        parse_faults((flag,))
