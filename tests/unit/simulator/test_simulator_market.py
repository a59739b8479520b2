"""The seeded market: determinism, quotes, truth, listing life."""

import math
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.stats import norm

from volgauge.simulator import process
from volgauge.simulator.board import F64, Board, round_to_ticks, tick_at
from volgauge.simulator.market import Market, MarketOptions
from volgauge.simulator.prerender import catalog_body, render_frames

START = int(datetime(2026, 7, 15, 12, tzinfo=UTC).timestamp()) * 10**9
BEFORE_EIGHT = int(datetime(2026, 7, 15, 7, 59, 58, tzinfo=UTC).timestamp()) * 10**9


def make_market(**changes: object) -> Market:
    """A small market at a fixed time."""
    options: dict[str, object] = {"start_ns": START, "currencies": ("BTC", "SOL_USDC")}
    return Market(MarketOptions(**(options | changes)))  # type: ignore[arg-type]


def fair_prices(market: Market, name: str, board: Board) -> F64:
    """Noise-free price by slot."""
    truth = market.truth(name)
    by_name = dict(zip(truth.names, truth.prices.tolist(), strict=True))
    return np.array([by_name.get(option.name, math.nan) for option in board.options])


def test_same_seed_gives_the_same_bytes() -> None:
    """Two markets of one seed render identical frames and catalogs."""
    first, second = make_market(rate=5_000.0), make_market(rate=5_000.0)
    path = "public/get_instruments?currency=BTC&kind=option"

    assert render_frames(first, 3_000) == render_frames(second, 3_000)
    assert catalog_body(first, path) == catalog_body(second, path)


def test_another_seed_gives_other_bytes() -> None:
    """The seed matters."""
    assert render_frames(make_market(seed=1), 50) != render_frames(make_market(seed=2), 50)


def test_asking_for_the_truth_changes_nothing() -> None:
    """Measuring does not move the market."""
    watched, left_alone = make_market(), make_market()
    for _ in range(20):
        watched.advance()
        watched.truth("BTC")
        left_alone.advance()

    assert render_frames(watched, 100) == render_frames(left_alone, 100)


@pytest.mark.parametrize("rate", [200.0, 50_000.0])
def test_rate_is_kept(rate: float) -> None:
    """A second of market time has the configured number of quotes."""
    market = make_market(rate=rate)

    count = sum(len(batch.slots) for _ in range(200) for batch in market.advance().quotes)

    assert count == pytest.approx(rate, rel=0.01)


def test_bursts_come_back_to_back() -> None:
    """With `burst` quotes come in whole groups."""
    market = make_market(rate=1_000.0, burst=40)

    counts = {sum(len(batch.slots) for batch in market.advance().quotes) for _ in range(100)}

    assert counts == {0, 40}


def test_surges_raise_the_rate() -> None:
    """`surge` multiplies the rate at the end of each period."""
    market = make_market(rate=1_000.0, surge=10.0, surge_every_seconds=1.0, surge_seconds=0.2)

    counts = [sum(len(b.slots) for b in market.advance().quotes) for _ in range(200)]

    assert sum(counts[:155]) == pytest.approx(775, abs=10)
    assert sum(counts[165:195]) == pytest.approx(1_500, abs=50)


@pytest.mark.parametrize("name", ["BTC", "SOL_USDC"])
def test_quotes_lie_on_the_grid_and_do_not_cross(name: str) -> None:
    """Every price is a whole tick; asks exceed bids; every option has an ask."""
    market = make_market()
    board = next(board for board in market.boards if board.terms.prefix == name)
    two_sided = ~np.isnan(board.bid)

    for side in (board.bid[two_sided], board.ask):
        assert np.array_equal(round_to_ticks(board.terms, side, up=False), side)
        assert np.array_equal(round_to_ticks(board.terms, side, up=True), side)
    assert not np.isnan(board.ask).any()
    assert (board.ask[two_sided] > board.bid[two_sided]).all()


