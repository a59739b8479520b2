"""Weights of expiries that are on their way: properties of `find_term`."""

from math import isclose

from hypothesis import given
from hypothesis import strategies as st

from volgauge.domain.index import Reason
from volgauge.index.maturity import Bracket, Term, find_bracket, find_term

TENOR = 30.0 / 365.0


@st.composite
def books(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    """Times to up to ten expiries at least an hour apart, and their shares."""
    hours = draw(st.lists(st.integers(-5, 24 * 200), min_size=1, max_size=10, unique=True))
    share = st.one_of(st.just(0.0), st.just(1.0), st.floats(0.001, 1.0))
    shares = draw(st.lists(share, min_size=len(hours), max_size=len(hours)))
    return [hour / 24.0 / 365.0 for hour in sorted(hours)], shares


def by_recursion(t_years: list[float], shares: list[float]) -> dict[int, float] | None:
    """The rule as it stands: without it and with it, one partial expiry after the other."""
    partial = next((row for row, share in enumerate(shares) if 0.0 < share < 1.0), None)
    if partial is None:
        found = find_bracket(t_years, [share == 1.0 for share in shares], TENOR)
        if isinstance(found, Reason):
            return None
        weights = {found.near: found.near_weight}
        weights[found.far] = weights.get(found.far, 0.0) + found.far_weight
        return {**weights, -1: 1.0}
    result: dict[int, float] = {}
    for level, chance in ((0.0, 1.0 - shares[partial]), (1.0, shares[partial])):
        fixed = [level if row == partial else share for row, share in enumerate(shares)]
        for row, weight in (by_recursion(t_years, fixed) or {}).items():
            result[row] = result.get(row, 0.0) + chance * weight
    return result or None


def weights_of(term: Term | Reason) -> dict[int, float]:
    """By row; empty without a term."""
    return {} if isinstance(term, Reason) else dict(zip(term.rows, term.weights, strict=True))


@given(books())
def test_one_volatility_at_all_expiries_is_that_of_the_tenor(
    book: tuple[list[float], list[float]],
) -> None:
    """The weights times the times to expiry give the tenor; expired and absent rows have none."""
    t_years, shares = book
    weights = weights_of(find_term(t_years, shares, TENOR))

    if weights:
        assert isclose(sum(w * t_years[row] for row, w in weights.items()), TENOR, rel_tol=1e-12)
    for row, weight in weights.items():
        assert weight >= 0.0
        assert t_years[row] > 0.0
        assert shares[row] > 0.0


@given(books())
def test_it_is_the_rule_with_and_without_each_partial_expiry(
    book: tuple[list[float], list[float]],
) -> None:
    """Where a tenor cannot be had without an expiry, the value with it counts alone."""
    t_years, shares = book
    expected = by_recursion(t_years, shares) or {}
    total = expected.pop(-1, 1.0)
    weights = weights_of(find_term(t_years, shares, TENOR))

    for row in {*expected, *weights}:
        assert isclose(
            weights.get(row, 0.0), expected.get(row, 0.0) / total, rel_tol=1e-9, abs_tol=1e-12
        )


@given(books())
def test_whole_shares_give_the_plain_bracket(book: tuple[list[float], list[float]]) -> None:
    """METHODOLOGY rule 15."""
    t_years, shares = book
    whole = [1.0 if share >= 0.5 else 0.0 for share in shares]
    found = find_bracket(t_years, [share == 1.0 for share in whole], TENOR)
    term = find_term(t_years, whole, TENOR)

    if isinstance(found, Bracket):
        assert isinstance(term, Term)
        expected = {found.near: found.near_weight}
        expected[found.far] = expected.get(found.far, 0.0) + found.far_weight
        for row, weight in expected.items():
            assert isclose(weights_of(term).get(row, 0.0), weight, rel_tol=1e-14)
        assert not term.is_blended
    else:
        assert term is Reason.NO_BRACKET


@given(books(), st.integers(0, 9), st.floats(-1e-6, 1e-6))
def test_weights_are_continuous_in_a_share(
    book: tuple[list[float], list[float]], which: int, change: float
) -> None:
    """A millionth of a share moves no weight by more than what it is divided by."""
    t_years, shares = book
    row = which % len(shares)
    if not 0.01 < shares[row] < 0.99:
        return
    moved = list(shares)
    moved[row] += change
    before = weights_of(find_term(t_years, shares, TENOR))
    after = weights_of(find_term(t_years, moved, TENOR))
    # Divided by the chance that there is a term at all, which is at least the smallest share
    # squared: one expiry a side.
    least = min([share for share in shares if share > 0.0], default=1.0)

    for key in {*before, *after}:
        gap = abs(before.get(key, 0.0) - after.get(key, 0.0))
        assert gap <= 4.0 * abs(change) / min(least, 0.01) ** 2 / least + 1e-12


@given(st.floats(0.05, 1.0), st.floats(0.05, 1.0), st.floats(2.0, 29.0), st.booleans())
def test_an_expiry_that_becomes_the_near_one_changes_nothing(
    beside: float, moving: float, other_days: float, is_alone: bool
) -> None:
    """At the very tenor both sides of the rule agree."""
    shares = [0.0 if is_alone else beside, moving, 1.0]
    before, after = (
        weights_of(find_term([t / 365.0 for t in (other_days, at, 55.0)], shares, TENOR))
        for at in (30.0 + 1e-9, 30.0 - 1e-9)
    )

    for row in {*before, *after}:
        assert isclose(before.get(row, 0.0), after.get(row, 0.0), abs_tol=1e-6)
