"""What every strike adds to the total variance of one expiry.

`native`   W = 2 Int p_fit e^{-k} dk + 2 Int r e^{-k} dk over the corridor: of the curve a strike
           has the part nearer to it than to any other used strike (in k), of the residual its hat
           function; what lies beyond the outermost strike is told apart
`dvol`     2 F dK / K^2 Q(K), and at K0 also -(F/K0 - 1)^2

Sources: METHODOLOGY section 2 (`dvol`) and rule 11.
"""

from itertools import pairwise
from math import erfc, exp, isnan, log, nan, sqrt

import numpy as np
from msgspec import Struct

from volgauge.domain.instrument import OptionKind
from volgauge.kernels import layout as col
from volgauge.surface.surface import Surface

_NODES, _WEIGHTS = (x.tolist() for x in np.polynomial.legendre.leggauss(20))


class Contribution(Struct, frozen=True):
    """One strike's part of an expiry's total variance."""

    strike: float
    kind: OptionKind
    """The out-of-the-money leg; at K0 of `dvol` the put stands for both."""
    bid: float
    """Of that leg, premium unit; NaN absent."""
    ask: float
    fit: float
    """The curve's part between the outermost strikes; for `dvol` all of it."""
    residual: float
    """What the quotes say beside the curve."""
    extrapolation: float
    """The curve's part beyond the outermost strike."""

    @property
    def total(self) -> float:
        """All of it."""
        return self.fit + self.residual + self.extrapolation


def contributions(surface: Surface, method: int, row: int) -> list[Contribution]:
    """Every used strike of one expiry, ascending; they sum to its total variance.

    Args:
        surface: After its evaluation.
        method: `layout.NATIVE` or `layout.DVOL`.
        row: Of the expiry.

    Returns:
        Nothing for an expiry without a variance.
    """
    if isnan(surface.values[method, row, col.TOTAL_VARIANCE]):
        return []
    return _native(surface, row) if method == col.NATIVE else _strip(surface, row)


def otm_price(k: float, s: float) -> float:
    """Out-of-the-money price in units of the forward; s = sigma sqrt(t) > 0.

    A put for k < 0, else a call.
    """
    sign = 1.0 if k >= 0.0 else -1.0
    d1 = -k / s + 0.5 * s
    d2 = d1 - s
    half = sqrt(0.5)
    return sign * 0.5 * (erfc(-sign * d1 * half) - exp(k) * erfc(-sign * d2 * half))


def _native(surface: Surface, row: int) -> list[Contribution]:
    values: list[float] = surface.values[col.NATIVE, row].tolist()
    forward, total = values[col.FORWARD], values[col.TOTAL_VARIANCE]
    low, high = values[col.CORRIDOR_LOW], values[col.CORRIDOR_HIGH]
    used = [line for line in _ladder(surface, row) if not isnan(line[col.RESIDUAL])]
    k = [log(line[col.STRIKE] / forward) for line in used]
    residuals = _hats(k, [line[col.RESIDUAL] for line in used], low, high)
    middles = [0.5 * (left + right) for left, right in pairwise(k)]
    fits, beyonds = [], []
    for left, right in pairwise([low, *(min(max(x, low), high) for x in middles), high]):
        fits.append(_curve(values, max(left, k[0]), min(right, k[-1])))
        beyonds.append(
            _curve(values, left, min(right, k[0])) + _curve(values, max(left, k[-1]), right)
        )
    # The kernel's quadrature is over the whole corridor: the cells share its rounding.
    whole = sum(fits) + sum(beyonds)
    scale = (total - sum(residuals)) / whole if whole > 0.0 else nan
    return [
        _part(
            surface,
            line,
            is_put=line[col.STRIKE] < forward,
            fit=scale * fit,
            residual=residual,
            extrapolation=scale * beyond,
        )
        for line, fit, residual, beyond in zip(used, fits, residuals, beyonds, strict=True)
    ]


def _curve(values: list[float], left: float, right: float) -> float:
    """2 Int p_fit e^{-k} dk; the price has a kink at k = 0."""
    if left >= right:
        return 0.0
    if left < 0.0 < right:
        return _curve(values, left, 0.0) + _curve(values, 0.0, right)
    a, b, rho = values[col.SVI_A], values[col.SVI_B], values[col.SVI_RHO]
    m, s = values[col.SVI_M], values[col.SVI_S]
    half, middle = 0.5 * (right - left), 0.5 * (left + right)
    total = 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        k = middle + half * node
        x = k - m
        w = a + b * (rho * x + sqrt(x * x + s * s))
        total += weight * otm_price(k, sqrt(w)) * exp(-k)
    return 2.0 * half * total


