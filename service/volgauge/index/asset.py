"""One asset's indices: constant tenors over its option books, their status, and when they go out.

    views of the books -> each book's tenor -> composition -> guard, status -> record

A record goes out for the headline tenor on every recompute, for the other tenors and the surface
when something changed, at most every `term_interval_ms`, and for each at least every heartbeat.
"""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from volgauge.book.quotes import Activity
from volgauge.domain.index import (
    ExpiryValue,
    FixingValue,
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
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.index.assemble import ExpiryFacts, expiry_facts, expiry_surface, expiry_value
from volgauge.index.bundle import input_hash
from volgauge.index.composition import Composition, Liquidity, Members, Part, compose, venue_values
from volgauge.index.evidence import EvidenceKeeper
from volgauge.index.fixing import WINDOW_NS, FixingWindow, Result
from volgauge.index.guard import (
    ENOUGH_STRIKES,
    FORWARD_MOVE,
    SPACING_NS,
    Anchor,
    JumpGuard,
    Mark,
    moved_strikes,
)
from volgauge.index.quality import Limits, Shown, Verdict, judge
from volgauge.index.seconds import Seconds
from volgauge.index.smoothed import Smoothed
from volgauge.index.tenor import BookTenor, compute_tenor
from volgauge.index.venue import VenueSink
from volgauge.index.view import BookMemory, BookView
from volgauge.kernels import layout as col
from volgauge.settings import IndexSettings
from volgauge.surface.surface import METHOD_ROW

Record = IndexValue | SurfaceValue | StatusEvent | FixingValue

SEARCH_NS = 5 * NANOS_PER_SECOND
"""The curves' outer parameters are looked for again this often (METHODOLOGY §5, rule 10)."""
MAX_KNOWN = 256
"""Kept facts of expiries; expired ones go when there are this many."""


class _Tenor:
    """What one tenor remembers between recomputes."""

    __slots__ = (
        "accepted", "days", "emitted_ns", "fixing", "guard", "last", "members", "seconds", "seq",
        "smoothed", "status", "ticks", "valid_ns",
    )  # fmt: skip

    def __init__(self, days: float, heartbeat_ns: int) -> None:
        self.days = days
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
        self.guard = JumpGuard()
        self.members = Members()
        self.seconds = Seconds(heartbeat_ns)
        self.smoothed = Smoothed()
        self.fixing: FixingWindow | None = None


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
        self._limits = Limits(
            stale_ns=round(settings.stale_after_seconds * NANOS_PER_SECOND),
            halt_ns=round(settings.halt_after_seconds * NANOS_PER_SECOND),
        )
        self._heartbeat_ns = settings.heartbeat_ms * NANOS_PER_MILLI
        self._interval_ns = settings.term_interval_ms * NANOS_PER_MILLI
        self._tenors = {days: _Tenor(days, self._heartbeat_ns) for days in settings.tenors_days}
        self._headline = self._tenors[settings.headline_tenor_days]
        self._term_ns = 0
        self._changed = False
        """Inputs came since the other tenors were looked at."""
        self._surface_seq = 0
        self._known: dict[tuple[BookKey, int], ExpiryFacts] = {}
        self._memories: dict[BookKey, BookMemory] = {}
        self._liquidity = Liquidity()
        self._mark: Mark | None = None
        self._second = 0
        """The last whole second that was counted."""

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
        """Time passed: a heartbeat, or a change or a held value that waited, may be due."""
        if (
            now_ns - self._headline.emitted_ns >= self._heartbeat_ns
            or (self._changed and now_ns - self._term_ns >= self._interval_ns)
            or any(tenor.guard.is_due(now_ns) for tenor in self._tenors.values())
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
        records: list[Record] = []
        if now_ns // NANOS_PER_SECOND != self._second:
            self._second = now_ns // NANOS_PER_SECOND
            self._liquidity.observe(books, now_ns)
            records += self._count_seconds(now_ns)
        records += self._emit(self._headline, books, now_ns)
        if now_ns - self._term_ns >= self._interval_ns:
            self._term_ns = now_ns
            self._changed = False
            for tenor in self._tenors.values():
                if tenor is not self._headline:
                    records += self._emit(tenor, books, now_ns, only_on_change=True)
            records.append(self._surface_record(books, now_ns))
        if self._evidence is not None:
            surfaces = [book.surface for book in books]
            self._evidence.capture(self.asset, surfaces, records, now_ns)
        return records

    def _evaluate(self, now_ns: int) -> list[BookView]:
        books = []
        is_search = now_ns // SEARCH_NS != self._second * NANOS_PER_SECOND // SEARCH_NS
        is_new_mark = self._mark is None or now_ns - self._mark.at_ns >= SPACING_NS
        for sink in self._sinks.values():
            # Before anything is computed: it tells the books whose snapshot has become whole.
            held = sink.held(now_ns)
            for key, surface in sink.books.items():
                if key.asset == self.asset:
                    if is_search:
                        surface.search_again()
                    surface.evaluate(now_ns)
                    memory = self._memories.get(key)
                    if memory is None:
                        memory = self._memories[key] = BookMemory()
                    books.append(BookView(sink, surface, memory, self._method, now_ns, held))
        if is_new_mark:
            self._mark = Mark(
                now_ns, {b.sink.venue: b.sink.table.quotes[:, : col.ASK + 1].copy() for b in books}
            )
        return books

    def _count_seconds(self, now_ns: int) -> list[Record]:
        """Whole seconds are over: windows take their values, and a fixing may have come."""
        fixed: list[Record] = []
        for tenor in self._tenors.values():
            if tenor.fixing is None:
                tenor.fixing = FixingWindow(now_ns)
            for second in tenor.seconds.elapsed(now_ns):
                tenor.fixing.add(second.end_ns, second.value)
                if second.strip is not None:
                    tenor.smoothed.add(second.end_ns, second.strip)
            result = tenor.fixing.close(now_ns)
            if result is not None:
                fixed.append(self._fixing(tenor.days, result, now_ns))
        return fixed

    def _emit(
        self,
        tenor: _Tenor,
        books: Sequence[BookView],
        now_ns: int,
        *,
        only_on_change: bool = False,
    ) -> list[Record]:
        """Judge one tenor and return its record, after a status event when that changed."""
        parts = [(book, compute_tenor(book, tenor.days)) for book in books]
        composed = compose(
            parts, self._liquidity, tenor.members, now_ns, Venue(self._settings.strip_venue)
        )
        value = composed.tenor.value
        verdict = judge(
            computed=value is not None,
            reason=composed.tenor.reason,
            flags=composed.tenor.flags,
            venue_count=composed.venue_count,
            warming=tenor.valid_ns is None and any(b.held for b in books),
            is_guarded=value is not None
            and tenor.guard.holds(value, now_ns, lambda anchor: _carries(composed, anchor)),
            valid_age_ns=None if tenor.valid_ns is None else now_ns - tenor.valid_ns,
            limits=self._limits,
        )
        record = self._record(tenor, composed, verdict, now_ns)
        self._remember(tenor, composed, verdict, now_ns)
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
            records.insert(0, self._status_event(tenor, record))
            tenor.status = record.status
        return records

    def _remember(
        self, tenor: _Tenor, composed: Composition, verdict: Verdict, now_ns: int
    ) -> None:
        """Let the ladder, the guard and the seconds know what is in force now."""
        value = composed.tenor.value
        if verdict.shown is not Shown.NEW or value is None:
            tenor.seconds.note(now_ns, None, None)
            if verdict.status in {Status.STALE, Status.HALTED}:
                tenor.guard.forget()
            return
        tenor.valid_ns = now_ns
        tenor.seconds.note(now_ns, value, composed.tenor.strip)
        if self._mark is not None:
            tenor.guard.accept(value, composed.u or 0.0, _forwards(composed), self._mark, now_ns)

    def _record(
        self,
        tenor: _Tenor,
        composed: Composition,
        verdict: Verdict,
        now_ns: int,
    ) -> IndexValue:
        chosen = composed.tenor
        seq = tenor.seq + 1
        merged = max(0, tenor.ticks - 1)
        smoothed = tenor.smoothed.read(now_ns)
        if verdict.shown is Shown.ACCEPTED and tenor.accepted is not None:
            doubts = {*tenor.accepted.flags, Flag.FEED_STALE.value}
            return replace(
                tenor.accepted,
                seq=seq,
                status=verdict.status,
                flags=tuple(sorted(doubts))
                if chosen.reason is Reason.FEED_DOWN
                else tenor.accepted.flags,
                reason=chosen.reason,
                candidate=_candidate(verdict, chosen),
                venues=_with_states(tenor.accepted.venues, composed),
                smoothed=smoothed,
                quality=composed.quality,
                computed_ns=now_ns,
                ticks_merged=merged,
            )
        is_new = verdict.shown is Shown.NEW
        is_warming = verdict.status is Status.WARMING
        used = [
            (part, [self._facts(part.book, row) for row in part.tenor.rows])
            for part in composed.contributing
        ]
        expiries = tuple(e for part, facts in used for e in self._expiries(part, facts))
        numbers = chosen if is_new else BookTenor()
        return IndexValue(
            code=index_code(self.asset, tenor.days),
            asset=self.asset,
            tenor_days=tenor.days,
            seq=seq,
            value=numbers.value,
            bid=numbers.bid,
            ask=numbers.ask,
            u=composed.u if is_new else None,
            full=numbers.full,
            tail_lo=numbers.tail_lo,
            tail_hi=numbers.tail_hi,
            coin=numbers.coin,
            svix=numbers.svix,
            strip=numbers.strip,
            smoothed=smoothed,
            extrapolated=numbers.extrapolated,
            status=verdict.status,
            flags=tuple(sorted(flag.value for flag in chosen.flags)),
            reason=None if is_new else Reason.WARMING if is_warming else chosen.reason,
            quality=composed.quality if is_new else 0.0,
            event_ns=self._activity.event_ns,
            computed_ns=now_ns,
            n_strikes=sum(expiry.n_strikes for expiry in expiries),
            ticks_merged=merged,
            source=self._source,
            expiries=expiries,
            venues=venue_values(composed, is_new=is_new),
            mode=self._settings.method,
            engine=self._version,
            input_hash=_input_hash(used) if expiries else "",
            heartbeat_ms=self._settings.heartbeat_ms,
        )

    def _facts(self, book: BookView, row: int) -> ExpiryFacts:
        """Facts of one expiry, read anew only when it was computed."""
        key = (book.surface.key, book.surface.expiries[row])
        known = self._known.get(key)
        if known is None or known.revision != book.results.revisions[row]:
            if len(self._known) > MAX_KNOWN:
                self._known.clear()
            known = self._known[key] = expiry_facts(book.surface, self._method, row)
        return known

    def _expiries(self, part: Part, facts: Sequence[ExpiryFacts]) -> tuple[ExpiryValue, ...]:
        book, chosen = part.book, part.tenor
        minutes = book.surface.facts[self._method, :, col.MINUTES].tolist()
        return tuple(
            expiry_value(
                known,
                book.label,
                book.t_years[row],
                minutes[row],
                weight,
                book.shares[row] if book.is_native else 1.0,
                book.replaced_variance(row),
            )
            for row, weight, known in zip(chosen.rows, chosen.weights, facts, strict=True)
        )

    def _surface_record(self, books: Sequence[BookView], now_ns: int) -> SurfaceValue:
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
                    book.label,
                    t_years,
                    book.results.strips[row],
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

    def _status_event(self, tenor: _Tenor, record: IndexValue) -> StatusEvent:
        return StatusEvent(
            asset=self.asset,
            tenor_days=tenor.days,
            seq=record.seq,
            before=tenor.status,
            after=record.status,
            flags=record.flags,
            reason=record.reason,
            computed_ns=record.computed_ns,
            source=self._source,
        )

    def _fixing(self, days: float, result: Result, now_ns: int) -> FixingValue:
        return FixingValue(
            asset=self.asset,
            tenor_days=days,
            name=result.name,
            value=result.value,
            medians=result.medians,
            n_values=result.n_values,
            begin_ns=result.end_ns - WINDOW_NS,
            end_ns=result.end_ns,
            reason=result.reason,
            computed_ns=now_ns,
            source=self._source,
        )


def _input_hash(used: Sequence[tuple[Part, Sequence[ExpiryFacts]]]) -> str:
    """SHA-256 over the digests of the expiries used (METHODOLOGY §6, rule 22)."""
    return input_hash(
        [(part.book.sink.venue, [known.digest for known in facts]) for part, facts in used]
    )


def _with_states(
    accepted: Mapping[Venue, VenueValue], composed: Composition
) -> dict[Venue, VenueValue]:
    """What the venues said when the repeated value came out, and how they are now."""
    states = {part.book.label: part.state for part in composed.parts}
    return {
        label: replace(told, state=states.get(label, "down")) for label, told in accepted.items()
    }


def _candidate(verdict: Verdict, chosen: BookTenor) -> float | None:
    """The number that is refused, in GUARD and STALE."""
    if verdict.status is Status.GUARD:
        return chosen.value
    return chosen.refused if verdict.status is Status.STALE else None


def _forwards(composed: Composition) -> dict[tuple[str, int], float]:
    return {
        (part.book.label, part.book.surface.expiries[row]): part.book.forwards[row]
        for part in composed.contributing
        for row in part.tenor.rows
    }


def _carries(composed: Composition, anchor: Anchor) -> bool:
    """Whether enough carries a change since an anchor (METHODOLOGY §6, rule 19)."""
    for place, forward in _forwards(composed).items():
        before = anchor.forwards.get(place)
        if before is not None and abs(forward / before - 1.0) > FORWARD_MOVE:
            return True
    moved = 0
    for part in composed.contributing:
        before_quotes = anchor.mark.quotes.get(part.book.sink.venue)
        if before_quotes is not None:
            slots = part.book.strikes_of(part.tenor.rows)
            moved += moved_strikes(before_quotes, part.book.sink.table.quotes, slots)
    return moved >= ENOUGH_STRIKES
