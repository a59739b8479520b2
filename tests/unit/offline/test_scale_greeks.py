"""Greeks against derivatives of Black-76 taken numerically with 60 digits."""

from typing import Any

import mpmath
import pytest

from volgauge.domain.instrument import OptionKind
from volgauge.offline.scale.greeks import Greeks, black_greeks, black_price

SPOT, CARRY = 60_000.0, 1.03
CASES = [
    pytest.param(kind, strike, years, sigma, id=f"{kind.value}-{strike:.0f}-{years}-{sigma}")
    for kind in OptionKind
    for strike in (25_000.0, 55_000.0, 61_800.0, 90_000.0, 200_000.0)
    for years, sigma in ((0.01, 0.9), (0.25, 0.55), (2.0, 0.4))
]
DISCOUNTS = [pytest.param(1.0, id="quote"), pytest.param(1.0 / CARRY, id="coin")]


def exact(kind: OptionKind, discount: float, strike: float, spot: Any, t: Any, sigma: Any) -> Any:  # noqa: ANN401 - mpmath's
    """D (F N(d1) - K N(d2)), the put likewise, with F = 1.03 S."""
    forward = spot * mpmath.mpf(CARRY)
    s = sigma * mpmath.sqrt(t)
    d1 = mpmath.log(forward / strike) / s + s / 2
    d2 = d1 - s
    if kind is OptionKind.CALL:
        value = forward * mpmath.ncdf(d1) - strike * mpmath.ncdf(d2)
    else:
        value = strike * mpmath.ncdf(-d2) - forward * mpmath.ncdf(-d1)
    return mpmath.mpf(discount) * value


@pytest.mark.parametrize("discount", DISCOUNTS)
@pytest.mark.parametrize(("kind", "strike", "years", "sigma"), CASES)
def test_greeks_are_derivatives(
    kind: OptionKind, strike: float, years: float, sigma: float, discount: float
) -> None:
    """Every Greek to 1e-9 of its size, in its unit."""
    slope = -0.2
    greeks = black_greeks(
        kind,
        spot=SPOT,
        forward=SPOT * CARRY,
        strike=strike,
        years=years,
        sigma=sigma,
        slope=slope,
        discount=discount,
    )

    with mpmath.workdps(60):

        def price(spot: Any, t: Any, vol: Any) -> Any:  # noqa: ANN401 - mpmath's
            return exact(kind, discount, strike, spot, t, vol)

        def moving_smile(spot: Any) -> Any:  # noqa: ANN401 - mpmath's
            moved = mpmath.mpf(sigma) - slope * mpmath.log(spot / SPOT)
            return price(spot, mpmath.mpf(years), moved)

        at = (mpmath.mpf(SPOT), mpmath.mpf(years), mpmath.mpf(sigma))
        expected = {
            "value": price(*at),
            "delta": mpmath.diff(price, at, (1, 0, 0)),
            "smile_delta": mpmath.diff(moving_smile, at[0]),
            "gamma": mpmath.diff(price, at, (2, 0, 0)) * SPOT / 100,
            "vega": mpmath.diff(price, at, (0, 0, 1)) / 100,
            "theta": -mpmath.diff(price, at, (0, 1, 0)) / 365,
            "vanna": mpmath.diff(price, at, (1, 0, 1)) / 100,
            "volga": mpmath.diff(price, at, (0, 0, 2)) / 10_000,
        }
    for name, number in expected.items():
        size = SPOT if name == "value" else 1.0
        assert getattr(greeks, name) == pytest.approx(float(number), rel=1e-9, abs=1e-14 * size)


def test_no_deviation_leaves_the_intrinsic_value() -> None:
    """Calls and puts, in and out of the money."""
    assert black_price(OptionKind.CALL, 100.0, 90.0, 0.0) == 10.0
    assert black_price(OptionKind.CALL, 100.0, 110.0, 0.0) == 0.0
    assert black_price(OptionKind.PUT, 100.0, 110.0, 0.0) == 10.0


def test_sums_and_multiples() -> None:
    """Every Greek by itself; nothing short is 0, not -0."""
    one = Greeks(value=1.0, delta=2.0, vega=4.0)

    assert one + one * -3.0 == Greeks(value=-2.0, delta=-4.0, vega=-8.0)
    assert str((one * -3.0).gamma) == "0.0"
