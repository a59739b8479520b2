"""Recompute what was published from its evidence; recordings are recording_check.py's affair.

On the same build - kernels' source, libraries, processor - every number must come out to the last
bit. Elsewhere the processor's and the library's rounding may differ: 1e-9 relative is asked for.
"""

from collections.abc import Iterator, Sequence
from math import isfinite, isnan, sqrt
from typing import Any, Literal

import msgspec
from msgspec import Struct

from volgauge.domain.evidence import BookEvidence, Build, EvidenceBundle
from volgauge.domain.index import ExpiryValue, Flag, IndexValue, Method
from volgauge.domain.instrument import Venue
from volgauge.domain.units import DAYS_PER_YEAR, parse_instant
from volgauge.errors import InputError
from volgauge.index.assemble import expiry_facts, expiry_value
from volgauge.index.band import error_band, pooling_error
from volgauge.index.bundle import input_hash, strip_bracket, surface_of
from volgauge.index.composition import weighted_mean
from volgauge.index.maturity import vol_points
from volgauge.index.view import SHIFTED
from volgauge.kernels import layout as col
from volgauge.surface.surface import METHOD_ROW, Surface

TOLERANCE = 1e-9
"""Relative, on another build."""
WEIGHT_TOLERANCE = 1e-12

COLUMNS = {
    "value": col.TOTAL_VARIANCE,
    "bid": col.BID_VARIANCE,
    "ask": col.ASK_VARIANCE,
    "full": col.FULL_VARIANCE,
    "tail_lo": col.TAIL_LO_VARIANCE,
    "tail_hi": col.TAIL_HI_VARIANCE,
    "coin": col.COIN_VARIANCE,
    "svix": col.SVIX_VARIANCE,
}
"""What of a record is a blend of its expiries' total variances."""
OF_THE_TERM = frozenset({"book", "weight", "share", "pooled_variance"})
"""What an expiry of a record has from the index, not from its own quotes."""


class Check(Struct, frozen=True):
    """One comparison."""

    name: str
    ok: bool
    published: Any = None
    recomputed: Any = None


class BundleVerdict(Struct, frozen=True, kw_only=True):
    """What came of a bundle."""

    verified: bool
    """Every check holds."""
    kind: Literal["bundle"] = "bundle"
    exact: bool
    """Bits were compared: the bundle was made by this very build on such a processor."""
    code: str
    seq: int
    value: float | None
    checks: tuple[Check, ...]
    unverified: tuple[str, ...]
    """Numbers of the record that do not follow from its evidence: they have a longer memory. A
    replayed recording verifies these, too."""


class ServiceVerdict(Struct, frozen=True, kw_only=True):
    """What came of the newest record of every index of a running service."""

    verified: bool
    kind: Literal["service"] = "service"
    bundles: tuple[BundleVerdict, ...]


def read_bundle(data: bytes, name: str = "bundle") -> EvidenceBundle:
    """Decode a bundle.

    Args:
        data: JSON.
        name: For messages.

    Raises:
        InputError: It is none.
    """
    try:
        bundle = msgspec.json.decode(data, type=EvidenceBundle)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: expected an evidence bundle, {error}") from error
    try:
        _check_shape(bundle)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name}: {error}") from error
    return bundle


def verify(bundle: EvidenceBundle, build: Build) -> BundleVerdict:
    """Recompute a record from its evidence.

    Args:
        bundle: As `/v1/evidence` gave it.
        build: Of this program on this machine.
    """
    exact = bundle.build == build
    checks = list(_checks(bundle, exact=exact))
    return BundleVerdict(
        verified=all(check.ok for check in checks),
        exact=exact,
        code=bundle.record.code,
        seq=bundle.record.seq,
        value=bundle.record.value,
        checks=tuple(checks),
        unverified=tuple(_unverified(bundle.record)),
    )


