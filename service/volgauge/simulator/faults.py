"""What can be made to go wrong on the simulated wire, and the stream surgery that does it."""

import heapq
import random
import zlib
from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from volgauge.errors import ConfigError

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Seconds = Annotated[float, Meta(ge=0.0)]


class Faults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Faults of the venue. Shares are probabilities a frame; 0 switches a fault off.

    `*_after_seconds` counts from the opening of a connection, for `maintenance` and `lock` from
    the start of the server.
    """

    drop: Share = 0.0
    duplicate: Share = 0.0
    reorder: Share = 0.0
    """The frame changes places with the next."""
    delay: Share = 0.0
    delay_ms: Seconds = 500.0
    truncate: Share = 0.0
    garble: Share = 0.0
    """One byte is overwritten."""
    binary: Share = 0.0
    """Sent as a binary frame."""
    book_gap: Share = 0.0
    """A change of a book channel is left out, so the next one does not link."""
    refuse: Share = 0.0
    """This share of the channels is silently missing from every acknowledgement."""
    clock_skew_ms: float = 0.0
    silent_after_seconds: Seconds = 0.0
    """Data stops; replies and heartbeats go on."""
    half_open_after_seconds: Seconds = 0.0
    """Nothing is sent or answered any more; the connection stays."""
    disconnect_every_seconds: Seconds = 0.0
    close_code: int = 1012
    """1006 cuts the connection without a close frame."""
    maintenance_after_seconds: Seconds = 0.0
    maintenance_seconds: Seconds = 5.0
    lock_after_seconds: Seconds = 0.0
    """Price indices are locked: announced, and their channels stop."""
    lock_seconds: Seconds = 5.0
    oversized_after_seconds: Seconds = 0.0
    """One frame of `oversized_bytes` is sent."""
    oversized_bytes: Annotated[int, Meta(ge=1, le=1 << 28)] = 32 << 20
    upgrade_after_seconds: Seconds = 0.0
    """A connection is told to move to another server, at venues that do so."""
    upgrade_seconds: Seconds = 60.0
    """Between that and its end."""
    refuse_connections: bool = False
    """Every new websocket is answered with HTTP 503."""

    @property
    def touches_frames(self) -> bool:
        """Some fault acts on single data frames."""
        return any(
            (self.drop, self.duplicate, self.reorder, self.delay, self.truncate, self.garble,
             self.binary)
        )  # fmt: skip

    def in_maintenance(self, age_seconds: float) -> bool:
        """The planned maintenance goes on at an age of the server."""
        begin = self.maintenance_after_seconds
        return 0.0 < begin <= age_seconds < begin + self.maintenance_seconds

    def refuses(self, channel: str) -> bool:
        """The same channels always: chosen by the name's checksum."""
        return self.refuse > 0.0 and zlib.crc32(channel.encode()) < self.refuse * 2**32


def parse_faults(pairs: Iterable[str]) -> Faults:
    """Read `name=value` pairs; `_seconds` and `_ms` at the end of a name may be left out.

    Raises:
        ConfigError: An unknown name or a value out of range.
    """
    known = Faults.__struct_fields__
    values: dict[str, str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        full = next((n for n in (name, f"{name}_seconds", f"{name}_ms") if n in known), None)
        if full is None:
            raise ConfigError(f"fault {name}: expected one of {', '.join(known)}")
        values[full] = value
    try:
        return msgspec.convert(values, Faults, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"fault: {error}") from error


class Mangled(Struct, frozen=True):
    """One frame as it goes out."""

    payload: bytes
    is_binary: bool = False


class Mangler:
    """Applies the frame faults to one connection's stream; seeded, without a clock."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._late: list[tuple[float, int, Mangled]] = []
        self._held: Mangled | None = None
        self._count = 0

    @property
    def holds_frames(self) -> bool:
        """Something delayed or reordered has not gone out yet."""
        return bool(self._late) or self._held is not None

    def apply(self, frames: list[bytes], faults: Faults, now_seconds: float) -> list[Mangled]:
        """What goes out now: the given frames after the faults, and what was late until now."""
        out: list[Mangled] = []
        while self._late and self._late[0][0] <= now_seconds:
            out.append(heapq.heappop(self._late)[2])
        if self._held is not None and not frames and not faults.touches_frames:
            out.append(self._held)
            self._held = None
        for payload in frames:
            for frame in self._one(payload, faults):
                if self._hits(faults.delay):
                    self._count += 1
                    due = now_seconds + faults.delay_ms / 1e3
                    heapq.heappush(self._late, (due, self._count, frame))
                elif self._held is None and self._hits(faults.reorder):
                    self._held = frame
                else:
                    out.append(frame)
                    if self._held is not None:
                        out.append(self._held)
                        self._held = None
        return out

    def _one(self, payload: bytes, faults: Faults) -> list[Mangled]:
        if self._hits(faults.drop):
            return []
        if self._hits(faults.truncate):
            payload = payload[: self._random.randrange(1, max(len(payload), 2))]
        if self._hits(faults.garble):
            place = self._random.randrange(len(payload))
            # Printable, so that the text frame stays valid UTF-8 and the JSON is what breaks.
            byte = bytes([self._random.randrange(33, 127)])
            payload = payload[:place] + byte + payload[place + 1 :]
        frame = Mangled(payload, is_binary=self._hits(faults.binary))
        return [frame, frame] if self._hits(faults.duplicate) else [frame]

    def _hits(self, share: float) -> bool:
        return share > 0.0 and self._random.random() < share
