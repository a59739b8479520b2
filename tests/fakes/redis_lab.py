"""A real server and a running publisher for the tests that need them."""

import asyncio
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, Self

import redis

from volgauge.clock import SystemClock
from volgauge.publish.bundled import BundledRedis, server_binary
from volgauge.publish.redis import RedisPublisher
from volgauge.settings import RedisSettings


async def wait_for(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until the condition holds; fails at the deadline."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition, not only our own events
            await asyncio.sleep(0.005)


@contextmanager
def running_server(port: int = 0) -> Iterator[BundledRedis]:
    """Run a bundled server."""
    server = BundledRedis(port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def frozen(server: BundledRedis) -> Iterator[None]:
    """Stop the server's process, so that it holds its sockets and answers nothing."""
    assert server.pid is not None
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill(server: BundledRedis) -> None:
    """End the server's process without a word."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()


@asynccontextmanager
async def running(publisher: RedisPublisher) -> AsyncIterator[RedisPublisher]:
    """Run a publisher, connected."""
    task = asyncio.create_task(publisher.run())
    try:
        await wait_for(lambda: publisher.stats.connected)
        yield publisher
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def new_publisher(url: str, *, cluster: bool = False) -> RedisPublisher:
    """Build a publisher with default settings."""
    return RedisPublisher(RedisSettings(cluster=cluster), SystemClock(), url)


@contextmanager
def raw_client(url: str) -> Iterator[Any]:  # its stubs know no synchronous client
    """Open an ordinary client, as a user would."""
    client = redis.Redis.from_url(url, decode_responses=True)
    try:
        yield client
    finally:
        client.close()


class ClusterNode:
    """One node of a cluster on loopback; `join` makes several of them one."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", 0))
            bus.bind(("127.0.0.1", 0))
            self.port, bus_port = probe.getsockname()[1], bus.getsockname()[1]
        self._process = subprocess.Popen(
            [
                server_binary(), "--port", str(self.port), "--bind", "127.0.0.1",
                "--cluster-enabled", "yes", "--cluster-port", str(bus_port),
                "--cluster-node-timeout", "2000", "--save", "", "--dir", self._folder.name,
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    @staticmethod
    def join(nodes: "list[ClusterNode]") -> None:
        """Share the slots among the nodes and wait until all agree."""
        deadline = time.monotonic() + 20
        with ExitStack() as stack:
            raws = [stack.enter_context(raw_client(node.url)) for node in nodes]
            for raw in raws:
                while not _says(raw, "PING", "PONG") and time.monotonic() < deadline:
                    time.sleep(0.02)
            share = -(-16384 // len(nodes))
            for index, (raw, node) in enumerate(zip(raws, nodes, strict=True)):
                first, last = index * share, min((index + 1) * share, 16384) - 1
                raw.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
                bus = raw.config_get("cluster-port")["cluster-port"]
                raws[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
            for raw in raws:
                while not _says(raw, "CLUSTER INFO", "cluster_state:ok"):
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                while not _says(raw, "CLUSTER INFO", f"cluster_known_nodes:{len(nodes)}"):
                    assert time.monotonic() < deadline
                    time.sleep(0.02)


def _says(raw: Any, command: str, expected: str) -> bool:  # noqa: ANN401 - redis client
    with suppress(redis.RedisError):
        return expected in str(raw.execute_command(*command.split())) or expected == "PONG"
    return False
