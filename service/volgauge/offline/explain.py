"""Why is it at 52.3, and why did it move: one record's evidence, or two, taken apart.

A level is split by strike: of W, the total variance of the tenor, a strike has
weight x contribution (contributions.py), and of the value the same share.

A move from A to B is split twice, each time exactly, with
    sigma_B - sigma_A = 100 (W_B - W_A) / (T (sqrt(W_B/T) + sqrt(W_A/T))).

By place: the difference of the contributions of every expiry, side and strike.

By cause, each step taken from where the step before ended:
    time     the weights of the expiries at B's instant, and quotes that grew too old by then
    forward  every quote of A at its own implied volatility and B's forward
    quote    option by option, ascending, A's quote replaced by B's
    fit      the outer parameters of the curve, if they were looked for anew
    term     what is left: variances pooled or carried across expiries (rules 9 and 14)

A composite is the sum of weight x value over its books. Each book is explained by itself and counts
by its weight, in a move by the mean of both weights; a change of weight is a cause of its own:
    w1 x1 - w0 x0 = (w0 + w1)/2 (x1 - x0) + (w1 - w0) (x0 + x1)/2
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.instrument import OptionKind, Venue
from volgauge.domain.units import DAYS_PER_YEAR, VOL_POINTS
from volgauge.index.assemble import number
from volgauge.kernels import layout as col
from volgauge.offline.causes import cause_moves
from volgauge.offline.contributions import contributions
from volgauge.offline.explanation import (
    Cause,
    CauseMove,
    ExpiryPart,
    Level,
    Move,
    Part,
    PlaceMove,
    StrikeMove,
    Used,
    either,
    used_of,
    value_of,
)
from volgauge.surface.surface import METHOD_ROW

MANY = 2
"""Books from which a value is a composite."""


def explain(bundle: EvidenceBundle, against: EvidenceBundle | None = None) -> Level | Move:
    """Take a value apart, or its difference to an older one.

    Args:
        bundle: Evidence of the record in question.
        against: Evidence of the record to compare with; None explains the level.

    Raises:
        ValueError: The two are not of one index.
    """
    if against is None:
        return _whole_level(bundle)
    if against.record.code != bundle.record.code or against.record.mode != bundle.record.mode:
        raise ValueError(f"expected two records of {bundle.record.code} by one method")
    return _whole_move(against, bundle)


def _level(bundle: EvidenceBundle) -> Level:
    record = bundle.record
    used = used_of(bundle)
    total = sum(one.weight * one.variance for one in used)
    expiries, strikes = [], []
    if record.value is not None and total > 0.0:
        scale = record.value / total
        for one in used:
            parts = list(_parts(one, METHOD_ROW[record.mode], scale))
            whole = scale * one.weight * one.variance
            sums = {
                kind: sum(part.points for part in parts if part.kind is kind) for kind in OptionKind
            }
            expiries.append(
                ExpiryPart(
                    venue=one.book.venue,
                    expiry=one.evidence.expiry,
                    weight=one.weight,
                    forward=number(value_of(one, METHOD_ROW[record.mode], col.FORWARD)),
                    points=whole,
                    puts=sums[OptionKind.PUT],
                    calls=sums[OptionKind.CALL],
                    term=whole - sum(sums.values()),
                )
            )
            strikes += parts
    return Level(
        code=record.code,
        seq=record.seq,
        computed_ns=record.computed_ns,
        value=record.value,
        reason=record.reason.value if record.value is None and record.reason else None,
        expiries=tuple(expiries),
        strikes=tuple(strikes),
    )


class _Share(Struct, frozen=True):
    """One book's part of a composite."""

    weight: float
    value: float
    bundle: EvidenceBundle
    """As if the book were the whole index."""


def _shares(bundle: EvidenceBundle) -> dict[str, _Share]:
    """The books of a record with a value; empty without one."""
    record = bundle.record
    if record.value is None:
        return {}
    shares = {}
    for book in bundle.books:
        told = record.venues.get(Venue(book.label))
        expiries = tuple(e for e in record.expiries if e.book == book.label)
        if told is None or told.value is None or not expiries:
            continue
        own = replace(record, value=told.value, expiries=expiries)
        shares[book.label] = _Share(
            told.weight, told.value, replace(bundle, record=own, books=(book,))
        )
    return shares


def _whole_level(bundle: EvidenceBundle) -> Level:
    shares = _shares(bundle)
    if len(shares) < MANY:
        return _level(bundle)
    expiries: list[ExpiryPart] = []
    strikes: list[Part] = []
    for label, share in shares.items():
        level = _level(share.bundle)
        w, venue = share.weight, Venue(label)
        expiries += [
            replace(
                part, venue=venue, points=w * part.points, puts=w * part.puts,
                calls=w * part.calls, term=w * part.term,
            )
            for part in level.expiries
        ]  # fmt: skip
        strikes += [
            replace(
                part, venue=venue, points=w * part.points, fit=w * part.fit,
                residual=w * part.residual, extrapolation=w * part.extrapolation,
            )
            for part in level.strikes
        ]  # fmt: skip
    return replace(_level(bundle), expiries=tuple(expiries), strikes=tuple(strikes))


