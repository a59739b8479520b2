"""Quotes against their neighbours: METHODOLOGY section 3, rule 2a.

In units of the forward, m = K/F: a put's price over m cannot fall, a call's cannot rise, with m;
and both are convex in m. Bids and asks that break this could be traded against each other. A call
plus m - 1 is the put of the same strike, so convexity is asked across the money too.

A bid above the chord counts 1.5 for its own strike and 1 for each neighbour: a price that is too
high breaks one chord, its own; one that is too low breaks those of both its neighbours, and must
come out of it as the strike with most conflicts (with 0.5 for a neighbour up to four good strikes
went before it).
"""

import math

from volgauge.kernels._jit import F64, inlined, part

# Rows of the work array, one column a strike; NaN in OTM_MID: refused.
MONEYNESS = 6
OTM_BID = 7
OTM_ASK = 8
OTM_MID = 9
CONFLICTS = 10
CAP = 11
"""Ask of the strike's out-of-the-money leg, whatever else is wrong with its quote; NaN none."""

SLACK = 1e-12
"""Absolute, in units of the forward: what rounding may do."""
WEIGHT_MIDDLE = 1.5
WEIGHT_NEIGHBOUR = 1.0


@inlined
def is_put(m: float) -> bool:
    """Puts below the forward, calls from it on (rule 8)."""
    return m < 1.0


@inlined
def put_equivalent(m: float, price: float) -> float:
    """The price itself for a put, the parity put for a call."""
    return price if m < 1.0 else price + (m - 1.0)


@inlined
def order_price(m: float, price: float) -> float:
    """What must not rise outwards: p/m for puts, c for calls."""
    return price / m if m < 1.0 else price


@inlined
def next_accepted(work: F64, start: int, count: int) -> int:
    """First accepted strike at or after `start`, or `count`."""
    i = start
    while i < count and math.isnan(work[OTM_MID, i]):
        i += 1
    return i


@inlined
def breaks_convexity(work: F64, left: int, middle: int, right: int, across: bool) -> bool:
    """Whether the middle bid lies above the chord of its neighbours' asks."""
    m_left, m_middle, m_right = (
        work[MONEYNESS, left],
        work[MONEYNESS, middle],
        work[MONEYNESS, right],
    )
    if not across and is_put(m_left) != is_put(m_right):
        return False
    share = (m_middle - m_left) / (m_right - m_left)
    ask_left = put_equivalent(m_left, work[OTM_ASK, left])
    ask_right = put_equivalent(m_right, work[OTM_ASK, right])
    chord = ask_left + share * (ask_right - ask_left)
    return bool(put_equivalent(m_middle, work[OTM_BID, middle]) > chord + SLACK)


@part
def has_conflict(work: F64, count: int, across: bool) -> bool:
    """Whether any accepted strike conflicts with another; one pass over them."""
    left = middle = -1
    cheapest = math.inf
    for i in range(count):
        if math.isnan(work[OTM_MID, i]):
            continue
        m = work[MONEYNESS, i]
        if m >= 1.0:
            if work[OTM_BID, i] > cheapest + SLACK:
                return True
            cheapest = min(cheapest, work[OTM_ASK, i])
        if left >= 0 and breaks_convexity(work, left, middle, i, across):
            return True
        left, middle = middle, i
    cheapest = math.inf
    for j in range(count):
        i = count - 1 - j
        m = work[MONEYNESS, i]
        if m >= 1.0 or math.isnan(work[OTM_MID, i]):
            continue
        if work[OTM_BID, i] / m > cheapest + SLACK:
            return True
        cheapest = min(cheapest, work[OTM_ASK, i] / m)
    return False


@part
def worst_strike(work: F64, count: int, across: bool) -> int:
    """The accepted strike with most conflicts (tie: the outer), or -1 when there is none."""
    for i in range(count):
        work[CONFLICTS, i] = 0.0
    left = next_accepted(work, 0, count)
    while left < count:
        m_left = work[MONEYNESS, left]
        right = next_accepted(work, left + 1, count)
        third = next_accepted(work, right + 1, count) if right < count else count
        if third < count and breaks_convexity(work, left, right, third, across):
            work[CONFLICTS, right] += WEIGHT_MIDDLE
            work[CONFLICTS, left] += WEIGHT_NEIGHBOUR
            work[CONFLICTS, third] += WEIGHT_NEIGHBOUR
        while right < count:
            m_right = work[MONEYNESS, right]
            if is_put(m_left) == is_put(m_right):
                outer, inner = (left, right) if is_put(m_left) else (right, left)
                bid = order_price(work[MONEYNESS, outer], work[OTM_BID, outer])
                ask = order_price(work[MONEYNESS, inner], work[OTM_ASK, inner])
                if bid > ask + SLACK:
                    work[CONFLICTS, outer] += 1.0
                    work[CONFLICTS, inner] += 1.0
            right = next_accepted(work, right + 1, count)
        left = next_accepted(work, left + 1, count)
    worst = -1
    most = 0.0
    for i in range(count):
        conflicts = work[CONFLICTS, i]
        if conflicts > most or (
            conflicts > 0.0
            and conflicts == most
            and abs(math.log(work[MONEYNESS, i])) > abs(math.log(work[MONEYNESS, worst]))
        ):
            worst, most = i, conflicts
    return worst
