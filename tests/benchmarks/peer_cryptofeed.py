"""cryptofeed's handler of Deribit quotes, timed in an interpreter of its own.

Not imported by anything: `bench_adapter` runs this file with the interpreter that has the peer
installed. Arguments: a file of frames, one a line, and a `get_instruments` body. Says
`ready VERSION FRAMES` on standard output, then for every line on standard input handles all frames
once and answers with the nanoseconds that this took. The callback does nothing.
"""

import asyncio
import gc
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Serve until standard input ends."""
    from cryptofeed.defines import DERIBIT, L1_BOOK
    from cryptofeed.exchanges import Deribit
    from cryptofeed.symbols import Symbols

    frames = Path(sys.argv[1]).read_text().splitlines()
    listing = [json.loads(Path(sys.argv[2]).read_text())]
    Symbols.set(DERIBIT, *Deribit._parse_symbol_data(listing))
    received = 0

    async def on_quote(_book: object, _received: float) -> None:
        nonlocal received
        received += 1

    symbol = next(iter(Symbols.get(DERIBIT)[0]))
    feed = Deribit(symbols=[symbol], channels=[L1_BOOK], callbacks={L1_BOOK: on_quote})
    handle = feed.message_handler

    async def batch() -> None:
        now = time.time()
        for frame in frames:
            await handle(frame, None, now)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(batch())
    if received != len(frames):
        sys.exit(f"expected {len(frames)} quotes, received {received}")
    gc.collect()
    gc.disable()
    sys.stdout.write(f"ready {version('cryptofeed')} {len(frames)}\n")
    sys.stdout.flush()
    for _ in sys.stdin:
        began = time.perf_counter_ns()
        loop.run_until_complete(batch())
        sys.stdout.write(f"{time.perf_counter_ns() - began}\n")
        sys.stdout.flush()


main()
