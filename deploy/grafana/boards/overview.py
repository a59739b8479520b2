"""Overview: what the index says, how far it can be trusted, and what stands beside it."""

from boards.board import Board
from boards.kit import (
    NO_YES,
    PLAIN,
    POINTS,
    SECONDS,
    SHARE,
    STATUS,
    Override,
    Query,
    bars,
    lines,
    states,
    tiles,
)
from boards.queries import ASSET, TENOR, age, coded, increase, newest

STATUS_NAMES = tuple(name for name, _ in STATUS)
STATUS_NOW = coded("asset", "volgauge_index_status", "status", STATUS_NAMES, ASSET)
SUBJECT = 'subject=~".*$asset.*"'
HEADLINE = 'tenor="30d"'


def build() -> Board:
    """The dashboard that opens first."""
    board = Board(
        "volgauge-overview",
        "volgauge / Overview",
        "Implied-volatility indices of crypto options: value, trust, term, skew, premium.",
    )
    board.choices(has_tenor=True)
    marks(board)
    board.row("Now")
    _now(board)
    board.row("Index")
    _index(board)
    board.row("Against the venues")
    _venues(board)
    board.row("Term structure")
    _term(board)
    board.row("Skew")
    _skew(board)
    board.row("Implied less realised")
    _premium(board)
    board.row("Weights")
    _weights(board)
    return board


def marks(board: Board) -> None:
    """What every dashboard of values marks: loss of trust, and the alerts of the analytics."""
    doubtful = 'status=~"GUARD|STALE|HALTED"'
    board.mark(
        "Status",
        "red",
        f"{newest('asset, status', 'volgauge_index_status', ASSET, doubtful)} == 1",
        "{{asset}} {{status}}",
        "asset,status",
    )
    board.mark(
        "Analytics alerts",
        "orange",
        f"{newest('rule, subject', 'volgauge_alert_active', SUBJECT)} == 1",
        "{{rule}} {{subject}}",
        "rule,subject",
    )


def _now(board: Board) -> None:
    board.add(
        10,
        6,
        tiles(
            "Index $tenor",
            "Newest value in volatility points (52.3 is 52.3 percent a year) and its change over "
            "the time shown. No data: it cannot be computed.",
            POINTS,
            Query(newest("asset", "volgauge_index_points", ASSET, TENOR), "{{asset}}"),
            decimals=2,
            shows="trend",
        ),
    )
    board.add(
        5,
        6,
        tiles(
            "Status",
            "How far the headline value can be trusted, as in the record. The FAQ of the README "
            "says what each word means.",
            PLAIN,
            Query(STATUS_NOW, "{{asset}}"),
            words=STATUS,
        ),
    )
    board.add(
        4,
        6,
        tiles(
            "Age of newest input",
            "Time since the receipt of the newest input that the headline value rests on. "
            "STALE comes at 5 s without a valid value, HALTED at 60 s.",
            SECONDS,
            Query(age("asset", "volgauge_index_last_update_timestamp_seconds", ASSET), "{{asset}}"),
            decimals=1,
            steps=((None, "green"), (5, "orange"), (30, "red")),
        ),
    )
    bands = (
        Override("/ very_low$/", _fixed("blue")),
        Override("/ low$/", _fixed("light-blue")),
        Override("/ high$/", _fixed("orange")),
        Override("/ very_high$/", _fixed("red")),
    )
    board.add(
        3,
        6,
        tiles(
            "Regime",
            "Band of the index in its own last 365 days, from very low to very high.",
            PLAIN,
            Query(
                newest("asset, band", "volgauge_regime", ASSET, 'scheme="adaptive"'),
                "{{asset}} {{band}}",
                instant=True,
            ),
            shows="name",
            color="green",
            overrides=bands,
        ),
    )
    board.add(
        2,
        6,
        tiles(
            "Source",
            "Where the numbers come from. Only a live source is a market; simulated and replay "
            "are not.",
            PLAIN,
            Query(
                f"{newest('source', 'volgauge_index_source_info', ASSET)} == 1",
                "{{source}}",
                instant=True,
            ),
            shows="name",
            color="purple",
            overrides=(Override("/^live$/", _fixed("green")),),
        ),
    )