def _hats(k: list[float], residuals: list[float], low: float, high: float) -> list[float]:
    """2 r_j Int hat_j e^{-k} dk over the corridor, in closed form."""
    parts = [0.0] * len(k)
    for j in range(len(k) - 1):
        start, stop = max(k[j], low), min(k[j + 1], high)
        if start >= stop:
            continue
        width = k[j + 1] - k[j]
        for place, ends in (
            (j, ((k[j + 1] - start) / width, (k[j + 1] - stop) / width)),
            (j + 1, ((start - k[j]) / width, (stop - k[j]) / width)),
        ):
            slope = (ends[1] - ends[0]) / (stop - start)
            e_start, e_stop = exp(-start), exp(-stop)
            integral = ends[0] * e_start - ends[1] * e_stop + slope * (e_start - e_stop)
            parts[place] += 2.0 * residuals[place] * integral
    return parts


def _strip(surface: Surface, row: int) -> list[Contribution]:
    values: list[float] = surface.values[col.DVOL, row].tolist()
    forward, k_zero = values[col.FORWARD], values[col.K_ZERO]
    scale = 1.0 if surface.is_coin else 1.0 / forward
    kept: list[tuple[list[float], bool, float]] = []
    for line in _ladder(surface, row):
        is_put = line[col.STRIKE] <= k_zero
        leg = col.PUT if is_put else col.CALL
        if line[col.CALL_SLOT + leg] < 0 or line[col.CODE + 2 * col.DVOL + leg] != col.USED:
            continue
        price = _price(surface, int(line[col.CALL_SLOT + leg])) * scale
        if line[col.STRIKE] == k_zero:
            price = _at_k_zero(surface, line, price, k_zero / forward, scale)
        kept.append((line, is_put, price))
    strikes = [line[col.STRIKE] for line, _, _ in kept]
    parts = []
    for j, (line, is_put, price) in enumerate(kept):
        left, right = max(j - 1, 0), min(j + 1, len(kept) - 1)
        width = strikes[right] - strikes[left]
        if 0 < j < len(kept) - 1:
            width *= 0.5
        part = 2.0 * forward * width / (strikes[j] * strikes[j]) * price
        if strikes[j] == k_zero:
            part -= (forward / k_zero - 1.0) ** 2
        parts.append(_part(surface, line, is_put=is_put, fit=part, residual=0.0, extrapolation=0.0))
    return parts


def _at_k_zero(surface: Surface, line: list[float], put: float, m: float, scale: float) -> float:
    """The mean of put and call; of one alone, that and its parity partner."""
    call = nan
    if line[col.CALL_SLOT] >= 0:
        call = _price(surface, int(line[col.CALL_SLOT])) * scale
    if isnan(put):
        put = call - (1.0 - m)
    return put + 0.5 * (1.0 - m) if isnan(call) else 0.5 * (put + call)


def _price(surface: Surface, slot: int) -> float:
    """Mid of a two-sided quote, else the mark, else NaN."""
    quote = surface.table.quotes[slot].tolist()
    bid, ask, mark = quote[col.BID], quote[col.ASK], quote[col.MARK]
    if bid > 0.0 and ask > 0.0:
        return float(0.5 * (bid + ask))
    return float(mark) if mark > 0.0 else nan


def _ladder(surface: Surface, row: int) -> list[list[float]]:
    first, last = surface.plan[row, col.FIRST], surface.plan[row, col.LAST]
    lines: list[list[float]] = surface.ladder[first:last].tolist()
    return lines


def _part(
    surface: Surface,
    line: list[float],
    *,
    is_put: bool,
    fit: float,
    residual: float,
    extrapolation: float,
) -> Contribution:
    slot = int(line[col.PUT_SLOT if is_put else col.CALL_SLOT])
    quote = surface.table.quotes[slot].tolist() if slot >= 0 else [nan, nan]
    return Contribution(
        strike=line[col.STRIKE],
        kind=OptionKind.PUT if is_put else OptionKind.CALL,
        bid=quote[col.BID],
        ask=quote[col.ASK],
        fit=fit,
        residual=residual,
        extrapolation=extrapolation,
    )
