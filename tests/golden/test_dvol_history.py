"""Mode `dvol` against the exchange's own index on 222 recorded chains."""

import csv
from collections.abc import Sequence
from math import nan
from pathlib import Path

import numpy as np
import pytest
from msgspec import Struct

from golden.chain_sources import parquet_chains
from volgauge.domain.units import parse_instant
from volgauge.offline.chain import Chain, ChainQuote
from volgauge.offline.compute import compute

QUOTE_PULL = "2026-01-13T09:21:45.558926Z"


class Pair(Struct, frozen=True):
    """One instant at which DVOL is known."""

    currency: str
    stamp: str
    dvol: float
    hour_change: float
    strip: float
    """Ours."""
    native: float

    @property
    def error(self) -> float:
        """Volatility points."""
        return self.strip - self.dvol


@pytest.fixture(scope="module")
def pairs(test_data: Path) -> list[Pair]:
    """Every chain with a reference, computed."""
    chains = parquet_chains(test_data)
    with (test_data / "chains" / "pairs_public.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["dvol_ref"]]
    return [pair(row, chains) for row in rows]


def pair(row: dict[str, str], chains: dict[tuple[int, str], list[ChainQuote]]) -> Pair:
    """Compute one row of the reference file."""
    at_ns = parse_instant(row["ts"])
    chain = Chain(tuple(chains[at_ns // 1_000_000, row["currency"]]))
    strip = compute(chain, at=at_ns, method="dvol", premium="coin").value
    native = compute(chain, at=at_ns, method="native", premium="coin").value
    return Pair(
        row["currency"],
        row["ts"],
        float(row["dvol_ref"]),
        float(row["dvol_hour_close"]) - float(row["dvol_prev_hour_close"]),
        nan if strip is None else strip,
        nan if native is None else native,
    )


def describe(name: str, errors: Sequence[float]) -> str:
    """One line of figures, also printed with `pytest -s`."""
    e = np.asarray(errors)
    return (
        f"{name}: n {len(e)}, bias {e.mean():+.3f}, median {np.median(abs(e)):.3f}, "
        f"rmse {np.sqrt((e**2).mean()):.3f}, max {abs(e).max():.2f}"
    )


@pytest.mark.parametrize(("currency", "count"), [("BTC", 169), ("ETH", 53)])
def test_it_is_what_the_market_calls_dvol(pairs: list[Pair], currency: str, count: int) -> None:
    """|bias| <= 0.05, median error <= 0.07, RMSE <= 0.25 points."""
    errors = np.array([p.error for p in pairs if p.currency == currency])
    native = [p.native - p.dvol for p in pairs if p.currency == currency]
    print(describe(f"dvol {currency}", errors.tolist()))  # noqa: T201 - the figures are the point
    print(describe(f"native {currency}", native))  # noqa: T201

    assert count == len(errors)
    assert abs(errors.mean()) <= 0.05
    assert np.median(abs(errors)) <= 0.07
    assert np.sqrt((errors**2).mean()) <= 0.25


def test_quiet_hours_agree_closer(pairs: list[Pair]) -> None:
    """Where DVOL itself moved by less than 0.1 within the hour: median <= 0.04."""
    for currency in ("BTC", "ETH"):
        errors = [
            abs(p.error) for p in pairs if p.currency == currency and abs(p.hour_change) < 0.1
        ]
        print(describe(f"quiet {currency}", errors))  # noqa: T201

        assert np.median(errors) <= 0.04


def test_pulled_quotes(pairs: list[Pair]) -> None:
    """Most strikes near the money lack a bid at 2026-01-13 09:21; the marks keep it at 40.1."""
    (pulled,) = [p for p in pairs if p.currency == "BTC" and p.stamp == QUOTE_PULL]

    assert pulled.strip == pytest.approx(40.10, abs=0.2)


def test_native_tracks_dvol_without_marks(pairs: list[Pair]) -> None:
    """The headline is the continuous corridor, DVOL a sum over listed strikes: near, not equal."""
    errors = np.array([p.native - p.dvol for p in pairs])

    assert not np.isnan(errors).any()
    assert abs(errors.mean()) <= 0.10
    assert np.median(abs(errors)) <= 0.25
    assert np.sqrt((errors**2).mean()) <= 0.40
