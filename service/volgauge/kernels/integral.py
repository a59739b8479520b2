"""From a smile to variances: the control-variate integral of METHODOLOGY rules 11 to 13.

    W(a) = 2 Int p_fit e^{-ak} dk + 2 Int r e^{-ak} dk

The smooth part is integrated by Gauss and Legendre on fixed nodes, the residual r in closed form
between the strikes. `value` runs over the 5-delta corridor of the tapered curve; `full` over the
whole line, with each wing beyond the quotes priced twice: by the curve and at the edge's
volatility, both below the asks that stand there.

    E[R] = -Int e^{-k} p            E[R^2] = Int 2 (1 - k) e^{-k} p         R = ln(S/F)
    E[R^3] = Int (6 k - 3 k^2) e^{-k} p     E[R^4] = Int (12 k^2 - 4 k^3) e^{-k} p
    tail-free check (Fukasawa 2010): W(1) = Int w(k(z)) phi(z) dz, z = k / sqrt(w) + sqrt(w) / 2
"""

import math

import numpy as np

from volgauge.kernels._jit import F64, inlined, part
from volgauge.kernels.screen import CAP, MONEYNESS
from volgauge.kernels.smile import HALF, PLACE, PRICE, K, M
from volgauge.kernels.special import exp, otm_prices
from volgauge.kernels.svi import svi_variance

SIDE_NODES = 16
"""A side of the money, of the corridor as of the whole range of the quotes."""
WING_NODES = 24
TAIL_DEVIATIONS = 8.0
TAIL_CAP = 3.0
"""The curve's wing is at most this many times the flat one."""
Z_CORRIDOR = 1.6448536269514722
"""-N^-1(0.05)."""

_X16, _W16 = np.polynomial.legendre.leggauss(SIDE_NODES)
_X24, _W24 = np.polynomial.legendre.leggauss(WING_NODES)

# Rows of the nodes' scratch.
NODE_K = 0
NODE_WEIGHT = 1
NODE_S = 2
NODE_PRICE = 3
NODE_E = 4
"""e^{-k}"""
NODE_TOTALS = 5
"""W(1), W(0), W(-1) and the second to fourth moment, in the first six columns; then
the same of a wing by the curve, and flat."""
NODE_TERM = 6
"""What a node adds to a sum: worked out in a loop that vectorises, then added up in order."""
NODE_ROWS = 7
NODE_COUNT = 2 * max(SIDE_NODES, WING_NODES)
"""Columns of the scratch."""


@part
def reach(
    a: float,
    b: float,
    rho: float,
    m: float,
    s: float,
    side: float,
    target: float,
    tilt: float,
    exact: float,
) -> float:
    """Where the curve is `target` deviations out, on the side of the sign.

    Args:
        a: Of the curve, as b, rho, m, s.
        b: See `a`.
        rho: See `a`.
        m: See `a`.
        s: See `a`.
        side: -1 puts, 1 calls.
        target: In deviations.
        tilt: 0: |k| / sqrt(w); 1/2: |d1|, which is 1.645 where |delta| is 5 %.
        exact: Relative error allowed.

    Returns:
        k; the first crossing outwards, 0 when the money itself is beyond it.
    """
    deviation = math.sqrt(svi_variance(a, b, rho, m, s, 0.0))
    if side < 0.0 and tilt * deviation >= target:
        return 0.0
    step = 0.25 * target * deviation
    low = 0.0
    high = step
    for _ in range(60):
        root = math.sqrt(svi_variance(a, b, rho, m, s, side * high))
        if high / root - side * tilt * root >= target:
            break
        low = high
        step *= 1.5
        high += step
    # Regula falsi of Illinois: no derivative, always inside the bracket.
    root = math.sqrt(svi_variance(a, b, rho, m, s, side * low))
    f_low = low / root - side * tilt * root - target
    root = math.sqrt(svi_variance(a, b, rho, m, s, side * high))
    f_high = high / root - side * tilt * root - target
    if not f_high > f_low:
        return side * high
    k = high
    stuck = 0
    for _ in range(60):
        k = high - f_high * (high - low) / (f_high - f_low)
        root = math.sqrt(svi_variance(a, b, rho, m, s, side * k))
        f = k / root - side * tilt * root - target
        if abs(f) < exact * target:
            break
        if f > 0.0:
            high, f_high = k, f
            if stuck > 0:
                f_low *= 0.5
            stuck = 1
        else:
            low, f_low = k, f
            if stuck < 0:
                f_high *= 0.5
            stuck = -1
    return side * k


