"""Real processes for the end-to-end tests: the service, the simulated venue, and who watches them.

Every wait polls a condition with a deadline; whatever a test starts ends with its `with` block.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, TypeVar

import redis
import zstandard
from prometheus_client.parser import text_string_to_metric_families
from redis.backoff import NoBackoff
from redis.retry import Retry

from volgauge.domain.units import parse_instant

Line = dict[str, Any]
"""A published record as its reader gets it."""
Value = TypeVar("Value")

START_SECONDS = 40.0
"""Kernels may have to be compiled once."""
SURE = frozenset({"OK", "SINGLE_VENUE", "DEGRADED"})
CHANNEL = "volgauge:index:BTC:30d"
LATEST = "volgauge:latest:index:BTC:30d"
STREAM = "volgauge:stream:index:BTC:30d"


def eventually(probe: Callable[[], Value], what: str, seconds: float = 20.0) -> Value:
    """Ask until the answer is true; it is returned. Fails at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.01)


def free_port() -> int:
    """A port of loopback that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """One `python -m volgauge ...`; what it says is kept in files."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        stdin: int | None = subprocess.DEVNULL,
    ) -> None:
        self.arguments = arguments
        self._stdin = stdin
        self._folder = tempfile.TemporaryDirectory(
            prefix="volgauge-test-", ignore_cleanup_errors=True
        )
        self._environment = {
            **os.environ,
            "VOLGAUGE__LOG__FORMAT": "json",
            # What a killed process cannot sweep goes with our folder.
            "TMPDIR": self._folder.name,
            **(environment or {}),
        }
        self._out = Path(self._folder.name) / "out"
        self._err = Path(self._folder.name) / "err"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "volgauge", *self.arguments],
                stdin=self._stdin,
                stdout=out,
                stderr=err,
                env=self._environment,
            )
        return self

    def __exit__(self, *_: object) -> None:
        process = self.running
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._folder.cleanup()

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The started process."""
        assert self.process is not None
        return self.process

    @property
    def output(self) -> str:
        """What it wrote to its standard output so far."""
        return self._out.read_text(errors="replace")

    @property
    def log(self) -> list[Line]:
        """Its whole log lines so far."""
        lines = self._err.read_text(errors="replace").split("\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith("{")]

    @property
    def last_words(self) -> str:
        """The end of its standard error."""
        return self._err.read_text(errors="replace")[-3000:]

    def events(self, name: str) -> list[Line]:
        """Its log lines of one event."""
        return [line for line in self.log if line["event"] == name]

    def wait_for_output(self, what: str, seconds: float = START_SECONDS) -> str:
        """Wait until a whole line with this text came; all output."""

        def said() -> str:
            code = self.running.poll()
            assert code is None, f"{self.arguments} ended with {code}\n{self.last_words}"
            head, found, tail = self.output.partition(what)
            return head + found + tail if found and "\n" in tail else ""

        return eventually(said, f"{what!r} from {self.arguments}", seconds)

    def kill(self) -> None:
        """End it without a word."""
        self.running.kill()
        self.running.wait()

    def terminate(self, seconds: float = 10.0) -> tuple[int, float]:
        """SIGTERM; exit code and how long it took."""
        began = time.monotonic()
        self.running.send_signal(signal.SIGTERM)
        code = self.running.wait(seconds)
        return code, time.monotonic() - began


def result_of(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Exit code and standard output of a command that ends by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "volgauge", *arguments],
        env={**os.environ, "VOLGAUGE__LOG__FORMAT": "json", **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120.0,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, done.stdout


@contextmanager
def venue(port: int = 0, *, rate: float = 1000.0, flags: Sequence[str] = ()) -> Iterator[Process]:
    """A simulated venue, listening."""
    command = ("simulate", "--port", str(port), "--rate", str(rate), *flags)
    with Process(*command) as process:
        process.wait_for_output('"ws_url"')
        yield process


def addresses(simulator: Process) -> dict[str, str]:
    """The settings by which a service speaks to this venue, as environment."""
    said = json.loads(simulator.output.splitlines()[0])
    return venue_settings(said["ws_url"], said["rest_url"])


def venue_settings(ws_url: str, rest_url: str) -> dict[str, str]:
    """The settings by which a service takes BTC from this address, as environment."""
    return {
        "VOLGAUGE__VENUES__DERIBIT__WS_URL": ws_url,
        "VOLGAUGE__VENUES__DERIBIT__REST_URL": rest_url,
        "VOLGAUGE__VENUES__DERIBIT__ASSETS": '["BTC"]',
    }


def redis_of(service: Process) -> str:
    """The Redis URL that the service announced."""
    output = service.wait_for_output("redis-cli -u ")
    return output.partition("redis-cli -u ")[2].split()[0]


def page_of(service: Process) -> str:
    """The root of the HTTP side that the service announced, without a slash at the end."""
    output = service.wait_for_output("/metrics")
    return next(line.split()[-1] for line in output.splitlines() if " page " in line).rstrip("/")


def fetch(url: str, accept: str = "*/*") -> tuple[int, str, str]:
    """(status, content type, body) of a page."""
    request = urllib.request.Request(url, headers={"Accept": accept})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=10.0) as answer:  # noqa: S310 - loopback
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read().decode()


def metric(root: str, name: str, **labels: str) -> float:
    """Sum of the samples of a metric that have these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(fetch(f"{root}/metrics")[2])
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def raw(url: str) -> Any:  # noqa: ANN401 - its stubs know no synchronous client
    """An ordinary client, as a user would open one; it fails at once when the server is gone."""
    return redis.Redis.from_url(
        url, decode_responses=True, socket_timeout=2.0, retry=Retry(NoBackoff(), 0)
    )


