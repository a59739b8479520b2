"""Dense slots, what came and went, and what cannot be a listing."""

import pytest

from volgauge.adapters.addresses import is_host_of
from volgauge.adapters.base import NEVER_NS
from volgauge.adapters.catalog import check_not_lost, refused_by_status, require_body
from volgauge.adapters.listing import Slots, chain_order
from volgauge.domain.instrument import Asset, Instrument, OptionKind, Premium, Venue
from volgauge.errors import CatalogError, RateLimited, VenueUnavailable

VENUE = Venue("nowhere")


def option(strike: float, expiry_ns: int = 100, contract_size: float = 1.0) -> Instrument:
    """A call of nobody's."""
    return Instrument(
        venue=VENUE,
        name=f"{expiry_ns}-{strike:g}",
        asset=Asset("BTC"),
        kind=OptionKind.CALL,
        strike=strike,
        expiry_ns=expiry_ns,
        premium=Premium.QUOTE,
        quote_currency="USD",
        contract_size=contract_size,
        tick_size=1.0,
    )


def named(*options: Instrument) -> dict[str, Instrument]:
    """By name."""
    return {instrument.name: instrument for instrument in options}


def test_slots_are_dense_and_in_the_order_of_a_chain() -> None:
    """However the listing is ordered."""
    slots = Slots()
    changes = slots.update(named(option(3.0), option(1.0), option(2.0)))

    assert [i.strike for i in changes.instruments] == [1.0, 2.0, 3.0]
    assert changes.slots == (0, 1, 2)
    assert changes.instruments == tuple(sorted(changes.instruments, key=chain_order))
    assert (changes.expired, changes.gone, changes.renewed) == ((), (), frozenset())


def test_a_new_option_takes_the_lowest_free_slot() -> None:
    """Of those that went before it."""
    slots = Slots()
    slots.update(named(option(1.0), option(2.0), option(3.0)))
    changes = slots.update(named(option(1.0), option(4.0), option(5.0)))

    assert (changes.expired, changes.gone) == ((1, 2), ("100-2", "100-3"))
    assert changes.slots == (1, 2)
    assert slots.of == {"100-1": 0, "100-4": 1, "100-5": 2}


def test_new_terms_free_the_slot_and_list_the_option_anew() -> None:
    """Its name is renewed."""
    slots = Slots()
    slots.update(named(option(1.0), option(2.0)))
    changes = slots.update(named(option(1.0), option(2.0, contract_size=0.1)))

    assert (changes.expired, changes.slots) == ((1,), (1,))
    assert (changes.renewed, changes.gone) == (frozenset({"100-2"}), ("100-2",))
    assert slots.instruments[1].contract_size == 0.1


def test_what_reached_its_expiry_goes() -> None:
    """At that very instant."""
    slots = Slots()
    slots.update(named(option(1.0, 100), option(1.0, 200)))
    early, changes = slots.expire(99), slots.expire(100)

    assert (early.expired, changes.expired, changes.gone) == ((), (0,), ("100-1",))
    assert slots.first_expiry_ns == 200
    assert Slots().first_expiry_ns == NEVER_NS


def test_a_listing_without_any_option_of_an_asset_is_none() -> None:
    """Unless all of them have expired."""
    held = [option(1.0, 100)]

    check_not_lost(VENUE, held, [], 100, lambda instrument: instrument.asset)
    with pytest.raises(CatalogError, match="expected options of BTC, found none"):
        check_not_lost(VENUE, held, [], 99, lambda instrument: instrument.asset)


def test_a_missing_body_and_a_bare_status_are_named_errors() -> None:
    """By what they mean for the next attempt."""
    with pytest.raises(CatalogError, match="list: no such body"):
        require_body(VENUE, {}, "list")

    kinds = [type(refused_by_status(VENUE, status)) for status in (429, 500, 503, 404)]
    assert kinds == [RateLimited, VenueUnavailable, VenueUnavailable, CatalogError]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://a.example/path", True),
        ("wss://a.example:443", True),
        ("wss://a.example:8443", False),
        ("ws://a.example", False),
        ("wss://a.example.b.example", False),
        ("wss://a.example@b.example", False),
        ("wss://a.example:port", False),
    ],
)
def test_an_address_is_a_venues_own(url: str, *, expected: bool) -> None:
    """By scheme, host and port, nothing less."""
    assert is_host_of(url, "wss", frozenset({"a.example"})) is expected


def test_comparison_tells_what_taking_it_does() -> None:
    """Slots of what comes and goes, and of all that is listed then; nothing changes before."""
    slots = Slots()
    slots.update({o.name: o for o in (option(1.0), option(2.0), option(3.0))})
    listed = {o.name: o for o in (option(2.0), option(4.0), option(5.0))}
    compared = slots.compare(listed)
    before = dict(slots.of)
    changes = slots.take(compared)

    assert before == {"100-1": 0, "100-2": 1, "100-3": 2}
    assert (changes.expired, changes.slots) == ((0, 2), (0, 2))
    assert slots.of == compared.of == {"100-2": 1, "100-4": 0, "100-5": 2}
    assert slots.instruments == {1: option(2.0), 0: option(4.0), 2: option(5.0)}


def test_comparison_with_another_listing_is_refused() -> None:
    """What it says of slots is wrong by then."""
    slots = Slots()
    compared = slots.compare({"100-1": option(1.0)})
    slots.adopt(option(7.0))

    with pytest.raises(RuntimeError, match="version"):
        slots.take(compared)