def verdict_of_service(bundles: Sequence[BundleVerdict]) -> ServiceVerdict:
    """Of the newest record of every index of a service."""
    return ServiceVerdict(
        verified=bool(bundles) and all(bundle.verified for bundle in bundles),
        bundles=tuple(bundles),
    )


def read_record(line: bytes, name: str = "record") -> IndexValue:
    """Decode a published record.

    Raises:
        InputError: It is none.
    """
    try:
        return msgspec.json.decode(line, type=IndexValue)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: expected a published record, {error}") from error


def record_in(data: bytes) -> IndexValue | None:
    """The published record that these bytes are; None when they are something else."""
    try:
        return read_record(data)
    except InputError:
        return None


def _check_shape(bundle: EvidenceBundle) -> None:
    """What the types do not say, and a computation would stumble over."""
    for book in bundle.books:
        instants = [expiry.expiry_ns for expiry in book.expiries]
        if instants != sorted(set(instants)):
            raise ValueError("books.expiries: expected ascending expiries")
        for expiry in book.expiries:
            strikes = [strike.strike for strike in expiry.strikes]
            if strikes != sorted(set(strikes)) or not all(strike > 0.0 for strike in strikes):
                raise ValueError(f"{expiry.expiry}: expected ascending strikes above zero")
            if parse_instant(expiry.expiry) != expiry.expiry_ns:
                raise ValueError(f"{expiry.expiry}: expected the instant of expiry_ns")


def _checks(bundle: EvidenceBundle, *, exact: bool) -> Iterator[Check]:
    record = bundle.record
    repeats = bundle.rests_on != record.seq
    in_time = bundle.at_ns <= record.computed_ns if repeats else bundle.at_ns == record.computed_ns
    yield Check("instant", in_time, record.computed_ns, bundle.at_ns)
    computed: list[tuple[BookEvidence, Surface]] = []
    for book in bundle.books:
        surface = surface_of(book, bundle.at_ns)
        computed.append((book, surface))
        for expiry in book.expiries:
            digest = surface.digest(surface.expiries.index(expiry.expiry_ns))
            ok = digest.hex() == expiry.digest
            yield Check(f"digest {expiry.expiry}", ok, expiry.digest, digest.hex())
    if not record.expiries:
        yield Check("value", record.value is None, record.value, None)
        yield Check("input_hash", not record.input_hash, record.input_hash, "")
        return
    shares = []
    for label in dict.fromkeys(expiry.book for expiry in record.expiries):
        found = next((c for c in computed if c[0].label == label), None)
        if found is None:
            yield Check(f"inputs {label}", ok=False)
            return
        share = _share_of(record, label, *found)
        if isinstance(share, str):
            yield Check(f"inputs {label} {share}", ok=False)
            return
        shares.append(share)
    whole = input_hash(
        (s.evidence.venue, [s.surface.digest(row) for row in s.rows]) for s in shares
    )
    yield Check("input_hash", whole == record.input_hash, record.input_hash, whole)
    for share in shares:
        yield from _expiry_checks(share, record, exact=exact)
        yield from _weight_checks(share, record)
    if record.value is None:
        return
    strikes = sum(expiry.n_strikes for expiry in record.expiries)
    yield Check("n_strikes", record.n_strikes == strikes, record.n_strikes, strikes)
    if len(shares) == 1:
        yield from _blend_checks(record, shares[0], exact=exact)
        yield from _strip_check(record, shares[0], exact=exact)
    else:
        yield from _composite_checks(record, shares, exact=exact)


class _Share(Struct, frozen=True):
    """What one book has in a record."""

    label: str
    evidence: BookEvidence
    surface: Surface
    expiries: tuple[ExpiryValue, ...]
    rows: tuple[int, ...]
    """Of the surface, one an expiry."""


