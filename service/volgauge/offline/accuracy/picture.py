"""One SVG: ours, the exchange's index and the volatility at the money over the recorded chains."""

from collections.abc import Callable, Iterator, Sequence
from html import escape
from math import ceil, floor, isfinite

from volgauge.domain.units import NANOS_PER_DAY, format_instant
from volgauge.offline.accuracy.history import Found

WIDTH = 960
PANEL_HEIGHT = 250
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 52, 16, 34, 30
LONGEST_GAP_NS = 3 * NANOS_PER_DAY
"""A longer silence begins a new panel."""

_LINES: tuple[tuple[str, str, Callable[[Found], float]], ...] = (
    ("volgauge", "#1f5fbf", lambda f: f.value),
    ("DVOL", "#d9730d", lambda f: f.snapshot.dvol),
    ("at the money", "#7a7a7a", lambda f: f.atm),
)


def draw(found: Sequence[Found]) -> str:
    """A panel for each currency and each unbroken stretch of chains; y in volatility points."""
    stretches = list(_stretches(found))
    height = PANEL_HEIGHT * len(stretches)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        '<g font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, stretch in enumerate(stretches):
        parts += _panel(stretch, number * PANEL_HEIGHT)
    parts.append("</g></svg>")
    return "\n".join(parts) + "\n"


def _stretches(found: Sequence[Found]) -> Iterator[list[Found]]:
    """Chains of one currency with the index known, in order, cut at silences."""
    ordered = sorted(
        (f for f in found if isfinite(f.snapshot.dvol)),
        key=lambda f: (f.snapshot.currency, f.snapshot.at_ns),
    )
    stretch: list[Found] = []
    for f in ordered:
        if stretch and (
            stretch[-1].snapshot.currency != f.snapshot.currency
            or f.snapshot.at_ns - stretch[-1].snapshot.at_ns > LONGEST_GAP_NS
        ):
            yield stretch
            stretch = []
        stretch.append(f)
    if stretch:
        yield stretch


def _panel(stretch: Sequence[Found], top: int) -> list[str]:
    levels = [get(f) for f in stretch for _, _, get in _LINES if isfinite(get(f))]
    step = 5
    low, high = step * floor(min(levels) / step), step * ceil(max(levels) / step)
    first, last = stretch[0].snapshot.at_ns, stretch[-1].snapshot.at_ns
    bottom = top + PANEL_HEIGHT - MARGIN_BOTTOM

    def x(at_ns: int) -> float:
        share = (at_ns - first) / max(last - first, 1)
        return MARGIN_LEFT + share * (WIDTH - MARGIN_LEFT - MARGIN_RIGHT)

    def y(level: float) -> float:
        return bottom - (level - low) / (high - low) * (bottom - top - MARGIN_TOP)

    parts = [
        f'<path d="M{MARGIN_LEFT} {y(level):.1f}H{WIDTH - MARGIN_RIGHT}" stroke="#e4e4e4"/>'
        f'<text x="{MARGIN_LEFT - 8}" y="{y(level) + 4:.1f}" text-anchor="end">{level}</text>'
        for level in range(low, high + 1, step)
    ]
    day = -(-first // NANOS_PER_DAY) * NANOS_PER_DAY
    while day <= last:
        label = format_instant(day)[5:10]
        parts.append(
            f'<text x="{x(day):.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>'
        )
        day += 3 * NANOS_PER_DAY
    for name, colour, get in _LINES:
        points = [(x(f.snapshot.at_ns), y(get(f))) for f in stretch if isfinite(get(f))]
        path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
        parts.append(
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.4">'
            f"<title>{escape(name)}</title></path>"
        )
    parts.append(_legend(stretch, top))
    return parts


def _legend(stretch: Sequence[Found], top: int) -> str:
    day = format_instant(stretch[0].snapshot.at_ns)[:10]
    currency = escape(stretch[0].snapshot.currency)
    title = f"{currency}, 30 days, volatility points, from {day}"
    parts = [f'<text x="{MARGIN_LEFT}" y="{top + 20}" font-weight="bold">{title}</text>']
    place = WIDTH - MARGIN_RIGHT - 110 * len(_LINES)
    for name, colour, _ in _LINES:
        parts.append(
            f'<path d="M{place} {top + 16}h22" stroke="{colour}" stroke-width="2.4"/>'
            f'<text x="{place + 28}" y="{top + 20}">{escape(name)}</text>'
        )
        place += 110
    return "".join(parts)
