"""Cboe's published worked example, with the clocks and rates of 2014 and of 2026."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from volgauge.domain.index import IndexValue
from volgauge.domain.units import NANOS_PER_MINUTE, format_instant, parse_instant
from volgauge.offline.chain import read_chain
from volgauge.offline.compute import compute

AT = parse_instant("2026-01-05T00:00:00Z")
EDITIONS = ("cboe_2014_whitepaper", "cboe_methodology_v6_2026")
SECONDS_LATE = 59
"""Less than a minute past: whole minutes are rounded down."""


def board(folder: Path, edition: str, target: Path) -> tuple[Path, dict[str, Any]]:
    """Write the example's board as a chain file; returns it with the published figures."""
    examples = folder / "worked-examples"
    expected = json.loads((examples / "expected_values.json").read_text())[edition]
    rows = (examples / expected["file"]).read_text().splitlines()
    lines = ["rate,kind,ask,bid,strike,expiry"]
    for row in csv.DictReader(rows):
        term = 0 if row["term"] == "near" else 1
        expiry = format_instant(AT + expected["N_minutes"][term] * NANOS_PER_MINUTE)
        for kind, name in (("C", "call"), ("P", "put")):
            bid, ask = row[f"{name}_bid"], row[f"{name}_ask"]
            lines.append(f"{expected['rate'][term]},{kind},{ask},{bid},{row['strike']},{expiry}")
    path = target / "board.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path, expected


@pytest.fixture(params=EDITIONS)
def example(
    request: pytest.FixtureRequest, test_data: Path, tmp_path: Path
) -> tuple[IndexValue, dict[str, Any]]:
    """The computed value and the published figures."""
    path, expected = board(test_data, request.param, tmp_path)
    return compute(read_chain(path), at=AT, method="cboe"), expected


def test_index(example: tuple[IndexValue, dict[str, Any]]) -> None:
    """13.685821 with the clock of 2014, 13.927842 with that of 2026."""
    value, expected = example

    assert value.value == pytest.approx(expected["recomputed"]["vix"], abs=1e-9)
    published = {34_484: 13.927842, 35_924: 13.685821}[expected["N_minutes"][0]]
    assert value.value == pytest.approx(published, abs=5e-7)


def test_strip_sums(example: tuple[IndexValue, dict[str, Any]]) -> None:
    """Sum of dK / K^2 e^{RT} Q(K), to 1e-10."""
    value, expected = example

    computed = [expiry.strip_sum for expiry in value.expiries]
    assert computed == pytest.approx(expected["recomputed"]["sum"], abs=1e-12)
    if "strip_sum_published" in expected:
        assert computed == pytest.approx(expected["strip_sum_published"], abs=1e-10)


def test_variances(example: tuple[IndexValue, dict[str, Any]]) -> None:
    """Published to eight decimals."""
    value, expected = example

    computed = [expiry.variance for expiry in value.expiries]
    assert computed == pytest.approx(expected["sigma2_published"], abs=1e-8)


def test_forwards_and_base_strikes(example: tuple[IndexValue, dict[str, Any]]) -> None:
    """F at the smallest |C - P|, K0 the strike at or below it, T in whole minutes."""
    value, expected = example

    forwards = [expiry.forward for expiry in value.expiries]
    assert forwards == pytest.approx(expected["F_published"], abs=1e-5)
    assert [expiry.k_zero for expiry in value.expiries] == expected["K0"]
    assert [expiry.minutes for expiry in value.expiries] == expected["N_minutes"]
    times = [expiry.t_years for expiry in value.expiries]
    assert times == pytest.approx(expected["T_years_published"], abs=5e-8)


def test_strike_counts(test_data: Path, tmp_path: Path) -> None:
    """146 and 122 strikes survive the zero bids and the two-in-a-row stop."""
    path, expected = board(test_data, EDITIONS[1], tmp_path)

    value = compute(read_chain(path), at=AT, method="cboe")

    assert [expiry.n_strikes for expiry in value.expiries] == expected["n_strikes"]


def test_a_started_minute_does_not_count(test_data: Path, tmp_path: Path) -> None:
    """59 seconds before the example's instant the whole minutes are the same, so is the index."""
    path, expected = board(test_data, EDITIONS[1], tmp_path)

    earlier = compute(read_chain(path), at=AT - SECONDS_LATE * 1_000_000_000, method="cboe")

    assert earlier.value == pytest.approx(expected["recomputed"]["vix"], abs=1e-9)
