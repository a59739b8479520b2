"""exp, log, erfcx and Black's price, as arithmetic that a compiler can vectorise.

Calls into libm keep a loop scalar; these are branch-free and use no fused operation, so that every
lane of every CPU, and the Python twin, gives the same bits.

    erfcx(z) = exp(z^2) erfc(z) = rho P(1 - 8 rho),  rho = 1 / (z + 17/4),  z >= -1/4

P is the interpolant of erfcx(z) / rho at 24 Chebyshev nodes, from 60 digits; the map is Shepherd
and Laframboise's (1981). Since rho and P fall with z, the difference of two values is a sum of
terms of one sign when P's divided difference is evaluated in place of the difference:

    erfcx(z1) - erfcx(z2) = (z2 - z1) rho1 rho2 (P(u2) - 8 rho1 P[u1, u2]),  u = 1 - 8 rho

    k = ln(K/F), h = |k|/s, t = s/2, z1 = (h - t) / sqrt 2, z2 = (h + t) / sqrt 2
    z = z1 for a call (k >= 0), z2 for a put
    price = exp(-z^2) (erfcx(z1) - erfcx(z2)) / 2              where z1 >= -1/4
    bound - price = exp(-z^2) (erfcx(-z1) + erfcx(z2)) / 2     elsewhere; bound = min(1, e^k)

With A and B the even and odd part of P, P(u) = A(u^2) + u B(u^2).
"""

import math
import struct
from typing import Any

from numba.core import types
from numba.extending import intrinsic, overload

from volgauge.kernels._jit import F64, inlined, part
from volgauge.kernels.normal import INV_SQRT_2PI, SQRT_HALF

LEAST_ERFCX = -0.25
"""Smallest argument of erfcx."""
_POLE = 4.25
FARTHEST = 60.0
"""exp(-z^2) is 0 from here on."""
LANES = 8
"""Numbers in the widest vector register."""
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
"""Its last 21 bits are 0: times an exponent it is exact."""
_LN2_LOW = 1.90821492927058770002e-10
_TO_BIASED = 6755399441055744.0 + 1023.0
"""1.5 * 2^52 + bias: adding it leaves the rounded integer, biased, in the low bits."""
_EXP_LEAST = -708.0
_EXP_LARGEST = 709.0
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_EXPONENT = 1 << 52
_EXPONENTS = 1024
_LEAST_NORMAL = 2.2250738585072014e-308
_TWO_POWER_54 = 18014398509481984.0
_INTEGER_BITS = 0x4330000000000000
_TWO_POWER_52 = 4503599627370496.0


@intrinsic
def _bitcast_to_integer(typing_context: Any, number: Any) -> Any:  # noqa: ANN401, ARG001 - numba's own
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(values[0], context.get_value_type(signature.return_type))

    return types.int64(types.float64), generate


@intrinsic
def _bitcast_to_float(typing_context: Any, bits: Any) -> Any:  # noqa: ANN401, ARG001 - numba's own
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(values[0], context.get_value_type(signature.return_type))

    return types.float64(types.int64), generate


def bits_of(number: float) -> int:
    """The 64 bits of a float as a signed integer."""
    return int(struct.unpack("<q", struct.pack("<d", number))[0])


def from_bits(bits: int) -> float:
    """The float of 64 bits."""
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


@overload(bits_of, jit_options={"forceinline": True})
def _bits_of(number: Any) -> Any:  # noqa: ANN401, ARG001 - numba's own
    def compiled(number: Any) -> Any:  # noqa: ANN401 - numba's own
        return _bitcast_to_integer(number)  # type: ignore[call-arg] # numba adds the context

    return compiled


@overload(from_bits, jit_options={"forceinline": True})
def _from_bits(bits: Any) -> Any:  # noqa: ANN401, ARG001 - numba's own
    def compiled(bits: Any) -> Any:  # noqa: ANN401 - numba's own
        return _bitcast_to_float(bits)  # type: ignore[call-arg] # numba adds the context

    return compiled


