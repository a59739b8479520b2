"""What the last minutes' records rest on, kept small: a keyframe a second, changed quotes between.

    capture(...)            after each recompute: what changed since, and the records it gave
    unsealed() / seal       a second that is over is compressed, off the loop
    find(asset, tenor, seq) the excerpt that one record rests on, or why there is none

Bounded in time and in bytes; the oldest goes first and is counted. Nothing here reads a clock: a
second is a second of the recomputes' own stamps, so a replay keeps what the live service kept.
"""

import enum
from collections import Counter, deque
from collections.abc import Sequence

import msgspec
import numpy as np
import zstandard
from msgspec import Struct

from volgauge.domain.evidence import EvidenceBundle
from volgauge.domain.index import IndexValue, Status
from volgauge.domain.instrument import Asset, BookKey
from volgauge.domain.units import NANOS_PER_SECOND
from volgauge.index.bundle import BookState, Chain, build_facts, chain_of, make_bundle
from volgauge.kernels import layout as col
from volgauge.kernels._jit import F64, I64
from volgauge.kernels.changes import collect_changes
from volgauge.surface.surface import Surface

KEYFRAME_NS = NANOS_PER_SECOND
LARGEST_PART = 16
"""A segment is closed early at this part of the byte limit, so that dropping one is no cliff."""
COMPRESSION_LEVEL = 3
OVERHEAD_BYTES = 600
"""Of one entry's Python objects, beside the bytes that they hold."""
REPEATING = frozenset({Status.GUARD, Status.STALE})
"""The record repeats an older value: it rests on that one's inputs."""

_CHANGED_BYTES = 8 * (1 + col.QUOTE_COLUMNS)
_encode_record = msgspec.json.Encoder().encode
_decode_record = msgspec.json.Decoder(IndexValue).decode


class Missing(enum.Enum):
    """Why there is no evidence of a record."""

    UNKNOWN_INDEX = "unknown_index"
    """No record of this asset and tenor was ever kept."""
    NOT_YET = "not_yet"
    """The newest record has a smaller number."""
    EXPIRED = "expired"
    """Older than what is kept; a recording may hold it."""
    INPUTS_EXPIRED = "inputs_expired"
    """The record repeats an accepted value whose inputs are no longer kept."""


class EvidenceStats(Struct):
    """Facts for the metrics; plain numbers, never reset."""

    captures: int = 0
    captured_rows: int = 0
    kept_segments: int = 0
    oldest_ns: int = 0
    """Start of the oldest second that is kept; 0 without one."""
    kept_bytes: int = 0
    expired_segments: int = 0
    """Went because of their age."""
    dropped_segments: int = 0
    """Went before their time, because of the byte limit."""


class _Line(Struct, frozen=True, array_like=True, gc=False):
    """One record in an entry."""

    tenor_days: float
    seq: int
    rests_on: int
    json: bytes


class _Part(Struct, frozen=True, array_like=True, gc=False):
    """What changed of one option book; None where nothing did."""

    book: int
    rows: bytes
    """(n, 1 + QUOTE_COLUMNS) int64: the row's number, the row."""
    inputs: bytes | None
    memory: bytes | None
    chain: int | None
    """Index into the segment's chains: the listing changed, and `rows` holds every row."""


class _Entry(Struct, frozen=True, array_like=True, gc=False):
    """One recompute."""

    at_ns: int
    parts: tuple[_Part, ...]
    lines: tuple[_Line, ...]


_decode_entries = msgspec.msgpack.Decoder(list[_Entry]).decode


