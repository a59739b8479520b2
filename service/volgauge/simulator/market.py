"""A seeded option market: several coins, whole listed chains, and it can tell the truth.

Time is the market's own: it advances in steps of `step_ns` from `start_ns`, so the same seed and
start give the same quotes to the last bit, whatever the machine does meanwhile.
"""

import math
from typing import Literal

import numpy as np
from msgspec import Struct

from volgauge.domain.units import (
    NANOS_PER_DAY,
    NANOS_PER_MILLI,
    NANOS_PER_MINUTE,
    NANOS_PER_SECOND,
    NANOS_PER_YEAR,
)
from volgauge.simulator import process
from volgauge.simulator.board import (
    F64,
    I64,
    Board,
    Notice,
    QuoteBatch,
    Step,
    crosses,
    round_to_ticks,
    tick_at,
)
from volgauge.simulator.lies import Lies
from volgauge.simulator.listing import (
    LISTING_DELAY_NS,
    ROLL_OF_DAY_NS,
    TERMS,
    Expiry,
    list_expiries,
    next_roll_ns,
    strike_grid,
)
from volgauge.simulator.scenario import Player, Scenario
from volgauge.simulator.smiles import MixtureSlices, Slices, SsviSlices
from volgauge.simulator.truth import TenorTruth, Truth, discrete_strips, tenor_points

DELIVERY_DELAY_NS = 2 * NANOS_PER_SECOND
FUTURES_EVERY_NS = 100 * NANOS_PER_MILLI
SWEEP_EVERY_NS = 200 * NANOS_PER_MILLI
VOL_INDEX_EVERY_NS = NANOS_PER_SECOND
LISTING_CHECK_EVERY_NS = NANOS_PER_MINUTE
HEADLINE_DAYS = 30.0
SmileFamily = Literal["ssvi", "mixture"]
SURGE_AGITATION = 3.0
"""The spots' volatility during a surge, in multiples."""
_SHAPES = tuple(process.SHAPES)
_MAX_SIZE = 300
PERPETUAL_NOTIONAL = 5e9
"""Open interest in a coin's perpetuals of all venues at its first spot, quote currency."""
_STALE_LIMIT = 8.0


class MarketOptions(Struct, frozen=True, kw_only=True):
    """What kind of market; the defaults are the demo's."""

    seed: int = 7
    currencies: tuple[str, ...] = ("BTC", "ETH", "SOL_USDC", "XRP_USDC")
    """Names of `listing.TERMS`; a bare coin that is only listed linear is understood."""
    start_ns: int
    rate: float = 1_000.0
    """Option quotes a second over all books."""
    burst: int = 1
    """Quotes come back to back in groups of this many."""
    surge: float = 1.0
    """The rate is multiplied by this in a surge; 1 is none."""
    surge_every_seconds: float = 10.0
    surge_seconds: float = 0.3
    half_spread_ticks: float = 1.0
    """Smallest half-spread before rounding outwards."""
    half_spread_ratio: float = 0.01
    """Half-spread as a share of the out-of-the-money price, where that is more."""
    mid_noise: float = 0.25
    """Standard deviation of the mid around the truth, each quote by itself, in half-spreads as
    they are before rounding."""
    common_noise: float = 0.0
    """Standard deviation of an error that all mids of a book share, in half-spreads as quoted."""
    common_seconds: float = 30.0
    """Time in which the shared error forgets itself: an AR(1), correlation e^(-t/this)."""
    smile: Literal["ssvi", "mixture", "mixed"] = "mixed"
    """Family of the smiles; `mixed` deals them to the books in turn, beginning by the seed."""
    roll_of_day_ns: int = ROLL_OF_DAY_NS
    """Time of day at which contracts expire; another than the venue's 08:00 is for tests."""
    step_ns: int = 5 * NANOS_PER_MILLI
    scenario: Scenario = Scenario()
    """What is known of the market beforehand; nothing by default."""