def _share_of(record: IndexValue, label: str, book: BookEvidence, surface: Surface) -> _Share | str:
    """The part of a record that a book is; the expiry whose inputs are missing otherwise."""
    expiries = tuple(expiry for expiry in record.expiries if expiry.book == label)
    known = {expiry.expiry_ns for expiry in book.expiries}
    for expiry in expiries:
        if parse_instant(expiry.expiry) not in known:
            return expiry.expiry
    rows = tuple(surface.expiries.index(parse_instant(e.expiry)) for e in expiries)
    return _Share(label, book, surface, expiries, rows)


def _expiry_checks(share: _Share, record: IndexValue, *, exact: bool) -> Iterator[Check]:
    """Every number of every expiry of a book."""
    method, surface = METHOD_ROW[record.mode], share.surface
    for published, row in zip(share.expiries, share.rows, strict=True):
        again = expiry_value(
            expiry_facts(surface, method, row),
            share.label,
            float(surface.values[method, row, col.T_YEARS]),
            int(surface.facts[method, row, col.MINUTES]),
            published.weight,
        )
        for name in published.__struct_fields__:
            if name in OF_THE_TERM:
                continue
            before, after = getattr(published, name), getattr(again, name)
            ok = is_same(before, after, exact=exact)
            yield Check(f"{published.expiry} {name}", ok, before, after)


def _weight_checks(share: _Share, record: IndexValue) -> Iterator[Check]:
    """The weights' own law: the times of the expiries meet in the tenor."""
    tenor_years = record.tenor_days / DAYS_PER_YEAR
    centre = sum(e.weight * e.t_years for e in share.expiries)
    ok = abs(centre - tenor_years) <= WEIGHT_TOLERANCE * tenor_years
    yield Check("weights meet the tenor", ok, centre, tenor_years)


def _composite_checks(
    record: IndexValue, shares: Sequence[_Share], *, exact: bool
) -> Iterator[Check]:
    """Each book's value from its expiries, and the composite from the books by their weights.

    The weights themselves rest on minutes of liquidity and on who is out: they are taken from the
    record, and must sum to 1.
    """
    tenor_years = record.tenor_days / DAYS_PER_YEAR
    weights = [record.venues[Venue(share.label)].weight for share in shares]
    yield Check(
        "weights of the venues", abs(sum(weights) - 1.0) <= WEIGHT_TOLERANCE, 1.0, sum(weights)
    )
    exact = exact and not _is_carried(record)
    sums = [_sums(share, METHOD_ROW[record.mode]) for share in shares]
    for share, own in zip(shares, sums, strict=True):
        published = record.venues[Venue(share.label)].value
        again = vol_points(own[col.TOTAL_VARIANCE], tenor_years)
        same = is_same(published, again, exact=exact)
        yield Check(f"venues {share.label}", same, published, again)
    for name, column in COLUMNS.items():
        if name in _of_carried(record):
            continue
        parts = [vol_points(own[column], tenor_years) for own in sums]
        again = weighted_mean(parts, weights)
        before = getattr(record, name)
        yield Check(name, is_same(before, again, exact=exact), before, again)


def _blend_checks(record: IndexValue, share: _Share, *, exact: bool) -> Iterator[Check]:
    """Each number of the tenor that blends its expiries' variances."""
    if record.value is None:
        return
    tenor_years = record.tenor_days / DAYS_PER_YEAR
    sums = _sums(share, METHOD_ROW[record.mode])
    # A carried expiry's variance is taken from the record, to which it was rounded once more.
    exact = exact and not _is_carried(record)
    for name, column in COLUMNS.items():
        published = getattr(record, name)
        again = vol_points(sums[column], tenor_years)
        if name in _of_carried(record):
            continue
        yield Check(name, is_same(published, again, exact=exact), published, again)
    total = sums[col.TOTAL_VARIANCE]
    bid = vol_points(sums[col.BID_VARIANCE], tenor_years)
    ask = vol_points(sums[col.ASK_VARIANCE], tenor_years)
    if not set(_unverified(record)) & {"u"} and bid is not None and ask is not None:
        per_variance = record.value / (2.0 * total)
        extrapolation = sums[col.EXT_VARIANCE] * per_variance
        doubt = sqrt(_pooling_error(share, METHOD_ROW[record.mode], per_variance) ** 2)
        again = error_band(bid, ask, extrapolation if isfinite(extrapolation) else 0.0, doubt)
        yield Check("u", is_same(record.u, again, exact=exact), record.u, again)


