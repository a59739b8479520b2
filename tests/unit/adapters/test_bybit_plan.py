"""Where Bybit's topics go: priorities, places kept, limits of a connection."""

from fakes.bybit_lab import CODES, FAR, NEAR, NOW_NS, bodies, chain, listed, option_row
from fakes.deribit_lab import Sink
from volgauge.adapters.bybit.adapter import BybitAdapter
from volgauge.adapters.bybit.plan import CHAIN, CONNECTIONS, HOT, Plan


def plans(adapter: BybitAdapter) -> dict[str, Plan]:
    """Of every connection."""
    return {p.connection: p._subscriptions.plan for p in adapter.connections()}


def homes(adapter: BybitAdapter, prefix: str) -> dict[str, str]:
    """Option to the connection that feeds it by these topics."""
    return {
        topic.removeprefix(prefix): name
        for name, plan in plans(adapter).items()
        for topic, option in plan.items()
        if topic.startswith(prefix) and option is not None
    }


def test_connections_are_named_once() -> None:
    """They stay what they are over the adapter's life."""
    adapter = listed(Sink(), [option_row()])

    assert [protocol.connection for protocol in adapter.connections()] == list(CONNECTIONS)
    assert all(p.url == "wss://stream.bybit.com/v5/public/option" for p in adapter.connections())


def test_every_option_has_one_ticker_and_every_hot_one_a_book() -> None:
    """45 days ahead by default."""
    adapter = listed(Sink(), chain([50_000, 60_000]), assets=("BTC",))

    tickers, books = homes(adapter, "tickers."), homes(adapter, "orderbook.25.")
    assert sorted(tickers) == sorted(row["symbol"] for row in chain([50_000, 60_000]))
    assert sorted(books) == sorted(row["symbol"] for row in chain([50_000, 60_000], [NEAR]))
    assert set(tickers.values()) <= set(CHAIN)
    assert set(books.values()) <= set(HOT)


def test_expiry_stays_together() -> None:
    """A lost connection touches few of them."""
    adapter = listed(
        Sink(),
        [*chain(range(50_000, 60_000, 500)), *chain(range(1_000, 3_000, 100), coin="ETH")],
    )
    found: dict[tuple[str, str], set[str]] = {}
    for name, home in homes(adapter, "tickers.").items():
        coin, code, *_ = name.split("-")
        found.setdefault((coin, code), set()).add(home)

    assert len(found) == 4
    assert all(len(where) == 1 for where in found.values())
    assert len({home for where in found.values() for home in where}) == 4


def test_large_expiry_is_split_where_it_does_not_fit() -> None:
    """600 tickers are what a connection carries."""
    adapter = listed(Sink(), chain(range(10_000, 10_000 + 350 * 100, 100), [FAR]), assets=("BTC",))

    assert len(set(homes(adapter, "tickers.").values())) == 2


def test_option_keeps_its_connection() -> None:
    """Moving it would cost its quote."""
    adapter = listed(Sink(), chain([60_000, 70_000]), assets=("BTC",))
    before = homes(adapter, "tickers.")
    rows = [*chain([60_000, 65_000, 70_000]), *chain(range(2_000, 3_000, 10), coin="ETH")]
    adapter.on_catalog(bodies(adapter, rows), NOW_NS)
    after = homes(adapter, "tickers.")

    assert {name: after[name] for name in before} == before
    assert after[f"BTC-{CODES[FAR]}-65000-C-USDT"] == before[f"BTC-{CODES[FAR]}-60000-C-USDT"]


def test_pulse_is_the_middle_of_the_nearest_expiry_everywhere() -> None:
    """It changes all the time."""
    adapter = listed(Sink(), chain([50_000, 60_000, 70_000]), assets=("BTC",))
    pulse = f"tickers.BTC-{CODES[NEAR]}-60000-P-USDT"

    assert all(pulse in plan for plan in plans(adapter).values())
    assert sum(plan[pulse] is not None for plan in plans(adapter).values()) == 1


def test_books_that_do_not_fit_are_left_to_their_tickers() -> None:
    """A thousand books on two connections; the nearest come first."""
    strikes = range(10_000, 10_000 + 700 * 100, 100)
    adapter = listed(Sink(), chain(strikes, [NEAR]), assets=("BTC",))
    books = homes(adapter, "orderbook.25.")

    assert len(homes(adapter, "tickers.")) == 1_400
    assert 850 < len(books) < 1_100


def test_empty_listing_subscribes_nothing() -> None:
    """Nothing to listen to."""
    adapter = listed(Sink(), [])

    assert all(not plan for plan in plans(adapter).values())
