"""The manifests for Kubernetes and systemd and the proxy's configuration are sound and hardened.

Each is checked by the tool that its users have, where that is installed, and by what it says.
"""

import ipaddress
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from volgauge.settings import Settings, load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
BASE = KUBERNETES / "base"
UNIT = DEPLOY / "systemd" / "volgauge.service"
PROXY = DEPLOY / "nginx" / "volgauge.conf"
USERS = DEPLOY / "redis" / "users.acl"
UID = 10001

Tree = dict[str, Any]


def tool(name: str) -> str:
    """Path of an installed program; skips where there is none."""
    beside = Path(sys.executable).with_name(name)
    found = (
        str(beside)
        if beside.is_file()
        else shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    )
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: str) -> tuple[int, str]:
    """Exit code and everything that was said."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout


def objects(folder: Path = BASE) -> list[Tree]:
    """Every object of a folder's files, the kustomizations aside."""
    return [
        tree
        for path in sorted(folder.glob("*.yaml"))
        if path.name != "kustomization.yaml"
        for tree in yaml.safe_load_all(path.read_text())
    ]


def named(kind: str, name: str) -> Tree:
    """One object."""
    (found,) = (
        tree for tree in objects() if (tree["kind"], tree["metadata"]["name"]) == (kind, name)
    )
    return found


def pod(name: str) -> Tree:
    """The pod's specification of a deployment."""
    found: Tree = named("Deployment", name)["spec"]["template"]["spec"]
    return found


def rendered(folder: Path, tmp_path: Path) -> Path:
    """What `kubectl apply -k` would send, in a file."""
    code, said = run(tool("kubectl"), "kustomize", str(folder))
    assert code == 0, said
    path = tmp_path / "rendered.yaml"
    path.write_text(said)
    return path


DEPLOYMENTS = sorted(tree["metadata"]["name"] for tree in objects() if tree["kind"] == "Deployment")
CONTAINERS = [
    pytest.param(deployment, container, id=f"{deployment}-{container['name']}")
    for deployment in DEPLOYMENTS
    for container in (*pod(deployment).get("initContainers", ()), *pod(deployment)["containers"])
]


def test_every_object_fits_its_schema(tmp_path: Path) -> None:
    """Kubernetes' own schemas, strict, after kustomize."""
    path = rendered(BASE, tmp_path)

    code, said = run(tool("kubernetes-validate"), "--strict", str(path))

    assert code == 0, said
    assert len(objects()) + 1 == said.count(" passed for resource ")


def test_the_example_of_the_secret_fits_its_schema() -> None:
    """It is applied by hand, before the base."""
    code, said = run(
        tool("kubernetes-validate"), "--strict", str(KUBERNETES / "secret.example.yaml")
    )

    assert code == 0, said


def test_monitoring_adds_a_service_monitor_to_the_base(tmp_path: Path) -> None:
    """It finds our service by its label, and the port by its name."""
    trees = list(yaml.safe_load_all(rendered(KUBERNETES / "monitoring", tmp_path).read_text()))
    (monitor,) = (tree for tree in trees if tree["kind"] == "ServiceMonitor")
    (service,) = (
        tree
        for tree in trees
        if tree["kind"] == "Service"
        and monitor["spec"]["selector"]["matchLabels"].items() <= tree["metadata"]["labels"].items()
    )

    assert len(trees) == len(objects()) + 2
    assert service["metadata"]["name"] == "volgauge"
    assert monitor["spec"]["endpoints"][0]["port"] in {
        port["name"] for port in service["spec"]["ports"]
    }


def test_all_files_are_part_of_the_base() -> None:
    """No manifest is forgotten."""
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]

    assert {*listed, "kustomization.yaml"} == {path.name for path in BASE.glob("*.yaml")}


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_no_pod_is_root_or_speaks_to_the_cluster(deployment: str) -> None:
    """A numeric user, the runtime's system call filter, no token."""
    specification = pod(deployment)
    context = specification["securityContext"]

    assert context["runAsNonRoot"] is True
    assert context["runAsUser"] > 10000
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert specification["automountServiceAccountToken"] is False
    assert specification["enableServiceLinks"] is False


