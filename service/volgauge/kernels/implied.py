"""Implied standard deviation s = sigma sqrt(t) of options, to machine precision.

    k = ln(K/F), h = |k|/s, t = s/2, z1 = (h - t) / sqrt 2, z2 = (h + t) / sqrt 2
    Y = erfcx, z = z1 for a call (k >= 0), z2 for a put
    price = exp(-z^2) (Y(z1) - Y(z2)) / 2                     where z1 >= -1/4
    bound - price = exp(-z^2) (Y(-z1) + Y(z2)) / 2            elsewhere; bound = min(1, e^k)

Both forms are sums of positive terms (special.erfcx_pair), so no digit is lost in deep wings, at
tiny s or near the bound. Solved is the logarithm of the form that applies, f = ln v, with the
derivatives of the price v, by Householder's method of order 4:

    r = v'/v, v''/v' = g = h^2/s - s/4, v'''/v' = g^2 - 3 (h/s)^2 - 1/4
    nu = (target - f) / r, s += nu (1 + a nu/2) / (1 + nu (a + c nu/6))
    a = g - r, c = g^2 - 3 (h/s)^2 - 1/4 + 2 r^2 - 3 g r

The start is Stefanica and Radoicic's closed form (2017), some 12 % off at worst; two steps follow.
Where the second was not small, a bracketed search takes over.

Source:
    Jaeckel, Let's be rational (2015), for the normalised price and the steps in its logarithm.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from volgauge.kernels._jit import F64, inlined, kernel, part
from volgauge.kernels.special import (
    LANES,
    coarse_erfcx_pair,
    erfcx_arguments,
    erfcx_pair,
    exp,
    exp_pair,
    log,
    log_ratio,
)

SMALL_STEP = 1e-4
"""A relative step after which an error of fourth order is below rounding."""
TRUSTED_STEP = 0.25
"""A larger relative step of Newton's is a halving of the bracket instead."""
AT_THE_MONEY = 1e-17
SMALL_PRICE = 1e-9
"""Where the price and |k| / price are not above these, the price is s / sqrt(2 pi) to rounding."""
MAX_STEPS = 200
"""The search halves the logarithm of a bracket of 1e-323..1e3 in 17 steps to 1 %."""
LARGEST = 1000.0
"""s far above 50, where every price of doubles equals its bound."""
UNSETTLED = -1.0
LEAST_PRICE = 1e-290
"""Below, a price is scaled: products with denormal numbers lose digits."""
SCALE = 2.0**200
LOG_SCALE = math.log(SCALE)
SQRT_2PI = math.sqrt(2.0 * math.pi)
SQRT_2_OVER_PI = math.sqrt(2.0 / math.pi)
SQRT_PI_OVER_2 = math.sqrt(0.5 * math.pi)
TWO_OVER_PI = 2.0 / math.pi
LEAST_ROOT = 1e-300
B1: TypeAlias = NDArray[np.bool_]


@inlined
def _start(distance: float, decay: float, price: float, alpha: float) -> float:
    """Stefanica and Radoicic's closed form, rearranged to keep its digits at the money.

    Args:
        distance: |k|.
        decay: exp(-|k|).
        price: Of the option, in units of F.
        alpha: Of the call of the same deviation with forward e^-|k| and strike 1.
    """
    g = exp((TWO_OVER_PI - 1.0) * distance)
    inverse_g = 1.0 / g
    root = decay * inverse_g
    inverse_root = 1.0 / root
    inverse_decay = inverse_g * inverse_root
    rest = 1.0 - decay
    ratio = 2.0 * alpha + rest
    a = (g - inverse_g) * (g - inverse_g)
    b = 2.0 * (
        inverse_decay * (g + inverse_g) * ratio * ratio - (g - inverse_g) * (decay - inverse_decay)
    )
    c = (
        4.0
        * inverse_decay
        * inverse_decay
        * alpha
        * (alpha + rest)
        * ((1.0 + decay) * (1.0 + decay) - ratio * ratio)
    )
    c = max(0.0, c)
    x = 2.0 * c / (b + math.sqrt(b * b + 4.0 * a * c))
    x = max(LEAST_ROOT, x)
    gamma = -0.5 * math.pi * log(x)
    plus = gamma + distance
    minus = gamma - distance
    plus = math.sqrt(max(0.0, plus))
    minus = math.sqrt(max(0.0, minus))
    below = alpha <= 0.5 * (decay - 1.0 + math.sqrt(1.0 - root * root))
    s = plus - minus if below else plus + minus
    # At the money a price is largest, v(0, s) <= s / sqrt(2 pi).
    least = SQRT_2PI * price
    return max(least, s)


