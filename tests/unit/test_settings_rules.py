"""Alert rules, bands and the webhook in the configuration."""

from pathlib import Path

import pytest

from volgauge import settings
from volgauge.domain.analytics import Rule
from volgauge.errors import ConfigError
from volgauge.settings import RulesSettings

TELLING_URL = "https://user:word@hooks.invalid:8443/services/T0KEN?key=T0KEN"


def test_a_rule_given_in_part_keeps_its_own_defaults_from_a_file(tmp_path: Path) -> None:
    """One key of a rule leaves the others as that rule has them, not as its class or a sibling."""
    file = tmp_path / "a.toml"
    file.write_text("[alerts.rules.collapse]\nraise_at = 40\n[alerts.rules.stale]\nenabled = false")

    rules = settings.load(file, {}).alerts.rules

    assert rules.collapse.raise_at == 40.0
    assert (rules.collapse.clear_at, rules.collapse.window_seconds) == (15.0, 86400.0)
    assert (rules.stale.enabled, rules.stale.severity, rules.stale.raise_at) == (
        False, "critical", 1.0,
    )  # fmt: skip
    assert rules.spike == RulesSettings().spike


def test_a_rule_given_in_part_keeps_its_own_defaults_from_the_environment() -> None:
    """The same by a variable."""
    rules = settings.load(None, {"VOLGAUGE__ALERTS__RULES__SPIKE__RAISE_AT": "0.2"}).alerts.rules

    assert (rules.spike.raise_at, rules.spike.clear_at) == (0.2, 0.05)


def test_every_rule_has_settings_of_its_name() -> None:
    """The engine finds the settings of a rule by its value."""
    assert {rule.value for rule in Rule} == set(RulesSettings.__struct_fields__)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"VOLGAUGE__ALERTS__RULES__SPIKE__CLEAR_AT": "0.15"}, "alerts.rules.spike.clear_at"),
        ({"VOLGAUGE__ALERTS__RULES__SPIKE__RAISE_AT": "0.01"}, "alerts.rules.spike.clear_at"),
        (
            {"VOLGAUGE__ALERTS__RULES__PREMIUM_SIGN__CLEAR_AT": "-1"},
            "alerts.rules.premium_sign.clear_at",
        ),
        (
            {"VOLGAUGE__ALERTS__RULES__COVERAGE_LOST__CLEAR_AT": "0.99"},
            "alerts.rules.coverage_lost.clear_at",
        ),
        ({"VOLGAUGE__ALERTS__RULES__STALE__RAISE_AT": "nan"}, "alerts.rules.stale"),
        ({"VOLGAUGE__ALERTS__RULES__STALE__FOR_SECONDS": "-1"}, "alerts.rules.stale.for_seconds"),
        ({"VOLGAUGE__ALERTS__RULES__STEAL__ENABLED": "false"}, "alerts.rules.steal"),
        ({"VOLGAUGE__ALERTS__RULES__STALE__AT": "1"}, "alerts.rules.stale.at"),
        ({"VOLGAUGE__ALERTS__RULES": "none"}, "alerts.rules"),
        ({"VOLGAUGE__ANALYTICS__ABSOLUTE_BANDS": "[60, 80, 80, 150]"}, "analytics.absolute_bands"),
        ({"VOLGAUGE__ANALYTICS__BAND_HYSTERESIS": "20"}, "analytics.band_hysteresis"),
    ],
)
def test_a_rule_that_makes_no_sense_is_named(environment: dict[str, str], named: str) -> None:
    """Thresholds in the wrong order, unknown rules and keys, bands that do not rise."""
    with pytest.raises(ConfigError) as caught:
        settings.load(None, environment)

    assert str(caught.value).startswith(f"{named}:")


@pytest.mark.parametrize(
    "url", ["ftp://a/b", "hooks.invalid/T0KEN", "https://", "http://[::1/T0KEN", "http://a:port/b"]
)
def test_a_webhook_that_is_no_url_is_refused_without_repeating_it(url: str) -> None:
    """Only http and https with a host; the message may not tell a token."""
    with pytest.raises(ConfigError, match=r"^alerts\.webhook_url: ") as caught:
        settings.load(None, {"VOLGAUGE__ALERTS__WEBHOOK_URL": url})

    assert "T0KEN" not in str(caught.value)


def test_the_printed_tree_shows_a_webhooks_host_only() -> None:
    """User, path and query may each be the token."""
    loaded = settings.load(
        None,
        {
            "VOLGAUGE__ALERTS__WEBHOOK_URL": TELLING_URL,
            "VOLGAUGE__ALERTS__WEBHOOK_SECRET": "T0KEN",
        },
    )

    shown = settings.describe(loaded)["alerts"]
    assert shown["webhook_url"] == "https://hooks.invalid:8443/***"
    assert shown["webhook_secret"] == "***"  # noqa: S105 - the mask
    assert "T0KEN" not in str(settings.describe(loaded))
