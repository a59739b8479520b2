"""A chain's strip: the kernel against vectorised numpy, and one expiry against the whole chain.

Unit of work: `Surface.evaluate`, called from Python, on a simulated BTC chain of about 900 options
and 11 expiries. The values are compared before anything is timed.
"""

import random
from collections.abc import Callable

import numpy as np
from msgspec import Struct

from volgauge.book.quotes import QuoteTable
from volgauge.domain.index import Method
from volgauge.domain.instrument import Asset, BookKey, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import parse_instant
from volgauge.kernels import layout as col
from volgauge.simulator.board import Board
from volgauge.simulator.market import Market, MarketOptions
from volgauge.surface.surface import METHOD_ROW, Surface

from . import measure, reference
from .report import Options, Report

NOW_NS = parse_instant("2026-05-26T10:00:00Z")
SEED = 7
MOVES = 400
"""Steps of the market before the chain is taken, so that its quotes are of different ages."""
LEAST_RATIO = 40.0
LARGEST_DIRTY = 0.45
LONGEST_TICK_US = 25.0
LONGEST_FULL_US = 150.0
LONGEST_COLD_US = 1_000.0
LARGEST_ERROR = 1e-12
PRODUCTION = (Method.NATIVE, Method.DVOL)


class Case(Struct):
    """A chain in the engine's form and in the reference's."""

    board: Board
    table: QuoteTable
    surface: Surface
    chain: reference.Chain
    now_ns: int


def make_case(methods: tuple[Method, ...], *, moves: int = MOVES) -> Case:
    """List and quote a simulated chain."""
    market = Market(MarketOptions(seed=SEED, currencies=("BTC",), start_ns=NOW_NS))
    for _ in range(moves):
        market.advance()
    board = market.boards[0]
    table = QuoteTable()
    surface = Surface(BookKey(Venue("deribit"), Asset("BTC"), "USD"), table, methods)
    terms = board.terms
    tick_above = terms.tick_above * terms.tick_size
    tick_step = terms.tick_multiple * terms.tick_size
    for slot, option in enumerate(board.options):
        surface.add(
            slot,
            Instrument(
                venue=surface.key.venue,
                name=option.name,
                asset=surface.key.asset,
                expiry_ns=option.expiry.expiry_ns,
                strike=option.strike,
                kind=OptionKind.CALL if option.is_call else OptionKind.PUT,
                premium=Premium.COIN,
                quote_currency="USD",
                tick_size=terms.tick_size,
                tick_above=tick_above,
                tick_step=tick_step,
            ),
        )
    future = 0.5 * (board.future_bid + board.future_ask)
    for expiry, price in zip(board.expiries, future.tolist(), strict=True):
        surface.set_forward(expiry.expiry_ns, price)
    slots = range(len(board.options))
    table.write_marks(slots, board.mark.tolist())
    case = Case(
        board, table, surface, _reference_chain(board, future, tick_above, tick_step), market.now_ns
    )
    for slot in slots:
        quote_again(case, slot)
    surface.evaluate(case.now_ns)
    return case


def quote_again(case: Case, slot: int) -> None:
    """Write a slot's quote once more: the expiry is dirty then."""
    board = case.board
    case.table.write(
        slot,
        board.bid[slot],
        board.ask[slot],
        board.bid_size[slot],
        board.ask_size[slot],
        case.now_ns,
        case.now_ns,
    )


def largest_difference(case: Case) -> float:
    """Between the engine's strips and the reference's: relative, over all expiries and columns."""
    expected = reference.evaluate(case.chain, case.board.bid, case.board.ask, case.board.mark)
    values, facts = case.surface.values, case.surface.facts
    strips, parity = values[METHOD_ROW[Method.DVOL]], values[METHOD_ROW[Method.NATIVE]]
    counts = facts[METHOD_ROW[Method.DVOL]]
    if not (
        np.array_equal(counts[:, col.STRIKES], expected.strikes)
        and np.array_equal(counts[:, col.PAIRS], expected.pairs)
    ):
        return float("inf")
    pairs = (
        (parity[:, col.OWN_FORWARD], expected.forward),
        (strips[:, col.STRIP_SUM], expected.strip_sum),
        (strips[:, col.TOTAL_VARIANCE], expected.total_variance),
    )
    # A NaN on either side is a difference of infinity.
    return max(float(np.nan_to_num(np.abs(a / b - 1.0), nan=np.inf).max()) for a, b in pairs)


