"""`volgauge watch` as a process, against a real HTTP server and a real Redis."""

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys

import pytest

from fakes.redis_lab import new_publisher, running, running_server, wait_for
from serving import CLOCK, index_record, serve
from volgauge.domain.index import Status
from volgauge.terminal.board import Board, LinkState
from volgauge.terminal.sources import HttpSource


async def watch(*flags: str, timeout: str = "10") -> tuple[int, str, str]:  # noqa: ASYNC109 - the flag
    """(exit code, stdout, stderr) of `watch --once`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "volgauge", "watch", "--once", "--timeout", timeout, *flags,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_once_over_http_tells_value_and_doubt() -> None:
    """Exit code 0 with a value of now, 3 without."""
    async with serve() as served:
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(_feed(served.hub.offer, Status.OK))
            code, out, err = await watch("--url", served.url, "--json")
            feeding.cancel()
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(_feed(served.hub.offer, Status.STALE))
            await asyncio.sleep(0.1)
            doubtful, text, _ = await watch("--url", served.url)
            feeding.cancel()

    assert (code, err) == (0, "")
    row = json.loads(out)
    assert (row["asset"], row["value"], row["status"]) == ("BTC", 50.5, "OK")
    # The server's history says 50.5 a day ago, too.
    assert row["change"] == 0.0
    assert 84_000 < row["change_seconds"] < 88_000
    assert (doubtful, "STALE" in text) == (3, True)


async def _feed(offer: object, status: Status) -> None:
    seq = 0
    while True:
        seq += 1
        assert callable(offer)
        offer(index_record(seq, 50.5, status=status))
        await asyncio.sleep(0.2)


async def test_once_over_redis() -> None:
    """The same from the published channels."""
    with running_server() as server:
        async with running(new_publisher(server.url)) as publisher, asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(_feed(publisher.offer, Status.OK))
            code, out, _ = await watch("--redis-url", server.url, "--asset", "BTC", "--json")
            feeding.cancel()

    assert (code, json.loads(out)["value"]) == (0, 50.5)


async def test_nobody_there_is_an_error() -> None:
    """Exit code 1 and the reason."""
    code, out, err = await watch("--url", "http://127.0.0.1:9", timeout="1")

    assert (code, out) == (1, "")
    assert "127.0.0.1:9" in err


async def test_a_lost_server_is_found_again() -> None:
    """The board says that it is lost, and goes on when it is back on the same port."""
    board = Board(tenor="30d")
    async with serve() as served:
        served.hub.offer(index_record(1, 50.0))
        task = asyncio.create_task(HttpSource(served.url, CLOCK).run(board))
        await wait_for(lambda: board.headlines, 10.0)
        port = int(served.url.rpartition(":")[2])
    await wait_for(lambda: board.link.state is LinkState.DOWN, 10.0)
    async with serve(port=port) as again:
        again.hub.offer(index_record(1, 51.0))
        await wait_for(lambda: board.headlines["BTC"].value == 51.0, 20.0)
        task.cancel()
        await asyncio.wait([task])

    assert (board.link.state, board.link.lost_count) == (LinkState.UP, 1)


async def test_ctrl_c_ends_the_picture_and_gives_the_screen_back() -> None:
    """On a terminal: the alternate screen is left, the exit code is 0."""
    async with serve() as served:
        served.hub.offer(index_record(1, 50.5))
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "volgauge", "watch", "--url", served.url,
            stdin=theirs, stdout=theirs, stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        )  # fmt: skip
        os.close(theirs)
        seen = bytearray()

        def read() -> None:
            try:
                seen.extend(os.read(ours, 65_536))
            except OSError:  # the other end is gone
                asyncio.get_running_loop().remove_reader(ours)

        asyncio.get_running_loop().add_reader(ours, read)
        await wait_for(lambda: b"50.50" in seen, 30.0)
        process.send_signal(signal.SIGINT)
        code = await asyncio.wait_for(process.wait(), 10.0)
        await wait_for(lambda: b"\x1b[?1049l" in seen, 5.0)
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)

    assert code == 0
    assert b"Traceback" not in seen


@pytest.mark.parametrize("wait_seconds", [0.0, 0.02, 0.3])
async def test_a_redis_source_ends_when_it_is_told_to(wait_seconds: float) -> None:
    """In the midst of connecting, too: the process is gone soon after the signal."""
    with running_server() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "volgauge", "watch", "--redis-url", server.url,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stderr is not None
        if wait_seconds:
            await process.stderr.readline()  # connected
            await asyncio.sleep(wait_seconds)
        else:
            await asyncio.sleep(1.5)
        process.send_signal(signal.SIGTERM)
        _, code = await asyncio.wait_for(
            asyncio.gather(process.stderr.read(), process.wait()), 20.0
        )

    assert code == 0 or (wait_seconds == 0.0 and code == -signal.SIGTERM)
