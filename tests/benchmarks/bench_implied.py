"""Implied volatilities of a chain: the kernel against the freely licensed compiled peers of PyPI.

Unit of work: one call of `implied_vols` from Python on 1,000 options - ten expiries from eight
hours to nine months, 50 strikes up to 4.5 deviations away on a smile from 42 to 184 %, calls and
puts. Prices are doubles; the truth is the volatility of that double by 60 digits.

The peers live in the interpreter that VOLGAUGE_BENCH_PEERS names, else in `.venv-bench`, which
`make bench` fills from a lock; they are timed in a process of their own on the same core, in turns
with ours. Of `lets-be-precise` nothing is installed: its licence is not free.
"""

import json
import math
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import llvmlite.binding
import mpmath
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from volgauge.kernels._jit import F64
from volgauge.kernels.implied import implied_vols

from . import measure
from .bench_adapter import PEER_PYTHON, PEER_VARIABLE
from .measure import Sample
from .processes import Child, script
from .report import Options, Report

FORWARD = 95_000.0
DAYS = (0.35, 1.0, 2.0, 5.0, 9.0, 16.0, 37.0, 65.0, 128.0, 272.0)
STRIKES = 50
FARTHEST = 4.5
"""Deviations from the money."""
DIGITS = 60
NEWTON_STEPS = 8
LEAST_RATIO_AVX512 = 8.0
LEAST_RATIO = 4.0
LARGEST_ERROR = 1e-13
PEER_SECONDS = 120.0
"""To import and to compile; one compiles for ten seconds."""


class Chain(Struct):
    """Options one expiry after the other, calls before puts, and their exact volatilities."""

    forward: F64
    strike: F64
    t_years: F64
    price: F64
    is_call: NDArray[np.bool_]
    exact: list[Any]
    """As mpmath's numbers."""
    out_of_money: NDArray[np.bool_]


def make_chain() -> Chain:
    """Price the chain with 60 digits and invert the doubles nearest to the prices."""
    rows: list[tuple[float, float, float, bool]] = []
    exact: list[Any] = []
    with mpmath.workdps(DIGITS):
        for days in DAYS:
            t = days / 365.0
            at_money = 0.42 + 0.3 * math.exp(-days / 10.0)
            for is_call in (True, False):
                for z in np.linspace(-FARTHEST, FARTHEST, STRIKES).tolist():
                    strike = round(FORWARD * math.exp(z * at_money * math.sqrt(t)), 1)
                    vol = min(1.84, at_money * (1.0 + 0.02 * z + 0.06 * z * z))
                    price, root = _price_and_root(strike, t, vol, is_call=is_call)
                    rows.append((strike, t, price, is_call))
                    exact.append(root)
    strikes = np.array([row[0] for row in rows])
    calls = np.array([row[3] for row in rows])
    return Chain(
        forward=np.full(len(rows), FORWARD),
        strike=strikes,
        t_years=np.array([row[1] for row in rows]),
        price=np.array([row[2] for row in rows]),
        is_call=calls,
        exact=exact,
        out_of_money=(strikes >= FORWARD) == calls,
    )


def _price_and_root(strike: float, t: float, vol: float, *, is_call: bool) -> tuple[float, Any]:
    """A price as a double, and the volatility of that double."""
    inner = max(FORWARD - strike if is_call else strike - FORWARD, 0.0)
    root_t = mpmath.sqrt(mpmath.mpf(t))
    k = mpmath.log(mpmath.mpf(strike) / FORWARD)
    price = float(inner + _time_value(k, vol * root_t))
    target = price - mpmath.mpf(inner)
    s = vol * root_t
    for _ in range(NEWTON_STEPS):
        value = _time_value(k, s)
        d1 = s / 2 - k / s
        vega = FORWARD * mpmath.exp(-d1 * d1 / 2) / mpmath.sqrt(2 * mpmath.pi)
        s += mpmath.log(target / value) * value / vega
    return price, s / root_t


def _time_value(k: Any, s: Any) -> Any:  # noqa: ANN401 - mpmath's
    """Price of the out-of-the-money option of this strike."""
    sign = 1 if k >= 0 else -1
    d1 = s / 2 - k / s
    first = mpmath.erfc(-sign * d1 / mpmath.sqrt(2)) / 2
    second = mpmath.erfc(-sign * (d1 - s) / mpmath.sqrt(2)) / 2
    return FORWARD * sign * (first - mpmath.exp(k) * second)


