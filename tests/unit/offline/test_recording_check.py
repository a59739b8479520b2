"""Replayed records against published ones, field by field."""

from msgspec.structs import replace

from fakes.records import EXPIRY, index_value
from volgauge.domain.index import IndexValue, Source, Status
from volgauge.offline.recording_check import MAX_DIVERGENCES, RecordingCheck

LATE_NS = index_value(1).computed_ns


def checked(
    published: list[IndexValue],
    replayed: list[IndexValue],
    *,
    exact: bool = True,
    last_ns: int = LATE_NS,
) -> RecordingCheck:
    """After all replayed records."""
    check = RecordingCheck(iter(published), exact=exact, with_restatements=True)
    for record in replayed:
        check.take(record)
    check.verdict(last_ns)
    return check


def test_what_each_sink_sets_is_no_difference() -> None:
    """Source, epoch, prev_seq and the time of publication are not the engine's."""
    published = index_value(3)
    replayed = replace(published, source=Source.REPLAY, epoch=9, prev_seq=1, published_ns=12)
    verdict = checked([published], [replayed]).verdict(LATE_NS)

    assert (True, 1, ()) == (verdict.verified, verdict.compared, verdict.divergences)


def test_every_other_field_counts() -> None:
    """Also those of an expiry and of a venue; the path says which."""
    published = index_value(3)
    near = replace(EXPIRY, rejected={"wide": 4})
    replayed = replace(published, quality=0.5, status=Status.DEGRADED, expiries=(near, EXPIRY))
    verdict = checked([published], [replayed]).verdict(LATE_NS)

    assert not verdict.verified
    assert ["expiries[0].rejected.wide", "quality", "status"] == [
        divergence.field for divergence in verdict.divergences
    ]


def test_tolerance_is_that_of_the_build() -> None:
    """Bits by the same build, 1e-9 relative by another."""
    published = index_value(3, value=52.25)
    near = replace(published, value=52.25 * (1.0 + 5e-10))
    far = replace(published, value=52.25 * (1.0 + 5e-9))

    assert not checked([published], [near]).verdict(LATE_NS).verified
    assert checked([published], [near], exact=False).verdict(LATE_NS).verified
    assert not checked([published], [far], exact=False).verdict(LATE_NS).verified


def test_missing_records_are_counted_but_for_those_after_the_cut() -> None:
    """What was published after the last instant of a recording cannot come out of it."""
    first, second = index_value(1), index_value(2)
    whole = checked([first, second], [first]).verdict(LATE_NS)
    cut = checked([first, second], [first]).verdict(LATE_NS - 1)

    assert (False, 1, 0) == (whole.verified, whole.missing, whole.beyond)
    assert (True, 0, 1) == (cut.verified, cut.missing, cut.beyond)


def test_nothing_published_verifies_nothing() -> None:
    """An empty comparison is no proof; what was not published is no matter."""
    verdict = checked([], [index_value(1)]).verdict(LATE_NS)

    assert (False, 0) == (verdict.verified, verdict.compared)


def test_only_errors_above_a_fifth_of_a_point_are_restated() -> None:
    """METHODOLOGY rule 21: the corrected record names the one that it corrects."""
    published = [index_value(1, value=52.0), index_value(2, value=52.0)]
    replayed = [index_value(1, value=52.19), index_value(2, value=52.21)]
    verdict = checked(published, replayed).verdict(LATE_NS)

    assert [(2, 52.21)] == [(r.corrects, r.value) for r in verdict.restatements]
    assert 2 == verdict.differing


def test_list_of_divergences_is_bounded() -> None:
    """All are counted, the first are shown."""
    published = [index_value(seq, value=52.0) for seq in range(1, 51)]
    replayed = [index_value(seq, value=53.0) for seq in range(1, 51)]
    verdict = checked(published, replayed).verdict(LATE_NS)

    assert (50, MAX_DIVERGENCES) == (verdict.differing, len(verdict.divergences))
