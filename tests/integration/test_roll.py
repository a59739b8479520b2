"""The daily roll: a day's options expire and new ones are listed, and the index does not notice.

First the instants around 08:00:00.000 UTC of a Friday that ends a quarter, with the simulated
market before the engine; then real processes, whose venue rolls some seconds after its start.
"""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise

import pytest
from msgspec import Struct
from msgspec.structs import replace

from golden.market_feed import Watched
from integration.processes import (
    Line,
    Process,
    addresses,
    assert_in_order,
    eventually,
    metric,
    page_of,
    raw,
    redis_of,
    result_of,
    stream,
    sure,
    venue,
    wait_for_value,
)
from volgauge.domain.index import IndexValue
from volgauge.domain.units import NANOS_PER_MILLI, NANOS_PER_SECOND, format_instant, parse_instant
from volgauge.simulator.listing import LISTING_DELAY_NS, list_expiries
from volgauge.simulator.market import MarketOptions

ROLLS = {
    "quarter": "2026-06-26T08:00:00Z",
    "week": "2026-05-08T08:00:00Z",
    "day": "2026-03-04T08:00:00Z",
}
BEFORE_NS, AFTER_NS = 5 * NANOS_PER_SECOND, 25 * NANOS_PER_SECOND
STEP_NS = 10 * NANOS_PER_MILLI
RECOMPUTE_STEPS = 5
CURRENCIES = ("BTC", "ETH")
ROLL_IN_SECONDS = 20.0
"""Enough for a service with warm kernels to be connected and to publish."""
WATCH_SECONDS = 20.0
"""After the roll: 13 s to the listing, the rest to subscribe and to go on."""
Tell = Callable[[str, object], None]


class Shown(Struct, frozen=True):
    """One value, whoever published it."""

    computed_ns: int
    value: float
    u: float


class Rolled(Struct, frozen=True):
    """What the engine said around one roll."""

    roll_ns: int
    records: list[IndexValue]


@pytest.fixture(scope="module", params=list(ROLLS))
def rolled(request: pytest.FixtureRequest) -> Rolled:
    """Five seconds before to 25 after one kind of roll, both assets, every tenor."""
    roll_ns = parse_instant(ROLLS[request.param])
    return Rolled(roll_ns, list(watch(roll_ns)))


def test_values_stand_on_both_sides_of_eight(rolled: Rolled) -> None:
    """A value at 07:59:59.999 and at 08:00:00.000, the headline and the other tenors."""
    for asset in CURRENCIES:
        mine = [record for record in rolled.records if record.asset == asset]
        at = {record.computed_ns: record for record in mine if record.tenor_days == 30.0}

        assert at[rolled.roll_ns - NANOS_PER_MILLI].value is not None
        assert at[rolled.roll_ns].value is not None
        assert all(record.value is not None for record in mine)
        assert {record.tenor_days for record in mine} == {7.0, 14.0, 30.0, 60.0, 90.0, 180.0}


def test_no_value_rests_on_an_expired_option(rolled: Rolled) -> None:
    """Every contributing expiry lies after the instant of the calculation."""
    for record in rolled.records:
        assert record.expiries
        for expiry in record.expiries:
            assert parse_instant(expiry.expiry) > record.computed_ns
            assert expiry.t_years > 0.0


def test_roll_and_listing_stay_inside_the_band(rolled: Rolled, record_property: Tell) -> None:
    """Around 08:00:00 and the listing at 08:00:13 no value steps by more than its u.

    Of any tenor and asset; and the headline does not in the whole half minute.
    """
    series: defaultdict[tuple[str, float], list[Shown]] = defaultdict(list)
    for record in rolled.records:
        assert record.value is not None
        assert record.u is not None
        series[record.asset, record.tenor_days].append(
            Shown(record.computed_ns, record.value, record.u)
        )
    windows = [
        around(shown, rolled.roll_ns + after_ns)
        for shown in series.values()
        for after_ns in (0, LISTING_DELAY_NS)
    ]
    worst = max(map(largest_step, windows))
    headline = max(largest_step(series[asset, 30.0]) for asset in CURRENCIES)
    whole = max(map(largest_step, series.values()))
    record_property(
        "measured",
        f"roll: largest step {worst:.2f} u at the roll and the listing, headline {headline:.2f} u "
        f"in 30 s, any of {len(series)} series {whole:.2f} u",
    )

    assert worst <= 1.0
    assert headline <= 1.0
    # The band is value +- 2u: a new shape of the curve must stay inside, too.
    assert whole <= 2.0