class Segment:
    """One asset's recomputes of a second, the first of them a keyframe."""

    def __init__(self, asset: Asset, started_ns: int) -> None:
        self.asset = asset
        self.started_ns = started_ns
        self.last_ns = started_ns
        self.books: dict[BookKey, int] = {}
        """Number of each option book in the entries."""
        self.chains: list[Chain] = []
        self.ranges: dict[float, tuple[int, int]] = {}
        """First and last `seq` of each tenor."""
        self.kept_bytes = 0
        """What the entries take; the chains are shared with other segments."""
        self.is_closed = False
        self.is_packed = False
        self._entries: list[_Entry] = []
        self._packed = b""

    def add(self, entry: _Entry) -> int:
        """Append a recompute; the bytes that it takes."""
        size = OVERHEAD_BYTES
        for part in entry.parts:
            size += len(part.rows) + len(part.inputs or b"") + len(part.memory or b"")
        for line in entry.lines:
            size += len(line.json)
            first, _ = self.ranges.get(line.tenor_days, (line.seq, 0))
            self.ranges[line.tenor_days] = (first, line.seq)
        self._entries.append(entry)
        self.last_ns = entry.at_ns
        self.kept_bytes += size
        return size

    def pack(self) -> bytes:
        """Compress the entries of a closed segment; changes nothing, so a thread may do it."""
        data = msgspec.msgpack.encode(self._entries)
        return zstandard.ZstdCompressor(level=COMPRESSION_LEVEL).compress(data)

    def take(self, packed: bytes) -> None:
        """Keep the compressed entries instead of the raw ones."""
        self._packed = packed
        self.is_packed = True
        self._entries = []
        self.kept_bytes = len(packed)

    def entries(self) -> list[_Entry]:
        """All recomputes so far; a thread may ask while `take` happens."""
        entries = self._entries
        if not self.is_packed:
            return list(entries)
        return _decode_entries(zstandard.ZstdDecompressor().decompress(self._packed))

    def holds(self, tenor_days: float, seq: int) -> bool:
        """The record is in it."""
        first, last = self.ranges.get(tenor_days, (1, 0))
        return first <= seq <= last


class Excerpt:
    """Where the evidence of one record lies; nothing of it changes any more."""

    def __init__(
        self, segments: Sequence[Segment], tenor_days: float, seq: int, engine: str
    ) -> None:
        """Hold on to what is needed, so that it outlives its time in the keeper.

        Args:
            segments: Of the asset, up to the one with the record, oldest first.
            tenor_days: Of the record.
            seq: Of the record.
            engine: Version of the program.
        """
        self._segments = segments
        self._tenor_days = tenor_days
        self._seq = seq
        self._engine = engine
        last = segments[-1]
        self._newest = None if last.is_closed else last.entries()
        """An open segment goes on: this is a copy."""

    def bundle(self, epoch: int = 0) -> EvidenceBundle | Missing:
        """Put the bundle together; takes milliseconds, for a thread.

        Args:
            epoch: Of the sinks, for the record.
        """
        segment = self._segments[-1]
        entries = segment.entries() if self._newest is None else self._newest
        index, line = _find_line(entries, self._tenor_days, self._seq)
        if not segment.holds(self._tenor_days, line.rests_on):
            older = (s for s in self._segments if s.holds(self._tenor_days, line.rests_on))
            found = next(older, None)
            if found is None:
                return Missing.INPUTS_EXPIRED
            segment, entries = found, found.entries()
        index, _ = _find_line(entries, self._tenor_days, line.rests_on)
        record = msgspec.structs.replace(_decode_record(line.json), epoch=epoch)
        return make_bundle(
            record,
            _play(segment.chains, entries[: index + 1]),
            entries[index].at_ns,
            line.rests_on,
            build_facts(self._engine),
        )


