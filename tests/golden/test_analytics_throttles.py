"""The throttles by depth and order flow on the simulated market, whose sizes and smiles are known.

Sizes are told multiplied by known factors, of the whole book at an instant. Depth, its average and
the flow are kept beside by the rules of METHODOLOGY's appendix, plainly, with the vegas of the true
smile and the sizes of the market's own board.
"""

from collections.abc import Callable
from math import nan
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import norm

from golden.market_feed import VENUE, Watched
from golden.scenario_paths import F64
from volgauge.analytics.desk import Desk
from volgauge.domain.analytics import AnalyticsValue, ScalingReading
from volgauge.domain.index import IndexValue, Source, SurfaceValue
from volgauge.domain.units import NANOS_PER_SECOND, parse_instant
from volgauge.settings import AlertSettings, AnalyticsSettings, IndexSettings
from volgauge.simulator import process
from volgauge.simulator.market import Market, MarketOptions

START_NS = parse_instant("2026-03-02T10:00:00Z")
THIN, THICK, EAGER, CALM, LAST = 320.0, 390.0, 460.0, 480.0, 530.0
"""Seconds: the book loses 60 % of its sizes, has them again; bids are trebled, and are no more."""
THINNED, TREBLED = 0.4, 3.0
HALF_LIFE_SECONDS, WINDOW_SECONDS = 3600.0, 60.0
SENSITIVITY = AnalyticsSettings().scaling.flow_sensitivity

Tell = Callable[[str, object], None]


class Weights(NamedTuple):
    """What each option of the board counts, by its slot; 0 for what does not."""

    vega: F64
    """Quote currency per point."""
    near: F64
    """exp(-z^2 / 2) of the out-of-the-money ones within 1.5 deviations and 90 days."""


class Look(NamedTuple):
    """One reading, and what it should be."""

    seconds: float
    scaling: ScalingReading
    imbalance: float | None
    depth_throttle: float
    """NaN before 300 s have been watched."""
    true_imbalance: float
    """NaN before 30 s have been seen."""


class Reference:
    """Depth, slow average and flow of one board, look by look."""

    def __init__(self) -> None:
        self._before: tuple[F64, F64, F64, F64] | None = None
        self._seconds: list[float] = []
        self._flows: list[float] = []
        self._depths: list[float] = []
        self._near: list[float] = []

    def look(self, seconds: float, weights: Weights, quotes: tuple[F64, F64, F64, F64]) -> None:
        """Take the board at an instant: bids, asks, sizes of both."""
        bid, ask, bid_size, ask_size = quotes
        flow = 0.0
        if self._before is not None:
            # An option that was listed since has no quote before.
            bid_was, ask_was, bid_size_was, ask_size_was = (
                np.pad(side, (0, len(bid) - len(side)), constant_values=absent)
                for side, absent in zip(self._before, (nan, nan, 0.0, 0.0), strict=True)
            )
            gained = (bid >= bid_was) * bid_size - (bid <= bid_was) * bid_size_was
            gained -= (ask <= ask_was) * ask_size - (ask >= ask_was) * ask_size_was
            flow = float(weights.vega @ gained)
        both = (bid > 0.0) & (ask > bid)
        self._before = quotes
        self._seconds.append(seconds)
        self._flows.append(flow)
        self._depths.append(float((weights.vega * both) @ (bid_size + ask_size)) / 2.0)
        self._near.append(float((weights.near * both) @ np.minimum(bid_size, ask_size)))

    @property
    def depth_throttle(self) -> float:
        """The last look's size over the average, each weighted by its age and its own step."""
        at = np.array(self._seconds)
        if at[-1] - at[0] < 300.0:
            return nan
        share = 1.0 - 0.5 ** (np.diff(at) / HALF_LIFE_SECONDS)
        age = 0.5 ** ((at[-1] - at[1:]) / HALF_LIFE_SECONDS)
        return min(1.0, self._near[-1] / float(np.average(self._near[1:], weights=share * age)))

    @property
    def imbalance(self) -> float:
        """Flow of the current second and the 59 before, over the mean depth of their looks."""
        second = np.floor(self._seconds)
        inside = second > second[-1] - WINDOW_SECONDS
        if len(np.unique(second[inside])) < 30:
            return nan
        return float(np.array(self._flows)[inside].sum() / np.array(self._depths)[inside].mean())


def weigh(market: Market) -> Weights:
    """From the true smiles of BTC; options inside two days have no curve."""
    board, state = market.boards[0], market.state[0]
    years = board.years(market.now_ns)
    vega, near = np.zeros(len(board.strike)), np.zeros(len(board.strike))
    slots = np.flatnonzero(board.alive & (years[board.expiry_of] >= 2.0 / 365.0))
    of = board.expiry_of[slots]
    forward = process.forwards(state, years)[of]
    k = np.log(board.strike[slots] / forward)
    slices = market.slices_at(0, state, years[of])
    deviation = np.sqrt(slices.total_variance(k))
    vega[slots] = (
        0.01 * forward * norm.pdf(0.5 * deviation - k / deviation) * np.sqrt(years[of])
    )  # fmt: skip
    z = k / np.sqrt(slices.total_variance(np.zeros_like(k)))
    is_out = np.where(board.is_call[slots], k >= 0.0, k < 0.0)
    counts = is_out & (np.abs(z) <= 1.5) & (years[of] <= 90.0 / 365.0)
    near[slots] = np.where(counts, np.exp(-0.5 * z * z), 0.0)
    return Weights(vega, near)


