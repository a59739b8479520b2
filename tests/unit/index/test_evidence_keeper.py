"""What is kept of the last minutes, found again, and let go."""

import tracemalloc

import pytest

from fakes.evidence_lab import BUILD, Lab
from golden.market_feed import VENUE
from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import IndexValue, Reason, Status
from volgauge.domain.instrument import Asset, BookKey
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.index.evidence import Excerpt, Missing
from volgauge.offline.verify import verify

BTC = Asset("BTC")
ROLL_NS = parse_instant("2026-03-03T08:00:00Z")
STEPS = 700
"""3.5 s of market time: three closed segments and an open one."""


@pytest.fixture(scope="module")
def lab() -> Lab:
    """A market that ran for some seconds."""
    made = Lab()
    made.run(STEPS)
    return made


def test_every_record_is_found_with_its_own_evidence(lab: Lab) -> None:
    """Of closed seconds and of the one that goes on; the record comes back unchanged."""
    assert len(lab.records) > STEPS
    for record in lab.records[::37] + lab.records[-3:]:
        bundle = lab.bundle(record)

        assert (record, record.computed_ns, record.seq) == (
            bundle.record,
            bundle.at_ns,
            bundle.rests_on,
        )


def test_compressed_seconds_give_what_raw_ones_give() -> None:
    """Sealing changes no byte of any evidence."""
    raw = Lab(seals=False)
    raw.run(200)
    records = raw.records[::29]
    before = [raw.bundle(record) for record in records]
    raw.run(200)
    kept = raw.keeper.stats.kept_bytes
    assert raw.keeper.unsealed()
    raw.seal()

    assert not raw.keeper.unsealed()
    assert before == [raw.bundle(record) for record in records]
    assert raw.keeper.stats.kept_bytes < kept


def test_only_what_changed_is_captured(lab: Lab) -> None:
    """Rows a capture: a few, but for the keyframes of a thousand."""
    stats = lab.keeper.stats
    keyframes = 4 * 1_100

    assert stats.captures >= STEPS
    assert stats.captured_rows < keyframes + 25 * stats.captures


def test_excerpt_outlives_its_time_in_the_keeper() -> None:
    """Who has found it may take long to read it."""
    lab = Lab(keep_seconds=1)
    record = lab.run(5)[-1]
    excerpt = lab.keeper.find(record.asset, record.tenor_days, record.seq)
    lab.run(500)

    assert isinstance(excerpt, Excerpt)
    bundle = excerpt.bundle(epoch=9)
    assert isinstance(bundle, EvidenceBundle)
    assert (record.seq, 9) == (bundle.record.seq, bundle.record.epoch)


def test_what_is_too_old_or_never_was_has_a_reason() -> None:
    """Unknown index, not yet, expired."""
    lab = Lab(keep_seconds=1)
    lab.run(700)
    last = next(r for r in reversed(lab.records) if r.tenor_days == 30.0)

    assert lab.keeper.find("BTC", 11.0, 1) is Missing.UNKNOWN_INDEX
    assert lab.keeper.find("NOPE", 30.0, 1) is Missing.UNKNOWN_INDEX
    assert lab.keeper.find("BTC", 30.0, last.seq + 1) is Missing.NOT_YET
    assert lab.keeper.find("BTC", 30.0, 1) is Missing.EXPIRED
    assert lab.keeper.find("BTC", 30.0, 0) is Missing.EXPIRED
    assert isinstance(lab.keeper.find("BTC", 30.0, last.seq), Excerpt)
    assert lab.keeper.stats.expired_segments >= 1


def test_limit_in_bytes_holds_at_ten_times_the_rate() -> None:
    """Nine more computations after every step: the oldest goes and is counted, the newest stays."""
    limit = 1_500_000
    lab = Lab(max_bytes=limit, tenors_days=(30.0,), seals=False)
    for _ in range(150):
        lab.run(1)
        for nanos in range(1, 10):
            found = touch(lab, lab.market.now_ns + nanos)
            assert lab.keeper.stats.kept_bytes <= limit
            assert isinstance(lab.keeper.find("BTC", 30.0, found.seq), Excerpt)

    assert lab.keeper.stats.dropped_segments > 0
    assert lab.keeper.stats.expired_segments == 0
    assert lab.keeper.find("BTC", 30.0, 1) is Missing.EXPIRED
    assert verify(lab.bundle(lab.records[-1]), BUILD).verified


