"""The simulated venue as a load generator: frames made in advance, sent by raw sockets.

A process of its own, steered by JSON lines on standard input, answering on standard output. Between
loads it is a venue like any other (subscriptions, heartbeats, one price index a second), spoken by
the simulator's own session code; during a load it does nothing but wait and `send`.

    -> {"do": "prepare", "count": 20000}
    <- {"frames": 20000}
    -> {"do": "load", "to": "service", "rate": 5000, "burst": 100, "count": 20000, "stamps": FILE}
    <- {"sent": 20000, "began_ns": ..., "ended_ns": ..., "late_ns": ...}

`rate` 0 sends as fast as the sockets take. FILE gets the CLOCK_MONOTONIC time of every frame as
int64, taken before its `send`. A client of `service` is one that connected to `/service/...`.
"""

import base64
import ctypes
import hashlib
import json
import os
import select
import socket
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND
from volgauge.simulator.connection import text_frame
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.prerender import render_frames
from volgauge.simulator.public_api import PublicApi, WireError
from volgauge.simulator.session import Session, Timing
from volgauge.simulator.venue import Venue

CURRENCY = "BTC"
SEED = 7
MARKET_RATE = 5_000.0
PULSE_SECONDS = 1.0
SPIN_NS = 20_000
"""Of a wait the last part is spent awake: a sleep ends that late."""
WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PR_SET_TIMERSLACK = 29
_TIMESTAMP = b'"timestamp":'
_TEXT, _CLOSE, _PING = 1, 8, 9


Sending = tuple[Callable[[bytes], object], bytes]
"""A socket's `sendall`, and what it gets."""


