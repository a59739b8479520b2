"""Order-flow imbalance and depth of the option books."""

from math import exp, isnan, nan, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes.smile_lab import NOW, Curve, Listed, contract, lay, write
from volgauge import kernels
from volgauge.analytics.books import WeightedBook
from volgauge.analytics.flow import FlowMeter
from volgauge.domain.analytics import FlowReading, Lack
from volgauge.kernels import layout as col
from volgauge.surface.surface import Surface

SECOND = 1_000_000_000
CURVES = [
    Curve(25.0, 0.015, 0.05, -0.3, 0.02, 0.12),
    Curve(100.0, 0.060, 0.10, -0.5, -0.03, 0.20, forward=61_000.0),
]
Quote = tuple[float, float, float, float]
"""Bid, ask, bid size, ask size."""


def show(surface: Surface, quotes: dict[int, Quote]) -> None:
    """Let these quotes stand in the book."""
    for slot, quote in quotes.items():
        surface.table.quotes[slot, : col.EXCHANGE_NS] = quote


def random_quotes(listed: list[Listed], random: np.random.Generator) -> dict[int, Quote]:
    """Few price levels, so that prices often stay; now and then a number is absent."""
    quotes = {}
    for option in listed:
        numbers = [
            0.01 + 0.001 * random.integers(0, 3),
            0.02 + 0.001 * random.integers(0, 3),
            *random.exponential(5.0, 2),
        ]
        numbers[random.integers(0, 4)] *= nan if random.random() < 0.1 else 1.0
        bid, ask, bid_size, ask_size = (float(number) for number in numbers)
        quotes[option.slot] = bid, ask, bid_size, ask_size
    return quotes


def contribution(now: Quote, before: Quote) -> float:
    """e_n of Cont, Kukanov and Stoikov, written as the paper does, a side at a time."""
    bid, ask, bid_size, ask_size = now
    bid_0, ask_0, bid_size_0, ask_size_0 = before
    e = 0.0
    if not any(isnan(x) for x in (bid, bid_0, bid_size, bid_size_0)):
        e += (bid >= bid_0) * bid_size - (bid <= bid_0) * bid_size_0
    if not any(isnan(x) for x in (ask, ask_0, ask_size, ask_size_0)):
        e += -(ask <= ask_0) * ask_size + (ask >= ask_0) * ask_size_0
    return e


def vega_at(option: Listed, now_ns: int) -> float:
    """Vega with the time that is left at an instant."""
    left = (option.curve.expiry_ns - now_ns) / (365.0 * 86_400e9)
    return option.vega * sqrt(left / option.curve.years)


def is_two_sided(quote: Quote) -> bool:
    """Both prices and both sizes are there and not crossed."""
    return not any(isnan(x) for x in quote) and 0.0 < quote[0] < quote[1]


def near_size(listed: list[Listed], quotes: dict[int, Quote]) -> float:
    """Rule 16's size near the money: out of the money, 1.5 deviations, 90 days."""
    total = 0.0
    for option in listed:
        z = option.k / sqrt(option.curve.variance(0.0))
        is_out = (option.kind.value == "P") == (option.k < 0.0)
        quote = quotes[option.slot]
        if is_out and abs(z) <= 1.5 and option.curve.days <= 90.0 and is_two_sided(quote):
            total += exp(-z * z / 2.0) * min(quote[2:])
    return total


def run(meter: FlowMeter, book: WeightedBook, seconds: int, start: int = 0) -> int:
    """Look at a book that stands still, once a second; returns the last instant."""
    for second in range(start, start + seconds):
        meter.observe([book], NOW + second * SECOND)
    return NOW + (start + seconds - 1) * SECOND


