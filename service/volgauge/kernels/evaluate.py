"""One option book in one call: every expiry that changed, by every rule that is asked for.

The call has three parts: expiries whose flag is raised (or whose quotes came of age) are computed;
expiries without a forward of their own borrow one from their neighbours (METHODOLOGY rule 7);
what depends on the clock alone is renewed for all.
"""

import math

import numpy as np

from volgauge.kernels._jit import F64, I64, U8, kernel, part
from volgauge.kernels.integral import NODE_COUNT, NODE_ROWS
from volgauge.kernels.layout import (
    CBOE,
    CELL,
    DUE_NS,
    DVOL,
    ELIGIBLE,
    EVERY,
    EXPIRY_NS,
    F_FORWARD,
    F_FUTURE_GAP,
    F_PARITY_GAP,
    FACT_COLUMNS,
    FIRST,
    FLAGS,
    FORWARD,
    FROZEN,
    FUTURE,
    INPUT_COLUMNS,
    LADDER_COLUMNS,
    LAST,
    MEMORY_COLUMNS,
    METHODS,
    MINUTES,
    N_NO_FORWARD,
    N_NO_INSTRUMENTS,
    N_NO_QUOTES,
    NATIVE,
    NEWEST_NS,
    OWN_FORWARD,
    PAIRS,
    PARITY_GAP,
    PLAN_COLUMNS,
    QUALIFIED,
    QUOTE_COLUMNS,
    RATE,
    REASON,
    REVISION,
    STRIKES,
    T_YEARS,
    TOTAL_VARIANCE,
    VALUE_COLUMNS,
)
from volgauge.kernels.native import estimate
from volgauge.kernels.parity import (
    FEWEST_PAIRS,
    load_expiry,
    parity_forward,
)
from volgauge.kernels.replication import (
    WORK_ROWS,
    accept_legs,
    strip_cboe,
    strip_dvol,
)
from volgauge.kernels.shape import scratch_size
from volgauge.kernels.smile import SMILE_ROWS

NANOS_PER_MINUTE = 60_000_000_000
MINUTES_PER_YEAR = 525_600.0
NANOS_PER_YEAR = 365.0 * 86_400.0 * 1e9
SHORTEST_NATIVE_NS = 2 * 86_400 * 1_000_000_000
"""METHODOLOGY rule 9: tau >= 2 d."""
LARGEST_FUTURE_GAP = 0.003


@part
def borrowed_forward(plan: I64, values: F64, expiry: int, now_ns: int) -> float:
    """Interpolate ln F in time between the nearest expiries that have one; NaN without both."""
    before = expiry - 1
    while before >= 0 and not (
        plan[before, EXPIRY_NS] > now_ns and values[NATIVE, before, OWN_FORWARD] > 0.0
    ):
        before -= 1
    after = expiry + 1
    last = plan.shape[0]
    while after < last and not values[NATIVE, after, OWN_FORWARD] > 0.0:
        after += 1
    if before < 0 or after >= last:
        return math.nan
    span = plan[after, EXPIRY_NS] - plan[before, EXPIRY_NS]
    share = (plan[expiry, EXPIRY_NS] - plan[before, EXPIRY_NS]) / span
    low, high = values[NATIVE, before, OWN_FORWARD], values[NATIVE, after, OWN_FORWARD]
    return float(low * math.exp(share * math.log(high / low)))


@part
def forget(values: F64, facts: I64, method: int, expiry: int, reason: int) -> None:
    """Empty one row: not computable, for `reason`."""
    for column in range(VALUE_COLUMNS):
        values[method, expiry, column] = math.nan
    for column in range(FACT_COLUMNS):
        facts[method, expiry, column] = 0
    facts[method, expiry, REASON] = reason


