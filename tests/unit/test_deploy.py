"""Grafana, Prometheus and Alertmanager find each other as the compose file puts them together."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deployed import DEPLOY, PROMETHEUS, ROOT, promtool


def test_prometheus_accepts_its_configuration_and_rules() -> None:
    """Configuration and rules as they are shipped."""
    done = promtool("check", "config", str(PROMETHEUS / "prometheus.yml"))

    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_reads_the_folders_that_compose_mounts() -> None:
    """Provider path, home dashboard and data source answer to the compose file."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    mounts = dict(
        entry.split(":")[:2] for entry in compose["services"]["grafana"]["volumes"] if "/" in entry
    )
    provisioning = DEPLOY / "grafana" / "provisioning"
    provider = yaml.safe_load((provisioning / "dashboards" / "volgauge.yml").read_text())
    source = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    scrape = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())

    assert mounts["./deploy/grafana/dashboards"] == provider["providers"][0]["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    home = compose["services"]["grafana"]["environment"][
        "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"
    ]
    assert (DEPLOY / "grafana" / "dashboards" / Path(home).name).is_file()
    datasource = source["datasources"][0]
    assert datasource["url"] == "http://prometheus:9090"
    assert datasource["jsonData"]["timeInterval"] == scrape["global"]["scrape_interval"]


def test_alertmanager_accepts_its_example() -> None:
    """Its own tool reads the routes, receivers and inhibitions."""
    tool = shutil.which("amtool")
    if tool is None:
        pytest.skip("amtool is not installed (Debian: prometheus-alertmanager)")

    done = subprocess.run(
        [tool, "check-config", str(DEPLOY / "alertmanager" / "alertmanager.yml")],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 0, done.stdout + done.stderr