def run(options: Options) -> Report:
    """Compare the values, then the times."""
    report = Report("implied", "implied volatilities of 1,000 options, ns an option")
    chain = make_chain()
    out = np.empty(chain.price.size)

    def solve() -> int:
        implied_vols(chain.forward, chain.strike, chain.t_years, chain.price, chain.is_call, out)
        return out.size

    def solve_expiry() -> int:
        implied_vols(forward, strike, t_years, price, is_call, out[:STRIKES])
        return STRIKES

    forward, strike = chain.forward[:STRIKES], chain.strike[:STRIKES]
    t_years, price = chain.t_years[:STRIKES], chain.price[:STRIKES]
    is_call = chain.is_call[:STRIKES]
    solve()
    ours = _errors(chain, out.tolist())
    report.gate("largest relative error of ours", max(ours), "at most", LARGEST_ERROR, hard=True)
    measure.pin(measure.cores()[0])
    try:
        with ExitStack() as stack:
            child, versions = _start(stack, chain, report)
            times: dict[str, list[float]] = {name: [] for name in versions}

            def ask_peers() -> None:
                for name, found in times.items():
                    if child is not None:
                        found.append(child.ask({"run": name}, PEER_SECONDS)["ns"])

            samples = measure.interleave(
                {"ours": solve, "expiry": solve_expiry}, options.rounds, ask_peers
            )
            for name in versions:
                samples[name] = Sample(tuple(times[name]))
                if child is not None:
                    values = child.ask({"values": name}, PEER_SECONDS)["values"]
                    _tell(report, f"{name} {versions[name]}", samples[name], chain, values)
    finally:
        measure.unpin()
    _tell(report, "ours", samples["ours"], chain, out.tolist())
    report.add("ours, 50 options a call", samples["expiry"].median_ns, "ns")
    peers = {name: samples[name] for name in versions}
    if peers:
        fastest = min(peers, key=lambda name: peers[name].median_ns)
        has_avx512 = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
        report.gate(
            f"{fastest} / ours", measure.ratio(peers[fastest], samples["ours"]).value, "at least",
            LEAST_RATIO_AVX512 if has_avx512 else LEAST_RATIO, quick=options.quick,
        )  # fmt: skip
    return report


def _start(stack: ExitStack, chain: Chain, report: Report) -> tuple[Child | None, dict[str, str]]:
    """The peers' process and the versions of those that it has; none without an interpreter."""
    python = Path(os.environ.get(PEER_VARIABLE) or PEER_PYTHON)
    if not python.exists():
        report.skip(f"peers: no interpreter {python.name}; {PEER_VARIABLE} names one")
        return None, {}
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="volgauge-bench-")))
    half = STRIKES
    firsts = range(0, chain.price.size, half)
    listing = {
        "forward": chain.forward.tolist(),
        "strike": chain.strike.tolist(),
        "t_years": chain.t_years.tolist(),
        "price": chain.price.tolist(),
        "is_call": chain.is_call.tolist(),
        "sides": [[first, first + half, bool(chain.is_call[first])] for first in firsts],
        "expiries": [[first, first + 2 * half] for first in firsts[::2]],
    }
    path = folder / "chain.json"
    path.write_text(json.dumps(listing))
    command = [str(python), *script("peer_implied.py", str(path))[1:]]
    child = stack.enter_context(
        Child(command, core=measure.cores()[0], environment={"RAYON_NUM_THREADS": "1"})
    )
    measure.pin(measure.cores()[0])
    found = child.answer(PEER_SECONDS)
    for name, why in found["absent"].items():
        report.skip(f"{name}: {why}")
    return child, found["versions"]


def _errors(chain: Chain, values: list[float]) -> list[float]:
    """Relative errors, infinite for a NaN."""
    with mpmath.workdps(DIGITS):
        return [
            float(abs(value / true - 1)) if math.isfinite(value) else math.inf
            for value, true in zip(values, chain.exact, strict=True)
        ]


def _tell(report: Report, name: str, sample: Sample, chain: Chain, values: list[float]) -> None:
    errors = np.array(_errors(chain, values))
    outer, inner = errors[chain.out_of_money].max(), errors[~chain.out_of_money].max()
    report.add(
        name,
        sample.median_ns,
        "ns",
        f"MAD {sample.mad_ns:.1f}, errors to {outer:.1e} out of, {inner:.1e} in the money",
    )
