"""The price of a strike from both its legs: METHODOLOGY rule 8.

    p_x = in-the-money mid moved over by parity: c - (1 - m) for a put, p + (1 - m) for a call
    w   = h_o^2 / (h_o^2 + max(h_o, h_x)^2) / 2
    d   = p_x - p_o
    p   = p_o + w d clip(2 - 2 |d| / (h_o + h_x), 0, 1)

o the out-of-the-money leg, x the other; m = K/F; prices p and half-spreads h in units of F. Mids
whose errors grow with their spreads have weights by the inverse squares of these; of that the leg
in the money gets half. Three limits stand against a quote that is wrong, or meant to be:

- w <= 1/4: who narrows the in-the-money quote gains no more weight than its partner's spread gives.
- Two quotes whose intervals have no price in common contradict each other, and nobody knows which
  of them is wrong: there the other one has no say. Its share falls from half of that distance on,
  which is 2.5 standard deviations of d where mids are off by a quarter of their half-spreads.
- |p - p_o| <= h_o / 4, so p stays well inside the bid and the ask out of the money. It follows from
  both: |d| clip(...) <= (h_o + h_x) / 2, and with h_x = r h_o that is
  w (h_o + h_x) = h_o (1 + r) / (1 + max(1, r)^2) / 2 <= h_o / 2.
"""

from volgauge.kernels._jit import inlined

OTHER_SHARE = 0.5
"""Of the weight that the spreads would give. All of it takes little more noise off a listed strike
(p95 of 0.0187 instead of 0.0191 and of 0.0596 instead of 0.0629 points on made-up boards), and one
far put touched then moves recorded chains by up to 0.204 points instead of 0.192."""
FULL_SAY = 0.5
"""Of the distance from which on the in-the-money leg has no say: where its share begins to fall."""


@inlined
def strike_price(m: float, mid: float, half: float, other_mid: float, other_half: float) -> float:
    """Mid of the out-of-the-money leg, moved towards what the in-the-money leg says.

    Args:
        m: K/F > 0; the put is out of the money below 1, the call from 1 on.
        mid: Of the out-of-the-money leg, units of the forward.
        half: Its half-spread > 0.
        other_mid: Of the in-the-money leg; NaN: refused or absent, then `mid` stands.
        other_half: Its half-spread > 0.

    Returns:
        Units of the forward; `mid` +- `half` / 4 at most.
    """
    apart = (other_mid - (1.0 - m) if m < 1.0 else other_mid + (1.0 - m)) - mid
    sum_of_halves = half + other_half
    # NaN compares false, so a leg that is not there leaves the mid alone.
    if not abs(apart) < sum_of_halves:
        return mid
    wider = max(half, other_half)
    weight = OTHER_SHARE * half * half / (half * half + wider * wider)
    share = min((1.0 - abs(apart) / sum_of_halves) / (1.0 - FULL_SAY), 1.0)
    price = mid + weight * share * apart
    # A price outside the static bounds has no volatility.
    return price if price < min(1.0, m) else mid
