"""One client's socket: websocket framing, compression, conflation for slow readers, faults.

Frames are built here rather than by the HTTP library, so that a step's frames leave in a single
write. RFC 6455 section 5.2, RFC 7692.
"""

import asyncio
import struct
import zlib

from volgauge.simulator.dialects import ClientSession
from volgauge.simulator.faults import Faults, Mangled, Mangler

HIGH_WATER_BYTES = 1 << 20
"""Above this much unsent data the connection is slow: stateless channels keep the newest only."""
SLOW_SECONDS = 10.0
MAX_PENDING = 50_000
SLOW_CLOSE = (1008, "connection_too_slow")
LINGER_SECONDS = 1.0
"""The client's time to answer a close frame."""
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
_COMPRESSED = 0x40


class Connection:
    """Puts a session's frames on a transport."""

    def __init__(
        self,
        session: ClientSession,
        transport: asyncio.Transport,
        *,
        opened_seconds: float,
        seed: int,
        window_bits: int,
        keeps_context: bool,
    ) -> None:
        self.session = session
        self.is_closing = False
        self.conflated = 0
        """Frames replaced by newer ones before they could be sent."""
        self._transport = transport
        self._opened_seconds = opened_seconds
        self._mangler = Mangler(seed)
        self._window_bits = window_bits
        self._keeps_context = keeps_context
        self._deflate: zlib._Compress | None = None
        self._pending: dict[bytes, bytes] = {}
        self._slow_since: float | None = None
        self._sent_oversized = False

    def is_half_open(self, faults: Faults, now_seconds: float) -> bool:
        """Nothing passes any more, in either direction."""
        after = faults.half_open_after_seconds
        return after > 0.0 and now_seconds - self._opened_seconds >= after

    def flush(self, faults: Faults, now_seconds: float) -> None:
        """Send what the session has gathered; hang up if it wants to."""
        if self.is_closing:
            self.session.out.clear()
            return
        frames, self.session.out = self.session.out, []
        age = now_seconds - self._opened_seconds
        if self.is_half_open(faults, now_seconds):
            return
        if 0.0 < faults.silent_after_seconds <= age:
            frames = [frame for frame in frames if not self.session.is_data(frame)]
        if 0.0 < faults.oversized_after_seconds <= age and not self._sent_oversized:
            self._sent_oversized = True
            frames.append(b'{"jsonrpc":"2.0","result":"%s"}' % (b"x" * faults.oversized_bytes))
        self._send(self._relieve(frames, now_seconds), faults, now_seconds)
        if self.session.closing is not None:
            self.hang_up(*self.session.closing)
        elif 0.0 < faults.disconnect_every_seconds <= age:
            self.hang_up(faults.close_code, "")

    def pong(self, payload: bytes) -> None:
        """Answer a protocol ping."""
        if not self._transport.is_closing():
            self._transport.write(_header(_PONG, len(payload)) + payload)

    def ping(self, payload: bytes) -> None:
        """Test the client by a protocol ping."""
        if not self._transport.is_closing():
            self._transport.write(_header(_PING, len(payload)) + payload)

    def hang_up(self, code: int, reason: str) -> None:
        """Close with a code; 1006 cuts the connection."""
        if self.is_closing:
            return
        self.is_closing = True
        if code == 1006 or self._transport.is_closing():
            self._transport.abort()
            return
        payload = struct.pack("!H", code) + reason.encode()
        self._transport.write(_header(_CLOSE, len(payload)) + payload)
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._transport.abort)

    def _relieve(self, frames: list[bytes], now_seconds: float) -> list[bytes]:
        """Hold frames back while the client does not read; give up on it after a while."""
        if self._transport.get_write_buffer_size() <= HIGH_WATER_BYTES:
            self._slow_since = None
            if self._pending:
                frames = [*self._pending.values(), *frames]
                self._pending.clear()
            return frames
        if self._slow_since is None:
            self._slow_since = now_seconds
        for frame in frames:
            key = self.session.conflation_key(frame)
            self.conflated += self._pending.pop(key, None) is not None
            self._pending[key] = frame
        if now_seconds - self._slow_since >= SLOW_SECONDS or len(self._pending) > MAX_PENDING:
            self.session.closing = SLOW_CLOSE
        return []

    def _send(self, frames: list[bytes], faults: Faults, now_seconds: float) -> None:
        if self._transport.is_closing():
            return
        if faults.touches_frames or self._mangler.holds_frames:
            plain = [frame for frame in frames if not self.session.is_data(frame)]
            data = [frame for frame in frames if self.session.is_data(frame)]
            mangled = [Mangled(frame) for frame in plain]
            mangled += self._mangler.apply(data, faults, now_seconds)
        elif not frames:
            return
        elif self._window_bits:
            mangled = [Mangled(frame) for frame in frames]
        else:
            parts: list[bytes] = []
            for frame in frames:
                parts += (_header(_TEXT, len(frame)), frame)
            self._transport.write(b"".join(parts))
            return
        encoded = [self._encode(frame) for frame in mangled]
        if encoded:
            self._transport.write(b"".join(encoded))

    def _encode(self, frame: Mangled) -> bytes:
        opcode, payload = _BINARY if frame.is_binary else _TEXT, frame.payload
        if self._window_bits:
            if self._deflate is None or not self._keeps_context:
                self._deflate = zlib.compressobj(wbits=-self._window_bits)
            # RFC 7692 7.2.1: the four octets that end a sync flush are left out.
            payload = (self._deflate.compress(payload) + self._deflate.flush(zlib.Z_SYNC_FLUSH))[
                :-4
            ]
            opcode |= _COMPRESSED
        return _header(opcode, len(payload)) + payload


def text_frame(payload: bytes) -> bytes:
    """An unmasked, uncompressed websocket text frame, as a server sends it."""
    return _header(_TEXT, len(payload)) + payload


def _header(first: int, length: int) -> bytes:
    if length < 126:
        return bytes((first, length))
    if length < 65_536:
        return bytes((first, 126, length >> 8, length & 255))
    return struct.pack("!BBQ", first, 127, length)
