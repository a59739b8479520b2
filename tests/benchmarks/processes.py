"""Processes that a benchmark starts, pins, steers by lines of JSON, and always ends."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from . import measure

HERE = Path(__file__).resolve().parent
STOP_SECONDS = 3.0
LOG_LINES = 15
_WITHOUT_FAST = """
import sys
sys.modules["picows.websockets"] = None  # the import then fails as if it were not installed
from volgauge.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Child:
    """One process on one core; its standard error is kept for the case that it fails."""

    def __init__(
        self, command: Sequence[str], *, core: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = " ".join(command)
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        measure.pin(core)
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.log,
                env={**os.environ, **(environment or {})},
            )
        finally:
            measure.unpin()
        measure.prefer(self.process.pid)
        self._buffer = b""

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def ask(self, command: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Send a line, wait for the line that answers it."""
        self.send(command)
        return self.answer(seconds)

    def send(self, command: Mapping[str, Any]) -> None:
        """Send a line."""
        if self.process.stdin is None:
            raise RuntimeError("expected a pipe")
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self, seconds: float) -> dict[str, Any]:
        """The next line.

        Raises:
            RuntimeError: It ended, or the time is up; the message holds its last words.
        """
        deadline = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            chunk = b""
            if left > 0.0 and self.process.stdout is not None:
                readable, _, _ = select.select([self.process.stdout], [], [], left)
                if readable:
                    chunk = os.read(self.process.stdout.fileno(), 1 << 20)
            if not chunk:
                raise RuntimeError(f"no answer from {self.name}\n{self.last_words()}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def last_words(self) -> str:
        """The end of its standard error."""
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.log.close()


def script(name: str, *arguments: str) -> list[str]:
    """Command line of a file beside this one."""
    return [sys.executable, str(HERE / name), *arguments]


def module(name: str, *arguments: str, core: int) -> Child:
    """A process of this folder that needs its package: `python -m tests.benchmarks.NAME`."""
    package = __package__ or ""
    root = str(HERE.parents[package.count(".")])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", f"{package}.{name}", *arguments]
    return Child(command, core=core, environment={"PYTHONPATH": path})


def volgauge(*arguments: str, fast: bool = True) -> list[str]:
    """Command line of the service; not `fast`: as if the extra of that name were not installed."""
    if fast:
        return [sys.executable, "-m", "volgauge", *arguments]
    return [sys.executable, "-c", _WITHOUT_FAST, *arguments]
