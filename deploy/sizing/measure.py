# ruff: noqa: INP001 - a script, no package
"""Measure what volgauge takes: processor, memory, network, disk. Linux only; needs the package.

    python deploy/sizing/measure.py --assets BTC --venues deribit --rate 300 --seconds 120

A simulated market in one process speaks the venues' real wires; a relay here counts the bytes; the
service, in a process of its own, computes, publishes to its bundled Valkey, keeps history and
records every frame. After the warm-up its counters are read twice, and the differences are
printed as one JSON object. Processor time is counted, not wall time: a busy machine changes little.
"""

import argparse
import asyncio
import json
import math
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from volgauge.settings import Settings

DAY_SECONDS = 86_400
YEAR_DAYS = 365
CANDLES = 200_000
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_SECONDS = 300.0
"""Kernels may have to be compiled, on a machine that has other work."""
VENUES = ("deribit", "okx", "bybit", "binance", "derive", "aevo", "delta")


class Relay:
    """Passes connections on to the simulator and counts what comes from it."""

    def __init__(self, host: str, port: int) -> None:
        self.received_bytes = 0
        self._host = host
        self._port = port
        self._open: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the service."""
        task = asyncio.current_task()
        self._open.add(task)
        far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        await asyncio.gather(
            self._pass(reader, far_writer, is_inbound=False),
            self._pass(far_reader, writer, is_inbound=True),
        )
        self._open.discard(task)

    async def drained(self) -> None:
        """Wait for the end of the connections, once the service is gone."""
        tasks = [task for task in self._open if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=5.0)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_inbound: bool
    ) -> None:
        with closing(sink), suppress(ConnectionError):
            while chunk := await source.read(65_536):
                self.received_bytes += len(chunk) * is_inbound
                sink.write(chunk)
                await sink.drain()


class Reading:
    """The counters of one instant."""

    def __init__(self, pid: int, valkey_pid: int, url: str, relay: Relay, folder: Path) -> None:
        self.at = time.monotonic()
        self.cpu = _processor_seconds(pid)
        self.valkey_cpu = _processor_seconds(valkey_pid)
        self.received = relay.received_bytes
        self.recorded = _size(folder / "frames")
        text = urllib.request.urlopen(f"{url}/metrics", timeout=20).read().decode()  # noqa: S310 - loopback
        self.frames = _sum(text, "volgauge_feed_frames_total")
        self.records = _sum(text, "volgauge_publish_records_total")
        self.merged = _sum(text, "volgauge_ticks_merged_total")


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run it all once."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="volgauge-sizing-")))
        others = [name for name in options.venues if name != "deribit"]
        simulator = _start(
            stack,
            ["simulate", "--rate", str(options.rate), "--exit-with-stdin"]
            + [word for name in others for word in ("--venue", name)],
            dict(os.environ),
        )
        said = json.loads(await asyncio.to_thread(_line, simulator))
        near = urlsplit(said["ws_url"])
        relay = Relay(near.hostname or "", near.port or 0)
        server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        stack.push_async_callback(relay.drained)
        port = server.sockets[0].getsockname()[1]
        service = _start(stack, ["run", "--port", "0"], _environment(options, said, port, folder))
        url = await asyncio.to_thread(_page, service)
        await asyncio.to_thread(_wait_until_ready, url)
        valkey = _child_of(service.pid, "valkey-server")
        await asyncio.sleep(options.warm_up)
        before = await asyncio.to_thread(Reading, service.pid, valkey, url, relay, folder)
        await asyncio.sleep(options.seconds)
        after = await asyncio.to_thread(Reading, service.pid, valkey, url, relay, folder)
        return _report(options, before, after) | {
            "memory_mb": _memory_mb(service.pid, "VmRSS"),
            "peak_memory_mb": _memory_mb(service.pid, "VmHWM"),
            "valkey_memory_mb": _memory_mb(valkey, "VmRSS"),
            **_history(folder / "history" / "history.sqlite", folder / "more.sqlite"),
        }


def _report(options: argparse.Namespace, before: Reading, after: Reading) -> dict[str, Any]:
    seconds = after.at - before.at

    def rate(name: str) -> float:
        change: float = getattr(after, name) - getattr(before, name)
        return change / seconds

    return {
        "assets": options.assets,
        "venues": options.venues,
        "seconds": round(seconds, 1),
        "frames_per_second": round(rate("frames")),
        "ticks_merged_per_second": round(rate("merged"), 1),
        "records_per_second": round(rate("records")),
        "cpu_share_of_a_core": round(rate("cpu"), 3),
        "valkey_cpu_share_of_a_core": round(rate("valkey_cpu"), 3),
        "received_kb_per_second": round(rate("received") / 1e3, 1),
        "recorder_mb_per_day": round(rate("recorded") * DAY_SECONDS / 1e6),
    }


def _environment(
    options: argparse.Namespace, said: dict[str, Any], port: int, folder: Path
) -> dict[str, str]:
    """Settings that lead the service through the relay, and keep all that it can keep."""
    addresses = {"deribit": {"ws_url": said["ws_url"], "rest_url": said["rest_url"]}}
    addresses |= said["venues"]
    variables = {
        "VOLGAUGE__HISTORY__PATH": str(folder / "history" / "history.sqlite"),
        "VOLGAUGE__LOG__LEVEL": "warning",
    }
    (folder / "history").mkdir()
    if options.record:
        variables["VOLGAUGE__RECORDER__PATH"] = str(folder / "frames")
    for venue in VENUES:
        start = f"VOLGAUGE__VENUES__{venue.upper()}__"
        variables[f"{start}ENABLED"] = str(venue in options.venues).lower()
        if venue in options.venues:
            variables[f"{start}ASSETS"] = json.dumps(options.assets)
            for key, address in addresses[venue].items():
                moved = urlsplit(address)._replace(netloc=f"127.0.0.1:{port}").geturl()
                variables[f"{start}{key.upper()}"] = moved
    return {**os.environ, **variables}


def _start(
    stack: AsyncExitStack, arguments: list[str], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "volgauge", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )

    def end() -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)
    return process


def _line(process: subprocess.Popen[bytes]) -> str:
    if process.stdout is None:
        raise RuntimeError("started without a pipe")
    line = process.stdout.readline().decode()
    if not line:
        raise SystemExit("a process ended at once; its messages stand above")
    return line


def _page(service: subprocess.Popen[bytes]) -> str:
    """Where the service says that its page is."""
    while not (found := re.search(r"page\s+(\S+?)/?$", _line(service).strip())):
        pass
    return found[1]


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError):
            urllib.request.urlopen(f"{url}/readyz", timeout=20).close()  # noqa: S310 - loopback
            return
        time.sleep(0.5)
    raise SystemExit(f"not ready within {START_SECONDS:g} s")


def _child_of(parent: int, name: str) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            head, _, tail = (entry / "stat").read_text().rpartition(")")
            if int(tail.split()[1]) == parent and head.partition("(")[2] == name:
                return int(entry.name)
    raise SystemExit(f"no child {name}")


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _memory_mb(pid: int, name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return round(int(found[1]) * 1024 / 1e6, 1) if found else 0.0


def _history(path: Path, scratch: Path) -> dict[str, float]:
    """What the candles take: new ones of a day, and all that the default settings keep of a year.

    Bytes a candle come from a file of the same form with CANDLES in it: in minutes the service's
    own file holds too few.
    """
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        held = store.execute("SELECT asset, series, resolution FROM held").fetchall()
        (form,) = store.execute("SELECT sql FROM sqlite_master WHERE name = 'candle'").fetchone()
    with closing(sqlite3.connect(scratch)) as store, store:
        store.execute(form)
        for number in range(CANDLES):
            asset, series, resolution = held[number % len(held)]
            opened = 1_800_000_000 + number // len(held) * resolution
            prices = [50.0 + math.sin(number + step) for step in range(4)]
            row = (asset, series, "live", resolution, opened, *prices)
            store.execute("INSERT INTO candle VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    candle_bytes = scratch.stat().st_size / CANDLES
    keep = Settings().history
    days = {
        1: keep.keep_1s_days, 60: keep.keep_1m_days, 300: keep.keep_5m_days,
        900: keep.keep_15m_days, 3600: keep.keep_1h_days, 14_400: keep.keep_4h_days,
        43_200: keep.keep_12h_days, 86_400: keep.keep_1d_days,
    }  # fmt: skip
    a_day = [DAY_SECONDS / resolution for _, _, resolution in held]
    a_year = [
        DAY_SECONDS / resolution * min(days[resolution] or YEAR_DAYS, YEAR_DAYS)
        for _, _, resolution in held
    ]
    return {
        "history_candle_bytes": round(candle_bytes, 1),
        "history_mb_per_day": round(sum(a_day) * candle_bytes / 1e6, 1),
        "history_mb_kept_of_a_year": round(sum(a_year) * candle_bytes / 1e6),
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sum(text: str, name: str, label: str = "") -> float:
    """Sum of the samples of a metric."""
    found = re.findall(rf"(?m)^{name}(\{{[^}}]*\}})? (\S+)", text)
    return sum(float(value) for labels, value in found if label in labels)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--assets", nargs="+", default=["BTC"])
    parser.add_argument("--venues", nargs="+", default=["deribit"], choices=VENUES)
    parser.add_argument("--rate", type=float, default=500.0, help="updates of the whole market")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--warm-up", type=float, default=30.0)
    parser.add_argument("--no-record", dest="record", action="store_false")
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