def _sums(share: _Share, method: int) -> list[float]:
    """Every column of the expiries' results, weighted, in the order of the record.

    Variances that were pooled or carried (rules 9 and 14) stand in the record.
    """
    sums = [0.0] * col.VALUE_COLUMNS
    values: list[list[float]] = share.surface.values[method, list(share.rows)].tolist()
    for expiry, row in zip(share.expiries, values, strict=True):
        used = list(row)
        if expiry.pooled_variance is not None:
            own = used[col.TOTAL_VARIANCE]
            shift = expiry.pooled_variance - own
            for column in SHIFTED:
                used[column] += shift
            if isnan(own):
                used[col.TOTAL_VARIANCE] = expiry.pooled_variance
        if expiry.weight != 0.0:
            sums = [x + expiry.weight * y for x, y in zip(sums, used, strict=True)]
    return sums


def _pooling_error(share: _Share, method: int, per_variance: float) -> float:
    """What the expiries' contradictions add to u (rule 17)."""
    own: list[float] = share.surface.values[method, list(share.rows), col.TOTAL_VARIANCE].tolist()
    shifts = [
        0.0 if expiry.pooled_variance is None else expiry.pooled_variance - variance
        for expiry, variance in zip(share.expiries, own, strict=True)
    ]
    return pooling_error([expiry.weight for expiry in share.expiries], shifts, per_variance)


def _is_carried(record: IndexValue) -> bool:
    """An expiry without a variance of its own made part of the value."""
    return any(e.total_variance is None and e.weight != 0.0 for e in record.expiries)


def _of_carried(record: IndexValue) -> frozenset[str]:
    """Numbers that rest on more of a carried expiry than its variance, which the record tells."""
    return frozenset(COLUMNS) - {"value"} if _is_carried(record) else frozenset()


def _unverified(record: IndexValue) -> list[str]:
    """Numbers of a record that follow from a longer memory than its evidence."""
    names = ["smoothed", "quality", "candidate", *sorted(_of_carried(record))]
    if len({expiry.book for expiry in record.expiries}) > 1:
        # Of several books: the weights' origin, and whose strip it is.
        names += ["u", "strip"]
    elif record.flags and {Flag.ONE_SIDED_TERM.value, Flag.CARRIED.value} & set(record.flags):
        names.append("u")
    return [name for name in names if getattr(record, name) is not None]


def _strip_check(record: IndexValue, share: _Share, *, exact: bool) -> Iterator[Check]:
    book, surface = share.evidence, share.surface
    if record.strip is None or Method.DVOL not in book.methods:
        return
    tenor_years = record.tenor_days / DAYS_PER_YEAR
    again: float | None = None
    known = [surface.expiries.index(expiry.expiry_ns) for expiry in book.expiries]
    found = strip_bracket(surface, known, tenor_years)
    if found is not None:
        near, far = surface.values[col.DVOL, (found.near, found.far), col.TOTAL_VARIANCE].tolist()
        again = vol_points(found.blend(near, far), tenor_years)
    yield Check("strip", is_same(record.strip, again, exact=exact), record.strip, again)


def is_same(before: object, after: object, *, exact: bool) -> bool:
    """Equal; floats on another build within 1e-9 relative."""
    if isinstance(before, float) and isinstance(after, float) and not exact:
        return abs(before - after) <= TOLERANCE * max(abs(before), abs(after))
    return type(before) is type(after) and before == after
