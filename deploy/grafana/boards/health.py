"""Health: what to look at when the number is in doubt, from the feeds to the sinks."""

from boards.board import Board
from boards.kit import (
    BYTES,
    EACH_SECOND,
    NO_YES,
    PLAIN,
    SECONDS,
    Override,
    Query,
    lines,
    listing,
    tiles,
)
from boards.queries import ASSET, TARGET, age, increase, newest, quantile, rate

FIRING = f'ALERTS{{alertstate="firing",alertname=~"Volgauge.*",{TARGET}}}'


def build() -> Board:
    """The dashboard of the one who operates it."""
    board = Board(
        "volgauge-health",
        "volgauge / Health",
        "Feeds, gaps, rejected quotes, speed, sinks, analytics, process, alerts.",
    )
    board.choices(has_tenor=False)
    board.mark(
        "Alerts",
        "red",
        f"count by (alertname, severity) ({FIRING})",
        "{{alertname}}",
        "alertname,severity",
    )
    board.row("Now")
    _now(board)
    board.row("Alerts")
    _alerts(board)
    board.row("Feeds")
    _feeds(board)
    board.row("Quotes refused")
    _rejects(board)
    board.row("Speed")
    _speed(board)
    board.row("Sinks")
    _sinks(board)
    board.row("Analytics")
    _analytics(board)
    board.row("History and clients")
    _serving(board)
    board.row("Process")
    _process(board)
    return board


def _now(board: Board) -> None:
    redis = 'sink="redis"'
    for title, text, expr, legend in (
        ("Ready", "Whether /readyz is green.", newest("job", "volgauge_ready", by="min"), ""),
        (
            "Redis",
            "Whether Redis answers.",
            newest("job", "volgauge_publish_connected", redis, by="min"),
            "",
        ),
        (
            "Feeds",
            "Whether every connection to the venue is live.",
            newest("venue", "volgauge_feed_connected", by="min"),
            "{{venue}}",
        ),
    ):
        width = 3 if not legend else 6
        board.add(width, 5, tiles(title, text, PLAIN, Query(expr, legend), words=NO_YES))
    board.add(
        3,
        5,
        tiles(
            "Alerts firing",
            "Alerts of deploy/prometheus that are firing; each has a runbook in deploy/runbooks.",
            PLAIN,
            Query(f"sum({FIRING}) or vector(0)", ""),
            decimals=0,
            steps=((None, "green"), (1, "red")),
        ),
    )
    board.add(
        3,
        5,
        tiles(
            "Tick to publish, p99",
            "From the receipt of the oldest input in a record to the hand-over to the sinks.",
            SECONDS,
            Query(quantile(0.99, "", "volgauge_tick_to_publish_seconds"), ""),
            steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
        ),
    )
    board.add(
        3,
        5,
        tiles(
            "Memory",
            "Resident memory of the process.",
            BYTES,
            Query(newest("instance", "process_resident_memory_bytes"), ""),
            steps=((None, "text"), (800e6, "orange"), (1e9, "red")),
        ),
    )
    board.add(
        3,
        5,
        tiles(
            "Up for",
            "Since the start of the process.",
            SECONDS,
            Query(age("instance", "process_start_time_seconds"), ""),
            decimals=0,
        ),
    )


def _alerts(board: Board) -> None:
    none = 'label_replace(vector(0), "alertname", "none", "", "")'
    board.add(
        16,
        6,
        lines(
            "Alerts firing, by name",
            "From the rules in deploy/prometheus; the line `none` is at 0 while nothing fires.",
            PLAIN,
            Query(f"sum by (alertname) ({FIRING}) or {none}", "{{alertname}}"),
            decimals=0,
            limits=(0, 1),
            overrides=(Override("/./", {"custom.lineInterpolation": "stepAfter"}),),
        ),
    )
    board.add(
        8,
        6,
        listing(
            "Build",
            "Version of the program, of the calculation rules and of Python.",
            Query(
                newest("instance, version, methodology, python", "volgauge_build_info"),
                "",
                instant=True,
            ),
            columns={
                "instance": "Instance",
                "version": "Version",
                "methodology": "Methodology",
                "python": "Python",
            },
        ),
    )


