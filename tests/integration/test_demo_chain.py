"""A real chain over the simulated wire: the published index is the one that `compute` gives."""

import csv
import json
from contextlib import closing
from math import isnan
from pathlib import Path

from golden.chain_sources import COLUMNS, parquet_chains, recorded_chain
from integration.processes import (
    Line,
    Process,
    eventually,
    raw,
    redis_of,
    result_of,
    stream,
    sure,
    wait_for_value,
)
from volgauge.domain.units import NANOS_PER_DAY, NANOS_PER_MILLI, format_instant, parse_instant
from volgauge.offline.chain import ChainQuote

TOLERANCE = 1e-9
SETTLED = 30
"""Records in a row with one input hash: every quote of the file has come in."""


def write_chain(quotes: list[ChainQuote], at_ns: int, path: Path, *, days: int = 0) -> Path:
    """The chain in the format of `compute`, every date moved by whole days."""
    shift = days * NANOS_PER_DAY
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "timestamp"])
        for quote in quotes:
            numbers = [quote.bid, quote.ask, quote.mark, quote.forward]
            writer.writerow(
                [
                    format_instant(quote.expiry_ns + shift),
                    repr(quote.strike),
                    quote.kind.value,
                    *("" if isnan(number) else repr(number) for number in numbers),
                    format_instant(at_ns + shift),
                ]
            )
    return path


def settled(records: list[Line]) -> Line | None:
    """The newest record, when as many before it rest on the very same quotes."""
    last = records[-SETTLED:]
    hashes = {record["input_hash"] for record in last}
    return last[-1] if len(last) == SETTLED and len(hashes) == 1 and all(map(sure, last)) else None


def computed(chain: Path, at_ns: int, method: str) -> Line:
    """What `volgauge compute` says of the file at an instant."""
    at = format_instant(at_ns)
    code, output = result_of(
        "compute", str(chain), "--at", at, "--method", method, "--premium", "coin"
    )
    assert code == 0, output
    found: Line = json.loads(output)
    return found


def assert_published_is_computed(
    quotes: list[ChainQuote], at_ns: int, asset: str, folder: Path
) -> None:
    """Serve the chain, take a published record, compute it again from the re-dated file."""
    served = write_chain(quotes, at_ns, folder / "chain.csv")
    arguments = ("demo", "--chain", str(served), "--asset", asset, "--rate", "4000", "--port", "0")
    with Process(*arguments) as process, closing(raw(redis_of(process))) as client:
        key = f"volgauge:stream:index:{asset}:30d"
        wait_for_value(process, client, key=f"volgauge:latest:index:{asset}:30d")
        record = eventually(lambda: settled([r for _, r in stream(client, key)]), "settled quotes")
        assert record is not None
    days = redated_days(at_ns, record)
    redated = write_chain(quotes, at_ns, folder / "redated.csv", days=days)
    native = computed(redated, record["computed_ns"], "native")
    dvol = computed(redated, record["computed_ns"], "dvol")

    assert parse_instant(native["at"]) == record["computed_ns"]
    assert [e["expiry"] for e in native["expiries"]] == [e["expiry"] for e in record["expiries"]]
    assert [e["n_strikes"] for e in native["expiries"]] == [
        e["n_strikes"] for e in record["expiries"]
    ]
    assert abs(native["value"] - record["value"]) <= TOLERANCE
    assert abs(dvol["value"] - record["strip"]) <= TOLERANCE
    assert abs(native["bid"] - record["bid"]) <= TOLERANCE
    assert abs(native["ask"] - record["ask"]) <= TOLERANCE


def redated_days(at_ns: int, record: Line) -> int:
    """By how many whole days the snapshot moves into the 24 hours after the record."""
    return -((at_ns - int(record["computed_ns"])) // NANOS_PER_DAY)


def test_real_board_of_878_options(test_data: Path, tmp_path: Path) -> None:
    """BTC on 2026-05-26: eleven expiries, every published number is that of the file."""
    quotes, at_ns = recorded_chain(test_data)
    assert len(quotes) == 878
    assert_published_is_computed(quotes, at_ns, "BTC", tmp_path)


def test_one_chain_of_the_parquet_files(test_data: Path, tmp_path: Path) -> None:
    """The last recorded chain of ETH: another asset, another day, the same agreement."""
    chains = parquet_chains(test_data)
    stamp, currency = max(key for key in chains if key[1] == "ETH")
    quotes = chains[stamp, currency]
    assert len(quotes) > 400
    assert_published_is_computed(quotes, stamp * NANOS_PER_MILLI, "ETH", tmp_path)