def test_half_spread_is_at_least_a_tick() -> None:
    """The default noise asked for: half-spread >= 1 tick of the lower price."""
    market = make_market()
    board = market.boards[0]
    half = 0.5 * (board.ask - board.bid)[~np.isnan(board.bid)]
    tick = tick_at(board.terms, board.bid[~np.isnan(board.bid)])

    assert (half >= tick * (1.0 - 1e-9)).all()


def test_mid_noise_is_a_quarter_of_the_half_spread() -> None:
    """Deviation of mids from the truth, in configured half-spreads, is 0.25 or a little more."""
    market = make_market(half_spread_ratio=0.02)
    board = market.boards[0]
    fair = fair_prices(market, "BTC", board)
    # Where the tick is small against the spread, rounding adds little.
    expiry, forward = board.expiry_of, market.truth("BTC").forward
    strike_price = board.strike / forward[expiry]
    value = fair - np.maximum(np.where(board.is_call, 1.0 - strike_price, strike_price - 1.0), 0.0)
    wide = 0.02 * value > 2.0 * 0.0005

    noise = (0.5 * (board.bid + board.ask) - fair)[wide] / (0.02 * value[wide])

    assert wide.sum() > 100
    assert 0.22 <= noise.std() <= 0.40


def test_families_are_dealt_in_turn() -> None:
    """`mixed` gives a book the other family than its neighbour, and a seed the other order."""
    seventh, eighth = (make_market(seed=seed).families for seed in (7, 8))

    assert seventh == ("ssvi", "mixture")
    assert eighth == ("mixture", "ssvi")
    assert make_market(smile="mixture").families == ("mixture", "mixture")
    assert make_market(smile="ssvi").families == ("ssvi", "ssvi")


def test_prices_of_a_mixture_are_those_of_its_law() -> None:
    """A put told as truth equals the expectation over the components, by scipy."""
    market = make_market(smile="mixture")
    board, truth = market.boards[0], market.truth("BTC")
    prices = dict(zip(truth.names, truth.prices.tolist(), strict=True))
    for slot in range(1, len(board.options), 37):
        option = board.options[slot]
        forward = truth.forward[truth.expiry_ns.index(option.expiry.expiry_ns)]
        years = np.array((option.expiry.expiry_ns - START) / (365 * 86_400e9))
        law = process.mixture_at(market.state[0], years, process.SHAPES[market.shapes[0]])
        deviation = np.sqrt(law.variance)
        d1 = np.log(law.mean * forward / option.strike) / deviation + deviation / 2.0
        side = 1.0 if option.is_call else -1.0
        parts = side * (
            law.mean * norm.cdf(side * d1)
            - option.strike / forward * norm.cdf(side * (d1 - deviation))
        )
        expected = float((law.weight * parts).sum())

        assert prices[option.name] == pytest.approx(expected, abs=1e-12)


def test_no_common_noise_leaves_the_quotes_as_they_were() -> None:
    """The shared error has its own random numbers: switched off it moves nothing."""
    quiet, other = make_market(), make_market(common_seconds=1.0)
    loud = make_market(common_noise=0.15)

    frames = render_frames(quiet, 100)
    assert render_frames(other, 100) == frames
    assert render_frames(loud, 100) != frames


def test_common_noise_is_shared_and_has_its_size() -> None:
    """Over seeds the mean deviation of a book's mids, in half-spreads, has the deviation asked."""
    shares = []
    for seed in range(40):
        market = make_market(
            seed=seed, currencies=("BTC",), half_spread_ratio=0.05, mid_noise=0.0, common_noise=0.3,
            smile="ssvi",
        )  # fmt: skip
        board = market.boards[0]
        wide = (np.abs(board.strike / board.forward[board.expiry_of] - 1.0) < 0.02) & (
            board.years(START)[board.expiry_of] > 0.2
        )
        half = 0.5 * (board.ask - board.bid)[wide]
        fair = fair_prices(market, "BTC", board)[wide]
        shares.append(float(np.mean((0.5 * (board.bid + board.ask)[wide] - fair) / half)))

    # 40 draws: the sample deviation of N(0, 0.3) lies in 0.2..0.4 but once in 500 times.
    assert 0.2 <= float(np.std(shares)) <= 0.4


