"""Compensated summation: the strip's sum does not depend on how large terms and small ones meet.

Neumaier 1974: like Kahan's sum, but right also when the next term is larger than the sum.
"""

from volgauge.kernels._jit import inlined


@inlined
def add(total: float, lost: float, term: float) -> tuple[float, float]:
    """One step: the rounded sum and what rounding has lost so far; the result is total + lost."""
    raised = total + term
    if abs(total) >= abs(term):
        lost += (total - raised) + term
    else:
        lost += (term - raised) + total
    return raised, lost
