"""Plain formulas of the simulated market: Black-76, an SSVI surface, its true variances.

Written for clarity and from the textbooks, on purpose without any code of the engine.

Notation: k = ln(K/F), w = total variance, p = forward option price / F with rates 0,
d1 = -k/sqrt(w) + sqrt(w)/2, d2 = d1 - sqrt(w).
Sources: Black 1976; Gatheral & Jacquier, "Arbitrage-free SVI volatility surfaces", 2014
(section 4, corollary 4.1 and equation 4.5); Fukasawa, "The normalizing transformation of the
implied volatility smile", 2012.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

F64 = NDArray[np.float64]

CORRIDOR_DELTA = 0.05
CORRIDOR_Z = 1.6448536269514722
"""N(1.6448...) = 0.95."""
_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_BISECTIONS = 60
_CORRIDOR_NODES = 24
_LINE_NODES = 320
_LINE_Z = 9.0
"""The tail-free integral is cut where the normal density is below 1e-18."""
_SQUARE_NODES, _SQUARE_PANELS = 32, 24
_SQUARE_K, _SQUARE_EXPONENT = 400.0, 40.0
_SECOND_MOMENT_SLOPE = 6.0 - 4.0 * math.sqrt(2.0)


class Smile(Struct, frozen=True):
    """SSVI slices: w(k) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)).

    All three are arrays of one shape (or scalars): one slice an element.
    """

    theta: F64
    """At-the-money total variance."""
    rho: F64
    phi: F64


def normal_cdf(x: F64) -> F64:
    """N(x) for an array of any shape, to the last bits of `math.erfc`."""
    flat = np.ravel(x) * -_SQRT_HALF
    values = np.fromiter(map(math.erfc, flat.tolist()), np.float64, flat.size)
    return 0.5 * values.reshape(np.shape(x))


def normal_pdf(x: F64) -> F64:
    """Density of the standard normal."""
    return _INV_SQRT_2PI * np.exp(-0.5 * x * x)


def out_of_the_money(k: F64, w: F64) -> F64:
    """Normalised price of the put where k < 0, of the call where k >= 0."""
    side = np.where(k < 0.0, -1.0, 1.0)
    deviation = np.sqrt(w)
    d1 = -k / deviation + 0.5 * deviation
    price = side * (normal_cdf(side * d1) - np.exp(k) * normal_cdf(side * (d1 - deviation)))
    # Far out the difference of two tiny numbers may come out as -1e-30.
    return np.maximum(price, 0.0)


def normalised_price(k: F64, w: F64, is_call: NDArray[np.bool_]) -> F64:
    """Normalised price of calls and puts: the out-of-the-money one plus the intrinsic value."""
    intrinsic = np.where(is_call, -np.expm1(k), np.expm1(k))
    return out_of_the_money(k, w) + np.maximum(intrinsic, 0.0)


def total_variance(k: F64, smile: Smile) -> F64:
    """w(k) of SSVI slices; `k` broadcasts against the slices."""
    bent = smile.phi * k + smile.rho
    root = np.sqrt(bent * bent + 1.0 - smile.rho * smile.rho)
    return 0.5 * smile.theta * (1.0 + smile.rho * smile.phi * k + root)


def slope(k: F64, smile: Smile) -> F64:
    """dw/dk of SSVI slices."""
    bent = smile.phi * k + smile.rho
    root = np.sqrt(bent * bent + 1.0 - smile.rho * smile.rho)
    return 0.5 * smile.theta * smile.phi * (smile.rho + bent / root)


def power_law(theta: F64, eta: F64 | float, gamma: float) -> F64:
    """phi(theta) = eta / (theta^gamma (1 + theta)^(1 - gamma)).

    Free of butterfly and calendar arbitrage for theta rising in time, gamma in (0, 1/2] and
    eta (1 + |rho|) <= 2.
    """
    return eta / (theta**gamma * (1.0 + theta) ** (1.0 - gamma))


def corridor_ends(smile: Smile) -> tuple[F64, F64]:
    """The two k, put side and call side, where the out-of-the-money |delta| is 0.05.

    d1(k) falls in k on an arbitrage-free smile, so bisection finds d1 = +z (put) and -z (call).
    """
    shape = np.broadcast(smile.theta, smile.rho, smile.phi).shape
    ends = []
    for target, outer in ((CORRIDOR_Z, -6.0), (-CORRIDOR_Z, 6.0)):
        inner_k = np.zeros(shape)
        outer_k = np.full(shape, outer)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (inner_k + outer_k)
            w = total_variance(middle, smile)
            d1 = -middle / np.sqrt(w) + 0.5 * np.sqrt(w)
            beyond = (d1 > target) == (outer < 0.0)
            outer_k = np.where(beyond, middle, outer_k)
            inner_k = np.where(beyond, inner_k, middle)
        ends.append(0.5 * (inner_k + outer_k))
    return ends[0], ends[1]


def corridor_variance(smile: Smile, *, nodes_a_side: int = _CORRIDOR_NODES) -> F64:
    """2 Integral p(k) e^-k dk between the 5-delta ends: the total variance of the headline."""
    wide = Smile(*(np.asarray(part)[..., None] for part in _parts(smile)))
    return integrate_corridor(
        lambda k: out_of_the_money(k, total_variance(k, wide)), *corridor_ends(smile), nodes_a_side
    )


def integrate_corridor(
    price: Callable[[F64], F64], low: F64, high: F64, nodes_a_side: int = _CORRIDOR_NODES
) -> F64:
    """2 Integral p(k) e^-k dk from `low` < 0 to `high` > 0.

    Args:
        price: Out-of-the-money prices of k with one axis more than the ends.
        low: Put end of each slice.
        high: Call end of each slice.
        nodes_a_side: Of the Gauss-Legendre rule.
    """
    nodes, weights = _legendre(nodes_a_side)
    total = np.zeros_like(low)
    # One panel a side: p has a kink at k = 0.
    for start, stop in ((low, np.zeros_like(low)), (np.zeros_like(high), high)):
        half = 0.5 * (stop - start)
        k = half[..., None] * (nodes + 1.0) + start[..., None]
        total = total + 2.0 * half * (price(k) * np.exp(-k) @ weights)
    return total


def line_variance(smile: Smile) -> F64:
    """-2 E[ln S/F] without tails to cut: Integral w(k) phi(z) dz, z = k/sqrt(w) + sqrt(w)/2.

    Integrated in k, dz = z'(k) dk, between the points where |z| = 9.
    """
    low, high = (_line_end(smile, target) for target in (-_LINE_Z, _LINE_Z))
    nodes, weights = _legendre(_LINE_NODES)
    half = 0.5 * (high - low)
    k = half[..., None] * (nodes + 1.0) + low[..., None]
    wide = Smile(*(np.asarray(part)[..., None] for part in _parts(smile)))
    w = total_variance(k, wide)
    deviation = np.sqrt(w)
    z = k / deviation + 0.5 * deviation
    dz = 1.0 / deviation + slope(k, wide) * (0.25 / deviation - 0.5 * k / (w * deviation))
    total: F64 = half * ((w * normal_pdf(z) * dz) @ weights)
    return total


def coin_variance(smile: Smile) -> F64:
    """2 E[(S/F) ln(S/F)]: the line variance of the mirrored smile.

    Measured in coins the call of strike K is the put of strike 1/K at the same implied variance.
    """
    return line_variance(Smile(smile.theta, -smile.rho, smile.phi))


def simple_variance(smile: Smile) -> F64:
    """Var(S/F) = 2 Integral p(k) e^k dk; infinite where the call wing is too heavy.

    The second moment is finite only while the slope of w(k) stays below 6 - 4 sqrt(2) (Lee, "The
    moment formula for implied volatility at extreme strikes", 2004).
    """
    low, high = _line_end(smile, -_LINE_Z), _square_end(smile)
    wide = Smile(*(np.asarray(part)[..., None] for part in _parts(smile)))
    nodes, weights = _legendre(_SQUARE_NODES)
    total = np.zeros_like(low)
    for outer in (low, high):
        # Equal panels: the weight e^k leaves a long call wing.
        for panel in range(_SQUARE_PANELS):
            start = outer * panel / _SQUARE_PANELS
            half = 0.5 * outer / _SQUARE_PANELS
            k = half[..., None] * (nodes + 1.0) + start[..., None]
            price = out_of_the_money(k, total_variance(k, wide))
            total = total + 2.0 * np.abs(half) * (price * np.exp(k) @ weights)
    steepest = 0.5 * smile.theta * smile.phi * (1.0 + smile.rho)
    return np.where(steepest < _SECOND_MOMENT_SLOPE, total, np.inf)


def implied_variance(k: F64, price: F64, is_call: NDArray[np.bool_]) -> F64:
    """Total variance that gives a normalised price; NaN where none does.

    Bisection on sqrt(w) in (0, 16): plain, safe, and far from the hot path.
    """
    intrinsic = np.maximum(np.where(is_call, -np.expm1(k), np.expm1(k)), 0.0)
    value = price - intrinsic
    low, high = np.zeros_like(value), np.full_like(value, 16.0)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        above = out_of_the_money(k, middle * middle) > value
        high = np.where(above, middle, high)
        low = np.where(above, low, middle)
    solved = 0.25 * (low + high) ** 2
    possible = (value > 0.0) & (price < np.where(is_call, 1.0, np.exp(k)))
    return np.where(possible, solved, np.nan)


def solve_deviation(k: F64, value: F64, start: F64, steps: int) -> F64:
    """Deviations sqrt(w) of out-of-the-money prices in units of the forward, by Newton's steps.

    A few do where the start is near, as a mark's is to a quote. NaN where the price is not above 0.
    """
    deviation = start
    for _ in range(steps):
        slope_of_price = normal_pdf(-k / deviation + 0.5 * deviation)
        missing = value - out_of_the_money(k, deviation * deviation)
        moved = deviation + missing / np.maximum(slope_of_price, 1e-12)
        deviation = np.clip(moved, 0.5 * deviation, 2.0 * deviation)
    return np.where(value > 0.0, deviation, np.nan)


def strip_variance(strike: F64, call: F64, put: F64, forward: float, w: F64) -> float:
    """Total variance by the exchange's discrete rule, from noise-free normalised prices.

    2 sum dK/K^2 Q - (F/K0 - 1)^2 over the listed out-of-the-money strikes with |delta| >= 0.05;
    K0 the highest strike <= F with the mean of both prices; dK central, at the ends the full
    distance to the neighbour.

    Args:
        strike: (n,) ascending, quote currency.
        call: (n,) normalised call prices.
        put: (n,) normalised put prices.
        forward: Quote currency.
        w: (n,) total variance at each strike.

    Returns:
        NaN when fewer than two strikes are inside or all lie on one side of F.
    Source:
        METHODOLOGY section 2, mode `dvol`.
    """
    k = np.log(strike / forward)
    d1 = -k / np.sqrt(w) + 0.5 * np.sqrt(w)
    inside = np.where(k > 0.0, d1 >= -CORRIDOR_Z, d1 <= CORRIDOR_Z)
    below = strike <= forward
    if inside.sum() < 2 or not below.any():
        return math.nan
    at = int(np.flatnonzero(below)[-1])
    inside[at] = True
    price = np.where(below, put, call)
    price[at] = 0.5 * (put[at] + call[at])
    used, price = strike[inside], price[inside]
    total = 2.0 * float(np.sum(_widths(used) / used**2 * price)) * forward
    return total - (forward / float(strike[at]) - 1.0) ** 2


def _widths(strike: F64) -> F64:
    width = np.empty_like(strike)
    width[1:-1] = 0.5 * (strike[2:] - strike[:-2])
    width[0], width[-1] = strike[1] - strike[0], strike[-1] - strike[-2]
    return width


def _line_end(smile: Smile, target: float) -> F64:
    """The k where z(k) = target; z rises in k."""
    shape = np.broadcast(smile.theta, smile.rho, smile.phi).shape
    low, high = np.full(shape, -200.0), np.full(shape, 200.0)
    for _ in range(2 * _BISECTIONS):
        middle = 0.5 * (low + high)
        deviation = np.sqrt(total_variance(middle, smile))
        below = middle / deviation + 0.5 * deviation < target
        low = np.where(below, middle, low)
        high = np.where(below, high, middle)
    end: F64 = 0.5 * (low + high)
    return end


def _square_end(smile: Smile) -> F64:
    """The k > 0 from where on p(k) e^k k < 1e-17: d1^2/2 of the call exceeds k + 40."""
    shape = np.broadcast(smile.theta, smile.rho, smile.phi).shape
    low, high = np.zeros(shape), np.full(shape, _SQUARE_K)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        deviation = np.sqrt(total_variance(middle, smile))
        d1 = middle / deviation - 0.5 * deviation
        below = (0.5 * d1 * np.abs(d1) - middle) < _SQUARE_EXPONENT
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    end: F64 = 0.5 * (low + high)
    return end


def _parts(smile: Smile) -> tuple[F64, F64, F64]:
    return smile.theta, smile.rho, smile.phi


@cache
def _legendre(count: int) -> tuple[F64, F64]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
