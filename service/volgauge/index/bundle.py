"""Evidence to numbers and back: bundles are made of captured arrays, and recomputed from.

The arrays of a bundle are put into a QuoteTable and a Surface of their own and evaluated by the
kernels of production, so what comes out is what was published, to the last bit on the same build.
"""

import platform
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from msgspec import Struct
from msgspec.structs import replace

from volgauge.book.quotes import QuoteTable
from volgauge.domain.evidence import (
    BookEvidence,
    Build,
    EvidenceBundle,
    ExpiryEvidence,
    LegEvidence,
    Number,
    StrikeEvidence,
    from_number,
    to_number,
)
from volgauge.domain.index import METHODOLOGY_VERSION, IndexValue, Method
from volgauge.domain.instrument import BookKey, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import DAYS_PER_YEAR, format_instant, parse_instant
from volgauge.index.maturity import Bracket, find_listed_bracket
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64, source_digest
from volgauge.surface.surface import Surface

NO_LEG = LegEvidence(
    bid=None,
    ask=None,
    bid_size=None,
    ask_size=None,
    exchange_ns=0,
    received_ns=0,
    first_forward=None,
    mark=None,
    tick_size=None,
    tick_above=None,
    tick_step=None,
)
"""An option without a quote, on an unknown tick."""


class Chain(Struct, frozen=True, gc=False):
    """What was listed in an option book, as plain arrays; replaced when the listing changes."""

    key: BookKey
    is_coin: bool
    methods: tuple[Method, ...]
    expiries: tuple[int, ...]
    bounds: tuple[tuple[int, int], ...]
    """First and last strike of each expiry, the last exclusive."""
    ladder: F64
    """(strikes, LADDER_COLUMNS) copy."""

    @property
    def slots(self) -> I64:
        """(strikes, 2) of call and put; -1 not listed."""
        return self.ladder[:, col.CALL_SLOT : col.PUT_SLOT + 1].astype(np.int64)


class BookState(Struct, frozen=True):
    """One option book at one instant."""

    chain: Chain
    rows: I64
    """(2 strikes, QUOTE_COLUMNS), call before put, the bits of the quotes."""
    inputs: F64
    """(expiries, INPUT_COLUMNS)."""
    memory: F64
    """(expiries, 2) outer parameters m and s of the curve."""


def chain_of(surface: Surface) -> Chain:
    """What a surface lists now."""
    plan = surface.plan
    return Chain(
        key=surface.key,
        is_coin=surface.is_coin,
        methods=surface.methods,
        expiries=surface.expiries,
        bounds=tuple(zip(plan[:, col.FIRST].tolist(), plan[:, col.LAST].tolist(), strict=True)),
        ladder=surface.ladder.copy(),
    )


def input_hash(parts: Iterable[tuple[Venue, Sequence[bytes]]]) -> str:
    """SHA-256 over the digests of the expiries used, venue by venue (METHODOLOGY rule 22).

    Args:
        parts: Of each venue the digests, in the order of its expiries.
    """
    whole = sha256()
    for venue, digests in parts:
        whole.update(venue.encode())
        for digest in digests:
            whole.update(digest)
    return whole.hexdigest()


@cache
def build_facts(engine: str) -> Build:
    """This program on this machine.

    Args:
        engine: Version of the program.
    """
    features = binding.get_host_cpu_features().flatten()
    return Build(
        engine=engine,
        methodology=METHODOLOGY_VERSION,
        kernels=source_digest(),
        python=platform.python_version(),
        numpy=np.__version__,
        numba=numba.__version__,
        llvm=f"{llvmlite.__version__}/{'.'.join(map(str, binding.llvm_version_info))}",
        cpu=binding.get_host_cpu_name(),
        cpu_features=sha256(features.encode()).hexdigest(),
    )


