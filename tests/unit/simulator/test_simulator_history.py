"""The simulated past."""

import time

import numpy as np
import pytest

from volgauge.simulator.history import Candles, _interpolated_corridor, make_history
from volgauge.simulator.market import Market, MarketOptions

START = 1_784_116_812_345_000_000


@pytest.fixture(scope="module")
def market() -> Market:
    """A market at a crooked instant."""
    return Market(MarketOptions(start_ns=START, currencies=("BTC", "XRP_USDC")))


@pytest.fixture(scope="module")
def history(market: Market) -> list[Candles]:
    """400 days of it; must take seconds, not minutes."""
    began = time.process_time()
    found = make_history(market)
    assert time.process_time() - began < 30.0
    return found


def test_history_has_400_days_of_hours_and_a_day_of_minutes(history: list[Candles]) -> None:
    """Every book has index and price in both resolutions, without holes."""
    long = [c for c in history if c.series in {"30d", "price"}]
    keys = {(c.asset, c.series, c.resolution_seconds) for c in long}

    assert keys == {
        (asset, series, width)
        for asset in ("BTC", "XRP")
        for series in ("30d", "price")
        for width in (3600, 60)
    }
    for candles in long:
        assert len(candles.open_ns) >= (400 * 24 if candles.resolution_seconds == 3600 else 1_440)
    for candles in history:
        assert (np.diff(candles.open_ns) == candles.resolution_seconds * 10**9).all()


@pytest.mark.parametrize("days", [7.0, 14.0, 60.0, 90.0, 180.0])
def test_other_tenors_have_the_last_day(
    market: Market, history: list[Candles], days: float
) -> None:
    """By hour and by minute, up to the level at which the market begins."""
    for name in ("BTC", "XRP_USDC"):
        found = {
            c.resolution_seconds: c
            for c in history
            if c.asset == name[:3] and c.series == f"{days:g}d"
        }

        assert found[60].close[-1] == pytest.approx(market.headline(name, days)[1], rel=0.01)
        assert len(found[60].open_ns) >= 1_440
        assert len(found[3600].open_ns) >= 24


def test_candles_hold_their_extremes_and_join(history: list[Candles]) -> None:
    """Open and close lie between low and high, and each opens where the last closed."""
    for candles in history:
        assert (candles.low <= np.minimum(candles.open, candles.close)).all()
        assert (candles.high >= np.maximum(candles.open, candles.close)).all()
        assert np.array_equal(candles.open[1:], candles.close[:-1])


def test_history_ends_where_the_market_begins(market: Market, history: list[Candles]) -> None:
    """The last minute's close is the opening level, but for the minute's own movement."""
    for number, name in enumerate(("BTC", "XRP_USDC")):
        last = {c.series: c for c in history
                if c.asset == name[:3] and c.resolution_seconds == 60}  # fmt: skip
        spot = market.boards[number].terms.spot

        assert last["price"].close[-1] == pytest.approx(spot, rel=0.01)
        assert last["30d"].close[-1] == pytest.approx(market.opening[name], rel=0.01)


def test_history_that_nobody_wants_any_more_ends_between_two_steps(market: Market) -> None:
    """What `go_on` raises ends the work, at the very step."""
    calls = 0

    def go_on() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        make_history(market, go_on=go_on)

    assert calls == 5


def test_history_of_a_mixture_is_the_corridor_of_its_states(market: Market) -> None:
    """What is interpolated for speed lies within 1e-3 points of the corridor itself."""
    random = np.random.default_rng(1)
    states = np.repeat(market.law.mean[1:2], 60, axis=0)
    states += np.array([0.0, 0.5, 0.35, 0.2, 0.2, 0.0]) * random.standard_normal(states.shape)
    years = np.array(30.0 / 365.0)
    assert market.families[1] == "mixture"

    exact = market.slices_at(1, states, years).corridor()
    quick = _interpolated_corridor(market, 1, states, years)

    assert 100.0 * np.sqrt(quick / years) == pytest.approx(100.0 * np.sqrt(exact / years), abs=1e-3)


def test_history_looks_like_a_market(history: list[Candles]) -> None:
    """Volatility of hourly returns is of the order of the index."""
    price, index = (
        next(c for c in history
             if (c.asset, c.series, c.resolution_seconds) == ("BTC", series, 3600))
        for series in ("price", "30d")
    )  # fmt: skip
    realised = 100.0 * np.std(np.diff(np.log(price.close))) * np.sqrt(24.0 * 365.0)

    assert 0.5 < realised / index.close.mean() < 2.0
    assert 10.0 < index.low.min() < index.high.max() < 250.0


def test_history_is_deterministic(market: Market) -> None:
    """The same options give the same candles."""
    first, second = make_history(market, days=3.0), make_history(market, days=3.0)

    assert all(np.array_equal(a.close, b.close) for a, b in zip(first, second, strict=True))