@inlined
def exp_pair(x: float) -> tuple[float, float]:
    """e^x and what rounding took from it: their sum is within 2^-55 of itself.

    Source:
        Cody and Waite's reduction to r = x - n ln 2, |r| <= ln(2) / 2; Taylor's polynomial to r^13.
    """
    shifted = x * _LOG2_E + _TO_BIASED
    n = shifted - _TO_BIASED
    coarse = x - n * _LN2_HIGH
    low = n * _LN2_LOW
    r = coarse - low
    lost = (coarse - r) - low
    r2 = r * r
    r4 = r2 * r2
    first = (0.5 + r * (1.0 / 6.0)) + r2 * ((1.0 / 24.0) + r * (1.0 / 120.0))
    second = ((1.0 / 720.0) + r * (1.0 / 5040.0)) + r2 * ((1.0 / 40320.0) + r * (1.0 / 362880.0))
    third = ((1.0 / 3628800.0) + r * (1.0 / 39916800.0)) + r2 * (
        (1.0 / 479001600.0) + r * (1.0 / 6227020800.0)
    )
    head = 1.0 + r
    tail = ((1.0 - head) + r) + (lost + r2 * (first + r4 * (second + r4 * third)))
    power = head + tail
    scale = from_bits((bits_of(shifted) & 0x7FF) << 52)
    value = power * scale
    value = 0.0 if x < _EXP_LEAST else value
    return math.inf if x > _EXP_LARGEST else value, ((head - power) + tail) * scale


@inlined
def exp(x: float) -> float:
    """e^x within 1 unit of rounding; 0 below -708, inf above 709, NaN stays NaN."""
    return exp_pair(x)[0]


@inlined
def log(x: float) -> float:
    """Natural logarithm within 1 unit of rounding.

    Args:
        x: > 0 and finite, denormal numbers included; anything else gives a meaningless number,
            NaN perhaps NaN: the caller selects.

    Source:
        FreeBSD's e_log.c: x = 2^n (1 + f), ln(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)),
        s = f / (2 + f).
    """
    denormal = x < _LEAST_NORMAL
    bits = bits_of(x * _TWO_POWER_54 if denormal else x)
    place = (bits - _SQRT_HALF_BITS + _EXPONENTS * _ONE_EXPONENT) >> 52
    fraction = from_bits(bits - ((place - _EXPONENTS) << 52)) - 1.0
    n = from_bits(place | _INTEGER_BITS) - (_TWO_POWER_52 + _EXPONENTS)
    n = n - 54.0 if denormal else n
    s = fraction / (2.0 + fraction)
    half_square = 0.5 * fraction * fraction
    return n * _LN2_HIGH - (
        (half_square - (s * (half_square + _log_remainder(s)) + n * _LN2_LOW)) - fraction
    )


@inlined
def log_ratio(numerator: float, denominator: float) -> float:
    """Natural logarithm of a quotient that is not formed: near 1 no digit is lost.

    ln(a/b) = n ln 2 + 2 artanh s,  s = (a 2^-n - b) / (a 2^-n + b),  a 2^-n / b in [0.7, 1.42]

    Args:
        numerator: > 0, and neither it nor the quotient denormal.
        denominator: > 0.
    """
    bits = bits_of(numerator / denominator)
    place = (bits - _SQRT_HALF_BITS + _EXPONENTS * _ONE_EXPONENT) >> 52
    scaled = numerator * from_bits((2047 - place) << 52)
    n = from_bits(place | _INTEGER_BITS) - (_TWO_POWER_52 + _EXPONENTS)
    s = (scaled - denominator) / (scaled + denominator)
    return n * _LN2_HIGH + (2.0 * s + (s * _log_remainder(s) + n * _LN2_LOW))


@inlined
def _log_remainder(s: float) -> float:
    """R in ln(1 + f) = 2 s + s R for |s| <= 0.1716."""
    z = s * s
    w = z * z
    even = w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332))
    odd = z * (
        0.6666666666666735130
        + w * (0.2857142874366239149 + w * (0.1818357216161805012 + w * 0.1479819860511658591))
    )
    return even + odd