def test_common_noise_forgets_itself() -> None:
    """Its correlation over one `common_seconds` is 1/e."""
    market = make_market(
        currencies=("BTC",), common_noise=1.0, common_seconds=0.1, step_ns=100_000_000, rate=1.0
    )
    path = []
    for _ in range(4_000):
        market._drift(100_000_000)
        path.append(float(market._common[0]))

    assert float(np.corrcoef(path[:-1], path[1:])[0, 1]) == pytest.approx(math.exp(-1.0), abs=0.05)
    assert float(np.std(path)) == pytest.approx(1.0, abs=0.08)


def test_constant_tenor_tells_every_measure() -> None:
    """Corridor and at-the-money below the line; each on the straight line of total variance."""
    for smile in ("ssvi", "mixture"):
        market = make_market(smile=smile)
        truth, found = market.truth("BTC"), market.constant_tenor("BTC", 45.0)
        days = (np.array(truth.expiry_ns) - truth.now_ns) / 86_400e9

        assert found.atm < found.corridor < found.line
        for part in ("atm", "corridor", "line", "coin", "svix", "strip"):
            w = float(np.interp(45.0, days, getattr(truth, part)))
            assert getattr(found, part) == pytest.approx(
                100.0 * math.sqrt(w * 365.0 / 45.0), rel=1e-9
            )


def test_roll_follows_its_time_of_day() -> None:
    """With another time of day settlement, delivery and listing come 0, 2 and 13 s after it."""
    market = make_market(
        rate=20.0, step_ns=100_000_000, roll_of_day_ns=(12 * 3600 + 2) * 10**9 + 500_000_000
    )
    seen: dict[str, int] = {}
    for _ in range(180):
        step = market.advance()
        for notice in step.notices:
            seen.setdefault(notice.state, step.now_ns)
    roll = START + 2_500_000_000

    assert seen == {"settlement": roll, "delivered": roll + 2 * 10**9, "open": roll + 13 * 10**9}


def test_wings_are_one_sided() -> None:
    """Some far options have no bid, as in the real chain (88 of 878); none lacks an ask."""
    board = make_market().boards[0]

    share = np.isnan(board.bid).mean()

    assert 0.03 <= share <= 0.25
    cheap = board.mark < 0.5 * 0.0001
    assert np.isnan(board.bid[cheap]).all()


def test_prices_satisfy_parity() -> None:
    """Call less put is 1 - K/F for coin premiums, F - K for linear ones."""
    market = make_market()
    for name in ("BTC", "SOL_USDC"):
        truth, board = market.truth(name), market._number(name)
        prices = dict(zip(truth.names, truth.prices.tolist(), strict=True))
        for option in market.boards[board].options[::14]:
            forward = truth.forward[truth.expiry_ns.index(option.expiry.expiry_ns)]
            stem = option.name[:-1]
            difference = prices[stem + "C"] - prices[stem + "P"]
            expected = 1.0 - option.strike / forward if name == "BTC" else forward - option.strike

            assert difference == pytest.approx(expected, abs=1e-9)


def test_marks_are_black_prices_of_the_truth() -> None:
    """Prices told as truth equal Black-76 by scipy at the surface's own variance."""
    market = make_market()
    board, truth = market.boards[0], market.truth("BTC")
    prices = dict(zip(truth.names, truth.prices.tolist(), strict=True))
    for slot in range(0, len(board.options), 37):
        option = board.options[slot]
        forward = truth.forward[truth.expiry_ns.index(option.expiry.expiry_ns)]
        deviation = math.sqrt(board.mark_variance[slot])
        d1 = math.log(forward / option.strike) / deviation + deviation / 2.0
        sign = 1.0 if option.is_call else -1.0
        expected = sign * (
            norm.cdf(sign * d1) - option.strike / forward * norm.cdf(sign * (d1 - deviation))
        )

        assert prices[option.name] == pytest.approx(expected, abs=1e-12)


