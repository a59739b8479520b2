"""The kernels of the readings and their Python twins agree to the last bit."""

import numpy as np
from numpy.typing import NDArray

from fakes.smile_lab import NOW, TENORS, Curve, lay
from volgauge.kernels import exposure, flow, readings
from volgauge.kernels import layout as col
from volgauge.kernels._jit import twin

CURVES = [
    Curve(1.5, 0.001, 0.01),
    Curve(25.0, 0.015, 0.05, -0.3, 0.02, 0.12, skewness=-0.4, kurtosis=4.5),
    Curve(80.0, 0.060, 0.10, -0.5, -0.03, 0.20, skewness=-0.9, kurtosis=6.0),
    Curve(400.0, 2.9, 0.50, 0.4, 0.10, 1.00),
]
SURFACE, LISTED = lay(CURVES)
AMOUNTS = np.random.default_rng(1).exponential(10.0, (3, len(SURFACE.table.quotes)))
BOOK = (SURFACE.values[col.NATIVE], SURFACE.facts[col.NATIVE], SURFACE.plan)


def test_read_book() -> None:
    """Expiries and tenors, those that cannot be had among them."""
    results: list[list[NDArray[np.float64]]] = []
    for function in (readings.read_book, twin(readings.read_book)):
        made = [np.empty(4), np.empty((4, readings.READING_COLUMNS))]
        made += [np.zeros((len(TENORS), readings.READING_COLUMNS)) for _ in range(2)]
        scratch = np.empty(readings.READING_COLUMNS)
        usable = function(
            *BOOK, np.array(TENORS) / 365.0, NOW, 0.7, made[0], made[1], scratch, made[2], made[3]
        )
        assert usable == 4
        results.append(made)

    for compiled, plain in zip(*results, strict=True):
        assert compiled.tobytes() == plain.tobytes()


def test_sum_book() -> None:
    """Sums by expiry and exposures by strike."""
    results: list[list[NDArray[np.float64]]] = []
    for function in (exposure.sum_book, twin(exposure.sum_book)):
        made = [
            np.empty((4, exposure.SUM_COLUMNS)),
            np.empty((len(SURFACE.ladder), exposure.STRIKE_COLUMNS)),
        ]
        function(
            *BOOK, SURFACE.ladder, AMOUNTS[0], AMOUNTS[1], NOW, 2, 0.05, 0.95, made[0], made[1]
        )
        results.append(made)

    for compiled, plain in zip(*results, strict=True):
        assert compiled.tobytes() == plain.tobytes()


def test_observe_book() -> None:
    """Flow, depth and what is remembered."""
    results = []
    for function in (flow.observe_book, twin(flow.observe_book)):
        quotes = np.full((len(AMOUNTS[0]), col.QUOTE_COLUMNS), np.nan)
        seen = np.full((len(quotes), flow.SEEN_COLUMNS), np.nan)
        totals = np.zeros(flow.TOTAL_COLUMNS)
        for look in range(3):
            quotes[:, col.BID], quotes[:, col.ASK] = 0.01 + 0.001 * (look % 2), 0.02
            quotes[:, col.BID_SIZE], quotes[:, col.ASK_SIZE] = AMOUNTS[look], AMOUNTS[look - 1]
            function(*BOOK, SURFACE.ladder, quotes, NOW, seen, totals)
        results.append((totals.tobytes(), seen.tobytes()))

    assert results[0] == results[1]
