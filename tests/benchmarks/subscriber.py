"""A Redis subscriber that stamps what it receives; the other end of `bench_e2e`.

A process of its own, steered by JSON lines on standard input, answering on standard output. Bytes
are stamped as they come and parsed when all is over, so that nobody waits for the parser.

    -> {"do": "start"}
    <- {"started": true}
    -> {"do": "stop", "channel": "volgauge:index:BTC:30d", "seconds": 10}
    <- {"records": [[received_ns, seq, prev_seq, event_ns, ticks_merged], ...]}

`stop` waits for a quiet time, `seconds` at the longest.
"""

import json
import select
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

QUIET_SECONDS = 0.5
CHUNK = 1 << 20
FIELDS = (b'"seq":', b'"prev_seq":', b'"event_ns":', b'"ticks_merged":')


class Subscriber:
    """The connection, and what came over it since `start`."""

    def __init__(self, url: str, channels: list[str]) -> None:
        parts = urlsplit(url)
        self.connection = socket.create_connection((parts.hostname, parts.port or 6379))
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.connection.sendall(("SUBSCRIBE " + " ".join(channels) + "\r\n").encode())
        self.chunks: list[tuple[int, bytes]] = []
        self.is_collecting = False
        self.stopping: dict[str, Any] | None = None
        self.deadline = 0.0

    def run(self) -> None:
        """Serve until standard input ends."""
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        poll.register(sys.stdin, select.POLLIN)
        newest = time.monotonic()
        while True:
            for number, _ in poll.poll(20):
                if number == self.connection.fileno():
                    data = self.connection.recv(CHUNK)
                    now_ns = time.monotonic_ns()
                    if not data:
                        return
                    newest = now_ns / 1e9
                    # Outside a collection only an incomplete message matters.
                    if self.is_collecting or not data.endswith(b"\r\n"):
                        self.chunks.append((now_ns, data))
                    else:
                        self.chunks.clear()
                else:
                    line = sys.stdin.readline()
                    if not line:
                        return
                    self.obey(json.loads(line))
                    newest = time.monotonic()
            now = time.monotonic()
            if self.stopping and (now >= self.deadline or now - newest > QUIET_SECONDS):
                records = parse(self.chunks, self.stopping["channel"].encode())
                self.chunks.clear()
                self.is_collecting, self.stopping = False, None
                say({"records": records})

    def obey(self, command: dict[str, Any]) -> None:
        """Do one command."""
        if command["do"] == "start":
            self.is_collecting = True
            say({"started": True})
        else:
            self.stopping = command
            self.deadline = time.monotonic() + command["seconds"]


def say(answer: dict[str, Any]) -> None:
    """One line to whoever steers us."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Subscribe to the channels given, then serve."""
    url, *channels = sys.argv[1:]
    subscriber = Subscriber(url, channels)
    say({"ready": True})
    subscriber.run()


def parse(chunks: list[tuple[int, bytes]], channel: bytes) -> list[list[int]]:
    """[received_ns, seq, prev_seq, event_ns, ticks_merged] of every message of the channel."""
    head = b"$7\r\nmessage\r\n$%d\r\n%b\r\n$" % (len(channel), channel)
    records = []
    rest = b""
    for received_ns, data in chunks:
        buffer = rest + data
        at = buffer.find(head)
        done = 0
        while at >= 0:
            length_end = buffer.find(b"\r\n", at + len(head))
            if length_end < 0:
                break
            start = length_end + 2
            end = start + int(buffer[at + len(head) : length_end])
            if end + 2 > len(buffer):
                break
            records.append([received_ns, *(_number(buffer, f, start, end) for f in FIELDS)])
            done = end + 2
            at = buffer.find(head, done)
        rest = buffer[done:] if at >= 0 else buffer[max(done, len(buffer) - len(head)) :]
    return records


def _number(buffer: bytes, field: bytes, start: int, end: int) -> int:
    at = buffer.find(field, start, end)
    if at < 0:
        return 0
    at += len(field)
    at += buffer[at : at + 1] == b" "
    stop = at
    while buffer[stop : stop + 1].isdigit():
        stop += 1
    return int(buffer[at:stop] or b"0")


if __name__ == "__main__":
    main()
