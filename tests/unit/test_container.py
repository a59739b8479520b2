"""The image and the compose file are sound, hardened and agree with the settings."""

import fnmatch
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from volgauge.settings import Settings, load

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE = ROOT / "docker-compose.yml"


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile, continued lines joined, comments dropped."""
    text = re.sub(r"(?m)^\s*#.*\n", "", DOCKERFILE.read_text())
    text = re.sub(r"\\\n\s*", "", text)
    return [
        (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
        for line in text.splitlines()
        if line.strip()
    ]


def final_stage() -> list[tuple[str, str]]:
    """Instructions of the stage that is shipped."""
    found = instructions()
    start = max(index for index, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def image_environment() -> dict[str, str]:
    """Variables that the image sets."""
    pairs = [pair for name, rest in final_stage() if name == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def services() -> dict[str, dict[str, Any]]:
    """Services of the compose file, anchors resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_hadolint_finds_nothing() -> None:
    """The Dockerfile linter, with the two exceptions that the file explains."""
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.is_file() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")

    done = subprocess.run(
        [hadolint, str(DOCKERFILE)], capture_output=True, text=True, check=False, timeout=60
    )

    assert (0, "") == (done.returncode, done.stdout)


def test_compose_file_fits_the_schema() -> None:
    """The compose specification's own JSON Schema."""
    pytest.importorskip("check_jsonschema", reason="check-jsonschema is not installed")

    done = subprocess.run(
        [
            sys.executable, "-m", "check_jsonschema",
            "--builtin-schema", "vendor.compose-spec", str(COMPOSE),
        ],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("profiles", [(), ("demo",), ("observability",), ("demo", "observability")])
def test_compose_takes_the_file_with_every_profile(profiles: tuple[str, ...]) -> None:
    """Dependencies, anchors and variables, as the real program sees them; needs no engine."""
    alone = shutil.which("docker-compose")
    command = [alone] if alone else ["docker", "compose"]
    if alone is None and not (
        shutil.which("docker")
        and subprocess.run(
            ["docker", "compose", "version"], capture_output=True, check=False, timeout=60
        ).returncode
        == 0
    ):
        pytest.skip("neither docker-compose nor docker with its compose plugin is installed")

    done = subprocess.run(
        [*command, "-f", str(COMPOSE), *(f"--profile={name}" for name in profiles), "config", "-q"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert (0, "") == (done.returncode, done.stderr)


def test_image_runs_as_a_numeric_user_without_rights() -> None:
    """A number, so that an orchestrator can prove that it is not root."""
    users = [rest for name, rest in final_stage() if name == "USER"]

    assert users == ["10001:10001"]


def test_dependencies_are_installed_from_the_locked_hashes_only() -> None:
    """Every download is checked, and none runs code of its own while installing."""
    installs = [
        part
        for name, rest in instructions()
        if name == "RUN"
        for part in rest.split("&&")
        if "pip install" in part
    ]

    assert len(installs) == 2
    assert "--require-hashes --no-deps --only-binary :all: -r requirements.txt" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]


def test_image_names_no_address() -> None:
    """Where packages come from is the business of the machine that builds."""
    addresses = re.findall(r"\w+://[^\s'\"]+", DOCKERFILE.read_text())

    assert addresses == ["http://127.0.0.1:"]


def test_everything_copied_exists_and_passes_dockerignore() -> None:
    """The ignore file starts from nothing and lets through what is copied."""
    kept = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    copied = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]

    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source


def test_image_listens_beyond_its_own_loopback_on_the_default_port() -> None:
    """A port published from a container needs the explicit permission."""
    settings = load(environment=image_environment())
    exposed = [rest for name, rest in final_stage() if name == "EXPOSE"]

    assert (settings.http.host, settings.http.allow_public) == ("0.0.0.0", True)  # noqa: S104 - on purpose
    assert exposed == [str(Settings().http.port)]


def test_kernels_are_compiled_into_the_image_as_its_user() -> None:
    """Otherwise each start of a container compiles for half a minute."""
    stage = final_stage()
    warm = stage.index(("RUN", '["volgauge", "warm"]'))

    assert warm > stage.index(("USER", "10001:10001"))
    cache = image_environment()["NUMBA_CACHE_DIR"]
    made = next(rest for name, rest in stage if name == "RUN" and "install -d" in rest)
    assert f"-o 10001 -g 10001 {cache}" in made


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_healthcheck_believes_the_status_of_healthz(*, status: int, healthy: bool) -> None:
    """The image's own command, run against a server on a free port."""
    (check,) = (rest for name, rest in final_stage() if name == "HEALTHCHECK")
    command = yaml.safe_load(check.split("CMD ", 1)[1])
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:  # type: ignore[explicit-override]  # 3.12 has override
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        done = subprocess.run(
            [sys.executable, *command[1:]],
            env={"VOLGAUGE__HTTP__PORT": str(server.server_port)},
            capture_output=True,
            check=False,
            timeout=30,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

    assert command[0] == "python3"
    assert (["/healthz"], healthy) == (asked, done.returncode == 0)


@pytest.mark.parametrize("name", ["volgauge", "demo"])
def test_compose_environment_is_valid(name: str) -> None:
    """Image and compose variables together make settings that load."""
    given = services()[name]["environment"]

    settings = load(environment={**image_environment(), **given})

    assert settings.redis.url == "redis://valkey:6379/0"


def test_live_and_simulated_do_not_mix() -> None:
    """Names in Redis, ports and disks differ; the compiled kernels may be shared."""
    live, demo = services()["volgauge"], services()["demo"]
    prefixes = {load(environment=each["environment"]).redis.prefix for each in (live, demo)}
    disks = [{volume.split(":")[0] for volume in each["volumes"]} for each in (live, demo)]

    assert len(prefixes) == 2
    assert live["ports"] != demo["ports"]
    assert disks[0] & disks[1] == {"kernels"}
    assert (live["command"], demo["command"]) == (["run"], ["demo"])


def test_the_home_dashboard_exists() -> None:
    """Grafana opens with it."""
    grafana = services()["grafana"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folders = {
        target: source
        for source, target, _ in (
            volume.split(":") for volume in grafana["volumes"] if volume.startswith(".")
        )
    }
    folder, _, name = home.rpartition("/")

    assert (ROOT / folders[folder] / name).is_file()


def test_mounted_files_exist() -> None:
    """A missing file would be mounted as an empty folder."""
    for service in services().values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source


def test_named_volumes_are_declared_and_used() -> None:
    """No typing error makes a second volume."""
    used = {
        volume.split(":")[0]
        for service in services().values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }

    assert used == set(yaml.safe_load(COMPOSE.read_text())["volumes"])


@pytest.mark.parametrize("name", sorted(services()))
def test_every_service_is_hardened(name: str) -> None:
    """Read-only root, a numeric user, no capability, limits, loopback ports, a pinned image."""
    service = services()[name]
    uid, _, _ = service["user"].partition(":")

    assert int(uid) > 0
    assert service["restart"] == "unless-stopped"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert re.fullmatch(r"[\w./-]+:(?!latest$)[\w.-]+", service["image"])
    assert "build" in service or "healthcheck" in service


def test_profiles_are_opt_ins() -> None:
    """Plain `up` starts the service and its Redis."""
    found: dict[str, set[str]] = {}
    for name, service in services().items():
        for profile in service.get("profiles", ["default"]):
            found.setdefault(profile, set()).add(name)

    assert found == {
        "default": {"volgauge", "valkey"},
        "demo": {"demo"},
        "observability": {"prometheus", "alertmanager", "grafana"},
    }


def test_nothing_holds_a_secret() -> None:
    """No password or token in a file of the repository."""
    text = DOCKERFILE.read_text() + COMPOSE.read_text()

    assert not re.search(r"(?i)(password|secret|token)\S*\s*[:=]\s*[\"']?\w", text)
