"""A real Prometheus for tests: the shipped configuration and rules, at other addresses."""

import json
import math
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from prometheus_client import CollectorRegistry, start_http_server

from integration.processes import eventually, fetch, free_port

PROGRAM = shutil.which("prometheus")
SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"


class Series(Struct, frozen=True):
    """One series of an answer: its labels, and (instant in seconds, value) in order."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def finite(self) -> list[float]:
        """Its values that are numbers."""
        return [value for _, value in self.points if math.isfinite(value)]


class Prometheus:
    """What is asked of it."""

    def __init__(self, root: str) -> None:
        self.root = root

    def now(self, expression: str) -> list[Series]:
        """Answer to an instant query, of this moment."""
        return [
            Series(found["metric"], [_point(found["value"])])
            for found in self._ask("query", query=expression)
        ]

    def over(self, expression: str, seconds: float, step: float) -> list[Series]:
        """Answer to a range query that ends now, a value each `step` seconds."""
        end = time.time()
        found = self._ask("query_range", query=expression, start=end - seconds, end=end, step=step)
        return [
            Series(each["metric"], [_point(point) for point in each["values"]]) for each in found
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or firing."""
        found: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return found

    def _ask(self, what: str, **parameters: float | str) -> list[dict[str, Any]]:
        data = self._get(what, **parameters)
        found: list[dict[str, Any]] = data["result"]
        if data["resultType"] == "scalar":
            found = [{"metric": {}, "value": data["result"]}]
        return found

    def _get(self, what: str, **parameters: float | str) -> dict[str, Any]:
        asked = f"{self.root}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        body = json.loads(fetch(asked)[2])
        assert body["status"] == "success", body
        data: dict[str, Any] = body["data"]
        return data


@contextmanager
def prometheus(
    folder: Path, targets: Mapping[str, str], *, interval: str = "500ms"
) -> Iterator[Prometheus]:
    """Start one that scrapes these targets and evaluates the shipped rules.

    Args:
        folder: For its configuration and its data.
        targets: Job to `host:port`.
        interval: Between two scrapes, and between two evaluations.
    """
    assert PROGRAM is not None
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    config["rule_files"] = [str(SHIPPED / pattern) for pattern in config["rule_files"]]
    del config["alerting"]
    template = config["scrape_configs"][0]
    config["scrape_configs"] = [
        {**template, "job_name": job, "static_configs": [{"targets": [target]}]}
        for job, target in targets.items()
    ]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            PROGRAM,
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _is_up(f"http://{address}/-/ready", process), "a ready Prometheus", 30.0)
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def exporter(registry: CollectorRegistry) -> Iterator[str]:
    """Serve a registry; its `host:port`."""
    server, thread = start_http_server(0, "127.0.0.1", registry)
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10.0)


def _is_up(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "it ended"
    try:
        return fetch(url)[0] == 200
    except (urllib.error.URLError, OSError):
        return False


def _point(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])