def _index(board: Board) -> None:
    value, error = "volgauge_index_points", "volgauge_index_uncertainty_points"
    middle, half = (newest("asset", name, ASSET, TENOR) for name in (value, error))
    edge = {"custom.lineWidth": 0}
    board.add(
        24,
        10,
        lines(
            "$asset $tenor with its error band, bid and ask",
            "Value in volatility points, the index computed from all bids and from all asks, and "
            "the error band, shaded. A gap is a value that could not be computed.",
            POINTS,
            Query(middle, "index"),
            Query(newest("asset", "volgauge_index_bid_points", ASSET, TENOR), "bid"),
            Query(newest("asset", "volgauge_index_ask_points", ASSET, TENOR), "ask"),
            Query(f"{middle} - {half}", "low"),
            Query(f"{middle} + {half}", "high"),
            decimals=2,
            repeat=2,
            overrides=(
                Override("/^index$/", {**_fixed("text"), "custom.lineWidth": 2}),
                Override("/^bid$/", _fixed("semi-dark-green")),
                Override("/^ask$/", _fixed("semi-dark-red")),
                Override("/^low$/", {**_fixed("blue"), **edge}),
                Override(
                    "/^high$/",
                    {
                        **_fixed("blue"),
                        **edge,
                        "custom.fillBelowTo": "low",
                        "custom.fillOpacity": 18,
                    },
                ),
            ),
        ),
    )
    board.add(
        24,
        6,
        states(
            "Status over time",
            "GUARD, STALE and HALTED values are never new ones; the record says why.",
            STATUS,
            Query(STATUS_NOW, "{{asset}}"),
        ),
    )
    spread = (
        f"{newest('asset', 'volgauge_index_ask_points', ASSET, TENOR)}"
        f" - {newest('asset', 'volgauge_index_bid_points', ASSET, TENOR)}"
    )
    board.lines(
        12,
        "Width of the bands, $tenor",
        "Ask less bid of the index, and the half width of its error band.",
        POINTS,
        Query(spread, "{{asset}} ask - bid"),
        Query(half, "{{asset}} error"),
        decimals=2,
        limits=(0, None),
    )
    board.lines(
        12,
        "Quality and values held back, $tenor",
        "Quality is 0 to 1: feed health, strikes, error band, venues. Held: a jump that the "
        "guard did not let through at once.",
        SHARE,
        Query(newest("asset", "volgauge_index_quality_ratio", ASSET, TENOR), "{{asset}}"),
        Query(
            increase("asset", "volgauge_index_guard_holds_total", ASSET, TENOR),
            "{{asset}} held",
        ),
        limits=(0, 1),
        overrides=(
            Override(
                "/ held$/",
                {
                    "custom.drawStyle": "bars",
                    "custom.axisPlacement": "right",
                    "unit": PLAIN,
                    **_fixed("red"),
                },
            ),
        ),
    )


def _venues(board: Board) -> None:
    ours = Query(newest("asset", "volgauge_index_points", ASSET, HEADLINE), "index")
    bold = Override("/^index$/", {**_fixed("text"), "custom.lineWidth": 2})
    board.add(
        24,
        9,
        lines(
            "$asset: index of each venue's book alone",
            "The headline index (bold) and what each venue's option book says by itself, in "
            "volatility points.",
            POINTS,
            ours,
            Query(newest("venue", "volgauge_venue_index_points", ASSET), "{{venue}}"),
            decimals=2,
            repeat=2,
            overrides=(bold,),
        ),
    )
    both = "volgauge_venue_own_index_points"
    board.lines(
        12,
        "Ours and the venue's own index",
        "Where a venue publishes a volatility index (Deribit: DVOL, 30 days), beside ours and "
        "our computation by the exchange's strip. Never an input.",
        POINTS,
        Query(
            f"{newest('asset', 'volgauge_index_points', ASSET, HEADLINE)}"
            f" and {newest('asset', both, ASSET)}",
            "{{asset}}",
        ),
        Query(newest("asset", both, ASSET), "{{asset}} venue's own"),
        Query(
            f"{newest('asset', 'volgauge_index_strip_points', ASSET, HEADLINE)}"
            f" and {newest('asset', both, ASSET)}",
            "{{asset}} strip",
        ),
        decimals=2,
    )
    labels, legend = "venue, asset, series", "{{asset}} {{series}}"
    board.lines(
        12,
        "Difference to the venue's own index",
        "Bias (ours less theirs) and root mean square over the last hour. Series: value is "
        "the index, smoothed, strip and full its variants.",
        POINTS,
        Query(newest(labels, "volgauge_comparison_bias_points", ASSET), f"{legend} bias"),
        Query(newest(labels, "volgauge_comparison_rmse_points", ASSET), f"{legend} rmse"),
        decimals=2,
    )
    board.lines(
        8,
        "Correlation with the venue's own index",
        "Of the levels, of the one-second changes, and of the changes at the lag where it is "
        "largest; over the last hour.",
        PLAIN,
        Query(
            newest(labels, "volgauge_comparison_level_correlation_ratio", ASSET),
            f"{legend} level",
        ),
        Query(
            newest(labels, "volgauge_comparison_change_correlation_ratio", ASSET),
            f"{legend} changes",
        ),
        Query(
            newest(labels, "volgauge_comparison_lead_correlation_ratio", ASSET),
            f"{legend} at the lead",
        ),
        decimals=2,
        limits=(-1, 1),
    )
    board.lines(
        8,
        "Lead over the venue's own index",
        "Positive where our changes come first; absent until a lag stands out of the noise, "
        "after ten minutes at the earliest. Bars: seconds that were compared.",
        SECONDS,
        Query(newest(labels, "volgauge_comparison_lead_seconds", ASSET), legend),
        Query(newest("asset", "volgauge_comparison_pairs", ASSET), "{{asset}} compared"),
        overrides=(
            Override("/ compared$/", {"custom.axisPlacement": "right", "custom.drawStyle": "bars"}),
        ),
    )
    board.lines(
        8,
        "Daily fixings, $tenor",
        "Last fixing of each name, and the seconds with a valid value behind it, of 1800.",
        POINTS,
        Query(
            newest("asset, fixing", "volgauge_fixing_points", ASSET, TENOR),
            "{{asset}} {{fixing}}",
        ),
        Query(
            newest("asset, fixing", "volgauge_fixing_values", ASSET, TENOR),
            "{{asset}} {{fixing}} values",
        ),
        decimals=2,
        overrides=(Override("/ values$/", {"custom.axisPlacement": "right", "unit": PLAIN}),),
    )


