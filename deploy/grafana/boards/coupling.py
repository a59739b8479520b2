"""Coupling and scaling: how the indices move together, in which regime, and what to hold."""

from boards.board import Board
from boards.kit import (
    PLAIN,
    POINTS,
    SECONDS,
    SHARE,
    Override,
    Query,
    Words,
    bars,
    lines,
    states,
    tiles,
)
from boards.overview import marks
from boards.queries import ASSET, PAIR, coded, increase, newest

ABSOLUTE: Words = (
    ("dried_up", "blue"),
    ("quiet", "light-blue"),
    ("healthy", "green"),
    ("mania", "orange"),
    ("extreme", "red"),
)
ADAPTIVE: Words = (
    ("very_low", "blue"),
    ("low", "light-blue"),
    ("normal", "green"),
    ("high", "orange"),
    ("very_high", "red"),
)
COUPLED: Words = (("coupled", "green"), ("decoupled", "red"))
QUIET_RAISED: Words = (("cleared", "green"), ("raised", "red"))


def build() -> Board:
    """The dashboard of what follows from the indices."""
    board = Board(
        "volgauge-coupling",
        "volgauge / Coupling & scaling",
        "How the indices move together and spill over, their regimes, and position scaling.",
    )
    board.choices(has_tenor=False)
    marks(board)
    board.row("Now")
    _now(board)
    board.row("Coupling of pairs")
    _pairs(board)
    board.row("Spillover")
    _spillover(board)
    board.row("Level and regime")
    _level(board)
    board.row("Scaling of positions")
    _scaling(board)
    board.row("Alerts of the analytics")
    _alerts(board)
    return board


def _now(board: Board) -> None:
    board.add(
        4,
        6,
        tiles(
            "Moving as one",
            "How far all indices move as one: 0 not at all, 1 entirely.",
            SHARE,
            Query(newest("job", "volgauge_systemic_coupling_ratio"), ""),
            decimals=0,
            shows="trend",
        ),
    )
    board.add(
        4,
        6,
        tiles(
            "Total spillover",
            "Share of the forecast variance of the indices that comes from other assets' shocks.",
            SHARE,
            Query(newest("job", "volgauge_spillover_total_ratio"), ""),
            decimals=0,
            shows="trend",
        ),
    )
    board.add(
        8,
        6,
        bars(
            "Correlation of pairs, half-life of a day",
            "Of the changes of two indices.",
            PLAIN,
            Query(
                newest("pair", "volgauge_coupling_correlation_ratio", PAIR, 'half_life="1d"'),
                "{{pair}}",
                instant=True,
            ),
            decimals=2,
        ),
    )
    board.add(
        4,
        6,
        tiles(
            "Margin multiplier",
            "What margins should be multiplied by now.",
            PLAIN,
            Query(newest("asset", "volgauge_margin_multiplier_ratio", ASSET), "{{asset}}"),
            decimals=2,
            steps=((None, "green"), (1.5, "orange"), (2.5, "red")),
        ),
    )
    board.add(
        4,
        6,
        tiles(
            "Exposure to a target",
            "Multiple of the capital that keeps a position at the volatility target.",
            PLAIN,
            Query(
                newest("asset", "volgauge_scaling_exposure_ratio", ASSET, 'form="target"'),
                "{{asset}}",
            ),
            decimals=2,
        ),
    )


def _pairs(board: Board) -> None:
    board.add(
        12,
        9,
        lines(
            "Correlation of changes",
            "Exponentially weighted, by half-life, of the indices' changes.",
            PLAIN,
            Query(
                newest("pair, half_life", "volgauge_coupling_correlation_ratio", PAIR),
                "{{pair}} {{half_life}}",
            ),
            decimals=2,
            limits=(-1, 1),
        ),
    )
    board.add(
        12,
        9,
        lines(
            "Spread in standard deviations",
            "Residual of one index on the other from its mean. A pair is decoupled above 2.5 and "
            "coupled again below 1.5.",
            PLAIN,
            Query(newest("pair", "volgauge_coupling_spread_z_ratio", PAIR), "{{pair}}"),
            decimals=2,
            steps=((None, "red"), (-2.5, "transparent"), (2.5, "red")),
        ),
    )
    board.lines(
        8,
        "Beta",
        "Of the second index's changes on the first's.",
        PLAIN,
        Query(newest("pair", "volgauge_coupling_beta_ratio", PAIR), "{{pair}}"),
        decimals=2,
    )
    board.lines(
        8,
        "Lead of the first",
        "Lag at which two indices correlate best, positive where the first leads; absent "
        "while no lag stands out.",
        SECONDS,
        Query(newest("pair", "volgauge_coupling_lead_seconds", PAIR), "{{pair}}"),
    )
    board.add(
        8,
        8,
        states(
            "Decoupled",
            "Pairs whose spread left its usual range.",
            COUPLED,
            Query(newest("pair", "volgauge_decoupled", PAIR), "{{pair}}"),
        ),
    )