class Market:
    """Moves spots and surfaces, lists contracts, quotes options."""

    def __init__(self, options: MarketOptions) -> None:
        self.options = options
        self.lies = Lies()
        """Of the quotes on the boards themselves, which other venues' books have no part in."""
        self.now_ns = options.start_ns
        self.step_ns = options.step_ns
        terms = [TERMS[_book_name(name)] for name in options.currencies]
        self.boards = tuple(
            Board(term, first_number=100_000 * (number + 1)) for number, term in enumerate(terms)
        )
        self._random = np.random.default_rng([options.seed, 1])
        self._player = Player(
            options.scenario, [term.asset for term in terms], [term.vol for term in terms],
            seed=options.seed, start_ns=options.start_ns, step_ns=options.step_ns,
        )  # fmt: skip
        self.state = process.start_state(self.law, [term.spot for term in terms], self._random)
        self.start_state = self.state
        self.families = tuple(_family(options, number) for number in range(len(self.boards)))
        """Of each board's smiles."""
        self.shapes = tuple(
            _SHAPES[(options.seed // 2 + 2 + number) % len(_SHAPES)]
            for number in range(len(self.boards))
        )
        """Name of each board's mixture; unused where the family is another."""
        self._noise = np.random.default_rng([options.seed, 3])
        self._trading = np.random.default_rng([options.seed, 4])
        """Of what is not quoted, so that quotes are the same without it."""
        self._common = self._noise.standard_normal(len(terms))
        self._anchor: list[F64] = [np.zeros(0) for _ in terms]
        self._cumulative: list[F64] = [np.zeros(0) for _ in terms]
        self._budget = 0.0
        self._roll_ns = next_roll_ns(self.now_ns, options.roll_of_day_ns)
        self._delivering: list[tuple[int, int, int]] = []
        for number, board in enumerate(self.boards):
            board.perpetual_coins = PERPETUAL_NOTIONAL / board.terms.spot
            self._list_missing(number, self.now_ns)
            self._move_forward(number)
            self._sweep(number)
            self._requote(number, np.arange(len(board.options)))
            self._sweep(number)
            self._quote_futures(number)
            self._update_vol_index(number)
        names = [board.terms.prefix for board in self.boards]
        self.opening = {name: self.headline(name)[1] for name in names}
        self.opening_exact = {name: self.exact(name)[0] for name in names}

    def advance(self) -> Step:
        """One step: move the state, requote some options, list and expire what is due."""
        before, self.now_ns = self.now_ns, self.now_ns + self.step_ns
        surging = self._is_surging()
        agitation = SURGE_AGITATION if surging else 1.0
        self.state = self._player.step(
            self.state, self.now_ns, self.step_ns, self._random, agitation
        )
        self._drift(self.step_ns)
        notices, fresh = self._roll(before)
        quotes = [self._requote(number, slots) for number, slots in fresh]
        for number in range(len(self.boards)):
            if crosses(before, self.now_ns, FUTURES_EVERY_NS):
                self._move_forward(number)
                self._quote_futures(number)
            if crosses(before, self.now_ns, SWEEP_EVERY_NS):
                self._sweep(number)
            if crosses(before, self.now_ns, VOL_INDEX_EVERY_NS):
                self._update_vol_index(number)
        self._budget += (
            self.options.rate
            * (self.step_ns / NANOS_PER_SECOND)
            * (self.options.surge if surging else 1.0)
        )
        count = int(self._budget) // self.options.burst * self.options.burst
        self._budget -= count
        quotes += self._update_some(count)
        return Step(self.now_ns, quotes, notices)

    def skip_to(self, now_ns: int) -> None:
        """Let time pass in one step without quotes: the host could not keep up."""
        steps = max((now_ns - self.now_ns) // self.step_ns - 1, 0)
        if steps:
            elapsed_ns = steps * self.step_ns
            self.now_ns += elapsed_ns
            self.state = self._player.skip(self.state, self.now_ns, elapsed_ns, self._random)
            self._drift(elapsed_ns)

    @property
    def law(self) -> process.Law:
        """By which the state moves now."""
        return self._player.law

    def truth(self, name: str) -> Truth:
        """The noise-free state of a book now."""
        number = self._number(name)
        board = self.boards[number]
        living = board.living_expiries()
        years = board.years(self.now_ns)
        slices = self._slices(number, years[living])
        forward = process.forwards(self.state[number], years)
        alive = np.flatnonzero(board.alive)
        fair, variance = self._fair(number, alive), self._variance(number, alive)
        return Truth(
            now_ns=self.now_ns,
            expiry_ns=tuple(board.expiries[index].expiry_ns for index in living),
            forward=forward[living],
            atm=slices.total_variance(np.zeros(len(living))),
            line=slices.line(),
            coin=slices.coin(),
            svix=slices.simple(),
            corridor=slices.corridor(),
            strip=discrete_strips(board, living, forward, alive, fair, variance),
            names=tuple(board.options[slot].name for slot in alive),
            prices=fair,
        )

    def fair_prices(self, number: int, slots: I64) -> F64:
        """Noise-free premiums now of some options of a board, in its premium unit."""
        return self._fair(number, slots)

    def constant_tenor(self, name: str, days: float = HEADLINE_DAYS) -> TenorTruth:
        """The truth about a book at a tenor now."""
        truth = self.truth(name)
        years = np.array([days * NANOS_PER_DAY / NANOS_PER_YEAR])
        forward = process.forwards(self.state[self._number(name)], years)
        parts = {
            part: truth.at_tenor(getattr(truth, part), days)
            for part in ("atm", "corridor", "line", "coin", "svix", "strip")
        }
        return TenorTruth(forward=float(forward[0]), **parts)

    def headline(self, name: str, days: float = HEADLINE_DAYS) -> tuple[float, float, float]:
        """Strip, corridor and line of `constant_tenor`."""
        truth = self.constant_tenor(name, days)
        return truth.strip, truth.corridor, truth.line

    def exact(self, name: str, days: float = HEADLINE_DAYS) -> tuple[float, float]:
        """Corridor and line volatility in points of the surface itself at a tenor."""
        years = np.array([days * NANOS_PER_DAY / NANOS_PER_YEAR])
        slices = self._slices(self._number(name), years)
        return (
            100.0 * math.sqrt(slices.corridor()[0] / years[0]),
            100.0 * math.sqrt(slices.line()[0] / years[0]),
        )

    def slices_at(self, number: int, state: F64, years: F64) -> Slices:
        """Smiles of a board's family at a state (..., N_FACTORS) and times."""
        if self.families[number] == "ssvi":
            return SsviSlices(process.smile_at(state, years))
        shape = process.SHAPES[self.shapes[number]]
        return MixtureSlices(process.mixture_at(state, years, shape))

    def _slices(self, number: int, years: F64) -> Slices:
        return self.slices_at(number, self.state[number], years)

    def _drift(self, elapsed_ns: int) -> None:
        """Move the errors that the mids of a book share."""
        if self.options.common_noise > 0.0:
            keep = math.exp(-elapsed_ns / NANOS_PER_SECOND / self.options.common_seconds)
            fresh = self._noise.standard_normal(len(self._common))
            self._common = keep * self._common + math.sqrt(1.0 - keep * keep) * fresh

    def _update_vol_index(self, number: int) -> None:
        """The venue's own index: the discrete strip on noise-free prices, not smoothed."""
        board = self.boards[number]
        tenor_ns = self.now_ns + round(HEADLINE_DAYS * NANOS_PER_DAY)
        living = board.living_expiries()
        near = [i for i in living if board.expiries[i].expiry_ns <= tenor_ns][-1:]
        far = [i for i in living if board.expiries[i].expiry_ns > tenor_ns][:1]
        alive = np.flatnonzero(board.alive & np.isin(board.expiry_of, near + far))
        fair, variance = self._fair(number, alive), self._variance(number, alive)
        forward = process.forwards(self.state[number], board.years(self.now_ns))
        strips = discrete_strips(board, near + far, forward, alive, fair, variance)
        ahead = [board.expiries[index].expiry_ns - self.now_ns for index in near + far]
        board.vol_index = tenor_points(ahead, strips, HEADLINE_DAYS)

    def _number(self, name: str) -> int:
        prefix = _book_name(name)
        for number, board in enumerate(self.boards):
            if board.terms.prefix == prefix:
                return number
        raise KeyError(f"expected one of {self.options.currencies}, received {name!r}")

    def _is_surging(self) -> bool:
        if self.options.surge <= 1.0:
            return False
        every = round(self.options.surge_every_seconds * NANOS_PER_SECOND)
        phase = (self.now_ns - self.options.start_ns) % every
        return phase >= every - round(self.options.surge_seconds * NANOS_PER_SECOND)

    def _fair(self, number: int, slots: I64) -> F64:
        """Noise-free premiums of some options now."""
        board = self.boards[number]
        k, forward = self._log_moneyness(number, slots)
        price = self._each(number, slots).out_of_the_money(k)
        intrinsic = np.where(board.is_call[slots], -np.expm1(k), np.expm1(k))
        price = price + np.maximum(intrinsic, 0.0)
        return price if board.terms.coin else price * forward

    def _variance(self, number: int, slots: I64) -> F64:
        """Implied total variances of some options now."""
        k, _ = self._log_moneyness(number, slots)
        return self._each(number, slots).total_variance(k)

    def _each(self, number: int, slots: I64) -> Slices:
        board = self.boards[number]
        return self._slices(number, board.years(self.now_ns)).pick(board.expiry_of[slots])

    def _log_moneyness(self, number: int, slots: I64) -> tuple[F64, F64]:
        board = self.boards[number]
        forward = process.forwards(self.state[number], board.years(self.now_ns))
        mine = forward[board.expiry_of[slots]]
        return np.log(board.strike[slots] / mine), mine

    def _requote(self, number: int, slots: I64) -> QuoteBatch:
        """New quotes around the truth: noise on the mid, a half-spread, rounding outwards."""
        board, options = self.boards[number], self.options
        fair = self._fair(number, slots)
        expiry, is_call = board.expiry_of[slots], board.is_call[slots]
        forward = board.forward[expiry]
        intrinsic = np.where(is_call, forward - board.strike[slots], board.strike[slots] - forward)
        intrinsic = np.maximum(intrinsic, 0.0)
        time_value = fair - (intrinsic / forward if board.terms.coin else intrinsic)
        half = np.maximum(
            options.half_spread_ticks * tick_at(board.terms, fair),
            options.half_spread_ratio * np.maximum(time_value, 0.0),
        )
        told = fair + (self.lies.time_value_ratio() - 1.0) * np.maximum(time_value, 0.0)
        error = options.mid_noise * self._random.standard_normal(len(slots))
        # Each side is rounded outwards, by half a tick on average.
        quoted = half + 0.5 * tick_at(board.terms, fair)
        mid = told + half * error + quoted * options.common_noise * self._common[number]
        bid = round_to_ticks(board.terms, mid - half, up=False)
        ask = round_to_ticks(board.terms, np.maximum(mid + half, half), up=True)
        if self.lies.crossed:
            bid, ask = ask, bid
        numerator, denominator = board.terms.min_amount
        lots = self._random.integers(1, _MAX_SIZE, (2, len(slots)))
        sizes = lots * numerator / denominator
        absent = bid <= 0.0
        bid[absent] = np.nan
        sizes[0][absent] = np.nan
        if self.lies.frozen:
            # Everything is drawn all the same: a lie must not change the market's path.
            bid, ask = board.bid[slots], board.ask[slots]
            sizes = np.stack([board.bid_size[slots], board.ask_size[slots]])
        board.bid[slots], board.ask[slots] = bid, ask
        board.bid_size[slots], board.ask_size[slots] = sizes
        self._anchor[number][slots] = fair
        return QuoteBatch(
            board, slots.tolist(), bid.tolist(), ask.tolist(), *(side.tolist() for side in sizes)
        )

    def _update_some(self, count: int) -> list[QuoteBatch]:
        """Requote `count` options, those most out of date most likely."""
        if not count:
            return []
        totals = np.array([weights[-1] if len(weights) else 0.0 for weights in self._cumulative])
        shares = self._random.multinomial(count, totals / totals.sum())
        batches = []
        for number, share in enumerate(shares):
            if share:
                weights = self._cumulative[number]
                drawn = self._random.random(share) * weights[-1]
                slots = np.searchsorted(weights, drawn, side="right")
                batches.append(self._requote(number, slots))
        return batches

    def _sweep(self, number: int) -> None:
        """Mark every option, and weigh it by how far its quote has fallen behind."""
        board = self.boards[number]
        alive = np.flatnonzero(board.alive)
        fair, variance = self._fair(number, alive), self._variance(number, alive)
        board.mark[alive], board.mark_variance[alive] = np.round(fair, 8), variance
        behind = np.abs(fair - self._anchor[number][alive])
        half = np.maximum(tick_at(board.terms, fair), self.options.half_spread_ratio * fair)
        weights = np.zeros(len(board.options))
        weights[alive] = 0.05 + np.minimum(behind / half, _STALE_LIMIT) ** 2
        k = np.log(board.strike[alive] / board.forward[board.expiry_of[alive]])
        # Near the money there is always something to do.
        weights[alive] += np.exp(-0.5 * k * k / variance)
        self._cumulative[number] = np.cumsum(weights)

    def _move_forward(self, number: int) -> None:
        board = self.boards[number]
        board.forward = process.forwards(self.state[number], board.years(self.now_ns))
        board.index_price = round(float(np.exp(self.state[number, process.LOG_SPOT])), 4)
        agitation = SURGE_AGITATION if self._is_surging() else 1.0
        short_vol = math.exp(0.5 * self.state[number, process.LOG_SHORT])
        board.stress = agitation * short_vol / board.terms.vol
        board.carry = float(self.state[number, process.CARRY])

    def _quote_futures(self, number: int) -> None:
        board = self.boards[number]
        numerator, denominator = board.terms.future_tick
        ticks = board.forward * denominator / numerator
        spread = 1 + self._random.integers(0, 4, len(ticks))
        low = np.floor(ticks - 0.5 * spread)
        board.future_bid = low * numerator / denominator
        board.future_ask = (low + spread) * numerator / denominator

    def _roll(self, before: int) -> tuple[list[Notice], list[tuple[int, I64]]]:
        """Expire at 08:00 UTC, deliver two seconds later, list new contracts after 13 seconds."""
        notices: list[Notice] = []
        fresh: list[tuple[int, I64]] = []
        if self.now_ns >= self._roll_ns:
            for number, board in enumerate(self.boards):
                for index in board.living_expiries():
                    if board.expiries[index].expiry_ns <= self.now_ns:
                        slots = board.expire(index)
                        notices += _state_notices(board, index, slots, "settlement")
                        self._delivering.append((self.now_ns + DELIVERY_DELAY_NS, number, index))
                self._move_forward(number)
                self._sweep(number)
            self._roll_ns = next_roll_ns(self.now_ns, self.options.roll_of_day_ns)
        while self._delivering and self._delivering[0][0] <= self.now_ns:
            _, number, index = self._delivering.pop(0)
            board = self.boards[number]
            slots = np.flatnonzero(board.expiry_of == index).tolist()
            notices += _state_notices(board, index, slots, "delivered")
        # Minutes shifted by 13 s, so that the daily listing comes at 08:00:13.
        shift = self.options.roll_of_day_ns + LISTING_DELAY_NS
        shifted = (before - shift, self.now_ns - shift)
        if crosses(*shifted, LISTING_CHECK_EVERY_NS):
            for number, board in enumerate(self.boards):
                known = set(board.living_expiries())
                slots = self._list_missing(number, self.now_ns)
                for index in sorted(set(board.living_expiries()) - known):
                    notices.append(Notice(board, "future", index, "open", created=True))
                notices += [Notice(board, "option", slot, "open", created=True) for slot in slots]
                if slots:
                    self._move_forward(number)
                    self._quote_futures(number)
                    fresh.append((number, np.array(slots)))
        return notices, fresh

    def _list_missing(self, number: int, now_ns: int) -> list[int]:
        """List the expiries and strikes that the rules want and the book lacks."""
        board = self.boards[number]
        listed = {board.expiries[i].expiry_ns: i for i in board.living_expiries()}
        slots: list[int] = []
        for expiry in list_expiries(now_ns, self.options.roll_of_day_ns):
            index = listed.get(expiry.expiry_ns)
            if index is None:
                index = board.add_expiry(expiry)
            slots += self._list_strikes(number, index, expiry, now_ns)
        grown = len(board.options) - len(self._anchor[number])
        self._anchor[number] = np.append(self._anchor[number], np.zeros(grown))
        if slots:
            years = [(board.options[slot].expiry.expiry_ns - now_ns) / NANOS_PER_YEAR
                     for slot in slots]  # fmt: skip
            board.open_interest[slots] = self._open_interest(number, slots, np.array(years))
            board.volume[slots] = self._volume(number, slots)
        return slots

    def _list_strikes(self, number: int, index: int, expiry: Expiry, now_ns: int) -> list[int]:
        board = self.boards[number]
        years = np.array([(expiry.expiry_ns - now_ns) / NANOS_PER_YEAR])
        forward = float(process.forwards(self.state[number], years)[0])
        mine = board.strike[board.expiry_of == index]
        wanted = strike_grid(expiry.kind, forward, board.terms.vol)
        missing = sorted(wanted - set(mine.tolist()))
        contracts = [(strike, is_call) for strike in missing for is_call in (True, False)]
        listed_ns = expiry.listed_ns if not len(mine) else now_ns
        return board.add_options(index, contracts, listed_ns)

    def _open_interest(self, number: int, slots: list[int], years: F64) -> F64:
        board = self.boards[number]
        chosen = np.array(slots)
        theta = process.level_at(self.state[number], years)
        k = np.log(board.strike[chosen] / process.forwards(self.state[number], years))
        bell = np.exp(-0.5 * k * k / (4.0 * theta))
        lots = np.floor(4_000.0 * bell * self._random.lognormal(0.0, 1.0, len(slots)))
        numerator, denominator = board.terms.min_amount
        amounts: F64 = lots * numerator / denominator
        return amounts

    def _volume(self, number: int, slots: list[int]) -> F64:
        """A day's trade: about an eighth of what is held, and nothing of the farthest strikes."""
        board = self.boards[number]
        numerator, denominator = board.terms.min_amount
        held = board.open_interest[slots] * denominator / numerator
        lots = np.floor(held * self._trading.lognormal(math.log(0.125), 0.8, len(slots)))
        amounts: F64 = lots * numerator / denominator
        return amounts


def _state_notices(board: Board, index: int, slots: list[int], state: str) -> list[Notice]:
    options = [Notice(board, "option", slot, state) for slot in slots]
    return [Notice(board, "future", index, state), *options]


def _family(options: MarketOptions, number: int) -> SmileFamily:
    if options.smile != "mixed":
        return options.smile
    return "ssvi" if (options.seed + number) % 2 else "mixture"


def _book_name(name: str) -> str:
    return name if name in TERMS or f"{name}_USDC" not in TERMS else f"{name}_USDC"