@pytest.mark.parametrize(("deployment", "container"), CONTAINERS)
def test_every_container_is_confined(deployment: str, container: Tree) -> None:
    """What the namespace's `restricted` level asks for, a read-only root, and a limit of memory."""
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }, deployment
    assert container["resources"]["limits"]["memory"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_the_namespace_refuses_other_pods() -> None:
    """The cluster enforces what the manifests promise."""
    labels = named("Namespace", "volgauge")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_pod_runs_as_the_user_of_the_image() -> None:
    """The compiled kernels belong to that one."""
    assert f"USER {UID}:{UID}" in (ROOT / "Dockerfile").read_text()
    context = pod("volgauge")["securityContext"]

    assert {UID} == {context[key] for key in ("runAsUser", "runAsGroup", "fsGroup")}


def test_probes_ask_what_they_should() -> None:
    """Alive is not ready: a venue that is out must not restart the pod."""
    (container,) = pod("volgauge")["containers"]
    asked = {
        name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    (port,) = container["ports"]

    assert asked == {
        "startup": {"path": "/healthz", "port": "http"},
        "liveness": {"path": "/healthz", "port": "http"},
        "readiness": {"path": "/readyz", "port": "http"},
    }
    assert port == {"name": "http", "containerPort": Settings().http.port}


def test_a_cold_compilation_fits_into_the_start() -> None:
    """Three minutes: six times of what it takes on a free core."""
    (container,) = pod("volgauge")["containers"]
    probe = container["startupProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] >= 180


def test_what_is_mounted_is_what_the_image_writes() -> None:
    """Kernels, history and scratch; the first starts as the image's own."""
    specification = pod("volgauge")
    (container,) = specification["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    declared = {volume["name"] for volume in specification["volumes"]}
    (first,) = specification["initContainers"]

    assert set(mounts.values()) == declared
    assert {"/var/cache/volgauge", "/var/lib/volgauge", "/tmp"} <= set(mounts)  # noqa: S108 - in the pod
    assert first["volumeMounts"][0]["name"] == mounts["/var/cache/volgauge"]
    assert first["command"][2] == "/var/cache/volgauge/."


def test_the_configuration_loads() -> None:
    """The ConfigMap's file with the image's and the pod's variables."""
    secret = yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())
    (variable,) = pod("volgauge")["containers"][0]["env"]
    assert variable["valueFrom"]["secretKeyRef"] == {
        "name": secret["metadata"]["name"],
        "key": "url",
    }

    settings = load(
        BASE / "volgauge.toml",
        environment={
            variable["name"]: secret["stringData"]["url"],
            "VOLGAUGE__HTTP__HOST": "0.0.0.0",  # noqa: S104 - as in the image
            "VOLGAUGE__HTTP__ALLOW_PUBLIC": "true",
        },
    )

    assert settings.history.path.startswith("/var/lib/volgauge/")
    host = urlsplit(settings.redis.url)
    port = named("Service", "valkey")["spec"]["ports"][0]["port"]
    assert (host.username, host.hostname, host.port) == ("volgauge", "valkey", port)


def test_the_secret_has_the_users_of_the_example() -> None:
    """One list of users, in two places."""
    secret = yaml.safe_load((KUBERNETES / "secret.example.yaml").read_text())

    assert secret["stringData"]["users.acl"] == USERS.read_text()


def test_selectors_meet_labels() -> None:
    """Services, budgets and policies without a pod would do nothing, silently."""
    pods = [
        named("Deployment", name)["spec"]["template"]["metadata"]["labels"] for name in DEPLOYMENTS
    ]
    selectors = [named("Service", name)["spec"]["selector"] for name in ("volgauge", "valkey")]
    selectors.append(named("PodDisruptionBudget", "volgauge")["spec"]["selector"]["matchLabels"])
    selectors += [
        tree["spec"]["podSelector"].get("matchLabels", {})
        for tree in objects()
        if tree["kind"] == "NetworkPolicy"
    ]

    assert all(any(each.items() <= labels.items() for labels in pods) for each in selectors)


def test_nothing_speaks_unless_a_policy_says_so() -> None:
    """Default: no connection in or out."""
    specification = named("NetworkPolicy", "nothing")["spec"]

    assert specification == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert named("NetworkPolicy", "valkey")["spec"]["egress"] == []


def test_every_venue_is_within_reach_and_the_cluster_is_not() -> None:
    """Ports of the official addresses; private networks and the provider's metadata are cut out."""
    needed = set()
    for venue in ("aevo", "binance", "bybit", "delta", "deribit", "derive", "okx"):
        endpoints = import_module(f"volgauge.adapters.{venue}.endpoints")
        addresses = [value for name, value in vars(endpoints).items() if name.endswith("_URL")]
        assert addresses
        needed |= {urlsplit(address).port or 443 for address in addresses}
    rules = named("NetworkPolicy", "volgauge")["spec"]["egress"]
    (outside,) = (rule for rule in rules if "ipBlock" in rule["to"][0])
    ports = {port["port"] for port in outside["ports"]}
    blocked = [
        ipaddress.ip_network(block) for peer in outside["to"] for block in peer["ipBlock"]["except"]
    ]

    assert needed == ports
    for private in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "fd00::1"):
        address = ipaddress.ip_address(private)
        assert any(address in block for block in blocked), private


def test_one_publisher_at_a_time() -> None:
    """A second one below the same prefix would be fenced off."""
    specification = named("Deployment", "volgauge")["spec"]

    assert (specification["replicas"], specification["strategy"]) == (1, {"type": "Recreate"})


def unit() -> dict[str, list[str]]:
    """Settings of the unit; a key may come several times."""
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"(?m)^(\w+)=(.*)$", UNIT.read_text()):
        found.setdefault(key, []).append(value)
    return found


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """With a program that exists here in the place of ours."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/volgauge/bin/volgauge", "/bin/true"))

    code, said = run(tool("systemd-analyze"), "verify", str(path))

    assert (0, "") == (code, said)


def test_systemd_rates_the_unit_as_hardened(record_property: Any) -> None:  # noqa: ANN401 - pytest's
    """0 is closed, 10 is open; what remains is the network, and memory that is compiled into."""
    code, said = run(
        tool("systemd-analyze"), "security", "--offline=true", "--threshold=15", str(UNIT)
    )
    rating = re.findall(r"exposure level for \S+: ([\d.]+)", said)
    record_property("measured", f"systemd-analyze security: {rating}")

    assert (0, True) == (code, float(rating[0]) <= 1.5), said


def test_the_unit_keeps_what_numba_and_the_metrics_need() -> None:
    """Two doors that must stay open, one exit code that must not restart."""
    found = unit()

    assert found["MemoryDenyWriteExecute"] == ["no"]
    assert found["ProcSubset"] == ["all"]
    assert found["RestartPreventExitStatus"] == ["2"]


def test_the_variables_of_the_unit_load() -> None:
    """State in the folder that systemd keeps for the service."""
    variables = dict(pair.split("=", 1) for line in unit()["Environment"] for pair in line.split())

    settings = load(environment=variables)

    assert settings.history.path == f"/var/lib/{unit()['StateDirectory'][0]}/history.sqlite"
    assert variables["NUMBA_CACHE_DIR"] == f"/var/cache/{unit()['CacheDirectory'][0]}"


def test_nginx_accepts_the_proxy(tmp_path: Path) -> None:
    """Inside a minimal configuration, with a certificate made for the occasion."""
    nginx, openssl = tool("nginx"), tool("openssl")
    run(
        openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        "-subj", "/CN=index.example.org",
        "-keyout", str(tmp_path / "privkey.pem"), "-out", str(tmp_path / "fullchain.pem"),
    )  # fmt: skip
    (tmp_path / "htpasswd").write_text("reader:{PLAIN}word\n")
    text = PROXY.read_text().replace("/etc/volgauge/tls/", f"{tmp_path}/")
    (tmp_path / "site.conf").write_text(text.replace("/etc/volgauge/", f"{tmp_path}/"))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; include {tmp_path}/site.conf; }}\n"
    )

    code, said = run(nginx, "-t", "-q", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))

    assert (0, "") == (code, said)


def test_no_manifest_holds_a_secret() -> None:
    """Where a password belongs stands a word that no server accepts."""
    text = "".join(
        path.read_text()
        for folder in ("kubernetes", "systemd", "redis", "nginx")
        for path in (DEPLOY / folder).rglob("*")
        if path.is_file()
    )

    assert not re.search(r"(?i)(password|secret|token)[ \t]*[:=][ \t]*[\"']?\w{6}", text)
    assert not re.search(r"\b[0-9a-f]{32,}\b", text)