class _Watch:
    """One option book as it was at the last capture."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self.chain = chain_of(surface)
        self.layout = -1
        self.inputs = self.memory = b""
        self._slots: I64 = np.zeros((0, 2), np.int64)
        self._revisions: I64 = np.zeros(0, np.int64)
        self._seen: I64 = np.zeros((0, col.QUOTE_COLUMNS), np.int64)
        self._changed: I64 = np.zeros((0, 1 + col.QUOTE_COLUMNS), np.int64)

    def renew(self) -> None:
        """Take the listing anew; every row counts as changed then."""
        self.layout = self.surface.layout
        self.chain = chain_of(self.surface)
        self._slots = self.chain.slots
        count = 2 * len(self._slots)
        self._revisions = np.zeros(len(self.chain.expiries), np.int64)
        self._seen = np.zeros((count, col.QUOTE_COLUMNS), np.int64)
        self._changed = np.zeros((count, 1 + col.QUOTE_COLUMNS), np.int64)
        self.forget()

    def forget(self) -> None:
        """Let every row count as changed; no row holds these bits."""
        self._revisions.fill(-1)
        self._seen.fill(-1)

    def changes(self) -> bytes:
        """Rows that changed since the last call, with their numbers."""
        count = collect_changes(
            self.surface.table.stamps,
            self.surface.plan,
            self._slots,
            self._revisions,
            self._seen,
            self._changed,
        )
        return self._changed[:count].tobytes() if count else b""


class EvidenceKeeper:
    """The last minutes of all assets."""

    def __init__(self, *, max_bytes: int, keep_ns: int, engine: str) -> None:
        """Start empty.

        Args:
            max_bytes: Of everything kept.
            keep_ns: Age at which a second goes.
            engine: Version of the program, for the bundles.
        """
        self.stats = EvidenceStats()
        self._max_bytes = max_bytes
        self._keep_ns = keep_ns
        self._engine = engine
        self._segments: deque[Segment] = deque()
        self._open: dict[Asset, Segment] = {}
        self._watches: dict[Asset, dict[BookKey, _Watch]] = {}
        self._last: dict[tuple[str, float], int] = {}
        self._accepted: dict[tuple[str, float], int] = {}
        """`seq` of the newest record with a value that was computed, not repeated."""
        self._references: Counter[int] = Counter()
        """How many segments share a chain, by identity."""

    def capture(
        self, asset: Asset, surfaces: Sequence[Surface], records: Sequence[object], now_ns: int
    ) -> None:
        """Keep what one recompute rested on; the hot path.

        Args:
            asset: Whose recompute it was.
            surfaces: Its option books, just evaluated.
            records: What came out; only index values are kept.
            now_ns: The recompute's stamp.
        """
        segment = self._open.get(asset)
        if (
            segment is None
            or now_ns - segment.started_ns >= KEYFRAME_NS
            or segment.kept_bytes * LARGEST_PART > self._max_bytes
        ):
            segment = self._turn(asset, now_ns)
        watches = self._watches.setdefault(asset, {})
        parts = []
        for surface in surfaces:
            watch = watches.get(surface.key)
            if watch is None:
                watch = watches[surface.key] = _Watch(surface)
            part = self._part(segment, watch)
            if part is not None:
                parts.append(part)
        lines = tuple([self._line(r) for r in records if type(r) is IndexValue])
        if parts or lines:
            self.stats.kept_bytes += segment.add(_Entry(now_ns, tuple(parts), lines))
            self.stats.captures += 1
        self._make_room(now_ns)

    def unsealed(self) -> list[Segment]:
        """Seconds that are over and not compressed yet, oldest first."""
        return [s for s in self._segments if s.is_closed and not s.is_packed]

    def seal(self, segment: Segment, packed: bytes) -> None:
        """Take what `segment.pack()` gave; a segment that was dropped meanwhile stays so."""
        before = segment.kept_bytes
        segment.take(packed)
        if segment in self._segments:
            self.stats.kept_bytes += segment.kept_bytes - before

    def find(self, asset: str, tenor_days: float, seq: int) -> Excerpt | Missing:
        """Look for the evidence of one record."""
        last = self._last.get((asset, tenor_days))
        if last is None:
            return Missing.UNKNOWN_INDEX
        if seq > last:
            return Missing.NOT_YET
        segments = []
        for segment in self._segments:
            if segment.asset == asset:
                segments.append(segment)
                if segment.holds(tenor_days, seq):
                    return Excerpt(segments, tenor_days, seq, self._engine)
        return Missing.EXPIRED

    def _turn(self, asset: Asset, now_ns: int) -> Segment:
        """Close an asset's segment and open the next, which begins with a keyframe."""
        before = self._open.get(asset)
        if before is not None:
            before.is_closed = True
        segment = self._open[asset] = Segment(asset, now_ns)
        self._segments.append(segment)
        self._count_segments()
        return segment

    def _count_segments(self) -> None:
        self.stats.kept_segments = len(self._segments)
        self.stats.oldest_ns = self._segments[0].started_ns if self._segments else 0

    def _part(self, segment: Segment, watch: _Watch) -> _Part | None:
        key = watch.surface.key
        number = segment.books.get(key)
        chain: int | None = None
        if watch.layout != watch.surface.layout:
            watch.renew()
            chain = self._refer(segment, watch.chain)
        elif number is None:
            watch.forget()
            chain = self._refer(segment, watch.chain)
        if number is None:
            number = segment.books[key] = len(segment.books)
        rows = watch.changes()
        inputs = watch.surface.inputs.tobytes()
        memory = watch.surface.memory[:, : col.COST].tobytes()
        same_inputs = chain is None and inputs == watch.inputs
        same_memory = chain is None and memory == watch.memory
        if not rows and same_inputs and same_memory:
            return None
        watch.inputs, watch.memory = inputs, memory
        self.stats.captured_rows += len(rows) // _CHANGED_BYTES
        return _Part(
            number, rows, None if same_inputs else inputs, None if same_memory else memory, chain
        )

    def _refer(self, segment: Segment, chain: Chain) -> int:
        segment.chains.append(chain)
        if not self._references[id(chain)]:
            self.stats.kept_bytes += chain.ladder.nbytes
        self._references[id(chain)] += 1
        return len(segment.chains) - 1

    def _line(self, record: IndexValue) -> _Line:
        key = (record.asset, record.tenor_days)
        self._last[key] = record.seq
        rests_on = record.seq
        if record.value is not None:
            if record.status in REPEATING or record.reason is not None:
                rests_on = self._accepted.get(key, record.seq)
            else:
                self._accepted[key] = record.seq
        return _Line(record.tenor_days, record.seq, rests_on, _encode_record(record))

    def _make_room(self, now_ns: int) -> None:
        while self._segments and now_ns - self._segments[0].last_ns > self._keep_ns:
            self._drop()
            self.stats.expired_segments += 1
        while self._segments and self.stats.kept_bytes > self._max_bytes:
            self._drop()
            self.stats.dropped_segments += 1

    def _drop(self) -> None:
        segment = self._segments.popleft()
        self.stats.kept_bytes -= segment.kept_bytes
        self._count_segments()
        for chain in segment.chains:
            self._references[id(chain)] -= 1
            if not self._references[id(chain)]:
                del self._references[id(chain)]
                self.stats.kept_bytes -= chain.ladder.nbytes
        if self._open.get(segment.asset) is segment:
            del self._open[segment.asset]