def make_bundle(
    record: IndexValue,
    states: Sequence[BookState],
    at_ns: int,
    rests_on: int,
    build: Build,
) -> EvidenceBundle:
    """The evidence of one record.

    Args:
        record: As the engine made it.
        states: Every option book of the asset.
        at_ns: When the inputs were computed.
        rests_on: `seq` of the record that was computed from them.
        build: Of the program that computed.
    """
    books: list[BookEvidence] = []
    surfaces: list[Surface] = []
    for state in states:
        book = _book_evidence(state)
        surfaces.append(surface_of(book, at_ns))
        books.append(_with_digests(book, surfaces[-1]))
    books = [replace(book, label=_label_of(book, books)) for book in books]
    wanted = {expiry.book for expiry in record.expiries}
    used = [
        _used(book, surface, record)
        for book, surface in zip(books, surfaces, strict=True)
        if book.label in wanted
    ]
    return EvidenceBundle(
        record=record,
        at_ns=at_ns,
        rests_on=rests_on,
        books=tuple(used or books),
        build=build,
    )


def surface_of(book: BookEvidence, at_ns: int) -> Surface:
    """Put the inputs of a bundle into a book of their own and compute all of it.

    Expiries that lend a forward are not part of a bundle, what they lent is: two empty expiries
    stand for them, a nanosecond before and after, each with that forward.

    Args:
        book: One book of a bundle.
        at_ns: The instant of computation.
    """
    table = QuoteTable()
    key = BookKey(book.venue, book.asset, book.quote_currency)
    surface = Surface(key, table, book.methods)
    rows: list[tuple[int, LegEvidence]] = []
    slot = 0
    for expiry in book.expiries:
        for strike in expiry.strikes:
            for kind, leg in ((OptionKind.CALL, strike.call), (OptionKind.PUT, strike.put)):
                if leg is not None:
                    surface.add(slot, _instrument(book, expiry.expiry_ns, strike.strike, kind, leg))
                    rows.append((slot, leg))
                    slot += 1
        borrowed = from_number(expiry.borrowed_forward)
        for beside in (expiry.expiry_ns - 1, expiry.expiry_ns + 1) if borrowed > 0.0 else ():
            surface.add(slot, _instrument(book, beside, borrowed, OptionKind.CALL, NO_LEG))
            slot += 1
            surface.set_forward(beside, borrowed)
    for slot, leg in rows:
        write_leg(table, slot, leg)
    for expiry in book.expiries:
        surface.set_forward(expiry.expiry_ns, from_number(expiry.future))
        surface.set_rate(expiry.expiry_ns, from_number(expiry.rate))
    remembered = {e.expiry_ns: [from_number(x) for x in e.memory] for e in book.expiries}
    surface.evaluate_frozen(at_ns, remembered)
    return surface


def strip_bracket(surface: Surface, rows: Sequence[int], tenor_years: float) -> Bracket | None:
    """What the exchange's rule takes for a tenor; None when the listing has no bracket.

    Args:
        surface: After its evaluation.
        rows: Its listed expiries, ascending.
        tenor_years: The horizon.
    """
    t_years: list[float] = surface.values[col.DVOL, rows, col.T_YEARS].tolist()
    found = find_listed_bracket(t_years, tenor_years)
    if not isinstance(found, Bracket):
        return None
    return replace(found, near=rows[found.near], far=rows[found.far])


def _book_evidence(state: BookState) -> BookEvidence:
    """Every expiry of a captured book, without what a computation gives: digests, loans."""
    chain = state.chain
    strikes = [_strike(state, row) for row in range(len(chain.ladder))]
    return BookEvidence(
        venue=chain.key.venue,
        asset=chain.key.asset,
        quote_currency=chain.key.quote_currency,
        premium=Premium.COIN if chain.is_coin else Premium.QUOTE,
        methods=chain.methods,
        expiries=tuple(
            ExpiryEvidence(
                expiry=format_instant(expiry_ns),
                expiry_ns=expiry_ns,
                future=to_number(float(state.inputs[row, col.FUTURE])),
                rate=to_number(float(state.inputs[row, col.RATE])),
                borrowed_forward=None,
                memory=_pair(state.memory[row]),
                digest="",
                strikes=tuple(strikes[first:last]),
            )
            for row, (expiry_ns, (first, last)) in enumerate(
                zip(chain.expiries, chain.bounds, strict=True)
            )
        ),
    )