def _feeds(board: Board) -> None:
    board.lines(
        12,
        "Frames",
        "Received from each venue.",
        EACH_SECOND,
        Query(rate("venue", "volgauge_feed_frames_total"), "{{venue}}"),
        limits=(0, None),
    )
    board.lines(
        12,
        "Age of newest data",
        "Since the receipt of the newest data of the venue.",
        SECONDS,
        Query(age("venue", "volgauge_feed_last_frame_timestamp_seconds"), "{{venue}}"),
        limits=(0, None),
        steps=((None, "transparent"), (10, "red")),
    )
    board.lines(
        12,
        "Lag of quotes",
        "From the venue's stamp to our receipt: median and 99 % of a second, least of a minute. "
        "The clocks' difference is in it: below zero the venue's clock is ahead.",
        SECONDS,
        Query(newest("venue", "volgauge_feed_lag_seconds"), "{{venue}}"),
        Query(newest("venue", "volgauge_feed_late_lag_seconds"), "{{venue}} 99 %"),
        Query(newest("venue", "volgauge_feed_least_lag_seconds", by="min"), "{{venue}} least"),
    )
    board.lines(
        12,
        "Subscriptions accepted",
        "Share of what was asked for that the venue serves.",
        "percentunit",
        Query(newest("venue", "volgauge_feed_coverage_ratio", by="min"), "{{venue}}"),
        limits=(0, 1),
    )
    board.lines(
        8,
        "Connections by state",
        "A spare connection waits to take over.",
        PLAIN,
        Query(
            newest("venue, state", "volgauge_feed_connections", by="sum"),
            "{{venue}} {{state}}",
        ),
        decimals=0,
    )
    board.lines(
        8,
        "Sessions ended, sequences broken",
        "Each reconnect with its reason; a gap is a break in the sequence of a book.",
        PLAIN,
        Query(increase("venue, reason", "volgauge_feed_reconnects_total"), "{{venue}} {{reason}}"),
        Query(increase("venue", "volgauge_book_gaps_total"), "{{venue}} gap"),
        decimals=0,
        overrides=(Override("/./", {"custom.drawStyle": "bars", "custom.fillOpacity": 60}),),
    )
    board.lines(
        8,
        "Other facts",
        "What the feeds count about themselves, and the rare events that the engine took.",
        EACH_SECOND,
        Query(rate("venue, reason", "volgauge_feed_notices_total"), "{{venue}} {{reason}}"),
        Query(rate("venue, event", "volgauge_events_total"), "{{venue}} {{event}}"),
    )


def _rejects(board: Board) -> None:
    board.lines(
        12,
        "Options out of use, by reason",
        "Whose quote is refused at the moment. Quotes below the least delta are left out: "
        "most of a chain always is.",
        PLAIN,
        Query(
            newest("reason", "volgauge_quotes_refused", ASSET, 'reason!="below_delta"', by="sum"),
            "{{reason}}",
        ),
        decimals=0,
    )
    board.lines(
        6,
        "Out of use, by venue",
        "The same by venue.",
        PLAIN,
        Query(
            newest("venue", "volgauge_quotes_refused", ASSET, 'reason!="below_delta"', by="sum"),
            "{{venue}}",
        ),
        decimals=0,
    )
    board.lines(
        6,
        "Refused at the border",
        "Quotes and listings that were not well formed, and frames of a kind that is not read.",
        EACH_SECOND,
        Query(rate("venue, reason", "volgauge_quotes_rejected_total"), "{{venue}} {{reason}}"),
        Query(
            rate("venue, reason", "volgauge_feed_ignored_total"),
            "{{venue}} ignored {{reason}}",
        ),
    )


def _speed(board: Board) -> None:
    duration = "volgauge_tick_to_publish_seconds"
    board.lines(
        8,
        "Tick to publish",
        "From the receipt of the oldest input in a record to the hand-over to the sinks.",
        SECONDS,
        *(Query(quantile(q, "", duration), f"p{q * 100:g}") for q in (0.5, 0.99, 0.999)),
        logarithmic=True,
    )
    board.lines(
        8,
        "Stages, p99",
        "apply: one frame into the book; recompute: the touched assets; publish: hand-over.",
        SECONDS,
        Query(quantile(0.99, "stage", "volgauge_stage_duration_seconds"), "{{stage}}"),
        logarithmic=True,
    )
    board.lines(
        8,
        "Records and merged ticks",
        "Index values of all tenors, and inputs that shared a recompute with a later one.",
        EACH_SECOND,
        Query(rate("asset", "volgauge_index_records_total", ASSET), "{{asset}}"),
        Query(rate("asset", "volgauge_ticks_merged_total", ASSET), "{{asset}} merged"),
    )


def _sinks(board: Board) -> None:
    board.lines(
        8,
        "Records",
        "Accepted by the sink; replaced by a newer one before they were sent; lost, by reason.",
        EACH_SECOND,
        Query(rate("sink", "volgauge_publish_records_total"), "{{sink}}"),
        Query(rate("sink", "volgauge_publish_conflated_total"), "{{sink}} replaced"),
        Query(rate("sink, reason", "volgauge_publish_failures_total"), "{{sink}} {{reason}}"),
    )
    board.lines(
        4,
        "Round trip",
        "From the write of the newest record to the sink's reply.",
        SECONDS,
        Query(newest("sink", "volgauge_publish_round_trip_seconds"), "{{sink}}"),
        limits=(0, None),
    )
    board.lines(
        4,
        "Newest record",
        "Age of the newest record that the sink accepted, and of the newest headline.",
        SECONDS,
        Query(age("sink", "volgauge_publish_last_record_timestamp_seconds"), "{{sink}}"),
        Query(age("asset", "volgauge_index_last_record_timestamp_seconds", ASSET), "{{asset}}"),
        limits=(0, None),
    )
    board.lines(
        4,
        "Subscribers",
        "That got the newest record.",
        PLAIN,
        Query(newest("sink", "volgauge_publish_receivers"), "{{sink}}"),
        decimals=0,
        limits=(0, None),
    )
    board.lines(
        4,
        "Connections to sinks",
        "Opened after the first.",
        PLAIN,
        Query(increase("sink", "volgauge_publish_reconnects_total"), "{{sink}}"),
        decimals=0,
        limits=(0, None),
    )