@pytest.fixture(scope="module")
def looks() -> list[Look]:
    """Nine minutes of one asset, read once a second."""
    options = MarketOptions(
        seed=9, start_ns=START_NS, currencies=("BTC",), rate=200.0, step_ns=NANOS_PER_SECOND
    )
    index = IndexSettings(tenors_days=(30.0,))
    watched = Watched(options, index, ages_known=False)
    venues = {VENUE: watched.engine.sink(VENUE)}
    desk = Desk(AnalyticsSettings(), AlertSettings(enabled=False), index, Source.SIMULATED, venues)
    feed, market = watched.feed, watched.market
    board, reference, found = market.boards[0], Reference(), []
    factors = {THIN: (THINNED, THINNED), THICK: (1.0, 1.0), EAGER: (TREBLED, 1.0), CALM: (1.0, 1.0)}
    for step in watched.steps(round(LAST)):
        seconds = (step.now_ns - START_NS) / NANOS_PER_SECOND
        if seconds in factors:
            feed.bid_factor, feed.ask_factor = factors[seconds]
            feed.quotes(board, list(range(len(board.options))), step.now_ns)
        for record in watched.engine.recompute(step.now_ns):
            if isinstance(record, IndexValue | SurfaceValue):
                desk.take(record)
        for job in desk.jobs(step.now_ns):
            for value in job.run():
                if isinstance(value, AnalyticsValue):
                    # An absent side has no price and no size.
                    quotes = (
                        board.bid.copy(), board.ask.copy(),
                        feed.bid_factor * np.nan_to_num(board.bid_size),
                        feed.ask_factor * np.nan_to_num(board.ask_size),
                    )  # fmt: skip
                    reference.look(seconds, weigh(market), quotes)
                    found.append(
                        Look(
                            seconds, value.scaling, value.flow.imbalance,
                            reference.depth_throttle, reference.imbalance,
                        )
                    )  # fmt: skip
    return found


def after(looks: list[Look], seconds: float) -> Look:
    """The first one from an instant on."""
    return next(look for look in looks if look.seconds >= seconds)


def test_the_depth_throttle_is_that_of_the_board_s_sizes(
    looks: list[Look], record_property: Tell
) -> None:
    """At every look, but for options on the other side of 1.5 deviations of the fitted curve.

    Each of these is e^-1.125 of 15 to 30 coins in 1,300, 0.4 to 0.8 %; eight expiries have two.
    """
    judged = [look for look in looks if not np.isnan(look.depth_throttle)]
    told = np.array([look.scaling.depth_throttle for look in judged], dtype=float)
    truth = np.array([look.depth_throttle for look in judged])
    rms = float(np.sqrt(np.mean(np.square(told - truth))))
    record_property(
        "measured", f"depth throttle: error {rms:.4f}, at most {np.abs(told - truth).max():.4f}"
    )

    assert len(judged) > 200
    assert told == pytest.approx(truth, abs=0.02)
    assert rms < 0.005
    assert [look.scaling.depth_throttle for look in looks if np.isnan(look.depth_throttle)] == [
        None
    ] * (len(looks) - len(judged))


def test_a_book_that_thins_out_throttles_by_what_it_lost(looks: list[Look]) -> None:
    """0.4 of the sizes are 0.4 of the average, which forgets: a t of the 320 s and t in it.

    Of an hour's half-life little is forgotten in 70 s: the average is near (320 + 0.4 70) / 390 of
    the old depth. The sizes of a single look scatter by 4 % of themselves.
    """
    assert after(looks, THIN - 1.0).scaling.depth_throttle == pytest.approx(1.0, abs=0.12)
    assert after(looks, THIN).scaling.depth_throttle == pytest.approx(THINNED, rel=0.12)
    later = THINNED / ((320.0 + THINNED * 70.0) / 390.0)
    assert after(looks, THICK - 1.0).scaling.depth_throttle == pytest.approx(later, rel=0.12)
    assert after(looks, THICK).scaling.depth_throttle == 1.0


def test_the_flow_throttle_is_that_of_the_board_s_changes(
    looks: list[Look], record_property: Tell
) -> None:
    """Imbalance at every look within 0.01 of the sum over the true vegas; 1 - s of it, if bids."""
    judged = [look for look in looks if not np.isnan(look.true_imbalance)]
    told = np.array([look.imbalance for look in judged], dtype=float)
    truth = np.array([look.true_imbalance for look in judged])
    throttles = [look.scaling.flow_throttle for look in judged]
    record_property(
        "measured",
        f"imbalance {truth.min():.2f} to {truth.max():.2f}, error {np.abs(told - truth).max():.4f}",
    )

    assert len(judged) > 480
    assert told == pytest.approx(truth, abs=0.01)
    assert throttles == pytest.approx(1.0 - SENSITIVITY * np.clip(truth, 0.0, 1.0), abs=0.01)
    assert min(truth) < -0.2
    assert max(truth) > 1.0


def test_trebled_bids_throttle_until_they_are_gone(looks: list[Look]) -> None:
    """Two sizes come to each bid side: a flow of about two sides' depth, then as much goes."""
    before, eager, calm = (after(looks, at) for at in (EAGER - 1.0, EAGER, CALM))

    assert eager.imbalance == pytest.approx((before.imbalance or 0.0) + 2.0, abs=0.3)
    assert eager.scaling.flow_throttle == 1.0 - SENSITIVITY
    assert calm.imbalance == pytest.approx(before.imbalance, abs=0.6)