@inlined
def lay(nodes: F64, start: int, x: F64, weights: F64, low: float, high: float) -> int:
    """Put a rule's nodes on [low, high]; returns the next free column."""
    half, middle = 0.5 * (high - low), 0.5 * (high + low)
    for i in range(x.shape[0]):
        nodes[NODE_K, start + i] = middle + half * x[i]
        nodes[NODE_WEIGHT, start + i] = half * weights[i]
    return start + int(x.shape[0])


@part
def price_nodes(
    nodes: F64, start: int, stop: int, a: float, b: float, rho: float, m: float, s: float
) -> None:
    """Fill NODE_S, NODE_E and NODE_PRICE by the curve."""
    for i in range(start, stop):
        nodes[NODE_S, i] = math.sqrt(svi_variance(a, b, rho, m, s, nodes[NODE_K, i]))
        nodes[NODE_E, i] = exp(-nodes[NODE_K, i])
    otm_prices(
        nodes[NODE_K, start:stop], nodes[NODE_S, start:stop], nodes[NODE_PRICE, start:stop],
        stop - start,
    )  # fmt: skip


@part
def corridor_integral(
    nodes: F64, low: float, high: float, a: float, b: float, rho: float, m: float, s: float
) -> float:
    """2 Int p_fit e^{-k} dk over the corridor, 16 nodes a side."""
    count = lay(nodes, 0, _X16, _W16, low, 0.0)
    count = lay(nodes, count, _X16, _W16, 0.0, high)
    price_nodes(nodes, 0, count, a, b, rho, m, s)
    total = 0.0
    for i in range(count):
        total += nodes[NODE_WEIGHT, i] * nodes[NODE_PRICE, i] * nodes[NODE_E, i]
    return 2.0 * total


@part
def beyond(
    nodes: F64, inner: float, outer: float, a: float, b: float, rho: float, m: float, s: float
) -> tuple[float, float]:
    """2 Int p e^{-k} dk between two k, inner < outer: by the curve, and at one volatility.

    That volatility is the curve's at the end nearer to the money.
    """
    edge = inner if inner > 0.0 else outer
    s_edge = math.sqrt(svi_variance(a, b, rho, m, s, edge))
    count = lay(nodes, 0, _X16, _W16, inner, outer)
    price_nodes(nodes, 0, count, a, b, rho, m, s)
    curve = 0.0
    for i in range(count):
        curve += nodes[NODE_WEIGHT, i] * nodes[NODE_PRICE, i] * nodes[NODE_E, i]
        nodes[NODE_S, i] = s_edge
    otm_prices(nodes[NODE_K], nodes[NODE_S], nodes[NODE_PRICE], count)
    flat = 0.0
    for i in range(count):
        flat += nodes[NODE_WEIGHT, i] * nodes[NODE_PRICE, i] * nodes[NODE_E, i]
    return 2.0 * curve, 2.0 * flat


@inlined
def segment(
    k_left: float, k_right: float, e_left: float, e_right: float, f_left: float, f_right: float
) -> float:
    """Int f(k) e^{-k} dk for f linear, with e = e^{-k} at the ends: exact."""
    slope = (f_right - f_left) / (k_right - k_left)
    return f_left * e_left - f_right * e_right + slope * (e_left - e_right)


