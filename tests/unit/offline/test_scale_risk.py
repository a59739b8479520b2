"""A book valued off the fit of a chain, against scipy and the chain's known smile."""

from math import exp, log, nan, sqrt
from pathlib import Path

import pytest
from msgspec.structs import replace
from scipy.stats import norm

from golden.chain_sources import coin_price, recorded_chain, smile_vol, synthetic_chain
from volgauge.domain.instrument import OptionKind, Premium
from volgauge.domain.units import NANOS_PER_DAY, parse_instant, years_between
from volgauge.errors import InputError
from volgauge.kernels import layout as col
from volgauge.offline.chain import Chain, ChainQuote
from volgauge.offline.compute import fit_chain
from volgauge.offline.scale.book import Leg, Position
from volgauge.offline.scale.risk import Allowed, BookRisk, assess, to_json
from volgauge.offline.scale.stress import StressGrid, parse_grid

AT = parse_instant("2026-03-02T08:00:00Z")
CHAIN = Chain(tuple(synthetic_chain(AT)))
GRID = parse_grid("spot:-30:30:15,vol:-70:30:20")
POINT = StressGrid((0.0,), (0.0,))


def option(kind: str, days: float, strike: float, quantity: float, line: int = 2) -> Position:
    """A line of a book."""
    return Position(
        leg=Leg(kind),
        expiry_ns=AT + round(days * NANOS_PER_DAY),
        strike=strike,
        quantity=quantity,
        line=line,
    )


BOOK = (
    option("C", 23, 64_000.0, 10.0),
    option("P", 44, 55_000.0, -7.0),
    option("C", 44, 50_000.0, 1.0),
    option("P", 30, 61_000.0, 3.0),
    option("C", 93, 400_000.0, 100.0),
    Position(leg=Leg.FUTURE, quantity=-2.0),
    Position(leg=Leg.FUTURE, quantity=1.5, expiry_ns=AT + 60 * NANOS_PER_DAY),
    Position(leg=Leg.SPOT, quantity=0.25),
)


def run(book: tuple[Position, ...] = BOOK, chain: Chain = CHAIN, **given: object) -> BookRisk:
    """Assess with premiums in the coin."""
    arguments = {"at": AT, "premium": "coin", "grid": POINT} | given
    return assess(book, chain, **arguments)  # type: ignore[arg-type] # a table of them


class Reference:
    """The book by scipy and the curves' parameters, with nothing of what is tested."""

    def __init__(self, spot: float, chain: Chain = CHAIN, premium: Premium = Premium.COIN) -> None:
        surface = fit_chain(chain, AT, premium)
        self.rows = {
            expiry_ns: surface.values[col.NATIVE, row].tolist()
            for row, expiry_ns in enumerate(surface.expiries)
        }
        self.is_coin = premium is Premium.COIN
        self.spot = spot

    def variance(self, expiry_ns: int, k: float) -> float:
        """w(k): of the curve, or linear in time between its neighbours."""
        if expiry_ns in self.rows:
            a, b, rho, m, s = self.rows[expiry_ns][col.SVI_A : col.SVI_S + 1]
            return float(a + b * (rho * (k - m) + sqrt((k - m) ** 2 + s**2)))
        low, high, share = self.around(expiry_ns)
        return (1 - share) * self.variance(low, k) + share * self.variance(high, k)

    def forward(self, expiry_ns: int) -> float:
        """Of the chain, or ln F linear in time."""
        if expiry_ns in self.rows:
            return float(self.rows[expiry_ns][col.FORWARD])
        low, high, share = self.around(expiry_ns)
        return exp((1 - share) * log(self.forward(low)) + share * log(self.forward(high)))

    def around(self, expiry_ns: int) -> tuple[int, int, float]:
        """The neighbours, and how far it is from the first to the second."""
        low = max(e for e in self.rows if e < expiry_ns)
        high = min(e for e in self.rows if e > expiry_ns)
        return low, high, (expiry_ns - low) / (high - low)

    def value(self, position: Position, move: float = 0.0, points: float = 0.0) -> float:
        """Of one position after a stress."""
        if position.expiry_ns is None:
            return position.quantity * self.spot * (1 + move)
        forward = self.forward(position.expiry_ns)
        moved = forward * (1 + move)
        if position.leg is Leg.FUTURE:
            return position.quantity * moved
        k = log(position.strike / moved)
        years = years_between(AT, position.expiry_ns)
        sigma = sqrt(self.variance(position.expiry_ns, k) / years) + points / 100
        sign = 1.0 if position.leg is Leg.CALL else -1.0
        if sigma <= 0.0:
            price = max(0.0, sign * (moved - position.strike))
        else:
            s = sigma * sqrt(years)
            d1, d2 = -k / s + s / 2, -k / s - s / 2
            price = sign * (
                moved * norm.cdf(sign * d1) - position.strike * norm.cdf(sign * d2)
            )  # fmt: skip
        return position.quantity * float(price) * (self.spot / forward if self.is_coin else 1.0)