@part
def compute_expiry(
    quotes: F64,
    stamps: I64,
    plan: I64,
    inputs: F64,
    ladder: F64,
    work: F64,
    memory: F64,
    smile: F64,
    lanes: F64,
    nodes: F64,
    values: F64,
    facts: I64,
    coin: bool,
    mask: int,
    now_ns: int,
    expiry: int,
    borrowed: float,
) -> None:
    """All rules of one expiry; `borrowed` is the neighbours' forward, NaN when not (yet) asked."""
    plan[expiry, REVISION] += 1
    rows = ladder[plan[expiry, FIRST] : plan[expiry, LAST]]
    future = inputs[expiry, FUTURE]
    if mask & ((1 << NATIVE) | (1 << DVOL)):
        # The parity forward serves both, so its row is NATIVE's also when only `dvol` is asked.
        forget(values, facts, NATIVE, expiry, N_NO_FORWARD)
        value, fact = values[NATIVE, expiry], facts[NATIVE, expiry]
        pairs, row0, row1, row2 = load_expiry(quotes, stamps, rows, work, coin, fact)
        forward, gap = parity_forward(rows, work, coin, pairs, row0, row1, row2)
        plan[expiry, DUE_NS] = 0
        if pairs >= FEWEST_PAIRS:
            value[PARITY_GAP] = gap
            if gap != 0.0:
                fact[FLAGS] |= F_PARITY_GAP
            if abs(forward / future - 1.0) > LARGEST_FUTURE_GAP:
                fact[FLAGS] |= F_FUTURE_GAP
            value[OWN_FORWARD] = forward
        else:
            fact[FLAGS] |= F_FORWARD
            forward = future
            value[OWN_FORWARD] = future
            if math.isnan(forward):
                forward = borrowed
        if mask & (1 << NATIVE) and forward > 0.0:
            plan[expiry, DUE_NS] = accept_legs(
                quotes,
                stamps,
                rows,
                work,
                coin,
                forward,
                now_ns,
                fact,
                pairs >= FEWEST_PAIRS,
            )
            estimate(
                rows,
                work,
                smile,
                lanes,
                nodes,
                memory[expiry],
                mask & FROZEN != 0,
                forward,
                value,
                fact,
            )
        if mask & (1 << DVOL):
            forget(values, facts, DVOL, expiry, N_NO_FORWARD)
            facts[DVOL, expiry, NEWEST_NS] = fact[NEWEST_NS]
            facts[DVOL, expiry, PAIRS] = pairs
            chosen = future if future > 0.0 else forward
            if not future > 0.0:
                facts[DVOL, expiry, FLAGS] = fact[FLAGS] & (F_FORWARD | F_PARITY_GAP)
            if chosen > 0.0:
                strip_dvol(
                    quotes,
                    rows,
                    work,
                    coin,
                    chosen,
                    values[DVOL, expiry],
                    facts[DVOL, expiry],
                )
            if fact[REASON] == N_NO_QUOTES and facts[DVOL, expiry, STRIKES] == 0:
                facts[DVOL, expiry, REASON] = N_NO_QUOTES
    if mask & (1 << CBOE):
        forget(values, facts, CBOE, expiry, N_NO_FORWARD)
        minutes = (plan[expiry, EXPIRY_NS] - now_ns) // NANOS_PER_MINUTE
        strip_cboe(
            quotes,
            rows,
            work,
            coin,
            inputs[expiry, RATE],
            minutes,
            values[CBOE, expiry],
            facts[CBOE, expiry],
        )


