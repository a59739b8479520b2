"""Surface: volatility by constant tenor and delta, its skew, its legs, and the open interest.

Single expiries and strikes are on the live page: as labels they would be without bound.
"""

from boards.board import Board
from boards.kit import PLAIN, POINTS, SECONDS, SHARE, Query, bars, lines, matrix
from boards.overview import marks
from boards.queries import ASSET, TENOR, newest

BUCKETS = ("10p", "25p", "atm", "25c", "10c")
"""Puts and calls at 10 and 25 delta, and the money."""


def build() -> Board:
    """The dashboard of the smile."""
    board = Board(
        "volgauge-surface",
        "volgauge / Surface",
        "Implied volatility by constant tenor and delta; the live page has expiries and strikes.",
    )
    board.choices(has_tenor=True)
    marks(board)
    board.row("Now")
    _now(board)
    board.row("Over time")
    _history(board)
    board.row("Skew")
    _skew(board)
    board.row("Legs of the headline index")
    _legs(board)
    board.row("Open interest and volume")
    _interest(board)
    return board


def _now(board: Board) -> None:
    cells = newest("tenor, bucket", "volgauge_tenor_iv_points", ASSET)
    board.add(
        24,
        8,
        matrix(
            "$asset by tenor and delta",
            "Implied volatility in points. Columns from the 10-delta put over the money to the "
            "10-delta call; colours from low to high.",
            POINTS,
            Query(cells, "", instant=True),
            row="tenor",
            column="bucket",
            order=BUCKETS,
            decimals=1,
            repeat=2,
        ),
    )
    money = newest("tenor", "volgauge_tenor_iv_points", ASSET, 'bucket="atm"')
    board.add(
        24,
        8,
        bars(
            "$asset at the money",
            "Implied volatility at the forward by constant tenor, in points.",
            POINTS,
            Query(money, "{{tenor}}", instant=True),
            decimals=1,
            repeat=4,
        ),
    )


def _history(board: Board) -> None:
    board.add(
        24,
        9,
        lines(
            "$asset $tenor by delta",
            "The smile at one constant tenor: 10p and 25p are puts, 25c and 10c calls.",
            POINTS,
            Query(newest("bucket", "volgauge_tenor_iv_points", ASSET, TENOR), "{{bucket}}"),
            decimals=2,
            repeat=2,
        ),
    )
    board.add(
        24,
        9,
        lines(
            "$asset at the money by tenor",
            "Implied volatility at the forward, in points.",
            POINTS,
            Query(newest("tenor", "volgauge_tenor_iv_points", ASSET, 'bucket="atm"'), "{{tenor}}"),
            decimals=2,
            repeat=2,
        ),
    )


def _skew(board: Board) -> None:
    for name, title, text in (
        (
            "volgauge_risk_reversal_points",
            "25-delta risk reversal by tenor",
            "Volatility of the call less that of the put. Negative: puts cost more.",
        ),
        (
            "volgauge_butterfly_points",
            "25-delta butterfly by tenor",
            "Mean volatility of call and put less that at the money.",
        ),
    ):
        board.lines(
            12,
            title,
            text,
            POINTS,
            Query(newest("asset, tenor", name, ASSET, 'delta="25"'), "{{asset}} {{tenor}}"),
            decimals=2,
        )
    for name, title, text, unit in (
        (
            "volgauge_skewness_ratio",
            "Skewness, $tenor",
            "Risk-neutral skewness of the log return to the tenor.",
            PLAIN,
        ),
        (
            "volgauge_kurtosis_ratio",
            "Kurtosis, $tenor",
            "Risk-neutral kurtosis of the log return to the tenor; 3 is a normal distribution.",
            PLAIN,
        ),
        (
            "volgauge_coin_skew_points",
            "Coin less dollar index, $tenor",
            "The index measured in the coin less the index: positive where calls cost more.",
            POINTS,
        ),
    ):
        query = Query(newest("asset", name, ASSET, TENOR), "{{asset}}")
        board.add(8, 8, lines(title, text, unit, query, decimals=2))


def _legs(board: Board) -> None:
    board.lines(
        8,
        "Weight of near and next",
        "Share of the nearer and the farther expiries in the headline index.",
        SHARE,
        Query(newest("asset, leg", "volgauge_leg_weight_ratio", ASSET), "{{asset}} {{leg}}"),
        limits=(0, 1),
    )
    board.lines(
        8,
        "Time to near and next",
        "Until the nearer and the farther expiries of the headline index; a step is a roll.",
        SECONDS,
        Query(newest("asset, leg", "volgauge_leg_seconds", ASSET), "{{asset}} {{leg}}"),
    )
    board.lines(
        8,
        "Strikes in use",
        "Strikes that the headline index rests on.",
        PLAIN,
        Query(newest("asset", "volgauge_index_strikes", ASSET), "{{asset}}"),
        limits=(0, None),
    )


def _interest(board: Board) -> None:
    board.lines(
        12,
        "Volatility by open interest",
        "Implied volatility weighted by open interest, by its vega, and by the volume of 24 "
        "hours: where the positions are, not where the index looks.",
        POINTS,
        Query(
            newest("asset, weighting", "volgauge_interest_iv_points", ASSET),
            "{{asset}} {{weighting}}",
        ),
        decimals=2,
    )
    board.lines(
        6,
        "Puts over calls",
        "By open interest and by the volume of 24 hours.",
        PLAIN,
        Query(newest("asset, by", "volgauge_put_call_ratio", ASSET), "{{asset}} {{by}}"),
        decimals=2,
        steps=((None, "transparent"), (1, "text")),
    )
    board.lines(
        6,
        "Open interest",
        "Inside the limits of delta and time, in coins; the scale is logarithmic.",
        "short",
        Query(newest("asset", "volgauge_open_interest_coins", ASSET), "{{asset}}"),
        logarithmic=True,
    )
