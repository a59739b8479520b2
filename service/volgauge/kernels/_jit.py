"""The one way a function becomes a kernel, and where compiled kernels are kept.

numba stamps a cached kernel with its own source file only, so an edited helper in another file
would leave its callers' stale code in use. The cache folder is therefore named by the SHA-256 of
all kernel sources, and of the enums whose order their constants follow.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from volgauge.domain import index

P = ParamSpec("P")
R = TypeVar("R")
F64: TypeAlias = NDArray[np.float64]
I64: TypeAlias = NDArray[np.int64]
U8: TypeAlias = NDArray[np.uint8]


class Kernel(Protocol[P, R]):
    """A compiled function; `py_func` is its Python twin, the specification."""

    py_func: Callable[P, R]
    signatures: list[object]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the compiled code."""
        ...


def source_digest() -> str:
    """SHA-256 over the names and bytes of every file that compiled code depends on."""
    digest = hashlib.sha256()
    for path in (*sorted(Path(__file__).parent.glob("*.py")), Path(index.__file__)):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, else the user's cache or a temporary one.

    A folder that cannot be written is passed over: every start would compile anew, or fail.
    """
    named = os.environ.get("NUMBA_CACHE_DIR")
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    bases = [Path(named)] if named else []
    bases.append(Path(user).expanduser() / "volgauge" / "kernels")
    for base in bases:
        folder = base / source_digest()[:32]
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    return Path(tempfile.mkdtemp(prefix="volgauge-kernels-"))


_FOLDER = str(cache_folder())

_compiled: list[Kernel[..., Any]] = []


def kernel(function: Callable[P, R]) -> Kernel[P, R]:
    """Compile at first call, keep the code on disk; division by zero gives inf, fastmath is off."""
    # numba looks at its setting while it decorates; other users of numba keep their own.
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined] # set at run time
    numba.config.CACHE_DIR = _FOLDER  # type: ignore[attr-defined] # set at run time
    try:
        made = cast("Kernel[P, R]", numba.njit(cache=True, error_model="numpy")(function))
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined] # set at run time
    _compiled.append(made)
    return made


def part(function: Callable[P, R]) -> Kernel[P, R]:
    """Compile into the kernels that call it; a cache file of its own would cost 5 ms at start."""
    return cast("Kernel[P, R]", numba.njit(error_model="numpy")(function))


def inlined(function: Callable[P, R]) -> Kernel[P, R]:
    """As `part`, for a few lines on the hot path: pasted into the caller, never called."""
    made = numba.njit(error_model="numpy", forceinline=True)(function)
    return cast("Kernel[P, R]", made)


def is_kept(made: Kernel[..., Any]) -> bool:
    """Whether compiled code of a kernel lies in the cache folder, of any signature."""
    stats = getattr(made, "stats", None)
    folder = Path(stats.cache_path) if stats is not None else Path(_FOLDER)
    return any(folder.glob(f"*.{made.py_func.__name__}-*.nbi"))


def compiled_count() -> int:
    """Signatures compiled or loaded so far; constant once the service is ready."""
    return sum(len(getattr(made, "signatures", ())) for made in _compiled)


def twin(function: Kernel[P, R]) -> Callable[P, R]:
    """The Python twin of a kernel; with NUMBA_DISABLE_JIT=1 the kernel is its own twin."""
    return getattr(function, "py_func", function)