@part
def residual_integral(smile: F64, row: int, count: int, low: float, high: float) -> float:
    """2 Int f e^{-k} dk of the piecewise linear f through the strikes, within [low, high].

    Args:
        smile: K, M and `row` of `count` strikes.
        row: RESIDUAL, HALF, ...
        count: >= 2.
        low: Where to begin; f is 0 before the first strike.
        high: Where to end; f is 0 after the last strike.
    """
    total = 0.0
    for j in range(count - 1):
        k_left, k_right = smile[K, j], smile[K, j + 1]
        if k_right <= low or k_left >= high:
            continue
        f_left, f_right = smile[row, j], smile[row, j + 1]
        e_left, e_right = 1.0 / smile[M, j], 1.0 / smile[M, j + 1]
        slope = (f_right - f_left) / (k_right - k_left)
        if k_left < low:
            f_left += slope * (low - k_left)
            k_left, e_left = low, exp(-low)
        if k_right > high:
            f_right -= slope * (k_right - high)
            k_right, e_right = high, exp(-high)
        total += segment(k_left, k_right, e_left, e_right, f_left, f_right)
    return 2.0 * total


@inlined
def moment_weights(k: float, e: float) -> tuple[float, float, float, float, float]:
    """What a price at k counts in W(0), W(-1), E[R^2], E[R^3] and E[R^4], with e = e^{-k}.

    W(1) counts 2 e, and E[R] is -W(1) / 2.
    """
    return (
        2.0,
        2.0 / e,
        2.0 * (1.0 - k) * e,
        (6.0 - 3.0 * k) * k * e,
        (12.0 - 4.0 * k) * k * k * e,
    )


@part
def add_nodes(nodes: F64, start: int, stop: int, totals: F64) -> None:
    """Add the integrals over a run of nodes to `totals` (6,): W(1), then the moments."""
    w1 = w0 = w_1 = r2 = r3 = r4 = 0.0
    for i in range(start, stop):
        k, e = nodes[NODE_K, i], nodes[NODE_E, i]
        p = nodes[NODE_WEIGHT, i] * nodes[NODE_PRICE, i]
        c0, c_1, c2, c3, c4 = moment_weights(k, e)
        w1 += 2.0 * e * p
        w0 += c0 * p
        w_1 += c_1 * p
        r2 += c2 * p
        r3 += c3 * p
        r4 += c4 * p
    totals[0] += w1
    totals[1] += w0
    totals[2] += w_1
    totals[3] += r2
    totals[4] += r3
    totals[5] += r4


@part
def weighted_sum(nodes: F64, start: int, stop: int) -> float:
    """2 Int p e^{-k} dk over a run of nodes."""
    total = 0.0
    for i in range(start, stop):
        total += nodes[NODE_WEIGHT, i] * nodes[NODE_PRICE, i] * nodes[NODE_E, i]
    return 2.0 * total


@part
def add_residuals(smile: F64, row: int, count: int, totals: F64) -> None:
    """Add the residual's part between the strikes to `totals`: three points a segment (Simpson).

    Arguments as in `residual_integral`.
    """
    for j in range(count - 1):
        k_left, k_right = smile[K, j], smile[K, j + 1]
        e_left, e_right = 1.0 / smile[M, j], 1.0 / smile[M, j + 1]
        f_left, f_right = smile[row, j], smile[row, j + 1]
        k_middle, e_middle = 0.5 * (k_left + k_right), math.sqrt(e_left * e_right)
        f_middle = 2.0 * (f_left + f_right)
        width = (k_right - k_left) / 6.0
        totals[0] += 2.0 * segment(k_left, k_right, e_left, e_right, f_left, f_right)
        a0, a_1, a2, a3, a4 = moment_weights(k_left, e_left)
        b0, b_1, b2, b3, b4 = moment_weights(k_middle, e_middle)
        c0, c_1, c2, c3, c4 = moment_weights(k_right, e_right)
        totals[1] += width * (a0 * f_left + b0 * f_middle + c0 * f_right)
        totals[2] += width * (a_1 * f_left + b_1 * f_middle + c_1 * f_right)
        totals[3] += width * (a2 * f_left + b2 * f_middle + c2 * f_right)
        totals[4] += width * (a3 * f_left + b3 * f_middle + c3 * f_right)
        totals[5] += width * (a4 * f_left + b4 * f_middle + c4 * f_right)