class Client:
    """One accepted connection: HTTP first, perhaps a websocket afterwards."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.inbox = b""
        self.session: Session | None = None
        self.group = ""


class Blaster:
    """The venue's sockets and the load."""

    def __init__(self) -> None:
        now_ns = time.time_ns() // NANOS_PER_MILLI * NANOS_PER_MILLI
        self.market = Market(
            MarketOptions(seed=SEED, currencies=(CURRENCY,), start_ns=now_ns, rate=MARKET_RATE)
        )
        self.venue = Venue(self.market)
        self.api = PublicApi(self.venue, lambda *_: [])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.clients: dict[int, Client] = {}
        self.frames: list[tuple[str, bytes, bytes]] = []
        """(channel, what stands before the time, what stands after it)."""
        self.poll = select.poll()
        self.poll.register(self.listener, select.POLLIN)
        self.poll.register(sys.stdin, select.POLLIN)
        self.pulsed = time.monotonic()

    def run(self) -> None:
        """Serve until standard input ends."""
        say({"port": self.listener.getsockname()[1]})
        commands = b""
        while True:
            for number, _ in self.poll.poll(100):
                if number == self.listener.fileno():
                    self.accept()
                elif number == sys.stdin.fileno():
                    chunk = os.read(sys.stdin.fileno(), 65_536)
                    if not chunk:
                        return
                    commands += chunk
                    while b"\n" in commands:
                        line, _, commands = commands.partition(b"\n")
                        say(self.obey(json.loads(line)))
                elif number in self.clients:
                    self.read(self.clients[number])
            if time.monotonic() - self.pulsed >= PULSE_SECONDS:
                self.pulse()

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do one command."""
        if command["do"] == "prepare":
            self.prepare(command["count"])
            return {"frames": len(self.frames)}
        if command["do"] == "clients":
            sessions = [c for c in self.clients.values() if c.session and c.group == command["to"]]
            return {"channels": sum(len(c.session.subscriptions) for c in sessions if c.session)}
        return self.load(command)

    def prepare(self, count: int) -> None:
        """Render quotes; the market moves on meanwhile, the boards keep the last state."""
        for frame in render_frames(self.market, count):
            channel = frame.partition(b'"channel":"')[2].partition(b'"')[0].decode()
            head, name, tail = frame.partition(_TIMESTAMP)
            self.frames.append((channel, head + name, tail.partition(b",")[2]))

    def load(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send `count` frames on a schedule; each bears a time of its own, in the order sent."""
        count, rate, burst = command["count"], command["rate"], command["burst"]
        batches = self.batches(command["to"], count, burst)
        interval_ns = burst * NANOS_PER_SECOND / rate if rate else 0.0
        stamps = array("q", bytes(8 * count))
        clock = time.monotonic_ns
        late_ns = 0
        began_ns = clock() + 50 * NANOS_PER_MILLI
        for number, parts in enumerate(batches):
            due_ns = began_ns + int(number * interval_ns)
            left_ns = due_ns - clock()
            if left_ns > SPIN_NS:
                time.sleep((left_ns - SPIN_NS) / 1e9)
            while clock() < due_ns:
                pass
            now_ns = clock()
            late_ns = max(late_ns, now_ns - due_ns) if rate else 0
            first = number * burst
            for place in range(first, min(first + burst, count)):
                stamps[place] = now_ns
            for send, data in parts:
                send(data)
        ended_ns = clock()
        Path(command["stamps"]).write_bytes(stamps.tobytes())
        return {"sent": count, "began_ns": began_ns, "ended_ns": ended_ns, "late_ns": late_ns}

    def batches(self, group: str, count: int, burst: int) -> list[list[Sending]]:
        """What to send and where, burst by burst."""
        routes = {
            channel: client.socket
            for client in self.clients.values()
            if client.session is not None and client.group == group
            for channel in client.session.subscriptions
        }
        stamp = time.time_ns() // NANOS_PER_MILLI - count
        batches: list[list[Sending]] = []
        for first in range(0, count, burst):
            joined: dict[socket.socket, list[bytes]] = {}
            for place in range(first, min(first + burst, count)):
                channel, head, tail = self.frames[place % len(self.frames)]
                frame = b"%b%d,%b" % (head, stamp + place, tail)
                joined.setdefault(routes[channel], []).append(text_frame(frame))
            batches.append([(route.sendall, b"".join(part)) for route, part in joined.items()])
        return batches

    def accept(self) -> None:
        """Take a connection."""
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.clients[connection.fileno()] = Client(connection)
        self.poll.register(connection, select.POLLIN)

    def read(self, client: Client) -> None:
        """Take what a client sent."""
        try:
            data = client.socket.recv(262_144)
        except OSError:
            data = b""
        client.inbox += data
        if not data:
            self.drop(client)
        elif client.session is not None:
            self.read_frames(client, client.session)
        elif b"\r\n\r\n" in client.inbox:
            self.read_http(client)

    def drop(self, client: Client) -> None:
        """Forget a connection."""
        self.poll.unregister(client.socket)
        del self.clients[client.socket.fileno()]
        if client.session is not None:
            client.session.close()
        client.socket.close()

    def read_http(self, client: Client) -> None:
        """Answer one GET, or become a websocket (no extension is accepted)."""
        head, _, client.inbox = client.inbox.partition(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        target = urlsplit(request.split()[1])
        _, client.group, path = target.path.split("/", 2)
        if "sec-websocket-key" in headers:
            accept = hashlib.sha1(  # noqa: S324 - the handshake of RFC 6455
                headers["sec-websocket-key"].encode() + WEBSOCKET_MAGIC
            ).digest()
            client.socket.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(accept) + b"\r\n\r\n"
            )
            client.session = Session(self.api, Timing(), time.monotonic(), SEED)
            return
        method = path.removeprefix("api/v2/")
        try:
            body = self.api.envelope(None, self.api.call(method, dict(parse_qsl(target.query))))
        except WireError as error:
            body = self.api.refusal(None, error)
        client.socket.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )

    def read_frames(self, client: Client, session: Session) -> None:
        """Unmask the frames that are complete and hand them to the session."""
        while (found := take_frame(client.inbox)) is not None:
            opcode, payload, client.inbox = found
            if opcode == _TEXT:
                session.receive(payload, time.monotonic())
            elif opcode == _PING:
                client.socket.sendall(bytes((0x8A, len(payload))) + payload)
            elif opcode == _CLOSE:
                self.drop(client)
                return
        self.flush(client, session)

    def flush(self, client: Client, session: Session) -> None:
        """Send what the session has to say."""
        frames, session.out = session.out, []
        if frames:
            client.socket.sendall(b"".join(map(text_frame, frames)))

    def pulse(self) -> None:
        """The price index once a second, and the heartbeats that are due."""
        self.pulsed = now = time.monotonic()
        index = self.market.boards[0].terms.index_name
        # The venue's own once-a-second frames come from its step; here only the pulse is wanted.
        self.venue._emit_topic("price_index", index)
        for client in list(self.clients.values()):
            if client.session is not None:
                client.session.tick(now)
                self.flush(client, client.session)


def take_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    """(opcode, payload, rest) of the first masked frame; None while it is incomplete."""
    if len(data) < 6:
        return None
    length, start = data[1] & 127, 2
    if length == 126:
        length, start = int.from_bytes(data[2:4], "big"), 4
    elif length == 127:
        length, start = int.from_bytes(data[2:10], "big"), 10
    end = start + 4 + length
    if len(data) < end:
        return None
    mask = (data[start : start + 4] * (length // 4 + 1))[:length]
    payload = int.from_bytes(data[start + 4 : end], "big") ^ int.from_bytes(mask, "big")
    return data[0] & 15, payload.to_bytes(length, "big"), data[end:]


def say(answer: dict[str, Any]) -> None:
    """One line to whoever steers us."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve."""
    if sys.platform == "linux":
        # Sleeps of 50 us would otherwise end up to 50 us late.
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    Blaster().run()


if __name__ == "__main__":
    main()
