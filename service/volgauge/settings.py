"""Configuration: one frozen tree, defaults in code, every key documented in `config/default.toml`.

Order of precedence: code < TOML file < environment (`VOLGAUGE__SECTION__KEY`) < flags.
An unknown key or a value out of range is a ConfigError that names the key; nothing starts then.
Secrets (the Redis URL may hold one) come from the environment and are masked when printed.
"""

import os
import re
from collections.abc import Mapping
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from volgauge.domain.analytics import RAISED_BELOW, Rule
from volgauge.domain.index import Method
from volgauge.errors import ConfigError

ENVIRONMENT_PREFIX = "VOLGAUGE__"

Positive = Annotated[float, Meta(gt=0.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Count = Annotated[int, Meta(ge=1)]
Days = Annotated[float, Meta(ge=0.0, le=36_525.0)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class VenueSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One venue. `enabled` is the only key most people touch."""

    enabled: bool = True
    ws_url: str = ""
    """Empty: the venue's official address. Anything else makes the source `simulated`."""
    rest_url: str = ""
    assets: tuple[str, ...] = ("BTC", "ETH")
    """Underlyings to take; empty takes whatever the venue lists."""
    depth_levels: Annotated[int, Meta(ge=0, le=20)] = 0
    """0: best bid and offer only. Otherwise depth of the hot expiries, for volume-weighted legs."""
    hot_days: Positive = 45.0
    """Expiries up to this many days ahead get their own socket."""
    stale_after_seconds: Positive = 3.0
    """Without any data frame for this long the venue's quotes are not alive (METHODOLOGY 3)."""
    reconnect_after_seconds: Positive = 10.0
    """Without any data frame for this long the socket is opened anew."""
    compression: bool = True
    """Offer permessage-deflate: an eighth of the bandwidth for about 1 us of CPU a frame."""
    catalog_refresh_seconds: Positive = 60.0


class VenuesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The venues we can speak to."""

    deribit: VenueSettings = VenueSettings()
    okx: VenueSettings = VenueSettings(enabled=False, assets=("BTC", "ETH", "SOL"))
    bybit: VenueSettings = VenueSettings(enabled=False, assets=())
    binance: VenueSettings = VenueSettings(enabled=False, assets=())
    derive: VenueSettings = VenueSettings(enabled=False)
    aevo: VenueSettings = VenueSettings(enabled=False)
    delta: VenueSettings = VenueSettings(enabled=False)


class IndexSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calculation."""

    method: Method = Method.NATIVE
    tenors_days: Annotated[tuple[Positive, ...], Meta(min_length=1, max_length=12)] = (
        7.0, 14.0, 30.0, 60.0, 90.0, 180.0,
    )  # fmt: skip
    headline_tenor_days: Positive = 30.0
    """Published on every recompute; the others on change, at most every `term_interval_ms`."""
    term_interval_ms: Count = 100
    heartbeat_ms: Count = 1000
    """A record goes out at least this often."""
    stale_after_seconds: Positive = 5.0
    halt_after_seconds: Positive = 60.0
    strip_venue: str = "deribit"
    """Whose discrete strip is published as `strip` while it has one; else the heaviest venue's."""


class RedisSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where records go."""

    enabled: bool = True
    url: str = ""
    """Empty: start the bundled Valkey on a free loopback port."""
    prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]+$")] = "volgauge"
    cluster: bool = False
    """Hash-tagged keys and SPUBLISH, for Redis Cluster."""
    timeout_ms: Annotated[int, Meta(ge=1, le=250)] = 250
    stream_length: Count = 10_000
    """Kept records of the headline tenor; the other tenors keep a tenth."""


class HttpSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The metrics endpoint, the API and the live page."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 8080
    """0 takes a free port."""
    allow_public: bool = False
    """Must be true to bind anything but loopback: the API has no authentication of its own."""
    any_origin: bool = False
    """Let scripts of foreign web pages use the drop-in endpoints (a chart hosted elsewhere)."""


class HistorySettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Candles on disk."""

    path: str = ""
    """SQLite file; empty keeps no history (the demo keeps its own, separate one)."""
    keep_1s_days: Days = 2.0
    """Only the headline and its band have candles of a second. 0 keeps for ever, here and below."""
    keep_1m_days: Days = 90.0
    keep_5m_days: Days = 400.0
    keep_15m_days: Days = 400.0
    keep_1h_days: Days = 0.0
    keep_4h_days: Days = 0.0
    keep_12h_days: Days = 0.0
    keep_1d_days: Days = 0.0


class RecorderSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Raw frames on disk."""

    path: str = ""
    """Folder; empty records nothing."""


class EvidenceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the last records rest on, in memory, for `/v1/evidence`."""

    enabled: bool = True
    keep_seconds: Positive = 300.0
    """Older evidence goes."""
    max_megabytes: Positive = 64.0
    """Above this the oldest goes before its time."""


class ScalingSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Volatility scaling (METHODOLOGY appendix); every key is one symbol of its formulas."""

    target_points: Positive = 40.0
    """Volatility that a scaled position aims at."""
    max_exposure: Positive = 3.0
    implied_share: Share = 0.5
    """theta: weight of the index against realised EWMA volatility."""
    implied_bias_points: float = 0.0
    """Taken off the index first: implied volatility is on average above what comes true."""
    damping: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.25
    """kappa: share of the way to the wanted exposure that one step goes."""
    step_seconds: Positive = 3600.0
    """Time between two steps."""
    buffer: Share = 0.1
    """No trade while the wanted exposure is within this share of the held one."""
    variance_constant: Positive = 0.16
    """c of c / sigma^2, with sigma a decimal: the exposure is 1 at sigma = sqrt(c)."""
    risk_budget: Positive = 0.02
    """Share of the capital that may be lost in a day at `risk_deviations` deviations."""
    risk_deviations: Positive = 2.33
    flow_sensitivity: Annotated[float, Meta(ge=0.0)] = 0.5
    """How much of the exposure an order-flow imbalance of 1 against it takes away."""
    funding_limit: Positive = 0.001
    """Spread of funding rates per 8 h at which the leverage throttle begins to bite."""
    interest_limit: Annotated[float, Meta(gt=1.0)] = 1.5
    """Perpetuals' open interest over its slow average at which it begins to bite."""
    margin_window_days: Positive = 30.0
    margin_floor: Positive = 1.0
    margin_cap: Positive = 4.0


class AnalyticsSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is read off the surface and the index; none of it moves the index."""

    enabled: bool = True
    interest_seconds: Positive = 1.0
    """Open-interest-weighted volatility, flow and leverage are computed this often."""
    realized_seconds: Positive = 1.0
    coupling_seconds: Positive = 1.0
    spillover_seconds: Positive = 300.0
    min_expiry_days: Positive = 2.0
    """Options nearer to expiry do not count for open-interest-weighted volatility."""
    min_delta: Share = 0.05
    max_delta: Share = 0.95
    absolute_bands: Annotated[tuple[Positive, ...], Meta(min_length=4, max_length=4)] = (
        60.0, 80.0, 110.0, 150.0,
    )  # fmt: skip
    """Points between dried_up, quiet, healthy, mania and extreme."""
    adaptive_bands: Annotated[tuple[Positive, ...], Meta(min_length=4, max_length=4)] = (
        10.0, 40.0, 75.0, 95.0,
    )  # fmt: skip
    """Percentiles of 365 days between very_low, low, normal, high and very_high."""
    band_hysteresis: Positive = 2.0
    """Points (or percentiles) beyond a bound before the band changes back."""
    scaling: ScalingSettings = ScalingSettings()


class RuleSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One alert rule. What its numbers mean is said beside the defaults."""

    enabled: bool = True
    raise_at: float
    clear_at: float
    for_seconds: Annotated[float, Meta(ge=0.0)] = 0.0
    """The condition must hold this long before the alert is raised, and be gone as long before
    it is cleared."""
    window_seconds: Positive = 300.0
    """Over what a change is measured, where the rule measures one."""
    severity: Literal["info", "warning", "critical"] = "warning"


class RulesSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules by name (`domain.analytics.Rule`)."""

    spike: RuleSettings = RuleSettings(raise_at=0.15, clear_at=0.05)
    """Relative rise of the index over the window."""
    collapse: RuleSettings = RuleSettings(raise_at=30.0, clear_at=15.0, window_seconds=86400.0)
    """Fall of the index in points over the window."""
    band_change: RuleSettings = RuleSettings(raise_at=1.0, clear_at=0.0, severity="info")
    """The adaptive band is very_low or very_high (1), or is not (0)."""
    inversion: RuleSettings = RuleSettings(raise_at=0.5, clear_at=0.0, for_seconds=30.0)
    """Points by which the shortest tenor exceeds the longest."""
    decoupling: RuleSettings = RuleSettings(raise_at=2.5, clear_at=1.5)
    """|z| of the spread of two assets; also where `decoupled` of a pair begins and ends."""
    spillover_surge: RuleSettings = RuleSettings(
        raise_at=15.0, clear_at=5.0, window_seconds=86400.0
    )
    """Percentage points of total spillover above its slow average; the window is the half-life."""
    premium_sign: RuleSettings = RuleSettings(raise_at=0.0, clear_at=1.0, severity="info")
    """Ex-ante premium in points; raised below, cleared above."""
    stale: RuleSettings = RuleSettings(raise_at=1.0, clear_at=0.0, severity="critical")
    """1 while the status of the headline is STALE or HALTED."""
    venue_out: RuleSettings = RuleSettings(raise_at=1.0, clear_at=0.0, for_seconds=10.0)
    """1 while a book is not `in`."""
    coverage_lost: RuleSettings = RuleSettings(raise_at=0.99, clear_at=1.0, for_seconds=10.0)
    """Share of the subscriptions that the venue accepted; raised below."""


class AlertSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alerts on the events channels, in the metrics, and to a webhook."""

    enabled: bool = True
    rules: RulesSettings = RulesSettings()
    webhook_url: str = ""
    """Empty: no webhook."""
    webhook_secret: str = ""
    """Key of the HMAC-SHA-256 signature; give it in the environment."""
    webhook_timeout_seconds: Positive = 5.0
    webhook_attempts: Count = 8
    """Tries per alert, with growing pauses; then it is counted as lost."""


class LogSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Logs, always on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, else one JSON object a line."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole tree. Only `app.py` sees all of it."""

    index: IndexSettings = IndexSettings()
    venues: VenuesSettings = VenuesSettings()
    redis: RedisSettings = RedisSettings()
    http: HttpSettings = HttpSettings()
    history: HistorySettings = HistorySettings()
    recorder: RecorderSettings = RecorderSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    analytics: AnalyticsSettings = AnalyticsSettings()
    alerts: AlertSettings = AlertSettings()
    log: LogSettings = LogSettings()


def load(
    path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the settings.

    Args:
        path: A TOML file, or None for the defaults alone.
        environment: Variables; None takes the process's own.
        overrides: Dotted keys (`http.port`) from flags; they win.

    Raises:
        ConfigError: The file is unreadable, a key unknown, a value out of range.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = msgspec.toml.decode(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror or error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: expected TOML, {error}") from error
    variables = os.environ if environment is None else environment
    for name in sorted(variables):
        if name.startswith(ENVIRONMENT_PREFIX):
            keys = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            _put(tree, keys, _from_text(variables[name]), name)
    for dotted, value in (overrides or {}).items():
        _put(tree, dotted.split("."), value, dotted)
    # A key that a section leaves out is that section's default, not the one of its class: spike's
    # window is not collapse's, and deribit is enabled where the class says nothing of deribit.
    tree = _overlay(msgspec.to_builtins(Settings()), tree)
    try:
        settings = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(error)) from error
    _check(settings)
    return settings


def describe(settings: Settings) -> dict[str, Any]:
    """The effective tree as plain data, secrets masked."""
    tree: dict[str, Any] = msgspec.to_builtins(settings)
    tree["redis"]["url"] = mask_url(settings.redis.url)
    if settings.alerts.webhook_secret:
        tree["alerts"]["webhook_secret"] = "***"  # noqa: S105 - the mask, not the secret
    tree["alerts"]["webhook_url"] = mask_webhook(settings.alerts.webhook_url)
    return tree


def mask_url(url: str) -> str:
    """The URL without its password."""
    password = urlsplit(url).password if url else None
    return url.replace(f":{password}@", ":***@", 1) if password else url


def mask_webhook(url: str) -> str:
    """Scheme and host only: user, path and query of a webhook may each be its token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/***" if url else ""


def _overlay(defaults: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Lay what was given over the defaults, section by section."""
    merged = defaults | given
    for name, section in defaults.items():
        if isinstance(section, dict) and isinstance(given.get(name), dict):
            merged[name] = _overlay(section, given[name])
    return merged


def _put(tree: dict[str, Any], keys: list[str], value: Any, name: str) -> None:  # noqa: ANN401 - a TOML value
    node = tree
    for key in keys[:-1]:
        node = node.setdefault(key, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{name}: {key} is a value, not a section")
    node[keys[-1]] = value


def _from_text(text: str) -> Any:  # noqa: ANN401 - a TOML value
    """An environment variable may hold a list in JSON form; the rest stays text for `convert`."""
    if text.startswith("["):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


def _explain(error: msgspec.ValidationError) -> str:
    """`venues.deribit.hot_days: Expected float > 0.0`: the key first."""
    text = str(error)
    match = re.fullmatch(r"(?s)(.*) - at `\$\.?(.*)`", text)
    message, where = match.groups() if match else (text, "")
    unknown = re.search(r"unknown field `(.*)`", message)
    if unknown:
        key = f"{where}.{unknown.group(1)}".lstrip(".")
        return f"{key}: unknown key"
    return f"{where}: {message}"


def _check(settings: Settings) -> None:
    index = settings.index
    if index.headline_tenor_days not in index.tenors_days:
        raise ConfigError("index.headline_tenor_days: expected one of index.tenors_days")
    if index.method is Method.CBOE:
        raise ConfigError("index.method: expected native or dvol, `cboe` is for `compute` only")
    if index.halt_after_seconds <= index.stale_after_seconds:
        raise ConfigError("index.halt_after_seconds: expected more than index.stale_after_seconds")
    scaling = settings.analytics.scaling
    if scaling.margin_floor > scaling.margin_cap:
        raise ConfigError("analytics.scaling.margin_floor: expected at most margin_cap")
    loopback = settings.http.host in {"127.0.0.1", "::1", "localhost"}
    if settings.http.enabled and not loopback and not settings.http.allow_public:
        raise ConfigError(
            f"http.host: {settings.http.host} is reachable from outside; "
            "set http.allow_public = true if that is meant"
        )
    if settings.redis.url and not re.match(r"^(redis|rediss|unix)://", settings.redis.url):
        raise ConfigError("redis.url: expected redis://, rediss:// or unix://")
    for venue in settings.venues.__struct_fields__:
        for name in ("ws_url", "rest_url"):
            url = getattr(getattr(settings.venues, venue), name)
            if url and urlsplit(url).scheme not in {"ws", "wss", "http", "https"}:
                raise ConfigError(f"venues.{venue}.{name}: expected a URL, received {url!r}")
    _check_bands(settings.analytics)
    _check_alerts(settings.alerts)


def _check_bands(analytics: AnalyticsSettings) -> None:
    for name in ("absolute_bands", "adaptive_bands"):
        bounds = getattr(analytics, name)
        narrowest = min(upper - lower for lower, upper in pairwise(bounds))
        if not narrowest > 0.0:
            raise ConfigError(f"analytics.{name}: expected ascending bounds, received {bounds}")
        if not analytics.band_hysteresis < narrowest:
            raise ConfigError(
                f"analytics.band_hysteresis: expected less than the narrowest of {name} "
                f"({narrowest:g}), received {analytics.band_hysteresis:g}"
            )


def _check_alerts(alerts: AlertSettings) -> None:
    for rule in Rule:
        settings: RuleSettings = getattr(alerts.rules, rule.value)
        raise_at, clear_at = settings.raise_at, settings.clear_at
        if not (isfinite(raise_at) and isfinite(clear_at)):
            raise ConfigError(f"alerts.rules.{rule.value}: expected finite raise_at and clear_at")
        below = rule in RAISED_BELOW
        if not (clear_at > raise_at if below else clear_at < raise_at):
            raise ConfigError(
                f"alerts.rules.{rule.value}.clear_at: expected {'more' if below else 'less'} than "
                f"raise_at ({raise_at:g}), received {clear_at:g}"
            )
    if alerts.webhook_url:
        # The message does not repeat the URL: it may hold a token.
        try:
            parts = urlsplit(alerts.webhook_url)
            is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
            is_usable = is_usable and parts.port != 0  # reading it refuses a port that is none
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ConfigError("alerts.webhook_url: expected a URL, http:// or https:// with a host")