@inlined
def erfcx(z: float) -> float:
    """exp(z^2) erfc(z), relative error below 2e-15.

    Args:
        z: >= -1/4; below, a meaningless number.
    """
    rho = 1.0 / (z + _POLE)
    u = 1.0 - 8.0 * rho
    square = u * u
    even = 5.412332124644911e-10
    odd = -2.0806724218824245e-09
    even = even * square + -1.3937215907859045e-08
    odd = odd * square + 2.528706298247612e-08
    even = even * square + 2.1785861071587448e-07
    odd = odd * square + -1.8771570854989e-07
    even = even * square + -2.6956458723150853e-06
    odd = odd * square + 1.126686141737677e-06
    even = even * square + 2.741578466352918e-05
    odd = odd * square + -4.667033344893375e-06
    even = even * square + -0.00019207431634493184
    odd = odd * square + -1.4703610264961659e-05
    even = even * square + -0.0002276746104629018
    odd = odd * square + 0.0006346826617487117
    even = even * square + 0.02637754359679877
    odd = odd * square + -0.005376871881992049
    even = even * square + 0.18463811308611103
    odd = odd * square + -0.07962110762184857
    even = even * square + 0.5798012934232439
    odd = odd * square + -0.35377970890907523
    even = even * square + 1.044239636002249
    odd = odd * square + -0.8285458223236152
    even = even * square + 1.1647177702003084
    odd = odd * square + -1.1684827118939978
    return rho * (even + u * odd)


@inlined
def _divided(
    value: float, slope: float, x1: float, x2: float, coefficient: float
) -> tuple[float, float]:
    """One step of Horner's rule for p(x1) and p[x1, x2]."""
    return value * x1 + coefficient, slope * x2 + value


@inlined
def erfcx_pair(z1: float, gap: float) -> tuple[float, float]:
    """erfcx(z1) - erfcx(z1 + gap) and erfcx(z1) + erfcx(z1 + gap), relative errors below 4e-15.

    Args:
        z1: >= -1/4.
        gap: >= 0; the difference keeps its digits however small it is.
    """
    to_pole1 = z1 + _POLE
    to_pole2 = to_pole1 + gap
    product = 1.0 / (to_pole1 * to_pole2)
    rho1 = to_pole2 * product
    rho2 = to_pole1 * product
    u1 = 1.0 - 8.0 * rho1
    u2 = 1.0 - 8.0 * rho2
    square1 = u1 * u1
    square2 = u2 * u2
    even = 5.412332124644911e-10
    odd = -2.0806724218824245e-09
    even_slope, even = even, even * square1 + -1.3937215907859045e-08
    odd_slope, odd = odd, odd * square1 + 2.528706298247612e-08
    even, even_slope = _divided(even, even_slope, square1, square2, 2.1785861071587448e-07)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -1.8771570854989e-07)
    even, even_slope = _divided(even, even_slope, square1, square2, -2.6956458723150853e-06)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, 1.126686141737677e-06)
    even, even_slope = _divided(even, even_slope, square1, square2, 2.741578466352918e-05)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -4.667033344893375e-06)
    even, even_slope = _divided(even, even_slope, square1, square2, -0.00019207431634493184)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -1.4703610264961659e-05)
    even, even_slope = _divided(even, even_slope, square1, square2, -0.0002276746104629018)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, 0.0006346826617487117)
    even, even_slope = _divided(even, even_slope, square1, square2, 0.02637754359679877)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -0.005376871881992049)
    even, even_slope = _divided(even, even_slope, square1, square2, 0.18463811308611103)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -0.07962110762184857)
    even, even_slope = _divided(even, even_slope, square1, square2, 0.5798012934232439)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -0.35377970890907523)
    even, even_slope = _divided(even, even_slope, square1, square2, 1.044239636002249)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -0.8285458223236152)
    even, even_slope = _divided(even, even_slope, square1, square2, 1.1647177702003084)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -1.1684827118939978)
    value1 = even + u1 * odd
    slope = (odd - (square1 - square2) * odd_slope) + (u1 + u2) * (even_slope + u1 * odd_slope)
    step = gap * product
    value2 = value1 + 8.0 * step * slope
    return step * (value2 - 8.0 * rho1 * slope), rho1 * value1 + rho2 * value2


