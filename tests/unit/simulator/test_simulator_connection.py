"""Framing and slow readers, on a transport made by hand."""

import asyncio
import struct
import zlib

import pytest
from typing_extensions import override

from volgauge.simulator.connection import SLOW_SECONDS, Connection, text_frame
from volgauge.simulator.faults import Faults
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.public_api import PublicApi
from volgauge.simulator.session import Session, Timing
from volgauge.simulator.venue import Venue

NO_FAULTS = Faults()


class HandTransport(asyncio.Transport):
    """Keeps what is written; `unsent` is set by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.unsent = 0
        self.is_aborted = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written += data

    @override
    def get_write_buffer_size(self) -> int:
        """As set."""
        return self.unsent

    @override
    def is_closing(self) -> bool:
        """After abort."""
        return self.is_aborted

    @override
    def abort(self) -> None:
        """Remember it."""
        self.is_aborted = True


def make(window_bits: int = 0) -> tuple[Connection, HandTransport]:
    """A connection of a session that nobody speaks to."""
    market = Market(MarketOptions(start_ns=1_784_116_800_000_000_000, currencies=("TRX",)))
    session = Session(PublicApi(Venue(market), lambda *_: []), Timing(), 0.0, seed=1)
    transport = HandTransport()
    connection = Connection(
        session, transport, opened_seconds=0.0, seed=1, window_bits=window_bits, keeps_context=True
    )
    return connection, transport


def quote(channel: str, number: int) -> bytes:
    """A notification."""
    text = (
        '{"jsonrpc":"2.0","method":"subscription","params":'
        f'{{"channel":"{channel}","data":{{"n":{number}}}}}}}'
    )
    return text.encode()


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536])
def test_frames_have_the_lengths_of_rfc_6455(length: int) -> None:
    """7, 16 or 64 bits of length, no mask."""
    frame = text_frame(b"x" * length)

    assert frame[0] == 0x81
    if length < 126:
        assert frame[1] == length
    elif length < 65_536:
        assert (frame[1], struct.unpack("!H", frame[2:4])[0]) == (126, length)
    else:
        assert (frame[1], struct.unpack("!Q", frame[2:10])[0]) == (127, length)
    assert frame.endswith(b"x" * length)


def test_frames_of_a_step_leave_in_one_write() -> None:
    """What the session has gathered is written back to back."""
    connection, transport = make()
    connection.session.out = [quote("quote.A", 1), quote("quote.B", 2)]

    connection.flush(NO_FAULTS, 0.0)

    assert bytes(transport.written) == text_frame(quote("quote.A", 1)) + text_frame(
        quote("quote.B", 2)
    )


def test_compressed_frames_inflate_with_context() -> None:
    """permessage-deflate with context takeover: one inflater reads all frames."""
    connection, transport = make(window_bits=15)
    payloads = [quote("quote.A", number) for number in range(3)]
    connection.session.out = list(payloads)
    connection.flush(NO_FAULTS, 0.0)
    inflater = zlib.decompressobj(wbits=-15)
    rest, found = bytes(transport.written), []
    while rest:
        assert rest[0] == 0xC1
        length, start = (rest[1], 2) if rest[1] < 126 else (struct.unpack("!H", rest[2:4])[0], 4)
        found.append(inflater.decompress(rest[start : start + length] + b"\x00\x00\xff\xff"))
        rest = rest[start + length :]

    assert found == payloads


def test_slow_reader_gets_the_newest_quote_only() -> None:
    """While it does not read, frames of one channel replace each other; book changes do not."""
    connection, transport = make()
    transport.unsent = 2 << 20
    for number in range(5):
        connection.session.out = [quote("quote.A", number), quote("book.A.100ms", number)]
        connection.flush(NO_FAULTS, 1.0)
    assert not transport.written
    transport.unsent = 0
    connection.flush(NO_FAULTS, 2.0)

    assert connection.conflated == 4
    assert quote("quote.A", 4) in transport.written
    assert quote("quote.A", 3) not in transport.written
    assert all(quote("book.A.100ms", number) in transport.written for number in range(5))


async def test_reader_that_never_reads_is_cut() -> None:
    """After the limit the venue closes with `connection_too_slow`."""
    connection, transport = make()
    transport.unsent = 2 << 20
    connection.flush(NO_FAULTS, 0.0)
    connection.flush(NO_FAULTS, SLOW_SECONDS - 0.1)
    early = bytes(transport.written)
    connection.flush(NO_FAULTS, SLOW_SECONDS)

    assert early == b""
    assert b"connection_too_slow" in transport.written