def run(options: Options) -> Report:
    """Compare, time, gate."""
    case = make_case((Method.DVOL,))
    production = make_case(PRODUCTION)
    board = case.board
    report = Report(
        "index", f"one chain, {len(board.options)} options, {len(board.expiries)} expiries"
    )
    report.gate(
        "values: largest relative difference from numpy", largest_difference(case), "at most",
        LARGEST_ERROR, hard=True,
    )  # fmt: skip

    measure.pin(measure.cores()[0])
    try:
        found = measure.interleave(
            {
                "numpy": _numpy(case),
                "strip": _full(case),
                "full": _full(production),
                "cold": _cold(production),
                "dirty": _dirty(production),
                "call": _idle(production),
            },
            options.rounds,
        )
    finally:
        measure.unpin()
    for name, about in (
        ("numpy", "strip, vectorised numpy, whole chain"),
        ("strip", "strip, Surface.evaluate, whole chain"),
        ("full", "all rules of the service, whole chain"),
        ("cold", "the same, every curve searched from nothing"),
        ("dirty", "all rules of the service, a quote written, its expiry"),
        ("call", "nothing dirty"),
    ):
        sample = found[name]
        report.add(about, sample.median_ns / 1e3, "us", f"MAD {sample.mad_ns / 1e3:.2f}")
    speed, share = (
        measure.ratio(found["numpy"], found["strip"]),
        measure.ratio(found["dirty"], found["full"]),
    )
    report.add("numpy / strip, 95 % from", speed.low, "x", f"to {speed.high:.1f}")
    report.gate(
        "numpy / Surface.evaluate", speed.value, "at least", LEAST_RATIO, quick=options.quick
    )
    report.gate("one expiry / whole chain", share.value, "at most", LARGEST_DIRTY)
    for name, what, limit in (
        ("dirty", "one tick, all quantities, us", LONGEST_TICK_US),
        ("full", "whole chain, us", LONGEST_FULL_US),
        ("cold", "whole chain, cold curves, us", LONGEST_COLD_US),
    ):
        report.gate(what, found[name].median_ns / 1e3, "at most", limit, quick=options.quick)
    return report


def _numpy(case: Case) -> Callable[[], int]:
    chain, board = case.chain, case.board

    def call() -> int:
        reference.evaluate(chain, board.bid, board.ask, board.mark)
        return 1

    return call


def _full(case: Case) -> Callable[[], int]:
    surface, now_ns = case.surface, case.now_ns

    def call() -> int:
        surface.mark_all_dirty()
        surface.evaluate(now_ns)
        return 1

    return call


def _cold(case: Case) -> Callable[[], int]:
    surface, now_ns = case.surface, case.now_ns

    def call() -> int:
        surface.search_again()
        surface.mark_all_dirty()
        surface.evaluate(now_ns)
        return 1

    return call


def _dirty(case: Case) -> Callable[[], int]:
    board, write, surface, now_ns = case.board, case.table.write, case.surface, case.now_ns
    slots = list(range(len(board.options)))
    random.Random(SEED).shuffle(slots)  # noqa: S311 - repeatable, not secret
    columns = (board.bid, board.ask, board.bid_size, board.ask_size)
    quotes = list(zip(slots, *(column[slots].tolist() for column in columns), strict=True))

    def call() -> int:
        for slot, bid, ask, bid_size, ask_size in quotes:
            write(slot, bid, ask, bid_size, ask_size, now_ns, now_ns)
            surface.evaluate(now_ns)
        return len(quotes)

    return call


def _idle(case: Case) -> Callable[[], int]:
    surface, now_ns = case.surface, case.now_ns

    def call() -> int:
        surface.evaluate(now_ns)
        return 1

    return call


def _reference_chain(
    board: Board, future: reference.F64, tick_above: float, tick_step: float
) -> reference.Chain:
    ladders = [
        np.unique(board.strike[board.expiry_of == index]) for index in range(len(board.expiries))
    ]
    shape = (len(ladders), max(map(len, ladders)))
    strike = np.full(shape, np.nan)
    slots = np.full((2, *shape), -1)
    for row, ladder in enumerate(ladders):
        strike[row, : len(ladder)] = ladder
        mine = np.flatnonzero(board.expiry_of == row)
        place = np.searchsorted(ladder, board.strike[mine])
        slots[np.where(board.is_call[mine], 0, 1), row, place] = mine
    return reference.Chain(strike, slots, future, board.terms.tick_size, tick_above, tick_step)
