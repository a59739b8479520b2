"""Covariance of two paths that are seen at different instants, at every lag of a grid.

HY(lag) = Sum_ij dx_i dy_j 1{ I_i and J_j - lag overlap }
I_i = (s_{i-1}, s_i], J_j = (t_{j-1}, t_j]

Hayashi and Yoshida 2005; with a lag: Hoffmann, Rosenbaum and Yoshida 2013. The inner sum
telescopes to one difference of y, so a lag costs one walk through both paths, not their product.
"""

import numpy as np

from volgauge.kernels._jit import F64, I64, kernel


@kernel
def scan_lags(
    x_ns: I64, x_path: F64, y_ns: I64, y_path: F64, step_ns: int, covariances: F64
) -> None:
    """Compute HY at the lags -r..r steps; at a positive lag y repeats what x did before.

    Args:
        x_ns: (n,) instants, ascending.
        x_path: (n,) level of x there; the changes are its differences.
        y_ns: (m,) instants, ascending.
        y_path: (m,) level of y.
        step_ns: Distance of two lags, ns.
        covariances: (2 r + 1,) takes HY, units of x times y; the middle is lag zero. NaN when a
            path has no point.
    """
    n = x_ns.shape[0]
    last = y_ns.shape[0] - 1
    reach = covariances.shape[0] // 2
    if n == 0 or last < 0:
        covariances[:] = np.nan
        return
    for row in range(covariances.shape[0]):
        lag_ns = (row - reach) * step_ns
        total = 0.0
        j = 0
        x_before = x_path[0]
        y_before = y_path[0]
        for i in range(n):
            at_ns = x_ns[i] + lag_ns
            while j < last and y_ns[j] < at_ns:
                j += 1
            # The J that overlap I_i end at the first t at or after it and begin at the last t at
            # or before its start.
            total += (x_path[i] - x_before) * (y_path[j] - y_before)
            x_before = x_path[i]
            y_before = y_path[j - 1] if y_ns[j] > at_ns and j > 0 else y_path[j]
        covariances[row] = total


def warm_up() -> None:
    """Call the kernel once with the types of production."""
    instants = np.zeros(1, np.int64)
    path = np.zeros(1)
    scan_lags(instants, path, instants, path, 1, np.zeros(1))
