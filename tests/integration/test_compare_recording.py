"""`volgauge compare` finds in a recording the lead and the bias that were put into it."""

import json
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from fakes.deribit_lab import notification
from integration.processes import (
    Process,
    addresses,
    eventually,
    metric,
    page_of,
    result_of,
    venue,
)
from volgauge.domain.units import NANOS_PER_SECOND, NANOS_PER_YEAR, parse_instant
from volgauge.wire.recorder import write_recording

START_NS = parse_instant("2026-07-01T12:00:00Z")
FORWARD = 60_000.0
EXPIRIES = {"24JUL26": "2026-07-24T08:00:00Z", "28AUG26": "2026-08-28T08:00:00Z"}
STRIKES = range(46_000, 79_000, 4_000)
MOVING = ("24JUL26", 62_000, "C")
LEAD_SECONDS = 12
SECONDS = 760
DVOL_RULES = {"VOLGAUGE__INDEX__METHOD": "dvol"}
"""One rule for `value` and `strip`, so that both must give the same figures."""

Frame = tuple[int, bytes]


def option_frame(at_ns: int, option: tuple[str, int, str], vol: float) -> Frame:
    """A quote of this option two per mille around its Black price, in coins."""
    code, strike, right = option
    years = (parse_instant(EXPIRIES[code]) - START_NS) / NANOS_PER_YEAR
    deviation = vol * years**0.5
    d1 = log(FORWARD / strike) / deviation + 0.5 * deviation
    sign = 1.0 if right == "C" else -1.0
    fair = sign * (norm.cdf(sign * d1) - strike / FORWARD * norm.cdf(sign * (d1 - deviation)))
    name = f"BTC-{code}-{strike}-{right}"
    data = {
        "timestamp": at_ns // 1_000_000,
        "instrument_name": name,
        "best_bid_price": fair * 0.998,
        "best_ask_price": fair * 1.002,
        "best_bid_amount": 5.0,
        "best_ask_amount": 5.0,
    }
    return at_ns, notification(f"quote.{name}", data)


