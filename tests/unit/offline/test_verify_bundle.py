"""Verification finds what is the same, and anything that is not."""

from math import inf, nextafter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fakes.evidence_lab import BUILD, Lab
from golden.market_feed import VENUE
from volgauge.domain.events import ForwardQuote
from volgauge.domain.evidence import EvidenceBundle, ExpiryEvidence, from_number, to_number
from volgauge.domain.index import IndexValue
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_DAY
from volgauge.errors import InputError
from volgauge.offline.verify import is_same, read_bundle, verify

NUMBERS = (
    "value", "bid", "ask", "u", "full", "tail_lo", "tail_hi", "coin", "svix", "strip",
)  # fmt: skip
OTHER_BUILD = replace(BUILD, cpu="another")


@pytest.fixture(scope="module")
def lab() -> Lab:
    """A market that ran for some seconds, quotes growing old now and then."""
    made = Lab()
    made.run(600)
    return made


@pytest.fixture(scope="module")
def bundle(lab: Lab) -> EvidenceBundle:
    """Evidence of a headline record."""
    return lab.bundle(next(r for r in reversed(lab.records) if r.tenor_days == 30.0))


@pytest.fixture(scope="module")
def text(bundle: EvidenceBundle) -> bytes:
    """As the service gives it."""
    return msgspec.json.encode(bundle)


def failed(bundle: EvidenceBundle) -> set[str]:
    """Names of the checks that do not hold."""
    return {check.name for check in verify(bundle, BUILD).checks if not check.ok}


def test_every_record_is_verified_to_the_last_bit(lab: Lab) -> None:
    """Every tenor, and every number that a record holds."""
    seen = set()
    for record in lab.records[::9]:
        verdict = verify(read_bundle(msgspec.json.encode(lab.bundle(record))), BUILD)
        seen |= {check.name for check in verdict.checks}

        assert verdict.verified, [check for check in verdict.checks if not check.ok]
        assert verdict.exact
    assert seen >= {*NUMBERS, "input_hash", "instant", "weights meet the tenor"}


def test_expiry_with_a_borrowed_forward_is_verified() -> None:
    """Its neighbours are not in the bundle; what they lent is."""
    lab = Lab(tenors_days=(30.0,))
    lab.run(5)
    sink = lab.engine.sink(VENUE)
    book = next(iter(sink.books.values()))
    soon_ns = lab.market.now_ns + 20 * NANOS_PER_DAY
    near_ns = min(expiry_ns for expiry_ns in book.expiries if expiry_ns > soon_ns)
    in_the_money = [
        slot
        for slot, option in book.slots.items()
        if option.expiry_ns == near_ns and (option.strike < 87_000.0) == (option.kind.value == "C")
    ]
    now_ns = lab.market.now_ns + 1
    for slot in in_the_money:
        sink.quote(slot, float("nan"), float("nan"), 0.0, 0.0, now_ns, now_ns)
    sink.event(
        ForwardQuote(
            venue=VENUE,
            received_ns=now_ns,
            asset=Asset("BTC"),
            quote_currency="USD",
            expiry_ns=near_ns,
            bid=float("nan"),
            ask=float("nan"),
            exchange_ns=now_ns,
        )
    )
    bundle = lab.bundle(lab.compute(now_ns)[-1])
    borrowed = [e for e in bundle.books[0].expiries if e.borrowed_forward is not None]

    assert [near_ns] == [expiry.expiry_ns for expiry in borrowed]
    assert bundle.record.value is not None
    assert verify(bundle, BUILD).verified
    altered = replace(borrowed[0], borrowed_forward=from_number(borrowed[0].borrowed_forward) + 1.0)
    assert failed(with_expiry(bundle, altered)) >= {"input_hash"}


def test_expiry_that_its_neighbours_carry_is_verified() -> None:
    """All its quotes vanish: the variance that stands in the record makes the value."""
    lab = Lab(tenors_days=(30.0,))
    lab.run(5)
    sink = lab.engine.sink(VENUE)
    book = next(iter(sink.books.values()))
    soon_ns = lab.market.now_ns + 20 * NANOS_PER_DAY
    near_ns = min(expiry_ns for expiry_ns in book.expiries if expiry_ns > soon_ns)
    now_ns = lab.market.now_ns + 1
    for slot, option in book.slots.items():
        if option.expiry_ns == near_ns:
            sink.quote(slot, float("nan"), float("nan"), 0.0, 0.0, now_ns, now_ns)
    bundle = lab.bundle(lab.compute(now_ns)[-1])
    verdict = verify(bundle, BUILD)
    carried = bundle.record.expiries[0]

    assert "carried" in bundle.record.flags
    assert (None, None) == (carried.total_variance, carried.variance)
    assert carried.pooled_variance is not None
    assert verdict.verified, [check for check in verdict.checks if not check.ok]
    assert {"bid", "ask", "u"} <= set(verdict.unverified)
    off = replace(carried, pooled_variance=carried.pooled_variance * 1.001)
    record = replace(bundle.record, expiries=(off, *bundle.record.expiries[1:]))
    assert "value" in failed(replace(bundle, record=record))


