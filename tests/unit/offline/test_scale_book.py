"""Reading a book of positions and the stress grid: what is taken, what is refused, and where."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volgauge.domain.units import parse_instant
from volgauge.errors import InputError
from volgauge.offline.scale.book import Leg, read_book
from volgauge.offline.scale.stress import parse_grid

HEADER = "expiry,strike,kind,quantity\n"


def write(folder: Path, text: str) -> Path:
    """A book file."""
    path = folder / "book.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_kind(tmp_path: Path) -> None:
    """Options by letter or word, a dated future, the perpetual, spot; columns in any order."""
    book = read_book(
        write(
            tmp_path,
            "quantity,kind,expiry,strike\n"
            "2,C,2026-06-26T08:00:00Z,80000\n"
            "-1.5,put,2026-06-26T08:00:00Z,70000\n"
            "\n"
            "1,future,2026-06-26T08:00:00Z,\n"
            "-3,FUTURE,,\n"
            "0.5,spot,,\n",
        )
    )

    legs = [Leg.CALL, Leg.PUT, Leg.FUTURE, Leg.FUTURE, Leg.SPOT]
    assert [position.leg for position in book] == legs
    assert [position.quantity for position in book] == [2.0, -1.5, 1.0, -3.0, 0.5]
    assert [position.line for position in book] == [2, 3, 5, 6, 7]
    assert book[0].expiry_ns == parse_instant("2026-06-26T08:00:00Z")
    assert book[0].strike == 80000.0
    assert book[3].expiry_ns is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strike,kind,quantity\n1,C,1\n", "line 1: column `expiry` is missing"),
        (HEADER, "line 2: expected a position"),
        (HEADER + "1750000000,1,C,0\n", "line 2, column `quantity`.*not 0"),
        (HEADER + "1750000000,1,C,nan\n", "line 2, column `quantity`"),
        (HEADER + "1750000000,1,C,\n", "line 2, column `quantity`"),
        (HEADER + "1750000000,1,C,inf\n", "line 2, column `quantity`"),
        (HEADER + "1750000000,1,C,-1e13\n", "line 2, column `quantity`"),
        (HEADER + "1750000000,1,C,many\n", "line 2, column `quantity`: expected a number"),
        (HEADER + "1750000000,1,swap,1\n", "line 2, column `kind`: expected C, P, future or spot"),
        (HEADER + "1750000000,1,C,1\n1750000000,-1,C,1\n", "line 3, column `strike`"),
        (HEADER + "1750000000,,C,1\n", "line 2, column `strike`"),
        (HEADER + "1750000000,5,future,1\n", "line 2, column `strike`: expected an empty cell"),
        (HEADER + ",1,P,1\n", "line 2, column `expiry`: expected an instant"),
        (HEADER + "soon,1,P,1\n", "line 2, column `expiry`"),
        (HEADER + "2026-06-26,1,P,1\n", "line 2, column `expiry`: .*time of day"),
        (HEADER + "1750000000,,spot,1\n", "line 2, column `expiry`: expected an empty cell"),
        (HEADER + "1750000000,1,C\n", "line 2: expected 4 cells, received 3"),
    ],
)
def test_refusals_name_the_place(tmp_path: Path, text: str, message: str) -> None:
    """Line and column, and what was expected there."""
    with pytest.raises(InputError, match=message):
        read_book(write(tmp_path, text))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.text('0123456789eE+-.:TZ,"CPx nif', max_size=12)), max_size=5))
def test_anything_else_is_an_input_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    """Random cells give a book or a typed error, nothing else."""
    path = write(tmp_path_factory.mktemp("book"), HEADER + "\n".join(map(",".join, rows)))

    with suppress(InputError):
        assert read_book(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named."""
    with pytest.raises(InputError, match="nowhere"):
        read_book(tmp_path / "nowhere.csv")


def test_the_grid() -> None:
    """First and last count; an axis left out stays where it is."""
    grid = parse_grid("spot:-20:20:10,vol:-0.3:0.3:0.1")

    assert grid.spot_percent == (-20.0, -10.0, 0.0, 10.0, 20.0)
    assert grid.vol_points == pytest.approx([-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3], abs=1e-15)
    assert parse_grid("vol:5:5:1").spot_percent == (0.0,)
    assert parse_grid("vol:5:5:1").vol_points == (5.0,)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spot",
        "spot:1:2",
        "spot:2:1:1",
        "spot:1:2:0",
        "spot:1:2:-1",
        "spot:1:x:1",
        "spot:nan:2:1",
        "spot:1:1e999:1",
        "spot:0:1:1e-9",
        "spot:-100:0:10",
        "time:0:1:1",
        "vol:0:1:1,vol:0:1:1",
    ],
)
def test_a_grid_that_is_none(text: str) -> None:
    """The flag is named."""
    with pytest.raises(InputError, match="--stress"):
        parse_grid(text)
