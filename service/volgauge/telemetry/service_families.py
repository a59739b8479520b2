"""The metrics of the service but those of the analytics (`analytics_families.py`), by name."""

from volgauge.telemetry.families import Family, Kind

FAMILIES = (
    Family(
        "volgauge_index_points",
        Kind.GAUGE,
        "Implied-volatility index in volatility points (52.3 is 52.3 percent a year); "
        "absent while it cannot be computed.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_index_bid_points",
        Kind.GAUGE,
        "Index computed from the bids, in volatility points.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_index_ask_points",
        Kind.GAUGE,
        "Index computed from the asks, in volatility points.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_index_uncertainty_points",
        Kind.GAUGE,
        "Half width of the index's error band, in volatility points.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_index_strip_points",
        Kind.GAUGE,
        "Index by the exchange's discrete strip rule, in volatility points.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_index_quality_ratio",
        Kind.GAUGE,
        "Quality of the last record, 0 worthless to 1 perfect: feed health, strikes, width of "
        "the error band, number of venues.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_index_guard_holds_total",
        Kind.COUNTER,
        "Times that the jump guard held back a value.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_fixing_points",
        Kind.GAUGE,
        "Last daily fixing, in volatility points; absent when it could not be computed.",
        ("asset", "tenor", "fixing"),
    ),
    Family(
        "volgauge_fixing_values",
        Kind.GAUGE,
        "Seconds with a valid value behind the last daily fixing, of 1800.",
        ("asset", "tenor", "fixing"),
    ),
    Family(
        "volgauge_venue_own_index_points",
        Kind.GAUGE,
        "The volatility index that a venue publishes itself, for comparison and never an input, "
        "in volatility points.",
        ("asset",),
    ),
    Family(
        "volgauge_venue_index_points",
        Kind.GAUGE,
        "Headline index of one venue's option book alone, in volatility points; absent while "
        "it has none. A second book of a venue is named venue:currency.",
        ("venue", "asset"),
    ),
    Family(
        "volgauge_venue_weight_ratio",
        Kind.GAUGE,
        "Weight of the venue's option book in the headline index, 0 to 1.",
        ("venue", "asset"),
    ),
    Family(
        "volgauge_venue_in",
        Kind.GAUGE,
        "1 while the venue's option book contributes to the headline index, else 0.",
        ("venue", "asset"),
    ),
    Family(
        "volgauge_comparison_pairs",
        Kind.GAUGE,
        "Seconds of the last hour at which both our index and the venue's own were fresh.",
        ("venue", "asset", "series"),
    ),
    Family(
        "volgauge_comparison_bias_points",
        Kind.GAUGE,
        "Mean of our index less the venue's own over the last hour, in volatility points.",
        ("venue", "asset", "series"),
    ),
    Family(
        "volgauge_comparison_rmse_points",
        Kind.GAUGE,
        "Root mean squared difference of our index and the venue's own over the last hour, in "
        "volatility points.",
        ("venue", "asset", "series"),
    ),
    Family(
        "volgauge_comparison_level_correlation_ratio",
        Kind.GAUGE,
        "Correlation of our index with the venue's own over the last hour.",
        ("venue", "asset", "series"),
    ),
    Family(
        "volgauge_comparison_change_correlation_ratio",
        Kind.GAUGE,
        "Correlation of the one-second changes of our index and the venue's own.",
        ("venue", "asset", "series"),
    ),
    Family(
        "volgauge_comparison_lead_seconds",
        Kind.GAUGE,
        "Lag at which the one-second changes correlate best, positive where ours leads; absent "
        "while no lag stands out of the noise.",
        ("venue", "asset", "series"),
    ),
    Family(
        "volgauge_comparison_lead_correlation_ratio",
        Kind.GAUGE,
        "Correlation of the one-second changes at the lag where it is largest.",
        ("venue", "asset", "series"),
    ),
    Family(
        "volgauge_index_status",
        Kind.GAUGE,
        "1 for the status of the headline index, 0 for every other status.",
        ("asset", "status"),
    ),
    Family(
        "volgauge_index_last_update_timestamp_seconds",
        Kind.GAUGE,
        "Unix time of our receipt of the newest input that the headline index rests on.",
        ("asset",),
    ),
    Family(
        "volgauge_index_last_record_timestamp_seconds",
        Kind.GAUGE,
        "Unix time at which the newest record of the headline index was computed; it "
        "moves with every heartbeat.",
        ("asset",),
    ),
    Family(
        "volgauge_index_strikes",
        Kind.GAUGE,
        "Strikes that the headline index rests on.",
        ("asset",),
    ),
    Family(
        "volgauge_index_source_info",
        Kind.GAUGE,
        "1 for where the records come from: live, simulated or replay.",
        ("asset", "source"),
    ),
    Family(
        "volgauge_index_records_total",
        Kind.COUNTER,
        "Index values handed to the sinks.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_ticks_merged_total",
        Kind.COUNTER,
        "Inputs that shared a recompute of the headline index with a later one.",
        ("asset",),
    ),
    Family(
        "volgauge_quotes_refused",
        Kind.GAUGE,
        "Options whose quote is refused at the moment, by reason; below_delta is the "
        "usual case in the wings.",
        ("venue", "asset", "reason"),
    ),
    Family(
        "volgauge_quotes_rejected_total",
        Kind.COUNTER,
        "Quotes and listings refused at the border, by reason.",
        ("venue", "reason"),
    ),
    Family(
        "volgauge_feed_connected",
        Kind.GAUGE,
        "1 while every connection to the venue is live, else 0.",
        ("venue",),
    ),
    Family(
        "volgauge_feed_connections",
        Kind.GAUGE,
        "Connections to the venue by state.",
        ("venue", "state"),
    ),
    Family(
        "volgauge_feed_frames_total",
        Kind.COUNTER,
        "Frames received from the venue.",
        ("venue",),
    ),
    Family(
        "volgauge_feed_ignored_total",
        Kind.COUNTER,
        "Frames of a kind that is not read.",
        ("venue", "reason"),
    ),
    Family(
        "volgauge_feed_reconnects_total",
        Kind.COUNTER,
        "Sessions with the venue that ended, by reason.",
        ("venue", "reason"),
    ),
    Family(
        "volgauge_feed_notices_total",
        Kind.COUNTER,
        "Other facts that a feed counts about itself.",
        ("venue", "reason"),
    ),
    Family(
        "volgauge_events_total",
        Kind.COUNTER,
        "Rare events that the engine took, by type; quotes are not among them.",
        ("venue", "event"),
    ),
    Family(
        "volgauge_feed_last_frame_timestamp_seconds",
        Kind.GAUGE,
        "Unix time of our receipt of the newest data of the venue.",
        ("venue",),
    ),
    Family(
        "volgauge_feed_lag_seconds",
        Kind.GAUGE,
        "Median from the venue's stamp on a quote to our receipt, over the last second with "
        "quotes; the difference of the clocks is in it, so it is negative where theirs is ahead.",
        ("venue",),
    ),
    Family(
        "volgauge_feed_late_lag_seconds",
        Kind.GAUGE,
        "What 99 of 100 of these quotes did not exceed: far above the median, quotes wait in a "
        "queue, the venue's, the network's or ours.",
        ("venue",),
    ),
    Family(
        "volgauge_feed_least_lag_seconds",
        Kind.GAUGE,
        "Smallest such time of the last minute: the difference of the clocks plus the shortest "
        "way; absent without quotes.",
        ("venue",),
    ),
    Family(
        "volgauge_feed_coverage_ratio",
        Kind.GAUGE,
        "Share of the subscriptions asked for that the venue accepted, 0 to 1; absent before "
        "its first answer.",
        ("venue",),
    ),
    Family(
        "volgauge_book_gaps_total",
        Kind.COUNTER,
        "Breaks in the sequence of a book.",
        ("venue",),
    ),
    Family(
        "volgauge_publish_records_total",
        Kind.COUNTER,
        "Records that the sink accepted.",
        ("sink",),
    ),
    Family(
        "volgauge_publish_conflated_total",
        Kind.COUNTER,
        "Records replaced by a newer one before they were sent.",
        ("sink",),
    ),
    Family(
        "volgauge_publish_failures_total",
        Kind.COUNTER,
        "Records lost, by reason: failed without a known outcome, fenced by a newer publisher, "
        "refused as not encodable, dropped from a full queue.",
        ("sink", "reason"),
    ),
    Family(
        "volgauge_publish_receivers",
        Kind.GAUGE,
        "Subscribers that got the newest accepted record.",
        ("sink",),
    ),
    Family(
        "volgauge_publish_round_trip_seconds",
        Kind.GAUGE,
        "From the write of the newest accepted record to the sink's reply.",
        ("sink",),
    ),
    Family(
        "volgauge_publish_reconnects_total",
        Kind.COUNTER,
        "Connections to the sink opened after the first.",
        ("sink",),
    ),
    Family(
        "volgauge_publish_connected",
        Kind.GAUGE,
        "1 while the sink answers, else 0.",
        ("sink",),
    ),
    Family(
        "volgauge_publish_last_record_timestamp_seconds",
        Kind.GAUGE,
        "Unix time of the newest record that the sink accepted.",
        ("sink",),
    ),
    Family(
        "volgauge_stage_duration_seconds",
        Kind.HISTOGRAM,
        "Duration of one stage of the way from a frame to a record.",
        ("stage",),
    ),
    Family(
        "volgauge_tick_to_publish_seconds",
        Kind.HISTOGRAM,
        "From the receipt of the oldest input in a record to the hand-over to the sinks.",
    ),
    Family(
        "volgauge_ready",
        Kind.GAUGE,
        "1 while /readyz is green, else 0.",
    ),
    Family(
        "volgauge_evidence_bytes",
        Kind.GAUGE,
        "Memory that the evidence of the last records takes, in bytes.",
    ),
    Family(
        "volgauge_evidence_oldest_timestamp_seconds",
        Kind.GAUGE,
        "Start of the oldest second whose evidence is kept, Unix time; absent without any.",
    ),
    Family(
        "volgauge_evidence_dropped_total",
        Kind.COUNTER,
        "Seconds of one asset's evidence that went before their time, for the limit in bytes.",
    ),
    Family(
        "volgauge_log_lines_total",
        Kind.COUNTER,
        "Log lines written, by level.",
        ("level",),
    ),
    Family(
        "volgauge_build_info",
        Kind.INFO,
        "Version of the program, of the calculation rules and of Python.",
    ),
)
"""The public set; process_* and python_gc_* of prometheus_client come on top."""