def quiet_book() -> tuple[WeightedBook, list[Listed]]:
    """A book with a 10-coin quote everywhere."""
    surface, listed = lay(CURVES)
    show(surface, {option.slot: (0.01, 0.02, 10.0, 10.0) for option in listed})
    return WeightedBook("a", surface, 1.0), listed


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_quote_paths_against_the_paper(seed: int) -> None:
    """90 s with two looks a second: the flow of the last 60 s over the mean depth then."""
    random = np.random.default_rng(seed)
    surface, listed = lay(CURVES)
    meter = FlowMeter()
    before: dict[int, Quote] = {}
    history: list[tuple[int, float, float]] = []
    quotes: dict[int, Quote] = {}
    now_ns = NOW
    for look in range(180):
        now_ns = NOW + look * SECOND // 2
        quotes = random_quotes(listed, random)
        show(surface, quotes)
        meter.observe([WeightedBook("a", surface, 1.0)], now_ns)
        flow = depth = 0.0
        for option in listed:
            vega, quote = vega_at(option, now_ns), quotes[option.slot]
            flow += vega * contribution(quote, before.get(option.slot, (nan,) * 4))
            depth += vega * (quote[2] + quote[3]) / 2.0 if is_two_sided(quote) else 0.0
        history.append((now_ns // SECOND, flow, depth))
        before = quotes
    window = [row for row in history if row[0] > now_ns // SECOND - 60]
    flow = sum(row[1] for row in window)
    depth = sum(row[2] for row in window) / len(window)

    reading, missing = meter.reading(now_ns)

    assert reading.vega_flow == pytest.approx(flow, rel=1e-9)
    assert reading.imbalance == pytest.approx(flow / depth, rel=1e-9)
    assert reading.depth == pytest.approx(near_size(listed, quotes), rel=1e-12)
    assert missing == {"flow.depth_reference": Lack.TOO_LITTLE_HISTORY}


def test_a_book_that_stands_still_has_no_flow() -> None:
    """And its depth is its own slow average."""
    book, listed = quiet_book()
    meter = FlowMeter()
    quotes: dict[int, Quote] = {option.slot: (0.01, 0.02, 10.0, 10.0) for option in listed}

    reading, missing = meter.reading(run(meter, book, 301))

    size = pytest.approx(near_size(listed, quotes), rel=1e-12)
    assert reading == FlowReading(
        imbalance=0.0, vega_flow=0.0, depth=reading.depth, depth_reference=reading.depth_reference
    )
    assert reading.depth == size
    assert reading.depth_reference == size
    assert {} == missing


def test_all_bids_doubled_are_a_flow_of_one_depth_less_a_third() -> None:
    """Each bid side gains 10 on a depth that is (10 + 10) / 2 before and (20 + 10) / 2 after."""
    book, listed = quiet_book()
    meter = FlowMeter()
    run(meter, book, 59)
    show(book.surface, {option.slot: (0.01, 0.02, 20.0, 10.0) for option in listed})
    now_ns = run(meter, book, 1, 59)

    reading, _ = meter.reading(now_ns)

    assert reading.imbalance == pytest.approx(10.0 / ((59 * 10.0 + 15.0) / 60.0), rel=1e-4)


def test_the_flow_is_forgotten_after_a_minute() -> None:
    """What was added 60 s ago is not of the last minute."""
    book, listed = quiet_book()
    meter = FlowMeter()
    run(meter, book, 10)
    show(book.surface, {option.slot: (0.01, 0.02, 20.0, 10.0) for option in listed})
    still = run(meter, book, 60, 10)
    before = meter.reading(still)[0].vega_flow
    gone = run(meter, book, 1, 70)

    assert before is not None
    assert before > 0.0
    assert meter.reading(gone)[0].vega_flow == 0.0


def test_a_slot_that_passes_to_another_option_starts_anew() -> None:
    """The old option's quote is no quote of the new one, though the slot is the same."""
    surface, listed = lay(CURVES[:1])
    book = WeightedBook("a", surface, 1.0)
    show(surface, {option.slot: (0.01, 0.02, 10.0, 10.0) for option in listed})
    meter = FlowMeter()
    run(meter, book, 40)
    slot = listed[6].slot
    surface.remove(slot)
    surface.add(slot, contract(CURVES[0], 62_500.0, listed[6].kind))
    surface.evaluate(NOW)
    write(surface, CURVES[:1])
    show(surface, {slot: (0.05, 0.06, 99.0, 1.0)})
    now_ns = run(meter, book, 1, 40)

    assert meter.reading(now_ns)[0].vega_flow == 0.0


def test_a_new_option_is_seen_from_its_second_look_on() -> None:
    """A listing that enlarges the table brings no flow; its later change does."""
    surface, listed = lay(CURVES[:1])
    book = WeightedBook("a", surface, 1.0)
    show(surface, {option.slot: (0.01, 0.02, 10.0, 10.0) for option in listed})
    meter = FlowMeter()
    run(meter, book, 40)
    surface.add(5000, contract(CURVES[0], 62_500.0, listed[0].kind))
    surface.evaluate(NOW)
    write(surface, CURVES[:1])
    show(surface, {5000: (0.05, 0.06, 99.0, 1.0)})
    first = meter.reading(run(meter, book, 1, 40))[0].vega_flow
    show(surface, {5000: (0.05, 0.06, 100.0, 1.0)})
    now_ns = run(meter, book, 1, 41)
    vega = vega_at(Listed(5000, CURVES[0], 62_500.0, listed[0].kind), now_ns)

    assert first == 0.0
    assert meter.reading(now_ns)[0].vega_flow == pytest.approx(vega, rel=1e-9)


@pytest.mark.parametrize("how", ["no weight", "not listed", "no looks"])
def test_what_happens_while_nobody_looks_is_nobodys_flow(how: str) -> None:
    """A book that was out, or a meter that slept for over a minute, starts anew."""
    book, listed = quiet_book()
    meter = FlowMeter()
    run(meter, book, 40)
    later = 41
    if how == "no weight":
        run(meter, book._replace(weight=0.0), 1, 40)
    elif how == "not listed":
        meter.observe([], NOW + 40 * SECOND)
    else:
        later = 110
    show(book.surface, {option.slot: (0.015, 0.018, 50.0, 5.0) for option in listed})
    now_ns = run(meter, book, 40, later)

    assert meter.reading(now_ns)[0].vega_flow == 0.0


def test_the_slow_average_has_a_half_life_of_an_hour() -> None:
    """Depth 1 for an hour, then 3 for an hour: (0.25 + 3 * 0.5) / 0.75 of the first."""
    book, listed = quiet_book()
    meter = FlowMeter()
    run(meter, book, 3601)
    first = meter.reading(NOW + 3600 * SECOND)[0].depth
    show(book.surface, {option.slot: (0.01, 0.02, 30.0, 30.0) for option in listed})
    now_ns = run(meter, book, 3600, 3601)

    reading, _ = meter.reading(now_ns)

    assert first is not None
    assert reading.depth == pytest.approx(3.0 * first, rel=1e-12)
    assert reading.depth_reference == pytest.approx(first * (0.25 + 3.0 * 0.5) / 0.75, rel=1e-9)


def test_too_few_seconds_say_nothing() -> None:
    """29 looks are too little history, 30 are enough."""
    book, _ = quiet_book()
    meter = FlowMeter()

    early, missing = meter.reading(run(meter, book, 29))
    enough, _ = meter.reading(run(meter, book, 1, 29))

    assert (early.imbalance, early.vega_flow) == (None, None)
    assert missing["flow.imbalance"] is missing["flow.vega_flow"] is Lack.TOO_LITTLE_HISTORY
    assert early.depth is not None
    assert enough.imbalance == 0.0


def test_books_without_sizes_have_no_depth() -> None:
    """Prices alone: null with the reason."""
    book, listed = quiet_book()
    show(book.surface, {option.slot: (0.01, 0.02, nan, nan) for option in listed})
    meter = FlowMeter()

    reading, missing = meter.reading(run(meter, book, 60))

    assert (reading.imbalance, reading.vega_flow, reading.depth) == (None, None, None)
    assert missing["flow.imbalance"] is missing["flow.depth"] is Lack.NO_DEPTH


def test_an_asset_without_books_is_halted() -> None:
    """Before the first look, and with no contributing book."""
    meter = FlowMeter()
    meter.observe([quiet_book()[0]._replace(weight=0.0)], NOW)

    reading, missing = meter.reading(NOW)

    assert (reading.imbalance, reading.depth, reading.depth_reference) == (None, None, None)
    assert missing["flow.imbalance"] is missing["flow.depth"] is Lack.HALTED
    assert FlowMeter().reading(NOW)[1]["flow.depth"] is Lack.HALTED


def test_a_depth_from_long_ago_is_not_told() -> None:
    """Over a minute without a look."""
    book, _ = quiet_book()
    meter = FlowMeter()
    last = run(meter, book, 60)

    reading, missing = meter.reading(last + 61 * SECOND)

    assert (reading.depth, reading.imbalance) == (None, None)
    assert missing["flow.depth"] is missing["flow.imbalance"] is Lack.NO_DEPTH


def test_flow_compiles_nothing() -> None:
    """`warm` has made every signature."""
    before = kernels.warm()

    run(FlowMeter(), quiet_book()[0], 2)

    assert before == kernels.warm()


def as_array(quotes: dict[int, Quote]) -> NDArray[np.float64]:
    """Quotes in the order of their slots."""
    return np.array([quotes[slot] for slot in sorted(quotes)])


def test_the_same_looks_give_the_same_bits() -> None:
    """Two meters over one path agree exactly."""
    readings = []
    paths = []
    for _ in range(2):
        random = np.random.default_rng(9)
        surface, listed = lay(CURVES)
        meter = FlowMeter()
        path = []
        for second in range(40):
            quotes = random_quotes(listed, random)
            path.append(as_array(quotes))
            show(surface, quotes)
            meter.observe([WeightedBook("a", surface, 1.0)], NOW + second * SECOND)
        paths.append(np.array(path))
        readings.append(meter.reading(NOW + 39 * SECOND))

    assert np.array_equal(paths[0], paths[1], equal_nan=True)
    assert readings[0] == readings[1]
