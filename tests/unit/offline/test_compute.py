"""`compute`: its arguments, its answer, and the one engine behind it."""

import json
from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import volgauge
from golden import slow_rules
from golden.chain_sources import synthetic_chain
from volgauge.domain.index import Reason, Source, Status
from volgauge.domain.units import parse_instant
from volgauge.errors import InputError
from volgauge.offline.chain import NOT_A_NUMBER, Chain, ChainQuote
from volgauge.offline.compute import compute, to_json

AT = parse_instant("2026-03-02T08:00:00Z")
QUOTES = tuple(synthetic_chain(AT))
CHAIN = Chain(QUOTES)
METHODS = ("native", "dvol", "cboe")


def tweak(row: int, **fields: float) -> Chain:
    """The chain with one quote changed."""
    quotes = list(QUOTES)
    quotes[row] = replace(quotes[row], **fields)
    return Chain(tuple(quotes))


def test_the_package_offers_it() -> None:
    """`volgauge.compute` and `volgauge.read_chain` are these functions."""
    assert compute is volgauge.compute


def test_dvol_is_the_plain_rule_between_two_expiries() -> None:
    """Total variance linear in time between the listed expiries around 30 days."""
    near_ns, far_ns = sorted({q.expiry_ns for q in QUOTES})[1:3]
    legs = [[q for q in QUOTES if q.expiry_ns == e] for e in (near_ns, far_ns)]
    near, far = (slow_rules.dvol(leg, leg[0].forward)[0] for leg in legs)
    expected = slow_rules.points(near, far, 23 / 365, 44 / 365, 30 / 365)

    value = compute(CHAIN, at=AT, method="dvol", premium="coin")

    assert value.value == pytest.approx(expected, rel=1e-12)
    assert [e.weight for e in value.expiries] == pytest.approx([14 / 21, 7 / 21], rel=1e-14)


def test_a_value_and_what_it_rests_on() -> None:
    """A sound chain is OK; weights times total variances give the value back."""
    value = compute(CHAIN, at=AT, method="native", premium="coin")

    assert Status.OK is value.status
    assert value.flags == ()
    assert value.reason is None
    assert Source.FILE is value.source
    assert value.at == "2026-03-02T08:00:00Z"
    assert value.bid is not None
    assert value.ask is not None
    assert value.value is not None
    assert value.bid < value.value < value.ask
    total = sum(e.weight * (e.total_variance or nan) for e in value.expiries)
    assert value.value == pytest.approx(100.0 * (total * 365 / 30) ** 0.5, rel=1e-14)


@pytest.mark.parametrize("tenor_days", [14.0, 30.0, 60.0])
def test_tenors(tenor_days: float) -> None:
    """Every tenor between two expiries has a value near the smile's 60 %."""
    value = compute(CHAIN, at=AT, method="native", tenor_days=tenor_days, premium="coin")

    assert Status.OK is value.status
    assert value.value == pytest.approx(60.0, abs=2.0)


def test_the_newest_timestamp_is_the_instant() -> None:
    """Without `at` it counts; without either the message names --at."""
    stamped = Chain(tuple(replace(q, timestamp_ns=AT - i) for i, q in enumerate(QUOTES)))

    assert compute(stamped, premium="coin").at == "2026-03-02T08:00:00Z"
    with pytest.raises(InputError, match="--at"):
        compute(CHAIN)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_lines_leaves_no_trace(method: str) -> None:
    """The same bytes come out, input hash included."""
    backwards = Chain(tuple(reversed(QUOTES)))

    expected = to_json(compute(CHAIN, at=AT, method=method, premium="coin"))
    assert expected == to_json(compute(backwards, at=AT, method=method, premium="coin"))


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_any_order_of_the_lines(random: object) -> None:
    """Permutations change no bit."""
    quotes = list(QUOTES)
    random.shuffle(quotes)  # type: ignore[attr-defined] # a Random of hypothesis

    expected = compute(CHAIN, at=AT, premium="coin")
    assert expected == compute(Chain(tuple(quotes)), at=AT, premium="coin")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("scale", [1e-4, 0.37, 1_000.0])
def test_another_currency_unit_changes_nothing(method: str, scale: float) -> None:
    """Strikes, forwards and quote-currency premiums times a constant: the same index.

    `native` takes differences of premiums and strikes (parity), of which fewer digits are left.
    """

    def priced(factor: float) -> Chain:
        return Chain(
            tuple(
                replace(
                    q,
                    strike=q.strike * factor,
                    forward=q.forward * factor,
                    bid=q.bid * 60_000.0 * factor,
                    ask=q.ask * 60_000.0 * factor,
                    mark=q.mark * 60_000.0 * factor,
                )
                for q in QUOTES
            )
        )

    expected = compute(priced(1.0), at=AT, method=method).value
    assert expected is not None
    rel = 1e-11 if method == "native" else 1e-12
    assert compute(priced(scale), at=AT, method=method).value == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("field", ["bid", "ask"])
