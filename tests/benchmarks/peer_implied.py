"""Implied volatilities by other packages, timed in an interpreter of their own.

Not imported by anything: `bench_implied` runs this file with the interpreter that has the peers
installed. Argument: a file of JSON with the chain, one expiry after the other, calls before puts.
Speaks lines of JSON: first the versions of those that can be imported, and why the others cannot;
then for {"run": name} the nanoseconds an option, for {"values": name} the volatilities.

Every peer gets its arrays as it likes them; arranging them is not timed.
"""

import gc
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

LEAST_SAMPLE_NS = 2_000_000
Peer: TypeAlias = tuple[Callable[[], list[Any]], Any]
"""What computes arrays of volatilities, and the places of their values in the chain."""


def iv_engine(chain: dict[str, Any]) -> Peer:
    """Rust, on one thread; a call for all calls and one for all puts."""
    from iv_engine import implied_volatilities

    is_call = np.array(chain["is_call"])
    sides = [
        (place, [np.array(chain[key])[place] for key in ("price", "forward", "strike", "t_years")])
        for place in (np.flatnonzero(is_call), np.flatnonzero(~is_call))
    ]

    def run() -> list[Any]:
        return [
            implied_volatilities(*arrays, is_call=side == 0, parallel=False)
            for side, (_, arrays) in enumerate(sides)
        ]

    return run, np.concatenate([place for place, _ in sides])


def lbriv(chain: dict[str, Any]) -> Peer:
    """Cython port of Let's be rational; a call for the calls and one for the puts of an expiry."""
    from lbriv import vectorized_implied_vol_strikes

    slices = []
    for first, end, is_call in chain["sides"]:
        price, strike = (np.array(chain[key][first:end]) for key in ("price", "strike"))
        root = chain["t_years"][first] ** 0.5
        slices.append((price, chain["forward"][first], strike, 1 if is_call else -1, root))

    def run() -> list[Any]:
        return [
            vectorized_implied_vol_strikes(price, forward, strike, sign) / root
            for price, forward, strike, sign, root in slices
        ]

    return run, np.arange(len(chain["price"]))


def vanilla_option_pricers(chain: dict[str, Any]) -> Peer:
    """Compiled by numba like ours; a call for every expiry."""
    from vanilla_option_pricers import infer_bsm_ivols_from_slice_prices

    slices = []
    for first, end in chain["expiries"]:
        price, strike = (np.array(chain[key][first:end]) for key in ("price", "strike"))
        kinds = np.where(chain["is_call"][first:end], "C", "P")
        slices.append((chain["t_years"][first], chain["forward"][first], 1.0, strike, kinds, price))

    def run() -> list[Any]:
        return [infer_bsm_ivols_from_slice_prices(*arguments) for arguments in slices]

    return run, np.arange(len(chain["price"]))


def pyvolr(chain: dict[str, Any]) -> Peer:
    """Rust, on one thread by RAYON_NUM_THREADS; one call."""
    from pyvolr import black76

    arrays = [np.array(chain[key]) for key in ("forward", "strike", "t_years")]
    kinds = np.where(chain["is_call"], "c", "p")
    price = np.array(chain["price"])

    def run() -> list[Any]:
        return [black76.implied_vol(price, kinds, *arrays, 0.0, on_error="ignore")]

    return run, np.arange(len(price))


PEERS = {
    "iv-engine": iv_engine,
    "lbriv": lbriv,
    "vanilla-option-pricers": vanilla_option_pricers,
    "pyvolr": pyvolr,
}


def main() -> None:
    """Serve until standard input ends."""
    chain = json.loads(Path(sys.argv[1]).read_text())
    count = len(chain["price"])
    ready: dict[str, Peer] = {}
    versions: dict[str, str] = {}
    absent: dict[str, str] = {}
    repeats: dict[str, int] = {}
    for name, make in PEERS.items():
        try:
            run, order = make(chain)
            run()
            versions[name] = version(name)
        except Exception as error:  # noqa: BLE001 - a broken peer is a finding
            absent[name] = f"{type(error).__name__}: {error}"
            continue
        began = time.perf_counter_ns()
        run()
        repeats[name] = max(1, -(-LEAST_SAMPLE_NS // (time.perf_counter_ns() - began)))
        ready[name] = run, order
    say({"versions": versions, "absent": absent})
    gc.collect()
    gc.disable()
    for line in sys.stdin:
        asked = json.loads(line)
        if "values" in asked:
            run, order = ready[asked["values"]]
            values = np.empty(count)
            values[order] = np.concatenate(run())
            say({"values": values.tolist()})
            continue
        run, _ = ready[asked["run"]]
        began = time.perf_counter_ns()
        for _ in range(repeats[asked["run"]]):
            run()
        took = time.perf_counter_ns() - began
        say({"ns": took / count / repeats[asked["run"]]})


def say(answer: dict[str, Any]) -> None:
    """One line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


main()