def _whole_move(before: EvidenceBundle, after: EvidenceBundle) -> Move:
    old, new = _shares(before), _shares(after)
    if len(old.keys() | new.keys()) < MANY:
        return _move(before, after)
    places: list[PlaceMove] = []
    strikes: list[StrikeMove] = []
    causes: list[CauseMove] = []
    for label in sorted(old.keys() | new.keys()):
        a, b, venue = old.get(label), new.get(label), Venue(label)
        w0, x0 = (a.weight, a.value) if a is not None else (0.0, 0.0)
        w1, x1 = (b.weight, b.value) if b is not None else (0.0, 0.0)
        changed = w1 * x1 - w0 * x0
        if a is not None and b is not None:
            w = 0.5 * (w0 + w1)
            move = _move(a.bundle, b.bundle)
            places += [replace(p, venue=venue, points=w * p.points) for p in move.places]
            strikes += [replace(p, venue=venue, points=w * p.points) for p in move.strikes]
            causes += [replace(p, venue=venue, points=w * p.points) for p in move.causes]
            changed = (w1 - w0) * 0.5 * (x0 + x1)
        places.append(PlaceMove(venue=venue, expiry="", side="weight", points=changed))
        causes.append(CauseMove(cause="weight", venue=venue, expiry="", points=changed))
    return _told(before, after, places, strikes, causes)


def _move(before: EvidenceBundle, after: EvidenceBundle) -> Move:
    old, new = before.record, after.record
    places: list[PlaceMove] = []
    strikes: list[StrikeMove] = []
    causes: list[CauseMove] = []
    if old.value is not None and new.value is not None and old.value + new.value > 0.0:
        tenor_years = new.tenor_days / DAYS_PER_YEAR
        scale = VOL_POINTS**2 / (tenor_years * (old.value + new.value))
        earlier = {one.key: one for one in used_of(before)}
        later = {one.key: one for one in used_of(after)}
        method = METHOD_ROW[new.mode]
        for key in sorted(earlier.keys() | later.keys(), key=lambda key: (key[2], key)):
            a, b = earlier.get(key), later.get(key)
            places += _place_moves(a, b, method, scale, strikes)
            causes += cause_moves(a, b, method, scale, after.at_ns)
    return _told(before, after, places, strikes, causes)


def _told(
    before: EvidenceBundle,
    after: EvidenceBundle,
    places: Sequence[PlaceMove],
    strikes: Sequence[StrikeMove],
    causes: Sequence[CauseMove],
) -> Move:
    """The parts of a move, with what they are parts of."""
    old, new = before.record, after.record
    totals: dict[Cause, float] = {}
    for cause in causes:
        totals[cause.cause] = totals.get(cause.cause, 0.0) + cause.points
    has_both = old.value is not None and new.value is not None
    return Move(
        code=new.code,
        from_seq=old.seq,
        to_seq=new.seq,
        from_ns=old.computed_ns,
        to_ns=new.computed_ns,
        before=old.value,
        after=new.value,
        difference=(new.value or 0.0) - (old.value or 0.0) if has_both else None,
        places=tuple(places),
        strikes=tuple(strikes),
        totals=totals,
        causes=tuple(causes),
    )


def _parts(one: Used, method: int, scale: float) -> Iterator[Part]:
    factor = scale * one.weight
    for found in contributions(one.surface, method, one.row):
        yield Part(
            venue=one.book.venue,
            expiry=one.evidence.expiry,
            strike=found.strike,
            kind=found.kind,
            bid=number(found.bid),
            ask=number(found.ask),
            points=factor * found.total,
            fit=factor * found.fit,
            residual=factor * found.residual,
            extrapolation=factor * found.extrapolation,
        )


def _place_moves(
    a: Used | None, b: Used | None, method: int, scale: float, strikes: list[StrikeMove]
) -> Iterator[PlaceMove]:
    """Difference of the contributions of one expiry; fills `strikes` beside."""
    some = either(a, b)
    moved: dict[tuple[float, OptionKind], float] = {}
    whole = 0.0
    for one, sign in ((a, -1.0), (b, 1.0)):
        if one is None:
            continue
        whole += sign * scale * one.weight * one.variance
        for part in _parts(one, method, sign * scale):
            key = (part.strike, part.kind)
            moved[key] = moved.get(key, 0.0) + part.points
    venue, expiry = some.book.venue, some.evidence.expiry
    order = sorted(moved, key=lambda key: (key[0], key[1].value))
    puts = sum(moved[key] for key in order if key[1] is OptionKind.PUT)
    calls = sum(moved[key] for key in order if key[1] is OptionKind.CALL)
    yield PlaceMove(venue=venue, expiry=expiry, side="put", points=puts)
    yield PlaceMove(venue=venue, expiry=expiry, side="call", points=calls)
    yield PlaceMove(venue=venue, expiry=expiry, side="term", points=whole - puts - calls)
    strikes += [
        StrikeMove(venue=venue, expiry=expiry, strike=key[0], kind=key[1], points=moved[key])
        for key in order
        if moved[key] != 0.0
    ]
