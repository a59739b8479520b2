"""Tables and gates: what the experiments hand over, as text for people or as JSON."""

from collections.abc import Iterable
from math import isnan
from typing import Literal

import msgspec
from msgspec import Struct

Cell = str | float | int | None
Relation = Literal["at most", "at least"]


class Table(Struct, frozen=True, kw_only=True):
    """One experiment's figures; volatility points unless a column says otherwise."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


class Gate(Struct, frozen=True):
    """A figure that must hold."""

    name: str
    figure: float
    relation: Relation
    limit: float
    """What was asked for."""

    @property
    def passed(self) -> bool:
        """What was asked for is there; never for NaN."""
        if self.relation == "at most":
            return self.figure <= self.limit
        return self.figure >= self.limit


class Report(Struct, kw_only=True):
    """Everything the benchmark has to say."""

    tables: list[Table] = []
    gates: list[Gate] = []
    skipped: list[str] = []
    """What could not be run, with the reason."""

    @property
    def passed(self) -> bool:
        """Every gate holds."""
        return all(gate.passed for gate in self.gates)

    def add(self, other: "Report") -> None:
        """Take over what another experiment found."""
        self.tables += other.tables
        self.gates += other.gates
        self.skipped += other.skipped


def as_json(report: Report) -> bytes:
    """One JSON object; NaN becomes null."""
    gates = [{**msgspec.to_builtins(gate), "passed": gate.passed} for gate in report.gates]
    tree = {
        "passed": report.passed,
        "gates": gates,
        "tables": msgspec.to_builtins(report.tables),
        "skipped": report.skipped,
    }
    return msgspec.json.encode(tree)


def as_text(report: Report) -> str:
    """Tables under their titles, then every gate with its limit and its figure."""
    blocks = [_table(table) for table in report.tables]
    if report.gates:
        width = max(len(gate.name) for gate in report.gates)
        lines = [
            f"{'ok  ' if gate.passed else 'FAIL'}  {gate.name:<{width}}  "
            f"{_cell(gate.figure):>9}  {gate.relation} {gate.limit:g}"
            for gate in report.gates
        ]
        failed = sum(not gate.passed for gate in report.gates)
        lines.append(f"{len(report.gates)} gates, {failed} failed")
        blocks.append("\n".join(lines))
    blocks.extend(f"skipped: {line}" for line in report.skipped)
    return "\n\n".join(blocks) + "\n"


def _table(table: Table) -> str:
    cells = [list(table.columns), *([_cell(cell) for cell in row] for row in table.rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    lines = [table.title, "-" * len(table.title)]
    lines.extend(_line(row, widths) for row in cells)
    if table.note:
        lines.append(table.note)
    return "\n".join(lines)


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    # Names to the left, figures to the right.
    return "  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in pairs).rstrip()


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case float():
            return "-" if isnan(cell) else f"{cell:.3f}"
        case _:
            return str(cell)