@part
def tail_free(nodes: F64, start: int, stop: int, b: float, rho: float, m: float, s: float) -> float:
    """Int w phi(z) dz over a run of nodes that hold the curve's NODE_S."""
    for i in range(start, stop):
        k, root = nodes[NODE_K, i], nodes[NODE_S, i]
        x = k - m
        w = root * root
        slope = b * (rho + x / math.sqrt(x * x + s * s))
        z = k / root + 0.5 * root
        dz = 1.0 / root + slope * (0.25 / root - 0.5 * k / (w * root))
        nodes[NODE_TERM, i] = nodes[NODE_WEIGHT, i] * w * dz * exp(-0.5 * z * z)
    total = 0.0
    for i in range(start, stop):
        total += nodes[NODE_TERM, i]
    return total * 0.3989422804014327


@part
def has_negative_density(
    nodes: F64, start: int, stop: int, b: float, rho: float, m: float, s: float
) -> bool:
    """Whether Durrleman's g < 0 at a node that holds the curve's NODE_S."""
    least = 0.0
    for i in range(start, stop):
        k, w = nodes[NODE_K, i], nodes[NODE_S, i] * nodes[NODE_S, i]
        x = k - m
        root = math.sqrt(x * x + s * s)
        slope = b * (rho + x / root)
        curve = b * s * s / (root * root * root)
        bend = 1.0 - 0.5 * k * slope / w
        g = bend * bend - 0.25 * slope * slope * (1.0 / w + 0.25) + 0.5 * curve
        least = min(least, g)
    return least < 0.0


@part
def cap_wing(
    nodes: F64, start: int, stop: int, work: F64, ladder_count: int, place: int, ask_edge: float,
    side: float,
) -> None:  # fmt: skip
    """Keep NODE_PRICE of a wing's nodes below the asks of the strikes beyond the edge.

    Between two asks a price cannot be above their chord in K; beyond the last one a call's
    cannot rise and a put's falls at least as K.

    Args:
        nodes: Columns start <= i < stop, k ascending.
        start: See `nodes`.
        stop: See `nodes`.
        work: CAP and MONEYNESS rows of the ladder; CAP NaN: no ask.
        ladder_count: Strikes of the ladder.
        place: Of the outermost strike in the smile, in the ladder.
        ask_edge: Its ask, in units of the forward.
        side: -1 puts, 1 calls.
    """
    step = 1 if side > 0.0 else -1
    row = place + step
    inner_m, inner_ask = work[MONEYNESS, place], ask_edge
    for number in range(stop - start):
        # Outwards: strikes that one node has behind it, the next one has, too.
        i = start + number if side > 0.0 else stop - 1 - number
        m = 1.0 / nodes[NODE_E, i]
        while 0 <= row < ladder_count:
            strike, ask = work[MONEYNESS, row], work[CAP, row]
            if not math.isnan(ask):
                if (strike - m) * side >= 0.0:
                    break
                inner_m, inner_ask = strike, ask
            row += step
        if 0 <= row < ladder_count:
            outer_m, outer_ask = work[MONEYNESS, row], work[CAP, row]
            cap = inner_ask + (outer_ask - inner_ask) * (m - inner_m) / (outer_m - inner_m)
        else:
            cap = inner_ask if side > 0.0 else inner_ask * m / inner_m
        nodes[NODE_PRICE, i] = min(nodes[NODE_PRICE, i], cap)