def test_headline_interpolates_total_variance() -> None:
    """The 30-day truth lies on the straight line between the bracketing expiries."""
    market = make_market()
    truth = market.truth("BTC")
    days = (np.array(truth.expiry_ns) - truth.now_ns) / 86_400e9
    expected = 100.0 * math.sqrt(float(np.interp(30.0, days, truth.corridor)) * 365.0 / 30.0)

    assert market.headline("BTC")[1] == pytest.approx(expected, rel=1e-9)


def test_truths_are_ordered() -> None:
    """Corridor below the whole line; the strip close to the corridor (DATA.md: half a point)."""
    strip, corridor, line = make_market().headline("BTC")

    assert corridor < line
    assert abs(strip - corridor) < 1.5


def test_venue_index_is_the_strip_truth() -> None:
    """The venue's own index equals the strip truth of the same instant."""
    market = make_market(step_ns=1_000_000_000)
    market.advance()

    assert market.boards[0].vol_index == pytest.approx(market.headline("BTC")[0], rel=1e-12)


def test_headline_outside_the_listed_expiries_is_nothing() -> None:
    """No expiry beyond two years: NaN, not an extrapolation."""
    assert math.isnan(make_market().headline("BTC", 800.0)[0])


def test_market_moves() -> None:
    """Forward and volatility differ after some minutes."""
    market = make_market(rate=10.0, step_ns=1_000_000_000)
    before = (market.boards[0].index_price, market.headline("BTC")[0])
    for _ in range(300):
        market.advance()

    after = (market.boards[0].index_price, market.headline("BTC")[0])

    assert abs(after[0] / before[0] - 1.0) > 1e-5
    assert abs(after[1] - before[1]) > 1e-4


def test_eight_o_clock_settles_delivers_and_lists() -> None:
    """At 08:00 settlement, 2 s later delivery, 13 s later the new daily with live quotes."""
    market = make_market(start_ns=BEFORE_EIGHT, rate=20.0, step_ns=100_000_000)
    seen: dict[str, int] = {}
    created = []
    for _ in range(180):
        step = market.advance()
        for notice in step.notices:
            seen.setdefault(notice.state, step.now_ns)
            if notice.created and notice.kind == "option" and notice.board is market.boards[0]:
                created.append(notice.number)
    eight = BEFORE_EIGHT + 2 * 10**9

    assert seen["settlement"] == eight
    assert seen["delivered"] - eight == 2 * 10**9
    assert seen["open"] - eight == 13 * 10**9
    board = market.boards[0]
    fresh = [slot for slot in created if board.options[slot].name.startswith("BTC-19JUL26-")]
    assert len(fresh) > 20
    assert not np.isnan(board.ask[fresh]).any()
    assert not any(
        board.alive[slot] for slot, option in enumerate(board.options) if "15JUL26" in option.name
    )


def test_expired_options_are_not_quoted() -> None:
    """After 08:00 no batch holds an option of the dead expiry."""
    market = make_market(start_ns=BEFORE_EIGHT, rate=5_000.0, step_ns=100_000_000)
    for _ in range(19):
        market.advance()

    for _ in range(60):
        for batch in market.advance().quotes:
            names = {batch.board.options[slot].name for slot in batch.slots}
            assert not any("15JUL26" in name for name in names)


def test_new_strikes_follow_the_spot() -> None:
    """When spot leaves the grid, new strikes are listed within a minute."""
    market = make_market(rate=10.0, step_ns=1_000_000_000)
    board = market.boards[0]
    highest = board.strike.max()
    market.state = market.state + np.array([0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
    for _ in range(61):
        market.advance()

    assert board.strike.max() > highest
    assert all(
        board.options[slot].listed_ns > START for slot in np.flatnonzero(board.strike > highest)
    )
