"""What a benchmark found: figures for people, gates for the exit code."""

from typing import Literal

from msgspec import Struct

QUICK_SLACK = 2.0
"""`--quick` takes few rounds on a machine that may be busy, so its gates are this much wider."""


class Options(Struct, frozen=True):
    """How much work to do."""

    quick: bool = False
    rounds: int = 25
    full: bool = False
    """Ten minutes for the memory."""


class Row(Struct, frozen=True):
    """One measured figure."""

    name: str
    value: float
    unit: str
    note: str = ""


class Gate(Struct, frozen=True):
    """A figure that must hold."""

    name: str
    value: float
    kind: Literal["at least", "at most"]
    limit: float

    @property
    def passed(self) -> bool:
        """NaN never passes."""
        if self.kind == "at least":
            return self.value >= self.limit
        return self.value <= self.limit


class Report(Struct):
    """Everything one benchmark has to say."""

    bench: str
    about: str
    rows: list[Row] = []
    gates: list[Gate] = []
    skipped: list[str] = []
    """What could not be measured, with the reason."""

    def add(self, name: str, value: float, unit: str, note: str = "") -> None:
        """Note a figure."""
        self.rows.append(Row(name, float(value), unit, note))  # a numpy scalar has no JSON

    def gate(
        self,
        name: str,
        value: float,
        kind: Literal["at least", "at most"],
        limit: float,
        *,
        quick: bool = False,
        hard: bool = False,
    ) -> None:
        """Note a figure that must hold; a `hard` one holds in a quick run to the letter too."""
        if quick and not hard:
            limit = limit / QUICK_SLACK if kind == "at least" else limit * QUICK_SLACK
        self.gates.append(Gate(name, float(value), kind, limit))

    def skip(self, reason: str) -> None:
        """Note what was not measured."""
        self.skipped.append(reason)

    def table(self) -> str:
        """The report as aligned text."""
        lines = [f"== {self.bench}: {self.about}"]
        width = max([len(row.name) for row in self.rows] + [len(g.name) for g in self.gates] + [0])
        for row in self.rows:
            note = f"  {row.note}" if row.note else ""
            lines.append(
                f"     {row.name:<{width}}  {format_number(row.value):>10} {row.unit}{note}"
            )
        for gate in self.gates:
            word = "ok  " if gate.passed else "FAIL"
            lines.append(
                f"{word} {gate.name:<{width}}  {format_number(gate.value):>10} "
                f"{gate.kind} {format_number(gate.limit)}"
            )
        lines += [f"SKIP {reason}" for reason in self.skipped]
        return "\n".join(lines)


def format_number(value: float) -> str:
    """Four significant digits, thousands separated."""
    if value != value:  # noqa: PLR0124 - NaN
        return "nan"
    if value == 0.0 or 0.001 <= abs(value) < 1_000_000_000.0:
        digits = max(0, 4 - len(str(int(abs(value))))) if abs(value) >= 1.0 else 4
        return f"{value:,.{digits}f}"
    return f"{value:.2e}"