@inlined
def coarse_erfcx_pair(z1: float, gap: float) -> tuple[float, float]:
    """`erfcx_pair` with relative errors below 1e-5, in half the time: 12 nodes instead of 24."""
    to_pole1 = z1 + _POLE
    to_pole2 = to_pole1 + gap
    product = 1.0 / (to_pole1 * to_pole2)
    rho1 = to_pole2 * product
    rho2 = to_pole1 * product
    u1 = 1.0 - 8.0 * rho1
    u2 = 1.0 - 8.0 * rho2
    square1 = u1 * u1
    square2 = u2 * u2
    even = -0.0006703094835957595
    odd = 0.0005720855252425037
    even_slope, even = even, even * square1 + 0.026830291049846522
    odd_slope, odd = odd, odd * square1 + -0.005300920251682078
    even, even_slope = _divided(even, even_slope, square1, square2, 0.18441389872975827)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -0.07966168416106081)
    even, even_slope = _divided(even, even_slope, square1, square2, 0.5798525808096083)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -0.35377006224518026)
    even, even_slope = _divided(even, even_slope, square1, square2, 1.0442352916473996)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -0.8285466546422551)
    even, even_slope = _divided(even, even_slope, square1, square2, 1.164717830399939)
    odd, odd_slope = _divided(odd, odd_slope, square1, square2, -1.1684827003194254)
    value1 = even + u1 * odd
    slope = (odd - (square1 - square2) * odd_slope) + (u1 + u2) * (even_slope + u1 * odd_slope)
    step = gap * product
    value2 = value1 + 8.0 * step * slope
    return step * (value2 - 8.0 * rho1 * slope), rho1 * value1 + rho2 * value2


@inlined
def erfcx_arguments(s: float, distance: float) -> tuple[float, float, float, bool]:
    """z1, z2, the gap between the arguments of erfcx and whether the price itself is formed."""
    h = distance * (1.0 / s)
    z1 = (h - 0.5 * s) * SQRT_HALF
    z2 = (h + 0.5 * s) * SQRT_HALF
    direct = z1 >= LEAST_ERFCX
    gap = SQRT_HALF * s if direct else z2 + z1
    return z1, z2, gap, direct


@inlined
def _otm_price(k: float, s: float) -> float:
    """Out-of-the-money price of one option."""
    distance = abs(k)
    z1, z2, gap, direct = erfcx_arguments(s, distance)
    # Beyond FARTHEST the price is 0, and infinities would make NaN of it.
    near = min(FARTHEST, z1)
    difference, total = erfcx_pair(near if direct else -near, gap)
    z = z1 if k >= 0.0 else z2
    density = 0.5 * exp(-z * z)
    bound = 1.0 if k >= 0.0 else exp(-distance)
    price = density * difference if direct else bound - density * total
    return price if s > 0.0 else math.nan


@part
def _otm_price_rows(k: F64, s: F64, out: F64, first: int, end: int) -> None:
    """`_otm_price` for places first..end-1; a loop without a branch."""
    for i in range(first, end):
        out[i] = _otm_price(k[i], s[i])


@inlined
def otm_prices(k: F64, s: F64, out: F64, count: int) -> None:
    """Normalised out-of-the-money Black prices, the first `count` options of a row.

    Args:
        k: (n,) float64, ln(K/F), |k| < 708.
        s: (n,) float64, sigma sqrt(t), > 0.
        out: (n,) float64 for the prices in units of F, put for k < 0, else call, with their
            relative precision in deep wings; NaN where s is not > 0 or an argument is NaN. No
            memory shared with the others.
        count: <= n.
    """
    # The last vector overlaps the one before it: a place left over takes as long as a vector. Two
    # calls, not a loop over two ranges, which costs the vectoriser's interleaving.
    whole = count - count % LANES
    _otm_price_rows(k, s, out, 0, whole)
    if whole < count:
        _otm_price_rows(k, s, out, max(0, count - LANES), count)


@inlined
def _vega(k: float, s: float) -> float:
    """n(d1)."""
    d1 = 0.5 * s - k / s
    vega = INV_SQRT_2PI * exp(-0.5 * d1 * d1)
    return vega if s > 0.0 else math.nan


@part
def _vega_rows(k: F64, s: F64, out: F64, first: int, end: int) -> None:
    """`_vega` for places first..end-1; a loop without a branch."""
    for i in range(first, end):
        out[i] = _vega(k[i], s[i])


@part
def vegas(k: F64, s: F64, out: F64, count: int) -> None:
    """Derivatives n(d1) of `otm_prices` to s, in units of F; arguments as there."""
    whole = count - count % LANES
    _vega_rows(k, s, out, 0, whole)
    if whole < count:
        _vega_rows(k, s, out, max(0, count - LANES), count)