def latest(client: Any, key: str = LATEST) -> Line | None:  # noqa: ANN401 - a Redis client
    """The newest headline record; None also when nobody answers."""
    try:
        text = client.get(key)
    except redis.RedisError:
        return None
    return json.loads(text) if isinstance(text, str) else None


def stream(client: Any, key: str = STREAM) -> list[tuple[str, Line]]:  # noqa: ANN401 - a Redis client
    """(id, record) of every entry that the stream holds, in its order."""
    found: Any = client.xrange(key)
    return [(entry_id, json.loads(fields["record"])) for entry_id, fields in found]


def sure(record: Line | None) -> bool:
    """Whether a record holds a value that was computed just then."""
    return (
        record is not None
        and record["value"] is not None
        and record["status"] in SURE
        and "feed_stale" not in record["flags"]
    )


def wait_for_value(service: Process, client: Any, *, after_ns: int = 0, key: str = LATEST) -> Line:  # noqa: ANN401 - a Redis client
    """Wait for a computed value whose newest input came after an instant."""

    def fresh() -> Line | None:
        assert service.running.poll() is None, service.last_words
        record = latest(client, key)
        is_fresh = record is not None and sure(record) and record["event_ns"] > after_ns
        return record if is_fresh else None

    found = eventually(fresh, "a computed value", START_SECONDS)
    assert found is not None
    return found


def assert_in_order(records: Sequence[Line]) -> None:
    """No record twice, none out of order; `prev_seq` never points past what came before."""
    for before, after in pairwise(records):
        assert (after["epoch"], after["seq"]) > (before["epoch"], before["seq"])
        assert after["computed_ns"] > before["computed_ns"]
        if after["epoch"] == before["epoch"]:
            assert before["seq"] <= after["prev_seq"] < after["seq"]


def assert_honest(
    records: Sequence[Line], *, alive_ns: int, stale_ns: int, halt_ns: int, slack_ns: int
) -> None:
    """No old value looks like a new one.

    A value whose newest input is older than the feed's own limit is never shown as computed;
    beyond `stale_ns` without one the status says so, beyond `halt_ns` there is no number.

    Args:
        records: In order.
        alive_ns: The venue's `stale_after_seconds`.
        stale_ns: The index's `stale_after_seconds`.
        halt_ns: The index's `halt_after_seconds`.
        slack_ns: Time between the newest input and the recompute that was the last valid one.
    """
    for record in records:
        age_ns = record["computed_ns"] - record["event_ns"]
        if record["status"] in {"HALTED", "WARMING"}:
            assert record["value"] is None
            assert record["reason"]
            continue
        assert record["value"] is not None
        assert age_ns <= halt_ns + alive_ns + slack_ns
        if record["status"] == "STALE":
            assert age_ns >= stale_ns - slack_ns
            assert record["reason"]
        else:
            assert age_ns <= stale_ns + alive_ns + slack_ns
            if sure(record) and record["reason"] is None:
                assert age_ns <= alive_ns + slack_ns


def recorded_lines(series: Path) -> list[tuple[int, bytes]]:
    """(instant, payload) of each line of one series of a recording; (0, b"") is a disconnect."""
    lines: list[tuple[int, bytes]] = []
    for path in sorted(series.glob("*.jsonl.zst")):
        with path.open("rb") as file:
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            for line in reader.read().splitlines():
                stamp, _, payload = line.partition(b" ")
                lines.append((parse_instant(stamp.decode()) if stamp else 0, payload))
    return lines


class Watcher:
    """A subscriber that stays: every record of a channel, whatever happens to the server."""

    def __init__(self, url: str, channel: str = CHANNEL) -> None:
        self.records: list[Line] = []
        self._url = url
        self._channel = channel
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._subscribed = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._subscribed.wait(10.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        while not self._ending.is_set():
            with suppress(redis.RedisError, OSError):
                self._listen()
            self._ending.wait(0.02)

    def _listen(self) -> None:
        with closing(raw(self._url)) as client, closing(client.pubsub()) as messages:
            messages.subscribe(self._channel)
            while not self._ending.is_set():
                message = messages.get_message(timeout=0.1)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    self._subscribed.set()
                else:
                    self.records.append(json.loads(message["data"]))


def is_running(pid: int) -> bool:
    """Whether a process lives; one that only waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def children_of(pid: int) -> list[int]:
    """Every process below one, at any depth."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(stat[1])
    found: list[int] = []
    level = [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found += level
    return found