@pytest.mark.parametrize("premium", list(Premium))
def test_the_stress_table_is_a_revaluation(premium: Premium) -> None:
    """Every cell by scipy: curves kept in log-moneyness, volatility never below 0."""
    chain = CHAIN
    if premium is Premium.QUOTE:
        chain = Chain(
            tuple(
                replace(q, bid=q.bid * q.forward, ask=q.ask * q.forward, mark=q.mark * q.forward)
                for q in CHAIN.quotes
            )
        )
    risk = run(chain=chain, premium=premium, grid=GRID)
    assert risk.spot is not None
    assert risk.stress is not None
    assert risk.hedge is not None
    reference = Reference(risk.spot, chain, premium)

    before = sum(map(reference.value, BOOK))
    for x, row, hedged in zip(
        GRID.spot_percent, risk.stress.pnl, risk.stress.hedged_pnl, strict=True
    ):
        for points, cell, with_hedge in zip(GRID.vol_points, row, hedged, strict=True):
            expected = sum(reference.value(p, x / 100, points) for p in BOOK) - before
            assert cell == pytest.approx(expected, rel=1e-9, abs=1e-6)
            carried = risk.hedge.coins * risk.spot * x / 100
            assert with_hedge == pytest.approx(cell + carried, rel=1e-12, abs=1e-6)
    worst = min(cell for row in risk.stress.pnl for cell in row)
    assert risk.stress.worst.pnl == worst


def test_where_nothing_moves_nothing_is_lost() -> None:
    """Exactly 0."""
    risk = run(grid=parse_grid("spot:-10:10:10,vol:0:0:1"))

    assert risk.stress is not None
    assert risk.stress.pnl[1] == (0.0,)


def test_values_and_volatilities_are_those_of_the_curves() -> None:
    """Per position, listed and interpolated expiries alike."""
    risk = run()
    assert risk.spot is not None
    reference = Reference(risk.spot)
    for position, line in zip(BOOK[:5], risk.positions[:5], strict=True):
        assert position.expiry_ns is not None
        years = years_between(AT, position.expiry_ns)
        k = log(position.strike / reference.forward(position.expiry_ns))

        assert line.greeks.value == pytest.approx(reference.value(position), rel=1e-9)
        expected = 100 * sqrt(reference.variance(position.expiry_ns, k) / years)
        assert line.implied_vol == pytest.approx(expected, rel=1e-12)
        assert line.log_moneyness == pytest.approx(k, rel=1e-12)


def test_volatilities_are_near_the_known_smile() -> None:
    """Within half a point in the corridor, where the ticks allow no more."""
    forwards = {q.expiry_ns: q.forward for q in CHAIN.quotes}
    book = tuple(
        option("C", days, strike, 1.0)
        for days in (9, 23, 44, 93)
        for strike in (56_000.0, 60_000.0, 64_000.0)
    )
    for line, position in zip(run(book).positions, book, strict=True):
        assert position.expiry_ns is not None
        truth = 100 * smile_vol(position.strike, forwards[position.expiry_ns])
        assert line.implied_vol == pytest.approx(truth, abs=0.5)


