"""Reading chain files: what is accepted, and where a complaint points."""

from math import isnan
from pathlib import Path

import pytest

from volgauge.domain.instrument import OptionKind
from volgauge.errors import InputError
from volgauge.offline.chain import NOT_A_NUMBER, read_chain

HEADER = "expiry,strike,kind,bid,ask,forward,timestamp"
ROW = "2026-03-27T08:00:00Z,60000,C,0.04,0.041,60100,2026-03-02T08:00:00Z"


def write(path: Path, *lines: str) -> Path:
    """A file of these lines."""
    target = path / "chain.csv"
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def test_a_row(tmp_path: Path) -> None:
    """Every cell lands in its field; absent columns are NaN."""
    (quote,) = read_chain(write(tmp_path, HEADER, ROW)).quotes

    assert quote.expiry_ns == 1_774_598_400_000_000_000
    assert (60_000.0, OptionKind.CALL) == (quote.strike, quote.kind)
    assert (0.04, 0.041, 60_100.0) == (quote.bid, quote.ask, quote.forward)
    assert quote.timestamp_ns == 1_772_438_400_000_000_000
    assert quote.line == 2
    assert isnan(quote.mark)
    assert isnan(quote.rate)


def test_columns_in_any_order_and_case_and_unknown_ones(tmp_path: Path) -> None:
    """The header decides; a column we do not know is left alone."""
    path = write(tmp_path, "Ask, note ,KIND,bid,expiry,strike", "2,hello,put,1,1774598400000,100")

    (quote,) = read_chain(path).quotes

    assert (1.0, 2.0, OptionKind.PUT) == (quote.bid, quote.ask, quote.kind)
    assert quote.expiry_ns == 1_774_598_400_000_000_000


def test_empty_cells_and_lines(tmp_path: Path) -> None:
    """An empty cell is no quote; an empty line is nothing; a byte-order mark is not a name."""
    path = tmp_path / "chain.csv"
    path.write_text(f"\ufeff{HEADER}\r\n\r\n{ROW.replace('0.04,', ',')}\r\n", encoding="utf-8")

    (quote,) = read_chain(path).quotes

    assert isnan(quote.bid)
    assert quote.ask == 0.041


def test_adversarial_prices_are_read(tmp_path: Path) -> None:
    """Negative, infinite and `nan` prices are for the filters to judge."""
    path = write(tmp_path, HEADER, ROW.replace("0.04,0.041", "nan,-3"))

    (quote,) = read_chain(path).quotes

    assert (NOT_A_NUMBER, -3.0) == (quote.bid, quote.ask)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("0.04,", "four,", "line 2, column `bid`"),
        ("0.04,", "0_4,", "line 2, column `bid`"),
        ("0.041", "0.04.1", "line 2, column `ask`"),
        ("60000", "0", "line 2, column `strike`"),
        ("60000", "-1", "line 2, column `strike`"),
        ("60000", "nan", "line 2, column `strike`"),
        ("60000", "", "line 2, column `strike`"),
        ("60100", "0", "line 2, column `forward`"),
        ("60100", "inf", "line 2, column `forward`"),
        (",C,", ",X,", "line 2, column `kind`"),
        (",C,", ",,", "line 2, column `kind`"),
        ("2026-03-27T08:00:00Z", "", "line 2, column `expiry`"),
        ("2026-03-27T08:00:00Z", "2026-03-27", "line 2, column `expiry`"),
        ("2026-03-27T08:00:00Z", "27MAR26", "line 2, column `expiry`"),
        ("2026-03-27T08:00:00Z", "1e999", "line 2, column `expiry`"),
        ("2026-03-02T08:00:00Z", "yesterday", "line 2, column `timestamp`"),
        (",60100", "", "line 2: expected 7 cells, received 6"),
    ],
)
def test_complaints_name_the_place(tmp_path: Path, old: str, new: str, place: str) -> None:
    """Line and column of the first cell that cannot be read."""
    with pytest.raises(InputError, match=place):
        read_chain(write(tmp_path, HEADER, ROW.replace(old, new)))


def test_an_open_quotation_mark(tmp_path: Path) -> None:
    """CSV that does not end is refused."""
    with pytest.raises(InputError, match="expected CSV"):
        read_chain(write(tmp_path, HEADER, '"' + ROW))


@pytest.mark.parametrize("column", ["expiry", "strike", "kind", "bid", "ask"])
def test_required_columns(tmp_path: Path, column: str) -> None:
    """Each missing one is named."""
    with pytest.raises(InputError, match=f"line 1: column `{column}` is missing"):
        read_chain(write(tmp_path, HEADER.replace(column, "other"), ROW))


def test_a_column_twice(tmp_path: Path) -> None:
    """Which of the two would count?"""
    with pytest.raises(InputError, match="column `bid` comes twice"):
        read_chain(write(tmp_path, HEADER + ",bid", ROW + ",1"))


def test_an_option_twice(tmp_path: Path) -> None:
    """Which of the two would count?"""
    with pytest.raises(InputError, match="line 3, column `strike`: the option of line 2"):
        read_chain(write(tmp_path, HEADER, ROW, ROW))


def test_no_such_file(tmp_path: Path) -> None:
    """The system's own words, as an error of ours."""
    with pytest.raises(InputError, match="No such file"):
        read_chain(tmp_path / "missing.csv")


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"", b"\x00\x01\x02", b"PK\x03\x04" * 99])
def test_not_a_chain(tmp_path: Path, content: bytes) -> None:
    """Other files are refused, not misread."""
    path = tmp_path / "chain.csv"
    path.write_bytes(content)

    with pytest.raises(InputError):
        read_chain(path)