def test_bytes_that_are_counted_are_bytes_that_are_taken() -> None:
    """The memory of raw evidence, as the interpreter counts it, is at most what is said."""
    lab = Lab(seals=False)
    lab.run(20)
    before = lab.keeper.stats.kept_bytes
    surfaces = [book for book in lab.engine.sink(VENUE).books.values() if book.key.asset == "BTC"]
    records = lab.records[-1:]
    tracemalloc.start()
    for nanos in range(1, 2_001):
        lab.keeper.capture(BTC, surfaces, records, lab.market.now_ns + nanos)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert taken <= lab.keeper.stats.kept_bytes - before


def test_value_that_is_repeated_rests_on_the_inputs_of_its_first_time() -> None:
    """The feed falls silent: the held value is verified by the evidence of the accepted one."""
    lab = Lab(tenors_days=(30.0,))
    accepted = lab.run(10)[-1]
    held = lab.compute(lab.market.now_ns + 4 * NANOS_PER_SECOND)[-1]
    bundle = lab.bundle(held)

    assert accepted.value == held.value
    assert (Status.DEGRADED, accepted.seq) == (held.status, bundle.rests_on)
    assert bundle.at_ns == accepted.computed_ns < held.computed_ns
    assert verify(bundle, BUILD).verified


def test_inputs_that_went_before_the_value_that_repeats_them_are_missed() -> None:
    """The record is kept, what it rests on is not: that is said."""
    lab = Lab(tenors_days=(30.0,), keep_seconds=5)
    lab.run(10)
    start_ns = lab.market.now_ns
    for second in range(4, 12):
        lab.compute(start_ns + second * NANOS_PER_SECOND)
    held = lab.records[-1]
    excerpt = lab.keeper.find("BTC", 30.0, held.seq)

    assert held.status is Status.STALE
    assert isinstance(excerpt, Excerpt)
    assert excerpt.bundle() is Missing.INPUTS_EXPIRED


def test_record_without_expiries_shows_the_whole_book() -> None:
    """No expiry is near 1000 days: the reason, and everything that was known."""
    lab = Lab(tenors_days=(30.0, 1_000.0))
    record = next(r for r in lab.run(1) if r.tenor_days == 1_000.0)
    bundle = lab.bundle(record)

    assert (None, Reason.NO_BRACKET, ()) == (record.value, record.reason, record.expiries)
    assert len(lab.engine.sink(VENUE).books[bundle_key(lab)].expiries) == len(
        bundle.books[0].expiries
    )
    assert verify(bundle, BUILD).verified


def test_listing_that_changes_within_a_second_is_followed() -> None:
    """Options go at the roll and new ones come: evidence before and after stays whole."""
    lab = Lab(start="2026-03-03T07:59:59Z", tenors_days=(7.0, 30.0))
    before = lab.run(100)
    after = lab.run(200)
    expiries = {len(lab.bundle(r).books[0].expiries) for r in (before[0], after[-1])}

    assert before[0].computed_ns < ROLL_NS < after[-1].computed_ns
    assert expiries == {2}
    for record in before[::15] + after[::15]:
        assert verify(lab.bundle(record), BUILD).verified


def bundle_key(lab: Lab) -> BookKey:
    """Of the one option book."""
    return next(iter(lab.engine.sink(VENUE).books))


def touch(lab: Lab, now_ns: int) -> IndexValue:
    """Quote one option again, as it was, and compute."""
    sink = lab.engine.sink(VENUE)
    slot = now_ns % 100
    bid, ask, bid_size, ask_size, exchange_ns, _ = sink.table.read(slot)
    sink.quote(slot, bid, ask, bid_size, ask_size, exchange_ns, now_ns)
    return lab.compute(now_ns)[-1]