def _pair(memory: F64) -> tuple[Number, Number]:
    m, s = memory.tolist()
    return to_number(m), to_number(s)


def _strike(state: BookState, row: int) -> StrikeEvidence:
    ladder = state.chain.ladder[row].tolist()
    legs: list[LegEvidence | None] = []
    for leg, tick in ((0, col.CALL_TICK), (1, col.PUT_TICK)):
        if ladder[col.CALL_SLOT + leg] < 0:
            legs.append(None)
            continue
        stamps = state.rows[2 * row + leg]
        numbers: list[Number] = [to_number(x) for x in stamps.view(np.float64).tolist()]
        ticks = [to_number(x) for x in ladder[tick : tick + 3]]
        legs.append(
            LegEvidence(
                bid=numbers[col.BID],
                ask=numbers[col.ASK],
                bid_size=numbers[col.BID_SIZE],
                ask_size=numbers[col.ASK_SIZE],
                exchange_ns=int(stamps[col.EXCHANGE_NS]),
                received_ns=int(stamps[col.RECEIVED_NS]),
                first_forward=numbers[col.FORWARD_REF],
                mark=numbers[col.MARK],
                tick_size=ticks[0],
                tick_above=ticks[1],
                tick_step=ticks[2],
            )
        )
    return StrikeEvidence(strike=ladder[col.STRIKE], call=legs[0], put=legs[1])


def _with_digests(book: BookEvidence, surface: Surface) -> BookEvidence:
    expiries = []
    for expiry in book.expiries:
        row = surface.expiries.index(expiry.expiry_ns)
        borrowed = to_number(surface.borrowed_forward(row))
        digest = surface.digest(row).hex()
        expiries.append(replace(expiry, borrowed_forward=borrowed, digest=digest))
    return replace(book, expiries=tuple(expiries))


def _label_of(book: BookEvidence, books: Sequence[BookEvidence]) -> str:
    """Key of a book in the record's `venues`."""
    if book.premium is Premium.COIN or sum(other.venue == book.venue for other in books) < 2:
        return book.venue
    return f"{book.venue}:{book.quote_currency}"


def _used(book: BookEvidence, surface: Surface, record: IndexValue) -> BookEvidence:
    """The part of a book that a record rests on."""
    tenor_years = record.tenor_days / DAYS_PER_YEAR
    used = {parse_instant(expiry.expiry) for expiry in record.expiries if expiry.book == book.label}
    listed = strip_bracket(surface, range(len(surface.expiries)), tenor_years)
    if listed is not None:
        used |= {surface.expiries[listed.near], surface.expiries[listed.far]}
    return replace(book, expiries=tuple(e for e in book.expiries if e.expiry_ns in used))


def _instrument(
    book: BookEvidence, expiry_ns: int, strike: float, kind: OptionKind, leg: LegEvidence
) -> Instrument:
    return Instrument(
        venue=book.venue,
        name="",
        asset=book.asset,
        expiry_ns=expiry_ns,
        strike=strike,
        kind=kind,
        premium=book.premium,
        quote_currency=book.quote_currency,
        tick_size=from_number(leg.tick_size),
        tick_above=from_number(leg.tick_above),
        tick_step=from_number(leg.tick_step),
    )


def write_leg(table: QuoteTable, slot: int, leg: LegEvidence) -> None:
    """Put a quote of a bundle into a table, every column of it."""
    quotes, stamps = table.quotes[slot], table.stamps[slot]
    quotes[col.BID] = from_number(leg.bid)
    quotes[col.ASK] = from_number(leg.ask)
    quotes[col.BID_SIZE] = from_number(leg.bid_size)
    quotes[col.ASK_SIZE] = from_number(leg.ask_size)
    quotes[col.FORWARD_REF] = from_number(leg.first_forward)
    quotes[col.MARK] = from_number(leg.mark)
    stamps[col.EXCHANGE_NS] = leg.exchange_ns
    stamps[col.RECEIVED_NS] = leg.received_ns