def _term(board: Board) -> None:
    by_tenor = newest("tenor", "volgauge_index_points", ASSET)
    board.add(
        24,
        9,
        bars(
            "Term structure of $asset now",
            "Newest value of every constant tenor, in volatility points.",
            POINTS,
            Query(by_tenor, "{{tenor}}", instant=True),
            decimals=1,
            repeat=4,
        ),
    )
    board.add(
        24,
        9,
        lines(
            "Term structure of $asset over time",
            "Every constant tenor. Short above long is an inverted structure.",
            POINTS,
            Query(by_tenor, "{{tenor}}"),
            decimals=2,
            repeat=2,
        ),
    )
    board.lines(
        12,
        "Slope",
        "At the money at 90 days less that at 7. Shaded: the structure is inverted.",
        POINTS,
        Query(newest("asset", "volgauge_term_slope_points", ASSET), "{{asset}}"),
        Query(newest("asset", "volgauge_term_inverted", ASSET), "{{asset}} inverted"),
        decimals=2,
        overrides=(
            Override(
                "/ inverted$/",
                {
                    **_fixed("red"),
                    "custom.axisPlacement": "hidden",
                    "custom.fillOpacity": 12,
                    "custom.lineWidth": 0,
                    "max": 1,
                    "min": 0,
                    "unit": "bool_yes_no",
                },
            ),
        ),
    )
    board.lines(
        12,
        "Forward volatility",
        "Between two constant tenors, from the difference of total variances; absent where "
        "that falls.",
        POINTS,
        Query(newest("asset, leg", "volgauge_forward_vol_points", ASSET), "{{asset}} {{leg}}"),
        decimals=2,
    )


def _skew(board: Board) -> None:
    for name, title, text in (
        (
            "volgauge_risk_reversal_points",
            "Risk reversal, $tenor",
            "Volatility of the call less that of the put, by delta. Negative: puts cost more.",
        ),
        (
            "volgauge_butterfly_points",
            "Butterfly, $tenor",
            "Mean volatility of call and put at 25 and at 10 delta less that at the money.",
        ),
    ):
        board.lines(
            12,
            title,
            text,
            POINTS,
            Query(newest("asset, delta", name, ASSET, TENOR), "{{asset}} {{delta}}"),
            decimals=2,
        )


def _premium(board: Board) -> None:
    board.lines(
        12,
        "Implied less realised",
        "The index less realised volatility: ex ante against a forecast (HAR), trailing "
        "against the last 30 days, ex post the index of 30 days ago against what came.",
        POINTS,
        Query(
            newest("asset, form", "volgauge_variance_premium_points", ASSET),
            "{{asset}} {{form}}",
        ),
        decimals=2,
        steps=((None, "transparent"), (0, "text")),
    )
    board.lines(
        12,
        "Realised volatility",
        "Of the index price, by estimator; the implied index for comparison.",
        POINTS,
        Query(
            newest("asset, estimator", "volgauge_realized_points", ASSET),
            "{{asset}} {{estimator}}",
        ),
        Query(newest("asset", "volgauge_index_points", ASSET, HEADLINE), "{{asset}} implied"),
        decimals=1,
        overrides=(Override("/ implied$/", {"custom.lineWidth": 3}),),
    )


def _weights(board: Board) -> None:
    board.lines(
        24,
        "$asset: weight of each venue",
        "Share of each option book in the headline index.",
        SHARE,
        Query(newest("venue", "volgauge_venue_weight_ratio", ASSET), "{{venue}}"),
        limits=(0, 1),
        stacked=True,
        repeat=4,
    )
    board.add(
        12,
        8,
        states(
            "Venue in the index",
            "Whether the venue's option book contributes to the headline index.",
            NO_YES,
            Query(newest("venue, asset", "volgauge_venue_in", ASSET), "{{asset}} {{venue}}"),
        ),
    )
    board.lines(
        12,
        "Weight of the nearer and the farther expiries",
        "Share of the two legs of the headline index: they pass from one to the other as "
        "expiries come near.",
        SHARE,
        Query(newest("asset, leg", "volgauge_leg_weight_ratio", ASSET), "{{asset}} {{leg}}"),
        limits=(0, 1),
    )


def _fixed(color: str) -> dict[str, object]:
    return {"color": {"mode": "fixed", "fixedColor": color}}