def _analytics(board: Board) -> None:
    board.lines(
        8,
        "Duration of a job, p99",
        "By part of the analytics.",
        SECONDS,
        Query(quantile(0.99, "part", "volgauge_analytics_duration_seconds"), "{{part}}"),
        logarithmic=True,
    )
    board.lines(
        8,
        "Readings that are null",
        "By group and reason; the record names each. Too little history passes with time.",
        PLAIN,
        Query(
            newest("reading, reason", "volgauge_analytics_missing", by="sum"),
            "{{reading}} {{reason}}",
        ),
        decimals=0,
    )
    board.lines(
        8,
        "Records and failures",
        "Records of the analytics, and jobs that ended with an error, which the log holds.",
        EACH_SECOND,
        Query(rate("kind", "volgauge_analytics_records_total"), "{{kind}}"),
        Query(rate("part", "volgauge_analytics_failures_total"), "{{part}} failed"),
    )


def _serving(board: Board) -> None:
    bars = (Override("/./", {"custom.drawStyle": "bars", "custom.fillOpacity": 60}),)
    board.lines(
        6,
        "Candles",
        "Written into the file of history, and deleted because of their age.",
        EACH_SECOND,
        Query(rate("instance", "volgauge_history_candles_written_total"), "written"),
        Query(rate("instance", "volgauge_history_candles_pruned_total"), "deleted"),
        limits=(0, None),
    )
    board.lines(
        6,
        "Gaps and failures of history",
        "Gaps: a series went on after spans without a value. Refused: the file took neither "
        "candles nor deletions; lost: candles that were given up for that.",
        PLAIN,
        Query(increase("instance", "volgauge_history_gaps_total"), "gaps"),
        Query(increase("instance", "volgauge_history_failures_total"), "refused"),
        Query(increase("instance", "volgauge_history_candles_lost_total"), "lost"),
        decimals=0,
        limits=(0, None),
        overrides=bars,
    )
    board.lines(
        6,
        "Clients",
        "Connected to the live stream and to the drop-in endpoint; turned away or cut off.",
        PLAIN,
        Query(newest("endpoint", "volgauge_stream_clients", by="sum"), "{{endpoint}}"),
        Query(
            increase("endpoint", "volgauge_stream_clients_refused_total"),
            "{{endpoint}} turned away",
        ),
        Query(
            increase("endpoint", "volgauge_stream_clients_dropped_total"),
            "{{endpoint}} cut off",
        ),
        decimals=0,
        limits=(0, None),
    )
    board.lines(
        6,
        "Sent to clients",
        "Records of the live stream by what became of them, and requests to the drop-in endpoint.",
        EACH_SECOND,
        Query(rate("outcome", "volgauge_stream_records_total"), "{{outcome}}"),
        Query(rate("instance", "volgauge_dropin_requests_total"), "requests"),
        Query(rate("instance", "volgauge_dropin_errors_total"), "requests refused"),
        limits=(0, None),
    )


def _process(board: Board) -> None:
    board.lines(
        6,
        "Processor",
        "Seconds of processor time a second: 1 is one core.",
        PLAIN,
        Query(rate("instance", "process_cpu_seconds_total"), "{{instance}}"),
        decimals=2,
        limits=(0, 1),
    )
    board.lines(
        6,
        "Memory",
        "Resident, and what of it the evidence of the last records takes.",
        BYTES,
        Query(newest("instance", "process_resident_memory_bytes"), "resident"),
        Query(newest("instance", "volgauge_evidence_bytes"), "evidence"),
        limits=(0, None),
    )
    board.lines(
        6,
        "Evidence kept",
        "How far back; bars are seconds that went before their time, for the limit in bytes.",
        SECONDS,
        Query(age("instance", "volgauge_evidence_oldest_timestamp_seconds"), "kept"),
        Query(increase("instance", "volgauge_evidence_dropped_total"), "dropped"),
        overrides=(
            Override("/dropped/", {"custom.drawStyle": "bars", "custom.axisPlacement": "right"}),
        ),
    )
    board.lines(
        6,
        "Log lines",
        "By level. An error line means that a person must act.",
        PLAIN,
        Query(increase("level", "volgauge_log_lines_total"), "{{level}}"),
        decimals=0,
        overrides=(Override("/./", {"custom.drawStyle": "bars", "custom.fillOpacity": 60}),),
    )