@part
def has_caps(work: F64, ladder_count: int, place: int, side: float) -> bool:
    """Whether an unused strike beyond the edge has an ask; arguments as in `cap_wing`."""
    first, last = (place + 1, ladder_count) if side > 0.0 else (0, place)
    for row in range(first, last):  # noqa: SIM110 - numba takes no generators
        if not math.isnan(work[CAP, row]):
            return True
    return False


@part
def wing(
    nodes: F64, smile: F64, work: F64, ladder_count: int, edge: int, side: float,
    a: float, b: float, rho: float, m: float, s: float, totals: F64,
) -> tuple[float, float, float, float]:  # fmt: skip
    """One wing of `full` beyond the outermost strike, twice; half of each goes to `totals`.

    Returns:
        (flat, curve, plain, check): W(1) at the edge's volatility, by the curve, by the curve
        without caps, and the same in the tail-free form.
    """
    k_edge, place = smile[K, edge], int(smile[PLACE, edge])
    s_edge = math.sqrt(svi_variance(a, b, rho, m, s, k_edge))
    # A curve that ends before the edge does not exist: both ends are beyond it.
    far = reach(a, b, rho, m, s, side, TAIL_DEVIATIONS, 0.0, 1e-3)
    far = side * max(abs(far), abs(k_edge) + s_edge)
    low, high = min(k_edge, far), max(k_edge, far)
    curve_stop = lay(nodes, 0, _X24, _W24, low, high)
    far = side * max(TAIL_DEVIATIONS * s_edge, abs(k_edge) + s_edge)
    low, high = min(k_edge, far), max(k_edge, far)
    stop = lay(nodes, curve_stop, _X24, _W24, low, high)
    price_nodes(nodes, 0, curve_stop, a, b, rho, m, s)
    for i in range(curve_stop, stop):
        nodes[NODE_S, i] = s_edge
        nodes[NODE_E, i] = exp(-nodes[NODE_K, i])
    otm_prices(
        nodes[NODE_K, curve_stop:stop], nodes[NODE_S, curve_stop:stop],
        nodes[NODE_PRICE, curve_stop:stop], stop - curve_stop,
    )  # fmt: skip
    plain = weighted_sum(nodes, 0, curve_stop)
    check = tail_free(nodes, 0, curve_stop, b, rho, m, s)
    if has_caps(work, ladder_count, place, side):
        ask_edge = smile[PRICE, edge] + smile[HALF, edge]
        cap_wing(nodes, 0, curve_stop, work, ladder_count, place, ask_edge, side)
        cap_wing(nodes, curve_stop, stop, work, ladder_count, place, ask_edge, side)
    curves, flats = nodes[NODE_TOTALS, 6:12], nodes[NODE_TOTALS, 12:18]
    for i in range(6):
        curves[i] = flats[i] = 0.0
    add_nodes(nodes, 0, curve_stop, curves)
    add_nodes(nodes, curve_stop, stop, flats)
    for i in range(6):
        # Each by its own: what is W(1) here is W(0) of the mirrored chain.
        most = TAIL_CAP * abs(flats[i])
        curves[i] = min(max(curves[i], -most), most)
        totals[i] += 0.5 * (curves[i] + flats[i])
    flat, curve = flats[0], curves[0]
    return flat, curve, plain, check


@part
def core(
    nodes: F64, low: float, high: float, a: float, b: float, rho: float, m: float, s: float,
    totals: F64,
) -> tuple[float, float]:  # fmt: skip
    """The curve between the outermost strikes, 16 nodes a side, into `totals`.

    Returns:
        W(1) and the same in the tail-free form.
    """
    count = lay(nodes, 0, _X16, _W16, low, 0.0)
    count = lay(nodes, count, _X16, _W16, 0.0, high)
    price_nodes(nodes, 0, count, a, b, rho, m, s)
    add_nodes(nodes, 0, count, totals)
    return weighted_sum(nodes, 0, count), tail_free(nodes, 0, count, b, rho, m, s)
