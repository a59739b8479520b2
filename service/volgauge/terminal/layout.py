"""A board as a picture of the terminal's size, or as one line a row for what is no terminal.

Doubt is told by word and by colour, never by colour alone: a terminal may have none.
"""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from volgauge.domain.analytics import AlertEvent, Edge, PairCoupling, Severity
from volgauge.domain.units import NANOS_PER_SECOND, format_instant
from volgauge.terminal.board import SILENT, Board, Link, LinkState, Row

WIDE = 140
"""Columns from which all readings of an asset stand in one line."""
LATE_SECONDS = 2.0
OLD_SECONDS = 5.0
"""An age is shown as a warning, and as an error, from here; the second is the index's own limit."""
MAX_PAIRS = 6
MAX_ALERTS = 8
NONE = "\N{EN DASH}"
_BARS = "▁▂▃▄▅▆▇█"
_STATUS = {
    "OK": ("●", "bold green"),
    "SINGLE_VENUE": ("●", "green"),
    "DEGRADED": ("◐", "yellow"),
    "WARMING": ("○", "cyan"),
    "GUARD": ("▲", "bold black on yellow"),
    "STALE": ("■", "bold white on red"),
    "HALTED": ("■", "bold white on red"),
    SILENT: ("■", "bold white on red"),
}
_SEVERITY = {Severity.INFO: "cyan", Severity.WARNING: "yellow", Severity.CRITICAL: "bold red"}
_VENUE = {"in": "green", "out": "bold red", "down": "bold red", "warming": "cyan"}


def draw(board: Board, source: str, now_ns: int, width: int, height: int) -> RenderableType:
    """The whole picture.

    Args:
        board: What to show.
        source: Where it comes from.
        now_ns: The publisher's time.
        width: Columns of the terminal.
        height: Its lines; what does not fit is the oldest alerts and the least coupled pairs.
    """
    rows = board.rows(now_ns)
    is_wide = width >= WIDE
    parts: list[RenderableType] = [_header(board, source, rows, now_ns, width), Text()]
    if rows:
        parts += [_wide(rows)] if is_wide else [_levels(rows), Text(), _readings(rows)]
    else:
        parts.append(Text("  waiting for the first record", style="dim italic"))
    left = height - 4 - (len(rows) + 2 if is_wide else 3 * len(rows) + 5)
    pairs = board.pairs()[: max(0, min(MAX_PAIRS, left - 4))]
    if pairs:
        parts += [Text(), _coupling(board, pairs)]
        left -= len(pairs) + 2
    alerts = list(board.alerts)[: max(1, min(MAX_ALERTS, left - 2))]
    parts += [Text(), _alerts(alerts, now_ns)]
    return Padding(Group(*parts), (0, 1))


