"""The client without a server: what it imports and how it judges gaps."""

import subprocess
import sys

import msgspec

from fakes.records import index_value
from volgauge.client import _follows_loss


def test_the_client_needs_no_numba() -> None:
    """Importing it loads neither numba, numpy nor the engine."""
    code = (
        "import sys, volgauge.client; "
        "print([m for m in ('numba', 'numpy', 'volgauge.index.engine') if m in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout

    assert loaded.strip() == "[]"


def test_a_matching_predecessor_is_no_loss() -> None:
    """A jump whose `prev_seq` is our last was conflated, not lost."""
    last = index_value(10)

    assert not _follows_loss(msgspec.structs.replace(index_value(15), prev_seq=10), last)
    assert not _follows_loss(msgspec.structs.replace(index_value(15), prev_seq=8), last)
    assert _follows_loss(msgspec.structs.replace(index_value(15), prev_seq=14), last)


def test_a_new_epoch_may_follow_a_loss() -> None:
    """The end of the old epoch may not have reached us."""
    assert _follows_loss(msgspec.structs.replace(index_value(1), epoch=2), index_value(10))
