"""Option chains for the tests: recorded ones from the data folder, synthetic ones made in code.

The synthetic prices come from scipy, not from the package.
"""

import json
from collections.abc import Iterable
from math import exp, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from volgauge.domain.instrument import OptionKind
from volgauge.domain.units import NANOS_PER_DAY, format_instant, parse_instant
from volgauge.offline.chain import ChainQuote

COLUMNS = ("expiry", "strike", "kind", "bid", "ask", "mark", "forward")


def write_csv(quotes: Iterable[ChainQuote], path: Path, **cells: dict[int, str]) -> Path:
    """Write a chain file; `cells` overrides columns by the number of the quote."""
    lines = [",".join((*COLUMNS, "rate"))]
    for number, quote in enumerate(quotes):
        row = {
            "expiry": format_instant(quote.expiry_ns),
            "strike": repr(quote.strike),
            "kind": quote.kind.value,
        }
        for column in ("bid", "ask", "mark", "forward", "rate"):
            value: float = getattr(quote, column)
            row[column] = "" if isnan(value) else repr(value)
        for column, by_number in cells.items():
            row[column] = by_number.get(number, row[column])
        lines.append(",".join(row[column] for column in (*COLUMNS, "rate")))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def recorded_chain(folder: Path) -> tuple[list[ChainQuote], int]:
    """The 878 options of BTC of 2026-05-26 19:27:44 UTC, premiums in coin, and that instant."""
    tree = json.loads((folder / "wire/deribit/maks_snapshot_btc_surface.json").read_text())
    forwards = {f["expiry"]: f["forward_price"] for f in tree["forwards"]}
    contracts = {i["instrument_name"]: i for i in tree["instruments"]}
    quotes = []
    for row in tree["option_quotes"]:
        contract = contracts[row["instrument_name"]]
        quotes.append(
            ChainQuote(
                expiry_ns=parse_instant(contract["expiry"]),
                strike=contract["strike"],
                kind=OptionKind(contract["option_type"]),
                bid=row["best_bid"] or nan,
                ask=row["best_ask"] or nan,
                mark=row["mark_price"] or nan,
                forward=forwards[contract["expiry"]],
            )
        )
    quotes.sort(key=lambda q: (q.expiry_ns, q.strike, q.kind.value))
    return quotes, parse_instant(tree["snapshot_time"])


def recorded_terms(
    folder: Path, file: str, currency: str
) -> tuple[list[ChainQuote], NDArray[np.float64], int]:
    """The first chain of a file of `chains`, what the venue says of each option, and its instant.

    The columns are open interest, volume, mark volatility and delta.
    """
    import duckdb

    rows = duckdb.execute(
        "select epoch_ms(ts), epoch_ms(expiry), strike, cp, coalesce(bid, 'nan'::double), "
        "coalesce(ask, 'nan'::double), mark, underlying_price, open_interest, volume, mark_iv, "
        "delta from read_parquet($1) where currency = $2 and ts = (select min(ts) from "
        "read_parquet($1) where currency = $2) order by 2, 3, 4",
        [str(folder / "chains" / file), currency],
    ).fetchall()
    quotes = [
        ChainQuote(
            expiry_ns=row[1] * 1_000_000, strike=row[2], kind=OptionKind(row[3]), bid=row[4],
            ask=row[5], mark=row[6], forward=row[7],
        )
        for row in rows
    ]  # fmt: skip
    return quotes, np.array([row[8:] for row in rows], np.float64), rows[0][0] * 1_000_000


def parquet_chains(folder: Path) -> dict[tuple[int, str], list[ChainQuote]]:
    """Every whole chain with a known DVOL, by (instant in ms, currency); premiums in coin."""
    import duckdb

    pattern = str(folder / "chains" / "deribit_chains_*.parquet")
    table: dict[str, Any] = duckdb.execute(
        "select epoch_ms(ts) ts, currency, epoch_ms(expiry) expiry, strike, cp, "
        "coalesce(bid, 'nan'::double) bid, coalesce(ask, 'nan'::double) ask, "
        "coalesce(mark, 'nan'::double) mark, underlying_price from read_parquet($1)",
        [pattern],
    ).fetchnumpy()
    columns = [np.ma.filled(column).tolist() for column in table.values()]
    chains: dict[tuple[int, str], list[ChainQuote]] = {}
    for stamp, currency, expiry, strike, kind, bid, ask, mark, forward in zip(
        *columns, strict=True
    ):
        chains.setdefault((stamp, currency), []).append(
            ChainQuote(
                expiry_ns=expiry * 1_000_000,
                strike=strike,
                kind=OptionKind(kind),
                bid=bid,
                ask=ask,
                mark=mark,
                forward=forward,
            )
        )
    return chains


def coin_price(strike: float, forward: float, deviation: float, kind: OptionKind) -> float:
    """Black-76 in units of the forward, by scipy."""
    k = np.log(strike / forward)
    d1 = -k / deviation + 0.5 * deviation
    d2 = d1 - deviation
    if kind is OptionKind.CALL:
        return float(ndtr(d1) - exp(k) * ndtr(d2))
    return float(exp(k) * ndtr(-d2) - ndtr(-d1))


def smile_vol(strike: float, forward: float) -> float:
    """A skewed smile: 60 % at the money."""
    k = float(np.log(strike / forward))
    return 0.60 - 0.10 * k + 0.25 * k * k


def synthetic_chain(at_ns: int) -> list[ChainQuote]:
    """A synthetic coin-premium chain with expiries of 9, 23, 44 and 93 days.

    Premiums lie on ticks of 0.0001 (above 0.005 of 0.0005), half-spread at least a tick; what is
    worth less than a tick has no bid.
    """
    quotes = []
    for days, forward in ((9, 60_000.0), (23, 60_100.0), (44, 60_250.0), (93, 60_700.0)):
        years = days / 365.0
        reach = 3.2 * 0.6 * years**0.5
        step = 500.0 if days < 30 else 1000.0
        first = round(forward * exp(-reach) / step) * step
        last = round(forward * exp(reach) / step) * step
        for strike in np.arange(first, last + step, step).tolist():
            for kind in OptionKind:
                deviation = smile_vol(strike, forward) * years**0.5
                price = coin_price(strike, forward, deviation, kind)
                tick = 0.0005 if price > 0.005 else 0.0001
                bid = int(np.floor((price * 0.985) / tick)) * tick
                ask = int(np.ceil((price * 1.015 + 1e-12) / tick)) * tick
                quotes.append(
                    ChainQuote(
                        expiry_ns=at_ns + days * NANOS_PER_DAY,
                        strike=strike,
                        kind=kind,
                        bid=round(bid, 4) if bid > 0 else nan,
                        ask=round(max(ask, bid + tick), 4),
                        mark=price,
                        forward=forward,
                    )
                )
    return quotes
