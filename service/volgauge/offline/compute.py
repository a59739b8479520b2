"""The index of one chain: the engine of the live service, fed from a file, asked once."""

from collections.abc import Iterable
from math import inf, isfinite, isnan, nan
from statistics import median
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from volgauge import __version__
from volgauge.domain.events import ForwardMark, InstrumentsListed, MarkQuote, OpenInterest
from volgauge.domain.index import IndexValue, Method, Reason, Source, Status, index_code
from volgauge.domain.instrument import Asset, BookKey, Instrument, OptionKind, Premium, Venue
from volgauge.domain.units import format_instant, parse_instant
from volgauge.errors import InputError
from volgauge.index.engine import Engine
from volgauge.index.venue import VenueRules, VenueSink
from volgauge.offline.chain import Chain, ChainQuote
from volgauge.settings import IndexSettings
from volgauge.surface.surface import Surface

VENUE = Venue("file")
ASSET = Asset("CHAIN")
"""A chain file does not say what its underlying is."""
QUOTE_CURRENCY = "USD"
COIN_TICKS = (0.0001, 0.005, 0.0005)
"""A file tells no tick sizes. Premiums in the coin are taken to be on Deribit's grid (steps of
0.0001, above 0.005 of 0.0005); other premiums are judged without one."""

_Choice = TypeVar("_Choice", Method, Premium)

_LIVE_ONLY = ("v", "seq", "prev_seq", "epoch", "published_ns", "ticks_merged", "heartbeat_ms")


def compute(
    chain: Chain,
    at: int | str | None = None,
    method: str | Method = Method.NATIVE,
    tenor_days: float = 30.0,
    premium: str | Premium = Premium.QUOTE,
) -> IndexValue:
    """Compute the constant-tenor index of one chain.

    Args:
        chain: As `read_chain` gives it.
        at: Instant of calculation, ISO-8601 or epoch ns; None takes the newest timestamp.
        method: `native`, `cboe` or `dvol`.
        tenor_days: The horizon, > 0.
        premium: Unit of all prices: `quote` or `coin`.

    Returns:
        The value with status OK, DEGRADED when a flag is raised, or HALTED with `value` None and
        the reason.

    Raises:
        InputError: An argument or the chain is unusable: no instant, a strike, forward or expiry
            that is none; for `cboe` and `dvol` also a price that is negative or no number.
    """
    rules = _choose(Method, method, "method")
    unit = _choose(Premium, premium, "premium")
    if not 0.0 < tenor_days < inf:
        raise InputError(f"tenor_days: expected a number above zero, received {tenor_days!r}")
    at_ns = instant_of(chain, at)
    _check(chain, rules)
    value = _run(chain, at_ns, rules, float(tenor_days), unit)
    status = Status.HALTED
    if value.value is not None:
        status = Status.DEGRADED if value.flags else Status.OK
    return replace(value, status=status, at=format_instant(at_ns), seq=0)


def to_json(value: IndexValue) -> bytes:
    """The value as one JSON object for the command line, without what only a feed has."""
    tree: dict[str, Any] = msgspec.to_builtins(value)
    for name in _LIVE_ONLY:
        tree.pop(name, None)
    tree.pop("venues")
    tree["method"] = tree.pop("mode")
    return msgspec.json.encode(tree)


def fit_chain(chain: Chain, at_ns: int, premium: Premium) -> Surface:
    """The curves of every expiry, as the index fits them.

    Raises:
        InputError: The chain is empty, or a strike, forward or rate is none.
    """
    if not chain.quotes:
        raise InputError(f"{chain.name}: line 2: expected an option, received none")
    _check(chain, Method.NATIVE)
    engine = _engine(Method.NATIVE, 30.0)
    sink = engine.sink(VENUE)
    _feed(sink, chain, at_ns, premium)
    engine.recompute(at_ns)
    return sink.books[BookKey(VENUE, ASSET, QUOTE_CURRENCY)]


def _choose(kind: type[_Choice], given: str | _Choice, name: str) -> _Choice:
    try:
        return kind(given)
    except ValueError:
        expected = ", ".join(member.value for member in kind)
        raise InputError(f"{name}: expected one of {expected}, received {given!r}") from None


def instant_of(chain: Chain, at: int | str | None) -> int:
    """The instant of calculation: as given, else the newest timestamp of the chain.

    Raises:
        InputError: It is unreadable, or there is none.
    """
    if isinstance(at, str):
        try:
            return parse_instant(at)
        except ValueError as error:
            raise InputError(f"--at: {error}") from error
    if at is None:
        at = chain.newest_ns
    if at is None:
        raise InputError(f"{chain.name}: no `timestamp` column, so --at must name the instant")
    return at