@pytest.mark.parametrize("price", [-0.01, inf, NOT_A_NUMBER])
def test_the_exchanges_rules_refuse_malformed_prices(field: str, price: float) -> None:
    """`cboe` and `dvol` raise, naming the column; `native` refuses and counts the quote."""
    near = next(
        i for i, q in enumerate(QUOTES) if q.expiry_ns > AT + 20 * 86_400 * 10**9 and q.bid > 0.01
    )
    broken = tweak(near, **{field: price})

    for method in ("cboe", "dvol"):
        with pytest.raises(InputError, match=f"column `{field}`"):
            compute(broken, at=AT, method=method, premium="coin")
    value = compute(broken, at=AT, premium="coin")
    assert sum(e.rejected.get("bad_number", 0) for e in value.expiries) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("field", "number"),
    [("strike", 0.0), ("strike", nan), ("forward", 0.0), ("forward", -1.0), ("rate", inf)],
)
def test_no_method_reads_a_malformed_contract(method: str, field: str, number: float) -> None:
    """A strike or forward that is none, a rate without bound: InputError."""
    with pytest.raises(InputError, match=f"column `{field}`"):
        compute(tweak(5, **{field: number}), at=AT, method=method, premium="coin")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "vix"}, "method: expected one of native, cboe, dvol"),
        ({"premium": "usd"}, "premium: expected one of coin, quote"),
        ({"tenor_days": 0.0}, "tenor_days"),
        ({"tenor_days": nan}, "tenor_days"),
        ({"at": "noon"}, "--at"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    """The message names the argument and what was expected."""
    with pytest.raises(InputError, match=message):
        compute(CHAIN, **({"at": AT} | arguments))  # type: ignore[arg-type] # on purpose


@pytest.mark.parametrize("method", METHODS)
def test_an_empty_chain_has_no_value(method: str) -> None:
    """Null with the reason, not an error."""
    value = compute(Chain(()), at=AT, method=method)

    assert value.value is None
    assert (Status.HALTED, Reason.NO_INSTRUMENTS) == (value.status, value.reason)


@pytest.mark.parametrize("method", METHODS)
def test_after_every_expiry_there_is_no_value(method: str) -> None:
    """An instant beyond the chain: null."""
    value = compute(CHAIN, at=AT + 400 * 86_400 * 10**9, method=method, premium="coin")

    assert value.value is None
    assert Status.HALTED is value.status
    assert value.reason is not None


@pytest.mark.parametrize("method", ["dvol", "cboe"])
def test_the_exchanges_rules_need_both_sides_of_the_tenor(method: str) -> None:
    """One expiry does not stand for two there; for `native` it may, flagged."""
    near = Chain(tuple(q for q in QUOTES if q.expiry_ns < AT + 30 * 86_400 * 10**9))

    value = compute(near, at=AT, method=method, premium="coin")

    assert value.value is None
    assert Reason.NO_BRACKET is value.reason
    native = compute(near, at=AT, premium="coin")
    assert (Status.DEGRADED, ("one_sided_term",)) == (native.status, native.flags)


def test_json_has_the_keys_of_the_command_line() -> None:
    """DESIGN §7: names and numbers, no NaN, nothing that only a feed has."""
    tree = json.loads(to_json(compute(CHAIN, at=AT, method="dvol", premium="coin")))

    assert {
        "value", "bid", "ask", "status", "flags", "tenor_days", "method", "at", "expiries",
    } <= set(tree)  # fmt: skip
    assert {
        "expiry", "t_years", "minutes", "forward", "k_zero", "n_strikes", "strip_sum",
        "total_variance", "variance", "n_rejected", "rejected",
    } <= set(tree["expiries"][0])  # fmt: skip
    assert ("dvol", "2026-03-02T08:00:00Z") == (tree["method"], tree["at"])
    assert "seq" not in tree


def test_forwards_of_one_expiry_may_differ_a_little() -> None:
    """Rows are seconds apart: the median counts, a stray row does not."""
    stray = tweak(40, forward=30_000.0)

    expected = compute(CHAIN, at=AT, method="dvol", premium="coin").value
    assert expected == compute(stray, at=AT, method="dvol", premium="coin").value


PRICES = st.one_of(
    st.just(nan),
    st.sampled_from([-1.0, 0.0, inf, NOT_A_NUMBER, 1e-300, 1e300]),
    st.floats(min_value=0.0, max_value=2.0),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(QUOTES) - 1), PRICES, PRICES, PRICES),
        min_size=1,
        max_size=200,
    )
)
def test_adversarial_quotes_never_give_a_wild_number(
    changes: list[tuple[int, float, float, float]],
) -> None:
    """Any prices in any place: a finite value with its doubts, or none with its reason."""
    quotes: list[ChainQuote] = list(QUOTES)
    for row, bid, ask, mark in changes:
        quotes[row] = replace(quotes[row], bid=bid, ask=ask, mark=mark)

    value = compute(Chain(tuple(quotes)), at=AT, premium="coin")

    json.loads(to_json(value))
    if value.value is None:
        assert value.reason is not None
        return
    assert 40.0 < value.value < 80.0