@inlined
def _step(
    s: float, k: float, z: float, target: float, shape: float, shift: float
) -> tuple[float, float]:
    """The step of order 4, not yet limited, and Newton's, which has the sign of what is missing.

    Args:
        s: Where the step starts.
        k: ln(K/F).
        z: At s.
        target: The price, or the bound minus the price.
        shape: Y(z1) - Y(z2) at s for the price, -(Y(-z1) + Y(z2)) for its distance to the bound.
        shift: Logarithm of a factor in the target.
    """
    inverse_s = 1.0 / s
    inverse_shape = 1.0 / shape
    steep = abs(k) * inverse_s * inverse_s
    miss = (log(2.0 * target * abs(inverse_shape)) - shift) + z * z
    nu = SQRT_PI_OVER_2 * miss * shape
    r = SQRT_2_OVER_PI * inverse_shape
    g = abs(k) * inverse_s * steep - 0.25 * s
    a = g - r
    c = g * g - 3.0 * steep * steep - 0.25 + 2.0 * r * r - 3.0 * g * r
    return nu * (1.0 + 0.5 * a * nu) / (1.0 + nu * (a + c * nu * (1.0 / 6.0))), nu


@inlined
def _coarse_step(s: float, k: float, price: float, rest: float) -> float:
    """A better s, with 5 digits of the price."""
    z1, z2, gap, direct = erfcx_arguments(s, abs(k))
    difference, total = coarse_erfcx_pair(z1 if direct else -z1, gap)
    step, _ = _step(
        s,
        k,
        z1 if k >= 0.0 else z2,
        price if direct else rest,
        difference if direct else -total,
        0.0,
    )
    step = min(s, step)
    step = max(-0.5 * s, step)
    return s + step


@inlined
def _fine_step(s: float, k: float, price: float, rest: float, shift: float) -> tuple[float, float]:
    """`_step` with every digit of the price."""
    z1, z2, gap, direct = erfcx_arguments(s, abs(k))
    difference, total = erfcx_pair(z1 if direct else -z1, gap)
    return _step(
        s,
        k,
        z1 if k >= 0.0 else z2,
        price if direct else rest,
        difference if direct else -total,
        shift,
    )


@part
def _search(k: float, price: float, rest: float) -> float:
    """The same steps inside a bracket, from the inflection of the price on."""
    if price < SMALL_PRICE and abs(k) <= AT_THE_MONEY * price:
        return SQRT_2PI * price
    lower = SQRT_2PI * price * (1.0 - 1e-9)
    upper = LARGEST
    s = math.sqrt(2.0 * abs(k))
    if not lower < s < upper:
        s = math.sqrt(lower) * math.sqrt(upper)
    tiny = price < LEAST_PRICE
    scale = SCALE if tiny else 1.0
    shift = LOG_SCALE if tiny else 0.0
    for _ in range(MAX_STEPS):
        step, newton = _fine_step(s, k, scale * price, scale * rest, shift)
        if abs(newton) <= SMALL_STEP * s:
            return s + step
        # A NaN is a price that underflowed: s is too small.
        if newton < 0.0:
            upper = s
        else:
            lower = s
        if abs(newton) <= TRUSTED_STEP * s and lower < s + step < upper:
            s += step
        else:
            s = math.sqrt(lower) * math.sqrt(upper)
    return math.nan


@inlined
def _rest(k: float, price: float) -> float:
    """Distance to the bound, where e^k needs more digits than a double has."""
    decay, lost = exp_pair(-abs(k))
    return 1.0 - price if k >= 0.0 else (decay - price) + lost


@inlined
def _solve(k: float, price: float, rest: float) -> float:
    """The deviation, NaN, or UNSETTLED when two steps were not enough.

    Args:
        k: ln(K/F).
        price: Out-of-the-money, in units of F.
        rest: min(1, e^k) - price.
    """
    distance = abs(k)
    decay = exp(-distance)
    is_call = k >= 0.0
    possible = (price > 0.0) & (rest > 0.0)
    # Any price will do for a lane whose result is NaN.
    price = price if possible else 0.25 * decay
    rest = rest if possible else 0.25
    s = _start(distance, decay, price, price * decay if is_call else price)
    s = _coarse_step(s, k, price, rest)
    step, newton = _fine_step(s, k, price, rest, 0.0)
    settled = (abs(newton) <= SMALL_STEP * s) & (price >= LEAST_PRICE)
    s = s + step if settled else UNSETTLED
    return s if possible else math.nan


