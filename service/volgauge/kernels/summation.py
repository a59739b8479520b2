"""Compensated summation: the strip's sum does not depend on how large terms and small ones meet.

Knuth's two-sum gives the rounding error of an addition exactly, whichever term is larger, without
a branch (Knuth, The Art of Computer Programming, vol. 2, 4.2.2).
"""

from volgauge.kernels._jit import inlined


@inlined
def add(total: float, lost: float, term: float) -> tuple[float, float]:
    """One step: the rounded sum and what rounding has lost so far; the result is total + lost."""
    raised = total + term
    taken = raised - total
    return raised, lost + ((total - (raised - taken)) + (term - taken))
