"""One asset's indices: constant tenors over its option books, their status, and when they go out.

A record goes out for the headline tenor on every recompute, for the other tenors and the surface
when something changed, at most every `term_interval_ms`, and for each at least every heartbeat.
"""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from volgauge.book.quotes import Activity
from volgauge.domain.index import (
    ExpiryValue,
    Flag,
    IndexValue,
    Reason,
    Source,
    Status,
    StatusEvent,
    SurfaceValue,
    VenueValue,
    index_code,
    tenor_label,
)
from volgauge.domain.instrument import Asset, BookKey, Venue
from volgauge.domain.units import (
    DAYS_PER_YEAR,
    NANOS_PER_MILLI,
    NANOS_PER_SECOND,
)
from volgauge.index.assemble import (
    ExpiryFacts,
    expiry_facts,
    expiry_surface,
    expiry_value,
    flags_of,
    reason_of,
)
from volgauge.index.bundle import input_hash
from volgauge.index.evidence import EvidenceKeeper
from volgauge.index.maturity import (
    Bracket,
    find_bracket,
    find_listed_bracket,
    skips_expiry,
    vol_points,
)
from volgauge.index.quality import Limits, Shown, is_wide, judge
from volgauge.index.venue import VenueSink
from volgauge.kernels import layout as col
from volgauge.settings import IndexSettings
from volgauge.surface.surface import METHOD_ROW, Surface

Record = IndexValue | SurfaceValue | StatusEvent

_NO_REASON = -1
MAX_KNOWN = 256
"""Kept facts of expiries; expired ones go when there are this many."""
SHORTEST_YEARS = 2.0 / DAYS_PER_YEAR
"""METHODOLOGY rule 9: an expiry is not eligible for `native` in its last two days."""


class _Book:
    """One option book at one instant: what a tenor needs of it, as plain lists."""

    __slots__ = ("alive", "held", "sink", "surface", "t_years", "usable")

    def __init__(self, sink: VenueSink, surface: Surface, method: int, now_ns: int) -> None:
        self.sink = sink
        self.surface = surface
        self.alive = sink.is_alive(now_ns)
        held = sink.held(now_ns)
        self.held = {
            row for row, expiry in enumerate(surface.expiries) if (surface.key, expiry) in held
        }
        """Rows whose snapshot is not complete."""
        self.t_years: list[float] = surface.values[method, :, col.T_YEARS].tolist()
        facts = surface.facts[method]
        self.usable = [
            eligible == 1 and reason == _NO_REASON
            for eligible, reason in zip(
                facts[:, col.ELIGIBLE].tolist(), facts[:, col.REASON].tolist(), strict=True
            )
        ]
        for row in self.held:
            self.usable[row] = False


class _Computed(Struct, frozen=True, gc=False):
    """One tenor of one book, before anyone judged it."""

    value: float | None
    reason: Reason | None
    bracket: Bracket | None = None
    bid: float | None = None
    ask: float | None = None
    strip: float | None = None
    flags: frozenset[Flag] = frozenset()


class _Tenor:
    """What one tenor remembers between recomputes."""

    __slots__ = ("accepted", "emitted_ns", "last", "seq", "status", "ticks", "valid_ns")

    def __init__(self) -> None:
        self.seq = 0
        self.accepted: IndexValue | None = None
        """The last value that came out, for the rungs of the ladder that repeat it."""
        self.valid_ns: int | None = None
        """When that was."""
        self.last: IndexValue | None = None
        self.emitted_ns = 0
        self.status = Status.WARMING
        self.ticks = 0
        """Inputs since the last record."""


