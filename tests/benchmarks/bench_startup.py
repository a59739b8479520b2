"""From the start of the process to the first index, and that nothing is compiled once it is ready.

Unit of work: `volgauge run` against a running simulated venue and a running Redis, BTC alone, with
the compiled kernels on disk. The clock starts before the process does and stops when a subscriber
has the first 30-day record that holds a value: interpreter, imports, kernels, listings,
subscriptions at the venue's pace and the snapshot of the chain are all in it.
"""

import json
import socket
import statistics
import time
from urllib.parse import urlsplit

from volgauge.publish.bundled import BundledRedis

from . import measure
from .processes import Child, script, volgauge
from .report import Options, Report

CHANNEL = "volgauge:index:BTC:30d"
LARGEST_SECONDS = 1.5
READY_SECONDS = 60.0
POLL_SECONDS = 0.5
TRAFFIC_SECONDS = 8.0
"""Of which the first two are spent connecting."""
VENUE_RATE = "2000"


def run(options: Options) -> Report:
    """Start several times; watch the compiler once."""
    report = Report("startup", "process to first published value, kernels cached")
    core, other_core = measure.cores()
    measure.pin(other_core)
    server = BundledRedis()
    url = server.start()
    try:
        with Child(
            volgauge("simulate", "--rate", VENUE_RATE, "--exit-with-stdin"), core=other_core
        ) as venue:
            address = venue.answer(READY_SECONDS)
            environment = {
                "VOLGAUGE__VENUES__DERIBIT__WS_URL": address["ws_url"],
                "VOLGAUGE__VENUES__DERIBIT__REST_URL": address["rest_url"],
                "VOLGAUGE__VENUES__DERIBIT__ASSETS": '["BTC"]',
                "VOLGAUGE__REDIS__URL": url,
                "VOLGAUGE__HTTP__PORT": "0",
                "VOLGAUGE__LOG__LEVEL": "warning",
            }
            # The first start fills the cache and is not counted.
            starts = [
                _start(url, core, environment) for _ in range(1 + (3 if options.quick else 7))
            ]
            firsts, values = zip(*starts[1:], strict=True)
            compiled = _compiled(core, environment)
    finally:
        server.stop()
        measure.unpin()
    report.add("first start, kernels perhaps compiled", starts[0][1], "s")
    report.add("first record of any kind", statistics.median(firsts), "s")
    report.add(
        "first value", statistics.median(values), "s",
        "each " + " ".join(f"{value:.2f}" for value in values),
    )  # fmt: skip
    report.add("compiled signatures when ready", float(compiled[0]), "")
    report.gate(
        "process to first value, s", statistics.median(values), "at most", LARGEST_SECONDS,
        quick=options.quick,
    )  # fmt: skip
    report.gate(
        "signatures compiled after ready", float(compiled[1] - compiled[0]), "at most", 0.0,
        hard=True,
    )  # fmt: skip
    return report


def _start(url: str, core: int, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds to the first record, and to the first one with a value."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as connection:
        connection.sendall(f"SUBSCRIBE {CHANNEL}\r\n".encode())
        connection.settimeout(POLL_SECONDS)
        received = b""
        began = time.monotonic()
        with Child(volgauge("run"), core=core, environment=environment) as service:
            first = 0.0
            while time.monotonic() - began < READY_SECONDS and service.process.poll() is None:
                try:
                    received += connection.recv(65_536)
                except TimeoutError:
                    continue
                now = time.monotonic() - began
                *lines, received = received.split(b"\r\n")
                records = [json.loads(line) for line in lines if line.startswith(b"{")]
                if records:
                    first = first or now
                if any(record["value"] is not None for record in records):
                    return first, now
            raise RuntimeError(f"no value: {service.last_words()}")


def _compiled(core: int, environment: dict[str, str]) -> tuple[int, int]:
    """Signatures when ready, and after some seconds of traffic."""
    command = script("compile_watch.py", str(TRAFFIC_SECONDS))
    with Child(command, core=core, environment=environment) as service:
        ready = service.answer(READY_SECONDS)
        end = service.answer(READY_SECONDS)
        return ready["ready"], end["end"]