def _check(chain: Chain, rules: Method) -> None:
    """Refuse what no rule can read; a bad price is for `native` a quote to refuse, not a file."""
    for quote in chain.quotes:
        place = f"{chain.name}: line {quote.line}, column"
        if not 0.0 < quote.strike < inf:
            raise InputError(f"{place} `strike`: expected a number above zero")
        if not (isnan(quote.forward) or 0.0 < quote.forward < inf):
            raise InputError(f"{place} `forward`: expected a number above zero")
        if not (isnan(quote.rate) or isfinite(quote.rate)):
            raise InputError(f"{place} `rate`: expected a finite number")
        if rules is Method.NATIVE:
            continue
        for column in ("bid", "ask", "mark"):
            price: float = getattr(quote, column)
            if price < 0.0 or price == inf:
                raise InputError(
                    f"{place} `{column}`: expected a finite number, not negative, for "
                    f"--method {rules.value}"
                )


def _run(
    chain: Chain, at_ns: int, rules: Method, tenor_days: float, premium: Premium
) -> IndexValue:
    engine = _engine(rules, tenor_days)
    _feed(engine.sink(VENUE), chain, at_ns, premium)
    for record in engine.recompute(at_ns):
        if isinstance(record, IndexValue):
            return record
    return IndexValue(
        code=index_code(ASSET, tenor_days),
        asset=ASSET,
        tenor_days=tenor_days,
        value=None,
        status=Status.HALTED,
        reason=Reason.NO_INSTRUMENTS,
        event_ns=at_ns,
        computed_ns=at_ns,
        source=Source.FILE,
        mode=rules,
        engine=__version__,
    )


def _engine(rules: Method, tenor_days: float) -> Engine:
    methods = (Method.CBOE,) if rules is Method.CBOE else (Method.NATIVE, Method.DVOL)
    return Engine(
        IndexSettings(method=rules, tenors_days=(tenor_days,), headline_tenor_days=tenor_days),
        source=Source.FILE,
        version=__version__,
        venues={VENUE: VenueRules(methods=methods)},
    )


def _feed(sink: VenueSink, chain: Chain, at_ns: int, premium: Premium) -> None:
    """Tell the chain as a venue would; the order of the file's lines leaves no trace."""
    quotes = sorted(chain.quotes, key=lambda q: (q.expiry_ns, q.strike, q.kind.value))
    if not quotes:
        return
    slots = tuple(range(len(quotes)))
    sink.event(
        InstrumentsListed(
            venue=VENUE,
            received_ns=at_ns,
            slots=slots,
            instruments=tuple(_instrument(quote, premium) for quote in quotes),
        )
    )
    for expiry_ns in sorted({quote.expiry_ns for quote in quotes}):
        of_expiry = [quote for quote in quotes if quote.expiry_ns == expiry_ns]
        forward = _typical(quote.forward for quote in of_expiry)
        sink.event(
            ForwardMark(
                venue=VENUE,
                received_ns=at_ns,
                asset=ASSET,
                quote_currency=QUOTE_CURRENCY,
                expiry_ns=expiry_ns,
                price=forward,
                exchange_ns=at_ns,
            )
        )
        rate = _typical(quote.rate for quote in of_expiry)
        book = sink.books[BookKey(VENUE, ASSET, QUOTE_CURRENCY)]
        book.set_rate(expiry_ns, 0.0 if isnan(rate) else rate)
    sink.event(
        MarkQuote(
            venue=VENUE,
            received_ns=at_ns,
            slots=slots,
            prices=tuple(quote.mark for quote in quotes),
            implied_vols=(nan,) * len(quotes),
            exchange_ns=at_ns,
        )
    )
    sink.event(
        OpenInterest(
            venue=VENUE,
            received_ns=at_ns,
            slots=slots,
            amounts=tuple(quote.open_interest for quote in quotes),
        )
    )
    stamped = [
        (at_ns if quote.timestamp_ns is None else quote.timestamp_ns, slot, quote)
        for slot, quote in zip(slots, quotes, strict=True)
    ]
    for stamp, slot, quote in sorted(stamped, key=lambda item: item[:2]):
        sink.quote(slot, quote.bid, quote.ask, quote.bid_size, quote.ask_size, stamp, stamp)


def _instrument(quote: ChainQuote, premium: Premium) -> Instrument:
    tick_size, tick_above, tick_step = COIN_TICKS if premium is Premium.COIN else (nan, inf, nan)
    letter = "C" if quote.kind is OptionKind.CALL else "P"
    return Instrument(
        venue=VENUE,
        name=f"{format_instant(quote.expiry_ns)}-{quote.strike:g}-{letter}",
        asset=ASSET,
        expiry_ns=quote.expiry_ns,
        strike=quote.strike,
        kind=quote.kind,
        premium=premium,
        quote_currency=QUOTE_CURRENCY,
        tick_size=tick_size,
        tick_above=tick_above,
        tick_step=tick_step,
    )


def _typical(values: Iterable[float]) -> float:
    """The median of what is given: rows of one expiry may differ by the seconds between them."""
    known = [value for value in values if not isnan(value)]
    return median(known) if known else nan