def _find_line(entries: Sequence[_Entry], tenor_days: float, seq: int) -> tuple[int, _Line]:
    """The recompute that gave a record, and the record."""
    for index, entry in enumerate(entries):
        for line in entry.lines:
            if line.seq == seq and line.tenor_days == tenor_days:
                return index, line
    raise RuntimeError(f"expected {tenor_days:g} d, seq {seq} in its segment")


def _play(chains: Sequence[Chain], entries: Sequence[_Entry]) -> list[BookState]:
    """Every option book after the last of these recomputes."""
    chain_of_book: dict[int, Chain] = {}
    rows: dict[int, I64] = {}
    inputs: dict[int, F64] = {}
    memory: dict[int, F64] = {}
    for entry in entries:
        for part in entry.parts:
            if part.chain is not None:
                chain_of_book[part.book] = chains[part.chain]
                count = 2 * len(chains[part.chain].ladder)
                rows[part.book] = np.zeros((count, col.QUOTE_COLUMNS), np.int64)
            if part.inputs is not None:
                given = np.frombuffer(part.inputs, np.float64)
                inputs[part.book] = given.reshape(-1, col.INPUT_COLUMNS)
            if part.memory is not None:
                memory[part.book] = np.frombuffer(part.memory, np.float64).reshape(-1, col.COST)
            changed = np.frombuffer(part.rows, np.int64).reshape(-1, 1 + col.QUOTE_COLUMNS)
            rows[part.book][changed[:, 0]] = changed[:, 1:]
    return [
        BookState(chain=chain, rows=rows[book], inputs=inputs[book], memory=memory[book])
        for book, chain in chain_of_book.items()
    ]