class AssetIndex:
    """Recomputes and emits the records of one asset."""

    def __init__(
        self,
        asset: Asset,
        activity: Activity,
        settings: IndexSettings,
        source: Source,
        version: str,
        sinks: Mapping[Venue, VenueSink],
        evidence: EvidenceKeeper | None = None,
    ) -> None:
        self.asset = asset
        self.is_due = True
        """Something must go out although no input came."""
        self._activity = activity
        self._settings = settings
        self._source = source
        self._version = version
        self._sinks = sinks
        self._evidence = evidence
        self._method = METHOD_ROW[settings.method]
        self._tenors = {days: _Tenor() for days in settings.tenors_days}
        self._headline = self._tenors[settings.headline_tenor_days]
        self._limits = Limits(
            stale_ns=round(settings.stale_after_seconds * NANOS_PER_SECOND),
            halt_ns=round(settings.halt_after_seconds * NANOS_PER_SECOND),
        )
        self._heartbeat_ns = settings.heartbeat_ms * NANOS_PER_MILLI
        self._interval_ns = settings.term_interval_ms * NANOS_PER_MILLI
        self._term_ns = 0
        self._changed = False
        """Inputs came since the other tenors were looked at."""
        self._surface_seq = 0
        self._known: dict[tuple[BookKey, int], ExpiryFacts] = {}

    @property
    def status(self) -> Status:
        """Of the headline."""
        return self._headline.status

    @property
    def has_value(self) -> bool:
        """The headline's last record holds a value."""
        last = self._headline.last
        return last is not None and last.value is not None

    def timer(self, now_ns: int) -> None:
        """Time passed: a heartbeat, or a change that waited for its turn, may be due."""
        if now_ns - self._headline.emitted_ns >= self._heartbeat_ns or (
            self._changed and now_ns - self._term_ns >= self._interval_ns
        ):
            self.is_due = True

    def recompute(self, now_ns: int) -> list[Record]:
        """Compute what was touched, and return what is to be published, in order."""
        self.is_due = False
        ticks = self._activity.ticks
        self._activity.ticks = 0
        books = self._evaluate(now_ns)
        for tenor in self._tenors.values():
            tenor.ticks += ticks
        self._changed = self._changed or ticks > 0
        records = self._emit(self._settings.headline_tenor_days, books, now_ns)
        if now_ns - self._term_ns >= self._interval_ns:
            self._term_ns = now_ns
            self._changed = False
            for days in self._settings.tenors_days:
                if days != self._settings.headline_tenor_days:
                    records += self._emit(days, books, now_ns, only_on_change=True)
            records.append(self._surface_record(books, now_ns))
        if self._evidence is not None:
            surfaces = [book.surface for book in books]
            self._evidence.capture(self.asset, surfaces, records, now_ns)
        return records

    def _evaluate(self, now_ns: int) -> list[_Book]:
        books = []
        for sink in self._sinks.values():
            # Before anything is computed: it tells the books whose snapshot has become whole.
            sink.held(now_ns)
            for surface in sink.books.values():
                if surface.key.asset == self.asset:
                    surface.evaluate(now_ns)
                    books.append(_Book(sink, surface, self._method, now_ns))
        return books

    def _compute(self, days: float, book: _Book) -> _Computed:
        """One tenor of one book."""
        if not book.surface.expiries:
            return _Computed(None, Reason.NO_INSTRUMENTS)
        tenor_years = days / DAYS_PER_YEAR
        if not book.alive:
            return _Computed(None, Reason.FEED_DOWN)
        strip, found = self._strip(book, tenor_years)
        if self._method == col.NATIVE:
            found = find_bracket(book.t_years, book.usable, tenor_years)
        if isinstance(found, Reason):
            return _Computed(None, self._why_none(book, found), strip=strip)
        near = book.surface.values[self._method, found.near].tolist()
        far = book.surface.values[self._method, found.far].tolist()
        points = partial(_points, found, near, far, tenor_years)
        value, bid, ask = (
            points(col.TOTAL_VARIANCE),
            points(col.BID_VARIANCE),
            points(col.ASK_VARIANCE),
        )
        flags = flags_of(
            int(book.surface.facts[self._method, found.near, col.FLAGS])
            | int(book.surface.facts[self._method, found.far, col.FLAGS])
        )
        if value is None:
            codes = book.surface.facts[self._method, :, col.REASON]
            reason = reason_of(int(codes[found.near])) or reason_of(int(codes[found.far]))
            return _Computed(
                None, reason or Reason.NEGATIVE_VARIANCE, found, strip=strip, flags=flags
            )
        doubts = set(flags) | self._doubts(book, found)
        if bid is not None and ask is not None and is_wide(bid, ask, value):
            doubts.add(Flag.WIDE)
        return _Computed(value, None, found, bid, ask, strip, frozenset(doubts))

    def _doubts(self, book: _Book, found: Bracket) -> set[Flag]:
        """What makes a tenor doubtful beyond the doubts about its expiries."""
        doubts = set()
        if found.is_one_sided:
            doubts.add(Flag.ONE_SIDED_TERM)
        if self._method == col.NATIVE and skips_expiry(
            book.t_years, book.usable, found, SHORTEST_YEARS
        ):
            doubts.add(Flag.SKIPPED_EXPIRY)
        values = book.surface.values[self._method]
        if values[found.near, col.BID_VARIANCE] > values[found.far, col.ASK_VARIANCE]:
            doubts.add(Flag.CALENDAR)
        if self.asset in book.sink.locked:
            doubts.add(Flag.INDEX_LOCKED)
        if not book.sink.is_covered():
            doubts.add(Flag.COVERAGE)
        return doubts

    def _strip(self, book: _Book, tenor_years: float) -> tuple[float | None, Bracket | Reason]:
        """The exchange's rule: the last listed expiry up to the tenor and the first one beyond."""
        found = find_listed_bracket(book.t_years, tenor_years)
        if isinstance(found, Reason):
            return None, found
        if book.held & {found.near, found.far}:
            return None, Reason.FEED_DOWN
        rows = book.surface.values[col.DVOL]
        near, far = rows[found.near].tolist(), rows[found.far].tolist()
        return _points(found, near, far, tenor_years, col.TOTAL_VARIANCE), found

    def _why_none(self, book: _Book, found: Reason) -> Reason:
        """No bracket because nothing is listed there, or because the quotes do not carry it?"""
        if book.held:
            return Reason.FEED_DOWN
        codes = book.surface.facts[self._method, :, col.REASON].tolist()
        reasons = {
            # A variance without eligibility: rule 9 wants more strikes.
            reason_of(code) or Reason.TOO_FEW_STRIKES
            for code, t, use in zip(codes, book.t_years, book.usable, strict=True)
            if t >= SHORTEST_YEARS and not use
        }
        return reasons.pop() if len(reasons) == 1 else found

    def _emit(
        self, days: float, books: list[_Book], now_ns: int, *, only_on_change: bool = False
    ) -> list[Record]:
        """Judge one tenor and return its record, after a status event when that changed."""
        tenor = self._tenors[days]
        computed = [(book, self._compute(days, book)) for book in books]
        contributing = [(book, c) for book, c in computed if c.value is not None]
        book, chosen = (contributing or computed)[0]
        valid_age_ns = None if tenor.valid_ns is None else now_ns - tenor.valid_ns
        verdict = judge(
            computed=chosen.value is not None,
            reason=chosen.reason,
            flags=chosen.flags,
            venue_count=len(contributing),
            warming=tenor.valid_ns is None and any(b.held for b in books),
            valid_age_ns=valid_age_ns,
            limits=self._limits,
        )
        record = self._record(
            days, tenor, computed, book, chosen, verdict.shown, verdict.status, now_ns
        )
        if verdict.shown is Shown.NEW:
            tenor.valid_ns = now_ns
        previous = tenor.last
        if (
            only_on_change
            and previous is not None
            and previous.value == record.value
            and previous.status is record.status
            and previous.bid == record.bid
            and previous.ask == record.ask
            and now_ns - tenor.emitted_ns < self._heartbeat_ns
        ):
            return []
        if verdict.shown is Shown.NEW:
            # What was not published is not repeated: its evidence would be nowhere.
            tenor.accepted = record
        tenor.seq += 1
        tenor.ticks = 0
        tenor.emitted_ns = now_ns
        tenor.last = record
        records: list[Record] = [record]
        if record.status is not tenor.status:
            records.insert(0, self._status_event(days, tenor.status, record))
            tenor.status = record.status
        return records

    def _record(
        self,
        days: float,
        tenor: _Tenor,
        computed: list[tuple[_Book, _Computed]],
        book: _Book,
        chosen: _Computed,
        shown: Shown,
        status: Status,
        now_ns: int,
    ) -> IndexValue:
        seq = tenor.seq + 1
        merged = max(0, tenor.ticks - 1)
        if shown is Shown.ACCEPTED and tenor.accepted is not None:
            doubts = {*tenor.accepted.flags, Flag.FEED_STALE.value}
            return replace(
                tenor.accepted,
                seq=seq,
                status=status,
                flags=tuple(sorted(doubts))
                if chosen.reason is Reason.FEED_DOWN
                else tenor.accepted.flags,
                reason=chosen.reason,
                computed_ns=now_ns,
                ticks_merged=merged,
            )
        is_new = shown is Shown.NEW
        reason = Reason.WARMING if status is Status.WARMING else chosen.reason
        expiries = self._expiries(book, chosen.bracket) if chosen.bracket else ()
        return IndexValue(
            code=index_code(self.asset, days),
            asset=self.asset,
            tenor_days=days,
            seq=seq,
            value=chosen.value if is_new else None,
            bid=chosen.bid if is_new else None,
            ask=chosen.ask if is_new else None,
            strip=chosen.strip if is_new else None,
            status=status,
            flags=tuple(sorted(flag.value for flag in chosen.flags)),
            reason=None if is_new else reason,
            event_ns=self._activity.event_ns,
            computed_ns=now_ns,
            n_strikes=sum(expiry.n_strikes for expiry in expiries),
            ticks_merged=merged,
            source=self._source,
            expiries=expiries,
            venues={
                b.sink.venue: VenueValue(
                    value=c.value,
                    weight=1.0 if b is book and is_new else 0.0,
                    state=_venue_state(b, c, is_new=b is book and is_new),
                )
                for b, c in computed
            },
            mode=self._settings.method,
            engine=self._version,
            input_hash=self._input_hash(book, chosen.bracket) if chosen.bracket else "",
            heartbeat_ms=self._settings.heartbeat_ms,
        )

    def _facts(self, book: _Book, row: int) -> ExpiryFacts:
        """Facts of one expiry, read anew only when it was computed."""
        key = (book.surface.key, book.surface.expiries[row])
        known = self._known.get(key)
        if known is None or known.revision != book.surface.revision(row):
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = expiry_facts(book.surface, self._method, row)
        return known

    def _expiries(self, book: _Book, bracket: Bracket) -> tuple[ExpiryValue, ...]:
        values = book.surface.facts[self._method, :, col.MINUTES]
        near = expiry_value(
            self._facts(book, bracket.near),
            book.t_years[bracket.near],
            int(values[bracket.near]),
            bracket.near_weight,
        )
        if bracket.is_one_sided:
            return (near,)
        far = expiry_value(
            self._facts(book, bracket.far),
            book.t_years[bracket.far],
            int(values[bracket.far]),
            bracket.far_weight,
        )
        return near, far

    def _input_hash(self, book: _Book, bracket: Bracket) -> str:
        """SHA-256 over the digests of the expiries used (METHODOLOGY §6, rule 22)."""
        rows = sorted({bracket.near, bracket.far})
        return input_hash([(book.sink.venue, [self._facts(book, row).digest for row in rows])])

    def _surface_record(self, books: list[_Book], now_ns: int) -> SurfaceValue:
        self._surface_seq += 1
        term = {tenor_label(days): tenor.last for days, tenor in self._tenors.items()}
        sinks = [book.sink for book in books]
        return SurfaceValue(
            asset=self.asset,
            seq=self._surface_seq,
            event_ns=self._activity.event_ns,
            computed_ns=now_ns,
            source=self._source,
            expiries=tuple(
                expiry_surface(
                    self._facts(book, row),
                    book.sink.venue,
                    t_years,
                    float(book.surface.values[col.DVOL, row, col.TOTAL_VARIANCE]),
                )
                for book in books
                for row, t_years in enumerate(book.t_years)
                if t_years > 0.0
            ),
            term={label: last.value if last is not None else None for label, last in term.items()},
            index_price=next(
                (s.index_price[self.asset] for s in sinks if self.asset in s.index_price), None
            ),
            venue_index=next(
                (s.vol_index[self.asset] for s in sinks if self.asset in s.vol_index), None
            ),
        )

    def _status_event(self, days: float, before: Status, record: IndexValue) -> StatusEvent:
        return StatusEvent(
            asset=self.asset,
            tenor_days=days,
            seq=record.seq,
            before=before,
            after=record.status,
            flags=record.flags,
            reason=record.reason,
            computed_ns=record.computed_ns,
            source=self._source,
        )


def _points(
    bracket: Bracket, near: list[float], far: list[float], tenor_years: float, column: int
) -> float | None:
    """One column of total variances of the two expiries, as volatility points of the tenor."""
    return vol_points(bracket.blend(near[column], far[column]), tenor_years)


def _venue_state(book: _Book, computed: _Computed, *, is_new: bool) -> str:
    if is_new:
        return "in"
    if book.held and book.alive:
        return "warming"
    return "out" if book.alive and computed.value is not None else "down"