@part
def _solve_rows(k: F64, price: F64, out: F64, first: int, end: int) -> None:
    """`_solve` for places first..end-1; a loop without a branch."""
    for i in range(first, end):
        out[i] = _solve(k[i], price[i], _rest(k[i], price[i]))


@part
def implied_deviations(k: F64, price: F64, out: F64, count: int) -> None:
    """Solve for s = sigma sqrt(t), the first `count` options of a row.

    Args:
        k: (n,) float64, ln(K/F), |k| < 708.
        price: (n,) float64, out-of-the-money price in units of F: put for k < 0, else call. Of
            puts within 1e-7 of their bound e^k, which is known to 2^-55 of itself, s loses digits.
        out: (n,) float64 for the deviations; no memory shared with the others. NaN where the
            price is not inside (0, min(1, e^k)) or an argument is NaN. A value does not depend
            on its place or neighbours.
        count: <= n.
    """
    # The last vector overlaps the one before it: a place left over takes as long as a vector.
    whole = count - count % LANES
    _solve_rows(k, price, out, 0, whole)
    if whole < count:
        _solve_rows(k, price, out, max(0, count - LANES), count)
    for i in range(count):
        if out[i] == UNSETTLED:
            out[i] = _search(k[i], price[i], _rest(k[i], price[i]))


@part
def implied_deviation(m: float, price: float) -> float:
    """Solve otm_price(m, s) = price.

    Args:
        m: K/F, > 0; put below 1, call from 1 on.
        price: In units of the forward.

    Returns:
        s > 0, or NaN when the price is not inside (0, min(1, m)) or an argument is NaN.
    """
    bound = min(1.0, m)
    if not (m > 0.0 and 0.0 < price < bound):
        return math.nan
    k = log_ratio(m, 1.0)
    s = _solve(k, price, bound - price)
    return _search(k, price, bound - price) if s == UNSETTLED else s


@inlined
def _normalised(
    forward: float, strike: float, price: float, kind: int
) -> tuple[float, float, float]:
    """k, price and distance to the bound of the out-of-the-money twin, the prices in units of F."""
    inner = forward - strike
    # F - K = inner + lost, exactly (Knuth): it decides the digits of an option deep in the money.
    back = inner - forward
    lost = (forward - (inner - back)) - (strike + back)
    value = inner if kind == 1 else -inner
    lost = lost if kind == 1 else -lost
    time_value = (price - value) - lost if value > 0.0 else price
    own_bound = forward if kind == 1 else strike
    time_value = time_value if (strike > 0.0) & (strike < math.inf) else math.nan
    return (
        log_ratio(strike, forward),
        time_value / forward,
        (own_bound - price) / forward,
    )


@part
def _vol_rows(
    forward: F64,
    strike: F64,
    t_years: F64,
    price: F64,
    is_call: B1,
    out: F64,
    first: int,
    end: int,
) -> None:
    """Volatilities, NaN or UNSETTLED for places first..end-1; a loop without a branch."""
    for i in range(first, end):
        k, otm, rest = _normalised(forward[i], strike[i], price[i], int(is_call[i]))
        s = _solve(k, otm, rest)
        years = t_years[i] if t_years[i] > 0.0 else math.nan
        out[i] = s / math.sqrt(years) if s > 0.0 else s


@kernel
def implied_vols(
    forward: F64, strike: F64, t_years: F64, price: F64, is_call: B1, out: F64
) -> None:
    """Implied Black-76 volatilities of a chain of undiscounted prices.

    Args:
        forward: (n,) float64, > 0, quote currency.
        strike: (n,) float64, > 0, quote currency; K/F and F/K below 1e307.
        t_years: (n,) float64, > 0.
        price: (n,) float64, quote currency, in or out of the money.
        is_call: (n,) bool.
        out: (n,) float64 for the volatilities as fractions; no memory shared with the others. NaN
            where the price is not between intrinsic value and bound (F for calls, K for puts), both
            excluded, or an argument is NaN or outside its range.
    """
    count = out.size
    whole = count - count % LANES
    _vol_rows(forward, strike, t_years, price, is_call, out, 0, whole)
    if whole < count:
        _vol_rows(forward, strike, t_years, price, is_call, out, max(0, count - LANES), count)
    for i in range(count):
        if out[i] == UNSETTLED:
            k, otm, rest = _normalised(forward[i], strike[i], price[i], int(is_call[i]))
            years = t_years[i] if t_years[i] > 0.0 else math.nan
            out[i] = _search(k, otm, rest) / math.sqrt(years)


def warm_up() -> None:
    """Compile what is called from Python."""
    ones = np.ones(LANES)
    implied_vols(ones, ones, ones, 0.1 * ones, ones > 0.0, np.empty(LANES))