@given(data=st.data())
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_changed_byte_of_the_inputs_is_found(
    bundle: EvidenceBundle, text: bytes, data: st.DataObject
) -> None:
    """Unreadable, or not verified; never taken, never a crash."""
    first = text.index(b'"at_ns"')
    last = text.index(b'"build"')
    place = data.draw(st.integers(first, last - 1), label="place")
    byte = data.draw(st.integers(0, 255), label="byte")
    altered = text[:place] + bytes([byte]) + text[place + 1 :]
    try:
        read = read_bundle(altered)
    except InputError:
        return
    if read == bundle:
        # The same numbers written otherwise, e.g. another last digit of the same double.
        return

    assert not verify(read, BUILD).verified


@pytest.mark.parametrize("name", NUMBERS)
def test_changed_number_of_the_record_is_found(bundle: EvidenceBundle, name: str) -> None:
    """One unit in the last place is enough."""
    number = getattr(bundle.record, name)
    altered = replace(bundle, record=replace(bundle.record, **{name: next_double(number)}))

    assert failed(altered) >= {name}


def test_changed_weight_variance_hash_and_instant_are_found(bundle: EvidenceBundle) -> None:
    """Each by the check of its name."""
    record = bundle.record
    near = record.expiries[0]

    def with_near(**changes: object) -> EvidenceBundle:
        expiries = (replace(near, **changes), *record.expiries[1:])
        return replace(bundle, record=replace(record, expiries=expiries))

    assert "weights meet the tenor" in failed(with_near(weight=near.weight + 1e-9))
    assert near.total_variance is not None
    assert f"{near.expiry} total_variance" in failed(
        with_near(total_variance=next_double(near.total_variance))
    )
    assert f"{near.expiry} rejected" in failed(with_near(rejected={}))
    assert "input_hash" in failed(replace(bundle, record=replace(record, input_hash="0" * 64)))
    assert "instant" in failed(replace(bundle, at_ns=bundle.at_ns - 1))


def test_swapped_inputs_are_found(bundle: EvidenceBundle) -> None:
    """Bid sizes of two strikes exchanged: nothing of the value changes, the digest does."""
    expiry = bundle.books[0].expiries[0]
    a, b = [i for i, s in enumerate(expiry.strikes) if s.put is not None and s.put.bid_size][:2]
    strikes = list(expiry.strikes)
    left, right = strikes[a].put, strikes[b].put
    assert left is not None
    assert right is not None
    strikes[a] = replace(strikes[a], put=replace(left, bid_size=right.bid_size))
    strikes[b] = replace(strikes[b], put=replace(right, bid_size=left.bid_size))
    altered = with_expiry(bundle, replace(expiry, strikes=tuple(strikes)))

    assert left.bid_size != right.bid_size
    assert f"digest {expiry.expiry}" in failed(altered)


def test_other_build_is_held_to_the_tolerance(bundle: EvidenceBundle) -> None:
    """1e-9 relative: a rounding passes, a hundredth of a millionth does not."""
    record = bundle.record
    assert record.value is not None
    near = replace(
        bundle, build=OTHER_BUILD, record=replace(record, value=next_double(record.value))
    )
    far = replace(near, record=replace(record, value=record.value * (1.0 + 1e-8)))

    assert (True, False) == (verify(near, BUILD).verified, verify(near, BUILD).exact)
    assert not verify(far, BUILD).verified
    assert is_same(1.0, 1.0 + 9e-10, exact=False)
    assert not is_same(1.0, 1.0 + 9e-10, exact=True)
    assert not is_same(None, 0.0, exact=False)


def test_numbers_of_longer_memory_are_named(bundle: EvidenceBundle) -> None:
    """The verdict says what it cannot say."""
    record: IndexValue = replace(bundle.record, smoothed=50.0)

    assert "smoothed" in verify(replace(bundle, record=record), BUILD).unverified


@pytest.mark.parametrize(
    "altered",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"v":1}',
    ],
    ids=["empty", "list", "no text", "incomplete"],
)
def test_what_is_no_bundle_is_refused(altered: bytes) -> None:
    """A typed error that names the source."""
    with pytest.raises(InputError, match=r"^here: "):
        read_bundle(altered, "here")


def test_ill_ordered_bundle_is_refused(bundle: EvidenceBundle) -> None:
    """Strikes and expiries ascend."""
    expiry = bundle.books[0].expiries[0]
    backwards = with_expiry(bundle, replace(expiry, strikes=expiry.strikes[::-1]))
    book = replace(bundle.books[0], expiries=bundle.books[0].expiries[::-1])

    for altered in (backwards, replace(bundle, books=(book,))):
        with pytest.raises(InputError, match="ascending"):
            read_bundle(msgspec.json.encode(altered))


def with_expiry(bundle: EvidenceBundle, expiry: ExpiryEvidence) -> EvidenceBundle:
    """The bundle with another expiry of the same instant."""
    book = bundle.books[0]
    expiries = tuple(
        expiry if known.expiry_ns == expiry.expiry_ns else known for known in book.expiries
    )
    return replace(bundle, books=(replace(book, expiries=expiries),))


def next_double(number: float) -> float:
    """The next larger double."""
    return nextafter(number, inf)


def test_numbers_survive_json() -> None:
    """NaN is null, an infinity a string, everything else itself."""
    assert [None, "inf", "-inf", -0.0] == [
        to_number(x) for x in (float("nan"), float("inf"), float("-inf"), -0.0)
    ]
    assert [float("inf"), float("-inf")] == [from_number("inf"), from_number("-inf")]
    assert from_number(None) != from_number(None)