def test_flags_say_where_the_curve_speaks_alone() -> None:
    """An expiry between two, and a strike beyond the corridor."""
    flags = [line.flags for line in run().positions]

    assert flags[:5] == [(), (), (), ("interpolated_expiry",), ("outside_corridor",)]


def test_the_sum_of_the_lines_is_the_book() -> None:
    """Delta, gamma, vega and the others."""
    risk = run()
    assert risk.total is not None
    for name in risk.total.__struct_fields__:
        summed = sum(getattr(line.greeks, name) for line in risk.positions)
        assert getattr(risk.total, name) == pytest.approx(summed, rel=1e-14)


def test_the_deltas_of_futures_and_spot() -> None:
    """Spot and the perpetual one coin each; a dated future its forward over the spot."""
    risk = run(spot=60_000.0)
    reference = Reference(60_000.0)

    deltas = [line.greeks.delta for line in risk.positions[5:]]

    dated = 1.5 * reference.forward(AT + 60 * NANOS_PER_DAY) / 60_000.0
    assert deltas == pytest.approx([-2.0, dated, 0.25], rel=1e-13)


def test_the_hedge_makes_delta_exactly_zero() -> None:
    """Said, and found again when the hedge joins the book."""
    risk = run()
    assert risk.hedge is not None
    assert risk.hedge.delta_after == 0.0

    hedged = run((*BOOK, Position(leg=Leg.FUTURE, quantity=risk.hedge.coins)))

    assert hedged.total is not None
    assert hedged.total.delta == 0.0


def test_limits() -> None:
    """Use of each, and the factor that brings the tighter one to its limit."""
    free = run()
    assert free.total is not None
    assert free.limits is not None
    assert free.limits.factor == 1.0
    assert free.limits.vega.within is None
    vega, gamma = abs(free.total.vega), abs(free.total.gamma)

    tight = run(allowed=Allowed(vega / 4.0, gamma / 2.0)).limits
    assert tight is not None
    assert tight.vega.utilisation == pytest.approx(4.0, rel=1e-14)
    assert tight.gamma.utilisation == pytest.approx(2.0, rel=1e-14)
    assert tight.factor == pytest.approx(0.25, rel=1e-14)
    assert tight.vega.within is False
    smaller = tuple(replace(p, quantity=p.quantity * tight.factor) for p in BOOK)
    scaled = run(smaller, allowed=Allowed(vega / 4.0, gamma / 2.0)).limits
    assert scaled is not None
    assert scaled.vega.utilisation == pytest.approx(1.0, rel=1e-13)
    assert scaled.gamma.utilisation == pytest.approx(0.5, rel=1e-13)
    roomy = run(allowed=Allowed(vega * 2.0, None)).limits
    assert roomy is not None
    assert roomy.factor == 1.0
    assert roomy.vega.within is True


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (option("C", 94, 60_000.0, 1.0, line=7), "book: line 7, column `expiry`: .*between"),
        (option("C", 2, 60_000.0, 1.0, line=7), "book: line 7, column `expiry`: .*between"),
        (option("C", -1, 60_000.0, 1.0, line=7), "book: line 7, column `expiry`: .*after"),
        (option("C", 0, 60_000.0, 1.0, line=7), "book: line 7, column `expiry`: .*after"),
        (
            Position(leg=Leg.FUTURE, quantity=1.0, expiry_ns=AT + 365 * NANOS_PER_DAY, line=9),
            "book: line 9, column `expiry`",
        ),
    ],
)
def test_an_expiry_that_the_chain_does_not_span(position: Position, message: str) -> None:
    """It is refused with its line; nothing is extrapolated."""
    with pytest.raises(InputError, match=message):
        run((position,))