def _spillover(board: Board) -> None:
    board.lines(
        12,
        "Total spillover, and moving as one",
        "Forecast variance from other assets' shocks (Diebold and Yilmaz), and the share of "
        "the common movement.",
        SHARE,
        Query(newest("job", "volgauge_spillover_total_ratio"), "spillover"),
        Query(newest("job", "volgauge_systemic_coupling_ratio"), "as one"),
        limits=(0, 1),
    )
    board.lines(
        12,
        "Net spillover",
        "Given less received. Above zero the asset moves the others.",
        SHARE,
        Query(newest("asset", "volgauge_spillover_net_ratio", ASSET), "{{asset}}"),
        steps=((None, "transparent"), (0, "text")),
    )


def _level(board: Board) -> None:
    for scheme, words, text in (
        ("absolute", ABSOLUTE, "Bands at fixed points: 60, 80, 110 and 150 unless configured."),
        ("adaptive", ADAPTIVE, "Bands at percentiles of the last 365 days: 10, 40, 75 and 95."),
    ):
        names = tuple(name for name, _ in words)
        code = coded("asset", "volgauge_regime", "band", names, ASSET, f'scheme="{scheme}"')
        board.add(12, 6, states(f"Regime, {scheme}", text, words, Query(code, "{{asset}}")))
    board.lines(
        12,
        "Rank and percentile",
        "Place of the index in the range of 365 days, and the share of the days' closes below it.",
        SHARE,
        Query(newest("asset", "volgauge_iv_rank_ratio", ASSET), "{{asset}} rank"),
        Query(newest("asset", "volgauge_iv_percentile_ratio", ASSET), "{{asset}} percentile"),
        limits=(0, 1),
    )
    board.lines(
        6,
        "Volatility of the index",
        "Annualised volatility of the logarithm of the index.",
        POINTS,
        Query(newest("asset", "volgauge_vol_of_vol_points", ASSET), "{{asset}}"),
        decimals=0,
    )
    board.lines(
        6,
        "Jumps",
        "Share of jumps in the realised variance of 24 hours.",
        SHARE,
        Query(newest("asset", "volgauge_realized_jump_ratio", ASSET), "{{asset}}"),
        limits=(0, None),
    )


def _scaling(board: Board) -> None:
    board.lines(
        12,
        "Exposure",
        "Multiples of the capital: to a volatility target, by inverse variance, and by a risk "
        "budget. For information, not advice.",
        PLAIN,
        Query(
            newest("asset, form", "volgauge_scaling_exposure_ratio", ASSET),
            "{{asset}} {{form}}",
        ),
        decimals=2,
        limits=(0, None),
    )
    board.lines(
        12,
        "Throttles",
        "Factors by which thin depth, one-sided flow and leverage cut the exposure; 1 is no cut.",
        SHARE,
        Query(
            newest("asset, kind", "volgauge_scaling_throttle_ratio", ASSET),
            "{{asset}} {{kind}}",
        ),
        limits=(0, 1),
    )
    for name, title, text, unit, decimals in (
        (
            "volgauge_margin_multiplier_ratio",
            "Margin multiplier",
            "What margins should be multiplied by; held between a floor and a cap.",
            PLAIN,
            2,
        ),
        (
            "volgauge_flow_imbalance_ratio",
            "Order-flow imbalance",
            "Vega-weighted, of the last minute: -1 all sellers, 1 all buyers of volatility.",
            PLAIN,
            2,
        ),
        (
            "volgauge_funding_spread_ratio",
            "Funding spread",
            "Largest less smallest funding rate of the venues' perpetuals, per 8 hours.",
            SHARE,
            4,
        ),
    ):
        query = Query(newest("asset", name, ASSET), "{{asset}}")
        board.add(8, 8, lines(title, text, unit, query, decimals=decimals))


def _alerts(board: Board) -> None:
    board.add(
        12,
        9,
        states(
            "Alerts",
            "Each alert of the analytics that was ever raised since the start, by subject.",
            QUIET_RAISED,
            Query(newest("rule, subject", "volgauge_alert_active"), "{{rule}} {{subject}}"),
        ),
    )
    board.add(
        6,
        9,
        lines(
            "Alert events",
            "Raised and cleared, by rule.",
            PLAIN,
            Query(increase("rule, edge", "volgauge_alerts_total"), "{{rule}} {{edge}}"),
            decimals=0,
            overrides=(Override("/./", {"custom.drawStyle": "bars", "custom.fillOpacity": 60}),),
        ),
    )
    board.add(
        6,
        9,
        lines(
            "Webhook",
            "Alerts handed to the webhook, by outcome; without one there is no line.",
            PLAIN,
            Query(increase("outcome", "volgauge_webhook_deliveries_total"), "{{outcome}}"),
            decimals=0,
        ),
    )
