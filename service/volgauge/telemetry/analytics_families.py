"""The metrics of the analytics, by name."""

from volgauge.telemetry.families import Family, Kind

_BY_ASSET: tuple[tuple[str, str], ...] = (
    ("volgauge_term_slope_points", "Volatility at the money at 90 days less that at 7, in points."),
    ("volgauge_term_inverted", "1 while the shortest tenor stands above the longest, else 0."),
    ("volgauge_vol_of_vol_points", "Annualised volatility of the logarithm of the index, points."),
    ("volgauge_iv_rank_ratio", "Place of the index in its range of 365 days, 0 to 1."),
    ("volgauge_iv_percentile_ratio", "Share of the closes of 365 days below the index, 0 to 1."),
    ("volgauge_open_interest_coins", "Open interest inside the limits of delta and time, coins."),
    ("volgauge_realized_jump_ratio", "Share of jumps in the realised variance of 24 hours."),
    ("volgauge_margin_multiplier_ratio", "What margins should be multiplied by now."),
    ("volgauge_flow_imbalance_ratio", "Vega-weighted order-flow imbalance of the last minute."),
    ("volgauge_funding_spread_ratio", "Largest less smallest funding rate per 8 hours of venues."),
    ("volgauge_spillover_net_ratio", "Spillover given less received; of the total, -1 to 1."),
)
ANALYTICS_FAMILIES = (
    *(Family(name, Kind.GAUGE, text, ("asset",)) for name, text in _BY_ASSET),
    Family(
        "volgauge_tenor_iv_points",
        Kind.GAUGE,
        "Implied volatility at a constant tenor, at the money and at 10 and 25 delta of puts and "
        "calls, in points.",
        ("asset", "tenor", "bucket"),
    ),
    Family(
        "volgauge_risk_reversal_points",
        Kind.GAUGE,
        "Volatility of the call less that of the put at a delta, in points.",
        ("asset", "tenor", "delta"),
    ),
    Family(
        "volgauge_butterfly_points",
        Kind.GAUGE,
        "Mean volatility of call and put at a delta less that at the money, in points.",
        ("asset", "tenor", "delta"),
    ),
    Family(
        "volgauge_skewness_ratio",
        Kind.GAUGE,
        "Risk-neutral skewness of the log return to a constant tenor.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_kurtosis_ratio",
        Kind.GAUGE,
        "Risk-neutral kurtosis of the log return to a constant tenor.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_coin_skew_points",
        Kind.GAUGE,
        "Index measured in the coin less the index, in points: a signed skew.",
        ("asset", "tenor"),
    ),
    Family(
        "volgauge_forward_vol_points",
        Kind.GAUGE,
        "Forward volatility between two constant tenors, in points.",
        ("asset", "leg"),
    ),
    Family(
        "volgauge_leg_weight_ratio",
        Kind.GAUGE,
        "Weight of the nearer and the farther expiries in the headline index, 0 to 1.",
        ("asset", "leg"),
    ),
    Family(
        "volgauge_leg_seconds",
        Kind.GAUGE,
        "Time to the nearer and the farther expiries of the headline index, weighted, in seconds.",
        ("asset", "leg"),
    ),
    Family(
        "volgauge_interest_iv_points",
        Kind.GAUGE,
        "Implied volatility weighted by open interest, its vega, or volume, in points.",
        ("asset", "weighting"),
    ),
    Family(
        "volgauge_put_call_ratio",
        Kind.GAUGE,
        "Puts over calls, by open interest or by volume of 24 hours.",
        ("asset", "by"),
    ),
    Family(
        "volgauge_realized_points",
        Kind.GAUGE,
        "Realised volatility of the index price by an estimator, in points.",
        ("asset", "estimator"),
    ),
    Family(
        "volgauge_variance_premium_points",
        Kind.GAUGE,
        "Implied less realised volatility, in points.",
        ("asset", "form"),
    ),
    Family(
        "volgauge_scaling_exposure_ratio",
        Kind.GAUGE,
        "Exposure of a position scaled to a volatility target, in multiples of capital.",
        ("asset", "form"),
    ),
    Family(
        "volgauge_scaling_throttle_ratio",
        Kind.GAUGE,
        "Factor by which depth, order flow or leverage cuts the exposure, 0 to 1.",
        ("asset", "kind"),
    ),
    Family(
        "volgauge_regime",
        Kind.GAUGE,
        "1 for the band that the index lies in; absent for every other.",
        ("asset", "scheme", "band"),
    ),
    Family(
        "volgauge_analytics_missing",
        Kind.GAUGE,
        "Readings of a group that are null now, by reason; the record names each.",
        ("asset", "reading", "reason"),
    ),
    Family(
        "volgauge_coupling_correlation_ratio",
        Kind.GAUGE,
        "Correlation of the changes of two indices by half-life.",
        ("pair", "half_life"),
    ),
    Family(
        "volgauge_coupling_lead_seconds",
        Kind.GAUGE,
        "Lag at which two indices correlate best, positive where the first leads; absent while "
        "no lag stands out.",
        ("pair",),
    ),
    Family(
        "volgauge_coupling_beta_ratio",
        Kind.GAUGE,
        "Beta of the second index's changes on the first's.",
        ("pair",),
    ),
    Family(
        "volgauge_coupling_spread_z_ratio",
        Kind.GAUGE,
        "Spread of two indices in standard deviations from its mean.",
        ("pair",),
    ),
    Family(
        "volgauge_decoupled",
        Kind.GAUGE,
        "1 while two indices are decoupled, else 0.",
        ("pair",),
    ),
    Family(
        "volgauge_spillover_total_ratio",
        Kind.GAUGE,
        "Share of forecast variance that comes from other assets' shocks, 0 to 1.",
    ),
    Family(
        "volgauge_systemic_coupling_ratio",
        Kind.GAUGE,
        "How far all indices move as one, 0 to 1.",
    ),
    Family(
        "volgauge_alert_active",
        Kind.GAUGE,
        "1 while an alert is up, 0 after its clear.",
        ("rule", "subject"),
    ),
    Family(
        "volgauge_alerts_total",
        Kind.COUNTER,
        "Alert events, by the end of the episode that they tell.",
        ("rule", "edge"),
    ),
    Family(
        "volgauge_webhook_deliveries_total",
        Kind.COUNTER,
        "Alerts handed to the webhook, by outcome; a retry is a try that was repeated.",
        ("outcome",),
    ),
    Family(
        "volgauge_analytics_records_total",
        Kind.COUNTER,
        "Records of the analytics handed to the sinks.",
        ("kind",),
    ),
    Family(
        "volgauge_analytics_failures_total",
        Kind.COUNTER,
        "Jobs of the analytics that ended with an error, which the log holds.",
        ("part",),
    ),
    Family(
        "volgauge_analytics_duration_seconds",
        Kind.HISTOGRAM,
        "Duration of one job of the analytics.",
        ("part",),
    ),
)
