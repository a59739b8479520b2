"""A CSV chain, re-dated and served as it is."""

import math
from datetime import UTC, datetime
from pathlib import Path

import pytest

from volgauge.errors import InputError
from volgauge.simulator import deribit
from volgauge.simulator.chain import ChainSource, read_file, redate_chain, shift_days

DAY_NS = 86_400 * 10**9
NOW = int(datetime(2026, 11, 21, 3, 54, tzinfo=UTC).timestamp()) * 10**9
SNAPSHOT = int(datetime(2026, 5, 26, 19, 27, 44, tzinfo=UTC).timestamp()) * 10**9
CSV = """strike,kind,expiry,bid,ask,mark,forward,open_interest,note,timestamp
75000,C,2026-06-26T08:00:00Z,0.0415,0.042,0.04175001,75957.4,12.5,"a, b",2026-05-26T19:27:44Z
75000,P,2026-06-26T08:00:00Z,0.0285,0.0295,0.02896,75957.4,3.1,,2026-05-26T19:27:44Z
76000,C,2026-06-26T08:00:00Z,,0.0365,0.03600,75957.4,,,2026-05-26T19:27:40Z
74000,P,1782720000000,0.0275,0.0300,,,0,,2026-05-26T19:27:40Z
"""


@pytest.fixture
def chain_csv(tmp_path: Path) -> Path:
    """A small chain with the spellings that occur."""
    path = tmp_path / "chain.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def source(path: Path, rate: float = 1_000.0) -> ChainSource:
    """The chain as a source."""
    return ChainSource(path, asset="BTC", start_ns=NOW, rate=rate, step_ns=5_000_000)


def test_snapshot_lands_in_the_next_24_hours() -> None:
    """Nothing that lived in the snapshot is dead on arrival."""
    for now_ns in (SNAPSHOT, NOW, NOW + 12_345, SNAPSHOT + 400 * DAY_NS - 1):
        moved = SNAPSHOT + shift_days(SNAPSHOT, now_ns) * DAY_NS

        assert now_ns <= moved < now_ns + DAY_NS


def test_redating_moves_dates_and_nothing_else(chain_csv: Path, tmp_path: Path) -> None:
    """Every other cell keeps its bytes; ISO stays ISO and milliseconds stay milliseconds."""
    out = tmp_path / "out.csv"
    days = redate_chain(chain_csv, out, NOW)
    before = [line.split(",") for line in CSV.splitlines()]
    after = [line.split(",") for line in out.read_text(encoding="utf-8").splitlines()]

    assert days == 179
    assert after[1][2] == "2026-12-22T08:00:00Z"
    assert after[1][-1] == "2026-11-21T19:27:44Z"
    assert int(after[4][2]) - 1_782_720_000_000 == days * 86_400_000
    for old, new in zip(before, after, strict=True):
        assert old[:2] + old[3:-1] == new[:2] + new[3:-1]


def test_source_serves_the_file_exactly(chain_csv: Path) -> None:
    """Bid, ask, mark, forward and interest are the file's doubles; empty cells are absent."""
    board = source(chain_csv).board
    by_name = {option.name: slot for slot, option in enumerate(board.options)}

    call = by_name["BTC-22DEC26-75000-C"]
    assert (board.bid[call], board.ask[call], board.mark[call]) == (0.0415, 0.042, 0.04175001)
    assert board.open_interest[call] == 12.5
    assert math.isnan(board.bid[by_name["BTC-22DEC26-76000-C"]])
    assert board.forward[0] == 75957.4
    assert 0.5 * (board.future_bid[0] + board.future_ask[0]) == 75957.4


def test_expiries_stay_at_eight(chain_csv: Path) -> None:
    """Whole days only."""
    board = source(chain_csv).board

    assert [expiry.expiry_ns % DAY_NS for expiry in board.expiries] == [8 * 3600 * 10**9] * 2


def test_expiry_without_forward_has_no_future_and_no_underlying_price(chain_csv: Path) -> None:
    """What the file does not say is not invented."""
    board = source(chain_csv).board
    contracts = deribit.contracts_of(board)
    names = [contract.name for contract in contracts if not contract.is_option]
    put = next(contract for contract in contracts if contract.name.endswith("74000-P"))

    assert names == ["BTC-PERPETUAL", "BTC-22DEC26"]
    assert "underlying_price" not in deribit.ticker_rows([put], NOW, NOW // 10**6, "null")[0]


def test_quotes_are_sent_again_in_turn(chain_csv: Path) -> None:
    """All options come round, unchanged."""
    chain = source(chain_csv)
    slots = [s for _ in range(4) for batch in chain.advance().quotes for s in batch.slots]

    assert sorted(set(slots)) == [0, 1, 2, 3]
    assert slots[:8] == [0, 1, 2, 3, 0, 1, 2, 3]


def test_same_days_for_file_and_source(chain_csv: Path, tmp_path: Path) -> None:
    """The re-dated file and the source started at the same instant agree on the dates."""
    out = tmp_path / "out.csv"
    redate_chain(chain_csv, out, NOW)

    served = [option.expiry.expiry_ns for option in source(chain_csv).board.options]

    assert sorted(served) == sorted(row.expiry_ns for row in read_file(out).rows)


def test_expired_options_leave(chain_csv: Path) -> None:
    """Past its expiry an option is off the list, with its notices."""
    chain = source(chain_csv)
    chain.now_ns = chain.board.expiries[0].expiry_ns - 1
    notices = chain.advance().notices

    assert {notice.state for notice in notices} == {"settlement", "delivered"}
    assert chain.board.alive.sum() == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expiry,strike,kind,bid\n", "columns ask"),
        ("", "header"),
        ("expiry,strike,kind,bid,ask\n", "rows"),
        ("expiry,strike,kind,bid,ask\nsoon,1,C,1,2\n", "line 2"),
        ("expiry,strike,kind,bid,ask\n2026-06-26T08:00:00Z,1,X,1,2\n", "column kind"),
        ("expiry,strike,kind,bid,ask\n2026-06-26T08:00:00Z,1,C,one,2\n", "column bid"),
        ("expiry,strike,kind,bid,ask\n2026-06-26T08:00:00Z,-1,C,1,2\n", "column strike"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    """The error names the line and the column."""
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=message):
        read_file(path)


def test_forward_of_an_expiry_is_the_median_of_its_rows(tmp_path: Path) -> None:
    """A slow snapshot has several forwards of one expiry; no single row decides."""
    path = tmp_path / "chain.csv"
    rows = [("C", 100.0), ("P", 104.0), ("C", 101.0)]
    lines = [
        f"2026-06-26T08:00:00Z,{1000 * number},{kind},0.01,0.02,0.015,{forward}"
        for number, (kind, forward) in enumerate(rows, 1)
    ]
    path.write_text("\n".join(["expiry,strike,kind,bid,ask,mark,forward", *lines]))

    assert source(path).board.forward.tolist() == [101.0]
