"""Keeps Python's search for cyclic garbage from standing in the way of a tick.

Nearly everything of ours is freed by counting references. What the search looks through is long
lived: interpreter, modules, kernels, listings. A full pass over it takes tens of milliseconds, and
a listing of thousands of rows makes enough objects to cause one in the middle of its instant.
"""

import gc

YOUNG = 2_000
"""New containers that outlived their makers before they are looked through: half a millisecond."""
PASSES = 10
"""Of the young before those that survived one, and of these before all."""


def settle() -> None:
    """Collect once, then never look again at what is there now; later passes are rare and short."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, PASSES, PASSES)
