"""How much of each index's future variance comes from shocks of the others (Diebold-Yilmaz).

VAR(2) with a constant on ln(index) every five minutes, at most the last 7 days; generalised
variance decomposition over 12 steps, rows normalised.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from volgauge.domain.analytics import Lack, SpilloverReading
from volgauge.domain.instrument import Asset
from volgauge.domain.units import NANOS_PER_MINUTE
from volgauge.kernels._jit import F64, I64

SLOT_NS = 5 * NANOS_PER_MINUTE
ROWS = 2016
"""Slots of 7 days."""

LAGS = 2
STEPS = 12
MIN_ROWS = 288
"""A day of rows whose two predecessors are there too: with 8 assets 17 rows a coefficient."""

MIN_PRESENCE = 0.8
"""An asset takes part when it has at least this share of the slots of the fullest one: a newcomer
does not cut the history of all."""

MIN_RANGE = 1e-9
"""Of ln(index) over the window, below which an asset is called constant."""

MAX_AGE_NS = 60 * NANOS_PER_MINUTE
"""A result is not told longer than this."""


class SpilloverJob(NamedTuple):
    """What a decomposition is computed from; the array is read-only."""

    assets: tuple[Asset, ...]
    levels: F64
    """(ROWS, assets): ln(index) every 5 minutes; NaN where there is none."""
    at_ns: int


class SpilloverState:
    """The 5-minute history of all assets, and the newest decomposition."""

    def __init__(self) -> None:
        self._levels: dict[Asset, F64] = {}
        self._slots: dict[Asset, I64] = {}
        self._reading: SpilloverReading | None = None
        self._lack = Lack.TOO_LITTLE_HISTORY

    def add(self, slot: int, levels: Mapping[Asset, float]) -> None:
        """Take ln(index) at `slot` times 5 minutes, of the assets that have one."""
        for asset, level in levels.items():
            self.seed(asset, np.asarray([slot]), np.asarray([level]))

    def seed(self, asset: Asset, slots: I64, levels: F64) -> None:
        """Take (n,) levels at (n,) ascending slots; what is older than the 7 days is left out."""
        if asset not in self._levels:
            self._levels[asset] = np.zeros(ROWS)
            self._slots[asset] = np.full(ROWS, -1, np.int64)
        slots, levels = slots[-ROWS:], levels[-ROWS:]
        is_newer = self._slots[asset][slots % ROWS] < slots
        slots, levels = slots[is_newer], levels[is_newer]
        self._levels[asset][slots % ROWS] = levels
        self._slots[asset][slots % ROWS] = slots

    def job(self, now_ns: int) -> SpilloverJob | None:
        """Freeze what a decomposition needs; None when too little, and `reading` tells why."""
        slots = now_ns // SLOT_NS + np.arange(1 - ROWS, 1)
        rows = slots % ROWS
        columns = {
            asset: np.where(self._slots[asset][rows] == slots, self._levels[asset][rows], np.nan)
            for asset in sorted(self._levels)
        }
        fullest = max((_present(column) for column in columns.values()), default=0)
        lasting = [a for a, c in columns.items() if _present(c) >= max(MIN_PRESENCE * fullest, 1)]
        moving = [a for a in lasting if np.nanmax(columns[a]) - np.nanmin(columns[a]) > MIN_RANGE]
        if len(moving) < 2:
            short = len(lasting) < 2 or fullest < MIN_ROWS
            self._refuse(Lack.TOO_LITTLE_HISTORY if short else Lack.NO_VARIATION)
            return None
        levels = np.column_stack([columns[asset] for asset in moving])
        if np.count_nonzero(_usable(levels)) < MIN_ROWS:
            self._refuse(Lack.TOO_LITTLE_HISTORY)
            return None
        levels.setflags(write=False)
        return SpilloverJob(tuple(moving), levels, now_ns)

    def take(self, reading: SpilloverReading) -> None:
        """Accept a finished decomposition."""
        self._reading = reading
        self._lack = Lack.NO_VARIATION if reading.total is None else Lack.TOO_LITTLE_HISTORY

    def reading(self, now_ns: int) -> SpilloverReading | Lack:
        """The newest decomposition, or why there is none."""
        reading = self._reading
        if reading is None or reading.total is None or now_ns - reading.at_ns > MAX_AGE_NS:
            return self._lack
        return reading

    def _refuse(self, lack: Lack) -> None:
        self._reading = None
        self._lack = lack


def compute_spillover(job: SpilloverJob) -> SpilloverReading:
    """Fit the VAR and decompose its forecast error variance; pure, takes milliseconds.

    theta_ij = s_jj^{-1} Sum_h (e_i' A_h S e_j)^2 / Sum_h e_i' A_h S A_h' e_i, h = 0..11; rows are
    scaled to 100. From others: the row without its diagonal; to others: the column without it;
    net: to less from; total: the mean of from.

    Returns:
        An empty table and no total when the series are linearly dependent: a pair that moves as
        one has no separate shocks.

    Source:
        METHODOLOGY section 7; Diebold & Yilmaz 2012; Pesaran & Shin 1998.
    """
    fit = fit_var(job.levels)
    observations = int(np.count_nonzero(_usable(job.levels)))
    if fit is None:
        return SpilloverReading(
            assets=job.assets,
            table=(),
            total=None,
            to_others={},
            from_others={},
            net={},
            n_observations=observations,
            at_ns=job.at_ns,
        )
    table = decompose(*fit)
    own = np.diag(table)
    received = table.sum(axis=1) - own
    given = table.sum(axis=0) - own
    return SpilloverReading(
        assets=job.assets,
        table=tuple(tuple(map(float, row)) for row in table),
        total=float(received.mean()),
        to_others=dict(zip(job.assets, map(float, given), strict=True)),
        from_others=dict(zip(job.assets, map(float, received), strict=True)),
        net=dict(zip(job.assets, map(float, given - received), strict=True)),
        n_observations=observations,
        at_ns=job.at_ns,
    )


def fit_var(levels: F64) -> tuple[F64, F64] | None:
    """Fit x_t = c + F_1 x_{t-1} + F_2 x_{t-2} + e_t by least squares.

    Args:
        levels: (rows, n) equally spaced; NaN where absent. A row counts when it and the two
            before it are whole.

    Returns:
        (LAGS, n, n) coefficients and the (n, n) covariance of e, divided by rows less regressors;
        None when the regressors are linearly dependent.
    """
    n = levels.shape[1]
    usable = np.flatnonzero(_usable(levels))
    # The constant takes up any shift; without it the levels drown the changes in rounding.
    centred = levels - np.nanmean(levels, axis=0)
    regressors = np.column_stack(
        [np.ones(len(usable))] + [centred[usable - lag] for lag in range(1, LAGS + 1)]
    )
    target = centred[usable]
    solution, _, rank, _ = np.linalg.lstsq(regressors, target, rcond=1e-10)
    if rank < regressors.shape[1]:
        return None
    residual = target - regressors @ solution
    covariance = residual.T @ residual / (len(usable) - regressors.shape[1])
    coefficients = solution[1:].reshape(LAGS, n, n).transpose(0, 2, 1)
    return coefficients, covariance


def decompose(coefficients: F64, covariance: F64) -> F64:
    """Generalised decomposition of the forecast error variance, percent; rows sum to 100.

    Args:
        coefficients: (LAGS, n, n), row = equation.
        covariance: (n, n) of the residuals, positive diagonal.
    """
    n = len(covariance)
    responses = [np.eye(n)]
    for step in range(1, STEPS):
        responses.append(
            sum(
                (coefficients[lag] @ responses[step - 1 - lag] for lag in range(min(LAGS, step))),
                np.zeros((n, n)),
            )
        )
    shocks = np.zeros((n, n))
    total = np.zeros(n)
    for response in responses:
        impulse = response @ covariance
        shocks += impulse * impulse
        total += np.einsum("ij,ij->i", impulse, response)
    shares = shocks / np.diag(covariance) / total[:, None]
    table: F64 = 100.0 * shares / shares.sum(axis=1, keepdims=True)
    return table


def _present(column: F64) -> int:
    return int(np.count_nonzero(np.isfinite(column)))


def _usable(levels: F64) -> NDArray[np.bool_]:
    """(rows,) whether a row and those of its lags are whole."""
    whole: NDArray[np.bool_] = np.all(np.isfinite(levels), axis=1)
    usable = whole.copy()
    for lag in range(1, LAGS + 1):
        usable[lag:] &= whole[:-lag]
    usable[:LAGS] = False
    return usable