@pytest.mark.slow
def test_service_rolls_with_its_venue(record_property: Tell) -> None:
    """Real processes: expiry and listing without a jump, a reconnect or a refused request."""
    assert result_of("warm")[0] == 0
    started_ns = time.time_ns()
    with ExitStack() as stack:
        simulator = stack.enter_context(
            venue(rate=1_000.0, flags=("--roll-in", f"{ROLL_IN_SECONDS:g}"))
        )
        listed_ns = time.time_ns()
        service = stack.enter_context(
            Process("run", "--port", "0", environment=addresses(simulator))
        )
        client = stack.enter_context(closing(raw(redis_of(service))))
        first = wait_for_value(service, client)
        before = expiries_of(client)
        roll_ns = min(before)
        # Our clock is the venue's: the first expiry is the roll that was asked for.
        ahead_ns = round(ROLL_IN_SECONDS * NANOS_PER_SECOND)
        assert started_ns + ahead_ns - NANOS_PER_MILLI <= roll_ns <= listed_ns + ahead_ns
        assert first["computed_ns"] < roll_ns
        roll_of_day_ns = roll_ns % (24 * 3600 * NANOS_PER_SECOND)
        after_ns = roll_ns + LISTING_DELAY_NS
        expected = {expiry.expiry_ns for expiry in list_expiries(after_ns, roll_of_day_ns)}
        eventually(lambda: expiries_of(client) == expected, "the new listing", 60.0)
        eventually(
            lambda: time.time_ns() > roll_ns + round(WATCH_SECONDS * NANOS_PER_SECOND),
            "the end of the watch",
            60.0,
        )
        found = {
            days: [r for _, r in stream(client, f"volgauge:stream:index:BTC:{days}d")]
            for days in (7, 14, 30, 60, 90, 180)
        }
        reconnects = metric(page_of(service), "volgauge_feed_reconnects_total")
        connected = metric(page_of(service), "volgauge_feed_connected", venue="deribit")
        troubles = [line for line in service.log if line["level"] in {"warning", "error"}]

    assert reconnects == 0.0
    assert connected == 1.0
    assert not [line for line in troubles if line["event"].partition(".")[0] in {"feed", "catalog"}]
    worst, whole = 0.0, 0.0
    for days, records in found.items():
        assert_in_order(records)
        values = [record for record in records if sure(record)]
        near = [r for r in values if abs(r["computed_ns"] - roll_ns) < 2 * NANOS_PER_SECOND]
        assert near[0]["computed_ns"] < roll_ns < near[-1]["computed_ns"], days
        assert_alive(records)
        shown = [Shown(r["computed_ns"], r["value"], r["u"]) for r in values]
        for after_ns in (0, LISTING_DELAY_NS):
            worst = max(worst, largest_step(around(shown, roll_ns + after_ns)))
        whole = max(whole, largest_step(shown))
    record_property(
        "measured",
        f"roll with processes: largest step {worst:.2f} u at the roll and the listing, "
        f"{whole:.2f} u in all, 6 tenors",
    )

    assert worst <= 1.0
    assert whole <= 2.0


def watch(roll_ns: int) -> Iterator[IndexValue]:
    """Run market and engine across a roll; the venue's word of it comes after the instant."""
    watched = Watched(
        MarketOptions(seed=12, start_ns=roll_ns - BEFORE_NS, currencies=CURRENCIES, step_ns=STEP_NS)
    )
    market, engine, feed = watched.market, watched.engine, watched.feed
    for number in range((BEFORE_NS + AFTER_NS) // STEP_NS):
        step = market.advance()
        feed.step(replace(step, notices=[n for n in step.notices if n.created]))
        if step.now_ns == roll_ns:
            yield from values(engine.recompute(roll_ns - NANOS_PER_MILLI))
            feed.step(replace(step, notices=[]))
        if number % RECOMPUTE_STEPS == 0 or step.now_ns == roll_ns:
            yield from values(engine.recompute(step.now_ns))
        feed.step(replace(step, quotes=[], notices=[n for n in step.notices if not n.created]))
        if step.now_ns % NANOS_PER_SECOND == 0:
            for board in market.boards:
                feed.state(board, step.now_ns)


def values(records: Sequence[object]) -> list[IndexValue]:
    """Those of constant tenors."""
    return [record for record in records if isinstance(record, IndexValue)]


def around(shown: list[Shown], at_ns: int) -> list[Shown]:
    """From just before an instant to two seconds after it."""
    return [
        s for s in shown if -NANOS_PER_SECOND // 5 <= s.computed_ns - at_ns <= 2 * NANOS_PER_SECOND
    ]


def largest_step(shown: list[Shown]) -> float:
    """Largest change from one value to the next, in units of the band."""
    return max(abs(after.value - before.value) / before.u for before, after in pairwise(shown))


def assert_alive(records: list[Line]) -> None:
    """No computed value names an expiry that was over."""
    for record in filter(sure, records):
        assert record["expiries"]
        for expiry in record["expiries"]:
            assert parse_instant(expiry["expiry"]) > record["computed_ns"], format_instant(
                record["computed_ns"]
            )


def expiries_of(client: object) -> set[int]:
    """The expiries of the newest surface."""
    text = client.get("volgauge:latest:surface:BTC")  # type: ignore[attr-defined]
    surface = json.loads(text)
    return {parse_instant(row["expiry"]) for row in surface["expiries"]}