@pytest.mark.parametrize(
    "given",
    [
        {"spot": 0.0},
        {"spot": nan},
        {"allowed": Allowed(vega=-1.0)},
        {"allowed": Allowed(gamma=0.0)},
        {"at": "soon"},
        {"at": None},
        {"chain": Chain(())},
    ],
)
def test_arguments_that_are_none(given: dict[str, object]) -> None:
    """A typed error before any figure."""
    with pytest.raises(InputError):
        run(**given)  # type: ignore[arg-type] # a table of them


def test_a_chain_without_a_curve_has_no_figures() -> None:
    """Three strikes make no smile: the reason is told."""
    few = Chain(tuple(q for q in CHAIN.quotes if 59_000.0 <= q.strike <= 60_000.0)[:4])

    risk = run(chain=few)

    assert risk.reason == "no expiry of the chain has a curve"
    assert risk.total is None
    assert b'"total":null' in to_json(risk)


def test_an_expiry_without_its_own_curve_is_interpolated() -> None:
    """Listed with too few quotes: the neighbours' curves, its own forward."""
    expiry_ns = AT + 44 * NANOS_PER_DAY
    thin = Chain(
        tuple(
            q for q in CHAIN.quotes if q.expiry_ns != expiry_ns or 59_000.0 <= q.strike <= 61_000.0
        )
    )

    line = run((option("P", 44, 60_000.0, 1.0),), thin).positions[0]

    assert line.flags == ("interpolated_expiry",)
    assert line.forward == pytest.approx(60_250.0, rel=2e-3)
    assert line.implied_vol == pytest.approx(60.0, abs=0.7)


def test_a_flat_smile_is_kept_by_interpolation() -> None:
    """Exact prices at 50 % everywhere: 50 points at any expiry, and both deltas agree."""
    quotes = []
    for days, forward in ((10, 60_000.0), (40, 60_600.0)):
        for i in range(-20, 21):
            strike = 60_000.0 * exp(i * 0.02 * sqrt(days / 10))
            for kind in OptionKind:
                price = forward * coin_price(strike, forward, 0.5 * sqrt(days / 365), kind)
                quotes.append(
                    ChainQuote(
                        expiry_ns=AT + days * NANOS_PER_DAY,
                        strike=strike,
                        kind=kind,
                        bid=price * 0.999,
                        ask=price * 1.001,
                        forward=forward,
                    )
                )
    risk = run((option("C", 25, 63_000.0, 1.0),), Chain(tuple(quotes)), premium="quote")

    line = risk.positions[0]
    assert line.implied_vol == pytest.approx(50.0, abs=0.01)
    assert line.greeks.smile_delta == pytest.approx(line.greeks.delta, abs=1e-3)
    assert line.forward == pytest.approx(sqrt(60_000.0 * 60_600.0), rel=1e-6)


def test_a_real_chain(test_data: Path) -> None:
    """Our values of 2026-05-26 lie between the exchange's bid and ask nearly everywhere."""
    quotes, at_ns = recorded_chain(test_data)
    liquid = [
        q
        for q in quotes
        if q.bid > 0.0 and q.ask > 0.0 and abs(log(q.strike / q.forward)) < 0.15
        and q.expiry_ns > at_ns + 2 * NANOS_PER_DAY
    ]  # fmt: skip
    book = tuple(
        Position(leg=Leg(q.kind.value), quantity=1.0, expiry_ns=q.expiry_ns, strike=q.strike)
        for q in liquid
    )

    risk = run(book, Chain(tuple(quotes)), at=at_ns)

    assert risk.spot is not None
    inside = [
        q.bid - 1e-4 <= line.greeks.value / risk.spot <= q.ask + 1e-4
        for q, line in zip(liquid, risk.positions, strict=True)
    ]
    assert len(inside) > 200
    assert sum(inside) / len(inside) > 0.95
