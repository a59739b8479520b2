"""volgauge: an open, real-time implied-volatility index for crypto options.

Importing the package loads neither numba nor the engine: `read_chain` and `compute` come lazily.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from volgauge.offline.chain import Chain, read_chain
    from volgauge.offline.compute import compute

__version__ = "0.1.0"
__all__ = ["Chain", "__version__", "compute", "read_chain"]

_LAZY = {
    "Chain": "volgauge.offline.chain",
    "read_chain": "volgauge.offline.chain",
    "compute": "volgauge.offline.compute",
}


def __getattr__(name: str) -> object:
    """Load the calculation only when it is asked for (PEP 562)."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - part of the laziness

    return getattr(import_module(_LAZY[name]), name)