def venue_frame(at_ns: int, points: float) -> Frame:
    """The venue's own index."""
    data = {"timestamp": at_ns // 1_000_000, "volatility": points, "index_name": "btc_usd"}
    return at_ns, notification("deribit_volatility_index.btc_usd", data)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain of which one option wanders, and a venue that follows it 12 seconds later."""
    folder = tmp_path_factory.mktemp("compared") / "foreign"
    options = [(code, strike, right) for code in EXPIRIES for strike in STRIKES for right in "CP"]
    # Distinct instants: the order of equal ones is not the recording's.
    frames = [option_frame(START_NS + n * 1_000, option, 0.6) for n, option in enumerate(options)]
    steps = np.random.default_rng(1).normal(0.0, 0.0005, SECONDS)
    walk = np.concatenate([np.zeros(LEAD_SECONDS), np.cumsum(steps)])
    for second in range(SECONDS):
        at_ns = START_NS + second * NANOS_PER_SECOND
        frames.append(option_frame(at_ns + 200_000_000, MOVING, 0.6 + walk[second + LEAD_SECONDS]))
        frames.append(venue_frame(at_ns + 400_000_000, 58.0 + 20.0 * walk[second]))
    write_recording(folder, {("deribit", "all"): frames})
    return folder


@pytest.fixture(scope="module")
def report(recording: Path) -> dict[str, Any]:
    """What the command prints."""
    code, output = result_of("compare", str(recording), environment=DVOL_RULES)
    assert code == 0
    found: dict[str, Any] = json.loads(output)
    return found


def of(report: dict[str, Any], series: str) -> dict[str, Any]:
    """The figures of one series of the only comparison."""
    (comparison,) = report["comparisons"]
    (found,) = [row for row in comparison["series"] if row["series"] == series]
    return dict(found)


@pytest.mark.parametrize("series", ["value", "strip"])
def test_the_lead_of_a_recording_is_found(report: dict[str, Any], series: str) -> None:
    """The venue repeats our moves 12 seconds later: ours leads by 12."""
    found = of(report, series)

    assert found["lead_seconds"] == LEAD_SECONDS
    assert found["lead_correlation"] > 0.99
    assert abs(found["change_correlation"]) < 0.15
    assert not found["lead_at_limit"]


def test_bias_and_rmse_are_those_of_the_replayed_records(
    recording: Path, report: dict[str, Any]
) -> None:
    """Sampled by plain Python from what `volgauge replay` prints and from the frames."""
    _, output = result_of("replay", str(recording), "--tenor", "30", environment=DVOL_RULES)
    ours = [(r["computed_ns"], r["value"]) for r in map(json.loads, output.splitlines())]
    steps = np.random.default_rng(1).normal(0.0, 0.0005, SECONDS)
    walk = np.concatenate([np.zeros(LEAD_SECONDS), np.cumsum(steps)])
    differences = []
    for second in range(1, SECONDS):
        held = [value for at_ns, value in ours if at_ns <= START_NS + second * NANOS_PER_SECOND]
        # The venue's frame of a second comes 0.4 s into it.
        differences.append(held[-1] - (58.0 + 20.0 * walk[second - 1]))

    found = of(report, "value")
    assert found["pairs"] == found["span_seconds"] == SECONDS - 1
    assert found["bias"] == pytest.approx(float(np.mean(differences)), abs=1e-9)
    assert found["rmse"] == pytest.approx(float(np.mean(np.square(differences)) ** 0.5), abs=1e-9)


def test_report_says_what_it_is_about(report: dict[str, Any]) -> None:
    """Venue, asset, rules and the interval."""
    (comparison,) = report["comparisons"]

    assert (comparison["venue"], comparison["asset"]) == ("deribit", "BTC")
    assert comparison["first"] == "2026-07-01T12:00:01Z"
    assert comparison["last"] == "2026-07-01T12:12:39Z"
    assert (report["mode"], report["tenor_days"]) == ("dvol", 30.0)


def test_table_has_a_line_a_series(recording: Path) -> None:
    """What a reader sees instead of JSON."""
    code, output = result_of("compare", str(recording), "--table", environment=DVOL_RULES)
    lines = output.decode().splitlines()

    assert code == 0
    assert lines[0].startswith("BTC 30d against deribit's own index, 2026-07-01T12:00:01Z to")
    assert [line.split()[0] for line in lines[2:6]] == ["value", "strip", "smoothed", "full"]
    assert "+12" in lines[2]


def test_an_asset_without_an_index_has_no_figures(recording: Path) -> None:
    """Exit code 3 and an empty list: there is nothing to compare."""
    code, output = result_of("compare", str(recording), "--asset", "SOL", environment=DVOL_RULES)

    assert code == 3
    assert json.loads(output)["comparisons"] == []


def test_no_recording_is_a_message_and_code_2(tmp_path: Path) -> None:
    """A folder that does not exist."""
    code, output = result_of("compare", str(tmp_path / "nowhere"))

    assert (code, output) == (2, b"")


def test_a_running_service_compares_and_its_recording_agrees(tmp_path: Path) -> None:
    """Seconds are counted on /metrics; the replay of the session counts them too, and says 3.

    Exit code 3: some seconds are no minute, so there is no figure yet.
    """
    folder = tmp_path / "session"
    labels = {"venue": "deribit", "asset": "BTC", "series": "strip"}
    with venue() as simulator:
        settings = {
            **addresses(simulator),
            **DVOL_RULES,
            "VOLGAUGE__RECORDER__PATH": str(folder),
            "VOLGAUGE__REDIS__ENABLED": "false",
        }
        with Process("run", "--port", "0", environment=settings) as service:
            service.wait_for_output("metrics")
            root = page_of(service)

            def counted() -> float:
                pairs = metric(root, "volgauge_comparison_pairs", **labels)
                return pairs if pairs >= 3.0 else 0.0

            shown = eventually(counted, "three seconds compared", 40.0)
            code, _ = service.terminate()
    compare_code, output = result_of("compare", str(folder), "--asset", "BTC")
    strip = of(json.loads(output), "strip")

    assert (code, compare_code) == (0, 3)
    assert shown <= strip["pairs"] <= shown + 5.0
    assert strip["bias"] is None