@kernel
def evaluate_expiries(
    quotes: F64,
    stamps: I64,
    dirty: U8,
    plan: I64,
    inputs: F64,
    ladder: F64,
    work: F64,
    memory: F64,
    smile: F64,
    lanes: F64,
    nodes: F64,
    values: F64,
    facts: I64,
    coin: bool,
    mask: int,
    now_ns: int,
) -> int:
    """Bring `values` and `facts` up to the state of the book at `now_ns`.

    Args:
        quotes: (capacity, QUOTE_COLUMNS); FORWARD_REF is written back.
        stamps: The same memory as int64.
        dirty: (cells,) flags; those of the expiries here are lowered.
        plan: (expiries, PLAN_COLUMNS), ascending; DUE_NS and REVISION are written back.
        inputs: (expiries, INPUT_COLUMNS).
        ladder: (strikes, LADDER_COLUMNS); verdicts are written back.
        work: (WORK_ROWS, longest ladder) scratch.
        memory: (expiries, MEMORY_COLUMNS), NaN before the first search; written by a search.
        smile: (SMILE_ROWS, longest ladder) scratch.
        lanes: (scratch_size(longest ladder),) scratch.
        nodes: (NODE_ROWS, NODE_COUNT) scratch.
        values: (METHODS, expiries, VALUE_COLUMNS), NaN not computable.
        facts: (METHODS, expiries, FACT_COLUMNS).
        coin: Premium in the coin; else in the quote currency.
        mask: Bit m: compute method m; EVERY: all expiries, dirty or not; FROZEN: no search.
        now_ns: The instant; expiries at or before it have no value.

    Returns:
        How many expiries were computed.
    """
    computed = 0
    expiries = plan.shape[0]
    for expiry in range(expiries):
        cell = plan[expiry, CELL]
        if plan[expiry, EXPIRY_NS] <= now_ns:
            if dirty[cell] != 0 or facts[NATIVE, expiry, REASON] != N_NO_INSTRUMENTS:
                dirty[cell] = 0
                plan[expiry, DUE_NS] = 0
                plan[expiry, REVISION] += 1
                for method in range(METHODS):
                    forget(values, facts, method, expiry, N_NO_INSTRUMENTS)
            continue
        due_ns = plan[expiry, DUE_NS]
        clocked = mask & ((1 << CBOE) | EVERY) != 0 or (due_ns != 0 and due_ns <= now_ns)
        if dirty[cell] == 0 and not clocked:
            continue
        dirty[cell] = 0
        compute_expiry(
            quotes, stamps, plan, inputs, ladder, work, memory, smile, lanes, nodes, values, facts,
            coin, mask, now_ns, expiry, math.nan,
        )  # fmt: skip
        computed += 1
    if mask & ((1 << NATIVE) | (1 << DVOL)):
        for expiry in range(expiries):
            if plan[expiry, EXPIRY_NS] <= now_ns or values[NATIVE, expiry, OWN_FORWARD] > 0.0:
                continue
            borrowed = borrowed_forward(plan, values, expiry, now_ns)
            known = values[NATIVE if mask & (1 << NATIVE) else DVOL, expiry, FORWARD]
            if borrowed == known or (math.isnan(borrowed) and math.isnan(known)):
                continue
            compute_expiry(
                quotes, stamps, plan, inputs, ladder, work, memory, smile, lanes, nodes, values,
                facts, coin, mask, now_ns, expiry, borrowed,
            )  # fmt: skip
    for expiry in range(expiries):
        left_ns = plan[expiry, EXPIRY_NS] - now_ns
        for method in range(METHODS):
            if not mask & (1 << method):
                continue
            minutes = left_ns // NANOS_PER_MINUTE
            facts[method, expiry, MINUTES] = minutes
            if method == CBOE:
                values[method, expiry, T_YEARS] = minutes / MINUTES_PER_YEAR
            else:
                values[method, expiry, T_YEARS] = left_ns / NANOS_PER_YEAR
            eligible = facts[method, expiry, QUALIFIED] != 0
            if method == NATIVE and left_ns < SHORTEST_NATIVE_NS:
                eligible = False
            if not values[method, expiry, TOTAL_VARIANCE] > 0.0:
                eligible = False
            facts[method, expiry, ELIGIBLE] = 1 if eligible else 0
    return computed


def warm_up() -> None:
    """Call the kernel once with the types of production and nothing to compute."""
    quotes = np.full((1, QUOTE_COLUMNS), np.nan)
    evaluate_expiries(
        quotes,
        quotes.view(np.int64),
        np.zeros(1, np.uint8),
        np.zeros((0, PLAN_COLUMNS), np.int64),
        np.zeros((0, INPUT_COLUMNS)),
        np.zeros((0, LADDER_COLUMNS)),
        np.zeros((WORK_ROWS, 1)),
        np.zeros((0, MEMORY_COLUMNS)),
        np.zeros((SMILE_ROWS, 1)),
        np.zeros(scratch_size(1)),
        np.zeros((NODE_ROWS, NODE_COUNT)),
        np.zeros((METHODS, 0, VALUE_COLUMNS)),
        np.zeros((METHODS, 0, FACT_COLUMNS), np.int64),
        True,  # noqa: FBT003 - kernels take no keywords
        0,
        0,
    )
