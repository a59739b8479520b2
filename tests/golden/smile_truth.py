"""What is true of the simulated market's smiles, from its plain formulas.

And how far a reading may be from it. A quote's mid is off by `mid_noise` half-spreads and, as both
sides are rounded outwards, by a uniform part of a tick: e^2 = (mid_noise half)^2 + tick^2 / 12,
over the vega in points of volatility. A curve of five parameters through n such quotes has the
error e sqrt(5 / n) on the mean over them, and towards its ends up to sqrt(5) as much (the last of
many equal steps of a polynomial of degree four); for 10 delta half of that way is taken.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_YEAR
from volgauge.simulator import process
from volgauge.simulator.board import tick_at
from volgauge.simulator.listing import Terms
from volgauge.simulator.market import Market
from volgauge.simulator.mixture import Mixture
from volgauge.simulator.smiles import MixtureSlices, Slices

F64 = NDArray[np.float64]
DELTAS = {"atm": None, "put_10": -0.10, "put_25": -0.25, "call_25": 0.25, "call_10": 0.10}
"""Name of a reading to its forward delta."""
PARAMETERS = 5
"""Of a fitted curve."""
OUTER = 1.6
"""Error at 10 delta over that in the middle: (1 + sqrt(5)) / 2."""


class SmileTruth(NamedTuple):
    """Of one expiry or tenor."""

    vols: dict[str, float]
    """Points, by the names of a record; risk reversals and butterflies among them."""
    errors: dict[str, float]
    """Standard error of each, points."""
    skewness: float | None
    """None where there is no closed form."""
    kurtosis: float | None


class InterestTruth(NamedTuple):
    """Weighted volatilities, points, and ratios."""

    value: float
    vega_iv: float
    volume_iv: float
    put_call_interest: float
    put_call_volume: float


class SmilesTruth:
    """All listed expiries of one asset at one instant."""

    def __init__(self, market: Market, name: str) -> None:
        number = [board.terms.asset for board in market.boards].index(name)
        board, state = market.boards[number], market.state[number]
        living = board.living_expiries()
        self.expiries = [board.expiries[index].expiry_ns for index in living]
        self._years = (np.array(self.expiries) - market.now_ns) / NANOS_PER_YEAR
        slices = market.slices_at(number, state, self._years)
        self._mixture = slices.mixture if isinstance(slices, MixtureSlices) else None
        forward = process.forwards(state, self._years)
        ends = [strikes_at(slices, float(norm.ppf(share))) for share in (0.95, 0.05)]
        counts = []
        for place, index in enumerate(living):
            mine = board.alive & (board.expiry_of == index) & board.is_call
            k = np.log(board.strike[mine] / forward[place])
            counts.append(np.count_nonzero((k >= ends[0][place]) & (k <= ends[1][place])))
        self._variances: dict[str, F64] = {}
        self._errors: dict[str, F64] = {}
        for label, delta in DELTAS.items():
            k = np.zeros(len(living))
            if delta is not None:
                k = strikes_at(slices, float(norm.ppf(1.0 + delta if delta < 0.0 else delta)))
            w = slices.total_variance(k)
            quoted = _quote_error(market, board.terms, slices.out_of_the_money(k))
            vega = norm.pdf(-k / np.sqrt(w) + 0.5 * np.sqrt(w)) * np.sqrt(self._years) / 100.0
            outer = OUTER if label.endswith("10") else 1.0
            self._variances[label] = w
            self._errors[label] = outer * quoted / vega * np.sqrt(PARAMETERS / np.array(counts))

    def expiry(self, expiry_ns: int) -> SmileTruth:
        """One of them."""
        place = self.expiries.index(expiry_ns)
        return self._between(place, place, 0.0, float(self._years[place]))

    def tenor(self, days: float) -> SmileTruth:
        """At a constant tenor, between the listed expiries around it by the published rule.

        Total variance at equal delta is linear in time, and so are the cumulants. The error is
        the larger one of both expiries.
        """
        tenor = days * NANOS_PER_DAY / NANOS_PER_YEAR
        after = int(np.searchsorted(self._years, tenor, side="right"))
        near, far = self._years[after - 1], self._years[after]
        return self._between(after - 1, after, float((tenor - near) / (far - near)), tenor)

    def _between(self, near: int, far: int, share: float, years: float) -> SmileTruth:
        shares = ((1.0 - share, near), (share, far))
        vols = {
            label: 100.0 * float(np.sqrt(sum(part * w[place] for part, place in shares) / years))
            for label, w in self._variances.items()
        }
        errors = {label: float(max(e[near], e[far])) for label, e in self._errors.items()}
        skewness = kurtosis = None
        if self._mixture is not None:
            line = third = fourth = 0.0
            for part, place in shares:
                w, s, k = _moments(self._mixture, place)
                line += part * w
                third += part * s * w**1.5
                fourth += part * (k - 3.0) * w * w
            skewness, kurtosis = third / line**1.5, 3.0 + fourth / line**2
        return SmileTruth(_with_spreads(vols), _with_errors(errors), skewness, kurtosis)


def strikes_at(slices: Slices, d1: float) -> F64:
    """The k of each slice at which -k / sqrt(w) + sqrt(w) / 2 = d1, by iteration on k itself."""
    w = slices.total_variance(slices.line() * 0.0)
    k = 0.5 * w - d1 * np.sqrt(w)
    for _ in range(200):
        w = slices.total_variance(k)
        moved = 0.5 * w - d1 * np.sqrt(w)
        if np.abs(moved - k).max() < 1e-9:
            return moved
        k = 0.5 * (k + moved)
    raise AssertionError(f"expected strikes at d1 = {d1}")


def interest_truth(market: Market, name: str) -> InterestTruth:
    """Over the listed options of 2 days and more with 0.05 <= |delta| <= 0.95."""
    number = [board.terms.asset for board in market.boards].index(name)
    board, state = market.boards[number], market.state[number]
    years = board.years(market.now_ns)
    slots = np.flatnonzero(board.alive & (years[board.expiry_of] >= 2.0 / 365.0))
    of, is_call = board.expiry_of[slots], board.is_call[slots]
    forward = process.forwards(state, years)[of]
    k = np.log(board.strike[slots] / forward)
    deviation = np.sqrt(market.slices_at(number, state, years[of]).total_variance(k))
    d1 = -k / deviation + 0.5 * deviation
    delta = norm.cdf(np.where(is_call, d1, -d1))
    inside = (delta >= 0.05) & (delta <= 0.95)
    vol = 100.0 * deviation / np.sqrt(years[of])
    vega = forward * norm.pdf(d1) * np.sqrt(years[of])
    held, traded = board.open_interest[slots], board.volume[slots]

    def mean(weight: F64) -> float:
        return float(np.average(vol[inside], weights=weight[inside]))

    def ratio(weight: F64) -> float:
        return float(weight[inside & ~is_call].sum() / weight[inside & is_call].sum())

    return InterestTruth(mean(held), mean(vega), mean(traded), ratio(held), ratio(traded))


def _quote_error(market: Market, terms: Terms, price: F64) -> F64:
    """Standard error of a quoted mid, premium unit."""
    options, tick = market.options, tick_at(terms, price)
    half = np.maximum(options.half_spread_ticks * tick, options.half_spread_ratio * price)
    error: F64 = np.hypot(options.mid_noise * half, tick / np.sqrt(12.0))
    return error


def _with_spreads(vols: dict[str, float]) -> dict[str, float]:
    for delta in ("25", "10"):
        call, put = vols[f"call_{delta}"], vols[f"put_{delta}"]
        vols[f"risk_reversal_{delta}"] = call - put
        vols[f"butterfly_{delta}"] = 0.5 * (call + put) - vols["atm"]
    return vols


def _with_errors(errors: dict[str, float]) -> dict[str, float]:
    for delta in ("25", "10"):
        both = float(np.hypot(errors[f"call_{delta}"], errors[f"put_{delta}"]))
        errors[f"risk_reversal_{delta}"] = both
        errors[f"butterfly_{delta}"] = float(np.hypot(0.5 * both, errors["atm"]))
    return errors


def _moments(mixture: Mixture, place: int) -> tuple[float, float, float]:
    """-2 E[R], skewness and kurtosis of R = ln S/F: a mixture of normals."""
    q, v = mixture.weight[place], mixture.variance[place]
    mean = np.log(mixture.mean[place]) - 0.5 * v
    middle = float(q @ mean)
    off = mean - middle
    second = float(q @ (off**2 + v))
    third = float(q @ (off**3 + 3.0 * off * v))
    fourth = float(q @ (off**4 + 6.0 * off**2 * v + 3.0 * v**2))
    return -2.0 * middle, third / second**1.5, fourth / second**2