def line(row: Row) -> str:
    """One row as plain text, words always in the same order."""
    venues = " ".join(
        f"{one.book}={one.weight:.0%}" if one.state == "in" else f"{one.book}={one.state}"
        for one in row.venues
    )
    parts = [
        format_instant(row.at_ns // NANOS_PER_SECOND * NANOS_PER_SECOND),
        row.asset,
        row.tenor,
        points(row.value),
        f"change {_change(row)}",
        f"band {_band(row)}",
        row.status,
        f"age {duration(row.age_seconds)}",
        f"rr25 {signed(row.risk_reversal_25)}",
        f"realized {points(row.realized)}",
        f"premium {signed(row.premium)}",
        f"venues {venues or NONE}",
    ]
    if row.reason is not None:
        parts.append(f"reason {row.reason}")
    if row.flags:
        parts.append(f"flags {','.join(row.flags)}")
    # A script's locale may know ASCII only.
    return printable("  ".join(parts)).replace(NONE, "-")


def sparkline(values: list[float | None]) -> str:
    """A bar a value between the least and the largest of them; a dot where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return "·" * len(values)
    low, high = min(known), max(known)
    step = (high - low) / (len(_BARS) - 1)
    return "".join(
        "·"
        if value is None
        else _BARS[round((value - low) / step) if step > 0.0 else len(_BARS) // 2]
        for value in values
    )


def points(value: float | None) -> str:
    """Volatility points with two decimals."""
    return NONE if value is None else f"{value:.2f}"


def signed(value: float | None) -> str:
    """The same with its sign; never a minus before nought."""
    return NONE if value is None else f"{value:+.2f}".replace("-0.00", "+0.00")


def duration(seconds: float) -> str:
    """An age in the unit that suits it: `0.4 s`, `12 s`, `3 m`, `5 h`, `2 d`."""
    if seconds < 10.0:
        return f"{seconds:.1f} s"
    for limit, size, unit in ((120.0, 1.0, "s"), (7_200.0, 60.0, "m"), (172_800.0, 3_600.0, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400.0:.0f} d"


def printable(text: str) -> str:
    """Without control characters: what others wrote must not steer the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _header(board: Board, source: str, rows: list[Row], now_ns: int, width: int) -> RenderableType:
    head = Table.grid(expand=True)
    head.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    head.add_column(no_wrap=True, justify="right")
    title = Text.assemble(("volgauge", "bold"), "  ", (source, "dim"))
    kinds = sorted({row.source for row in rows} - {"live"})
    if kinds:
        title.append(f"  {' '.join(kinds)}", style="magenta")
    if board.refused_count:
        title.append(f"  {board.refused_count} records not understood", style="yellow")
    instant = format_instant(now_ns // NANOS_PER_SECOND * NANOS_PER_SECOND)
    head.add_row(title, Text(instant.replace("T", " ").replace("Z", " UTC"), style="dim"))
    head.add_row(_link(board.link, now_ns - board.skew_ns, width), Text())
    return head


def _link(link: Link, now_ns: int, width: int) -> Text:
    if link.state is LinkState.UP:
        again = f", {link.lost_count} times lost" if link.lost_count else ""
        return Text.assemble(("● connected", "green"), (again, "yellow"))
    if link.state is LinkState.CONNECTING:
        return Text("○ connecting", style="cyan")
    since = duration((now_ns - link.since_ns) / NANOS_PER_SECOND)
    text = f" ■ NOT CONNECTED for {since}, trying again: {printable(link.error)} "
    shown = Text(text, style="bold white on red", no_wrap=True)
    shown.truncate(width - 2, overflow="ellipsis")
    return shown


def _table(*columns: tuple[str, str]) -> Table:
    """Columns of (title, justification)."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for title, side in columns:
        table.add_column(
            title, justify="right" if side == "right" else "left", no_wrap=side != "wrap"
        )
    return table


_LEVEL_COLUMNS = (
    ("", "left"), ("INDEX", "right"), ("CHANGE", "right"), ("BAND", "left"),
    ("STATUS", "left"), ("AGE", "right"), ("TERM", "left"),
)  # fmt: skip
_READING_COLUMNS = (
    ("RR 25Δ", "right"), ("REALISED", "right"), ("PREMIUM", "right"), ("VENUES", "wrap"),
)  # fmt: skip


def _levels(rows: list[Row]) -> Table:
    table = _table(*_LEVEL_COLUMNS)
    for row in rows:
        table.add_row(*_level_cells(row))
    return table


def _readings(rows: list[Row]) -> Table:
    table = _table(("", "left"), *_READING_COLUMNS)
    for row in rows:
        table.add_row(Text(row.asset, style="bold"), *_reading_cells(row))
    return table


def _wide(rows: list[Row]) -> Table:
    table = _table(*_LEVEL_COLUMNS, *_READING_COLUMNS)
    for row in rows:
        table.add_row(*_level_cells(row), *_reading_cells(row))
    return table


def _level_cells(row: Row) -> list[Text]:
    # What is not of now must not look like a price.
    doubt = "" if row.is_current else "dim strike"
    sign = "" if row.change is None or not row.is_current else _side(row.change)
    mark, style = _STATUS[row.status]
    known = [value for value in row.term.values() if value is not None]
    term = Text(sparkline(list(row.term.values())), style="cyan")
    if known:
        ends = (f"{value:.0f}" for value in (known[0], known[-1]))
        term = Text.assemble((f"{next(ends)} ", "dim"), term, (f" {next(ends)}", "dim"))
    return [
        Text(row.asset, style="bold"),
        Text(points(row.value), style=doubt or "bold"),
        Text(_change(row), style=doubt or sign),
        Text(_band(row), style=doubt or "dim"),
        Text(f"{mark} {row.status}", style=style),
        Text(duration(row.age_seconds), style=_age_style(row.age_seconds)),
        term,
    ]


def _reading_cells(row: Row) -> list[Text]:
    venues = Text()
    for one in row.venues:
        style = _VENUE.get(one.state, "yellow")
        venues.append(" " if venues else "")
        told = f"{one.weight:.0%}" if one.state == "in" else one.state.upper()
        # A book and its share stay together when the line is broken.
        venues.append(f"{printable(one.book)}\N{NO-BREAK SPACE}{told}", style=style)
    if row.reason is not None:
        venues.append(f" ({row.reason})", style="yellow")
    elif row.flags:
        venues.append(f" ({printable(', '.join(row.flags))})", style="yellow")
    return [
        Text(signed(row.risk_reversal_25), style=_side(row.risk_reversal_25)),
        Text(points(row.realized)),
        Text(signed(row.premium), style=_side(row.premium)),
        venues,
    ]


def _coupling(board: Board, pairs: list[PairCoupling]) -> RenderableType:
    table = _table(
        ("COUPLING", "left"),
        ("\N{GREEK SMALL LETTER RHO} 1 H", "right"),
        ("Z", "right"),
        ("LEAD", "left"),
    )
    for pair in pairs:
        name = Text(f"{pair.first}{NONE}{pair.second}", style="bold")
        if pair.decoupled:
            name.append(" DECOUPLED", style="bold black on yellow")
        table.add_row(
            name,
            Text(signed(pair.correlations.get("1h"))),
            Text(signed(pair.spread_z), style="yellow" if pair.decoupled else ""),
            Text(_lead(pair), style="dim"),
        )
    coupling = board.coupling
    facts = []
    if coupling is not None and coupling.systemic is not None:
        facts.append(f"systemic {coupling.systemic:.0%}")
    if coupling is not None and coupling.spillover is not None:
        total = coupling.spillover.total
        facts.append(f"spillover {NONE if total is None else f'{total:.0f} %'}")
    return Group(table, Text(", ".join(facts), style="dim")) if facts else table


def _lead(pair: PairCoupling) -> str:
    if pair.lead_seconds is None:
        return NONE
    if pair.lead_seconds == 0.0:
        return "together"
    leader = pair.first if pair.lead_seconds > 0.0 else pair.second
    return f"{leader} leads by {abs(pair.lead_seconds):g} s"


def _alerts(alerts: list[AlertEvent], now_ns: int) -> RenderableType:
    table = _table(("ALERTS", "right"), ("", "left"), ("", "wrap"))
    for event in alerts:
        is_over = event.edge is Edge.CLEARED
        ago = duration(max(0.0, (now_ns - event.computed_ns) / NANOS_PER_SECOND))
        table.add_row(
            Text(f"{ago} ago", style="dim"),
            Text(event.edge.value, style="dim" if is_over else _SEVERITY[event.severity]),
            Text(printable(event.message), style="dim" if is_over else ""),
        )
    if not alerts:
        table.add_row(Text("none", style="dim"), "", "")
    return table


def _change(row: Row) -> str:
    if row.change is None or row.change_seconds is None:
        return NONE
    return f"{signed(row.change)} {duration(row.change_seconds).replace(' ', '')}"


def _band(row: Row) -> str:
    return NONE if row.bid is None or row.ask is None else f"{row.bid:.2f}{NONE}{row.ask:.2f}"


def _side(value: float | None) -> str:
    # By what is shown: +0.00 is not red.
    return "" if value is None else "green" if round(value, 2) >= 0.0 else "red"


def _age_style(seconds: float) -> str:
    if seconds < LATE_SECONDS:
        return "dim"
    return "yellow" if seconds < OLD_SECONDS else "bold white on red"
