"""The exchanges' rules once more, written plainly and slowly from their text; no shared code."""

from collections.abc import Sequence
from math import exp, fsum, inf, isnan, log, nan, sqrt

from scipy.optimize import brentq
from scipy.special import ndtr

from volgauge.domain.instrument import OptionKind
from volgauge.offline.chain import ChainQuote


def _N(x: float) -> float:  # noqa: N802 - the field's name
    return float(ndtr(x))


def mid(quote: ChainQuote | None) -> float:
    """Mean of two sides above zero, else NaN."""
    if quote is None or not (quote.bid > 0.0 and quote.ask > 0.0):
        return nan
    return (quote.bid + quote.ask) / 2.0


def by_strike(quotes: Sequence[ChainQuote], kind: OptionKind) -> dict[float, ChainQuote]:
    """Quotes of one side by strike."""
    return {q.strike: q for q in quotes if q.kind is kind}


def widths(strikes: Sequence[float]) -> list[float]:
    """Half the distance of the neighbours; at the ends the full distance to the one."""
    last = len(strikes) - 1
    return [
        strikes[1] - strikes[0]
        if i == 0
        else strikes[last] - strikes[last - 1]
        if i == last
        else (strikes[i + 1] - strikes[i - 1]) / 2.0
        for i in range(last + 1)
    ]


def strip(prices: dict[float, float], forward: float, base: float, growth: float = 1.0) -> float:
    """Total variance of out-of-the-money prices in quote currency."""
    strikes = sorted(prices)
    terms = [
        width / strike**2 * growth * prices[strike]
        for strike, width in zip(strikes, widths(strikes), strict=True)
    ]
    return 2.0 * fsum(terms) - (forward / base - 1.0) ** 2


def cboe(
    quotes: Sequence[ChainQuote], rate: float, minutes: int
) -> tuple[float, float, list[float]]:
    """(forward, total variance, strikes used) of one expiry, premiums in quote currency."""
    growth = exp(rate * minutes / 525_600)
    calls, puts = by_strike(quotes, OptionKind.CALL), by_strike(quotes, OptionKind.PUT)
    strikes = sorted(set(calls) | set(puts))
    closest, forward = inf, nan
    for strike in strikes:
        difference = mid(calls.get(strike)) - mid(puts.get(strike))
        if abs(difference) < closest:
            closest, forward = abs(difference), strike + growth * difference
    base = max(strike for strike in strikes if strike <= forward)
    call, put = calls[base], puts[base]
    prices = {base: (call.bid + call.ask + put.bid + put.ask) / 4.0}
    for side, chain in ((-1, puts), (1, calls)):
        misses = 0
        for strike in sorted(chain, key=lambda k: side * k):
            if side * (strike - base) <= 0.0:
                continue
            price = mid(chain[strike])
            misses = misses + 1 if isnan(price) else 0
            if misses == 2:
                break
            if misses == 0:
                prices[strike] = price
    return forward, strip(prices, forward, base, growth), sorted(prices)


def implied(kind: OptionKind, moneyness: float, price: float) -> float:
    """Sigma sqrt(t) of a price in units of the forward, by bisection-like root finding."""
    k = log(moneyness)

    def miss(s: float) -> float:
        d1 = -k / s + s / 2.0
        if kind is OptionKind.CALL:
            return _N(d1) - moneyness * _N(d1 - s) - price
        return moneyness * _N(s - d1) - _N(-d1) - price

    return float(brentq(miss, 1e-7, 12.0, xtol=1e-15, rtol=1e-14))


def delta(kind: OptionKind, moneyness: float, price: float) -> float:
    """Absolute forward delta of a price in units of the forward."""
    s = implied(kind, moneyness, price)
    d1 = -log(moneyness) / s + s / 2.0
    return _N(d1) if kind is OptionKind.CALL else _N(-d1)


def dvol(quotes: Sequence[ChainQuote], forward: float) -> tuple[float, list[float]]:
    """(total variance, strikes used) of one expiry, premiums in the coin."""
    calls, puts = by_strike(quotes, OptionKind.CALL), by_strike(quotes, OptionKind.PUT)
    strikes = sorted(set(calls) | set(puts))
    base = max(strike for strike in strikes if strike <= forward)
    prices = {}
    for strike in strikes:
        kind = OptionKind.PUT if strike <= base else OptionKind.CALL
        quote = (puts if strike <= base else calls).get(strike)
        if quote is None:
            continue
        price = mid(quote)
        if isnan(price) and quote.mark > 0.0:
            price = quote.mark
        if isnan(price):
            continue
        gauge = quote.mark if quote.mark > 0.0 else price
        if delta(kind, strike / forward, gauge) < 0.05:
            continue
        prices[strike] = price * forward
        if strike == base:
            prices[strike] = (price + mid(calls[base])) / 2.0 * forward
    return strip(prices, forward, base), sorted(prices)


def points(near: float, far: float, t_near: float, t_far: float, tenor: float) -> float:
    """Volatility points of a tenor, total variance linear in time."""
    w = (near * (t_far - tenor) + far * (tenor - t_near)) / (t_far - t_near)
    return 100.0 * sqrt(w / tenor)
