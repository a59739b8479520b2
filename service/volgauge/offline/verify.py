"""Recompute what was published: one record from its evidence, or a recording's records.

On the same build - kernels' source, libraries, processor - every number must come out to the last
bit. Elsewhere the processor's and the library's rounding may differ: 1e-9 relative is asked for.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from volgauge.domain.evidence import BookEvidence, Build, EvidenceBundle
from volgauge.domain.index import Flag, IndexValue, Method
from volgauge.domain.units import DAYS_PER_YEAR, parse_instant
from volgauge.errors import InputError
from volgauge.index.assemble import expiry_facts, expiry_value
from volgauge.index.bundle import input_hash, strip_bracket, surface_of
from volgauge.index.maturity import vol_points
from volgauge.kernels import layout as col
from volgauge.surface.surface import METHOD_ROW, Surface

TOLERANCE = 1e-9
"""Relative, on another build."""
WEIGHT_TOLERANCE = 1e-12
MAX_DIVERGENCES = 20

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
OF_THE_TERM = frozenset({"weight", "share", "pooled_variance"})
"""What an expiry of a record has from the index, not from its own quotes."""
OF_THE_SINK = frozenset({"source", "epoch", "published_ns", "prev_seq"})
"""What each sink sets anew, and the name of the source: a replay has its own."""


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


class Divergence(Struct, frozen=True, kw_only=True):
    """One field of one record that came out otherwise."""

    code: str
    seq: int
    field: str
    published: Any
    recomputed: Any


class RecordingVerdict(Struct, frozen=True, kw_only=True):
    """What came of a recording."""

    verified: bool
    """There were records, all of them came out, and as they were published."""
    kind: Literal["recording"] = "recording"
    exact: bool
    """Bits were compared: the recording says that it was made by this very build."""
    compared: int
    missing: int
    """Published, but the replay gave no such record."""
    differing: int
    divergences: tuple[Divergence, ...]
    """The first of them."""


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
    )


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
    digests: list[bytes] = []
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
    if len(computed) != 1:
        yield Check("books", ok=False, published=len(computed), recomputed=1)
        return
    book, surface = computed[0]
    rows = []
    for used in record.expiries:
        instant = parse_instant(used.expiry)
        if instant not in {known.expiry_ns for known in book.expiries}:
            yield Check(f"inputs {used.expiry}", ok=False)
            return
        rows.append(surface.expiries.index(instant))
    digests = [surface.digest(row) for row in rows]
    whole = input_hash([(book.venue, digests)])
    yield Check("input_hash", whole == record.input_hash, record.input_hash, whole)
    yield from _expiry_checks(record, surface, rows, exact=exact)
    yield from _blend_checks(record, surface, rows, exact=exact)
    yield from _strip_check(record, book, surface, exact=exact)


def _expiry_checks(
    record: IndexValue, surface: Surface, rows: Sequence[int], *, exact: bool
) -> Iterator[Check]:
    """Every number of every expiry."""
    method = METHOD_ROW[record.mode]
    for published, row in zip(record.expiries, rows, strict=True):
        again = expiry_value(
            expiry_facts(surface, method, row),
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


def _blend_checks(
    record: IndexValue, surface: Surface, rows: Sequence[int], *, exact: bool
) -> Iterator[Check]:
    """The weights' own law, and each number of the tenor that blends its expiries' variances."""
    tenor_years = record.tenor_days / DAYS_PER_YEAR
    weights = [expiry.weight for expiry in record.expiries]
    centre = sum(e.weight * e.t_years for e in record.expiries)
    ok = abs(centre - tenor_years) <= WEIGHT_TOLERANCE * tenor_years
    yield Check("weights meet the tenor", ok, centre, tenor_years)
    if Flag.ONE_SIDED_TERM.value not in record.flags:
        total = sum(weights)
        yield Check("weights sum to one", abs(total - 1.0) <= WEIGHT_TOLERANCE, total, 1.0)
    method = METHOD_ROW[record.mode]
    for name, column in COLUMNS.items():
        published = getattr(record, name)
        if published is None and name != "value":
            continue
        variances = surface.values[method, rows, column].tolist()
        if name == "value":
            variances = [
                w if expiry.pooled_variance is None else expiry.pooled_variance
                for w, expiry in zip(variances, record.expiries, strict=True)
            ]
        again = vol_points(_blend(weights, variances), tenor_years)
        yield Check(name, is_same(published, again, exact=exact), published, again)


def _strip_check(
    record: IndexValue, book: BookEvidence, surface: Surface, *, exact: bool
) -> Iterator[Check]:
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


def _blend(weights: Sequence[float], variances: Sequence[float]) -> float:
    """Sum of weight times variance, in the order of the record."""
    total = weights[0] * variances[0]
    for weight, variance in zip(weights[1:], variances[1:], strict=True):
        total += weight * variance
    return total


def is_same(before: object, after: object, *, exact: bool) -> bool:
    """Equal; floats on another build within 1e-9 relative."""
    if isinstance(before, float) and isinstance(after, float) and not exact:
        return abs(before - after) <= TOLERANCE * max(abs(before), abs(after))
    return type(before) is type(after) and before == after


class RecordingCheck:
    """Holds replayed records against published ones, in any order of arrival."""

    def __init__(self, published: Iterator[IndexValue], *, exact: bool) -> None:
        self._exact = exact
        self._published = {(r.asset, r.tenor_days, r.seq): r for r in published}
        self._divergences: list[Divergence] = []
        self._differing = 0
        self._compared = 0

    def take(self, record: IndexValue) -> IndexValue | None:
        """Compare one replayed record; the published one that it belongs to, None without."""
        before = self._published.pop((record.asset, record.tenor_days, record.seq), None)
        if before is None:
            return None
        self._compared += 1
        found = list(_differences("", _comparable(before), _comparable(record), exact=self._exact))
        if found:
            self._differing += 1
        for field, published, recomputed in found[: MAX_DIVERGENCES - len(self._divergences)]:
            self._divergences.append(
                Divergence(
                    code=before.code,
                    seq=before.seq,
                    field=field,
                    published=published,
                    recomputed=recomputed,
                )
            )
        return before

    def verdict(self) -> RecordingVerdict:
        """After the last record."""
        missing = len(self._published)
        return RecordingVerdict(
            verified=self._compared > 0 and not missing and not self._differing,
            exact=self._exact,
            compared=self._compared,
            missing=missing,
            differing=self._differing,
            divergences=tuple(self._divergences),
        )


def _comparable(record: IndexValue) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(record)
    for name in OF_THE_SINK:
        del tree[name]
    return tree


def _differences(
    where: str, before: object, after: object, *, exact: bool
) -> Iterator[tuple[str, Any, Any]]:
    """Path, published and recomputed value of every leaf of two JSON trees that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            inner = f"{where}.{key}".lstrip(".")
            yield from _differences(inner, before.get(key), after.get(key), exact=exact)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from _differences(f"{where}[{index}]", left, right, exact=exact)
    elif not is_same(before, after, exact=exact):
        yield where, before, after
